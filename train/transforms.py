"""What is done to chains on purpose: some are stripped, some cut short with their answer kept.

So that the model also answers without thinking, and under a budget of thought (NVIDIA Nemotron Nano 2 technical
report, post-training: about a tenth of the prompts stripped of their reasoning, about a twentieth of the chains cut to
1-2 k tokens). What happens to a row depends on its id and the seed alone: not on its place, its pass or the number of
workers.
"""

from __future__ import annotations

import bisect
import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from data_prep.schema import Message, Row
from train.config import TransformsConfig

# cut_short: chosen for a cut, but its chain has no more tokens than it would be cut to; cut_no_line_end: no line of
# the chain ends within the range.
Kind = Literal["none", "stripped", "cut", "cut_short", "cut_no_line_end"]


@dataclass(frozen=True)
class Transformed:
    """A row after the transforms.

    Args:
        row: with its chains as they will be rendered; the same object where nothing was done.
        kind: what was done, or why not.
        cut_turns: positions of the messages whose chain was cut.
    """

    row: Row
    kind: Kind = "none"
    cut_turns: frozenset[int] = frozenset()


def transform_row(row: Row, config: TransformsConfig, seed: int, count_tokens: Callable[[str], int]) -> Transformed:
    """Strip or cut the chains of a row, or leave it.

    Args:
        row: any row; one without a chain is left as it is.
        config: the shares, by language and category.
        seed: with the row's id it decides everything.
        count_tokens: length of a text in the model's tokens.
    """
    if not any(_chain(message) for message in row.messages):
        return Transformed(row)
    strip_share, cut_share = config.shares(row.language, row.category)
    chance = _uniform(seed, row.id, "kind")
    if chance < strip_share:
        messages = tuple(_with_chain(message, None) for message in row.messages)
        return Transformed(dataclasses.replace(row, messages=messages), "stripped")
    if chance < strip_share + cut_share:
        return _cut_row(row, config, seed, count_tokens)
    return Transformed(row)


def cut_chain(chain: str, target: int, least: int, most: int, count_tokens: Callable[[str], int]) -> tuple[str, Kind]:
    """The beginning of a chain up to the end of a line: the last line that fits ``target`` tokens, or the next one.

    Returns:
        the kept beginning, ``least`` to ``most`` tokens of it, and ``cut``; or the whole chain, and why it is whole.
    """
    if count_tokens(chain.strip()) <= target:
        return chain, "cut_short"
    ends = [position for position, letter in enumerate(chain) if letter == "\n"]

    def tokens(end: int) -> int:
        return count_tokens(chain[:end].strip())

    after = bisect.bisect_right(ends, target, key=tokens)
    for end in ends[max(after - 1, 0) : after + 1]:
        if least <= tokens(end) <= most and chain[end:].strip():
            return chain[:end], "cut"
    return chain, "cut_no_line_end"


def _cut_row(row: Row, config: TransformsConfig, seed: int, count_tokens: Callable[[str], int]) -> Transformed:
    least, most = config.cut_tokens
    messages = list(row.messages)
    cut_turns = set()
    outcome: Kind = "cut_short"
    for position, message in enumerate(messages):
        if not _chain(message):
            continue
        target = least + int(_uniform(seed, row.id, f"cut {position}") * (most - least + 1))
        kept, done = cut_chain(message["reasoning_content"] or "", target, least, most, count_tokens)
        if done == "cut":
            messages[position] = _with_chain(message, kept)
            cut_turns.add(position)
        elif done == "cut_no_line_end":
            outcome = done
    if not cut_turns:
        return Transformed(row, outcome)
    return Transformed(dataclasses.replace(row, messages=tuple(messages)), "cut", frozenset(cut_turns))


def _chain(message: Message) -> str:
    return (message.get("reasoning_content") or "").strip()


def _with_chain(message: Message, chain: str | None) -> Message:
    return {"role": message["role"], "content": message["content"], "reasoning_content": chain}


def _uniform(seed: int, row_id: str, purpose: str) -> float:
    """A number from 0 to below 1 that only the arguments decide, in every process and on every machine."""
    digest = hashlib.sha256(f"{seed}\x00{row_id}\x00{purpose}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:7]) / 2**56
