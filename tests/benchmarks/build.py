"""What a build costs: beside the sum of its parts, and in memory and time for very many rows.

``python tests/benchmarks/build.py parts`` builds the built-in sample with its translation memory and times reading,
splitting, gates, joining and writing alone, on the same rows in the same process, again and again in turn.

``python tests/benchmarks/build.py rows --rows 1000000`` builds so many short rows, each different, in a process of its
own; sed is the translator, so that there is one and it costs little. It prints the process's memory on the way.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow.parquet as pq
from scipy import stats

from data_prep.build import run_build
from data_prep.config import BuildConfig
from data_prep.documents import Document, join_parts, take_apart
from data_prep.gates import check
from data_prep.lid import identify
from data_prep.sample import SampleConfig, memory_entries, sample_rows
from data_prep.schema import Row, make_message
from data_prep.schema import write_rows as save_rows
from data_prep.sides import _cached_side
from data_prep.sources import SourceConfig, read_source
from data_prep.translators import Attempt, MemoryTranslator, Translator, Unit

_ROOT = Path(__file__).parents[2]
_NAMES = ("Anna", "Ben", "Carla", "David", "Emma", "Felix", "Greta", "Hugo")
_THINGS = {
    "apples": "pommes", "books": "livres", "pens": "stylos", "stamps": "timbres", "flowers": "fleurs",
    "tickets": "billets", "chairs": "chaises", "letters": "lettres",
}  # fmt: skip
# In this order: what is longer comes first.
_PHRASES = {
    " now has ": " a maintenant ",
    " has ": " a ",
    " and buys ": " et en achète ",
    r" more\. How many ": " de plus à la gare. Combien de ",
    r" does \([A-Z][a-z]*\) have now?": r" est-ce que \1 a maintenant ?",
    r" in all\.": " en tout dans la maison.",
}


def write_rows(path: Path, number: int) -> None:
    """So many short problems, all different but for one in a hundred, a copy; one in two hundred has no answer."""
    things = list(_THINGS)
    with path.open("w", encoding="utf-8") as file:
        for position in range(number):
            rest = position - 1 if position % 100 == 99 else position
            rest, name = divmod(rest, len(_NAMES))
            rest, thing = divmod(rest, len(things))
            first, second = 2 + rest % 997, 2 + rest // 997
            prompt = f"{_NAMES[name]} has {first} {things[thing]} and buys {second} more. How many {things[thing]} "
            turns = [{"role": "user", "content": f"{prompt}does {_NAMES[name]} have now?"}]
            if position % 200 != 50:
                answer = f"{_NAMES[name]} now has {first + second} {things[thing]} in all."
                chain = f"<think>\n{first} + {second} = {first + second}\n</think>\n\n"
                turns.append({"role": "assistant", "content": chain + answer})
            file.write(json.dumps({"uuid": f"row-{position}", "category": "math", "messages": turns}) + "\n")


def build_many(number: int, dedup: str, folder: Path) -> None:
    """Build, and print memory and time on the way and at the end."""
    source, output = folder / "rows.jsonl", folder / "build"
    write_rows(source, number)
    shutil.rmtree(output, ignore_errors=True)
    script = ";".join(f"s/{before}/{after}/g" for before, after in {**_PHRASES, **_THINGS}.items())
    argv = [sys.executable, "-m", "data_prep", "build", "--output_dir", str(output), "--dedup.kind", dedup]
    argv += ["--source.kind", "jsonl", "--source.path", str(source), "--target_languages", "[fr]"]
    argv += ["--translator.kind", "command", "--translator.command", json.dumps(["sed", script])]
    started = time.monotonic()
    build = subprocess.Popen(argv, cwd=_ROOT, stderr=subprocess.DEVNULL)
    ended = threading.Event()
    watch = threading.Thread(target=_watch, args=(build.pid, output, started, ended), daemon=True)
    watch.start()
    _, status, usage = os.wait4(build.pid, 0)
    ended.set()
    watch.join()
    seconds, processor = time.monotonic() - started, usage.ru_utime + usage.ru_stime
    print(
        f"{number:,} rows, dedup {dedup}: exit {os.waitstatus_to_exitcode(status)}, {seconds:.0f} s, "
        f"{processor:.0f} s of processor time, {processor / number * 1e6:.0f} µs a row, "
        f"peak memory {usage.ru_maxrss / 2**10:.0f} MiB"
    )
    rows = Counter(pq.read_metadata(file).num_rows for file in output.glob("data/*.parquet"))
    print("files of data/ by their rows:", ", ".join(f"{files} × {size}" for size, files in sorted(rows.items())))
    manifest = json.loads((output / "manifest.json").read_text(encoding="utf-8"))
    print(f"{manifest['rows']:,} rows and {manifest['rejects']:,} rejects")
    for line in manifest["exclusion"]:
        print(line["language"], {reason: counts["rows"] for reason, counts in line["reasons"].items()})


def _watch(pid: int, output: Path, started: float, ended: threading.Event) -> None:
    while not ended.wait(30):
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            memory = {
                key: int(value.split()[0]) >> 10 for key, value in (line.split(":") for line in lines if "kB" in line)
            }
            done = len(list((output / "progress").glob("*-*.json")))
            print(
                f"{time.monotonic() - started:6.0f} s  {done:6} shards  {memory['VmRSS']:5} MiB now  "
                f"{memory['VmHWM']:5} MiB at most",
                flush=True,
            )


class _Timed:
    """A translator whose own processor time is known, so that it can be left out."""

    def __init__(self, translator: Translator) -> None:
        self._translator = translator
        self.name, self.attempts, self.seconds = translator.name, translator.attempts, 0.0

    def translate(
        self, units: Sequence[Unit], source_language: str, target_language: str, attempt: int
    ) -> Sequence[Attempt]:
        started = time.process_time()
        attempts = self._translator.translate(units, source_language, target_language, attempt)
        self.seconds += time.process_time() - started
        return attempts

    def close(self) -> None:
        self._translator.close()


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    _cached_side.cache_clear()  # neither the build nor a part profits from what was looked at before
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def time_build(config: BuildConfig, translator: Translator) -> float:
    """Seconds of a whole build without its translator."""
    shutil.rmtree(config.output_dir, ignore_errors=True)
    timed = _Timed(translator)
    with (
        mock.patch("data_prep.build.open_translator", return_value=timed),
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stderr(nowhere),
    ):
        seconds, _ = _timed(lambda: run_build(config))
    return seconds - timed.seconds


def time_parts(config: BuildConfig, translator: Translator, folder: Path) -> dict[str, float]:
    """Seconds of each part alone, one after the other, for the rows of that build; without its translator."""
    seconds: dict[str, float] = {}
    seconds["reading"], items = _timed(lambda: list(read_source(config.source)))
    rows = [item for item in items if isinstance(item, Row)]
    shards = [rows[start : start + config.shard_rows] for start in range(0, len(rows), config.shard_rows)]
    seconds["splitting"], taken = _timed(lambda: [[take_apart(row) for row in shard] for shard in shards])
    jobs = []
    for documents in taken:
        for language in config.target_languages:
            # A shard's equal lines are translated, and judged, once.
            units = list(dict.fromkeys(unit for document in documents for unit in document.units))
            texts = [attempt.text or "" for attempt in translator.translate(units, "en", language, 0)]
            jobs.append((documents, language, dict(zip(units, texts, strict=True))))
    seconds["gates"], _ = _timed(
        lambda: [check(unit.text, text, "en", language) for _, language, pairs in jobs for unit, text in pairs.items()]
    )
    turns = [
        ([part for part in turn if part.unit is not None], pairs)
        for documents, _, pairs in jobs
        for document in documents
        for turn in document.turns
    ]
    seconds["language of whole texts"], _ = _timed(
        lambda: [identify("\n".join(pairs[part.unit] for part in parts)) for parts, pairs in turns if parts]
    )
    seconds["joining"], joined = _timed(lambda: [_joined(*job) for job in jobs])
    files = [*shards, *joined]
    seconds["writing"], _ = _timed(lambda: [_written(folder, number, rows) for number, rows in enumerate(files)])
    return seconds


def _joined(documents: list[Document], language: str, pairs: dict[Unit, str]) -> list[Row]:
    rows = []
    for document in documents:
        texts = iter([pairs[unit] for unit in document.units])
        messages = tuple(
            make_message(message["role"], join_parts(turn, texts), message["reasoning_content"])
            for message, turn in zip(document.row.messages, document.turns, strict=True)
        )
        rows.append(replace(document.row, language=language, messages=messages))
    return rows


def _written(folder: Path, number: int, rows: list[Row]) -> str:
    path = folder / f"{number}.parquet"
    save_rows(path, rows)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def compare(repetitions: int, draws: int, folder: Path) -> None:
    """Build and parts in turn; the ratio of the two with the 95 % interval of its mean (Student's t)."""
    config = _sample_build(draws, folder)
    entries = (entry for entry in memory_entries(SampleConfig(train=draws)) if entry.target_language in ("fr", "de"))
    translator = MemoryTranslator(entries)
    ratios: list[float] = []
    for repetition in range(-1, repetitions):  # the first loads models and is not counted
        if repetition % 2:
            whole = time_build(config, translator)
            parts = time_parts(config, translator, folder / "parts")
        else:
            parts = time_parts(config, translator, folder / "parts")
            whole = time_build(config, translator)
        if repetition < 0:
            continue
        ratios.append(whole / sum(parts.values()))
        shown = "  ".join(f"{name} {seconds:.2f}" for name, seconds in parts.items())
        print(f"build {whole:.2f} s  parts {sum(parts.values()):.2f} s  ratio {ratios[-1]:.3f}  ({shown})", flush=True)
    spread = stats.t.ppf(0.975, len(ratios) - 1) * stats.sem(ratios)
    mean = statistics.mean(ratios)
    print(f"build without the translator / sum of its parts: {mean:.3f} [{mean - spread:.3f}, {mean + spread:.3f}]")


def _sample_build(draws: int, folder: Path) -> BuildConfig:
    path = folder / "sample.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for row in sample_rows(SampleConfig(train=draws)):
            file.write(json.dumps({"uuid": row.id, "category": row.category, "messages": row.messages}) + "\n")
    source = SourceConfig(kind="jsonl", path=str(path))
    return BuildConfig(output_dir=str(folder / "build"), source=source, target_languages=["fr", "de"])


def main() -> None:
    """Run one of the two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    parts = commands.add_parser("parts")
    parts.add_argument("--repetitions", type=int, default=9)
    parts.add_argument("--draws", type=int, default=250, help="rows of each template of the sample")
    rows = commands.add_parser("rows")
    rows.add_argument("--rows", type=int, default=1_000_000)
    rows.add_argument("--dedup", choices=["none", "exact", "near"], default="exact")
    parser.add_argument("--folder", type=Path, help="for what is read and written; a temporary one when left out")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = arguments.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        if arguments.command == "rows":
            build_many(arguments.rows, arguments.dedup, folder)
        else:
            compare(arguments.repetitions, arguments.draws, folder)


if __name__ == "__main__":
    main()
