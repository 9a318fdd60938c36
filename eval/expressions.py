"""Calculations as people write them: a stretch of text in, its value out, units and all ("6 tubs * 2 tubes a tub").

Only numbers, the four operations, percent and parentheses are read; an unknown or a power makes it no calculation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from eval.quantities import read_digits

_UNIT_WORDS = 12  # "2 tubes of lip gloss per tub of lip gloss"
_MOST_VALUES = 16  # readings of one calculation that are followed

DIGITS = r"\d{1,3}(?:[ ']\d{3}){1,6}(?!\d)(?:[.,]\d{1,20})?|\d{1,30}(?:[.,]\d{1,20}){0,6}(?!\d)|\.\d{1,20}"
_TOKEN = re.compile(
    rf"""(?P<number>(?:[$€£¥]\s?)?
            (?:(?P<whole>\d{{1,6}})\s(?:and\s(?!\d+/\d+\sof))?(?P<top>\d{{1,4}})/(?P<bottom>\d{{1,4}})(?![\d/])
              |(?P<digits>{DIGITS}))
            (?P<percent>\s?(?:%|percent\b))?)
      | (?P<per>/\s?(?=[^\W\d_]))
      | (?P<operator>[-+*/×·÷–]|(?<!\w)(?:x|times|plus|minus|multiplied\sby|divided\sby)(?!\w)|(?<=\d)x(?=\s?[$\d]))
      | (?P<of>(?<!\w)of(?!\w)(?:\sthe(?!\w))?)
      | (?P<open>[(\[])
      | (?P<close>[)\]])
      | (?P<word>[^\W\d_]+(?:['-][^\W\d_]+)*)
      | (?P<equals>=)
      | (?P<other>\S)""",
    re.VERBOSE | re.IGNORECASE,
)
_OPERATORS = {
    "–": "-",
    "×": "*",
    "·": "*",
    "x": "*",
    "times": "*",
    "multiplied by": "*",
    "÷": "/",
    "divided by": "/",
    "plus": "+",
    "minus": "-",
}
_FACTOR = re.compile(r"x\s?[$\d]", re.IGNORECASE)  # after a number: "3x4", while "3x" is an unknown
_NOT_PLAIN = re.compile(r"[^\W\d_](?![^\W\d_])|[:^_]\d|[\^!]")  # after a number: "4S", "3:30", "2^3"
# Words that end a number's unit: what stands before them is no part of the calculation.
_FUNCTION_WORDS = """a an and are as at be because been but buys can costs did does each eats for from gets gives goes
got had has have he her his i if in is it its left makes my needs now or our pays she so spends takes than that the
their then there therefore these they this those thus to was we were when which while who will with would you"""
_NO_UNIT = frozenset(_FUNCTION_WORDS.split())


@dataclass(frozen=True)
class Token:
    """A piece of a calculation.

    Args:
        kind: ``number``, ``operator``, ``of`` ("20% of 50"), ``open``, ``close``, ``word`` (a unit), ``per`` (the
            slash in "miles/hour"), ``variable`` (an unknown: no calculation), ``equals`` or ``other``.
        text: in lower case; of a number its currency sign.
        start, end: its span.
        readings: what a number can mean, not yet divided by 100 where ``percent``; ``decimals``: how many it shows.
    """

    kind: str
    text: str
    start: int
    end: int
    readings: tuple[Fraction, ...] = ()
    percent: bool = False
    decimals: int | None = None


def tokenise(text: str, start: int, end: int, language: str) -> list[Token]:
    """The tokens of ``text[start:end]``."""
    tokens = []
    for match in _TOKEN.finditer(text, start, max(start, end)):
        kind = match.lastgroup or "other"
        if match["number"] is not None:
            tokens.append(_number(match, text, language))
            continue
        if kind == "word" and len(match[0]) == 1 and match[0] != "a":
            kind = "variable"
        tokens.append(Token(kind, match[0].lower(), match.start(), match.end()))
    return tokens


def _number(match: re.Match[str], text: str, language: str) -> Token:
    readings: tuple[Fraction, ...] = ()
    if match["digits"]:
        readings = read_digits(match["digits"], language)
    elif int(match["bottom"]):
        readings = (int(match["whole"]) + Fraction(int(match["top"]), int(match["bottom"])),)
    end = match.end()
    if not readings or (_NOT_PLAIN.match(text, end) and not _FACTOR.match(text, end)):
        return Token("variable", match[0], match.start(), end)
    shown = re.search(r"[.,](\d+)$", match["digits"] or "")
    return Token(
        "number",
        match[0][0] if match[0][0] in "$€£¥" else "",
        match.start(),
        end,
        readings,
        match["percent"] is not None,
        len(shown[1]) if shown else None,
    )


def signs(tokens: list[Token], index: int) -> bool:
    """Whether the token is a minus right before its number."""
    if index + 1 >= len(tokens) or tokens[index].kind != "operator" or tokens[index].text not in "-–":
        return False
    following = tokens[index + 1]
    return following.kind == "number" and following.start == tokens[index].end


class Expression:
    """A calculation read from tokens, by the usual precedence.

    ``read_whole`` and ``read_result`` read it and say whether it is one. Then there are its ``values`` (what it can
    mean, several where a number has several readings), its ``operands``, how many ``operators`` and ``percents`` it
    has, its ``units``, the ``decimals`` that its last number shows, and the values of its ``first`` number.
    """

    def __init__(self, tokens: list[Token], begin: int = 0) -> None:
        self.tokens, self.begin, self.position = tokens, begin, begin
        self.values: tuple[Fraction, ...] = ()
        self.operands: list[Fraction] = []
        self.operators = 0
        self.percents = 0
        self.units: set[str] = set()
        self.decimals: int | None = None
        self.first: tuple[Fraction, ...] = ()
        self.first_apart = False  # a space stands between the first number and the operator after it

    def read_whole(self) -> bool:
        """Read to the last token; there must be something to calculate."""
        return self._sum() and self.position == len(self.tokens) and self.operators > 0

    def read_result(self) -> bool:
        """Read as far as it goes; text may follow, but nothing to calculate with."""
        if not self._sum():
            return False
        after = self._kind()
        if after == "other" and self.tokens[self.position].text in "^_{\\√|":
            return False
        return after not in ("variable", "open", "operator") or self._ends()

    def _kind(self, ahead: int = 0) -> str:
        position = self.position + ahead
        return self.tokens[position].kind if position < len(self.tokens) else ""

    def _ends(self) -> bool:
        """Whether what looks like an operator is prose: "= 12 - so he", "= 3 times as many"."""
        text = self.tokens[self.position].text
        if text not in ("-", "–", "times", "plus", "minus", "x"):
            return False
        return self._kind(1) not in ("number", "open", "variable") and (text != "x" or self._kind(1) == "word")

    def _sum(self) -> bool:
        values = self._product()
        if values is None:
            return False
        totals = list(values)
        while self._kind() == "operator" and not self._ends():
            operator = self._operator()
            if operator not in "+-":
                return False
            percents, numbers = self.percents, len(self.operands)
            term = self._product()
            if term is None:
                return False
            sign = 1 if operator == "+" else -1
            alone = self.percents == percents + 1 and len(self.operands) == numbers + 1
            totals = [
                total + sign * value * part
                for total in totals
                for value in term
                for part in ((Fraction(1), total) if alone else (Fraction(1),))  # "50 + 10%" may be 55
            ][:_MOST_VALUES]
        self.values = tuple(totals)
        return True

    def _product(self) -> tuple[Fraction, ...] | None:
        values = self._factor()
        while values is not None:
            if self._kind() == "of" and self._kind(1) in ("number", "open"):
                if not self.percents and all(value.denominator == 1 for value in values):
                    return None  # "5 of 12" multiplies nothing
                operator = "*"
                self.position += 1
                self.operators += 1
            elif self._kind() == "operator" and self._symbol() in "*/" and not self._ends():
                operator = self._operator()
            elif self._kind() == "open" and self.tokens[self.position - 1].end == self.tokens[self.position].start:
                operator = "*"  # 2(3 + 4)
                self.operators += 1
            else:
                break
            factor = self._factor()
            if factor is None or (operator == "/" and 0 in factor):
                return None
            values = tuple(v * f if operator == "*" else v / f for v in values for f in factor)[:_MOST_VALUES]
        return values

    def _factor(self) -> tuple[Fraction, ...] | None:
        sign = 1
        if signs(self.tokens, self.position):
            sign, self.position = -1, self.position + 1
        kind = self._kind()
        if kind not in ("number", "open"):
            return None
        token = self.tokens[self.position]
        self.position += 1
        if kind == "open":
            if not self._sum() or self._kind() != "close":
                return None
            self.position += 1
            values = self.values
        else:
            values = tuple(value / 100 for value in token.readings) if token.percent else token.readings
            self.operands.append(values[0])
            self.percents += token.percent
            self.decimals = token.decimals
            self.units |= {token.text} - {""}
        self._unit()
        values = tuple(sign * value for value in values)
        if not self.first:
            self.first = values
            following = self.tokens[self.position] if self._kind() == "operator" else None
            self.first_apart = following is not None and following.start > self.tokens[self.position - 1].end
        return values

    def _unit(self) -> None:
        for _ in range(_UNIT_WORDS):
            kind = self._kind()
            if kind == "of" and self._kind(1) in ("number", "open"):
                return
            if kind not in ("word", "per", "of") or self.tokens[self.position].text in _NO_UNIT:
                return
            self.units.add(self.tokens[self.position].text)
            self.position += 1

    def _symbol(self) -> str:
        text = self.tokens[self.position].text
        return _OPERATORS.get(text, text)

    def _operator(self) -> str:
        symbol = self._symbol()
        self.position += 1
        self.operators += 1
        return symbol
