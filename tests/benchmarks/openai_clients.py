"""One client of a server of chat completions, as a process: it asks for so many seconds and prints what that took.

``openai_clients.py CLIENT BASE_URL IN_FLIGHT SECONDS TEXTS``; every client gets the same prompts and may have the same
number of requests in flight. Timeouts, retries and event loop are each client's own defaults; ``ours_default`` is not
told the number of requests either.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from launch.engines import EngineConfig

MODEL = "slots"
MAX_TOKENS = 256
PATIENCE_S = 180  # how long a client may take to start and to end, beyond its seconds of load
_INSTRUCTION = "Translate the following line into French. Write the translation inside 〘〙 and nothing else.\n\n"
_SENTENCES = (
    "{name} has {a} marbles and buys {b} more at the market.",
    "A train travels {a} kilometres in {b} minutes without stopping.",
    "The recipe needs {a} grams of flour and {b} grams of sugar.",
    "{name} reads {a} pages on Monday and twice as many on Tuesday.",
    "Each of the {a} boxes holds {b} pencils, and two boxes are empty.",
    "After paying ${a}.{b:02d} for the tickets, {name} shares what is left with a friend.",
    "Let $x^2 + {a}x = {b}$; how many real solutions does the equation have?",
)
_NAMES = ("Natalia", "Weng", "Zoë", "Julien", "Tomás", "Ayşe", "Betty", "Ken")

# Asks about every text and counts what came back: answers and, where there was none, errors.
Client = Callable[[str, Iterable[str], int, Path], Counter[str]]


def prompts(count: int, seed: int) -> list[str]:
    """Distinct prompts of 300 to 800 characters, the size of a line to translate with its instruction."""
    draw = random.Random(seed)
    texts = []
    for number in range(count):
        text, length = f"{_INSTRUCTION}Problem {number}.", draw.randint(300, 720)
        while len(text) < length:
            sentence = draw.choice(_SENTENCES)
            text += " " + sentence.format(name=draw.choice(_NAMES), a=draw.randint(2, 99), b=draw.randint(2, 99))
        texts.append(text)
    return texts


def messages(text: str) -> list[dict[str, str]]:
    """The chat that asks this text."""
    return [{"role": "user", "content": text}]


def ask_ours(base_url: str, texts: Iterable[str], in_flight: int, folder: Path) -> Counter[str]:
    """The product as a build or an evaluation uses it, with every completion written to the store in ``folder``."""
    from launch.engines import EngineConfig

    return _complete(
        EngineConfig(kind="openai_server", model=MODEL, base_url=base_url, concurrency=in_flight), texts, folder
    )


def ask_ours_default(base_url: str, texts: Iterable[str], in_flight: int, folder: Path) -> Counter[str]:
    """The same, but the engine has to find out how many requests in flight pay off."""
    from launch.engines import EngineConfig

    return _complete(EngineConfig(kind="openai_server", model=MODEL, base_url=base_url), texts, folder)


def _complete(config: EngineConfig, texts: Iterable[str], folder: Path) -> Counter[str]:
    from launch.engines import Request, Sampling, open_engine
    from launch.engines.store import CompletionStore, complete

    sampling = Sampling(max_new_tokens=MAX_TOKENS)
    requests = (Request(messages=tuple(messages(text)), sampling=sampling) for text in texts)
    engine = open_engine(config)
    outcome: Counter[str] = Counter()
    with CompletionStore(folder) as store:
        for completion in complete(engine, requests, store):
            outcome[completion.error or completion.text] += 1
    engine.close()
    return outcome


def ask_openai(base_url: str, texts: Iterable[str], in_flight: int, folder: Path) -> Counter[str]:
    """The ``openai`` client behind a semaphore."""
    from openai import AsyncOpenAI

    async def run() -> Counter[str]:
        async with AsyncOpenAI(base_url=base_url, api_key="none") as client:

            async def ask(text: str) -> str | None:
                answer = await client.chat.completions.create(
                    model=MODEL,
                    messages=messages(text),  # type: ignore[arg-type]
                    temperature=0.0,
                    max_tokens=MAX_TOKENS,
                    seed=0,
                )
                return answer.choices[0].message.content

            return await ask_all(ask, texts, in_flight)

    return asyncio.run(run())


def ask_curator(base_url: str, texts: Iterable[str], in_flight: int, folder: Path) -> Counter[str]:
    """NeMo-Curator's ``AsyncOpenAIClient``, which stands on the ``openai`` client and adds retries and a semaphore."""
    from nemo_curator.models.client import AsyncOpenAIClient
    from nemo_curator.models.client.llm_client import GenerationConfig

    config = GenerationConfig(max_tokens=MAX_TOKENS, temperature=0.0)

    async def run() -> Counter[str]:
        client = AsyncOpenAIClient(max_concurrent_requests=in_flight, base_url=base_url, api_key="none")
        client.setup()

        async def ask(text: str) -> str:
            answers = await client.query_model(messages=messages(text), model=MODEL, generation_config=config)
            return str(answers[0])

        try:
            return await ask_all(ask, texts, in_flight)
        finally:
            await client.client.close()

    return asyncio.run(run())


