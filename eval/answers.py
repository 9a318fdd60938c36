"""Grading final answers: would an attentive reader of the language accept the answer as equal to the gold?

A response comes in with its gold answer; out comes whether they agree, what was taken for the answer, and how it was
found. ``responses`` says which statements to read in which order, ``verdicts`` what one of them comes to, and where
numbers are not announced, ``ranking`` has the last word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from data_prep.languages import get_language
from eval.candidates import Candidate
from eval.clocks import same_time
from eval.golds import Gold, equals_gold, read_gold
from eval.passages import read_passage
from eval.ranking import ANNOUNCED, Option, Ruled, decide, options, weights
from eval.responses import Response, after_thinking, statements
from eval.verdicts import judge

_WEIGHED = ("number", "time")  # kinds of golds for which all candidates of a response are weighed
_EXTRACTED = 200  # characters of an answer that are kept
_MOST_SENTENCES = 6  # of a response whose numbers are weighed; longer ones end with their result
_WORD = re.compile(r"\w")
_LETTERS = re.compile(r"[^\W\d_]{2}")
_SHORT = 40  # characters of a statement in which nothing is taken back


@dataclass(frozen=True)
class Grade:
    """The verdict on one response.

    Args:
        correct: a reader would accept the answer.
        extracted: the answer as written in the response, number words in digits; None where there is none.
        method: how it was found: ``boxed``, ``anchor`` ("the answer is"), ``bare`` (the response is nothing else),
            ``last_number`` (weak: a sentence that does not say that it is the answer), ``weighed`` (the likeliest of
            several numbers); or why there is none: ``several`` (two answers, a range), ``unfinished`` ("5 + 7"),
            ``denied``, ``empty_box``, ``refusal``, ``restatement``, ``unclosed`` (still thinking), ``not_given`` (it
            is withdrawn, supposed, said by others …), ``none``.
    """

    correct: bool
    extracted: str | None
    method: str


@dataclass(frozen=True)
class _Ruling:
    """What the rules say of a response, as ``ranking`` is told it; ``settled``: it is not asked."""

    grade: Grade
    ruled: Ruled
    settled: bool = False


def grade(response: str, gold: str, language: str) -> Grade:
    """Grade a response, the part after the thinking, against a gold answer.

    The last closed box counts first, unless an announcement after it takes it back, then the last statement that
    announces an answer in the language or in English, then the last sentence with a number; checks, notes and what-ifs
    beside an answer do not count. In a short response that announces nothing the likeliest of its numbers or clock
    times counts, or none (``ranking``). A response that still carries its thinking is parted first; thinking that
    never closed is no answer. Takes time linear in the response and never raises on any response or gold.

    Raises:
        InputError: no such language is registered.
    """
    get_language(language)
    read = _read(response, gold, language)
    return Grade(False, None, "unclosed") if read is None else _weigh(*read, language)


def rule(response: str, gold: str, language: str) -> Grade:
    """The grade by the rules alone, before ``ranking`` is asked."""
    read = _read(response, gold, language)
    return Grade(False, None, "unclosed") if read is None else read[0].grade


def evidence(response: str, gold: str, language: str) -> tuple[Ruled, list[Option]] | None:
    """What ``ranking`` chooses from in a response, and what the rules say; None where it is not asked."""
    read = _read(response, gold, language)
    found = _options(*read, language) if read is not None else []
    return (read[0].ruled, found) if read is not None and found else None


def matches(option: Option, gold: str) -> bool:
    """Whether a number of a response is the gold."""
    return _matches(option, read_gold(str(gold)))


def _matches(option: Option, target: Gold) -> bool:
    if target.time is not None:
        return any(mention.time is not None and same_time(mention.time, target.time) for mention in option.mentions)
    return any(equals_gold(mention.values, target, percent=mention.percent) for mention in option.mentions)


def _read(response: str, gold: str, language: str) -> tuple[_Ruling, Response, Gold] | None:
    """A response by the rules, and what they read; None for thinking that never closed."""
    answer = after_thinking(response)
    if answer is None:
        return None
    target = read_gold(str(gold))
    text = Response(answer, language, target)
    return _rule(text, target, language), text, target


def _rule(text: Response, target: Gold, language: str) -> _Ruling:
    empty_box = False
    rejected: set[Fraction] = set()
    for candidate in statements(text, language, target):
        if candidate.method == "empty_box":
            empty_box = True
            continue
        if candidate.method in ("refusal", "restatement", "unfinished", "denied"):
            return _ruling(Grade(False, None, candidate.method))
        if empty_box and candidate.method in ("last_number", "bare"):
            break
        verdict = judge(candidate, target, language)
        if not verdict.found:
            rejected |= set(verdict.rejected)
            continue
        if verdict.correct and rejected & set(target.values):
            return _ruling(Grade(False, None, "denied"))
        extracted = verdict.text.strip()[:_EXTRACTED] if verdict.text else None
        if verdict.reason is not None:
            return _ruling(Grade(False, extracted, verdict.reason))
        found = Grade(verdict.correct, extracted, candidate.method)
        method = "soft anchor" if candidate.soft else candidate.method
        ruled = Ruled(method, verdict.values, verdict.corrected)
        return _Ruling(found, ruled, settled=verdict.settled or _says_all(candidate, text.window))
    if empty_box:
        return _Ruling(Grade(False, None, "empty_box"), Ruled("empty_box"), settled=True)
    return _ruling(Grade(False, None, "none"))


def _says_all(candidate: Candidate, window: str) -> bool:
    """Whether nothing can stand against a statement: a short announcement that ends the text, or a number alone."""
    if _LETTERS.search(window) is None:
        return True
    announced = candidate.method in ANNOUNCED and not candidate.soft
    return announced and len(candidate.text) <= _SHORT and not _WORD.search(candidate.rest)


def _ruling(found: Grade) -> _Ruling:
    """A response in which the rules found no answer."""
    return _Ruling(found, Ruled(found.method))


def _options(ruling: _Ruling, text: Response, target: Gold, language: str) -> list[Option]:
    """What there is to weigh; nothing where the rules' word stands, or the text is long or without a number."""
    if target.kind not in _WEIGHED or ruling.settled:
        return []
    if len(text.parts) > _MOST_SENTENCES or "±" in text.window or _ends_with_result(ruling, text):
        return []
    passage = read_passage(text.window, text.parts, language, times=target.kind == "time")
    return options(passage, language, ruling.ruled) if passage.mentions else []


def _ends_with_result(ruling: _Ruling, text: Response) -> bool:
    """Whether the last sentence is a calculation with the number as its result: ``decide`` would leave it at that."""
    number = (ruling.grade.extracted or "").lstrip("$€£¥ ")
    last = text.window[text.parts[-1].start :] if text.parts and ruling.ruled.values else ""
    place = last.rfind(number) if number and "=" in last else -1
    return place > 0 and last[:place].rstrip(" *$€£¥(").endswith("=")


def _weigh(ruling: _Ruling, text: Response, target: Gold, language: str) -> Grade:
    """The grade once all numbers of the text were weighed against each other and against "no answer"."""
    found = _options(ruling, text, target, language)
    chosen = decide(ruling.ruled, found, weights()) if found else None
    if chosen is None:
        return ruling.grade
    if not chosen.mentions:
        return Grade(False, ruling.grade.extracted, "not_given")
    return Grade(_matches(chosen, target), chosen.mentions[-1].written[:_EXTRACTED], "weighed")
