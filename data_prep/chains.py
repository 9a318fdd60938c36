"""What becomes of the chain of thought in a build: kept as it is, dropped, or translated like any other text.

A chain is translated as a turn of its own, in front of its answer, so that it goes through the same segments, contract
and gates; afterwards it stands in ``reasoning_content`` again. In ``provenance``, ``chain`` says ``dropped`` or
``translated``; where it says nothing the chain is the source's, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from data_prep.schema import Message, Reject, Row, make_message, reasoning_sha256

ChainMode = Literal["keep", "translate", "drop"]

# The role of a chain while it is a turn; no conversation that was read has such a role.
CHAIN_ROLE = "reasoning"


def drop_chains(row: Row) -> Row:
    """The row without its chains; the hash of those that were read stays in its provenance."""
    if not _has_chain(row.messages):
        return row
    messages = tuple(make_message(message["role"], message["content"]) for message in row.messages)
    return replace(row, messages=messages, provenance={**row.provenance, "chain": "dropped"})


def chains_as_turns(row: Row) -> Row:
    """The row with every chain as a turn before its answer."""
    turns: list[Message] = []
    for message in row.messages:
        chain = message["reasoning_content"]
        if chain and chain.strip():
            turns += [make_message(CHAIN_ROLE, chain), make_message(message["role"], message["content"])]
        else:
            turns.append(message)
    return replace(row, messages=tuple(turns))


def turns_as_chains(item: Row | Reject) -> Row | Reject:
    """What :func:`chains_as_turns` made, after translation, with the chains in their place again."""
    translated = {"chain": "translated"} if _has_turn(item.messages) else {}
    provenance = {**item.provenance, **translated}
    if isinstance(item, Row):
        return replace(item, messages=_folded(item.messages), provenance=provenance)
    return replace(item, messages=_folded(item.messages), translation=_folded(item.translation), provenance=provenance)


def chains_are_right(row: Row) -> bool:
    """Whether the chains of a finished row are what its provenance says: the source's own, or none at all.

    Of translated chains nothing can be said here; the gates have spoken about them.
    """
    state = row.provenance.get("chain")
    if state == "translated":
        return True
    if state == "dropped":
        return not _has_chain(row.messages)
    return reasoning_sha256(row.messages) == row.provenance["reasoning_sha256"]


def chain_text(messages: Iterable[Message]) -> str:
    """All chains of a conversation."""
    return "".join(message["reasoning_content"] or "" for message in messages)


def _has_chain(messages: Iterable[Message]) -> bool:
    return any(message["reasoning_content"] is not None for message in messages)


def _has_turn(messages: Iterable[Message]) -> bool:
    return any(message["role"] == CHAIN_ROLE for message in messages)


def _folded(turns: Sequence[Message]) -> tuple[Message, ...]:
    messages: list[Message] = []
    chain: str | None = None
    for turn in turns:
        if turn["role"] == CHAIN_ROLE:
            chain = turn["content"]
        elif chain is not None:
            messages.append(make_message(turn["role"], turn["content"], chain))
            chain = None
        else:
            messages.append(turn)
    return tuple(messages)
