"""A server of the OpenAI protocol, down to its bytes, that fails by chance or hostilely; run as a process of its own.

It prints its port, then answers. Every attempt's fate is drawn by a hash of prompt and attempt, with the chances in
``--chances`` (JSON, fault → share); a prompt ``always FAULT …`` meets that fault each time. A good answer's text is
the prompt backwards, ``REPEATS`` times. What was asked, by whom (the bearer's name) and how it ended goes to ``--log``
before the answer; a server that is killed and started again reads there which attempt comes next.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import re
import socket
import struct
import sys
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from email.utils import formatdate
from pathlib import Path
from time import time
from typing import Any

LATENCY_S = 0.01
REPEATS = 100
BLOCK = b" " * 2**20
FOREVER_S = 3600.0


def draw(prompt: str, attempt: int, chances: dict[str, float]) -> str:
    """The fate of one attempt: a fault, or ``none``."""
    if prompt.startswith("always "):
        return prompt.split()[1]
    point = int.from_bytes(hashlib.sha256(f"{prompt} {attempt}".encode()).digest()[:8]) / 2**64
    for fault, chance in chances.items():
        if point < chance:
            return fault
        point -= chance
    return "none"


def good_body(payload: dict[str, Any], prompt: str) -> bytes:
    text = prompt[::-1] * REPEATS
    said = {"message": {"role": "assistant", "content": text}} if "messages" in payload else {"text": text}
    answer = {
        "choices": [{"index": 0, "finish_reason": "stop"} | said],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3},
    }
    return json.dumps(answer, ensure_ascii=False).encode()


def head(*headers: str, status: str = "200 OK", content: str = "application/json") -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status}", f"Content-Type: {content}", *headers, "", "")).encode()


def whole(body: bytes, *headers: str, status: str = "200 OK", content: str = "application/json") -> bytes:
    return head(*headers, f"Content-Length: {len(body)}", status=status, content=content) + body


def replies(body: bytes) -> dict[str, Callable[[], bytes]]:
    """What is sent at once and leaves the connection usable; ``body`` is the good one."""
    refusal = b'{"error": "not now"}'
    return {
        "none": lambda: whole(body),
        "500": lambda: whole(refusal, status="500 Internal Server Error"),
        "503": lambda: whole(b"", "Retry-After: 0", status="503 Service Unavailable"),
        "429": lambda: whole(refusal, status="429 Too Many Requests"),
        "429-after": lambda: whole(refusal, "Retry-After: 1", status="429 Too Many Requests"),
        "429-date": lambda: whole(refusal, f"Retry-After: {formatdate(time() + 1, usegmt=True)}",
                                  status="429 Too Many Requests"),
        "400": lambda: whole(b'{"error": "prompt too long"}', status="400 Bad Request"),
        "no-choice": lambda: whole(b'{"choices": []}'),
        "truncated": lambda: whole(body[: len(body) // 2]),
        "html": lambda: whole(b"<html><b>Bad gateway</b></html>", content="text/html"),
        "binary": lambda: whole(bytes(range(256)), content="application/octet-stream"),
        "no-gzip": lambda: whole(body, "Content-Encoding: gzip"),
        "mislabelled": lambda: whole(body, content="text/html; charset=latin-1"),
        "nested": lambda: whole(b"[" * 1_000_000),
    }  # fmt: skip


def hostile(body: bytes) -> dict[str, Callable[[], AsyncIterator[bytes]]]:
    """What takes time, space or the connection; the connection is closed after the last piece."""

    async def pieces(*given: bytes) -> AsyncIterator[bytes]:
        for piece in given:
            yield piece

    async def endless(first: bytes, piece: bytes, pause_s: float = 0.0) -> AsyncIterator[bytes]:
        yield first
        while True:
            yield piece
            await asyncio.sleep(pause_s)

    async def hang() -> AsyncIterator[bytes]:
        await asyncio.sleep(FOREVER_S)
        yield b""

    chunk = b"100000\r\n" + BLOCK + b"\r\n"
    packer = zlib.compressobj(wbits=31)
    # What stands between two full flushes can be repeated for ever: a thousandth of what it becomes.
    opening, packed = (packer.compress(BLOCK) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return {
        "hang": hang,
        "cut-off": lambda: pieces(whole(body)[:-20]),
        "silent-end": lambda: pieces(),
        "100MB": lambda: pieces(head("Content-Length: 104857600"), *[BLOCK] * 100),
        "100MB-string": lambda: pieces(head("Content-Length: 104857602"), b'"', *[BLOCK] * 100, b'"'),
        "endless-body": lambda: endless(head(), BLOCK),
        "endless-chunks": lambda: endless(head("Transfer-Encoding: chunked"), chunk),
        "endless-small-chunks": lambda: endless(head("Transfer-Encoding: chunked"), b"1\r\n \r\n" * 2**14),
        "endless-chunk-size": lambda: endless(head("Transfer-Encoding: chunked") + b"0", b"0" * 2**16),
        "endless-status": lambda: endless(b"HTTP/1.1 200 ", b"O" * 2**16),
        "endless-header": lambda: endless(b"HTTP/1.1 200 OK\r\nX-Long: ", b"x" * 2**16),
        "endless-headers": lambda: endless(b"HTTP/1.1 200 OK\r\n", b"X-More: x\r\n" * 1000),
        "endless-continue": lambda: endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100, 0.01),
        "dripping-header": lambda: endless(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x", 0.05),
        "dripping-body": lambda: endless(head("Content-Length: 1000000"), b" ", 0.05),
        "gzip-bomb": lambda: endless(head("Content-Encoding: gzip") + opening, packed),
        "not-http": lambda: pieces(b"SSH-2.0-OpenSSH_9.6\r\n"),
    }  # fmt: skip


def reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the peer sees a reset (RST) and not an end (FIN)."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Log:
    """The log of attempts, a JSON object a line; a line is in the kernel's hands before its answer is sent."""

    def __init__(self, path: Path) -> None:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self._attempts = Counter(json.loads(line)["prompt"] for line in lines)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def attempt(self, prompt: str) -> int:
        return self._attempts[prompt]

    def add(self, client: str, prompt: str, fate: str) -> None:
        self._attempts[prompt] += 1
        os.write(self._file, json.dumps({"client": client, "prompt": prompt, "fate": fate}).encode() + b"\n")


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, log: Log, chances: Any) -> bool:
    """One request; whether the connection can take another."""
    headers = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    length = re.search(r"(?i)\r\ncontent-length: *(\d+)", headers)
    client = re.search(r"(?i)\r\nauthorization: *bearer (\S+)", headers)
    assert length is not None
    payload = json.loads(await reader.readexactly(int(length[1])))
    prompt = payload["messages"][-1]["content"] if "messages" in payload else payload["prompt"]
    fate = draw(prompt, log.attempt(prompt), chances)
    log.add(client[1] if client is not None else "", prompt, fate)
    await asyncio.sleep(LATENCY_S)
    body = good_body(payload, prompt)
    if fate in ("reset", "reset-later"):
        if fate == "reset-later":
            writer.write(whole(body)[:-20])
            await asyncio.sleep(LATENCY_S)  # else the reset overtakes what was written
        reset(writer)
        return False
    reply = replies(body).get(fate)
    if reply is not None:
        writer.write(reply())
        await writer.drain()
        return True
    async for piece in hostile(body)[fate]():
        writer.write(piece)
        await writer.drain()
    return False


async def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--chances", type=json.loads, default={})
    arguments = parser.parse_args()
    log = Log(arguments.log)

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while await answer(reader, writer, log, arguments.chances):
                pass
        writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", arguments.port, backlog=1024)
    json.dump({"port": server.sockets[0].getsockname()[1]}, sys.stdout)
    print(flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
