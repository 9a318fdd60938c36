"""Asking: a recipe in, one generation an item out, each kept from the moment it arrives.

What the model answered is stored under ``completions/``, so that a killed run goes on and a second run asks nothing.
"""

from __future__ import annotations

import importlib.metadata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from eval.config import EvalConfig
from eval.folder import (
    COMPLETIONS,
    GENERATIONS,
    REPORT_FILE,
    REPORT_PAGE,
    Generation,
    Run,
    TaskRun,
    generations_file,
    write_lines,
    write_run,
)
from eval.items import Item, TaskItems, data_sha256, task_items
from eval.tasks import Task, load_task
from launch.engines import Completion, Engine, Request, open_engine
from launch.engines.store import CompletionStore, complete
from launch.errors import InputError

GENERATION_PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "accelerate",
    "peft",
    "vllm",
    "mamba-ssm",
    "causal-conv1d",
)


@dataclass(frozen=True)
class PlannedTask:
    """A task with its items, ready to be asked; ``folder`` is where they came from."""

    task: Task
    folder: Path
    items: TaskItems


def plan(config: EvalConfig) -> list[PlannedTask]:
    """Read the tasks of a recipe and their items; touches neither model nor output folder.

    Raises:
        InputError: unknown task or language, missing data folder, a task with nothing to ask, two tasks of one name, a
            thinking budget that leaves no room for an answer.
    """
    planned: dict[str, PlannedTask] = {}
    for name in config.tasks:
        task = load_task(name)
        if task.name in planned:
            raise InputError(f"two tasks of the recipe are named '{task.name}'; every task needs a name of its own")
        place = config.task_data.get(task.name, config.data)
        if not place:
            raise InputError(f"task '{task.name}' needs a folder with its rows; name it with --data FOLDER")
        languages = config.languages
        if languages is not None and len(config.tasks) > 1:  # a translation task has no English, MGSM no Italian
            languages = [code for code in languages if code in task.languages] or languages
        folder = Path(place)
        items = task_items(task, folder, languages=languages, limit=config.limit_per_language, seed=config.seed)
        task = _as_the_recipe_says(task, config)
        planned[task.name] = PlannedTask(task, folder, items)
    unknown = [name for name in config.task_data if name not in planned]
    if unknown:
        raise InputError(f"task_data names '{unknown[0]}', which is no task of the recipe: {', '.join(planned)}")
    asked = {code for entry in planned.values() for code in entry.items.items}
    for code in config.languages or []:
        if code not in asked:
            raise InputError(f"no task of the recipe has the language '{code}'")
    return list(planned.values())


def generate(config: EvalConfig) -> Path:
    """Ask everything that the recipe asks for and write ``run.json`` and ``generations/``; returns the folder.

    Raises:
        InputError: as in :func:`plan`; no output folder, a model that is not there, or no request was answered at all.
    """
    if not config.output_dir:
        raise InputError("name the folder for the results with --output_dir FOLDER")
    folder = Path(config.output_dir)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"the output folder {folder} is a file; name another place")
    if not config.engine.model:
        raise InputError("name the model to evaluate with --model MODEL (a folder or a hub name)")
    planned = plan(config)
    engine = open_engine(config.engine)
    try:
        identity = engine.identity
        answers = _ask(engine, planned, folder / COMPLETIONS)
    finally:
        engine.close()
    _refuse_if_all_failed(answers.values())
    tasks: dict[str, TaskRun] = {}
    for stale in (REPORT_FILE, REPORT_PAGE):  # they would speak of other generations
        (folder / stale).unlink(missing_ok=True)
    written = set()
    for entry in planned:
        task, items = entry.task, entry.items.items
        for language, asked in items.items():
            path = generations_file(folder, task.name, language)
            made = (_generation(item, answers[_request(task, item).key(identity)]) for item in asked)
            write_lines(path, (asdict(generation) for generation in made))
            written.add(path)
        tasks[task.name] = TaskRun(
            task=task,
            folder=str(entry.folder),
            data_sha256=data_sha256(task, entry.folder),
            items={language: len(asked) for language, asked in items.items()},
            left_out=entry.items.left_out,
        )
    for path in (folder / GENERATIONS).glob("*.jsonl"):
        if path not in written:  # of a task or language that the recipe has no longer; its completions stay stored
            path.unlink()
    run = Run(
        name=config.label,
        model=config.engine.model,
        revision=config.engine.revision,
        adapter=config.engine.adapter,
        engine=asdict(config.engine),
        engine_identity=identity,
        seed=config.seed,
        embedder=config.embedder,
        tasks=tasks,
        package_versions=package_versions(GENERATION_PACKAGES),
    )
    write_run(folder, run)
    return folder


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """Installed versions of these packages; what is not installed is left out."""
    versions = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _ask(engine: Engine, planned: Sequence[PlannedTask], store_folder: Path) -> dict[str, Completion]:
    """Completions of all items by key; items with equal prompts share one."""
    asked = [_request(entry.task, item) for entry in planned for items in entry.items.items.values() for item in items]
    with CompletionStore(store_folder) as store:
        arriving = complete(engine, asked, store, description="asking the model", total=len(asked))
        return {completion.key: completion for completion in arriving}


def _as_the_recipe_says(task: Task, config: EvalConfig) -> Task:
    task = replace(task, sampling=config.sampling.applied_to(task.sampling))
    if config.thinking_budget is not None and task.thinking and task.kind != "likelihood":
        task = replace(task, thinking_budget=config.thinking_budget)
    if task.thinking_budget is not None and task.thinking_budget >= task.sampling.max_new_tokens:
        raise InputError(
            f"task '{task.name}': thinking_budget {task.thinking_budget} leaves no token for the answer; raise "
            f"sampling.max_new_tokens above it (now {task.sampling.max_new_tokens})"
        )
    return task


def _request(task: Task, item: Item) -> Request:
    return Request(
        messages=item.messages,
        sampling=task.sampling,
        template_kwargs={"enable_thinking": task.thinking},
        answer=item.answer,
        thinking_budget=task.thinking_budget,
    )


def _generation(item: Item, completion: Completion) -> Generation:
    return Generation(
        id=item.id,
        cluster=item.cluster,
        task=item.task,
        language=item.language,
        category=item.category,
        template=item.template,
        text=item.text,
        prompt=list(item.messages),
        gold=item.gold,
        reference=item.reference,
        completion=completion.text,
        finish_reason=completion.finish_reason,
        opened_by_prompt=completion.opened_by_prompt,
        prompt_tokens=completion.prompt_tokens,
        completion_tokens=completion.completion_tokens,
        logprob=completion.logprob,
        error=completion.error,
        thinking_cut=completion.thinking_cut,
    )


def _refuse_if_all_failed(completions: Iterable[Completion]) -> None:
    reasons = Counter(c.error or "unknown" if c.finish_reason == "error" else None for c in completions)
    if None not in reasons:
        reason, count = reasons.most_common(1)[0]
        raise InputError(f"no request was answered; the most frequent reason ({count} of {reasons.total()}): {reason}")
