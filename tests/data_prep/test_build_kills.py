"""A build killed at random moments ends in the same bytes, and asks its model again only for what was under way.

``pytest tests/data_prep/test_build_kills.py --kills 20 --kill-seed 1`` kills more often, at other moments.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from data_prep.__main__ import main
from data_prep.schema import read_rejects
from launch.engines import EngineConfig
from launch.engines.store import CompletionStore

# Every build is a process of its own, which does not have to import everything again.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["data_prep.build", "data_prep.llm", "launch.engines.openai_server", "rensa"])
CONCURRENCY = 8
ROWS = 120
WORDS = {
    "fr": ("Combien de pommes y a-t-il dans le panier numéro {} ?", "Il y a {} pommes dans le panier."),
    "de": ("Wie viele Äpfel sind in dem Korb mit der Nummer {}?", "In dem Korb sind {} Äpfel."),
}


def write_source(path: Path) -> Path:
    """Rows of which some repeat one, some have no answer, and three are no JSON."""
    lines = []
    for index in range(ROWS):
        number = index - 1 if index % 10 == 9 else index
        turns = [{"role": "user", "content": f"How many apples are there in the basket with the number {number}?"}]
        if index % 17 != 16:
            answer = f"<think>\nLet me count to {index}.\n</think>\n\nThere are {index} apples in the basket."
            turns.append({"role": "assistant", "content": answer})
        lines.append("{" if index % 50 == 40 else json.dumps({"uuid": f"row-{index}", "messages": turns}))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


class Model:
    """Translates after a moment. Some numbers get no brackets, at first or ever, and some become other numbers."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, turns: list[dict[str, Any]]) -> str:
        self.asked.append(json.dumps(turns))
        time.sleep(0.03)
        return _translation(turns)


def _translation(turns: list[dict[str, Any]]) -> str:
    text = turns[-1]["content"]
    number = int("".join(filter(str.isdigit, text)))
    question, answer = WORDS["fr" if "into French" in turns[0]["content"] else "de"]
    translation = (question if "How many" in text else answer).format(number + (number % 13 == 6))
    insisted = "An earlier answer" in turns[0]["content"]
    return translation if number % 11 == 5 or (number % 7 == 3 and not insisted) else f"〘{translation}〙"


Serving = Callable[[Model], AbstractContextManager[EngineConfig]]


class Killing:
    """Starts a build, kills it, and keeps account of what the model was asked for."""

    def __init__(self, folder: Path, source: Path, serving: Serving) -> None:
        self.folder, self._serving = folder, serving
        self._argv = ["build", "--output_dir", str(folder), "--shard_rows", "12"]
        self._argv += ["--source.kind", "jsonl", "--source.path", str(source), "--target_languages", "[fr,de]"]
        self._argv += ["--dedup.kind", "near", "--validation_share", "0.2"]
        self._argv += ["--translator.kind", "engine", "--translator.attempts", "2"]
        self._argv += ["--translator.engine.kind", "openai_server", "--translator.engine.model", "translator"]
        self._argv += ["--translator.engine.max_retries", "0"]
        self._argv += ["--translator.engine.concurrency", str(CONCURRENCY)]
        # The requests of each run, and how many of their completions came into the store.
        self.runs: list[tuple[list[str], int]] = []

    def run(self, kill_after: float | None = None) -> float:
        """Build; killed so many seconds after it has begun to write. Returns the seconds from there to its end."""
        stored, before, model = self._stored(), self._begun(), Model()
        # A server for this run alone: what it reads late is not taken for a request of the next run.
        with self._serving(model) as engine:
            argv = [*self._argv, "--translator.engine.base_url", str(engine.base_url)]
            build = PROCESSES.Process(target=main, args=(argv,))
            build.start()
            while build.is_alive() and self._begun() == before:
                time.sleep(0.005)
            started = time.monotonic()
            build.join(kill_after)
            build.kill()
            build.join()
            seconds = time.monotonic() - started
        assert build.exitcode in (0, -signal.SIGKILL)
        self.runs.append((model.asked, self._stored() - stored))
        return seconds

    @property
    def finished(self) -> bool:
        return (self.folder / "manifest.json").exists()

    def _begun(self) -> int:
        """Another number for every run that has come as far as to write its recipe."""
        recipe = self.folder / "progress" / "recipe.json"
        return recipe.stat().st_ino if recipe.exists() else 0

    def _stored(self) -> int:
        with CompletionStore(self.folder / "completions") as store:
            return len(store)

    def check_requests(self) -> None:
        """What was stored when a run ended was never asked for again; the rest was under way at its end, and is."""
        keys = [hashlib.sha256(request.encode()).hexdigest() for requests, _ in self.runs for request in requests]
        assert len(set(keys)) == self._stored(), "each of them is in the store, and once"
        for position, (requests, stored) in enumerate(self.runs):
            later = {request for others, _ in self.runs[position + 1 :] for request in others}
            assert len(set(requests)) == len(requests)
            assert len(later & set(requests)) == len(requests) - stored <= CONCURRENCY


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for part in ("data", "rejects")
        for path in (folder / part).rglob("*")
        if path.is_file()
    }


@pytest.mark.slow
def test_a_build_killed_at_random_moments_ends_in_the_same_bytes_and_asks_for_nothing_twice(
    tmp_path: Path, serving: Serving, request: pytest.FixtureRequest
) -> None:
    kills = request.config.getoption("--kills", 5)
    draw = random.Random(request.config.getoption("--kill-seed", 0))
    source = write_source(tmp_path / "rows.jsonl")
    whole = Killing(tmp_path / "whole", source, serving)
    seconds = whole.run()
    whole.check_requests()

    # A build that comes to its end before the moments are used up gives way to another one.
    laps = [Killing(tmp_path / "killed-0", source, serving)]
    moments: list[float] = []
    while len(moments) < kills:
        if laps[-1].finished:
            laps.append(Killing(tmp_path / f"killed-{len(laps)}", source, serving))
        moment = draw.uniform(0, 0.75 * seconds)
        if laps[-1].run(kill_after=moment) >= moment and not laps[-1].finished:
            moments.append(moment)
    for lap in laps:
        if not lap.finished:
            lap.run()

    expected = contents(tmp_path / "whole")
    assert len(expected) > 40, "many files, between any two of which a kill may fall"
    reasons = Counter(reject.reason for reject in read_rejects(tmp_path / "whole"))
    assert {"duplicate", "no_assistant_turn", "invalid_json", "brackets", "number"} <= set(reasons)
    for lap in laps:
        assert contents(lap.folder) == expected
        lap.check_requests()
    print(f"{len(moments)} kills over {len(laps)} builds; asked in vain:",
          [len(asked) - stored for lap in laps for asked, stored in lap.runs])  # fmt: skip
