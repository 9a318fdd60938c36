"""Clients of an OpenAI-compatible server side by side in one run: how much of the server's capacity each one reaches.

Every measurement is a fresh server and a fresh client, a process each; their order is shuffled within a repetition, so
that a slow quarter of an hour meets all of them. Prints a Markdown table; every measurement is in the JSON file.
"""

from __future__ import annotations

import json
import random
import re
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby, product
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import psutil
from slot_server import ANSWER
from tabulate import tabulate
from tqdm import tqdm

from launch.errors import InputError, exit_cleanly
from launch.files import write_whole
from launch.recipe import parse_recipe

HERE = Path(__file__).parent
_TIMEOUT = re.compile("time.?out|timed out|no answer within", re.IGNORECASE)
PACKAGES = {
    "ours": "aiohttp",
    "ours_default": "aiohttp",
    "openai": "openai",
    "curator": "nemo-curator",
    "aiohttp": "aiohttp",
}


@dataclass
class Benchmark:
    """What is compared, on which servers, how long.

    Args:
        output: the JSON file to write.
        clients: of ours, ours_default (it finds out by itself how many requests to have in flight), openai, curator,
            aiohttp.
        slots: how many requests the server answers at once, a server for each number.
        latency_s: how long it takes for each, in seconds; slots ÷ latency is its capacity. 0.2 s is a short answer (a
            translated line); 64, 128 and 200 slots, batch sizes of a model server, then give 320, 640 and 1,000
            requests a second.
        in_flight: how many requests a client has under way, as multiples of the slots. At 1 a slot is empty while its
            answer travels and the next request comes, so the client's own time counts in full; above 1 requests queue
            in the server and hide it.
        seconds: how long requests are sent; those under way are then waited for.
        repetitions: how often all is measured.
        seed: decides the order.
    """

    output: str = "runs/benchmarks/openai_server.json"
    clients: list[str] = field(default_factory=lambda: list(PACKAGES))
    slots: list[int] = field(default_factory=lambda: [64, 128, 200])
    latency_s: float = 0.2
    in_flight: list[float] = field(default_factory=lambda: [1.0])
    seconds: float = 12.0
    repetitions: int = 5
    seed: int = 0


@dataclass(frozen=True)
class Cell:
    """One place of the table."""

    slots: int
    in_flight: int
    client: str


def versions(clients: Sequence[str]) -> dict[str, str]:
    """The version of every client's package.

    Raises:
        InputError: there is no such client, or its package is not installed.
    """
    found = {"python": sys.version.split()[0], "uvloop": "none: the server runs on asyncio"}
    with suppress(PackageNotFoundError):
        found["uvloop"] = version("uvloop")
    for client in clients:
        if client not in PACKAGES:
            raise InputError(f"unknown client '{client}'; known: {', '.join(PACKAGES)}")
        try:
            found[PACKAGES[client]] = version(PACKAGES[client])
        except PackageNotFoundError as error:
            raise InputError(
                f"the client '{client}' needs the package {PACKAGES[client]}; see {HERE / 'README.md'}"
            ) from error
    return found


