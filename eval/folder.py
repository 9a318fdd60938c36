"""The folder of one evaluation on disk: ``run.json`` says what was asked of whom, ``generations/`` what came back.

R/run.json                                  R/completions/                        (the store)
R/generations/<task>.<language>.jsonl       R/scores/<task>.<language>.jsonl      R/report.json  R/report.html
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from data_prep.schema import storable
from eval.tasks import Task
from launch.engines.base import Sampling
from launch.errors import InputError
from launch.files import write_whole

RUN_FILE = "run.json"
REPORT_FILE = "report.json"
REPORT_PAGE = "report.html"
GENERATIONS = "generations"
SCORES = "scores"
COMPLETIONS = "completions"


@dataclass(frozen=True)
class Generation:
    """One item with what the model made of it; a line of ``generations/<task>.<language>.jsonl``.

    ``text`` is the bare question or source text, ``prompt`` the messages that were asked. ``error`` says why there is
    no completion where ``finish_reason`` is ``error``. ``logprob`` is the log-probability (nats) of the reference
    answer in ``completion_tokens`` tokens, for a task that measures likelihood. ``thinking_cut`` says how a chain over
    the task's budget was closed (``newline`` or ``abrupt``).
    """

    id: str
    cluster: str
    task: str
    language: str
    category: str
    template: str | None
    text: str
    prompt: list[dict[str, Any]]
    gold: str | None
    reference: str | None
    completion: str
    finish_reason: str
    opened_by_prompt: bool
    prompt_tokens: int
    completion_tokens: int
    logprob: float | None = None
    error: str | None = None
    thinking_cut: str | None = None

    @property
    def item_sha256(self) -> str:
        """Sixteen hex digits that two generations share when they answer the same item: id, text and right answer."""
        content = json.dumps([self.id, self.text, self.gold, self.reference])
        return hashlib.sha256(content.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class TaskRun:
    """A task as it was run.

    Args:
        task: with the sampling that was in force.
        folder: where its rows came from, as the user gave it.
        data_sha256: of the build's manifest, or of the MGSM files.
        items: number of items by language, in the order of the report.
        left_out: language → reason → rows that could not be asked.
    """

    task: Task
    folder: str
    data_sha256: str
    items: dict[str, int]
    left_out: dict[str, dict[str, int]]


@dataclass(frozen=True)
class Run:
    """What was asked of whom; everything that scoring needs to know beside the generations."""

    name: str
    model: str
    revision: str | None
    adapter: str | None
    engine: dict[str, Any]
    engine_identity: str
    seed: int
    embedder: str | None
    tasks: dict[str, TaskRun]
    package_versions: dict[str, str]


def generations_file(folder: Path, task: str, language: str) -> Path:
    """Where the generations of one task in one language stand."""
    return folder / GENERATIONS / f"{task}.{language}.jsonl"


def scores_file(folder: Path, task: str, language: str) -> Path:
    """Where the scores of every item of one task in one language stand."""
    return folder / SCORES / f"{task}.{language}.jsonl"


def write_text(path: Path, text: str) -> None:
    """Write a file that appears under its name only when it is whole.

    Raises:
        InputError: the place cannot be written.
    """
    try:
        write_whole(path, storable(text))
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error


def write_json(path: Path, content: Any) -> None:
    """Write JSON for people and programs: indented, keys in the order given, no NaN."""
    write_text(path, json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def write_lines(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Write JSON lines, whole or not at all."""
    write_text(path, "".join(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n" for record in records))


def read_json(path: Path, *, what: str) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        InputError: missing or broken; ``what`` says what should have been there and how it comes to be.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; {what}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read: {error}; {what}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no JSON object; {what}")
    return content


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Stream JSON lines.

    Raises:
        InputError: the file is missing, or a line is not a JSON object.
    """
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise InputError(f"{path}, line {number}: {error}; run the evaluation again") from error
                if not isinstance(record, dict):
                    raise InputError(f"{path}, line {number}: not a JSON object; run the evaluation again")
                yield record
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; run the evaluation again") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}; run the evaluation again") from error


def write_run(folder: Path, run: Run) -> None:
    """Write ``run.json``."""
    write_json(folder / RUN_FILE, asdict(run))


def read_run(folder: Path) -> Run:
    """Read ``run.json``.

    Raises:
        InputError: the folder is no evaluation, or not a whole one.
    """
    what = "it should be a folder written by 'python -m eval run'"
    content = read_json(folder / RUN_FILE, what=what)
    try:
        tasks = {name: TaskRun(**(entry | {"task": _task(entry["task"])})) for name, entry in content["tasks"].items()}
        return Run(**(content | {"tasks": tasks}))
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder / RUN_FILE} does not have the expected keys ({error}); {what}") from error


def read_generations(folder: Path, run: Run, task: str, language: str) -> list[Generation]:
    """Read the generations of one task in one language.

    Raises:
        InputError: the file is missing, broken, or has another number of lines than ``run.json`` says.
    """
    path = generations_file(folder, task, language)
    known = {field.name for field in fields(Generation)}
    generations = []
    for number, record in enumerate(read_lines(path), start=1):
        try:
            generations.append(Generation(**{key: value for key, value in record.items() if key in known}))
        except TypeError as error:
            raise InputError(f"{path}, line {number}: {str(error).partition('__init__() ')[2]}") from error
    expected = run.tasks[task].items[language]
    if len(generations) != expected:
        raise InputError(f"{path} has {len(generations)} lines, {RUN_FILE} says {expected}; run the evaluation again")
    return generations


def read_scores(folder: Path, run: Run, task: str, language: str) -> list[dict[str, Any]]:
    """Read the scores of every item of one task in one language.

    Raises:
        InputError: they are missing, or are not those of this run.
    """
    path = scores_file(folder, task, language)
    if not path.is_file():
        raise InputError(f"{path} does not exist; run 'python -m eval score {folder}'")
    scores = list(read_lines(path))
    if len(scores) != run.tasks[task].items[language] or any("item" not in score for score in scores):
        raise InputError(f"{path} does not fit the generations; run 'python -m eval score {folder}'")
    return scores


def _task(content: dict[str, Any]) -> Task:
    from eval.tasks import PromptTemplate, RowFilter

    sampling = content["sampling"]
    return Task(
        **(
            content
            | {
                "rows": RowFilter(**content["rows"]),
                "prompt": PromptTemplate(**content["prompt"]),
                "sampling": Sampling(**(sampling | {"stop": tuple(sampling["stop"])})),
            }
        )
    )
