"""The engine ``openai_server``: any server that speaks the OpenAI protocol, asked by many connections at once.

``messages`` go to ``/chat/completions``, a raw ``prompt`` to ``/completions``. Whatever the server does, every request
ends as a completion or as an error completion that says why.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections import deque
from collections.abc import Iterable, Iterator
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

import aiohttp
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)
from yarl import URL

from launch.engines.base import Completion, FinishReason, Request
from launch.engines.config import EngineConfig
from launch.errors import InputError
from launch.thinking import CLOSE, OPEN, ends_open

_MAX_BODY_BYTES = 16 * 2**20
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.25, 30.0
_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
}
_backoff = wait_random_exponential(multiplier=_FIRST_WAIT_S, max=_LONGEST_WAIT_S)


class _RefusedError(Exception):
    """The server's answer to this request is no; asking again would not change it."""


class _PassingError(Exception):
    """Something that may be gone on the next attempt; ``retry_after_s`` is the server's own advice."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class OpenAIServerEngine:
    """A client of an OpenAI-compatible server.

    ``identity`` holds the model's served name and the revision, not the address: a server that moves is the same
    model. The key is read from the environment and appears in no message. A request's ``template_kwargs`` are sent as
    ``chat_template_kwargs``. A chain that the server returns apart (``reasoning_content`` or ``reasoning``) is put
    back in front of the text between ``<think>`` and ``</think>``.

    Raises:
        InputError: address, key or a number is missing or makes no sense.
    """

    def __init__(self, config: EngineConfig) -> None:
        if not config.model:
            raise InputError("the engine needs a model: give the key 'model' the name the server knows it by")
        if not config.base_url:
            raise InputError("the engine openai_server needs 'base_url', such as http://localhost:8000/v1")
        try:
            self._url = URL(config.base_url.rstrip("/"))
        except ValueError as error:
            raise InputError(f"base_url is not an address: {error}") from error
        if self._url.scheme not in ("http", "https") or not self._url.host:
            raise InputError("base_url must begin with http:// or https:// and name a host")
        if self._url.user or self._url.password or self._url.query_string:
            raise InputError("base_url must hold no user, password or query; name the key's variable in 'api_key_env'")
        for name in ("concurrency", "timeout_s", "deadline_s"):
            if getattr(config, name) <= 0:
                raise InputError(f"{name} must be above 0, not {getattr(config, name)}")
        if config.max_retries < 0:
            raise InputError(f"max_retries must be 0 or more, not {config.max_retries}")
        self._key = os.environ.get(config.api_key_env, "").strip() if config.api_key_env else ""
        if config.api_key_env and not self._key:
            raise InputError(f"the environment variable {config.api_key_env}, named by 'api_key_env', is not set")
        self._config = config
        self.identity = f"openai_server {config.model}@{config.revision or 'main'}"

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Answer requests as they finish; at most ``concurrency`` are taken from the iterable ahead of the answers."""
        source = iter(requests)
        arrived: deque[Completion] = deque()
        tasks: set[asyncio.Task[None]] = set()
        exhausted = False
        with asyncio.Runner() as runner:
            session, news = runner.run(self._connect())

            async def answer(request: Request) -> None:
                arrived.append(await self._answer(session, request))
                news.set()

            async def wait() -> None:
                await news.wait()
                news.clear()

            def start(request: Request) -> None:
                task = runner.get_loop().create_task(answer(request))
                tasks.add(task)
                task.add_done_callback(tasks.discard)

            try:
                while not exhausted or tasks or arrived:
                    while not exhausted and len(tasks) < self._config.concurrency:
                        request = next(source, None)
                        if request is None:
                            exhausted = True
                        else:
                            start(request)
                    if tasks and not arrived:
                        runner.get_loop().run_until_complete(wait())  # lighter than runner.run, once an answer
                    while arrived:
                        yield arrived.popleft()
            finally:
                runner.run(_disconnect(session, list(tasks)))

    def close(self) -> None:
        """Nothing to release: connections live only while ``generate`` runs."""

    async def _connect(self) -> tuple[aiohttp.ClientSession, asyncio.Event]:
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        connector = aiohttp.TCPConnector(limit=self._config.concurrency, keepalive_timeout=60)
        timeout = aiohttp.ClientTimeout(total=self._config.timeout_s)
        # trust_env stays off: a .netrc must not replace the key. Redirects stay off: the key is for this host.
        session = aiohttp.ClientSession(headers=headers, connector=connector, timeout=timeout)
        return session, asyncio.Event()

    async def _answer(self, session: aiohttp.ClientSession, request: Request) -> Completion:
        """One request with all its attempts; never raises."""
        key = request.key(self.identity)
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(_PassingError),
            stop=stop_after_attempt(self._config.max_retries + 1),
            wait=_wait,
            reraise=True,
        )
        if request.answer is not None:
            return Completion(key, "", "error", error="a server only generates; likelihoods need an engine of kind hf")
        last = "no answer"
        try:
            async with asyncio.timeout(self._config.deadline_s):
                async for attempt in attempts:
                    with attempt:
                        try:
                            body = await self._post(session, request)
                            return _completion(key, request, body)
                        except _PassingError as error:
                            last = str(error)
                            raise
        except TimeoutError:
            last = f"no answer within {self._config.deadline_s:g} s; the last attempt: {last}"
        except _PassingError as error:
            last = f"{error} ({self._config.max_retries + 1} attempts)"
        except Exception as error:  # a message may hold anything, also what JSON cannot
            last = str(error) if isinstance(error, _RefusedError) else f"{type(error).__name__}: {error}"
        return Completion(key, "", "error", error=self._without_key(" ".join(last.split()))[:500])

    async def _post(self, session: aiohttp.ClientSession, request: Request) -> dict[str, Any]:
        """One attempt: the decoded body of a successful answer."""
        path = "chat/completions" if request.messages is not None else "completions"
        payload = _payload(self._config.model, request)
        try:
            async with session.post(self._url / path, json=payload, allow_redirects=False) as response:
                body = await _read(response)
                if response.status in (408, 425, 429) or response.status >= 500:
                    raise _PassingError(f"status {response.status}: {_excerpt(body)}", _retry_after(response))
                if response.status != 200:
                    raise _RefusedError(f"status {response.status}: {_excerpt(body)}")
        except TimeoutError as error:
            raise _PassingError(f"no answer within {self._config.timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise _PassingError(f"the connection broke: {type(error).__name__}: {error}") from error
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError) as error:  # cut off on the way, or the page of a proxy
            raise _PassingError(f"the answer is not JSON ({response.content_type}): {_excerpt(body)}") from error
        if not isinstance(answer, dict):
            raise _PassingError(f"the answer is not a JSON object: {_excerpt(body)}")
        return answer

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "[key]") if self._key else text


