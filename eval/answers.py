"""Grading final answers: would an attentive reader of the language accept the answer as equal to the gold?

A response comes in with its gold answer; out comes whether they agree, what was taken for the answer, and how it was
found. What the sentences do is the business of ``discourse``, where the answer stands that of ``boxes`` and
``candidates``, what a statement says that of ``readings`` (numbers), ``clocks`` (times) and ``forms`` (all else).
Where numbers are not announced, ``ranking`` has the last word.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from propcache.api import cached_property

from data_prep.languages import get_language
from eval import clocks, forms, formulas, symbolic, tuples
from eval.boxes import boxes
from eval.candidates import LONGEST, WINDOW, Candidate, announced, committed, last_sentences
from eval.choices import NONE, settled_choice
from eval.cleaning import clean
from eval.conclusions import concludes
from eval.corrections import after_correction, opens_with_correction, retracted
from eval.denials import is_rejected
from eval.discourse import with_roles
from eval.golds import Gold, equals_gold, read_gold
from eval.passages import before_reason, read_passage
from eval.phrases import Phrases, either_word, phrases
from eval.portions import out_of_in_digits
from eval.quantities import find_quantities
from eval.ranking import ANNOUNCED, Option, Ruled, decide, options, weights
from eval.readings import Reading, read_number, says_none
from eval.sentences import Sentence
from launch.thinking import CLOSE, OPEN, split_thinking

_DIGIT = re.compile(r"\d")
_EXTRACTED = 200  # characters of an answer that are kept
_MOST_SENTENCES = 6  # of a response whose numbers are weighed; longer ones end with their result
_SHORT = 40  # characters of a statement in which nothing is taken back


@dataclass(frozen=True)
class Grade:
    """The verdict on one response.

    Args:
        correct: a reader would accept the answer.
        extracted: the answer as written in the response, number words in digits; None where there is none.
        method: how it was found: ``boxed``, ``anchor`` ("the answer is"), ``bare`` (the response is nothing else),
            ``last_number`` (weak: a sentence that does not say that it is the answer); or why there is none:
            ``several`` (two answers, a range), ``unfinished`` ("5 + 7"), ``denied``, ``empty_box``, ``refusal``,
            ``restatement``, ``unclosed`` (still thinking), ``none``.
    """

    correct: bool
    extracted: str | None
    method: str


@dataclass(frozen=True)
class _Verdict:
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


@dataclass(frozen=True)
class _Ruling:
    """What the rules say of a response, as ``ranking`` is told it; ``settled``: it is not asked."""

    grade: Grade
    ruled: Ruled
    settled: bool = False


def grade(response: str, gold: str, language: str) -> Grade:
    """Grade a response, the part after the thinking, against a gold answer.

    The last closed box counts first, then the last statement that announces an answer in the language or in English,
    then the last sentence with a number; checks, notes and what-ifs beside an answer do not count. A response that
    still carries its thinking is parted first; thinking that never closed is no answer. Takes time linear in the
    response and never raises on any response or gold.

    Raises:
        InputError: no such language is registered.
    """
    get_language(language)
    answer = _after_thinking(response)
    if answer is None:
        return Grade(False, None, "unclosed")
    target = read_gold(str(gold))
    text = _Text(answer, language, target)
    ruling = _rule(text, target, language)
    if target.kind != "number" or ruling.settled:
        return ruling.grade
    return _weigh(ruling, text, target, language)


def rule(response: str, gold: str, language: str) -> Grade:
    """The grade by the rules alone, before ``ranking`` is asked."""
    answer = _after_thinking(response)
    target = read_gold(str(gold))
    if answer is None:
        return Grade(False, None, "unclosed")
    return _rule(_Text(answer, language, target), target, language).grade


def evidence(response: str, gold: str, language: str) -> tuple[Ruled, list[Option]] | None:
    """What ``ranking`` chooses from in a response, and what the rules say; None where it is not asked."""
    answer = _after_thinking(response)
    target = read_gold(str(gold))
    if answer is None or target.kind != "number":
        return None
    text = _Text(answer, language, target)
    ruling = _rule(text, target, language)
    if ruling.settled:
        return None
    if len(text.parts) > _MOST_SENTENCES:
        return None
    passage = read_passage(text.window, text.parts, language)
    return ruling.ruled, options(passage, language, ruling.ruled)


def matches(option: Option, gold: str) -> bool:
    """Whether a number of a response is the gold."""
    target = read_gold(str(gold))
    return any(equals_gold(mention.values, target, percent=mention.percent) for mention in option.mentions)


class _Text:
    """A response without its thinking; cleaned and parted into sentences when that is asked for."""

    def __init__(self, answer: str, language: str, target: Gold) -> None:
        self.answer = answer
        self._language = language
        self._read = formulas.plain if target.kind == "symbolic" else clean

    @cached_property
    def window(self) -> str:
        return self._read(self.answer[-2 * WINDOW :])[-WINDOW:]

    @cached_property
    def parts(self) -> list[Sentence]:
        return with_roles(self.window, self._language)


def _rule(text: _Text, target: Gold, language: str) -> _Ruling:
    empty_box = False
    rejected: set[Fraction] = set()
    for candidate in _candidates(text, language, target):
        if candidate.method == "empty_box":
            empty_box = True
            continue
        if candidate.method in ("refusal", "restatement", "unfinished", "denied"):
            return _ruling(Grade(False, None, candidate.method))
        if empty_box and candidate.method in ("last_number", "bare"):
            break
        verdict = _judge(candidate, target, language)
        if not verdict.found:
            rejected |= set(verdict.rejected)
            continue
        if verdict.correct and rejected & set(target.values):
            return _ruling(Grade(False, None, "denied"))
        extracted = verdict.text.strip()[:_EXTRACTED] if verdict.text else None
        if verdict.reason is not None:
            return _ruling(Grade(False, extracted, verdict.reason))
        announced_last = candidate.method in ANNOUNCED and len(candidate.text) <= _SHORT and not candidate.rest.strip()
        found = Grade(verdict.correct, extracted, candidate.method)
        ruled = Ruled(candidate.method, verdict.values, verdict.corrected)
        return _Ruling(found, ruled, settled=verdict.settled or announced_last)
    return (
        _Ruling(Grade(False, None, "empty_box"), Ruled("empty_box"), settled=True)
        if empty_box
        else _ruling(Grade(False, None, "none"))
    )


def _ruling(found: Grade) -> _Ruling:
    """A response in which the rules found no answer."""
    return _Ruling(found, Ruled(found.method))


def _weigh(ruling: _Ruling, text: _Text, target: Gold, language: str) -> Grade:
    """The grade once all numbers of the text were weighed against each other and against "no answer"."""
    if len(text.parts) > _MOST_SENTENCES or "±" in text.window:
        return ruling.grade
    passage = read_passage(text.window, text.parts, language)
    if not passage.mentions:
        return ruling.grade
    chosen = decide(ruling.ruled, options(passage, language, ruling.ruled), weights())
    if chosen is None:
        return ruling.grade
    if not chosen.mentions:
        return Grade(False, ruling.grade.extracted, "not_given")
    correct = any(equals_gold(mention.values, target, percent=mention.percent) for mention in chosen.mentions)
    return Grade(correct, chosen.mentions[-1].written[:_EXTRACTED], "weighed")


def _after_thinking(response: str) -> str | None:
    if not (CLOSE in response or response.lstrip().startswith(OPEN)):
        return response
    return split_thinking(response, opened_by_prompt=False).answer


# --- the candidates -------------------------------------------------------------------------------------------------


def _candidates(text: _Text, language: str, target: Gold) -> Iterator[Candidate]:
    found, empty = boxes(text.answer)
    if found:
        boxed = _boxed(text.answer, found, target)
        yield from _instead(boxed.rest, target, language)
        yield boxed
    if empty:
        yield Candidate("", "", "empty_box")
    window, parts = text.window, text.parts
    yield from _without_doubt(announced(window, language, parts), target, language)
    if target.kind == "choice" and (letter := settled_choice(window, parts, language)) is not None:
        yield Candidate("" if letter == NONE else letter, "", "denied" if letter == NONE else "last_number")
    if target.kind == "number":
        yield from committed(window, language, parts)
    if target.kind == "truth":
        texts = _texts(window, parts)
        said = forms.opening_truth(texts, language) or forms.inner_truth(texts, language)
        if said is not None:
            yield Candidate(said, "", "bare")
    if target.kind == "tuple" and target.ordered:
        named = tuples.named_values(window, language)
        if len(named) == len(target.parts):
            yield Candidate(f"({'; '.join(map(str, named))})", "", "last_number")
    yield from last_sentences(window, language, parts)
    if any(part.role != "main" for part in parts):
        yield from announced(window, language, parts, asides=True)
        yield from last_sentences(window, language, parts, asides=True)


def _instead(rest: str, target: Gold, language: str) -> Iterator[Candidate]:
    """An answer that is announced after a box and a turn ("But on reading again … the correct answer is 17")."""
    if target.kind == "symbolic" or not rest.strip():
        return
    words = phrases(language)
    if re.search(either_word(words.turns), rest, re.IGNORECASE) is None:
        return
    for candidate in announced(rest, language, with_roles(rest, language)):
        if not candidate.soft:
            yield candidate
        return


def _texts(window: str, parts: list[Sentence]) -> list[str]:
    return [window[part.start : part.end] for part in parts if part.role == "main"]


def _boxed(answer: str, found: list[tuple[int, int, str]], target: Gold) -> Candidate:
    """The last box; boxes that stand side by side ("\\boxed{1} or \\boxed{2}") are one statement."""
    start, end, content = found[-1]
    for earlier_start, earlier_end, earlier in reversed(found[:-1]):
        gap = answer[earlier_end:start]
        if not re.fullmatch(r"[\s$,;.、]{0,4}(?:[^\W\d]{1,5}|[&/])?[\s$,;.、]{0,4}", gap):
            break
        link = gap.strip(" $\n\t") or ","
        content, start = f"{earlier} {link} {content}", earlier_start
    content = content[-LONGEST:]
    raw = content if target.kind == "symbolic" else clean(content)
    return Candidate(raw, clean(answer[end : end + 600]), "boxed")


def _without_doubt(candidates: Iterator[Candidate], target: Gold, language: str) -> Iterator[Candidate]:
    """The announcements; two that stand side by side and differ are made one statement of two answers."""
    last = next(candidates, None)
    if last is None:
        return
    earlier = next(candidates, None)
    between = earlier.rest[: max(0, len(earlier.rest) - len(last.rest) - len(last.text))] if earlier else ""
    if earlier is not None and target.kind == "number" and len(between) < 40 and not re.search(r"[\d=]", between):
        one, two = read_number(earlier.text, language), read_number(last.text, language)
        differ = one.status == two.status == "value" and not set(one.values) & set(two.values)
        if differ and not _turn_pattern(phrases(language)).search(between):
            yield Candidate(f"{one.text} / {two.text}", "", "several")
            return
    yield last
    if earlier is not None:
        yield earlier
        yield from candidates


@functools.cache
def _turn_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(either_word(words.corrections + words.but), re.IGNORECASE)


@functools.cache
def _second_pattern(words: Phrases) -> re.Pattern[str]:
    """The start of a second answer after the first ("18. Or maybe 20")."""
    either = "|".join(word for word in words.alternatives if word.isascii())
    return re.compile(rf"[\s$.]*(?:{either})\s+(?:\w+\s){{0,2}}[^\w\s]?(?=[$€£¥]?\d)", re.IGNORECASE)


# --- the verdict ----------------------------------------------------------------------------------------------------


def _judge(candidate: Candidate, target: Gold, language: str) -> _Verdict:
    if candidate.method == "several":
        return _Verdict(True, text=candidate.text, reason="several")
    weak = candidate.method in ("last_number", "bare")
    statement = candidate.text
    if target.kind != "symbolic" and candidate.method != "bare":
        statement = _corrected(statement, candidate.rest, language, target, weak=weak)
        if retracted(candidate.rest, phrases(language)) and _nothing_new(statement, candidate.text, language):
            return _Verdict(True, reason="denied", text=statement)
    match target.kind:
        case "number":
            if all(0 < value < 1 for value in target.values) and not target.percent:
                statement = out_of_in_digits(statement, language)
            nought = target.values == (0,)
            if says_none(statement, language, beside_numbers=nought) and (nought or concludes(statement, language)):
                return _Verdict(True, nought, statement, settled=True)
            reading = read_number(statement, language, sentence=weak, words_count=candidate.words_count)
            if target.variable and formulas.of_another(statement, reading.text, target.variable):
                return _Verdict(True, text=reading.text, settled=True)
            if candidate.method == "anchor" and _rejected_later(candidate.rest, reading, language):
                return _Verdict(True, reason="denied", text=reading.text)
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
            return _Verdict(interval is not None, interval == target.interval, statement)
        case "words":
            said = forms.says(statement, target.raw, language, sentence=weak)
            if said == forms.SEVERAL:
                return _Verdict(True, reason="several", text=statement)
            return _Verdict(
                bool(said) or not weak,
                correct=bool(said),
                text=target.raw if said else statement,
            )
        case "symbolic":
            return _judge_symbolic(statement, target, language)


def _corrected(statement: str, rest: str, language: str, target: Gold, *, weak: bool) -> str:
    """The statement with what follows it, when that takes it back or puts another answer beside it."""
    tail = rest[:600]
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


def _judged(read: str | None, correct: bool) -> _Verdict:
    if read is None:
        return _Verdict(False)
    if read == forms.SEVERAL:
        return _Verdict(True, reason="several")
    return _Verdict(True, correct, read)


def _judge_number(reading: Reading, target: Gold, *, weak: bool) -> _Verdict:
    if reading.status == "nothing" or (reading.status == "denied" and weak):
        return _Verdict(False, rejected=reading.values)
    if reading.status != "value":
        return _Verdict(reading.status != "denied", reason=reading.status, text=reading.text, rejected=reading.values)
    correct = equals_gold(reading.values, target, percent=reading.percent)
    return _Verdict(True, correct, reading.text, values=reading.values, corrected=reading.corrected)


def _judge_time(statement: str, target: Gold, language: str) -> _Verdict:
    head = before_reason(statement, language)
    time = clocks.read_time(head, language) or clocks.read_time(statement, language)
    if time is None:
        return _Verdict(False)
    if isinstance(time, str) or target.time is None:
        return _Verdict(True, reason="several", text=statement)
    return _Verdict(
        True,
        clocks.same_time(time, target.time),
        f"{time[0]}:{time[1]:02d} {time[2]}".strip(),
    )


def _judge_tuple(statement: str, target: Gold, language: str) -> _Verdict:
    values = tuples.read_tuple(statement, language)
    if values is None:
        return _Verdict(bool(find_quantities(statement, language)), text=statement)
    correct = values == list(target.parts) if target.ordered else sorted(values) == sorted(target.parts)
    return _Verdict(True, correct, statement)


def _judge_symbolic(statement: str, target: Gold, language: str) -> _Verdict:
    answer = formulas.read_formula(statement, language, target.raw, phrases(language))
    if not answer:
        return _Verdict(False)
    if re.sub(r"\s|\\[,;!]", "", answer) == re.sub(r"\s|\\[,;!]", "", target.raw):
        return _Verdict(True, True, answer)
    return _Verdict(True, symbolic.equal(target.raw, answer), answer)
