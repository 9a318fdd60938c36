"""Answers of several numbers: points, sets of roots ("x = 1 oder x = 2") and intervals ("[0 ; 4[", "0 ≤ x < 4")."""

from __future__ import annotations

import functools
import re
from fractions import Fraction

from eval.phrases import phrases
from eval.quantities import find_quantities

_GROUP = re.compile(r"[(\[{]([^()\[\]{}]{1,400})[)\]}]")
_UNKNOWN = re.compile(r"(?<![\w\\])[a-zA-Z](?:_\{?\d\}?)?\s?=")
# "x = 2", "y = 1 - 2 = -1", but not "2x = 4" or "x + y = 4".
_NAMED = re.compile(
    r"(?<![\w\\^+*/-])(?<![+*/-]\s)(?P<name>[a-z])\s?=\s?(?:[\d\s+*/×·().,-]{1,60}=\s?)?(?P<value>-?\d[\d.,/]*)(?!\s?[\w+*/^=×·-])"
)
_END = r"[+-]?\s?(?:\\infty|∞|infinity|inf(?!\w)|\d+(?:[.,]\d+)?(?:\s?/\s?\d+)?)"
_INTERVAL = re.compile(
    rf"(?P<left>[\[\](])\s*(?P<low>{_END})\s*(?:[;|]|,(?!\d+\s*[;|]))\s*(?P<high>{_END})\s*(?P<right>[\[\])])"
)
_LESS = r"(?:<=?|≤|⩽|\\leq{0,2}(?:slant)?(?![a-z])|\\lt(?![a-z]))"
_BETWEEN = re.compile(rf"(?P<low>{_END})\s*(?P<left>{_LESS})\s*[a-zA-Z]\s*(?P<right>{_LESS})\s*(?P<high>{_END})")
_MOST_STARTS = 24  # numbers of a statement from which a list may begin

Interval = tuple[Fraction | float, Fraction | float, bool, bool]


def read_tuple(statement: str, language: str) -> list[Fraction] | None:
    """The numbers of "(1, 2)", "1 and 2", "x = 1, y = 2" in their order; None where there are none or not plain."""
    groups = _GROUP.findall(statement)
    inner = groups[-1] if groups and len(find_quantities(groups[-1], language)) > 1 else statement
    whole = _listed(inner, language)
    return whole if whole is not None or inner is not statement else _listed_last(statement, language)


def named_values(text: str, language: str) -> list[Fraction]:
    """The last values of the unknowns of a text ("2x = 4, so x = 2. … y = 1 - 2 = -1"), by the letters' order."""
    found: dict[str, Fraction] = {}
    for match in _NAMED.finditer(text):
        quantities = find_quantities(match["value"], language)
        if len(quantities) == 1 and quantities[0].values:
            found[match["name"]] = quantities[0].values[0]
    return [found[name] for name in sorted(found)]


def _listed(inner: str, language: str) -> list[Fraction] | None:
    inner = _UNKNOWN.sub(" ", inner)
    values = []
    for part in _parts(inner, language):
        quantities = find_quantities(part, language)
        if not quantities and not part.strip():
            continue
        if len(quantities) != 1 or not quantities[0].values:
            return None
        values.append(quantities[0].values[0])
    return values if len(values) > 1 else None


def _parts(inner: str, language: str) -> list[str]:
    if ";" in inner or "|" in inner:
        return re.split(r"[;|]", inner)
    return _joint_pattern(language).split(inner)


@functools.cache
def _joint_pattern(language: str) -> re.Pattern[str]:
    words = phrases(language)
    joiners = "|".join(word for word in words.additions + words.alternatives if word.isascii() and word.isalpha())
    return re.compile(
        rf"[,、](?!\d)|[\s$]+(?:{joiners})[\s$]+|(?<=\d),(?=\d)(?!\d{{3}}(?!\d))|と(?=[\s(]?[-\d(a-zA-Z])|または|もしくは|あるいは"
    )


def _listed_last(statement: str, language: str) -> list[Fraction] | None:
    """The longest list of bare numbers or "x = number" that a statement ends with ("… = 0, so x = 1 or x = 2")."""
    starts = sorted(
        {q.start for q in find_quantities(statement, language)} | {m.start() for m in _UNKNOWN.finditer(statement)}
    )
    for start in starts[-_MOST_STARTS:]:
        if re.search(r"[\w=+*/^<>-]\s?$", statement[:start]) and not re.search(
            r"[^\W\d_]{2}\s$|[\u3040-\u9fff]$", statement[:start]
        ):
            continue  # inside of a calculation
        tail = statement[start:]
        parts = [part for part in _parts(_UNKNOWN.sub(" ", tail), language) if part.strip(" $.。*")]
        bare = [_is_bare(part, language, last=index == len(parts) - 1) for index, part in enumerate(parts)]
        if len(parts) > 1 and all(bare):
            return _listed(tail, language)
    return None


def _is_bare(part: str, language: str, *, last: bool) -> bool:
    quantities = find_quantities(part, language)
    if len(quantities) != 1 or part[: quantities[0].start].strip(" $*_({["):
        return False
    after = part[quantities[0].end :].strip(" $*_.)}]。")
    return not after or (last and re.fullmatch(r"[^\d=<>+*/^-]*", after) is not None)


def read_interval(statement: str) -> Interval | None:
    """The last interval of a statement: its ends, and whether each is left out; None where there is none.

    "]0 ; 4]" is "(0, 4]"; "0 ≤ x < 4" and "x > 2" are read too.
    """
    found = [(m.end(), _bracketed(m)) for m in _INTERVAL.finditer(statement)]
    found += [(m.end(), _compared(m)) for m in _BETWEEN.finditer(statement)]
    return max(found, key=lambda pair: pair[0])[1] if found else None


def is_interval(text: str) -> bool:
    """Whether brackets that differ or open outwards leave no doubt ("[0, 4)", "]0 ; 4["); "(0, 4)" may be a point."""
    match = _INTERVAL.fullmatch(text.strip())
    return match is not None and ((match["left"] + match["right"]) not in ("()", "[]") or "inf" in text or "∞" in text)


def _bracketed(match: re.Match[str]) -> Interval:
    return _end(match["low"]), _end(match["high"]), match["left"] != "[", match["right"] != "]"


def _compared(match: re.Match[str]) -> Interval:
    strict = ("<", r"\lt")
    return _end(match["low"]), _end(match["high"]), match["left"] in strict, match["right"] in strict


def _end(written: str) -> Fraction | float:
    plain = re.sub(r"\s", "", written).replace(",", ".")
    if "inf" in plain or "∞" in plain:
        return float("-inf") if plain.startswith("-") else float("inf")
    top, _, bottom = plain.partition("/")
    return Fraction(top) / Fraction(bottom) if bottom and Fraction(bottom) else Fraction(top)
