"""What is sent to an OpenAI-compatible server and what comes back, every part of which may be missing or wrong."""

from __future__ import annotations

import unicodedata
from typing import Any

import aiohttp

from launch.engines.base import Completion, FinishReason, Request
from launch.engines.json_text import decode_json, encode_json
from launch.thinking import CLOSE, OPEN, ends_open

_MAX_BODY_BYTES = 16 * 2**20
_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
}


class RefusedError(Exception):
    """The server's answer to this request is no; asking again would not change it."""


class PassingError(Exception):
    """Something that may be gone on the next attempt; ``retry_after_s`` is the server's own advice, in seconds."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


def payload(model: str, request: Request) -> dict[str, Any]:
    """The body to send for a request: chat form for ``messages``, plain form for a ``prompt``."""
    sampling = request.sampling
    body: dict[str, Any] = {
        "model": model,
        "temperature": sampling.temperature,
        "max_tokens": sampling.max_new_tokens,
        # Another attempt is another draw; the key holds both seed and attempt.
        "seed": int(request.draw_key()[:7], 16),
    }
    if sampling.temperature > 0:
        body["top_p"] = sampling.top_p
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if request.messages is None:
        return body | {"prompt": request.prompt}
    if request.template_kwargs:
        body["chat_template_kwargs"] = request.template_kwargs
    return body | {"messages": list(request.messages)}


async def read_body(response: aiohttp.ClientResponse) -> bytes:
    """The body of a response, up to 16 MiB.

    Raises:
        RefusedError: it is longer, or has no end.
    """
    parts, size = [], 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > _MAX_BODY_BYTES:
            response.close()  # the rest is not wanted, however long it is
            raise RefusedError(f"the answer is longer than {_MAX_BODY_BYTES // 2**20} MiB; it was cut off")
    return b"".join(parts)


def decode(body: bytes, content_type: str) -> dict[str, Any]:
    """The JSON object in a body.

    Raises:
        PassingError: it is none, as when it was cut off on the way or a proxy sent a page of its own.
    """
    try:
        answer = decode_json(body)
    except (ValueError, RecursionError) as error:
        raise PassingError(f"the answer is not JSON ({content_type}): {excerpt(body)}") from error
    if not isinstance(answer, dict):
        raise PassingError(f"the answer is not a JSON object: {excerpt(body)}")
    return answer


def read_completion(key: str, request: Request, answer: dict[str, Any]) -> Completion:
    """The completion in an answer.

    Raises:
        RefusedError: the answer holds none.
    """
    choices = answer.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        raise RefusedError(f"the answer holds no choice: {excerpt(encode_json(answer))}")
    given = choice.get("finish_reason")
    reason = _REASONS.get(given) if isinstance(given, str) else None
    if reason is None:
        raise RefusedError(f"finish reason {str(given)[:50]!r} instead of stop or length")
    if request.messages is None:
        text: Any = choice.get("text")
    else:
        message = choice.get("message")
        text = _message_text(message, reason) if isinstance(message, dict) else None
    if not isinstance(text, str):
        raise RefusedError(f"the answer holds no text: {excerpt(encode_json(answer))}")
    stops = [at for stop in request.sampling.stop if stop and (at := text.find(stop)) != -1]
    if stops:  # transformers serve leaves the stop string in the text
        text, reason = text[: min(stops)], "stop"
    usage = answer.get("usage")
    return Completion(
        key=key,
        text=text,
        finish_reason=reason,
        prompt_tokens=_count(usage, "prompt_tokens"),
        completion_tokens=_count(usage, "completion_tokens"),
        opened_by_prompt=request.prompt is not None and ends_open(request.prompt),
    )


def excerpt(body: bytes) -> str:
    """The beginning of a body, on one line and without control characters, which a terminal would obey."""
    text = body[:300].decode("utf-8", "replace")
    return " ".join("".join(" " if unicodedata.category(char) == "Cc" else char for char in text).split())


def _message_text(message: dict[str, Any], reason: FinishReason) -> Any:
    content = message.get("content")
    chain = message.get("reasoning_content") or message.get("reasoning")
    if not isinstance(chain, str):
        return content
    # Without content the chain was never closed: a server that parts them leaves it out (or empty, cut at the length).
    if content is None or (content == "" and reason == "length"):
        return f"{OPEN}\n{chain}"
    return f"{OPEN}\n{chain}\n{CLOSE}\n{content}" if isinstance(content, str) else content


def _count(usage: Any, name: str) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and value >= 0 else 0
