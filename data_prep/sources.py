"""Where rows come from: the built-in sample, Parquet, JSON Lines and TSV files, and data sets of the hub, streamed."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.adapters import OPTIONAL_COLUMNS, REQUIRED_COLUMNS, Origin, RecordFormat, adapt, reject_record
from data_prep.languages import get_language
from data_prep.sample import SampleConfig, sample_rows
from data_prep.schema import Reject, Row, read_records, reasoning_sha256, stream_parquet
from launch.errors import InputError

# A stray shard of Nemotron v2: rows in several languages, and nothing says in which.
_NAMELESS = "multilingual"


@dataclass
class SourceConfig:
    """What is read.

    Args:
        kind: ``sample`` (built in), ``parquet``, ``jsonl``, ``tsv`` (files), ``hub`` (a data set of the Hugging Face
            hub, streamed).
        path: a file, a folder, or a pattern such as ``rows/*.parquet``; for ``hub`` the data set's name.
        name: what the rows give as their source; the file's or the data set's name when it is left out.
        format: how a record is laid out, see ``data_prep.adapters``.
        columns: ``tsv`` only: the names of its columns, in order.
        hub_config: ``hub`` only: the configuration of the data set, where it has several.
        hub_splits: ``hub`` only: the splits to read. ``multilingual_xx`` holds rows in the language ``xx``.
        revision: ``hub`` only: branch, tag or commit.
        split: the split that the rows belong to in the build (``train``, ``test`` …); the sample brings its own.
        language: ISO 639-1 code of prompt and answer.
        category: for rows that name no category themselves.
        license: for rows that name no licence themselves.
        limit: read only so many records (of each hub split).
        sample: how much the built-in sample draws.
    """

    kind: Literal["sample", "parquet", "jsonl", "tsv", "hub"] = "sample"
    path: str | None = None
    name: str | None = None
    format: RecordFormat = "messages"
    columns: list[str] = field(default_factory=lambda: ["question", "answer"])
    hub_config: str | None = None
    hub_splits: list[str] = field(default_factory=lambda: ["train"])
    revision: str | None = None
    split: str = "train"
    language: str = "en"
    category: str = "unknown"
    license: str = "unknown"
    limit: int | None = None
    sample: SampleConfig = field(default_factory=SampleConfig)


def read_source(config: SourceConfig) -> Iterator[Row | Reject]:
    """Stream a source as rows, and rejects for the records that cannot be read as one.

    Raises:
        InputError: unknown language; a file that is missing, empty or unreadable; a first record without a column that
            the format needs; a hub data set that cannot be reached.
    """
    get_language(config.language)
    if config.kind == "sample":
        rows = (_completed(row) for row in sample_rows(config.sample))
        return islice(rows, config.limit)
    if not config.path:
        raise InputError(f"source.path is missing; a source of kind '{config.kind}' needs one")
    if config.kind == "hub":
        for split in config.hub_splits:
            if split != _NAMELESS:
                _known_language(split, config)
        return _hub_rows(config, config.path)
    return islice(_file_rows(config, source_files(config)), config.limit)


def source_files(config: SourceConfig) -> list[Path]:
    """The files of a source, sorted; none for the sample and the hub."""
    if config.kind in ("sample", "hub") or not config.path:
        return []
    path = Path(config.path)
    found = sorted(path.glob(f"*.{config.kind}")) if path.is_dir() else [path] if path.is_file() else []
    files = found or sorted(Path(match) for match in glob.glob(config.path) if Path(match).is_file())
    if not files:
        what = f"holds no *.{config.kind} files" if path.is_dir() else "does not exist"
        raise InputError(f"source.path: {config.path} {what}")
    for file in files:
        if file.stat().st_size == 0:
            raise InputError(f"source.path: {file} is empty")
    return files


def count_records(config: SourceConfig) -> int | None:
    """How many records a source has, for progress bars; None where only reading it would tell."""
    if config.kind != "parquet":
        return None
    try:
        total = sum(pq.read_metadata(file).num_rows for file in source_files(config))
    except (pa.ArrowException, OSError):
        return None
    return total if config.limit is None else min(total, config.limit)


def _completed(row: Row) -> Row:
    """A row of the sample with the id and the provenance that every row of a build has."""
    source_id = row.provenance.get("source_id", row.id)
    provenance = {
        **row.provenance,
        "source_id": source_id,
        "source_language": row.language,
        "reasoning_sha256": reasoning_sha256(row.messages),
    }
    return replace(row, id=f"{source_id}.{row.language}", provenance=provenance)


def _file_rows(config: SourceConfig, files: list[Path]) -> Iterator[Row | Reject]:
    readers = {"parquet": _parquet_records, "jsonl": _jsonl_records, "tsv": _tsv_records}
    number = 0
    for file in files:
        for record in readers[config.kind](file, config):
            origin = _origin(config, config.name or file.stem, number)
            if isinstance(record, _Broken):
                yield reject_record(record.text, origin, record.reason, record.detail)
            else:
                yield adapt(record, config.format, origin)
            number += 1


def _origin(config: SourceConfig, name: str, number: int) -> Origin:
    return Origin(name, number, config.split, config.language, config.category, config.license)


@dataclass(frozen=True)
class _Broken:
    """A record that is none: it costs itself and no other."""

    text: str
    reason: str
    detail: str


def _parquet_records(file: Path, config: SourceConfig) -> Iterator[dict[str, Any] | _Broken]:
    yield from read_records(file, REQUIRED_COLUMNS[config.format], OPTIONAL_COLUMNS)


def _jsonl_records(file: Path, config: SourceConfig) -> Iterator[dict[str, Any] | _Broken]:
    first = True
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                record = None
            if not isinstance(record, dict):
                if first:
                    raise InputError(f"{file}, line {number}: this is not a JSON object; is it a JSON Lines file?")
                yield _Broken(line.decode("utf-8", "backslashreplace"), "invalid_json", f"{file.name}, line {number}")
                continue
            if first:
                _check_columns(record, config, f"{file}, line {number}")
            first = False
            yield record
    if first:
        raise InputError(f"source.path: {file} holds no records")


def _tsv_records(file: Path, config: SourceConfig) -> Iterator[dict[str, Any] | _Broken]:
    columns = config.columns
    _check_columns(dict.fromkeys(columns), config, f"source.columns for {file}")
    first = True
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
            fields = text.removeprefix("\ufeff").split("\t") if number == 1 else text.split("\t")
            if not text.strip() or (first and fields == columns):
                continue
            if len(fields) != len(columns):
                detail = f"{file}, line {number}: {len(fields)} columns where {len(columns)} are expected"
                if first:
                    raise InputError(f"{detail} ({', '.join(columns)}); set source.columns")
                yield _Broken(text, "wrong_columns", detail)
                continue
            first = False
            yield dict(zip(columns, fields, strict=True))
    if first:
        raise InputError(f"source.path: {file} holds no records")


def _check_columns(record: dict[str, Any], config: SourceConfig, where: str) -> None:
    for column in REQUIRED_COLUMNS[config.format]:
        if column not in record:
            raise InputError(
                f"{where}: the column '{column}', which the format '{config.format}' needs, is missing; "
                f"there are: {', '.join(map(str, record)) or 'none'}"
            )


def _hub_rows(config: SourceConfig, name: str) -> Iterator[Row | Reject]:
    number = 0
    for split in config.hub_splits:
        language = config.language if split == _NAMELESS else _known_language(split, config)
        for record in islice(_hub_records(config, name, split), config.limit):
            origin = replace(_origin(config, config.name or name, number), language=language)
            number += 1
            if split == _NAMELESS:
                yield reject_record(record, origin, "unknown_language", "the split names no language")
            else:
                yield adapt(record, config.format, origin)


def _known_language(split: str, config: SourceConfig) -> str:
    """The language of a split: the one in its name, or that of the source."""
    if not split.startswith("multilingual_"):
        return config.language
    try:
        return get_language(split.removeprefix("multilingual_")).code
    except ValueError as error:
        raise InputError(f"source.hub_splits: {split}: {error}") from error


def _hub_records(config: SourceConfig, name: str, split: str) -> Iterator[dict[str, Any]]:
    where = f"source.path: the data set '{name}'"
    try:
        yield from _stream_hub(config, name, split, where)
    except InputError:
        raise
    # The hub's client has no common error class: HTTP, connection, builder and Parquet errors all come as they are.
    except Exception as error:
        sentence = " ".join(str(error).split())[:300]
        if "gated" in sentence.lower():
            raise InputError(
                f"{where} is gated; accept its terms at https://huggingface.co/datasets/{name} and log in with "
                f"'hf auth login', then run again"
            ) from error
        raise InputError(f"{where}, split '{split}', cannot be read from the hub: {sentence}") from error


def _stream_hub(config: SourceConfig, name: str, split: str, where: str) -> Iterator[dict[str, Any]]:
    # Heavy imports, and only this kind of source needs them.
    import datasets
    import fsspec

    builder = datasets.load_dataset_builder(name, config.hub_config, revision=config.revision)
    files = (builder.config.data_files or {}).get(split, [])
    if files and all(str(file).endswith(".parquet") for file in files):
        # The library casts every shard to the columns of the first one and fails on a shard with one more; so the
        # files are read here, and only the columns that are needed travel.
        for file in files:
            with fsspec.open(str(file), "rb") as opened:
                yield from stream_parquet(opened, str(file), REQUIRED_COLUMNS[config.format], OPTIONAL_COLUMNS)
        return
    first = True
    for record in builder.as_streaming_dataset(split=split):
        if first:
            _check_columns(record, config, f"{where}, split '{split}'")
        first = False
        yield record
