"""The ``<think>`` protocol: a completion comes in; its chain of thought and its answer come out, apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OPEN = "<think>"
CLOSE = "</think>"

ThinkingState = Literal["closed", "orphan_close", "unclosed", "none"]


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
