"""What a statement says as a number: "5 + 7 = 12 apples in 3 days" comes in, 12 comes out, or why it says nothing."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from eval.alternatives import alternatives
from eval.asides import supposed_clause, unasked_clause
from eval.central import (
    bounded,
    choose,
    circumstance,
    in_parenthesis,
    last_side,
    without_dates,
)
from eval.conclusions import conclusion_words
from eval.corrections import after_correction, opens_with_correction
from eval.denials import is_denied, is_rejected
from eval.discourse import with_roles
from eval.names import only_a_name, without_names
from eval.phrases import DIRECT, Phrases, either_word, phrases
from eval.quantities import Quantity, find_quantities
from eval.remarks import without_comparison, without_rate
from eval.spelled import concluded_in_digits, spelled_out, words_in_digits
from eval.units import compound, convertible

_DIGIT = re.compile(r"\d")
_OPERATOR = re.compile(
    r"[^\w=]{0,6}(?<![\w.])[-+*×·÷/^–−x](?![\w])[^\w=]{0,6}|\s*(?:mod|modulo)\s*",
    re.IGNORECASE,
)
_BROKEN_OFF = re.compile(r"(?:\s*[=≈÷×·]|\s+[-+*/])\s*[?_.…]*\s*$")  # "9 * 2 =", "9 +"
_ARTICLE = re.compile(
    r"(?<!\w)(?:the|an?|de[rnm]|die|das|el|la|l[eo]s?|les|las|il|i|gli|un[ae]?|the last)\s[$€£¥*]*$", re.IGNORECASE
)
# What stands between a number and the same rounded.
_ROUNDED = re.compile(
    r"\s?%?\s?(?:[^\W\d]+\s)?[≈≒,(](?:\s?(?:or|oder|also|ou|soit|o|o sea|es decir|cioè|ossia|つまり))?[\s$€£¥*]*"
    r"(?:(?:about|approximately|roughly|around|environ|à peu près|aproximadamente|unos|unas|etwa|rund|ungefähr|circa|"
    r"all'incirca)\s|約)?[\s$€£¥*]*",
    re.IGNORECASE,
)
_PARTED = re.compile(r"[:(—–：]")
_WHOLE = re.compile(r"\d+")
_CLOCK = re.compile(r"\d{1,2}(?::|\s?[hH時])\s?\d{2}")
_CLAUSE = re.compile(r"[,、;:]")
_ENDS = re.compile(
    r"\s?(?:%|[$€£¥])?(?:\s?[A-Za-zÀ-ɏ]+){0,2}\s*(?:[—–:;!.,(*-]|$)|[^\d、。はがをの]{0,4}(?:です|だ|でした|になり|[。、]|$)"
)


@dataclass(frozen=True)
class Reading:
    """What was read.

    Args:
        status: ``value``; ``several``: a range or two different answers; ``unfinished``: a sum not worked out;
            ``denied``: only numbers that it is not; ``nothing``: no number at all.
        values: every value that the statement can mean, the native reading of the answer first; where ``denied`` those
            that it says are wrong.
        percent: the number is a percentage.
        text: the number as written.
        corrected: it stands after words that take back another.
    """

    status: Literal["value", "several", "unfinished", "denied", "nothing"]
    values: tuple[Fraction, ...] = ()
    percent: bool = False
    text: str | None = None
    corrected: bool = False


def read_number(statement: str, language: str, *, sentence: bool = False, words_count: bool = True) -> Reading:
    """Read a cleaned statement as one number.

    Args:
        statement: what follows "the answer is", the content of a box, or (``sentence``) a sentence that does not say
            that it is the answer, where the last number counts and not the first.
        words_count: read number words where there are no digits.
    """
    words = phrases(language)
    statement = spelled_out(statement, language)
    if words_count and not _DIGIT.search(statement):
        statement = words_in_digits(statement, language)
    elif words_count and sentence:
        statement = concluded_in_digits(statement, language)
    corrected = after_correction(statement, words)
    if corrected is not None:
        statement, sentence = _corrected(corrected, language)
    elif sentence and (opening := opens_with_correction(statement, words)) is not None:
        statement, sentence = _corrected(statement[opening.end() :], language)
    for clause_of in (supposed_clause, unasked_clause):
        if clause := clause_of(statement, language):
            statement = statement[:clause]
    if sentence:
        statement = _main_clause(statement, words)
    statement = without_rate(statement, language)
    statement = without_comparison(_without_reason(statement, words, language), language)
    quantities = _counted(statement, language)
    beside = [
        circumstance(statement, q, words) or is_denied(statement, quantities, i, words)
        for i, q in enumerate(quantities)
    ]
    if words_count and quantities and all(beside):
        in_digits = words_in_digits(statement, language)
        if in_digits != statement:
            statement = in_digits
            quantities = _counted(statement, language)
    if not quantities or (sentence and only_a_name(statement, quantities, language)):
        return Reading("nothing")
    kept = [q for i, q in enumerate(quantities) if not is_denied(statement, quantities, i, words)]
    if not kept:
        rejected = tuple(value for q in quantities if is_rejected(statement, q, words) for value in q.values)
        return Reading("denied", rejected, text=statement[quantities[0].start : quantities[-1].end])
    kept, merged = compound(statement, kept)
    if (offered := alternatives(statement, kept, words)) is not None:
        return Reading("several", text=offered)
    segment, after_equal = last_side(statement, kept)
    outside = [q for q in segment if not in_parenthesis(statement, q)] or segment
    if sentence and not outside[0].values:
        outside = _after_clocks(statement, outside) or outside
    if not outside[0].values:
        return Reading("several", text=statement[outside[0].start : outside[0].end])
    whole = None if after_equal else _parted(statement, outside)
    chosen = whole or choose(statement, outside, language, sentence=sentence, after_equal=after_equal)
    position = outside.index(chosen)
    following = outside[position + 1] if position + 1 < len(outside) else None
    if following is not None and _OPERATOR.fullmatch(statement[chosen.end : following.start]):
        return Reading("unfinished", text=statement[chosen.start : following.end])
    previous = outside[position - 1] if position else None
    if previous is not None and _OPERATOR.fullmatch(statement[previous.end : chosen.start]):
        return Reading("unfinished", text=statement[previous.start : chosen.end])
    if _BROKEN_OFF.match(statement, kept[-1].end):
        return Reading("unfinished", text=statement[chosen.start : kept[-1].end])
    if re.search(r"±\s*$", statement[: chosen.start]) or bounded(statement, chosen, words):
        return Reading("several", text=statement[chosen.start : chosen.end])
    if previous is not None and chosen.percent and not previous.percent and previous.values:
        again = _again_pattern(words).fullmatch(statement, previous.end, chosen.start)
        if again is not None and not _conclusion_pattern(language).search(
            again[0]
        ):  # "84 pages, that is 40 % of the book" says two things, and either may be asked for
            values = previous.values + chosen.values
            return Reading("value", values, text=statement[previous.start : previous.end].strip())
    values = chosen.values + tuple(
        value
        for other in kept
        if other is not chosen and convertible(statement, chosen, other)
        for value in other.values
    )
    values += merged.get(chosen.start, ())
    values += _unrounded(statement, kept, chosen)
    written = statement[chosen.start : chosen.end].strip()
    return Reading("value", values, chosen.percent, written, corrected=corrected is not None)


def _parted(statement: str, quantities: list[Quantity]) -> Quantity | None:
    """The sum that is parted after it ("36 marbles: Tom 12, Lisa 24"); None where no first number is one."""
    whole, parts = quantities[0], quantities[1:]
    named = all(q.values for q in quantities)
    if len(parts) < 2 or not named or not _PARTED.search(statement, whole.end, parts[0].start):
        return None
    return whole if sum(q.values[0] for q in parts) == whole.values[0] else None


def says_none(statement: str, language: str, *, beside_numbers: bool = False) -> bool:
    """Whether a statement says that nothing is left ("None are left."), which may answer with 0.

    Args:
        beside_numbers: also where it has numbers ("None are left: each of the 8 children took 3").
    """
    match = _none_pattern(phrases(language)).search(statement)
    if match is None:
        return False
    return beside_numbers or not _DIGIT.search(statement[: match.start()] + statement[match.end() :])


@functools.cache
def _none_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(either_word(words.none_left), re.IGNORECASE)


def _corrected(correction: str, language: str) -> tuple[str, bool]:
    """The statement of a correction, and whether its last number counts: "18, I forgot 2", "I forgot 2, so 18"."""
    stated = [
        correction[part.start : part.end]
        for part in with_roles(correction[:2_000], language)
        if part.role == "main" and _DIGIT.search(correction[part.start : part.end])
    ]
    if not stated:
        return correction, True
    first = find_quantities(stated[0], language)
    if first and DIRECT.fullmatch(before := stated[0][: first[0].start]) and not _ARTICLE.search(before):
        ends = len(first) == 1 or _ENDS.match(stated[0], first[0].end) is not None
        return (stated[0], False) if ends else (stated[-1], True)
    return stated[-1], True


@functools.cache
def _reason_pattern(words: Phrases) -> re.Pattern[str]:
    part = rf"[,;(—–]\s?[*$€£¥]*\d[\d.,]*\s(?:[^\W\d]+\s)?(?:{'|'.join(words.part_of)})(?!\w)"
    return re.compile(rf"{either_word(words.reasons)}|{part}", re.IGNORECASE)


@functools.cache
def _conclusion_pattern(language: str) -> re.Pattern[str]:
    return re.compile(either_word(conclusion_words(language)), re.IGNORECASE)


@functools.cache
def _again_pattern(words: Phrases) -> re.Pattern[str]:
    """Between a number and the share that it makes: " pages, that is about"."""
    openings = either_word((*words.pointers, *words.restaters, *words.amounting))
    return re.compile(rf"[^\d.;=]{{0,40}}?[,(—–:]\s?(?:{openings}){DIRECT.pattern}", re.IGNORECASE)


@functools.cache
def _turned_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(rf"(?:{either_word(words.but)})\s*$", re.IGNORECASE)


def _unrounded(statement: str, kept: list[Quantity], rounded: Quantity) -> tuple[Fraction, ...]:
    """The values of the number before a rounded one ("1/6 ≈ 0.167", "1/6, about 17 %"): either is the answer."""
    before = [q for q in kept if q.start < rounded.start and q.values]
    if not before or not rounded.values or not _ROUNDED.fullmatch(statement, before[-1].end, rounded.start):
        return ()
    exact, other = before[-1].values[0], rounded.values[0] / (100 if rounded.percent and not before[-1].percent else 1)
    if abs(exact - other) * 50 > abs(exact):
        return ()
    return before[-1].values


def _main_clause(statement: str, words: Phrases) -> str:
    """What follows the last comma of a sentence that opens with its reason ("Since 7 × 8 = 56, they need 7 more")."""
    if not _subordinator_pattern(words).match(statement):
        return statement
    _, comma, clause = statement.rpartition(", ")
    return clause if comma and _DIGIT.search(clause) else statement


@functools.cache
def _subordinator_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(rf"[\s*_>•–-]*(?:{either_word(words.subordinators)})", re.IGNORECASE)


def _says_again(head: str, clause: str) -> bool:
    """Whether an equation ends with the last number before it ("7 are left, since 52 = 9·5 + 7")."""
    numbers = _WHOLE.findall(head)
    return bool(numbers) and numbers[-1] in _WHOLE.findall(clause.rpartition("=")[2])


def _without_reason(statement: str, words: Phrases, language: str) -> str:
    """The statement without the reason or part that it ends with ("18, because …", "24 pupils, of whom 10 …")."""
    for match in _reason_pattern(words).finditer(statement):
        clause = statement[match.end() :]
        if _turned_pattern(words).search(statement[max(0, match.start() - 20) : match.start()]):
            continue  # "it looks like 46, but including both ends 48"
        head = statement[: match.start()]
        if not _DIGIT.search(head):
            head = words_in_digits(head, language)
        if _DIGIT.search(head) and ("=" not in clause or "=" in head or _says_again(head, clause)):
            return head
    return statement


def _after_clocks(statement: str, quantities: list[Quantity]) -> list[Quantity]:
    """The numbers of the clauses after clock times or a ratio ("from 9:15 to 10:00, so it lasts 45 minutes")."""
    clocks = [q for q in quantities if not q.values or _CLOCK.match(statement, q.start)]
    later = [q for q in quantities if q.start > clocks[-1].start]
    return later if later and _CLAUSE.search(statement, clocks[-1].end, later[0].start) else []


def _counted(statement: str, language: str) -> list[Quantity]:
    """The quantities of a statement that are no part of a date and name nothing."""
    quantities = without_dates(statement, find_quantities(statement, language), language)
    return without_names(statement, quantities, language)
