"""Tasks as data: which rows are asked, in which words, with what sampling, and what a right answer must look like."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import SandboxedEnvironment

from data_prep.languages import get_language
from launch.engines.base import Sampling
from launch.errors import InputError
from launch.recipe import load_recipe

TASK_FOLDER = Path(__file__).parent / "tasks"
SOURCE_LANGUAGE = "en"


@dataclass(frozen=True)
class RowFilter:
    """Which rows of the data folder are asked.

    Args:
        format: ``build`` is a folder written by ``python -m data_prep build``; ``mgsm`` is one with
            ``mgsm_<lang>.tsv`` files, a question, a tab and a number on every line.
        split, category: keep only these rows of a build folder; null keeps all.
    """

    format: Literal["build", "mgsm"]
    split: str | None = None
    category: str | None = None


@dataclass(frozen=True)
class PromptTemplate:
    """The words of the question, as Jinja2 templates.

    They may use ``text`` (the row's user turn), ``language`` (its code), ``language_name``, ``native_name`` and
    ``instruction`` (the entry of ``instructions`` for the language). ``system`` replaces the row's own system turn.
    """

    system: str | None = None
    user: str = "{{ text }}"
    instructions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """One task.

    Args:
        name: unique among the tasks of a run; file names and report keys begin with it.
        kind: ``reasoning`` grades the final answer against the row's ``gold``; ``translation`` asks for the English
            user turn in the other language and scores it against that language's own user turn; ``likelihood``
            generates nothing and measures how likely the row's own answer is (with its chain where ``thinking``), its
            ``gold`` where the row has no answer.
        title: one line for people.
        rows: where the questions come from.
        languages: ISO 639-1 codes of the questions (reasoning) or of the translations.
        prompt: the wording.
        thinking: whether the chat template is told to open a chain of thought (``enable_thinking``).
        thinking_budget: the most tokens of a chain; a longer one is closed (see ``launch.thinking.budget_cut``) and
            the answer asked for. Null: as long as ``sampling`` lets it.
        sampling: how completions are drawn.
        limit_per_language: ask only so many rows of each language, the same problems in all of them.
        chain_language: language the chain is expected in.
        answer_language: language the answer is expected in; ``target`` is the language of the question.
        may_lack_languages: a language of which the data has no row is left out and told in the report, and no error.
    """

    name: str
    kind: Literal["reasoning", "translation", "likelihood"]
    title: str
    rows: RowFilter
    languages: list[str]
    prompt: PromptTemplate = field(default_factory=PromptTemplate)
    thinking: bool = True
    thinking_budget: int | None = None
    sampling: Sampling = field(default_factory=Sampling)
    limit_per_language: int | None = None
    chain_language: str = "en"
    answer_language: str = "target"
    may_lack_languages: bool = False


def load_task(name: str) -> Task:
    """Read a task by its name (a file in ``eval/tasks``) or by the path of a YAML file.

    Raises:
        InputError: no such task (the nearest name is given), an unknown key, language or template variable.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else TASK_FOLDER / f"{name}.yaml"
    if not path.is_file():
        known = sorted(file.stem for file in TASK_FOLDER.glob("*.yaml"))
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = (
            f"did you mean '{close[0]}'?" if close else f"known tasks: {', '.join(known)}, or the path of a YAML file"
        )
        raise InputError(f"unknown task '{name}'; {hint}")
    task = load_recipe(Task, path)
    _check_task(task, where=str(path))
    return task


def question(task: Task, turns: Sequence[dict[str, Any]], language: str) -> list[dict[str, Any]]:
    """The messages that ask a conversation's last user turn in the task's words; earlier turns stay before it.

    Raises:
        InputError: a template of the task cannot be filled.
    """
    entry = get_language(language)
    values = {"text": turns[-1]["content"], "language": language}
    values |= {"language_name": entry.name, "native_name": entry.native_name}
    if language in task.prompt.instructions:
        values["instruction"] = task.prompt.instructions[language]
    try:
        user = _template(task.prompt.user).render(values)
        system = None if task.prompt.system is None else _template(task.prompt.system).render(values)
    except TemplateError as error:
        raise InputError(f"prompt: the template cannot be filled for language '{language}': {error}") from error
    earlier = turns[:-1]
    if system is not None:
        earlier = [{"role": "system", "content": system}, *(turn for turn in earlier if turn["role"] != "system")]
    return [*earlier, {"role": "user", "content": user}]


def _check_task(task: Task, *, where: str) -> None:
    if not task.name or not all(character.isalnum() or character in "_-" for character in task.name):
        raise InputError(f"{where}: name: '{task.name}' may hold only letters, digits, _ and -")
    if not task.languages:
        raise InputError(f"{where}: languages: name at least one")
    if task.limit_per_language is not None and task.limit_per_language < 1:
        raise InputError(f"{where}: limit_per_language: must be at least 1, or null for all rows")
    if task.kind == "translation" and (task.rows.format != "build" or SOURCE_LANGUAGE in task.languages):
        raise InputError(f"{where}: a translation task needs rows of a build and languages other than English")
    if task.thinking_budget is not None:
        if task.kind == "likelihood" or not task.thinking:
            raise InputError(f"{where}: thinking_budget: only a task that generates with thinking has one")
        if task.thinking_budget < 1:
            raise InputError(f"{where}: thinking_budget: must be at least 1, or null for none")
    codes = [*task.languages, task.chain_language, *task.prompt.instructions]
    for code in codes + ([] if task.answer_language == "target" else [task.answer_language]):
        try:
            get_language(code)
        except ValueError as error:
            raise InputError(f"{where}: {error}") from error
    for code in task.languages:
        try:
            question(task, [{"role": "user", "content": "text"}], code)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error


@cache
def _template(source: str) -> Template:
    return SandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True).from_string(source)
