"""The row that walks through the house, and how it is read from and written to Parquet.

In memory a :class:`Row`; on disk seven columns, the messages as a list of structs in the OpenAI/HF chat form with the
assistant's chain in ``reasoning_content``, apart from ``content``. What is dropped on the way is a :class:`Reject`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TypedDict

import pyarrow as pa
import pyarrow.parquet as pq

from launch.errors import InputError


class Message(TypedDict):
    """One turn. ``reasoning_content`` is None for every role but the assistant, and where there is no chain."""

    role: str
    content: str
    reasoning_content: str | None


@dataclass(frozen=True)
class Row:
    """One training or test example in one language.

    Args:
        id: unique in a build: the source row's id and the language, ``<source_id>.<language>``.
        language: ISO 639-1 code of prompt and answer (the chain is English).
        category: ``math``, ``code``, ``chat``, … as the source names it.
        messages: the conversation.
        source: where the row came from (data set name or file).
        license: SPDX-like name, carried through from the source row.
        provenance: everything else worth keeping, flat, JSON-able: ``source_id``, ``split`` (train, validation, test,
            held_out …), ``source_language``, ``reasoning_sha256``, ``translator``, ``gold`` (the checkable answer, a
            string), ``template`` (sample only) …; on disk one JSON text column.
    """

    id: str
    language: str
    category: str
    messages: tuple[Message, ...]
    source: str
    license: str
    provenance: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reject:
    """A row that was dropped, with everything needed to see why.

    Args:
        id: the id that the row would have had.
        language: the language that it would have had; the source's where the record could not be read at all.
        reason: the first thing that was wrong, a short name; it is what the exclusion table counts.
        detail: the same as a sentence.
        reasons: all names of what was wrong, ``reason`` first.
        segment: the source text of the part that failed.
        outputs: every raw output of the translator for that part, in the order of the attempts.
        messages: the source conversation.
        translation: what there was of the translated conversation; parts that failed are as the translator left them.
        record: the source record as JSON where it could not be read as a conversation.
    """

    id: str
    language: str
    category: str
    split: str
    reason: str
    detail: str
    reasons: tuple[str, ...] = ()
    segment: str = ""
    outputs: tuple[str, ...] = ()
    messages: tuple[Message, ...] = ()
    translation: tuple[Message, ...] = ()
    record: str = ""
    source: str = ""
    license: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)


MESSAGE_TYPE = pa.struct([("role", pa.string()), ("content", pa.string()), ("reasoning_content", pa.string())])
ARROW_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("language", pa.string()),
        ("category", pa.string()),
        ("messages", pa.list_(MESSAGE_TYPE)),
        ("source", pa.string()),
        ("license", pa.string()),
        ("provenance", pa.string()),
    ]
)
REJECT_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("language", pa.string()),
        ("category", pa.string()),
        ("split", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("reasons", pa.list_(pa.string())),
        ("segment", pa.string()),
        ("outputs", pa.list_(pa.string())),
        ("messages", pa.list_(MESSAGE_TYPE)),
        ("translation", pa.list_(MESSAGE_TYPE)),
        ("record", pa.string()),
        ("source", pa.string()),
        ("license", pa.string()),
        ("provenance", pa.string()),
    ]
)
# Row groups of a fixed size: the same rows give the same bytes, however they arrived.
ROW_GROUP_ROWS = 4096
PROGRESS_FOLDER = "progress"
_SHARD_NAME = re.compile(r"(?P<split>[A-Za-z0-9_]+)\.(?P<language>[a-z]{2,3})-\d{5}\.parquet")


def reasoning_sha256(messages: tuple[Message, ...] | list[Message]) -> str:
    """SHA-256 (hex) over every chain of the conversation, in order; absent chains count, so none can move."""
    digest = hashlib.sha256()
    for message in messages:
        chain = message.get("reasoning_content")
        digest.update(b"\x00" if chain is None else b"\x01" + chain.encode("utf-8", "surrogatepass") + b"\x02")
    return digest.hexdigest()


def make_message(role: str, content: str, reasoning_content: str | None = None) -> Message:
    """A message with all three keys."""
    return {"role": role, "content": content, "reasoning_content": reasoning_content}


def storable(text: str) -> str:
    """The text with lone surrogates written as escapes: model output may hold them, UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def write_rows(path: str | Path, rows: Iterable[Row]) -> int:
    """Write rows to one Parquet file, which appears under its name only when it is whole; returns their number."""
    return _write(Path(path), rows, ARROW_SCHEMA)


