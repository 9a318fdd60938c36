"""How the number of requests in flight is found, against simulated servers in simulated time."""

from __future__ import annotations

import asyncio
import heapq
import random
import selectors
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

import launch.engines.concurrency as module
from launch.engines.concurrency import ConcurrencyLimit

LATENCY_S = 0.2
REFUSAL_S = 0.01


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop in which waiting takes no time: the clock jumps to whatever is due next."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        """Simulated seconds."""
        return self.now


class _JumpingSelector(selectors.SelectSelector):
    def __init__(self, loop: SimulatedLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._loop.now += max(timeout or 0.0, 0.0) + 1e-9
        return super().select(0)


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedLoop]:
    """Time stands still but for the simulation."""
    loop = SimulatedLoop()
    monkeypatch.setattr(module, "monotonic", loop.time)
    yield loop
    loop.close()


@dataclass
class Server:
    """Takes ``slots`` requests at once, each about ``LATENCY_S``; what comes beyond them waits, or is refused."""

    slots: int
    refuses: bool = False
    lost: float = 0.0  # share that fails whatever the load
    seed: int = 0

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed)
        self.free_at: list[float] = []

    def answer(self, now: float) -> tuple[float, bool]:
        """When the answer to a request that comes now is there, and whether it is one."""
        if self.draw.random() < self.lost:
            return now + REFUSAL_S, False
        while self.free_at and self.free_at[0] <= now:
            heapq.heappop(self.free_at)
        start = now
        if len(self.free_at) >= self.slots:
            if self.refuses:
                return now + REFUSAL_S, False
            start = heapq.heappop(self.free_at)
        end = start + LATENCY_S * self.draw.uniform(0.7, 1.3)
        heapq.heappush(self.free_at, end)
        return end, True


Ended = list[tuple[float, bool, int]]


def run(limit: ConcurrencyLimit, loop: SimulatedLoop, server_at: Callable[[float], Server], seconds: float) -> Ended:
    """Ask without end, as the engine does: for every attempt its end, whether it was answered, and the limit then."""
    ended: Ended = []
    draw = random.Random(1)

    async def request() -> None:
        good = False
        while not good:
            ticket = await limit.acquire()
            end, good = server_at(loop.now).answer(loop.now)
            await asyncio.sleep(end - loop.now)
            limit.release(ticket, answered=good, pushed_back=not good)
            ended.append((loop.now, good, limit.value))
            if not good:
                await limit.sleep(draw.uniform(0.0, 0.5))

    async def ask() -> None:
        tasks: set[asyncio.Task[None]] = set()
        stop = loop.now + seconds
        while loop.now < stop:
            while limit.room(len(tasks)):
                task = asyncio.create_task(request())
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.sleep(0.004)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    loop.run_until_complete(ask())
    return ended


def used(ended: Ended, server: Server, begin: float, end: float) -> float:
    """The share of what the server could answer between two times that it did answer."""
    return sum(good for when, good, _ in ended if begin <= when < end) * LATENCY_S / (end - begin) / server.slots


@pytest.mark.parametrize("slots", [1, 4, 30, 64, 128, 200, 400])
def test_a_server_that_queues_is_kept_busy_and_its_queue_short(loop: SimulatedLoop, slots: int) -> None:
    server, limit = Server(slots), ConcurrencyLimit(512, timeout_s=120.0)
    ended = run(limit, loop, lambda _: server, 30.0)
    assert used(ended, server, 2.0, 30.0) > 0.97
    assert limit.value <= max(4 * slots, 64)


@pytest.mark.parametrize("slots", [10, 50, 100, 200])
def test_a_server_that_refuses_is_kept_busy_and_refuses_little(loop: SimulatedLoop, slots: int) -> None:
    server, limit = Server(slots, refuses=True), ConcurrencyLimit(512, timeout_s=120.0)
    ended = run(limit, loop, lambda _: server, 40.0)
    assert used(ended, server, 20.0, 40.0) > 0.85
    late = [good for when, good, _ in ended if when > 20.0]
    assert late.count(False) / len(late) < 0.4


@pytest.mark.parametrize("lost", [0.05, 0.15, 0.3])
def test_faults_that_do_not_come_from_load_do_not_slow_the_rest(loop: SimulatedLoop, lost: float) -> None:
    server, limit = Server(200, lost=lost), ConcurrencyLimit(512, timeout_s=120.0)
    ended = run(limit, loop, lambda _: server, 30.0)
    assert used(ended, server, 10.0, 30.0) > 0.9


def test_it_climbs_no_higher_than_it_may(loop: SimulatedLoop) -> None:
    server, limit = Server(1000), ConcurrencyLimit(100, timeout_s=120.0)
    ended = run(limit, loop, lambda _: server, 10.0)
    assert max(value for _, _, value in ended) == 100


def test_a_server_that_goes_and_comes_back_is_not_hammered_and_soon_busy_again(loop: SimulatedLoop) -> None:
    there, gone = Server(200), Server(200, lost=1.0)
    limit = ConcurrencyLimit(512, timeout_s=120.0)
    ended = run(limit, loop, lambda now: gone if 10.0 <= now < 20.0 else there, 40.0)
    assert used(ended, there, 3.0, 10.0) > 0.9
    assert max(value for when, _, value in ended if 11.0 < when < 20.0) == 1
    assert used(ended, there, 25.0, 40.0) > 0.9


def test_a_queue_that_nears_the_timeout_is_not_made_longer(loop: SimulatedLoop) -> None:
    server, limit = Server(1), ConcurrencyLimit(512, timeout_s=10.0)
    ended = run(limit, loop, lambda _: server, 60.0)
    assert max(value for _, _, value in ended) <= 32
    assert used(ended, server, 10.0, 60.0) > 0.9


def test_what_most_of_a_round_was_told_to_wait_holds_for_all(loop: SimulatedLoop) -> None:
    limit = ConcurrencyLimit(64, timeout_s=10.0)

    async def refuse_all() -> None:
        tickets = [await limit.acquire() for _ in range(32)]
        for ticket in tickets:
            limit.release(ticket, answered=False, pushed_back=True, retry_after_s=7.0)

    loop.run_until_complete(refuse_all())
    assert not limit.room(0)
    loop.now = 6.9
    assert not limit.room(0)
    loop.now = 7.1
    assert limit.room(0)


def test_a_waiting_attempt_that_is_given_up_leaves_its_turn_to_another() -> None:
    async def scene() -> int:
        limit = ConcurrencyLimit(1, timeout_s=10.0)
        first = await limit.acquire()
        given_up = asyncio.create_task(limit.acquire())
        next_in_line = asyncio.create_task(limit.acquire())
        await asyncio.sleep(0)
        limit.release(first, answered=True, pushed_back=False)
        given_up.cancel()
        second = await asyncio.wait_for(next_in_line, 5.0)
        limit.release(second, answered=True, pushed_back=False)
        return limit.value

    assert asyncio.run(scene()) == 1
