"""The arithmetic in a chain of thought: text in, its equations between numbers out, and whether each of them holds.

What is no plain calculation with numbers (an unknown, a power, units that change across the equals sign) is passed
over and never guessed at: a chain is blamed only for what a reader could blame it for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise

from data_prep.numbers import find_numbers
from eval.cleaning import clean
from eval.expressions import DIGITS, Expression, signs, tokenise
from eval.quantities import read_digits

_LEFT, _RIGHT = 240, 160  # characters of the two sides of an equals sign that are looked at
_MOST = 2000  # equals signs of one chain; one that loops may have any number
_EQUALS = re.compile(r"(?<![=<>!≤≥≠])=(?![=>])|(?<!\w)equals(?!\w)")
_BOUNDARY = re.compile(r"[;:?!=≈<>→]|[.,](?=\s)|(?<!\w)equals(?!\w)")
_CALCULATOR = re.compile(r"<<[^<>\n]{0,80}>>")  # GSM8K's calculator marks say the equation a second time
_MARKER = re.compile(r"^[^\S\n]*(?:[-*•–]|\(?(?:\d{1,2}|[a-z])[.)])[^\S\n]+", re.MULTILINE | re.IGNORECASE)
_LABEL = re.compile(r"^[^\S\n]*[A-Z][a-z]+ \d{1,3}[^\S\n]?[-–][^\S\n]", re.MULTILINE)  # "Step 1 - …"
_EMPHASIS = re.compile(r"(?<!\d)\*\*|\*\*(?!\d)|__|`")
_STATED = re.compile(rf"(?<![\d.,])(?P<digits>{DIGITS})(?P<percent>\s?%)?")
_FAMILIES = [
    frozenset(words.split())
    for words in (
        "second sec minute min hour hr day week month year decade",
        "cent ¢ dollar $ penny nickel dime quarter",
        "inch in foot feet ft yard mile",
        "mm millimeter cm centimeter meter km kilometer",
        "gram g kg kilogram pound lb ounce oz ton",
        "ml milliliter liter pint quart gallon cup ounce",
    )
]
# What everybody knows: 2 for "both", 7 days, 60 minutes, 100 percent.
_COMMON = frozenset(map(Fraction, (0, 1, 2, 7, 10, 12, 24, 52, 60, 100, 365, 1000)))


@dataclass(frozen=True)
class Equation:
    """An equation whose two sides are numbers.

    Args:
        text: as written; ``start``, ``end``: its span in the text that ``readable`` returns.
        holds: both sides are equal, the right one rounded to the decimals it shows.
        operands: the values put in on the left side; a result that is carried on ("5 + 7 = 12 - 3 = 9") is none.
    """

    text: str
    start: int
    end: int
    holds: bool
    operands: tuple[Fraction, ...]


def readable(chain: str) -> str:
    """The chain as its equations are read: LaTeX, marks of calculators, lists and emphasis are taken away."""
    text = clean(_CALCULATOR.sub("", chain))
    text = _EMPHASIS.sub("", text)
    return _LABEL.sub("", _MARKER.sub("", text))


def find_equations(text: str, language: str = "en") -> list[Equation]:
    """The equations of a ``readable`` text that can be checked, in order, in time linear in its length."""
    found = []
    previous = 0
    equals = [sign.span() for sign in islice(_EQUALS.finditer(text), _MOST)]
    for (sign, after), (_, limit) in pairwise([*equals, (len(text), len(text))]):
        equation = _equation(text, previous, sign, after, limit, language)
        previous = after
        if equation is not None:
            found.append(equation)
    return found


def operands_given(found: list[Equation], text: str, language: str, question: str, question_language: str) -> int:
    """How many operands of the equations the question gives, or the text before the equation, or common knowledge.

    A fraction or a percentage also gives its reciprocal, its complement and itself in the other form ("half" gives 2,
    "20% off" gives 0.8).
    """
    known = set(_COMMON)
    for number in find_numbers(question, question_language):
        for value in number.readings:
            known |= _related(value, percent=number.percent)
    known |= _stated(question, question_language)  # also the parts of "3/5" and the 32 of "32 million"
    before = _STATED.finditer(text)
    written = next(before, None)
    given = 0
    for equation in found:
        while written is not None and written.end() <= equation.start:
            known |= _stated(written[0], language)
            written = next(before, None)
        given += sum(operand in known for operand in equation.operands)
    return given


def _stated(text: str, language: str) -> set[Fraction]:
    known: set[Fraction] = set()
    for written in _STATED.finditer(clean(text)):
        for value in read_digits(written["digits"], language):
            known |= _related(value, percent=written["percent"] is not None)
    return known


def _related(value: Fraction, *, percent: bool) -> set[Fraction]:
    related = {value, value / 100}  # cents are written as dollars
    if percent:
        related |= {1 - value / 100, 1 + value / 100, 100 - value, 100 + value}
    if 0 < value < 1:
        related |= {1 / value, 1 - value, 1 + value, 100 * value}
    return related


def _equation(text: str, previous: int, sign: int, after: int, limit: int, language: str) -> Equation | None:
    limit = min(limit, after + _RIGHT)
    line_end = text.find("\n", after, limit)
    right = tokenise(text, after, limit if line_end == -1 else line_end, language)
    if not right or right[0].kind not in ("number", "open", "operator"):
        return None
    left, carried = _left_side(text, previous, sign, language)
    if left is None:
        return None
    result = Expression(right)
    if not result.read_result():
        return None
    holds = _equal(left, result)
    if not holds and _other_unit(left.units, result.units):
        return None
    start, end = left.tokens[left.begin].start, right[result.position - 1].end
    return Equation(text[start:end].strip(), start, end, holds, tuple(left.operands[carried:]))


def _left_side(text: str, previous: int, sign: int, language: str) -> tuple[Expression | None, bool]:
    """The longest calculation that ends at the equals sign, and whether it goes on from another equals sign."""
    line = text.rfind("\n", max(0, sign - _LEFT), sign) + 1
    begin = max(previous, sign - _LEFT, line, 0)
    cut = begin == sign - _LEFT > 0  # in the middle of something
    for boundary in _BOUNDARY.finditer(text, begin, sign):
        begin, cut = boundary.end(), False
    tokens = tokenise(text, begin, sign, language)
    for index, token in enumerate(tokens):
        before = tokens[index - 1].kind if index else "operator" if cut else "word"
        starts = token.kind in ("number", "open") or signs(tokens, index)
        if not starts or before not in ("word", "other", "per", "of"):
            continue
        if before == "other" and tokens[index - 1].text in "^_{}\\√!|":
            continue
        expression = Expression(tokens, index)
        if expression.read_whole():
            return expression, index == 0 and begin == previous > 0
    return None, False


def _equal(left: Expression, right: Expression) -> bool:
    values, results = set(left.values), set(right.values)
    if left.percents == len(left.operands):
        values |= {100 * value for value in left.values}
    if right.percents and not right.operators:
        results |= {100 * value for value in right.values}
    goes_on = right.position < len(right.tokens) and right.tokens[right.position].kind == "equals"
    if right.operators and (right.first_apart or goes_on):
        results |= set(right.first)  # "5 + 7 = 12 - 3 = 9": the first step is right
    if _cents(left.units) != _cents(right.units):
        values |= {value * 100 for value in values} | {value / 100 for value in values}
    tolerance = Fraction(0)
    if right.decimals is not None and not right.operators:
        tolerance = Fraction(1, 2 * 10 ** (right.decimals + (2 if right.percents else 0)))
    return any(abs(value - result) <= tolerance for value in values for result in results)


def _cents(units: set[str]) -> bool:
    return bool(units & {"cent", "cents", "¢"})


def _other_unit(left: set[str], right: set[str]) -> bool:
    """Whether the right side is in another unit of the same kind ("30 minutes + 30 minutes = 1 hour")."""
    one, other = ({word.removesuffix("s") for word in units} for units in (left, right))
    return any(one & family and other & family and not other & family <= one for family in _FAMILIES)
