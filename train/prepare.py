"""From a build folder to the sequences of a run: draw the mixture, transform, render, check, tokenise, mask and pack.

``train/prepared.py`` keeps the result, so that this is done once for every start of every run that wants the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, List, Value, concatenate_datasets
from trl import SFTConfig, pack_dataset

from data_prep.schema import row_from_record
from launch.errors import InputError
from train.config import DataConfig
from train.examples import EXAMPLE_FEATURES, TOKENS, Encoder
from train.mixture import Draw, draw_mixture

SOURCE_LANGUAGE = "en"


@dataclass(frozen=True)
class RunData:
    """What a run trains and is measured on.

    Args:
        train: ``input_ids`` and ``labels``, packed rows with ``seq_lengths`` as well.
        evaluation: the same for every language, by its code; nothing of it is transformed or a translation exercise.
        counts: drawn training rows by language.
        modes: the values of ``enable_thinking`` that occur in both.
        report: what was drawn, done and left out, as it stands in ``prepared.json``.
        folder: where it is kept.
    """

    train: Dataset
    evaluation: dict[str, Dataset]
    counts: dict[str, int]
    modes: set[bool]
    report: dict[str, Any]
    folder: Path


def draw_rows(config: DataConfig, rows: Mapping[str, Dataset]) -> list[Draw]:
    """Draw the run.

    Raises:
        InputError: a language without rows, or translation exercises without source rows.
    """
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
    return draws


def encode_draws(
    draws: Sequence[Draw], rows: Mapping[str, Dataset], encoder: Encoder, work: Path, name: str, processes: int | None
) -> Dataset:
    """Every drawn row as examples (columns: ``EXAMPLE_FEATURES``), in the order they were drawn.

    Args:
        draws: what was drawn.
        rows: the rows of each language.
        encoder: makes the examples.
        work: folder for the Arrow file.
        name: of the data set, for the progress bar.
        processes: how many work at it; the result is the same with any number.
    """
    drawn = Dataset.from_dict(
        {
            "language": [draw.language for draw in draws],
            "index": [draw.index for draw in draws],
            "source": list(_source_indices(draws, rows)),
        },
        features=Features({"language": Value("string"), "index": Value("int64"), "source": Value("int64")}),
    )
    return drawn.map(
        _encode_batch,
        batched=True,
        batch_size=100,
        remove_columns=drawn.column_names,
        features=EXAMPLE_FEATURES,
        fn_kwargs={"rows": dict(rows), "encoder": encoder},
        num_proc=min(processes, len(draws)) if processes and len(draws) else None,
        cache_file_name=str(work / f"{name}.arrow"),
        new_fingerprint=f"polythink-{name}",
        desc=f"Tokenising {name}",
    )


def to_sequences(
    examples: Dataset, training: SFTConfig, *, packing: bool, unpacked_categories: Sequence[str]
) -> Dataset:
    """What the trainer reads: ``input_ids`` and ``labels``, packed with ``seq_lengths`` where the recipe says so.

    Rows of the unpacked categories get a sequence of their own; they are then spread among the others by the seed.
    """
    tokens = examples.select_columns(["input_ids", "labels"])
    if not packing:
        return tokens.shuffle(seed=training.seed) if training.shuffle_dataset else tokens
    apart = [i for i, category in enumerate(examples["category"]) if category in set(unpacked_categories)]
    alone = set(apart)
    together = [i for i in range(len(tokens)) if i not in alone]
    parts = []
    if together:
        part = tokens.select(together)
        part = part.shuffle(seed=training.seed) if training.shuffle_dataset else part
        parts.append(pack_dataset(part, training.max_length or 0, training.packing_strategy))
    if apart:
        features = Features({"input_ids": TOKENS, "labels": TOKENS, "seq_lengths": List(Value("int64"))})
        features = parts[0].features if parts else features
        parts.append(tokens.select(apart).map(_with_length, features=features))
    sequences = concatenate_datasets(parts) if parts else tokens
    return sequences.shuffle(seed=training.seed) if apart or training.shuffle_dataset else sequences


def build_texts(config: DataConfig, cache: Path) -> Iterator[str]:
    """Every text of the training split, chains included: what a new tokenizer is trained on."""
    for of_language in rows_by_language(config, config.train_split, cache).values():
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


def split_files(config: DataConfig, split: str) -> dict[str, list[Path]]:
    """The Parquet files of a split, by language.

    Raises:
        InputError: no finished build, or no rows in this split.
    """
    files: dict[str, list[Path]] = {}
    for file in sorted((finished_manifest(config).parent / "data").glob(f"{split}.*.parquet")):
        files.setdefault(file.name.split(".")[1].split("-")[0], []).append(file)
    if not files:
        raise InputError(f"data: {config.build} has no rows in the split '{split}'")
    return files


def rows_by_language(config: DataConfig, split: str, cache: Path) -> dict[str, Dataset]:
    """The rows of a split, read from disk as they are asked for; ``cache``: folder for the Arrow files."""
    return {
        language: Dataset.from_parquet([str(file) for file in files], cache_dir=str(cache))
        for language, files in split_files(config, split).items()
    }


def some_rows(rows: Dataset, limit: int, seed: int) -> Dataset:
    """A random choice: builds are in the order of their source, often by category."""
    return rows.shuffle(seed=seed).select(range(min(limit, len(rows))))


def _source_indices(draws: Sequence[Draw], rows: Mapping[str, Dataset]) -> Iterator[int]:
    """For every draw the index of its source row if it becomes a translation exercise, -1 if not."""
    index: dict[str, int] = {}
    if any(draw.translate for draw in draws):
        provenances = rows[SOURCE_LANGUAGE].select_columns("provenance")
        index = {json.loads(row["provenance"])["source_id"]: number for number, row in enumerate(provenances)}
    for draw in draws:
        if draw.translate:
            yield index.get(json.loads(rows[draw.language][draw.index]["provenance"])["source_id"], -1)
        else:
            yield -1


def _encode_batch(batch: dict[str, list[Any]], rows: dict[str, Dataset], encoder: Encoder) -> dict[str, list[Any]]:
    lines = []
    for language, index, source in zip(batch["language"], batch["index"], batch["source"], strict=True):
        row = row_from_record(rows[language][index])
        if source >= 0:
            lines += encoder.translation(row_from_record(rows[SOURCE_LANGUAGE][source]), row)
        else:
            lines += encoder.row(row)
    return {column: [line[column] for line in lines] for column in EXAMPLE_FEATURES}


def _with_length(example: dict[str, Any]) -> dict[str, Any]:
    return {**example, "seq_lengths": [len(example["input_ids"])]}
