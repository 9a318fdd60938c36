"""Translation memories: pairs of segments from JSON Lines or TMX files, streamed, and the table made of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from lxml import etree

from launch.errors import InputError

_XML_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


class MemoryEntry(NamedTuple):
    """A segment and its translation, as a memory holds them; languages are ISO 639-1 codes."""

    source_language: str
    target_language: str
    source: str
    target: str


def read_memory(path: str | Path) -> Iterator[MemoryEntry]:
    """Stream the entries of a memory file: ``.tmx``, or JSON Lines with the four fields of :class:`MemoryEntry`.

    Of a TMX unit each pair of its source language and another one is an entry. Nothing outside the file is read.

    Raises:
        InputError: the file is not there, is empty, is not well formed, or an entry lacks a field.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"the translation memory {path} does not exist")
    entries = _read_tmx(path) if path.suffix.lower() == ".tmx" else _read_jsonl(path)
    empty = True
    for entry in entries:
        empty = False
        yield entry
    if empty:
        raise InputError(f"the translation memory {path} holds no entries")


def memory_table(entries: Iterable[MemoryEntry]) -> dict[tuple[str, str], dict[str, str]]:
    """Entries as ``{(source language, target language): {source: target}}``; the first translation wins."""
    table: dict[tuple[str, str], dict[str, str]] = {}
    for entry in entries:
        table.setdefault((entry.source_language, entry.target_language), {}).setdefault(
            entry.source.strip(), entry.target.strip()
        )
    return table


def _read_jsonl(path: Path) -> Iterator[MemoryEntry]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{path}, line {number}: this is not JSON") from error
            for key in MemoryEntry._fields:
                if not isinstance(record, dict) or not isinstance(record.get(key), str):
                    raise InputError(f"{path}, line {number}: an entry needs the text field '{key}'")
            yield MemoryEntry(*(record[key] for key in MemoryEntry._fields))


def _read_tmx(path: Path) -> Iterator[MemoryEntry]:
    # Entities are not resolved and nothing is fetched: a memory is data from outside.
    units = etree.iterparse(
        str(path), events=("end",), tag=("tu", "header"), resolve_entities=False, no_network=True, load_dtd=False
    )
    default_source = ""
    try:
        for _, element in units:
            if element.tag == "header":
                default_source = _code(element.get("srclang", ""))
            else:
                yield from _pairs(element, default_source)
            element.clear()
            while element.getprevious() is not None:
                del element.getparent()[0]
    except (etree.XMLSyntaxError, OSError) as error:
        raise InputError(f"the translation memory {path} is not well-formed TMX: {error}") from error


def _pairs(unit: etree._Element, default_source: str) -> Iterator[MemoryEntry]:
    texts: dict[str, str] = {}
    for variant in unit.iterfind("tuv"):
        language = _code(variant.get(_XML_LANGUAGE) or variant.get("lang") or "")
        segment = variant.find("seg")
        if language and segment is not None:
            # Inline marks (<ph>, <bpt> …) hold the codes of a layout; the text around them is the segment.
            texts.setdefault(language, _text(segment))
    source_language = _code(unit.get("srclang", "")) or default_source
    sources = [source_language] if source_language in texts else list(texts)
    for source in sources:
        for target in texts:
            if target != source:
                yield MemoryEntry(source, target, texts[source], texts[target])


def _text(segment: etree._Element) -> str:
    parts = [segment.text or ""]
    for child in segment:
        if child.tag == "hi":
            parts.append(_text(child))
        parts.append(child.tail or "")
    return "".join(parts)


def _code(tag: str) -> str:
    """``en-US`` → ``en``; ``*all*``, which names no language, → empty."""
    code = tag.replace("_", "-").split("-")[0].lower()
    return code if code.isalpha() else ""
