"""The store of completions: an append-only log that survives kill -9, and ``complete``, which never asks twice.

A folder of JSONL files, one a writer (host, process, a random part), each line one completion with its key first. A
line is whole or it is not there: a torn last line is dropped on read, and a new writer never touches an old file. That
needs no locks, so it also holds on network file systems.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import re
import socket
import sys
import threading
import uuid
from collections import Counter, OrderedDict
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from launch.engines.base import Completion, Engine, Request
from launch.engines.json_text import decode_json, encode_json
from launch.errors import InputError, exit_cleanly

_FIELDS = tuple(field.name for field in dataclasses.fields(Completion))
_KEY_AT_FRONT = re.compile(rb'\{"key": ?"([0-9a-f]{64})"[,}]')
_OPEN_FILES = 16
_MERGE_AT = 200_000
_READY_LIMIT = 10_000
# An entry of the index: the first 8 bytes of the key, then where its line starts: file number << 44 | byte offset.
_OFFSET_BITS = 44


class CompletionStore:
    """Completions by key, in ``folder``. Texts stay on disk; the index takes 16 bytes a completion.

    Several processes may write to the same folder at once; each sees what was there when it opened the store, and what
    it wrote itself. Use as a context manager, or call ``close``.

    Raises:
        InputError: ``folder`` is not a folder, or cannot be read or written.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(f"the completion store {self.folder} is a file, not a folder; name another place")
        self.torn = 0
        self.files: list[Path] = sorted(self.folder.glob("*.jsonl")) if self.folder.is_dir() else []
        self._reading: OrderedDict[int, BinaryIO] = OrderedDict()
        self._lock = threading.RLock()
        self._writer: int | None = None
        self._writer_pid = self._writer_number = self._end = 0
        self._prefixes: npt.NDArray[np.uint64] = np.empty(0, np.uint64)
        self._lines: npt.NDArray[np.uint64] = np.empty(0, np.uint64)
        self._recent: dict[int, tuple[int, ...]] = {}
        for number, path in enumerate(self.files):
            try:
                self._scan(number, path)
            except OSError as error:
                raise InputError(f"the completion store {path} cannot be read: {error.strerror}") from error

    def get(self, key: str) -> Completion | None:
        """The stored completion of this key, or None."""
        with self._lock:
            for location in self._locations(key):
                completion = self._read(location)
                if completion is not None and completion.key == key:
                    return completion
        return None

    def put(self, completion: Completion) -> None:
        """Append a completion, in the kernel's hands when this returns; an error completion is not stored.

        Raises:
            InputError: the folder cannot be written (no permission, disk full); what was stored before stays whole.
        """
        if completion.finish_reason == "error":
            return
        line = _encode(completion)
        with self._lock:
            try:
                self._open_writer()
                self._write(line)
            except OSError as error:
                raise InputError(f"the completion store {self.folder} cannot be written: {error.strerror}") from error
            self._remember(completion.key, self._writer_number, self._end)
            self._end += len(line)

    def __iter__(self) -> Iterator[Completion]:
        """Every stored completion once (the copy that ``get`` returns), file by file, streaming."""
        for number, path in enumerate(self.files):
            with path.open("rb") as file:
                for offset, line in _whole_lines(file):
                    completion = _decode(line)
                    location = number << _OFFSET_BITS | offset
                    if completion is not None and self._is_first(completion.key, location):
                        yield completion

    def __len__(self) -> int:
        """How many lines are indexed; a key that two writers stored counts twice."""
        return len(self._prefixes) + sum(map(len, self._recent.values()))

    def close(self) -> None:
        """Flush to the disk and close the files."""
        with self._lock:
            if self._writer is not None and self._writer_pid == os.getpid():
                os.fsync(self._writer)
                os.close(self._writer)
            self._writer = None
            for file in self._reading.values():
                file.close()
            self._reading.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _scan(self, number: int, path: Path) -> None:
        end = 0
        with path.open("rb") as file:
            for offset, line in _whole_lines(file):
                end = offset + len(line)
                match = _KEY_AT_FRONT.match(line)
                if match is not None:
                    self._remember(match[1].decode(), number, offset)
                    continue
                completion = _decode(line)  # a line that another program wrote
                if completion is not None:
                    self._remember(completion.key, number, offset)
        self.torn += path.stat().st_size > end

    def _remember(self, key: str, number: int, offset: int) -> None:
        prefix = _prefix(key)
        self._recent[prefix] = (*self._recent.get(prefix, ()), number << _OFFSET_BITS | offset)
        if len(self._recent) >= _MERGE_AT:
            self._merge_recent()

    def _merge_recent(self) -> None:
        """Move the newest entries from the dictionary to the sorted arrays, in time linear in the arrays."""
        entries = [(prefix, location) for prefix in sorted(self._recent) for location in self._recent[prefix]]
        new = np.array(entries, dtype=np.uint64)
        prefixes = np.concatenate([self._prefixes, new[:, 0]])
        order = np.argsort(prefixes, kind="stable")  # timsort: two sorted runs are merged, and older lines stay first
        self._prefixes = prefixes[order]
        self._lines = np.concatenate([self._lines, new[:, 1]])[order]
        self._recent = {}

    def _locations(self, key: str) -> list[int]:
        """Where lines with this key may stand, the oldest first."""
        prefix = _prefix(key)
        if not len(self._prefixes):
            return list(self._recent.get(prefix, ()))
        low, high = (int(np.searchsorted(self._prefixes, np.uint64(prefix), side)) for side in ("left", "right"))
        return [*self._lines[low:high].tolist(), *self._recent.get(prefix, ())]

    def _is_first(self, key: str, location: int) -> bool:
        with self._lock:
            earlier = (other for other in self._locations(key) if other < location)
            copies = (self._read(other) for other in earlier)
            return not any(copy is not None and copy.key == key for copy in copies)

    def _read(self, location: int) -> Completion | None:
        number, offset = location >> _OFFSET_BITS, location & ((1 << _OFFSET_BITS) - 1)
        file = self._reading.get(number)
        if file is None:
            try:
                file = self._reading[number] = self.files[number].open("rb")
            except OSError:  # another program removed it; then the request is asked again
                return None
            if len(self._reading) > _OPEN_FILES:
                self._reading.popitem(last=False)[1].close()
        self._reading.move_to_end(number)
        file.seek(offset)
        return _decode(file.readline())

    def _open_writer(self) -> None:
        if self._writer is not None and self._writer_pid == os.getpid():
            return  # a forked child opens a file of its own
        self.folder.mkdir(parents=True, exist_ok=True)
        host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:64]
        path = self.folder / f"{host}-{os.getpid()}-{uuid.uuid4().hex[:12]}.jsonl"
        self._writer = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)
        self._writer_pid, self._writer_number, self._end = os.getpid(), len(self.files), 0
        self.files.append(path)

    def _write(self, line: bytes) -> None:
        assert self._writer is not None
        written = 0
        try:
            while written < len(line):
                written += os.write(self._writer, line[written:])
        except BaseException:  # Ctrl-C too: the next line must not follow half of this one
            os.ftruncate(self._writer, self._end)
            raise


