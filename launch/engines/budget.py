"""The thinking budget in tokens, for engines that hold the token ids: when to stop a chain, and what of it to keep."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

from launch.thinking import CLOSE, GRACE_TOKENS, ThinkingCut, budget_cut, closed_chain, split_thinking

# A closing tag that began so many tokens before the end of the budget is still seen whole: a token has a character.
_OVERLAP = 10
Decode = Callable[[list[int]], str]


@dataclass(frozen=True)
class Chain:
    """A chain that was cut: its ``tokens`` that are kept, their ``text``, what closes it, and how it was cut.

    ``how`` is None and ``closing`` empty where it had closed itself, and only the answer is still to be finished.
    """

    tokens: list[int]
    text: str
    closing: str
    how: ThinkingCut | None


def cut_chain(generated: list[int], decode: Decode, opened_by_prompt: bool, budget: int | None) -> Chain | None:
    """What is kept of ``generated`` whose chain is over the budget; None: nothing is to be cut.

    Tokens are kept whole, so that the model goes on from exactly what it wrote.
    """
    if budget is None or len(generated) <= budget:
        return None
    text, within = decode(generated), len(decode(generated[:budget]))
    cut = budget_cut(text, opened_by_prompt, within=within, exhausted=len(generated) >= budget + GRACE_TOKENS)
    if cut is None:
        return None
    position, how = cut
    count = len(generated)
    if how == "newline":  # found by counting breaks: lengths of texts with a half-finished character do not add up
        breaks = text.count("\n", 0, position)
        count = bisect_left(range(count), breaks, key=lambda count: decode(generated[:count]).count("\n"))
    kept = decode(generated[:count])
    return Chain(generated[:count], kept, closed_chain(kept)[len(kept) :], how)


class BudgetWatch:
    """Asked after every token of one completion whether its chain is over the budget and has come to where it is cut.

    It reads only the last tokens, so that a long chain costs no more a token than a short one.
    """

    def __init__(self, decode: Decode, opened_by_prompt: bool, budget: int) -> None:
        self._decode = decode
        self._opened = opened_by_prompt
        self._budget = budget
        self._thinks = False

    def __call__(self, generated: list[int]) -> bool:
        """Whether to stop here. ``generated`` grows token by token; decoding may start anew."""
        count = len(generated)
        if count < self._budget:
            return False
        if count == self._budget:
            self._thinks = split_thinking(self._decode(generated), self._opened).state == "unclosed"
        if not self._thinks:
            return False
        start = max(0, self._budget - _OVERLAP)
        tail, within = self._decode(generated[start:]), len(self._decode(generated[start : self._budget]))
        if CLOSE in tail:
            self._thinks = False
            return False
        return budget_cut(tail, True, within=within, exhausted=count >= self._budget + GRACE_TOKENS) is not None
