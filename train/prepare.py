"""From a build folder to the datasets of a run: the mixture is drawn, every row rendered as an example."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset

from data_prep.schema import row_from_record
from launch.errors import InputError
from train.config import DataConfig
from train.mixture import Draw, count_by_language, draw_mixture
from train.rendering import Example, to_example, to_translation_example

SOURCE_LANGUAGE = "en"


@dataclass(frozen=True)
class RunData:
    """What a run trains and is measured on.

    Args:
        train: prompt/completion examples, in the order they were drawn.
        evaluation: the same for every language, by its code; translation exercises are not among them.
        counts: drawn training rows by language.
    """

    train: Dataset
    evaluation: dict[str, Dataset]
    counts: dict[str, int]


def load_run_data(config: DataConfig, cache: Path) -> RunData:
    """Read the build, draw the run, render it.

    Args:
        config: which build, and how it is mixed.
        cache: folder for the Arrow files; rows are read from disk, never all held in memory.

    Raises:
        InputError: no such build, an empty split, a language without rows.
    """
    rows = _rows_by_language(config, config.train_split, cache)
    available = {language: len(of_language) for language, of_language in rows.items()}
    try:
        draws = draw_mixture(
            available, config.languages, config.rows, config.translation_share, config.seed, SOURCE_LANGUAGE
        )
    except ValueError as error:
        raise InputError(f"data.languages: {config.build}, split '{config.train_split}': {error}") from error
    if any(draw.translate for draw in draws) and SOURCE_LANGUAGE not in rows:
        raise InputError(
            f"data.translation_share needs the source rows ('{SOURCE_LANGUAGE}') in {config.build}; "
            "build with keep_source: true"
        )
    evaluation = {
        language: _to_dataset(_plain_examples, {"rows": _some(of_language, config.eval_rows, config.seed)}, cache)
        for language, of_language in sorted(_rows_by_language(config, config.eval_split, cache).items())
        if not config.languages or language in config.languages
    }
    train = _to_dataset(_drawn_examples, {"rows": rows, "draws": [draws]}, cache)
    return RunData(train, evaluation, count_by_language(draws))


def build_texts(config: DataConfig, cache: Path) -> Iterator[str]:
    """Every text of the training split, chains included: what a new tokenizer is trained on."""
    for of_language in _rows_by_language(config, config.train_split, cache).values():
        for record in of_language:
            for message in record["messages"]:
                yield message["content"]
                if message["reasoning_content"]:
                    yield message["reasoning_content"]


def finished_manifest(config: DataConfig) -> Path:
    """The build's manifest.

    Raises:
        InputError: data.build is no finished build.
    """
    manifest = Path(config.build) / "manifest.json"
    if not manifest.is_file():
        raise InputError(f"data.build: {config.build} is no finished build (it has no manifest.json)")
    return manifest


def _rows_by_language(config: DataConfig, split: str, cache: Path) -> dict[str, Dataset]:
    folder = finished_manifest(config).parent / "data"
    files: dict[str, list[str]] = {}
    for file in sorted(folder.glob(f"{split}.*.parquet")):
        files.setdefault(file.name.split(".")[1].split("-")[0], []).append(str(file))
    if not files:
        raise InputError(f"data: {config.build} has no rows in the split '{split}'")
    return {language: Dataset.from_parquet(paths, cache_dir=str(cache)) for language, paths in files.items()}


def _to_dataset(examples: Any, arguments: dict[str, Any], cache: Path) -> Dataset:
    return Dataset.from_generator(examples, gen_kwargs=arguments, cache_dir=str(cache))


def _some(rows: Dataset, limit: int, seed: int) -> Dataset:
    """A random choice: builds are in the order of their source, often by category."""
    return rows.shuffle(seed=seed).select(range(min(limit, len(rows))))


def _plain_examples(rows: Dataset) -> Iterator[Example]:
    for record in rows:
        yield to_example(row_from_record(record))


def _drawn_examples(rows: dict[str, Dataset], draws: list[list[Draw]]) -> Iterator[Example]:
    # The draws come as one element of a list: datasets would split a plain list into shards.
    source_index: dict[str, int] = {}
    if SOURCE_LANGUAGE in rows:
        ids = (row_from_record(record).provenance["source_id"] for record in rows[SOURCE_LANGUAGE])
        source_index = {source_id: index for index, source_id in enumerate(ids)}
    for draw in draws[0]:
        row = row_from_record(rows[draw.language][draw.index])
        source = source_index.get(row.provenance["source_id"]) if draw.translate else None
        if source is None:
            yield to_example(row)
        else:
            yield to_translation_example(row_from_record(rows[SOURCE_LANGUAGE][source]), row)
