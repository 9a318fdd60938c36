"""The store: nothing that was stored is lost or asked again, whoever writes and however a writer ends."""

from __future__ import annotations

import io
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import launch.engines.store as store_module
from launch.engines import Completion, Request, Sampling
from launch.engines.store import CompletionStore, complete
from launch.errors import InputError


def key(number: int) -> str:
    return f"{number * 7919:064x}"


def completion(number: int, text: str = "text", **values: Any) -> Completion:
    return Completion(key(number), text, "stop", prompt_tokens=3, completion_tokens=5, **values)


class Echo:
    """An engine that answers with the prompt, ``batch`` at a time, and remembers what it was asked."""

    identity = "echo"

    def __init__(self, batch: int = 4, failing: Iterable[str] = (), silent: Iterable[str] = ()) -> None:
        self.asked: list[str | None] = []
        self.batch, self.failing, self.silent = batch, set(failing), set(silent)

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion]:
        source = iter(requests)
        while chunk := list(itertools.islice(source, self.batch)):
            self.asked += [request.prompt for request in chunk]
            for request in reversed(chunk):
                if request.prompt in self.failing:
                    yield Completion(request.key(self.identity), "", "error", error="no")
                elif request.prompt not in self.silent:
                    yield Completion(request.key(self.identity), f"{request.prompt}!", "stop")

    def close(self) -> None:
        pass


def ask(*prompts: str) -> list[Request]:
    return [Request(prompt=prompt) for prompt in prompts]


def test_what_is_put_is_got_at_once_and_after_opening_again(tmp_path: Path) -> None:
    stored = completion(1, "Réponse : 答え\n\u2028</s>", opened_by_prompt=True)
    with CompletionStore(tmp_path / "new" / "folder") as store:
        assert store.get(key(1)) is None
        store.put(stored)
        assert store.get(key(1)) == stored
    with CompletionStore(tmp_path / "new" / "folder") as store:
        assert store.get(key(1)) == stored
        assert store.get(key(2)) is None
        assert list(store) == [stored]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.text(st.characters(codec=None), max_size=20)), max_size=12))