async def _disconnect(session: aiohttp.ClientSession, tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)
    await session.close()


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(2**16):
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            response.close()  # the rest is not wanted, however long it is
            raise _RefusedError(f"the answer is longer than {_MAX_BODY_BYTES // 2**20} MiB; it was cut off")
    return bytes(body)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    advice = error.retry_after_s if isinstance(error, _PassingError) else None
    # With the server's advice, all who got it would come back at once: spread them a little.
    return _backoff(state) if advice is None else advice + _backoff(state) / 4


def _retry_after(response: aiohttp.ClientResponse) -> float | None:
    """Seconds that the server asks to wait (RFC 9110, section 10.2.3: a number or a date), within reason."""
    value = response.headers.get("Retry-After", "").strip()
    if not value:
        return None
    try:
        seconds = float(value) if value[0].isdigit() else parsedate_to_datetime(value).timestamp() - time()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), _LONGEST_WAIT_S)


def _payload(model: str, request: Request) -> dict[str, Any]:
    sampling = request.sampling
    payload: dict[str, Any] = {
        "model": model,
        "temperature": sampling.temperature,
        "max_tokens": sampling.max_new_tokens,
        # Another attempt is another draw; the key holds both seed and attempt.
        "seed": int(request.key("")[:7], 16),
    }
    if sampling.temperature > 0:
        payload["top_p"] = sampling.top_p
    if sampling.stop:
        payload["stop"] = list(sampling.stop)
    if request.messages is None:
        return payload | {"prompt": request.prompt}
    if request.template_kwargs:
        payload["chat_template_kwargs"] = request.template_kwargs
    return payload | {"messages": list(request.messages)}


def _completion(key: str, request: Request, answer: dict[str, Any]) -> Completion:
    """Read an answer, whose every part may be missing or of another type."""
    choices = answer.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        raise _RefusedError(f"the answer holds no choice: {_excerpt(json.dumps(answer).encode())}")
    given = choice.get("finish_reason")
    reason = _REASONS.get(given) if isinstance(given, str) else None
    if reason is None:
        raise _RefusedError(f"finish reason {str(given)[:50]!r} instead of stop or length")
    if request.messages is None:
        text: Any = choice.get("text")
    else:
        message = choice.get("message")
        text = _message_text(message, reason) if isinstance(message, dict) else None
    if not isinstance(text, str):
        raise _RefusedError(f"the answer holds no text: {_excerpt(json.dumps(answer).encode())}")
    usage = answer.get("usage")
    return Completion(
        key=key,
        text=text,
        finish_reason=reason,
        prompt_tokens=_count(usage, "prompt_tokens"),
        completion_tokens=_count(usage, "completion_tokens"),
        opened_by_prompt=request.prompt is not None and ends_open(request.prompt),
    )


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


def _excerpt(body: bytes) -> str:
    return " ".join(body[:300].decode("utf-8", "replace").split())
