"""The contract with a translator: its whole answer stands inside one pair of 〘 and 〙, on one line.

``wrap`` marks what is to be translated, ``unwrap`` takes the translation out or says why it cannot.
"""

from __future__ import annotations

from typing import Literal

OPEN, CLOSE = "〘", "〙"
BracketReason = Literal[
    "finish_reason", "missing", "unclosed", "outside", "several", "empty", "line_break", "unopened", "misplaced"
]
_LINE_BREAKS = frozenset("\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
# Invisible characters that str.strip() leaves alone; a translation of nothing else is blank to a reader.
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad"


class BracketError(ValueError):
    """A completion that breaks the contract; ``reason`` is a short name for the count of losses."""

    def __init__(self, reason: BracketReason, detail: str) -> None:
        super().__init__(detail)
        self.reason: BracketReason = reason


def wrap(text: str) -> str:
    """``text`` between the brackets, as the prompt shows it to the translator."""
    return f"{OPEN}{text}{CLOSE}"


def unwrap(completion: str, finish_reason: str) -> str:
    """The translation inside the brackets, stripped.

    Accepted are only completions that ended by themselves (finish reason ``stop``) and are, white space around them
    aside, one 〘, a text on one line that is not blank and holds neither bracket, and one 〙.

    Raises:
        BracketError: anything else; ``reason`` names what was wrong first, in this order: finish_reason, missing (no
            bracket at all), unopened, unclosed, several, misplaced (closed before opened), outside (text before or
            after), line_break, empty.
    """
    if finish_reason != "stop":
        raise BracketError("finish_reason", f"the completion ended with {finish_reason!r}, not 'stop'")
    opened, closed = completion.count(OPEN), completion.count(CLOSE)
    if not opened and not closed:
        raise BracketError("missing", "the completion has no brackets")
    if not opened or not closed:
        raise BracketError("unclosed" if opened else "unopened", "the completion has only one kind of bracket")
    if opened > 1 or closed > 1:
        raise BracketError("several", f"the completion has {opened} {OPEN} and {closed} {CLOSE}")
    text = completion.strip()
    if completion.index(CLOSE) < completion.index(OPEN):
        raise BracketError("misplaced", "the completion closes a bracket before it opens one")
    if not text.startswith(OPEN) or not text.endswith(CLOSE):
        raise BracketError("outside", "the completion has text outside the brackets")
    inside = text[1:-1]
    if not _LINE_BREAKS.isdisjoint(inside):
        raise BracketError("line_break", "the text inside the brackets has a line break")
    if not inside.strip().strip(_INVISIBLE).strip():
        raise BracketError("empty", "the brackets hold nothing")
    return inside.strip()
