"""A judge behind the OpenAI protocol, as a process of its own: it says whether the sum in a chain is right.

It prints its port, then answers. A sum of 42 makes it ramble, one of 44 is refused, and before it says something about
one of 20 it thinks the opposite. ``GET /log`` lists the messages that reached it.
"""

from __future__ import annotations

import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LOG: list[str] = []


def verdict(message: str) -> str | None:
    """What the judge says of the chain in a message; None: nothing."""
    work = message.partition("<work>")[2].partition("</work>")[0]
    a, b, total = map(int, re.findall(r"(\d+) \+ (\d+) = (\d+)", work)[0])
    if total == 44:
        return None
    if total == 42:
        return "On the whole a fine piece of work, I would say yes."
    thought = "<think>\nfacts: no\nsteps: no\ncomplete: no\n</think>\n\n" if total == 20 else ""
    return f"{thought}**facts**: yes\nsteps: {'yes' if a + b == total else 'No.'}\n- complete: Yes"


class Handler(BaseHTTPRequestHandler):
    """The one path of the protocol that is needed, and the log."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The messages so far."""
        self._send(200, LOG)

    def do_POST(self) -> None:
        """A verdict, or a refusal."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = request["messages"][-1]["content"]
        LOG.append(message)
        said = verdict(message)
        if said is None:
            self._send(400, {"error": "not this one"})
            return
        choice = {"message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
        self._send(200, {"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 9}})

    def _send(self, status: int, content: Any) -> None:
        payload = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


if __name__ == "__main__":
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        print(json.dumps({"port": server.server_address[1]}), flush=True)
        server.serve_forever()
