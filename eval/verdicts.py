"""What a statement of a response comes to beside the gold: it matches, it does not, or it is no answer.

A candidate statement and a gold come in, a verdict comes out; the reading is that of the gold's kind: a number, a
letter, a time, a tuple, words, an expression.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from fractions import Fraction

from eval import clocks, forms, formulas, symbolic, tuples
from eval.candidates import Candidate
from eval.choices import NONE, settled_choice
from eval.conclusions import concludes
from eval.corrections import after_correction, opens_with_correction, retracted
from eval.denials import is_rejected
from eval.discourse import with_roles
from eval.golds import Gold, equals_gold
from eval.passages import before_reason
from eval.phrases import Phrases, either_word, phrases
from eval.portions import out_of_in_digits
from eval.quantities import find_quantities
from eval.readings import Reading, read_number, says_none

_DIGIT = re.compile(r"\d")
_AFTERWARDS = re.compile(r",\s(?:after|après|nach|dopo|después de|tras)(?!\w)", re.IGNORECASE)


@dataclass(frozen=True)
class Verdict:
    """What one candidate came to: matching or not, or why it is no answer; ``found`` False sends the search on.

    ``values`` are those of the number that was read, ``corrected`` where it replaces another; ``rejected`` are numbers
    that it says are wrong; ``settled``: no other number of the response can be the answer.
    """

    found: bool
    correct: bool = False
    text: str | None = None
    reason: str | None = None
    values: tuple[Fraction, ...] = ()
    corrected: bool = False
    settled: bool = False
    rejected: tuple[Fraction, ...] = ()


def judge(candidate: Candidate, target: Gold, language: str) -> Verdict:
    """Read a statement as the kind of answer that the gold is, with what takes it back after it."""
    if candidate.method == "several":
        return Verdict(True, text=candidate.text, reason="several")
    weak = candidate.method in ("last_number", "bare")
    statement = candidate.text
    if target.kind != "symbolic" and candidate.method != "bare":
        statement = _corrected(statement, candidate.rest, language, target, weak=weak)
        if retracted(candidate.rest, phrases(language)) and _nothing_new(statement, candidate.text, language):
            return Verdict(True, reason="denied", text=statement)
    match target.kind:
        case "number":
            if all(0 < value < 1 for value in target.values) and not target.percent:
                statement = out_of_in_digits(statement, language)
            nought = target.values == (0,)
            if says_none(statement, language, beside_numbers=nought) and (nought or concludes(statement, language)):
                return Verdict(True, nought, statement, settled=True)
            reading = read_number(statement, language, sentence=weak, words_count=candidate.words_count)
            if target.variable and formulas.of_another(statement, reading.text, target.variable):
                return Verdict(True, text=reading.text, settled=True)
            if candidate.method == "anchor" and _rejected_later(candidate.rest, reading, language):
                return Verdict(True, reason="denied", text=reading.text)
            return _judge_number(reading, target, weak=weak)
        case "choice":
            letter = forms.read_choice(statement, language, sentence=weak)
            return _judged(letter, letter == target.raw)
        case "truth":
            truth = forms.read_truth(statement, language)
            return _judged(truth, truth == target.raw)
        case "time":
            return _judge_time(statement, target, language)
        case "ratio":
            ratio = forms.read_ratio(statement, language)
            return _judged(ratio, ratio == target.raw)
        case "tuple":
            return _judge_tuple(statement, target, language)
        case "interval":
            interval = tuples.read_interval(statement)
            return Verdict(interval is not None, interval == target.interval, statement)
        case "words":
            said = forms.says(statement, target.raw, language, sentence=weak)
            if said == forms.SEVERAL:
                return Verdict(True, reason="several", text=statement)
            return Verdict(
                bool(said) or not weak,
                correct=bool(said),
                text=target.raw if said else statement,
            )
        case "symbolic":
            return _judge_symbolic(statement, target, language)


def _corrected(statement: str, rest: str, language: str, target: Gold, *, weak: bool) -> str:
    """The statement with what follows it, when that takes it back or puts another answer beside it."""
    tail = rest[:600]
    if target.kind == "choice" and (letter := _other_choice(tail, language)) is not None:
        return letter
    if target.kind in ("choice", "time") and opens_with_correction(tail, phrases(language)) is not None:
        joined = f"{statement} {tail[:200]}"
        nothing = target.kind == "choice" and forms.read_choice(joined, language, sentence=weak) is None
        return statement if nothing else joined
    if target.kind == "number" and _DIGIT.search(tail) and _DIGIT.search(statement):
        joined = f"{statement.rstrip().rstrip('.。!')}. {tail}"
        cut = None if weak else after_correction(joined, phrases(language))
        if cut is not None and len(cut) < len(tail) + 1:
            return joined
        second = _second_pattern(phrases(language)).match(tail)
        if second:
            number = find_quantities(tail[second.end() :], language)
            first = read_number(statement, language)
            if number and first.status == "value":
                return f"{first.text} or {tail[second.end() :][number[0].start : number[0].end]}"
    return statement


def _other_choice(tail: str, language: str) -> str | None:
    """The letter that takes the place of one announced before ("… Zut, je me suis trompé : c'est la D")."""
    words = phrases(language)
    if opens_with_correction(tail, words) is not None:
        letter = forms.read_choice(tail[:200], language, sentence=True)
        return letter if letter != forms.SEVERAL else None
    if re.search(either_word(words.turns), tail, re.IGNORECASE) is None:
        return None
    letter = settled_choice(tail, with_roles(tail, language), language)
    return letter if letter != NONE else None


def _nothing_new(statement: str, before: str, language: str) -> bool:
    """Whether a statement with its correction says no other number ("22. No, that is wrong: 22 is no multiple")."""
    if statement == before:
        return True
    one, two = read_number(before, language), read_number(statement, language)
    return two.status == "denied" or bool(set(one.values) & set(two.values))


def _rejected_later(rest: str, reading: Reading, language: str) -> bool:
    """Whether what follows an answer says that its number is wrong ("… so 36 can't be right after all")."""
    words, later = phrases(language), rest[:600]
    return any(
        set(quantity.values) & set(reading.values) and is_rejected(later, quantity, words)
        for quantity in find_quantities(later, language)
    )


def _judged(read: str | None, correct: bool) -> Verdict:
    if read is None:
        return Verdict(False)
    if read == forms.SEVERAL:
        return Verdict(True, reason="several")
    return Verdict(True, correct, read)


def _judge_number(reading: Reading, target: Gold, *, weak: bool) -> Verdict:
    if reading.status == "nothing" or (reading.status == "denied" and weak):
        return Verdict(False, rejected=reading.values)
    if reading.status != "value":
        return Verdict(reading.status != "denied", reason=reading.status, text=reading.text, rejected=reading.values)
    correct = equals_gold(reading.values, target, percent=reading.percent)
    return Verdict(True, correct, reading.text, values=reading.values, corrected=reading.corrected)


def _judge_time(statement: str, target: Gold, language: str) -> Verdict:
    head = re.split(_AFTERWARDS, before_reason(statement, language))[0]
    time = clocks.read_time(head, language) or clocks.read_time(statement, language)
    if time is None:
        return Verdict(False)
    if isinstance(time, str) or target.time is None:
        return Verdict(True, reason="several", text=statement)
    return Verdict(
        True,
        clocks.same_time(time, target.time),
        f"{time[0]}:{time[1]:02d} {time[2]}".strip(),
        values=(Fraction(clocks.minutes(time)),),
    )


def _judge_tuple(statement: str, target: Gold, language: str) -> Verdict:
    values = tuples.read_tuple(statement, language)
    if values is None:
        return Verdict(bool(find_quantities(statement, language)), text=statement)
    correct = values == list(target.parts) if target.ordered else sorted(values) == sorted(target.parts)
    return Verdict(True, correct, statement)


def _judge_symbolic(statement: str, target: Gold, language: str) -> Verdict:
    answer = formulas.read_formula(statement, language, target.raw, phrases(language))
    if not answer:
        return Verdict(False)
    if re.sub(r"\s|\\[,;!]", "", answer) == re.sub(r"\s|\\[,;!]", "", target.raw):
        return Verdict(True, True, answer)
    return Verdict(True, symbolic.equal(target.raw, answer), answer)


@functools.cache
def _second_pattern(words: Phrases) -> re.Pattern[str]:
    """The start of a second answer after the first ("18. Or maybe 20")."""
    either = "|".join(word for word in words.alternatives if word.isascii())
    return re.compile(rf"[\s$.]*(?:{either})\s+(?:\w+\s){{0,3}}[^\w\s]?(?=[$€£¥]?\d)", re.IGNORECASE)