def complete(
    engine: Engine,
    requests: Iterable[Request],
    store: CompletionStore,
    *,
    description: str | None = None,
    total: int | None = None,
) -> Iterator[Completion]:
    """Answer every request, from the store where it can, from the engine where it must; one completion a request.

    New completions are stored the moment they arrive. Equal requests that are under way together are asked once. Order
    is free; match by ``key``. Memory does not grow with the number of requests. With a ``description``, a progress bar
    is shown. Errors come through as completions, are not stored, and so are asked again by the next run.
    """
    source = iter(requests)
    ready: list[str] = []
    waiting: Counter[str] = Counter()
    exhausted = False

    def missing() -> Iterator[Request]:
        nonlocal exhausted
        while len(ready) < _READY_LIMIT:
            request = next(source, None)
            if request is None:
                exhausted = True
                return
            key = request.key(engine.identity)
            if key in waiting:
                waiting[key] += 1
            elif store.get(key) is not None:
                ready.append(key)
            else:
                waiting[key] = 1
                yield request

    def stored() -> Iterator[Completion]:
        for key in ready:
            completion = store.get(key)
            yield completion if completion is not None else _unanswered(key)
        ready.clear()

    errors = 0
    with tqdm(total=total, desc=description, disable=description is None, unit="completion") as bar:
        while not exhausted:
            with contextlib.closing(_generate(engine, missing())) as answers:
                for answer in answers:
                    store.put(answer)
                    copies = waiting.pop(answer.key, 1)
                    if answer.finish_reason == "error":
                        errors += copies
                        bar.set_postfix(errors=errors, refresh=False)
                    for completion in (*(answer for _ in range(copies)), *stored()):
                        bar.update()
                        yield completion
            # The engine has given all it had: either the source is at its end, or a long run of stored completions was
            # cut to keep memory bounded, and the next round goes on.
            lost = (_unanswered(key) for key, copies in waiting.items() for _ in range(copies))
            for completion in (*stored(), *lost):
                bar.update()
                yield completion
            waiting.clear()


def _generate(engine: Engine, requests: Iterator[Request]) -> Generator[Completion, None, None]:
    # A generator of our own can be closed, whatever kind of iterator the engine returns.
    yield from engine.generate(requests)


def _unanswered(key: str) -> Completion:
    return Completion(key, "", "error", error="the engine gave no completion for this request")


def _prefix(key: str) -> int:
    try:
        return int(key[:16], 16)
    except ValueError:  # not a key of ours
        return int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:8])


def _whole_lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    offset = 0
    for line in file:
        if line.endswith(b"\n"):
            yield offset, line
        offset += len(line)


def _encode(completion: Completion) -> bytes:
    return encode_json(vars(completion)) + b"\n"


def _decode(line: bytes) -> Completion | None:
    try:
        record = decode_json(line)
        return Completion(**{name: record[name] for name in _FIELDS if name in record})
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _stats(store: CompletionStore) -> dict[str, int]:
    counts: Counter[str] = Counter(files=len(store.files), torn_lines=store.torn, completions=0, duplicates=0)
    for completion in store:
        counts["completions"] += 1
        counts[f"finished_{completion.finish_reason}"] += 1
        counts["prompt_tokens"] += completion.prompt_tokens
        counts["completion_tokens"] += completion.completion_tokens
    counts["duplicates"] = len(store) - counts["completions"]
    counts["bytes"] = sum(path.stat().st_size for path in store.files)
    return dict(counts)


def main(argv: Sequence[str]) -> None:
    """``stats DIR`` prints counts; ``export DIR`` prints every completion once, one JSON object a line."""
    if len(argv) != 2 or argv[0] not in ("stats", "export"):
        raise InputError("usage: python -m launch.engines.store stats|export DIR")
    folder = Path(argv[1])
    if not folder.is_dir():
        raise InputError(f"there is no completion store at {folder}; name the folder that holds the *.jsonl files")
    with CompletionStore(folder) as store:
        if argv[0] == "stats":
            for name, count in _stats(store).items():
                print(f"{name:18} {count:>14,}")
        else:
            for completion in store:
                sys.stdout.buffer.write(_encode(completion))
            sys.stdout.flush()


if __name__ == "__main__":
    exit_cleanly(main)
