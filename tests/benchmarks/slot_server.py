"""A server of chat completions with so many slots, each taken for a set latency; run as a process of its own.

It stands for a model server whose speed is known: what is beyond the slots waits in order of arrival. So that it never
is what is slow, it answers every POST with the same body and reads no more of HTTP/1.1 than the clients send. It
prints its port; ``GET /stats`` says what it saw and what CPU time it took.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque
from typing import cast

ANSWER = (
    "Natalia a vendu 48 agrafes à ses amis en avril, puis moitié moins en mai, c’est-à-dire 24. En avril et en mai "
    "réunis, elle a donc vendu 48 + 24 = 72 agrafes ; la réponse à la question posée est 72."
)
COMPLETION = {
    "id": "chatcmpl-0123456789abcdef0123456789abcdef",
    "object": "chat.completion",
    "created": 1_750_000_000,
    "model": "slots",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": ANSWER, "refusal": None, "tool_calls": []},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 160, "completion_tokens": 60, "total_tokens": 220},
}


def http_response(body: object) -> bytes:
    """A whole response with this JSON body."""
    content = json.dumps(body, ensure_ascii=False).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    return head.encode() + content


RESPONSE = http_response(COMPLETION)


class Slots:
    """The places in which requests are answered, the queue before them, and what was counted."""

    def __init__(self, slots: int, latency_s: float) -> None:
        self.free, self.slots, self.latency_s = slots, slots, latency_s
        self.queue: deque[Connection] = deque()
        self.served = self.abandoned = self.connections = self.open = self.peak_queue = self.peak_open = 0
        self.most_taken = 0
        self.loop = asyncio.get_running_loop()
        self.cpu_before = time.process_time()

    def ask(self, connection: Connection) -> None:
        """Answer this connection after the latency, or when a slot is free."""
        if self.free:
            self._take(connection)
        else:
            self.queue.append(connection)
            self.peak_queue = max(self.peak_queue, len(self.queue))

    def leave(self, connection: Connection) -> None:
        """The client went away before its answer; a slot it has is free again, as in servers that abort."""
        self.abandoned += 1
        if connection.timer is None:
            self.queue.remove(connection)
        else:
            connection.timer.cancel()
            self._release()

    def _take(self, connection: Connection) -> None:
        self.free -= 1
        self.most_taken = max(self.most_taken, self.slots - self.free)
        connection.timer = self.loop.call_later(self.latency_s, self._finish, connection)

    def _finish(self, connection: Connection) -> None:
        self.served += 1
        self._release()
        connection.answer(RESPONSE)

    def _release(self) -> None:
        self.free += 1
        if self.queue:
            self._take(self.queue.popleft())

    def stats(self) -> dict[str, float]:
        """Requests served and given up by their clients, slots and connections taken at most, seconds of CPU."""
        return {
            "served": self.served,
            "abandoned": self.abandoned,
            "peak_slots": self.most_taken,
            "peak_queue": self.peak_queue,
            "peak_connections": self.peak_open,
            "connections": self.connections - 1,  # without the one that asks for this
            "cpu_s": time.process_time() - self.cpu_before,
        }


class Connection(asyncio.Protocol):
    """One keep-alive connection; its requests are answered one after the other."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.received = bytearray()
        self.asking = False
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self.slots.connections += 1
        self.slots.open += 1
        self.slots.peak_open = max(self.slots.peak_open, self.slots.open)

    def connection_lost(self, error: Exception | None) -> None:
        """Free what its request has."""
        self.slots.open -= 1
        if self.asking:
            self.slots.leave(self)

    def data_received(self, data: bytes) -> None:
        """Take what arrived; the request may be whole now."""
        self.received += data
        if not self.asking:
            self._next_request()

    def answer(self, response: bytes) -> None:
        """Write the response, and go on with what arrived meanwhile."""
        self.asking, self.timer = False, None
        self.transport.write(response)
        if self.received:
            self._next_request()

    def _next_request(self) -> None:
        head_end = self.received.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = bytes(self.received[:head_end]).lower()
        end = head_end + 4 + content_length(head)
        if len(self.received) < end:
            return
        del self.received[:end]
        self.asking = True
        if head.startswith(b"get /stats"):
            self.answer(http_response(self.slots.stats()))
        else:
            self.slots.ask(self)


def content_length(head: bytes) -> int:
    """The length of the body that this head (in lower case) announces; 0 without one."""
    at = head.find(b"\r\ncontent-length:")
    if at < 0:
        assert b"transfer-encoding" not in head, "a chunked body, which this server cannot read"
        return 0
    end = head.find(b"\r\n", at + 2)
    return int(head[at + 17 : end if end >= 0 else len(head)])


async def serve(slots: int, latency_s: float) -> None:
    """Serve on a free port of loopback until killed."""
    state = Slots(slots, latency_s)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(state), "127.0.0.1", 0, backlog=4096)
    print(json.dumps({"port": server.sockets[0].getsockname()[1], "loop": type(loop).__module__}), flush=True)
    await server.serve_forever()


def main() -> None:
    """``slot_server.py SLOTS LATENCY_S``; on uvloop where it is installed."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        from asyncio import new_event_loop
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1]), float(sys.argv[2])))


if __name__ == "__main__":
    main()
