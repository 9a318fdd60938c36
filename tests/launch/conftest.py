"""Server processes on loopback that tests can kill and start again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest


class ServerProcess:
    """A script of this folder that prints ``{"port": …}`` and then serves; started again, it keeps its port."""

    def __init__(self, script: str, *arguments: str) -> None:
        self._command = [sys.executable, str(Path(__file__).with_name(script)), *arguments]
        self._port: int | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Return when connections are taken."""
        port = [] if self._port is None else ["--port", str(self._port)]
        self._process = subprocess.Popen([*self._command, *port], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._port = json.loads(self._process.stdout.readline())["port"]

    def kill(self) -> None:
        """SIGKILL: every connection breaks, nothing is said."""
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def serve() -> Iterator[Callable[..., ServerProcess]]:
    """``serve(script, *arguments)`` starts a server, which ends with the test."""
    with ExitStack() as started:

        def start(script: str, *arguments: str) -> ServerProcess:
            server = ServerProcess(script, *arguments)
            started.callback(server.kill)
            return server

        yield start
