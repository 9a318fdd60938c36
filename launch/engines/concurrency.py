"""How many requests a server is sent at once: found out by trying, so that nobody has to guess it.

Servers differ by three orders of magnitude in what they take, and most say nothing: they queue, or they answer 429. So
the limit climbs as long as more requests in flight bring more answers a second, and goes back where they do not.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic
from typing import NamedTuple

_FIRST = 32
_FEWEST = 16  # attempts of a round, from which a rate can be told
_FEWEST_CLIMBING = 8  # a doubled rate shows sooner
_GAIN = 1.1  # more in flight has to bring at least so much more
_KEPT = 0.95  # fewer in flight has to leave at least so much
_TOLERATED = 0.05  # share of attempts that a server pushes back at times, whatever it is sent
_HOPELESS = 0.5  # share from which nothing but less can help
_FIRST_REST, _LONGEST_REST = 2, 16  # rounds between a trial that failed and the next; doubled by each failure


class Ticket(NamedTuple):
    """An attempt on its way: the round in which it began, and when (seconds, monotonic)."""

    round: int
    begun: float


class ConcurrencyLimit:
    """The number of attempts that may be with the server at once, between 1 and ``most``.

    Time is parted into rounds, each about as long as an answer takes. A round gives the goodput (answers a second) and
    the share of attempts that were pushed back (429, 5xx, a timeout, a broken connection). A trial of another limit
    is kept if the goodput rose by a tenth, or, for a lower one, did not fall; so pushback that comes whatever is sent
    lowers nothing, and pushback that comes from too many requests lowers the limit to what the server takes. Where
    most of a round is pushed back, the limit is halved, and nobody asks before the time the server gave.

    For one event loop at a time. ``value`` outlives the loop: the next run begins where this one was.

    Args:
        most: the most attempts in flight.
        timeout_s: the longest an attempt may take, in seconds; queues at the server are kept well below it.
    """

    def __init__(self, most: int, timeout_s: float) -> None:
        self.value = min(most, _FIRST)
        self.idle = 0
        self._most = most
        self._timeout_s = timeout_s
        self._in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._not_before = 0.0
        self._round = self._answered = self._pushed = 0
        self._since = self._longest_s = self._advice_s = 0.0
        self._settling = False
        self._climbing = True
        self._lower_next = False
        self._before: tuple[int, float] | None = None  # limit and goodput before the trial that is on
        self._rest = 0
        self._next_rest = _FIRST_REST
        self._answer_s = 0.0  # the longest that an answer took in the last round
        self._begin_round()

    def room(self, tasks: int) -> bool:
        """Whether another request may be begun, where ``tasks`` are under way, ``idle`` of them between attempts."""
        return tasks < self._most and tasks - self.idle < self.value and self.pause_s() <= 0

    def pause_s(self) -> float:
        """Seconds until anybody may ask again; 0 or less: now."""
        return self._not_before - monotonic()

    async def acquire(self) -> Ticket:
        """Wait until an attempt may go."""
        while self._in_flight >= self.value or self.pause_s() > 0:
            if (pause := self.pause_s()) > 0:
                await asyncio.sleep(pause)
                continue
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._wake()  # it may have been its turn already
                raise
        self._in_flight += 1
        return Ticket(self._round, monotonic())

    async def sleep(self, seconds: float) -> None:
        """Wait between two attempts. After as long as an answer takes, another request may go meanwhile.

        Not before: a refusal takes no time, and a full server would be asked without pause.
        """
        held = min(seconds, self._answer_s)
        await asyncio.sleep(held)
        self.idle += 1
        try:
            await asyncio.sleep(seconds - held)
        finally:
            self.idle -= 1

    def release(
        self, ticket: Ticket, *, answered: bool, pushed_back: bool, retry_after_s: float | None = None
    ) -> None:
        """An attempt has ended: with an answer, pushed back, or with neither (a refusal, the deadline)."""
        self._in_flight -= 1
        now = monotonic()
        self._answered += answered
        self._pushed += pushed_back
        if answered:
            self._longest_s = max(self._longest_s, now - ticket.begun)
        if retry_after_s is not None:
            self._advice_s = max(self._advice_s, retry_after_s)
        # A refusal comes back faster than an answer and says little of how long a round is, unless little else comes.
        enough = max(self.value, _FEWEST_CLIMBING if self._climbing else _FEWEST)
        if ticket.round == self._round and (answered or self._pushed >= enough):
            if self._settling:
                self._count_from(now)  # the first attempt under the new limit is back
            elif self._answered + self._pushed >= enough and ticket.begun >= self._since:
                self._end_round(now)
        self._wake()

    def _wake(self) -> None:
        free = self.value - self._in_flight
        while free > 0 and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1

    def _begin_round(self) -> None:
        self._round += 1
        self._count_from(monotonic())
        # While it climbs, waiting until all attempts in flight are of the new limit would double the time it takes.
        self._settling = not self._climbing

    def _count_from(self, now: float) -> None:
        self._settling = False
        self._since = now
        self._answered = self._pushed = 0
        self._longest_s = self._advice_s = 0.0

    def _end_round(self, now: float) -> None:
        share = self._pushed / (self._answered + self._pushed)
        self._answer_s = self._longest_s or self._answer_s
        if share > _HOPELESS:
            self._retreat(now)
        else:
            self._judge(self._answered / max(now - self._since, 1e-6), share)
        self._begin_round()

    def _retreat(self, now: float) -> None:
        self.value = self._before[0] if self._before and self._before[0] < self.value else max(1, self.value // 2)
        self._before, self._lower_next = None, True
        self._pause_trials()
        self._climbing = self._answered == 0 or self.value == 1  # nobody is there: climb as soon as somebody is
        self._not_before = now + self._advice_s

    def _judge(self, goodput: float, share: float) -> None:
        if self._before is not None:
            value, rate = self._before
            higher = self.value > value
            self._before = None
            if goodput < rate * (_GAIN if higher else _KEPT):
                self.value, self._climbing, self._lower_next = value, False, higher
                self._pause_trials()
                return
            self._next_rest = _FIRST_REST
        if self._rest > 0 and not self._climbing:
            self._rest -= 1
            return
        crowded = share > _TOLERATED or self._longest_s > self._timeout_s / 2
        if crowded and self._lower_next:
            aim = int(self.value * (1 - max(share, 0.25 if share <= _TOLERATED else 0.0)))
        elif self._longest_s > self._timeout_s / 4:
            return  # twice as many could wait twice as long
        else:
            aim = self.value * 2 if self._climbing else self.value * 3 // 2 + 1
        aim = min(max(aim, 1), self._most)
        if aim != self.value:
            self._before, self.value = (self.value, goodput), aim

    def _pause_trials(self) -> None:
        self._rest = self._next_rest
        self._next_rest = min(2 * self._next_rest, _LONGEST_REST)
