"""A judge for chains of thought, optional: an engine answers a rubric's yes-or-no questions about English chains.

Generations come in, ``judgements/`` comes out, and from it a part of the report that stands apart from accuracy: the
judge sees the problem and the chain, never the gold answer, and nothing that it says changes a score.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment

from data_prep.languages import LANGUAGES
from data_prep.lid import identify
from eval.config import JudgeConfig
from eval.folder import (
    COMPLETIONS,
    Generation,
    Run,
    read_generations,
    read_json,
    read_lines,
    read_run,
    write_json,
    write_lines,
)
from eval.score import AVERAGE, Metric, estimate, macro_average
from launch.engines import Completion, Request, Sampling, open_engine
from launch.engines.store import CompletionStore, complete
from launch.errors import InputError
from launch.recipe import load_recipe
from launch.thinking import split_thinking

JUDGEMENTS = "judgements"
JUDGE_FILE = "judge.json"
RUBRICS = Path(__file__).parent / "rubrics"
LANGUAGE = "en"  # of the chains that are judged

_KEPT = 2_000  # characters of what a judge said that are kept beside the verdict


@dataclass(frozen=True)
class Rubric:
    """What a judge is asked.

    Args:
        criteria: the name of every question and its wording; "yes" is good.
        prompt: the message to the judge, a Jinja2 template that shows ``question``, ``chain`` and ``criteria`` and
            asks for a line ``name: yes`` or ``name: no`` for every criterion.
    """

    criteria: dict[str, str]
    prompt: str

    def message(self, question: str, chain: str) -> str:
        """The prompt with a problem and a chain in it.

        Raises:
            InputError: the template cannot be filled.
        """
        environment = SandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        try:
            template = environment.from_string(self.prompt)
            return template.render(question=question, chain=chain, criteria=self.criteria).strip()
        except TemplateError as error:
            raise InputError(f"the rubric's prompt cannot be filled: {error}") from error

    @property
    def prompt_sha256(self) -> str:
        """SHA-256 (hex) of the prompt with its criteria, before a problem and a chain are put in."""
        return hashlib.sha256(self.message("", "").encode()).hexdigest()

    def verdict(self, said: str) -> dict[str, bool] | None:
        """Yes or no for every criterion; None where one is missing or said both ways."""
        verdict = {}
        for name in self.criteria:
            words = re.findall(
                rf"^[\W\d]{{0,9}}{re.escape(name)}\W{{1,9}}(yes|no)\b", said, re.IGNORECASE | re.MULTILINE
            )
            answers = {word.lower() for word in words}
            if len(answers) != 1:
                return None
            verdict[name] = answers == {"yes"}
        return verdict


def load_rubric(name: str) -> Rubric:
    """Read a rubric by its name (a file in ``eval/rubrics``) or by the path of a YAML file.

    Raises:
        InputError: no such rubric, an unknown key, no criteria, or a prompt that shows no problem or no chain.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else RUBRICS / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in RUBRICS.glob("*.yaml")))
        raise InputError(f"unknown rubric '{name}'; known rubrics: {known}, or the path of a YAML file")
    rubric = load_recipe(Rubric, path)
    if not rubric.criteria:
        raise InputError(f"{path}: criteria: name at least one")
    shown = rubric.message("a problem to show", "a chain to show")
    for part in ("question", "chain"):
        if {"question": "a problem to show", "chain": "a chain to show"}[part] not in shown:
            raise InputError(f"{path}: prompt: it does not show the {part}; write {{{{ {part} }}}} where it belongs")
    return rubric


class Judge:
    """A rubric and the engine that is asked about it; nothing is asked before ``judge``.

    Raises:
        InputError: the rubric or the engine's configuration is not usable.
    """

    def __init__(self, config: JudgeConfig) -> None:
        self._config = config
        self._rubric = load_rubric(config.rubric)
        self._engine = open_engine(config.engine)

    def judge(self, folder: Path) -> None:
        """Judge the chains of an evaluation's folder and write ``judgements/``; what is stored is not asked again.

        A judge that fails or rambles is counted and stops nothing.

        Raises:
            InputError: the folder is no evaluation.
        """
        run = read_run(folder)
        generations = {
            (name, language): read_generations(folder, run, name, language)
            for name, entry in run.tasks.items()
            if entry.task.kind == "reasoning"
            for language in entry.items
        }
        try:
            identity = self._engine.identity
            reasons = {place: [unfit(generation) for generation in rows] for place, rows in generations.items()}
            asked = [
                self._request(generation)
                for place, rows in generations.items()
                for generation, reason in zip(rows, reasons[place], strict=True)
                if reason is None
            ]
            with CompletionStore(folder / COMPLETIONS) as store:
                arriving = complete(self._engine, asked, store, description="asking the judge", total=len(asked))
                said = {completion.key: completion for completion in arriving}
        finally:
            self._engine.close()
        forget(folder)
        for (name, language), rows in generations.items():
            records = (
                self._judgement(generation, None if reason else said[self._request(generation).key(identity)], reason)
                for generation, reason in zip(rows, reasons[name, language], strict=True)
            )
            write_lines(_judgements_file(folder, name, language), records)
        write_json(folder / JUDGEMENTS / JUDGE_FILE, self._head(identity))

    def _request(self, generation: Generation) -> Request:
        message = self._rubric.message(generation.text, _chain(generation))
        return Request(
            messages=({"role": "user", "content": message},),
            sampling=Sampling(max_new_tokens=self._config.max_new_tokens),
            template_kwargs={"enable_thinking": self._config.thinking},
        )

    def _judgement(self, generation: Generation, said: Completion | None, reason: str | None) -> dict[str, Any]:
        judgement: dict[str, Any] = {
            "id": generation.id,
            "cluster": generation.cluster,
            "chain_sha256": _sha256(_chain(generation)),
            "outcome": reason,
            "verdict": None,
        }
        if said is None:
            return judgement
        if said.finish_reason == "error":
            return judgement | {"outcome": "error", "error": said.error}
        answer = split_thinking(said.text, said.opened_by_prompt).answer
        verdict = self._rubric.verdict(answer or "")
        outcome = "unparseable" if verdict is None else "judged"
        return judgement | {"outcome": outcome, "verdict": verdict, "said": said.text[-_KEPT:]}

    def _head(self, identity: str) -> dict[str, Any]:
        return {
            "model": self._config.engine.model,
            "revision": self._config.engine.revision,
            "adapter": self._config.engine.adapter,
            "engine_identity": identity,
            "rubric": self._config.rubric,
            "criteria": self._rubric.criteria,
            "prompt": self._rubric.prompt,
            "prompt_sha256": self._rubric.prompt_sha256,
            "sampling": asdict(Sampling(max_new_tokens=self._config.max_new_tokens)),
            "thinking": self._config.thinking,
        }


