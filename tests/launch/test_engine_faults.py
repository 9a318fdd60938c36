"""Nothing is lost, doubled or leaked: openai_server and the store while servers fail and clients are killed."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from launch.engines import Completion, EngineConfig, Request, open_engine
from launch.engines.store import CompletionStore, complete

REQUESTS = 10_000
CONCURRENCY = 64
# What may become of an attempt; what is left is a good answer. Each attempt draws anew.
CHANCES = {
    "500": 0.04, "503": 0.01,
    "429": 0.02, "429-after": 0.02, "429-date": 0.01,
    "reset": 0.01, "reset-later": 0.01,
    "hang": 0.01,
    "truncated": 0.005, "cut-off": 0.005,
    "html": 0.004, "binary": 0.003, "mislabelled": 0.003,
}  # fmt: skip
PASSING = {"500": 0.05, "429": 0.05, "reset": 0.02, "truncated": 0.01}
LASTING = {"always 400": "status 400: .*prompt too long", "always no-choice": "holds no choice"}
MEGABYTE = 2**20

Serve = Callable[..., Any]


def questions(count: int) -> list[str]:
    return [f"question {number:05d}: 答え?" for number in range(count)]


def request(prompt: str) -> Request:
    """Every other question in the form of a chat."""
    if int(re.sub(r"\D", "", prompt)) % 2:
        return Request(messages=({"role": "user", "content": prompt},))
    return Request(prompt=prompt)


def right(prompt: str) -> str:
    """The one right answer."""
    return prompt[::-1] * 100


def settings(server: Any, **values: Any) -> dict[str, Any]:
    defaults = {"kind": "openai_server", "model": "tiny", "base_url": f"{server.url}/v1", "timeout_s": 30.0}
    return defaults | values


def engine(server: Any, **values: Any) -> Any:
    return open_engine(EngineConfig(**settings(server, **values)))


def read_log(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def stats(folder: Path) -> dict[str, int]:
    command = [sys.executable, "-m", "launch.engines.store", "stats", str(folder)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return {line.split()[0]: int(line.split()[1].replace(",", "")) for line in lines}


class Watch:
    """What this process holds above what it held at the start: bytes of ``memory`` and open ``files``, at the most.

    ``left`` is what is left of files, threads and tasks after the block.
    """

    def __enter__(self) -> Watch:
        self._process = psutil.Process()
        gc.collect()
        with contextlib.suppress(AttributeError):  # where there is another C library than glibc
            ctypes.CDLL(None).malloc_trim(0)  # memory that others freed would be used first, and hide what grows
        self._before = self._held()
        self.rebase()
        self._ended = threading.Event()
        self._sampler = threading.Thread(target=self._sample)
        self._sampler.start()
        return self

    def rebase(self) -> None:
        self._base, self.memory, self.files = self._process.memory_info().rss, 0, 0

    def _held(self) -> Counter[str]:
        tasks = sum(type(thing) is asyncio.Task for thing in gc.get_objects())
        return Counter(files=self._process.num_fds(), threads=threading.active_count(), tasks=tasks)

    def _sample(self) -> None:
        while not self._ended.wait(0.01):
            self.memory = max(self.memory, self._process.memory_info().rss - self._base)
            self.files = max(self.files, self._process.num_fds() - self._before["files"])

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._sampler.join()
        gc.collect()
        self.left = dict(self._held() - self._before)


def warm_up(server: Any, folder: Path) -> None:
    """What is made once a process, such as the lock of progress bars, is no leak."""
    with CompletionStore(folder) as store:
        list(complete(engine(server), [Request(prompt="always none")], store, description="first", total=1))


@pytest.mark.slow
def test_ten_thousand_requests_end_once_each_whatever_the_server_does(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    log, folder = tmp_path / "log", tmp_path / "store"
    server = serve("faults_server.py", "--log", str(log), "--chances", json.dumps(CHANCES))
    warm_up(server, tmp_path / "first")
    loaded = engine(server, concurrency=CONCURRENCY, timeout_s=3.0)
    lasting = [f"{fault} {number}" for fault in LASTING for number in range(20)]
    prompts = [*questions(REQUESTS - len(lasting)), *lasting]
    random.Random(1).shuffle(prompts)
    prompt_of = {request(prompt).key(loaded.identity): prompt for prompt in prompts}
    arrived: Counter[str] = Counter()
    errors: dict[str, str] = {}

    def restart() -> None:
        server.kill()
        time.sleep(0.5)  # connections are refused for a while
        server.start()

    def check(completion: Completion) -> None:
        prompt = prompt_of[completion.key]
        arrived[completion.key] += 1
        if completion.error is None:
            assert completion.text == right(prompt)
        else:
            errors[prompt] = completion.error

    watch = Watch()
    with watch, CompletionStore(folder) as store, ThreadPoolExecutor(1) as pool:
        requests = (request(prompt) for prompt in prompts)
        completions = complete(loaded, requests, store, description="asking", total=len(prompts))
        restarts = []
        for count, completion in enumerate(completions):
            check(completion)
            if count == REQUESTS // 10:
                watch.rebase()  # from here on, nothing grows
            if count in (REQUESTS // 3, REQUESTS * 2 // 3):
                restarts.append(pool.submit(restart))
        assert len([done.result() for done in restarts]) == 2

    # Each request ended once: with its own answer, or with an error that has a name and is counted.
    assert set(arrived) == set(prompt_of)
    assert set(arrived.values()) == {1}
    assert set(errors) == set(lasting), {prompt: errors[prompt] for prompt in set(errors) - set(lasting)}
    for prompt, error in errors.items():
        assert re.search(LASTING[prompt.rpartition(" ")[0]], error), error
    shown = capsys.readouterr().err
    assert f"{REQUESTS}/{REQUESTS}" in shown
    assert f"errors={len(lasting)}" in shown

    # Nothing is left, and nothing grew with the number of requests: the answers alone are 30 MB.
    assert watch.left == {}
    assert watch.files <= CONCURRENCY + 12
    assert watch.memory < 16 * MEGABYTE
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []

    # All of it really happened, and only what was in flight when the server was killed was answered again.
    asked = read_log(log)
    fates = Counter(entry["fate"] for entry in asked)
    assert {fault: fates[fault] for fault, chance in CHANCES.items() if fates[fault] < chance * REQUESTS / 2} == {}
    answered = Counter(entry["prompt"] for entry in asked if entry["fate"] in ("none", "mislabelled"))
    assert answered.total() - len(answered) <= 2 * CONCURRENCY

    # The store holds each answer once; the next run asks only what ended as an error.
    assert stats(folder).items() >= {"completions": REQUESTS - len(lasting), "duplicates": 0, "torn_lines": 0}.items()
    arrived.clear()
    with CompletionStore(folder) as store:
        for completion in complete(loaded, map(request, prompts), store):
            check(completion)
    assert set(arrived) == set(prompt_of)
    assert set(arrived.values()) == {1}
    assert sorted(entry["prompt"] for entry in read_log(log)[len(asked) :]) == sorted(lasting)


def test_run_that_is_left_early_leaves_nothing_behind(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve("faults_server.py", "--log", str(tmp_path / "log"), "--chances", json.dumps(PASSING))
    warm_up(server, tmp_path / "first")
    prompts = [*(f"always hang {number}" for number in range(8)), *questions(100)]
    with Watch() as watch, CompletionStore(tmp_path / "store") as store:
        completions = complete(engine(server, concurrency=16), map(request, prompts), store)
        taken = [next(completions) for _ in range(20)]
        completions.close()  # type: ignore[attr-defined]
        assert all(store.get(completion.key) == completion for completion in taken)
    del completions
    assert watch.left == {}
    assert caplog.messages == []


def test_waiting_as_the_server_asks_takes_no_processor_time(serve: Serve, tmp_path: Path) -> None:
    server = serve("faults_server.py", "--log", str(tmp_path / "log"))
    loaded = engine(server, concurrency=8, max_retries=0)
    busy, began = time.process_time(), time.monotonic()
    requests = (Request(prompt=f"always 429-after {number}") for number in range(60))
    errors = [str(completion.error) for completion in loaded.generate(requests)]
    assert time.monotonic() - began > 1, "where all is pushed back, the client waits"
    assert time.process_time() - busy < 0.5
    assert [error for error in errors if "status 429" not in error] == []
    assert len(errors) == 60


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("html", r"not JSON \(text/html\): <html><b>Bad gateway</b>"),
        ("binary", r"not JSON \(application/octet-stream\)"),
        ("nested", r"not JSON \(application/json\): \[\["),
        ("truncated", r"not JSON \(application/json\)"),
        ("cut-off", "connection broke: .*[Nn]ot enough data"),
        ("silent-end", "connection broke: .*[Dd]isconnected"),
        ("not-http", "SSH-2.0"),
        ("no-gzip", "gzip"),
        ("100MB", "longer than 16 MiB"),
        ("100MB-string", "longer than 16 MiB"),
        ("endless-body", "longer than 16 MiB"),
        ("endless-chunks", "longer than 16 MiB"),
        ("gzip-bomb", "longer than 16 MiB"),
        ("endless-small-chunks", "longer than 16 MiB|no answer within 2 s"),
        ("endless-status", "more than 8190 bytes"),
        ("endless-header", "more than 8190 bytes"),
        ("endless-headers", "[Tt]oo many headers"),
        ("endless-chunk-size", "no answer within 2 s"),
        ("endless-continue", "no answer within 2 s"),
        ("dripping-header", "no answer within 2 s"),
        ("dripping-body", "no answer within 2 s"),
    ],
)
def test_hostile_answer_is_cut_off_and_named(serve: Serve, tmp_path: Path, fault: str, reason: str) -> None:
    server = serve("faults_server.py", "--log", str(tmp_path / "log"))
    warm_up(server, tmp_path / "first")
    loaded = engine(server, timeout_s=2.0, max_retries=0)
    bad, good = Request(prompt=f"always {fault}"), Request(prompt="always none")
    with Watch() as watch:
        given = {completion.key: completion for completion in loaded.generate([bad, good])}
    error = given[bad.key(loaded.identity)].error
    assert error is not None
    assert re.search(reason, error), error
    assert len(error) <= 500
    assert given[good.key(loaded.identity)].text == right("always none")
    assert watch.left == {}
    assert watch.memory < 64 * MEGABYTE


class Client(contextlib.AbstractContextManager["Client"]):
    """``complete`` over ``prompts`` into ``folder``, in a process of its own, known to the server by ``name``."""

    def __init__(self, server: Any, prompts: list[str], folder: Path, name: str, **values: Any) -> None:
        asked, self._errors = folder.with_name(f"{name}.json"), folder.with_name(f"{name}.errors")
        asked.write_text(json.dumps(prompts), encoding="utf-8")
        config = settings(server, **{"api_key_env": "CLIENT_NAME", "concurrency": 16} | values)
        script = Path(__file__).with_name("faults_client.py")
        with self._errors.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, str(script), json.dumps(config), str(asked), str(folder)],
                env=os.environ | {"CLIENT_NAME": name}, stdout=subprocess.PIPE, stderr=errors, text=True,
            )  # fmt: skip
        self.keys: list[str] = []

    def read(self, count: int) -> None:
        """Wait until ``count`` completions have come."""
        assert self.process.stdout is not None
        for _ in range(count):
            line = self.process.stdout.readline()
            assert line, self._errors.read_text()
            self.keys.append(line.strip())

    def end(self) -> str:
        """Wait for the end; what stood on stderr."""
        assert self.process.stdout is not None
        self.keys += self.process.stdout.read().split()
        self.process.wait()
        return self._errors.read_text()

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.end()
        self.process.stdout.close()


def prompts_by_key(server: Any, prompts: Iterable[str]) -> dict[str, str]:
    identity = engine(server).identity
    return {Request(prompt=prompt).key(identity): prompt for prompt in prompts}


def stored(folder: Path, prompt_of: dict[str, str]) -> set[str]:
    """The prompts whose answers the store holds; all of them right."""
    with CompletionStore(folder) as store:
        found = {prompt_of[completion.key]: completion.text for completion in store}
    assert all(text == right(prompt) for prompt, text in found.items())
    return set(found)


def asked_by(log: Path, name: str) -> Counter[str]:
    return Counter(entry["prompt"] for entry in read_log(log) if entry["client"] == name)


def test_killed_client_asks_nothing_again_that_it_had_stored(serve: Serve, tmp_path: Path) -> None:
    log, folder, prompts = tmp_path / "log", tmp_path / "store", questions(1000)
    server = serve("faults_server.py", "--log", str(log), "--chances", json.dumps(PASSING))
    prompt_of, moment = prompts_by_key(server, prompts), random.Random(2)
    held: list[set[str]] = [set()]  # what the store holds after each run
    for run in range(4):
        with Client(server, prompts, folder, f"run-{run}") as client:
            client.read(len(held[-1]) + moment.randrange(1, 120))
            time.sleep(moment.uniform(0, 0.05))
            client.process.kill()
            client.end()
            assert client.process.returncode == -signal.SIGKILL
        held.append(stored(folder, prompt_of))
        assert {prompt_of[key] for key in client.keys} <= held[-1], "printed, so stored before"
    with Client(server, prompts, folder, "run-4") as client:
        assert client.end() == ""
        assert client.process.returncode == 0
    assert Counter(client.keys) == Counter(prompt_of.keys())
    held.append(stored(folder, prompt_of))
    assert held[-1] == set(prompts)
    for run in range(5):
        asked = asked_by(log, f"run-{run}")
        assert asked.keys() & held[run] == set()
        assert len(asked.keys() - held[run + 1]) <= 16, "more than was in flight"
    counts = stats(folder)
    assert (counts["completions"], counts["duplicates"], counts["files"]) == (1000, 0, 5)


def test_clients_side_by_side_share_a_store(serve: Serve, tmp_path: Path) -> None:
    log, folder, prompts = tmp_path / "log", tmp_path / "store", questions(600)
    server = serve("faults_server.py", "--log", str(log), "--chances", json.dumps(PASSING))
    prompt_of = prompts_by_key(server, prompts)
    shares = {"one": prompts[:400], "two": prompts[200:]}
    with contextlib.ExitStack() as both:
        clients = [both.enter_context(Client(server, shares[name], folder, name, concurrency=4)) for name in shares]
        for client, share in zip(clients, shares.values(), strict=True):
            assert client.end() == ""
            assert client.process.returncode == 0
            assert Counter(prompt_of[key] for key in client.keys) == Counter(share)
    turns = [entry["client"] for entry in read_log(log)]
    assert turns.index("two") < len(turns) - turns[::-1].index("one"), "they did write at the same time"
    assert turns.index("one") < len(turns) - turns[::-1].index("two")
    assert stored(folder, prompt_of) == set(prompts)
    counts = stats(folder)
    assert (counts["completions"], counts["files"], counts["torn_lines"]) == (600, 2, 0)
    assert counts["duplicates"] <= 200, "only what both were asked is there twice"
    with Client(server, prompts, folder, "three") as three:
        assert three.end() == ""
    assert Counter(three.keys) == Counter(prompt_of.keys())
    assert asked_by(log, "three") == Counter()


def test_interrupted_client_ends_cleanly_and_keeps_what_arrived(serve: Serve, tmp_path: Path) -> None:
    log, folder = tmp_path / "log", tmp_path / "store"
    server = serve("faults_server.py", "--log", str(log), "--chances", json.dumps(PASSING))
    prompts = [*(f"always hang {number}" for number in range(4)), *questions(2000)]
    prompt_of, moment = prompts_by_key(server, prompts), random.Random(3)
    held: set[str] = set()
    for run in range(5):
        with Client(server, prompts, folder, f"run-{run}", timeout_s=300.0) as client:
            client.read(len(held) + moment.randrange(1, 120))
            time.sleep(moment.uniform(0, 0.05))
            client.process.send_signal(signal.SIGINT)
            client.process.wait(timeout=20)
            assert client.end() == "interrupted: what is finished is kept; the same command goes on from there\n"
            assert client.process.returncode == 130
        assert asked_by(log, f"run-{run}").keys() & held == set()
        held = stored(folder, prompt_of)
        printed = {prompt_of[key] for key in client.keys}
        assert printed <= held
        assert len(held) - len(printed) <= 1, "stored and printed, but for one between"
        assert len(asked_by(log, f"run-{run}").keys() - held) <= 16
    assert stats(folder).items() >= {"duplicates": 0, "torn_lines": 0}.items()
