"""Equality of mathematical expressions by math-verify, in a process of its own with a deadline.

sympy can take for ever or all memory on hostile input, and its parsers belong nowhere near the grader's process.
"""

from __future__ import annotations

import atexit
import functools
import json
import queue
import subprocess
import sys
import threading

from launch.errors import InputError

DEADLINE_SECONDS = 5.0
_START_SECONDS = 180.0
_GREETING = "ready"
_LONGEST = 1_000
_MEMORY_BYTES = 4 * 1024**3


class _Verifier:
    """One worker process, started when first needed and again after every deadline that was missed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str] = queue.Queue()
        self._lock = threading.Lock()
        atexit.register(self.stop)

    def equal(self, gold: str, answer: str) -> bool:
        with self._lock:
            process = self._process or self._start()
            try:
                assert process.stdin is not None
                process.stdin.write(json.dumps([gold, answer]) + "\n")
                process.stdin.flush()
                return bool(json.loads(self._lines.get(timeout=DEADLINE_SECONDS)))
            except (queue.Empty, OSError, ValueError):
                self.stop()
                return False

    def _start(self) -> subprocess.Popen[str]:
        self._lines = queue.Queue()
        process = subprocess.Popen(
            [sys.executable, "-m", "eval.symbolic"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        self._process = process
        threading.Thread(target=self._read, args=(process, self._lines), daemon=True).start()
        try:
            greeting = self._lines.get(timeout=_START_SECONDS)  # once the worker's imports are done
        except queue.Empty:
            greeting = ""
        if greeting.strip() != _GREETING:
            self.stop()
            raise InputError(
                "expressions cannot be compared: math-verify does not start; run: pip install math-verify"
            )
        return process

    @staticmethod
    def _read(process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line)
        lines.put("")  # the worker is gone: json.loads fails at once instead of at the deadline

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


_VERIFIER = _Verifier()


@functools.lru_cache(maxsize=4096)
def equal(gold: str, answer: str) -> bool:
    """Whether two expressions (LaTeX or plain) are equal; False when that takes longer than the deadline.

    A string that is too long to be an answer is never sent.

    Raises:
        InputError: math-verify is not installed.
    """
    if len(gold) > _LONGEST or len(answer) > _LONGEST:
        return False
    return _VERIFIER.equal(gold, answer)


def _worker() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

    targets = (LatexExtractionConfig(), ExprExtractionConfig())
    print(_GREETING, flush=True)
    for line in sys.stdin:
        gold, answer = json.loads(line)
        try:
            # No timeouts of its own: they need signals, and the parent's deadline holds for all of it.
            forms = [
                parse(
                    text if "$" in text else f"${text}$",
                    extraction_config=targets,
                    parsing_timeout=None,
                )
                for text in (gold, answer)
            ]
            verdict = bool(forms[0]) and bool(forms[1]) and verify(*forms, timeout_seconds=None)
        except Exception:  # whatever sympy raises, the expressions were not shown to be equal
            verdict = False
        print(json.dumps(bool(verdict)), flush=True)


if __name__ == "__main__":
    _worker()