@contextmanager
def slot_server(slots: int, latency_s: float) -> Iterator[str]:
    """A server in a process of its own; its address."""
    command = [sys.executable, str(HERE / "slot_server.py"), str(slots), str(latency_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield f"http://127.0.0.1:{json.loads(server.stdout.readline())['port']}"
        finally:
            server.terminate()


def measure(cell: Cell, benchmark: Benchmark) -> dict[str, Any]:
    """One measurement: what the client and the server say, or ``failure``, why there is none."""
    capacity = cell.slots / benchmark.latency_s
    count = int(1.2 * capacity * benchmark.seconds) + cell.in_flight + 1000  # more prompts than there is time for
    started, others = time.perf_counter(), _cpu_of_others()
    with slot_server(cell.slots, benchmark.latency_s) as address:
        arguments = [cell.client, f"{address}/v1", cell.in_flight, benchmark.seconds, count]
        command = [sys.executable, str(HERE / "openai_clients.py"), *map(str, arguments)]
        client = subprocess.run(command, capture_output=True, text=True)  # it ends itself when it hangs
        with urlopen(f"{address}/stats", timeout=10) as response:
            server = json.load(response)
    if client.returncode != 0:
        return {"failure": f"exit status {client.returncode}: {client.stderr[-2000:]}"}
    measured = json.loads(client.stdout)
    answered = measured["outcome"].pop(ANSWER, 0)
    if measured["stored"] not in (None, answered):
        return {"failure": f"{measured['stored']} completions in the store instead of {answered}"}
    asked = answered + sum(measured["outcome"].values())
    return {
        "utilisation": answered / measured["wall_s"] / capacity,
        "client_cpu_ms": 1000 * measured["cpu_s"] / max(answered, 1),
        "answered": answered,
        "errors": measured.pop("outcome"),
        "sent_again": server["served"] + server["abandoned"] - asked - 1,  # 1: before the clock started
        **measured,
        "server": server,
        "server_cores": server["cpu_s"] / measured["wall_s"],
        "other_cores": (_cpu_of_others() - others) / (time.perf_counter() - started),
    }


def _cpu_of_others() -> float:
    """Seconds of CPU that this machine spent, without what this program's finished processes took."""
    times, ours = psutil.cpu_times(), resource.getrusage(resource.RUSAGE_CHILDREN)
    idle = times.idle + getattr(times, "iowait", 0.0)
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # these are in user and nice already
    return float(sum(times) - idle - guests - ours.ru_utime - ours.ru_stime)


def table(runs: Sequence[dict[str, Any]], latency_s: float) -> str:
    """Mean (min–max) over the repetitions, as Markdown."""
    rows = []
    for _, group in groupby(sorted(runs, key=_place), key=_place):
        cell = list(group)
        whole = [run for run in cell if "failure" not in run]
        errors = sum((Counter(run["errors"]) for run in whole), Counter[str]())
        rows.append(
            {
                "capacity /s": f"{cell[0]['slots'] / latency_s:,.0f}",
                "slots": cell[0]["slots"],
                "in flight": "its choice" if cell[0]["client"] == "ours_default" else cell[0]["in_flight"],
                "client": cell[0]["client"],
                "utilisation %": _spread([100 * run["utilisation"] for run in whole], ".1f"),
                "client CPU ms/request": _spread([run["client_cpu_ms"] for run in whole], ".3f"),
                "errors": errors.total(),
                "of them timeouts": sum(count for error, count in errors.items() if _TIMEOUT.search(error)),
                "sent again": sum(run["sent_again"] for run in whole),
                "most connections": max((run["server"]["peak_connections"] for run in whole), default="–"),
                "server cores": _spread([run["server_cores"] for run in whole], ".2f"),
                "other cores": _spread([run["other_cores"] for run in whole], ".2f"),
                "runs": f"{len(whole)} of {len(cell)}",
            }
        )
    return tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True)


def _place(run: dict[str, Any]) -> tuple[int, int, int]:
    return run["slots"], run["in_flight"], list(PACKAGES).index(run["client"])


def _spread(values: Sequence[float], form: str) -> str:
    if not values:
        return "–"
    return f"{np.mean(values):{form}} ({min(values):{form}}–{max(values):{form}})"


def main(argv: Sequence[str]) -> None:
    """Measure everything, print the table, write the JSON file (after every measurement)."""
    benchmark = parse_recipe(Benchmark, argv, prog="tests/benchmarks/openai_server.py", description=__doc__)
    found = versions(benchmark.clients)
    cells = [
        Cell(slots, round(slots * factor), client)
        for slots, factor, client in product(benchmark.slots, benchmark.in_flight, benchmark.clients)
    ]
    draw = random.Random(benchmark.seed)
    runs: list[dict[str, Any]] = []
    with tqdm(total=len(cells) * benchmark.repetitions, unit="measurement") as bar:
        for repetition in range(benchmark.repetitions):
            for cell in draw.sample(cells, len(cells)):
                runs.append({"repetition": repetition} | asdict(cell) | measure(cell, benchmark))
                record = {"benchmark": asdict(benchmark), "versions": found, "runs": runs}
                write_whole(Path(benchmark.output), json.dumps(record, indent=1, ensure_ascii=False))
                bar.update()
    print(table(runs, benchmark.latency_s))


if __name__ == "__main__":
    exit_cleanly(main)
