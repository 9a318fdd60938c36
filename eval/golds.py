"""What kind of answer a gold is (a number, a letter, a time, a tuple …), so that the response is read as that."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from eval import clocks, forms, tuples
from eval.cleaning import clean
from eval.quantities import Quantity, find_quantities

_VARIABLE = re.compile(r"[a-zA-Z]\s?=")

Kind = Literal["number", "choice", "time", "ratio", "tuple", "interval", "truth", "words", "symbolic"]


@dataclass(frozen=True)
class Gold:
    """A gold answer in comparable form.

    Args:
        kind: what kind of answer it is.
        raw: as written (a choice letter in upper case, a truth word in English).
        values: what a number can mean; ``percent``: it is a percentage; ``decimals``: how many it was written with.
        time: hour, minute and half of the day.
        parts: the numbers of a tuple, in an order that counts where ``ordered``.
        interval: its ends, and whether each is left out.
        variable: the letter that a number is the value of ("x = 5").
    """

    kind: Kind
    raw: str
    values: tuple[Fraction, ...] = ()
    percent: bool = False
    decimals: int = 0
    time: tuple[int, int, str] | None = None
    parts: tuple[Fraction, ...] = ()
    ordered: bool = False
    interval: tuples.Interval | None = None
    variable: str | None = None


@functools.lru_cache(maxsize=8192)
def read_gold(raw: str) -> Gold:
    """What kind of answer a gold is. Golds are written the English way, whatever the language of the response."""
    text = clean(raw.strip()).strip().removeprefix("####").strip()
    if re.fullmatch(r"[(\[]?[A-Ja-j][)\].]?", text):
        return Gold("choice", re.sub(r"\W", "", text).upper())
    if forms.normalised(text) in forms.truth_words():
        return Gold("truth", forms.truth_words()[forms.normalised(text)])
    clock = re.fullmatch(r"\d{1,2}(?:[:h]\d{2})?\s*(?:([ap])\.?m\.?|uhr)?", text, re.IGNORECASE)
    if clock and (clock[1] or ":" in text or "h" in text.lower()):
        time = clocks.read_time(text, "en")
        if isinstance(time, tuple):
            return Gold("time", text, time=time)
    if re.fullmatch(r"\d+(?:\s?:\s?\d+)+", text):
        return Gold("ratio", re.sub(r"\s", "", text))
    quantities = find_quantities(text, "en")
    if len(quantities) == 1 and quantities[0].values and _plain_around(text, quantities[0]):
        quantity = quantities[0]
        decimals = re.search(r"[.](\d+)$", text[quantity.start : quantity.end].rstrip("% "))
        return Gold(
            "number",
            text,
            quantity.values,
            quantity.percent,
            len(decimals[1]) if decimals else 0,
            variable=text[0] if _VARIABLE.match(text) else None,
        )
    if tuples.is_interval(text):
        return Gold("interval", text, interval=tuples.read_interval(text))
    parts = tuples.read_tuple(text, "en") if re.fullmatch(r"[\d\s,;.()\[\]{}/+-]+|.*\d\s+and\s+.*\d", text) else None
    if parts:
        return Gold("tuple", text, parts=tuple(parts), ordered=text[:1] in ("(", "["))
    if re.search(r"[\\^=+*/<>|\d]|(?<![^\W\d_])[a-zA-Z](?![^\W\d_])", raw):
        return Gold("symbolic", raw.strip())
    return Gold("words", text)


def _plain_around(text: str, quantity: Quantity) -> bool:
    """Whether beside the number stand only units and words, nothing to calculate with."""
    before, after = text[: quantity.start], text[quantity.end :]
    before = re.sub(r"^\s*[a-zA-Z]\s?=\s*$", "", before)
    rest = f"{before} {after}"
    if re.search(r"[\\^=+*<>|{}\[\](),;:√π]|\d", rest) or re.match(r"[a-zA-Z](?![a-zA-Z])", after):
        return False
    return (
        re.fullmatch(r"[\s$€£¥%°.\-]*", before) is not None
        or re.fullmatch(r"[^\W\d_\s]{2,}\s*", before.strip()) is not None
    )


def equals_gold(read: tuple[Fraction, ...], target: Gold, *, percent: bool) -> bool:
    """Whether one of the values that were read is the number of a gold; "5 %" (``percent``) is 0.05 as well."""
    values, golds = set(read), set(target.values)
    if percent and not target.percent and any(gold.denominator > 1 for gold in golds):
        values |= {value / 100 for value in read}
    if target.percent and not percent:
        golds |= {gold / 100 for gold in target.values}
    if values & golds:
        return True
    return any(_rounds_to(value, gold, target.decimals) for value in values for gold in target.values)


def _rounds_to(value: Fraction, gold: Fraction, decimals: int) -> bool:
    """Whether a value with more decimals than the gold is the gold once it is rounded (3.3333 for 3.33)."""
    if decimals < 2 or (value * 10**decimals).denominator == 1:
        return False
    return abs(value - gold) <= Fraction(1, 2 * 10**decimals)
