"""What of a dropped row the translator could not do: the parts that failed, each with every raw output it got.

A reject's columns ``segment`` and ``outputs`` hold the first of them; all of them stand in its provenance, as
``failed``: a list of objects with the fields of :class:`FailedPart`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from data_prep.brackets import CLOSE, OPEN
from data_prep.schema import Reject

_KEY = "failed"


class FailedPart(NamedTuple):
    """What was asked for at once and failed.

    Args:
        segments: the source texts in it that something is wrong with; all of them, where nothing could be read.
        given: what stands in their place in ``Reject.translation``.
        reasons: names of what was wrong with the last output, the first thing first.
        detail: the first of them as a sentence.
        outputs: every raw output, in the order of the attempts.
    """

    segments: tuple[str, ...]
    given: tuple[str, ...]
    reasons: tuple[str, ...]
    detail: str
    outputs: tuple[str, ...]


def failed_to_json(parts: list[FailedPart]) -> dict[str, Any]:
    """The parts as they stand in the provenance of a reject."""
    return {_KEY: [part._asdict() for part in parts]} if parts else {}


def failed_parts(reject: Reject) -> list[FailedPart]:
    """The parts of a dropped row that failed, in the order of the row; none where it failed as a whole."""
    known = reject.provenance.get(_KEY)
    if known is not None:
        return [FailedPart(*(_tuple(part[name]) for name in FailedPart._fields)) for part in known]
    if not reject.segment:
        return []
    # A build from before all of them were kept. What stands in the translation is an output without its brackets, or
    # the segment itself where no output could be used.
    turns = [message["content"] for message in reject.translation]
    bare = [output.strip().removeprefix(OPEN).removesuffix(CLOSE).strip() for output in reversed(reject.outputs)]
    given = next((text for text in [*bare, reject.segment] if text and any(text in turn for turn in turns)), "")
    return [FailedPart((reject.segment,), (given,), reject.reasons, reject.detail, reject.outputs)]


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