def open_judge(config: JudgeConfig) -> Judge | None:
    """The judge that a recipe asks for; None where it names no model for one.

    Raises:
        InputError: as :class:`Judge`.
    """
    return Judge(config) if config.engine.model else None


def forget(folder: Path) -> None:
    """Remove the judgements of a folder; what the judge said stays in the store."""
    for path in (folder / JUDGEMENTS).glob("*.json*"):
        path.unlink()


def unfit(generation: Generation) -> str | None:
    """Why a chain is not judged: ``no_chain``, ``unclosed``, ``not_english``, ``undetermined``; None: it is."""
    if generation.finish_reason == "error" or not _chain(generation):
        return "no_chain"
    if split_thinking(generation.completion, generation.opened_by_prompt).state == "unclosed":
        return "unclosed"
    language = identify(_chain(generation), LANGUAGES)
    if language is None:
        return "undetermined"
    return None if language == LANGUAGE else "not_english"


def judge_report(folder: Path, run: Run, generations: Mapping[str, Mapping[str, Sequence[Generation]]]) -> Any:
    """What the judge says of the run's chains, for the report; None where no judge was asked.

    ``{model, prompt_sha256, …, "metrics": {task: {language: {criterion: estimate}}}, "outcomes": {task: {language:
    {outcome: count}}}}``. A judgement of a chain that has changed since counts as ``changed``.

    Raises:
        InputError: the judgements cannot be read.
    """
    if not (folder / JUDGEMENTS / JUDGE_FILE).is_file():
        return None
    head = read_json(folder / JUDGEMENTS / JUDGE_FILE, what="run the evaluation again")
    if not isinstance(head.get("criteria"), dict):
        raise InputError(f"{folder / JUDGEMENTS / JUDGE_FILE} names no criteria; run the evaluation again")
    criteria = [_criterion(name) for name in head["criteria"]]
    metrics: dict[str, Any] = {}
    outcomes: dict[str, Any] = {}
    for name, by_language in generations.items():
        if run.tasks[name].task.kind != "reasoning":
            continue
        rows = {
            language: _still_true(_judgements_file(folder, name, language), listed)
            for language, listed in by_language.items()
        }
        outcomes[name] = {language: dict(Counter(r["outcome"] for r in listed)) for language, listed in rows.items()}
        metrics[name] = {
            language: {c.name: estimate(c, listed, seed=run.seed).as_dict() for c in criteria}
            for language, listed in rows.items()
        }
        metrics[name][AVERAGE] = {c.name: macro_average(c, rows, seed=run.seed).as_dict() for c in criteria}
    return head | {"metrics": metrics, "outcomes": outcomes}


def _still_true(path: Path, generations: Sequence[Generation]) -> list[dict[str, Any]]:
    """One judgement a generation; those of other chains are ``changed``."""
    stored = {record.get("id"): record for record in read_lines(path)} if path.is_file() else {}
    rows = []
    for generation in generations:
        record = stored.get(generation.id)
        if record is None or record.get("chain_sha256") != _sha256(_chain(generation)):
            record = {"cluster": generation.cluster, "outcome": "changed", "verdict": None}
        rows.append(record)
    return rows


def _criterion(name: str) -> Metric:
    return Metric(name, name, lambda row: None if row["verdict"] is None else (float(row["verdict"][name]), 1.0))


def _judgements_file(folder: Path, task: str, language: str) -> Path:
    return folder / JUDGEMENTS / f"{task}.{language}.jsonl"


def _chain(generation: Generation) -> str:
    return split_thinking(generation.completion, generation.opened_by_prompt).reasoning or ""


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
