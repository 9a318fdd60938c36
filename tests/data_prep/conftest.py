"""What the tests of builds share: a language model behind a real server."""

from __future__ import annotations

import http.server
import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from launch.engines import EngineConfig


def pytest_addoption(parser: pytest.Parser) -> None:
    """How often, and when, builds are killed; known where this folder or a file in it is named on the command line."""
    parser.addoption("--kills", type=int, default=5, help="how often test_build_kills kills a build")
    parser.addoption("--kill-seed", type=int, default=0, help="at which moments")


Answer = Callable[[list[dict[str, Any]]], str]


@contextmanager
def _serving(answer: Answer) -> Iterator[EngineConfig]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            turns = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"]
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": answer(turns)}}
            body = json.dumps({"choices": [choice], "usage": {"prompt_tokens": 30, "completion_tokens": 10}}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            if not isinstance(sys.exception(), ConnectionError):  # a build that was killed takes no answer
                super().handle_error(request, client_address)

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/v1"
        yield EngineConfig(kind="openai_server", model="translator", base_url=address, max_retries=0)
        server.shutdown()


@pytest.fixture(scope="session")
def serving() -> Callable[[Answer], AbstractContextManager[EngineConfig]]:
    """Serve a model that is a function of the chat's turns, 30 tokens in and 10 out each time; the way to reach it."""
    return _serving
