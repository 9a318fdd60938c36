"""A server that speaks the OpenAI protocol and misbehaves as the prompt asks; run as a process of its own.

It prints its port, then answers. The prompt (or the last message) is ``fault:count:text``: the first ``count`` times
the fault, afterwards ``text``; a text with ``<think>`` is continued. ``GET /log`` lists what was asked, in order, with
the headers.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from email.utils import formatdate
from time import time
from typing import Any

from aiohttp import web

LOG: list[dict[str, Any]] = []
SEEN: Counter[str] = Counter()
IN_FLIGHT = {"now": 0, "most": 0}


def answer(payload: dict[str, Any], text: str) -> dict[str, Any]:
    """A regular answer; some texts name a special form of it."""
    finish = "length" if text.startswith("cut") else "filtered" if text.startswith("filtered") else "stop"
    choice: dict[str, Any] = {"index": 0, "finish_reason": finish}
    if "messages" in payload:
        forms: dict[str, dict[str, Any]] = {
            "apart": {"content": "4", "reasoning_content": "2 + 2"},
            "newer": {"content": "4", "reasoning": "2 + 2"},
            "cut chain": {"content": None, "reasoning_content": "2 +"},
            "no chain": {"content": "4", "reasoning_content": None},
            "list": {"content": ["4"]},
        }
        choice["message"] = {"role": "assistant", **forms.get(text, {"content": text})}
    else:
        choice["text"] = text
    return {"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}


def think(payload: dict[str, Any], text: str) -> dict[str, Any]:
    """Continue a prompt ``chain|answer<think>…`` as a model would whose tokens are characters; / is a line break."""
    question, _, written = text.partition("<think>\n")
    chain, _, solution = question.partition("|")
    whole = f"{chain}</think>{solution}".replace("/", "\n").replace("<\nthink>", "</think>")
    rest = whole[len(written) :] if whole.startswith(written) else solution
    made = rest[: payload["max_tokens"]]
    usage = {"prompt_tokens": len(text) - len(written), "completion_tokens": len(made)}
    return {"choices": [{"text": made, "finish_reason": "length" if made != rest else "stop"}], "usage": usage}


async def misbehave(request: web.Request, fault: str) -> web.StreamResponse:
    """One of the faults a server or a proxy shows."""
    if fault == "reset":
        assert request.transport is not None
        request.transport.abort()
        return web.Response()
    if fault == "noise":
        assert request.transport is not None
        request.transport.write(b"\x16\x03\x01 this is no HTTP\r\n\r\n")  # type: ignore[attr-defined]
        return web.Response()
    if fault == "escape":
        return web.Response(status=400, body=b"no\x1b[2J\x07 way\xc2\x9b31m")
    if fault == "hang":
        await asyncio.sleep(60)
    if fault == "html":
        return web.Response(text="<html><b>Bad gateway</b></html>", content_type="text/html")
    if fault == "truncated":
        return web.Response(text='{"choices": [{"text": "hal', content_type="application/json")
    if fault == "list":
        return web.json_response([1, 2])
    if fault == "empty":
        return web.json_response({"choices": []})
    if fault == "redirect":
        return web.Response(status=307, headers={"Location": "/elsewhere"})
    if fault == "echo-key":
        return web.json_response({"error": f"wrong key {request.headers.get('Authorization')}"}, status=401)
    if fault == "endless":
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for _ in range(1000):
            await response.write(b" " * 2**20)
        return response
    status, _, after = fault.partition("@")
    if after == "date":
        after = formatdate(time() + 20, usegmt=True)
    return web.json_response({"error": "no"}, status=int(status), headers={"Retry-After": after} if after else {})


async def complete(request: web.Request) -> web.StreamResponse:
    """Both paths of the protocol."""
    payload = await request.json()
    LOG.append({"path": request.path, "headers": dict(request.headers), "payload": payload})
    prompt = payload["prompt"] if "prompt" in payload else payload["messages"][-1]["content"]
    fault, count, text = prompt.split(":", 2)
    SEEN[prompt] += 1
    IN_FLIGHT["now"] += 1
    IN_FLIGHT["most"] = max(IN_FLIGHT.values())
    try:
        if SEEN[prompt] <= int(count):
            return await misbehave(request, fault)
        await asyncio.sleep(0.01)
        return web.json_response((think if "<think>" in text else answer)(payload, text))
    finally:
        IN_FLIGHT["now"] -= 1


async def main() -> None:
    """Serve on a free port of loopback until killed."""
    app = web.Application()
    app.router.add_post("/v1/completions", complete)
    app.router.add_post("/v1/chat/completions", complete)

    async def log(_: web.Request) -> web.Response:
        return web.json_response({"log": LOG, "most_in_flight": IN_FLIGHT["most"]})

    app.router.add_get("/log", log)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
