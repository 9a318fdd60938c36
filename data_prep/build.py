"""The build: a source in, shards of translated rows and of rejects out, finished one by one and never done twice."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from tqdm import tqdm

from data_prep.card import write_card
from data_prep.chains import chains_are_right, chains_as_turns, drop_chains, turns_as_chains
from data_prep.config import BuildConfig, check_config
from data_prep.decontamination import Decontamination, open_decontamination
from data_prep.exclusions import Counts, count, counts_to_json
from data_prep.manifest import (
    MANIFEST,
    check_folder,
    file_record,
    is_done,
    make_manifest,
    read_manifest,
    read_records,
    record_path,
    start,
    write_json,
)
from data_prep.sample import memory_entries
from data_prep.schema import Reject, Row, write_rejects, write_rows
from data_prep.shards import Shard, cut_shards
from data_prep.sources import count_records, read_source, source_files
from data_prep.translate import Document, take_apart, translate_documents
from data_prep.translators import Translator, open_translator
from launch.errors import InputError


@dataclass(frozen=True)
class _Build:
    """A build under way: its recipe and what was opened for it."""

    config: BuildConfig
    translator: Translator
    decontamination: Decontamination | None

    @property
    def folder(self) -> Path:
        return Path(self.config.output_dir)


@dataclass(frozen=True)
class _Work:
    """A shard as the translator gets it: its rows and rejects, and the rows taken apart, by their position."""

    items: list[Row | Reject]
    documents: dict[int, Document]


def run_build(
    config: BuildConfig, rows: Iterable[Row | Reject] | None = None, completions: Path | None = None
) -> dict[str, Any]:
    """Build, or go on with a build; returns its manifest.

    Rows are in ``data/``, dropped ones in ``rejects/``; both are the same bytes for the same recipe, source and
    completions, whether or not the build was interrupted. ``manifest.json`` is written last.

    Args:
        config: the recipe.
        rows: what to build from, instead of all that the source yields.
        completions: folder of the completion store; one in the output folder when it is left out.

    Raises:
        InputError: something in the recipe cannot be used, or the source yields no rows.
    """
    check_config(config)
    folder = Path(config.output_dir)
    contents = _contents(config)
    if check_folder(config, contents):
        return read_manifest(folder)
    items = iter(read_source(config.source) if rows is None else rows)
    first = next(items, None)  # a source that cannot be read says so before anything is written
    if first is None:
        raise InputError(f"the source {config.source.path or config.source.kind} yields no rows")
    decontamination = open_decontamination(config.decontamination)
    build = _Build(config, _open_translator(config, completions or folder / "completions"), decontamination)
    started = time.monotonic()
    try:
        start(config, contents)
        total = count_records(config.source) if rows is None else None
        languages = len({config.source.language, *config.target_languages})
        with tqdm(total=total and total * languages, desc="build", unit="row") as bar:
            for shard in cut_shards(chain([first], items), config):
                _build_shard(shard, build, bar)
        manifest = make_manifest(config)
        write_card(folder, manifest, config)
        write_json(folder / MANIFEST, manifest)
        return manifest
    finally:
        build.translator.close()
        _note_run(folder, time.monotonic() - started)


def _open_translator(config: BuildConfig, completions: Path) -> Translator:
    def source_memory() -> Any:
        wanted = set(config.target_languages)
        return (entry for entry in memory_entries(config.source.sample) if entry.target_language in wanted)

    memory = source_memory if config.source.kind == "sample" else None
    return open_translator(config.translator, completions, memory)


def _contents(config: BuildConfig) -> dict[str, str]:
    """What tells one version of the input files from another: the size of source files, the hash of the others."""
    versions = {str(file): f"{file.stat().st_size} bytes" for file in source_files(config.source)}
    if config.translator.kind == "memory":
        versions |= {path: _sha256(path, "translator.memory") for path in config.translator.memory}
    if config.decontamination.prompts is not None:
        prompts = config.decontamination.prompts
        versions[prompts] = _sha256(prompts, "decontamination.prompts")
    return versions


def _sha256(path: str, key: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{key}: {path} cannot be read: {error.strerror}") from error


def _build_shard(shard: Shard, build: _Build, bar: tqdm[Any]) -> None:
    languages = dict.fromkeys([*(item.language for item in shard.items), *build.config.target_languages])
    work: _Work | None = None
    for language in languages:
        record = record_path(build.folder, shard.split, language, shard.index)
        if not is_done(build.folder, record):
            if work is None:
                work = _prepare(shard, build)
            write_json(record, _build_language(shard, language, work, build))
        bar.update(len(shard.items))


def _prepare(shard: Shard, build: _Build) -> _Work:
    """Leave out what holds an evaluation prompt, see to the chains, and take the rows apart."""
    items = shard.items if build.decontamination is None else build.decontamination.screen(shard.items)
    mode = build.config.chain
    if mode == "drop":
        items = [drop_chains(item) if isinstance(item, Row) else item for item in items]
    rows = {position: item for position, item in enumerate(items) if isinstance(item, Row)}
    return _Work(
        items,
        {position: take_apart(chains_as_turns(row) if mode == "translate" else row) for position, row in rows.items()},
    )


def _build_language(shard: Shard, language: str, work: _Work, build: _Build) -> dict[str, Any]:
    """Make and write what a shard has in one language; returns the record of it."""
    started = time.monotonic()
    usage: Counter[str] = Counter()
    results = _results(work, language, build, usage)
    counts: Counts = {}
    for position, result in results.items():
        count(counts, language, result, work.items[position])
    rows = [result for result in results.values() if isinstance(result, Row)]
    if not build.config.keep_source:
        rows = [row for row in rows if row.language != row.provenance["source_language"]]
    rejects = [result for result in results.values() if isinstance(result, Reject)]
    files = []
    name = f"{shard.split}.{language}-{shard.index:05d}.parquet"
    folder = build.folder
    for kind in ("data", "rejects"):
        path = folder / kind / name
        number = write_rows(path, rows) if kind == "data" and rows else 0
        number = write_rejects(path, rejects) if kind == "rejects" and rejects else number
        if number:
            files.append(file_record(folder, path, number))
        else:
            path.unlink(missing_ok=True)
    if rows:
        _check_chains(folder / "data" / name, rows)
    return {
        "split": shard.split,
        "language": language,
        "index": shard.index,
        "counts": counts_to_json(counts),
        "files": files,
        "licenses": Counter(row.license for row in rows),
        "sources": Counter(row.source for row in rows),
        "usage": usage,
        "seconds": round(time.monotonic() - started, 3),
    }


def _results(work: _Work, language: str, build: _Build, usage: Counter[str]) -> dict[int, Row | Reject]:
    """A row or a reject in this language, by the position of the source row, in its order."""
    config = build.config
    results: dict[int, Row | Reject] = {
        position: item for position, item in enumerate(work.items) if item.language == language
    }
    if language in config.target_languages:
        others = [position for position, document in work.documents.items() if document.row.language != language]
        translated = translate_documents(
            [work.documents[position] for position in others], build.translator, language, usage, config.gates
        )
        for position, item in zip(others, translated, strict=True):
            results[position] = _finished(item, work.items[position], build)
    return dict(sorted(results.items()))


def _finished(item: Row | Reject, source: Row | Reject, build: _Build) -> Row | Reject:
    """A translated row with its chains in place, or a reject where an evaluation prompt stands in it."""
    if build.config.chain == "translate":
        item = turns_as_chains(item)
    if build.decontamination is not None:
        item = build.decontamination.screen_translation(item, source.messages)
    return item


def _check_chains(path: Path, rows: Sequence[Row]) -> None:
    """Read a file's chains back and see that they are the ones read from the source, or what became of them."""
    with pq.ParquetFile(path) as file:
        column = file.read(["messages.list.element.reasoning_content"])["messages"].combine_chunks()
    chains, offsets = column.flatten().to_pylist(), column.offsets.to_pylist()
    for row, (first, end) in zip(rows, pairwise(offsets), strict=True):
        if not chains_are_right(replace(row, messages=tuple(chains[first:end]))):
            path.unlink()
            raise RuntimeError(f"the chain of row {row.id} is not the one that was read; {path} was removed")


def _note_run(folder: Path, seconds: float) -> None:
    """Write ``run.json``: how long it took and what it cost, apart from everything that has to be reproducible."""
    if not (folder / "progress").is_dir():
        return
    languages: dict[str, Counter[str]] = {}
    for record in read_records(folder):
        usage = languages.setdefault(record["language"], Counter())
        usage.update({**record["usage"], "seconds": record["seconds"]})
    ended = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(folder / "run.json", {"ended": ended, "seconds_of_last_run": round(seconds, 1), "languages": languages})