def ask_aiohttp(base_url: str, texts: Iterable[str], in_flight: int, folder: Path) -> Counter[str]:
    """aiohttp alone, the floor under a client in Python: it neither tries again nor keeps anything."""
    import aiohttp

    url = f"{base_url}/chat/completions"

    async def run() -> Counter[str]:
        connector = aiohttp.TCPConnector(limit=in_flight)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def ask(text: str) -> str:
                payload = {"model": MODEL, "temperature": 0.0, "max_tokens": MAX_TOKENS, "seed": 0}
                async with session.post(url, json=payload | {"messages": messages(text)}) as response:
                    response.raise_for_status()
                    answer: dict[str, Any] = await response.json()
                return str(answer["choices"][0]["message"]["content"])

            return await ask_all(ask, texts, in_flight)

    return asyncio.run(run())


async def ask_all(ask: Callable[[str], Awaitable[str | None]], texts: Iterable[str], in_flight: int) -> Counter[str]:
    """Ask every text, ``in_flight`` at once: a semaphore, as users of these clients write it."""
    semaphore = asyncio.Semaphore(in_flight)
    outcome: Counter[str] = Counter()

    async def one(text: str) -> None:
        try:
            outcome[await ask(text) or ""] += 1
        except Exception as error:  # whatever a client raises is an answer that the user does not have
            outcome[f"{type(error).__name__}: {error}"[:200]] += 1
        finally:
            semaphore.release()

    async with asyncio.TaskGroup() as group:
        for text in texts:
            await semaphore.acquire()
            group.create_task(one(text))
    return outcome


CLIENTS: dict[str, Client] = {
    "ours": ask_ours,
    "ours_default": ask_ours_default,
    "openai": ask_openai,
    "curator": ask_curator,
    "aiohttp": ask_aiohttp,
}


def for_seconds(texts: list[str], seconds: float) -> Iterator[str]:
    """Texts until the time is over."""
    end = time.monotonic() + seconds
    for text in texts:
        if time.monotonic() >= end:
            return
        yield text
    raise RuntimeError(f"{len(texts)} prompts were too few for {seconds} s")


def measure(name: str, base_url: str, in_flight: int, seconds: float, count: int) -> dict[str, Any]:
    """What this client took from the first request to the last answer, its construction and its end included.

    Seconds of wall clock and of this process's CPU (all threads, user and system); a first request before the clock
    starts takes the imports out of it.
    """
    texts = prompts(count + 1, seed=0)
    client = CLIENTS[name]
    with tempfile.TemporaryDirectory() as temporary:
        stores = Path(temporary, "first"), Path(temporary, "measured")
        client(base_url, texts[:1], 1, stores[0])
        wall, cpu = time.perf_counter(), time.process_time()
        outcome = client(base_url, for_seconds(texts[1:], seconds), in_flight, stores[1])
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        stored = sum(path.read_bytes().count(b"\n") for path in stores[1].glob("*.jsonl"))
    return {
        "wall_s": wall,
        "cpu_s": cpu,
        "outcome": dict(outcome),
        "stored": stored if name.startswith("ours") else None,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Print the measurement as one line of JSON."""
    name, base_url, in_flight, seconds, count = sys.argv[1:]
    faulthandler.dump_traceback_later(float(seconds) + PATIENCE_S, exit=True)  # a client that hangs says where
    json.dump(measure(name, base_url, int(in_flight), float(seconds), int(count)), sys.stdout)


if __name__ == "__main__":
    main()
