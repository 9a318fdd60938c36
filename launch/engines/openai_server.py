"""The engine ``openai_server``: any server that speaks the OpenAI protocol, asked by many connections at once.

``messages`` go to ``/chat/completions``, a raw ``prompt`` to ``/completions``. Whatever the server does, every request
ends as a completion or as an error completion that says why.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from email.utils import parsedate_to_datetime
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

from launch.engines.base import Completion, Request
from launch.engines.concurrency import ConcurrencyLimit
from launch.engines.config import EngineConfig
from launch.engines.identity import template_identity
from launch.engines.interrupts import interrupted_by
from launch.engines.json_text import encode_json
from launch.engines.openai_protocol import (
    PassingError,
    RefusedError,
    decode,
    excerpt,
    payload,
    read_body,
    read_completion,
)
from launch.engines.prompts import PromptRenderer
from launch.errors import InputError
from launch.thinking import GRACE_TOKENS, OPEN, budget_cut, closed_chain, ends_open

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.25, 30.0
_backoff = wait_random_exponential(multiplier=_FIRST_WAIT_S, max=_LONGEST_WAIT_S)


class OpenAIServerEngine:
    """A client of an OpenAI-compatible server.

    ``identity`` holds the model's served name and the revision, not the address: a server that moves is the same
    model. The key is read from the environment and appears in no message. A request's ``template_kwargs`` are sent as
    ``chat_template_kwargs``. A chain that the server returns apart (``reasoning_content`` or ``reasoning``) is put
    back in front of the text between ``<think>`` and ``</think>``. Whether the server's chat template opened the chain
    is known where the configuration names the tokenizer; else no chat completion is ``opened_by_prompt``.

    A request with a thinking budget is rendered here, with the tokenizer named in the configuration, and goes to
    ``/completions``: once for the chain, with room for the budget and its grace, and once more for what comes after.

    Raises:
        InputError: address, key or a number is missing or makes no sense.
    """

    def __init__(self, config: EngineConfig) -> None:
        if not config.model:
            raise InputError("the engine needs a model: give the key 'model' the name the server knows it by")
        if not config.base_url:
            raise InputError("the engine openai_server needs 'base_url', such as http://localhost:8000/v1")
        try:
            url = URL(config.base_url.rstrip("/"))
        except ValueError as error:
            raise InputError(f"base_url is not an address: {error}") from error
        if url.scheme not in ("http", "https") or not url.host:
            raise InputError("base_url must begin with http:// or https:// and name a host")
        if url.user or url.password or url.query_string:
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
        self._chat_url, self._completions_url = url / "chat/completions", url / "completions"
        self._limit = ConcurrencyLimit(config.concurrency, config.timeout_s)
        self.identity = f"openai_server {config.model}@{config.revision or 'main'}"
        self._renderer: PromptRenderer | None = None
        if config.tokenizer is not None:
            self._renderer = PromptRenderer(
                config.tokenizer,
                chat_template=config.chat_template,
                # A commit of the served weights; a tokenizer in a folder of its own has none.
                revision=config.revision if config.tokenizer == config.model else None,
                remote_code=config.trust_remote_code,
            )
            if self._renderer.template is not None:
                self.identity += f" {template_identity(self._renderer.template)}"

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Answer requests as they finish; at most ``concurrency`` are taken from the iterable ahead of the answers.

        Raises:
            InputError: a request has a thinking budget, and there is no tokenizer to render it with.
        """
        source = iter(requests)
        arrived: deque[Completion] = deque()
        tasks: set[asyncio.Task[None]] = set()
        exhausted = closing = looping = interrupted = False
        # The standard loop by name: other loops that a program may have set as its own do not stop as promptly.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            loop, session = runner.get_loop(), runner.run(self._connect())

            def stop() -> None:
                if not closing:
                    loop.stop()  # at the end of this turn of the loop: all who arrive together are taken together

            def interrupt(*_: object) -> None:
                nonlocal interrupted
                if interrupted or not looping:  # pressed again, or while the answers are being used
                    raise KeyboardInterrupt
                interrupted = True
                loop.call_soon_threadsafe(stop)  # which also wakes the loop

            async def answer(key: str, request: Request) -> None:
                try:
                    arrived.append(await self._answer(session, key, request))
                finally:
                    task = asyncio.current_task()
                    assert task is not None
                    tasks.discard(task)  # now: a callback would come when the loop has stopped already
                    stop()

            try:
                with interrupted_by(interrupt):  # once for all turns of the loop: it takes 40 microseconds
                    while not exhausted or tasks or arrived:
                        looping = True
                        while not exhausted and not interrupted and self._limit.room(len(tasks)):
                            request = next(source, None)
                            if request is None:
                                exhausted = True
                                break
                            if request.thinking_budget is not None or self._renderer is not None:
                                self._load_renderer()
                            key = request.key(self.identity)  # here, so that what cannot have one ends the run
                            tasks.add(loop.create_task(answer(key, request)))
                        if tasks and not arrived and not interrupted:
                            loop.run_forever()
                        looping = False
                        while arrived:
                            yield arrived.popleft()
                        if interrupted:
                            raise KeyboardInterrupt  # now that what arrived is given
                        if not tasks and not exhausted:  # nobody is under way, and nobody may ask yet
                            time.sleep(max(self._limit.pause_s(), 0.0))
            finally:
                closing = True
                runner.run(_disconnect(session, list(tasks)))

    def _load_renderer(self) -> None:
        if self._renderer is None:
            raise InputError(
                "a thinking budget behind a server needs the engine's key 'tokenizer': the hub name or folder of the "
                "served model's tokenizer, to render the prompt that the server continues"
            )
        self._renderer.load()

    def close(self) -> None:
        """Nothing to release: connections live only while ``generate`` runs."""

    async def _connect(self) -> aiohttp.ClientSession:
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        connector = aiohttp.TCPConnector(limit=self._config.concurrency, keepalive_timeout=60)
        timeout = aiohttp.ClientTimeout(total=self._config.timeout_s)
        # trust_env stays off: a .netrc must not replace the key. Redirects stay off: the key is for this host.
        return aiohttp.ClientSession(headers=headers, connector=connector, timeout=timeout)

    async def _answer(self, session: aiohttp.ClientSession, key: str, request: Request) -> Completion:
        """One request with all its attempts; never raises."""
        if request.answer is not None:
            return Completion(key, "", "error", error="a server only generates; likelihoods need an engine of kind hf")
        if request.adapter is not None:
            reason = "the server knows its adapters by model names; adapters of single requests need another engine"
            return Completion(key, "", "error", error=reason)
        faults = ["no answer"]
        try:
            async with asyncio.timeout(self._config.deadline_s):
                if request.thinking_budget is not None:
                    return await self._think(session, key, request, faults)
                # Before anything is sent: a template that refuses the messages is a fault of 500 at most servers.
                opened = self._opens(request)
                completion = read_completion(key, request, await self._ask(session, request, faults))
                if opened is None or completion.text.startswith(OPEN):
                    return completion
                return replace(completion, opened_by_prompt=opened)
        except TimeoutError:
            last = f"no answer within {self._config.deadline_s:g} s; the last attempt: {faults[-1]}"
        except PassingError as error:
            last = f"{error} ({self._config.max_retries + 1} attempts)"
        except Exception as error:  # a message may hold anything, also what JSON cannot
            last = str(error) if isinstance(error, RefusedError) else f"{type(error).__name__}: {error}"
        return Completion(key, "", "error", error=self._without_key(" ".join(last.split()))[:500])

    def _opens(self, request: Request) -> bool | None:
        """Whether the chat template opens the chain; only the tokenizer tells, no server says so."""
        if self._renderer is None or request.messages is None:
            return None
        return ends_open(self._renderer.prompt(request))

    async def _think(
        self, session: aiohttp.ClientSession, key: str, request: Request, faults: list[str]
    ) -> Completion:
        """Both requests of one with a thinking budget: its chain, then what follows the closed chain."""
        renderer, budget, most = self._renderer, request.thinking_budget, request.sampling.max_new_tokens
        assert renderer is not None
        assert budget is not None
        prompt, limit = renderer.prompt(request), min(most, budget + GRACE_TOKENS)

        async def ask(text: str, room: int) -> Completion:
            part = replace(
                request, prompt=text, messages=None, sampling=replace(request.sampling, max_new_tokens=room)
            )
            return read_completion(key, part, await self._ask(session, part, faults))

        first = await ask(prompt, limit)
        cut_off = first.finish_reason == "length"
        within = renderer.characters(first.text, budget)
        exhausted = cut_off and limit == budget + GRACE_TOKENS
        cut = budget_cut(first.text, first.opened_by_prompt, within=within, exhausted=exhausted)
        if cut is None and (not cut_off or limit == most):
            return first
        kept, begun, used = first.text, first.text, limit  # without a cut, it is the answer that goes on
        if cut is not None:
            kept = first.text[: cut[0]]
            begun, used = closed_chain(kept), renderer.tokens(kept)
        if used >= most:
            return replace(first, finish_reason="length")
        second = await ask(prompt + begun, most - used)
        return replace(
            first,
            text=begun + second.text,
            finish_reason=second.finish_reason,
            completion_tokens=used + second.completion_tokens,
            thinking_cut=None if cut is None else cut[1],
        )

    async def _ask(
        self,
        session: aiohttp.ClientSession,
        request: Request,
        faults: list[str],
    ) -> dict[str, Any]:
        """The body of a successful answer, after some attempts; what went wrong is added to ``faults``."""
        body = payload(self._config.model, request)
        if self._renderer is not None and self._renderer.hides_tags:
            body["skip_special_tokens"] = False  # the tags of the chain are special tokens
        url = self._chat_url if request.messages is not None else self._completions_url
        try:
            return await self._post(session, url, body)
        except PassingError as error:
            first = error
            faults.append(str(error))
        # Entered only once something went wrong: it costs as much as a fifth of a request that goes well.
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(PassingError),
            stop=stop_after_attempt(self._config.max_retries + 1),
            wait=_wait,
            sleep=self._limit.sleep,
            reraise=True,
        )
        async for attempt in attempts:
            with attempt:
                if attempt.retry_state.attempt_number == 1:
                    raise first
                try:
                    return await self._post(session, url, body)
                except PassingError as error:
                    faults.append(str(error))
                    raise
        raise AssertionError("the last attempt raises")

    async def _post(self, session: aiohttp.ClientSession, url: URL, body: dict[str, Any]) -> dict[str, Any]:
        """One attempt, when the limit lets it go: the decoded body of a successful answer."""
        ticket = await self._limit.acquire()
        answered, failure = False, None
        try:
            answer = await self._send(session, url, body)
            answered = True
            return answer
        except PassingError as error:
            failure = error
            raise
        finally:
            advice = failure.retry_after_s if failure is not None else None
            self._limit.release(ticket, answered=answered, pushed_back=failure is not None, retry_after_s=advice)

    async def _send(self, session: aiohttp.ClientSession, url: URL, body: dict[str, Any]) -> dict[str, Any]:
        try:
            async with session.post(url, data=encode_json(body), allow_redirects=False) as response:
                content = await read_body(response)
        except TimeoutError as error:
            raise PassingError(f"no answer within {self._config.timeout_s:g} s") from error
        except aiohttp.ClientResponseError as error:
            raise PassingError(f"the answer is not HTTP: {error.message}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise PassingError(f"the connection broke: {type(error).__name__}: {error}") from error
        if response.status in (408, 425, 429) or response.status >= 500:
            raise PassingError(f"status {response.status}: {excerpt(content)}", _retry_after(response))
        if response.status != 200:
            raise RefusedError(f"status {response.status}: {excerpt(content)}{_advice(body, content)}")
        return decode(content, response.content_type)

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "[key]") if self._key else text


def _advice(body: dict[str, Any], refusal: bytes) -> str:
    """What to do about a server that does not take ``skip_special_tokens``."""
    if "skip_special_tokens" not in body or b"skip_special_tokens" not in refusal:
        return ""
    return (
        "; this server leaves special tokens out of its text, and the tags of the chain are special tokens of this "
        "model: serve what 'python -m launch.export' makes of the checkpoint"
    )


async def _disconnect(session: aiohttp.ClientSession, tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)
    await session.close()


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    advice = error.retry_after_s if isinstance(error, PassingError) else None
    # With the server's advice, all who got it would come back at once: spread them a little.
    return _backoff(state) if advice is None else advice + _backoff(state) / 4


def _retry_after(response: aiohttp.ClientResponse) -> float | None:
    """Seconds that the server asks to wait (RFC 9110, section 10.2.3: a number or a date), within reason."""
    value = response.headers.get("Retry-After", "").strip()
    if not value:
        return None
    try:
        seconds = float(value) if value[0].isdigit() else parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), _LONGEST_WAIT_S)