def test_any_text_comes_back(pairs: list[tuple[int, str]]) -> None:
    texts: dict[int, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        with CompletionStore(folder) as store:
            for number, text in pairs:
                if store.get(key(number)) is None:
                    store.put(completion(number, text))
                    texts[number] = text
        with CompletionStore(folder) as store:
            assert {found.key: found.text for found in store} == {key(n): text for n, text in texts.items()}
            for number, text in texts.items():
                assert store.get(key(number)) == completion(number, text)


def test_error_completions_are_not_stored(tmp_path: Path) -> None:
    with CompletionStore(tmp_path) as store:
        store.put(Completion(key(1), "", "error", error="out of memory"))
        assert store.get(key(1)) is None
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_by_reading(tmp_path: Path) -> None:
    with CompletionStore(tmp_path / "none") as store:
        assert store.get(key(1)) is None
        assert list(store) == []
    assert not (tmp_path / "none").exists()


def test_torn_last_line_is_dropped_and_the_rest_is_kept(tmp_path: Path) -> None:
    with CompletionStore(tmp_path) as store:
        for number in range(3):
            store.put(completion(number))
    file = next(tmp_path.iterdir())
    content = file.read_bytes()
    for cut in range(1, len(content) // 3):
        file.write_bytes(content[:-cut])
        with CompletionStore(tmp_path) as store:
            assert [found.key for found in store] == [key(0), key(1)]
            assert store.get(key(2)) is None
            assert store.torn == 1
    with CompletionStore(tmp_path) as store:
        store.put(completion(2, "again"))
    with CompletionStore(tmp_path) as store:
        assert {found.text for found in store} == {"text", "again"}


def test_damaged_line_is_asked_again_and_the_new_one_is_found(tmp_path: Path) -> None:
    with CompletionStore(tmp_path) as store:
        for number in range(3):
            store.put(completion(number))
    file = tmp_path / "a-1-x.jsonl"
    next(tmp_path.iterdir()).rename(file)
    lines = file.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1][:90] + b"\x00" * (len(lines[1]) - 91) + b"\n"
    file.write_bytes(b"".join(lines))
    with CompletionStore(tmp_path) as store:
        assert store.get(key(1)) is None
        assert store.get(key(2)) == completion(2)
        store.put(completion(1, "again"))
        assert store.get(key(1)) == completion(1, "again")
    with CompletionStore(tmp_path) as store:
        assert store.get(key(1)) == completion(1, "again")
        assert len(list(store)) == 3


def test_lines_of_other_programs_are_read_when_they_hold_a_completion(tmp_path: Path) -> None:
    record = {"text": "t", "extra": 1, "finish_reason": "stop", "key": "short"}
    (tmp_path / "hand.jsonl").write_text(json.dumps(record) + "\n[]\n\nnonsense\n" + "[" * 100_000 + "\n")
    with CompletionStore(tmp_path) as store:
        assert store.get("short") == Completion("short", "t", "stop")
        assert len(list(store)) == 1


def test_index_holds_when_it_is_merged_many_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_MERGE_AT", 7)
    for start in (0, 50):
        with CompletionStore(tmp_path) as store:
            for number in range(start, start + 75):
                store.put(completion(number, f"{number} of {start}"))
    with CompletionStore(tmp_path) as store:
        assert len(store) == 150
        assert len(list(store)) == 125
        for number in range(125):
            assert store.get(key(number)) is not None
        assert store.get(key(125)) is None
        assert {store.get(key(number)) for number in range(125)} == set(store)


def test_equal_beginnings_of_keys_are_told_apart(tmp_path: Path) -> None:
    keys = [f"{'ab' * 8}{number:048x}" for number in range(3)]
    with CompletionStore(tmp_path) as store:
        for one in keys[:2]:
            store.put(Completion(one, one, "stop"))
        assert [getattr(store.get(one), "text", None) for one in keys] == [keys[0], keys[1], None]


def test_more_files_than_may_be_open_at_once(tmp_path: Path) -> None:
    for number in range(40):
        with CompletionStore(tmp_path) as store:
            store.put(completion(number))
    before = len(psutil.Process().open_files())
    with CompletionStore(tmp_path) as store:
        assert all(store.get(key(number)) == completion(number) for number in (*range(40), *range(40)))
        assert len(psutil.Process().open_files()) - before <= 16
    assert len(psutil.Process().open_files()) == before


def test_full_disk_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    with CompletionStore(tmp_path) as store:
        store.put(completion(1))

        def half_then_full(file: int, data: bytes) -> int:
            if len(data) < 100:
                raise OSError(28, "No space left on device")
            return write(file, data[: len(data) - 50])

        monkeypatch.setattr(os, "write", half_then_full)
        with pytest.raises(InputError, match="No space left on device"):
            store.put(completion(2))
        monkeypatch.undo()
        store.put(completion(3))
        assert store.get(key(2)) is None
    with CompletionStore(tmp_path) as store:
        assert [found.key for found in store] == [key(1), key(3)]


def test_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    with pytest.raises(InputError, match="store is a file, not a folder"):
        CompletionStore(tmp_path / "store")


WRITER = """
import sys
from launch.engines import Completion
from launch.engines.store import CompletionStore
folder, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with CompletionStore(folder) as store:
    for number in range(first, first + count):
        store.put(Completion(f"{number:064x}", f"{number} " * 50, "stop"))
        print(number, flush=True)
"""


def writer(folder: Path, first: int, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(folder), str(first), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_writer_killed_at_any_moment_loses_nothing_it_had_stored(tmp_path: Path) -> None:
    process = writer(tmp_path, 0, 10**9)
    assert process.stdout is not None
    seen = [int(next(process.stdout)) for _ in range(500)]
    process.send_signal(signal.SIGKILL)
    seen += [int(line) for line in process.stdout if line.endswith("\n")]
    assert process.wait() == -signal.SIGKILL
    with CompletionStore(tmp_path) as store:
        for number in seen:
            assert store.get(f"{number:064x}") == Completion(f"{number:064x}", f"{number} " * 50, "stop")
        assert len(list(store)) - len(seen) in (0, 1)


def test_writers_side_by_side_do_not_disturb_each_other(tmp_path: Path) -> None:
    writers = [writer(tmp_path, first, 400) for first in (0, 400, 700)]
    for process in writers:
        process.communicate()
        assert process.returncode == 0
    with CompletionStore(tmp_path) as store:
        assert len(store.files) == 3
        assert {int(found.key, 16) for found in store} == set(range(1100))
        assert len(store) == 1200


def test_child_of_a_fork_writes_a_file_of_its_own(tmp_path: Path) -> None:
    with CompletionStore(tmp_path) as store:
        store.put(completion(1))
        child = os.fork()
        if child == 0:
            store.put(completion(2))
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        store.put(completion(3))
    with CompletionStore(tmp_path) as store:
        assert len(store.files) == 2
        assert {found.key for found in store} == {key(1), key(2), key(3)}


def test_complete_asks_only_what_is_not_stored(tmp_path: Path) -> None:
    with CompletionStore(tmp_path) as store:
        first = {answer.key: answer for answer in complete(Echo(), ask("a", "b", "c"), store)}
        engine = Echo()
        second = {answer.key: answer for answer in complete(engine, ask("c", "d", "b"), store)}
    assert {answer.text for answer in first.values()} == {"a!", "b!", "c!"}
    assert {answer.text for answer in second.values()} == {"b!", "c!", "d!"}
    assert engine.asked == ["d"]


def test_complete_stores_each_answer_the_moment_it_arrives(tmp_path: Path) -> None:
    with CompletionStore(tmp_path) as store:
        answers = complete(Echo(batch=1), ask("a", "b"), store)
        first = next(answers)
        with CompletionStore(tmp_path) as other:
            assert other.get(first.key) == first
        answers.close()  # type: ignore[attr-defined]
    engine = Echo()
    with CompletionStore(tmp_path) as store:
        list(complete(engine, ask("a", "b"), store))
    assert engine.asked == ["b"]


def test_equal_requests_are_asked_once_and_answered_each(tmp_path: Path) -> None:
    engine = Echo(batch=4)
    with CompletionStore(tmp_path) as store:
        answers = list(complete(engine, ask("a", "a", "b", "a", "c", "d", "e", "a"), store))
    assert sorted(engine.asked, key=str) == ["a", "b", "c", "d", "e"]
    assert sorted(answer.text for answer in answers) == ["a!"] * 4 + ["b!", "c!", "d!", "e!"]


def test_requests_that_differ_in_anything_are_different(tmp_path: Path) -> None:
    requests = [
        Request(prompt="a"),
        Request(prompt="a", attempt=1),
        Request(prompt="a", sampling=Sampling(seed=1)),
        Request(prompt="a", sampling=Sampling(stop=("x",))),
        Request(prompt="a", template_kwargs={"enable_thinking": False}),
    ]
    engine = Echo()
    with CompletionStore(tmp_path) as store:
        assert len({answer.key for answer in complete(engine, requests, store)}) == 5
    assert len(engine.asked) == 5


@pytest.mark.parametrize(
    ("request_", "identity", "key"),
    [
        (
            Request(prompt="2+2="),
            "hf gpt2@main dtype=auto",
            "227c8cc270094eab2fbdafc43cef9f271fbf0e126cdd608faed9512e655197e7",
        ),
        (
            Request(
                messages=({"role": "user", "content": "2+2=?"},),
                sampling=Sampling(temperature=0.6, top_p=0.95, max_new_tokens=64, stop=("\n",), seed=3),
                attempt=1,
                template_kwargs={"enable_thinking": True},
                answer={"role": "assistant", "content": "4"},
            ),
            "openai_server m",
            "0cba5db9c0c31c5f0fca65d8091ca53df3bdbe1cf565590e9e8515f7d4e1fbf7",
        ),
    ],
)
def test_keys_are_those_of_every_earlier_version(request_: Request, identity: str, key: str) -> None:
    """Another key would ask again what stores hold; these are fixed for good."""
    assert request_.key(identity) == key


def test_errors_come_through_and_are_asked_again(tmp_path: Path) -> None:
    with CompletionStore(tmp_path) as store:
        reasons = [answer.error for answer in complete(Echo(failing=["b"]), ask("a", "b"), store)]
        assert sorted(map(str, reasons)) == ["None", "no"]
        engine = Echo()
        assert {answer.text for answer in complete(engine, ask("a", "b"), store)} == {"a!", "b!"}
    assert engine.asked == ["b"]


def test_request_that_the_engine_forgets_ends_as_an_error(tmp_path: Path) -> None:
    with CompletionStore(tmp_path) as store:
        answers = list(complete(Echo(silent=["b"]), ask("a", "b", "b", "c"), store))
    assert sorted(answer.finish_reason for answer in answers) == ["error", "error", "stop", "stop"]


def test_long_run_of_stored_answers_is_not_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_READY_LIMIT", 10)
    with CompletionStore(tmp_path) as store:
        list(complete(Echo(), ask(*map(str, range(100))), store))
        read = 0

        def source() -> Iterator[Request]:
            nonlocal read
            for request in ask("new", *map(str, range(100)), "newer"):
                read += 1
                yield request

        engine = Echo(batch=50)
        answers = complete(engine, source(), store)
        next(answers)
        assert read < 20
        assert len(list(answers)) == 101
        assert engine.asked == ["new", "newer"]


def test_progress_bar_counts_every_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = io.StringIO()
    monkeypatch.setattr(sys, "stderr", output)
    with CompletionStore(tmp_path) as store:
        list(complete(Echo(), ask("a"), store))
        assert output.getvalue() == ""
        list(complete(Echo(failing=["c"]), ask("a", "b", "b", "c"), store, description="asking", total=4))
    assert "asking: 100%" in output.getvalue()
    assert "4/4" in output.getvalue()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "launch.engines.store", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_command_line_counts_and_exports(tmp_path: Path) -> None:
    for text in ("one", "two"):
        with CompletionStore(tmp_path) as store:
            store.put(completion(1, text))
            store.put(Completion(key(2 if text == "one" else 3), "答え", "length", 1, 2))
    with next(tmp_path.iterdir()).open("ab") as file:
        file.write(b'{"key": "torn')
    result = run("stats", str(tmp_path))
    assert result.returncode == 0, result.stderr
    counts = {line.split()[0]: int(line.split()[1]) for line in result.stdout.splitlines()}
    assert counts | {"bytes": 0} == {
        "files": 2,
        "torn_lines": 1,
        "completions": 3,
        "duplicates": 1,
        "finished_stop": 1,
        "finished_length": 2,
        "prompt_tokens": 5,
        "completion_tokens": 9,
        "bytes": 0,
    }
    exported = run("export", str(tmp_path))
    records = [json.loads(line) for line in exported.stdout.splitlines()]
    assert sorted(record["key"] for record in records) == [key(1), key(2), key(3)]


@pytest.mark.parametrize("arguments", [(), ("stats",), ("stats", "/nowhere/at/all"), ("delete", ".")])
def test_wrong_command_is_one_sentence_and_status_2(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