def write_rejects(path: str | Path, rejects: Iterable[Reject]) -> int:
    """Write rejected rows to one Parquet file, as :func:`write_rows` does."""
    return _write(Path(path), rejects, REJECT_SCHEMA)


def read_rows(
    path: str | Path,
    *,
    split: str | Collection[str] | None = None,
    language: str | Collection[str] | None = None,
    category: str | Collection[str] | None = None,
) -> Iterator[Row]:
    """Stream the rows of a build folder (its ``data/*.parquet``), of a folder of Parquet files, or of one file.

    ``split``, ``language`` and ``category`` keep only rows with that value, or one of those values.

    Raises:
        InputError: nothing there, an unfinished build, a file that is no Parquet file or lacks a column.
    """
    wanted = {"split": _values(split), "language": _values(language), "category": _values(category)}
    for file in _row_files(Path(path), "data"):
        name = _SHARD_NAME.fullmatch(file.name)
        if name and any(wanted[key] is not None and name[key] not in wanted[key] for key in ("split", "language")):  # type: ignore[operator]
            continue
        for record in read_records(file, ARROW_SCHEMA.names):
            if any(wanted[key] is not None and record[key] not in wanted[key] for key in ("language", "category")):  # type: ignore[operator]
                continue
            row = row_from_record(record)
            if wanted["split"] is None or row.provenance.get("split") in wanted["split"]:
                yield row


def read_rejects(path: str | Path) -> Iterator[Reject]:
    """Stream the rejected rows of a build folder, or of one file of them."""
    for file in _row_files(Path(path), "rejects"):
        for record in read_records(file, REJECT_SCHEMA.names):
            values: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value for key, value in record.items()
            }
            yield Reject(**{**values, "provenance": json.loads(record["provenance"])})


def read_records(path: Path, columns: Collection[str], optional: Collection[str] = ()) -> Iterator[dict[str, Any]]:
    """Stream the records of a Parquet file as dictionaries of these columns, and of the optional ones that it has.

    Raises:
        InputError: the file cannot be read, or lacks one of ``columns``.
    """
    try:
        with path.open("rb") as file:
            yield from stream_parquet(file, str(path), columns, optional)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from error


def stream_parquet(
    file: BinaryIO, name: str, columns: Collection[str], optional: Collection[str] = ()
) -> Iterator[dict[str, Any]]:
    """What :func:`read_records` does, for an open file, local or remote; errors of reading come as they are."""
    with pq.ParquetFile(file) as parquet:
        present = parquet.schema_arrow.names
        missing = [column for column in columns if column not in present]
        if missing:
            raise InputError(f"{name} lacks the column '{missing[0]}'; it has: {', '.join(present) or 'none'}")
        wanted = [*columns, *(column for column in optional if column in present)]
        for batch in parquet.iter_batches(batch_size=1024, columns=wanted):
            yield from batch.to_pylist()


def _values(wanted: str | Collection[str] | None) -> frozenset[str] | None:
    if wanted is None:
        return None
    return frozenset([wanted] if isinstance(wanted, str) else wanted)


def row_from_record(record: dict[str, Any]) -> Row:
    """The row behind a record of a built Parquet file."""
    record["provenance"] = json.loads(record["provenance"])
    record["messages"] = tuple(record["messages"])
    return Row(**record)


def _row_files(path: Path, part: str) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"{path} does not exist; it should be a build folder or a Parquet file")
    build = (path / part).is_dir() or (path / PROGRESS_FOLDER).is_dir()
    if build and (path / PROGRESS_FOLDER).is_dir() and not (path / "manifest.json").is_file():
        raise InputError(f"the build in {path} is not finished (no manifest.json); run its build command again")
    files = sorted((path / part if build else path).glob("*.parquet"))
    if not files and not build:
        raise InputError(f"{path} holds no Parquet files and is no build folder")
    return files


def _provenance_text(provenance: dict[str, Any]) -> str:
    return storable(json.dumps(provenance, ensure_ascii=False, sort_keys=True))


def _write(path: Path, items: Iterable[Row] | Iterable[Reject], schema: pa.Schema) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    waiting: Iterator[Row | Reject] = iter(items)
    count = 0
    try:
        with pq.ParquetWriter(unfinished, schema, compression="zstd") as writer:
            while group := list(islice(waiting, ROW_GROUP_ROWS)):
                records = [{**vars(item), "provenance": _provenance_text(item.provenance)} for item in group]
                writer.write_table(pa.Table.from_pylist(records, schema=schema))
                count += len(group)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return count
