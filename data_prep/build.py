"""The build: a source in, shards of translated rows and of rejects out, finished one by one and never done twice."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from tqdm import tqdm

from data_prep.card import write_card
from data_prep.config import BuildConfig, check_config
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
from data_prep.schema import Reject, Row, read_rows, reasoning_sha256, write_rejects, write_rows
from data_prep.shards import Shard, cut_shards
from data_prep.sources import count_records, read_source, source_files
from data_prep.translate import Document, take_apart, translate_documents
from data_prep.translators import Translator, open_translator
from launch.errors import InputError


def run_build(config: BuildConfig) -> dict[str, Any]:
    """Build, or go on with a build; returns its manifest.

    Rows are in ``data/``, dropped ones in ``rejects/``; both are the same bytes for the same recipe, source and
    completions, whether or not the build was interrupted. ``manifest.json`` is written last.

    Raises:
        InputError: something in the recipe cannot be used, or the source yields no rows.
    """
    check_config(config)
    folder = Path(config.output_dir)
    contents = _contents(config)
    if check_folder(config, contents):
        return read_manifest(folder)
    items = read_source(config.source)
    first = next(items, None)  # a source that cannot be read says so before anything is written
    if first is None:
        raise InputError(f"the source {config.source.path or config.source.kind} yields no rows")
    translator = _open_translator(config)
    started = time.monotonic()
    try:
        start(config, contents)
        total = count_records(config.source)
        languages = len({config.source.language, *config.target_languages})
        with tqdm(total=total and total * languages, desc="build", unit="row") as bar:
            for shard in cut_shards(chain([first], items), config):
                _build_shard(shard, config, translator, bar)
        manifest = make_manifest(config)
        write_card(folder, manifest, config)
        write_json(folder / MANIFEST, manifest)
        return manifest
    finally:
        translator.close()
        _note_run(folder, time.monotonic() - started)


def _open_translator(config: BuildConfig) -> Translator:
    def source_memory() -> Any:
        wanted = set(config.target_languages)
        return (entry for entry in memory_entries(config.source.sample) if entry.target_language in wanted)

    memory = source_memory if config.source.kind == "sample" else None
    return open_translator(config.translator, Path(config.output_dir) / "completions", memory)


def _contents(config: BuildConfig) -> dict[str, str]:
    """What tells one version of the input files from another: the hash of memories, the size of source files."""
    versions = {str(file): f"{file.stat().st_size} bytes" for file in source_files(config.source)}
    if config.translator.kind == "memory":
        for path in config.translator.memory:
            try:
                with open(path, "rb") as file:
                    versions[path] = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise InputError(f"translator.memory: {path} cannot be read: {error.strerror}") from error
    return versions


def _build_shard(shard: Shard, config: BuildConfig, translator: Translator, bar: tqdm[Any]) -> None:
    folder = Path(config.output_dir)
    languages = dict.fromkeys([*(item.language for item in shard.items), *config.target_languages])
    documents: dict[int, Document] | None = None
    for language in languages:
        record = record_path(folder, shard.split, language, shard.index)
        if not is_done(folder, record):
            if documents is None:
                documents = {
                    position: take_apart(item) for position, item in enumerate(shard.items) if isinstance(item, Row)
                }
            write_json(record, _build_language(shard, language, documents, config, translator))
        bar.update(len(shard.items))


def _build_language(
    shard: Shard, language: str, documents: dict[int, Document], config: BuildConfig, translator: Translator
) -> dict[str, Any]:
    """Make and write what a shard has in one language; returns the record of it."""
    started = time.monotonic()
    usage: Counter[str] = Counter()
    results = _results(shard, language, documents, config, translator, usage)
    counts: Counts = {}
    for position, result in results.items():
        count(counts, language, result, shard.items[position])
    rows = [result for result in results.values() if isinstance(result, Row)]
    if not config.keep_source:
        rows = [row for row in rows if row.language != row.provenance["source_language"]]
    rejects = [result for result in results.values() if isinstance(result, Reject)]
    files = []
    name = f"{shard.split}.{language}-{shard.index:05d}.parquet"
    folder = Path(config.output_dir)
    for kind in ("data", "rejects"):
        path = folder / kind / name
        number = write_rows(path, rows) if kind == "data" and rows else 0
        number = write_rejects(path, rejects) if kind == "rejects" and rejects else number
        if number:
            files.append(file_record(folder, path, number))
        else:
            path.unlink(missing_ok=True)
    if rows:
        _check_chains(folder / "data" / name)
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


def _results(
    shard: Shard,
    language: str,
    documents: dict[int, Document],
    config: BuildConfig,
    translator: Translator,
    usage: Counter[str],
) -> dict[int, Row | Reject]:
    """A row or a reject in this language, by the position of the source row, in its order."""
    results: dict[int, Row | Reject] = {
        position: item for position, item in enumerate(shard.items) if item.language == language
    }
    if language in config.target_languages:
        others = [position for position, document in documents.items() if document.row.language != language]
        translated = translate_documents(
            [documents[position] for position in others], translator, language, usage, config.gates
        )
        results.update(zip(others, translated, strict=True))
    return dict(sorted(results.items()))


def _check_chains(path: Path) -> None:
    """Read a file back and compare the hash of its chains with the one taken when the source was read."""
    for row in read_rows(path):
        if reasoning_sha256(row.messages) != row.provenance["reasoning_sha256"]:
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
