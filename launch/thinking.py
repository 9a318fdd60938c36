"""The ``<think>`` protocol: a completion comes in; its chain of thought and its answer come out, apart.

Also the budget: where a chain that has grown too long is cut, closed, and continued with the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OPEN = "<think>"
CLOSE = "</think>"

# A chain over its budget is ended at the next line break, at the latest after so many more tokens.
GRACE_TOKENS = 500

ThinkingState = Literal["closed", "orphan_close", "unclosed", "none"]
ThinkingCut = Literal["newline", "abrupt"]


@dataclass(frozen=True)
class Thinking:
    """A completion, parted.

    Args:
        state: ``closed``: opened, by the prompt or in the text, and ended by the first ``</think>``;
            ``orphan_close``: never opened, yet ``</think>`` occurs; ``unclosed``: opened and never closed;
            ``none``: no tags.
        reasoning: the chain, stripped; empty for a block closed at once, None without tags.
        answer: what follows the chain, stripped; None when the chain was never closed.
    """

    state: ThinkingState
    reasoning: str | None
    answer: str | None


def ends_open(prompt: str) -> bool:
    """Whether a rendered prompt ends with an open ``<think>``, so that the model goes on inside the chain."""
    return prompt.rstrip().endswith(OPEN)


def split_thinking(completion: str, opened_by_prompt: bool) -> Thinking:
    """Part a completion into chain and answer, in linear time, for any text.

    - A prompt that opened the chain: the text begins inside it. A ``<think>`` right at the start (the model repeats
      the tag) is dropped.
    - Otherwise the first ``<think>`` opens; what stands before it belongs to neither chain nor answer. A ``</think>``
      before any ``<think>`` ends a chain that was never opened: everything before it is the chain.
    - The first ``</think>`` after the opening closes; every later tag is literal text of the answer.
    """
    inside = completion
    opened = opened_by_prompt
    if opened_by_prompt:
        inside = completion.lstrip().removeprefix(OPEN)
    else:
        start, end = completion.find(OPEN), completion.find(CLOSE)
        if start != -1 and (end == -1 or start < end):
            inside, opened = completion[start + len(OPEN) :], True
    reasoning, close, answer = inside.partition(CLOSE)
    if close:
        return Thinking("closed" if opened else "orphan_close", reasoning.strip(), answer.strip())
    if opened:
        return Thinking("unclosed", reasoning.strip(), None)
    return Thinking("none", None, completion.strip())


def budget_cut(text: str, opened_by_prompt: bool, *, within: int, exhausted: bool) -> tuple[int, ThinkingCut] | None:
    """Where a completion's chain is to be cut because it is over its budget, and how; None: leave the text as it is.

    The rule is that of NVIDIA's Nemotron Nano 2: the thinking ends with the first line break after the budget, or
    abruptly once ``GRACE_TOKENS`` more tokens have brought none. What is kept is ``text[:position]``; the answer is
    generated after ``closed_chain`` of it.

    Args:
        text: what was generated so far.
        opened_by_prompt: as in ``split_thinking``.
        within: how many characters of ``text`` the tokens of the budget make up; ``len(text)`` or more: not used up.
        exhausted: ``text`` has ``GRACE_TOKENS`` tokens beyond the budget.
    """
    if len(text) <= within or split_thinking(text[:within], opened_by_prompt).state != "unclosed":
        return None
    # A closing tag may begin before the end of the budget and end after it.
    close = text.find(CLOSE, max(0, within - len(CLOSE)))
    line_break = text.find("\n", within)
    if line_break == -1 or -1 < close < line_break:
        return (len(text), "abrupt") if exhausted and close == -1 else None
    rest = text[line_break:].lstrip()
    if CLOSE.startswith(rest[: len(CLOSE)]) and (close != -1 or not exhausted):
        return None  # it closes itself there, or may be about to
    return line_break + 1, "newline"


def closed_chain(kept: str) -> str:
    """The kept part of a cut chain with its closing tag, on a line of its own as models are trained to write it."""
    return f"{kept}{CLOSE}" if kept.endswith("\n") else f"{kept}\n{CLOSE}"
