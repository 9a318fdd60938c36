"""Where an answer stands in a response: in an announcement ("the answer is") or in the last sentence."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from eval.anchors import find_anchors
from eval.conclusions import concludes, goes_on_to_conclude
from eval.corrections import opens_with_correction
from eval.denials import is_disbelieved
from eval.discourse import (
    asks_the_task,
    broken_off,
    instructs,
    is_question,
    offers,
    refusal_pattern,
    refuses,
    restates,
)
from eval.phrases import DIRECT, Phrases, either_word, phrases
from eval.sentences import SENTENCE_END, Sentence, ends_abbreviation
from eval.spelled import words_in_digits

WINDOW = 20_000  # characters from the end in which an announcement or a last sentence is looked for
LONGEST = 2_000  # characters of a statement that are read

_MOST_ANCHORS = 32

_NUMBER = re.compile(r"[$€£¥]?-?\d")
_NUMBERS = re.compile(r"\d(?:[\d.,' ]*\d)?")
_RESULT = re.compile(r"=\s?[*_$€£¥]*-?\d")
_DIGIT = re.compile(r"\d")
_MOST_SENTENCES = 12
_SHORTEST_SENTENCE = 5  # words; "option a" was not broken off after its "a"
_LONGEST_IN_WORDS = 60  # characters of a first sentence that may be a number in words
_LABEL = re.compile(
    r"^\s*[*_#]*(?:\s?[^\W\d]+\s?\d{1,2}\s?:|\d{1,2}[.)])[*_]*\s*(?=[^\s\d])|^\s*[*_#]*\s?[^\W\d]+\s\d{1,2}:(?=\d{3})"
)
_ONLY_NUMBER = re.compile(
    r"[\s*_]*[$€£¥]?-?\d[\d.,' ]{0,15}(?:\s?[%$€£¥]|\s?[A-Za-zÀ-ɏ]{1,12}|[^\W\dA-Za-zÀ-ɏ]{1,3}(?![^\W\d])){0,2}"
    r"[\s*_]*[.!。]?[*_]*\s*"
)
_BARE = re.compile(
    r"[^\w]*(?:[^\W\d]+\W+){0,1}(?:\d|[(\[]?[A-J](?![^\W\d_])|[$€£¥-]).{0,40}|\W*[^\W\u3040-\u30ff]+\W*", re.DOTALL
)
_MARKUP = " \t*_`\"'“”»«>:：#-–—→=「『"


@dataclass(frozen=True)
class Candidate:
    """A stretch of the response that states an answer.

    Args:
        text: the statement; ``rest``: what follows it (a correction may stand there).
        method: ``boxed``, ``anchor``, ``bare`` (the response is nothing else) or ``last_number`` (weak: a sentence
            that does not say that it is the answer).
        before: what precedes the statement in its sentence.
        soft: the words that announce it also name steps ("the total is").
        words_count: number words in it may be the answer; not in a sentence before the last, when digits are around.
    """

    text: str
    rest: str
    method: str
    before: str = ""
    words_count: bool = True
    soft: bool = False


def announced(window: str, language: str, parts: list[Sentence], *, asides: bool = False) -> Iterator[Candidate]:
    """Statements of a cleaned text that say that they are the answer, the last one first.

    Args:
        parts: the sentences of ``window`` with their roles.
        asides: give the statements inside of checks instead, and the weak ones ("the total is") inside of notes.
    """
    words = phrases(language)
    last_number = next(
        (
            part.start
            for part in reversed(parts)
            if part.role == "main" and _DIGIT.search(window, part.start, part.end)
        ),
        -1,
    )
    for anchor in find_anchors(window, language)[: -_MOST_ANCHORS - 1 : -1]:
        start, end = _statement(window, anchor.end)
        if start == end:
            continue
        sentence = next((part for part in reversed(parts) if part.start <= anchor.start), None)
        role = sentence.role if sentence is not None else "main"
        if role == "mistake" or (role == "check" or (role == "note" and anchor.soft)) != asides:
            continue
        before = window[max(sentence.start if sentence else 0, anchor.start - 300) : anchor.start]
        if anchor.soft and (last_number >= end or goes_on_to_conclude(window[start:end], language)):
            continue  # a step on the way: numbers follow
        if is_question(window[start:end]) or _only_said(before, words):
            continue
        if _given_up(window[start:end], words) or instructs(window[start:end], language):
            continue
        if anchor.heads and _opens_a_chain(window, start, end, parts, language):
            continue
        yield Candidate(window[start:end], window[end : end + LONGEST], "anchor", before, soft=anchor.soft)


def last_sentences(window: str, language: str, parts: list[Sentence], *, asides: bool = False) -> Iterator[Candidate]:
    """The sentences of a cleaned text that do not say that they are the answer, the last one first.

    Ends with a candidate ``refusal``, ``restatement`` or ``unfinished`` where the text gives no answer.
    """
    text = window.strip()
    if refuses(window, language):
        yield Candidate("", "", "refusal")
        return
    unfinished = bool(parts) and not asides and broken_off(window[parts[-1].start :], language)
    if unfinished and len(text.split()) >= _SHORTEST_SENTENCE:
        yield Candidate("", "", "unfinished")
        return
    if len(parts) == 1 and len(text) <= 80 and _BARE.fullmatch(text) and not is_question(window):
        yield Candidate(_LABEL.sub("", text), "", "bare")
        return
    if unfinished:
        yield Candidate("", "", "unfinished")
        return
    first = None if asides else _stated_first(window, parts, language)
    if first is not None:
        yield Candidate(first, "", "bare")
    elif not asides and (first := _comes_first(window, parts, language)) is not None:
        yield Candidate(first, "", "last_number")
    digits = _DIGIT.search(window) is not None
    chosen = [part for part in reversed(parts) if part.role != "mistake" and (part.role != "main") == asides]
    for index, part in enumerate(chosen[:_MOST_SENTENCES]):
        sentence = window[part.start : part.end]
        if is_question(sentence):
            if asks_the_task(sentence, language) and not offers(sentence, language):
                yield Candidate("", "", "restatement")
                return
            continue
        if "=" not in sentence and restates(words_in_digits(sentence[-LONGEST:], language), language):
            yield Candidate("", "", "restatement")
            return
        sentence = _LABEL.sub("", sentence)
        rest = window[part.end : part.end + 600]
        yield Candidate(sentence[-LONGEST:], rest, "last_number", words_count=index == 0 or not digits)


def _opens_a_chain(window: str, start: int, end: int, parts: list[Sentence], language: str) -> bool:
    """Whether what follows "Answer:" is not the answer but the way to it: a story that ends in an equation."""
    number = _NUMBER.search(window, start, end)
    if number is None or DIRECT.fullmatch(window, start, number.start()):
        return False
    later = [
        window[part.start : part.end]
        for part in parts
        if part.start >= end and part.role == "main" and _DIGIT.search(window, part.start, part.end)
    ]
    return bool(later) and (_RESULT.search(later[-1]) is not None or concludes(later[-1], language))


def _stated_first(window: str, parts: list[Sentence], language: str) -> str | None:
    """The first sentence where it is only a number and the others conclude nothing ("18 dollars. She has …")."""
    texts = [window[part.start : part.end] for part in parts[: _MOST_SENTENCES + 1]]
    if not 2 <= len(texts) <= _MOST_SENTENCES:
        return None
    if len(texts[0]) <= _LONGEST_IN_WORDS and not _DIGIT.search(texts[0]):
        texts[0] = words_in_digits(texts[0], language)
    if not _ONLY_NUMBER.fullmatch(texts[0]):
        return None
    others = [text for text in texts[1:] if _DIGIT.search(text)]
    if any("=" in text or _ONLY_NUMBER.fullmatch(text) or concludes(text, language) for text in others):
        return None
    if any(opens_with_correction(text, phrases(language)) for text in others):
        return None
    return texts[0]


def _comes_first(window: str, parts: list[Sentence], language: str) -> str | None:
    """A first paragraph of one sentence that says what it comes to in the end ("Maya ends up with 27 stickers.").

    Or one whose number is not used in what follows, as one told from the task would be ("27 stickers are left. \n\n At
    first she had 64 …"). None where the last sentence with a number concludes anything of its own.
    """
    main = [part for part in parts[: _MOST_SENTENCES + 1] if part.role == "main"]
    if not 2 <= len(parts) <= _MOST_SENTENCES or parts[0].role != "main":
        return None
    first = window[parts[0].start : parts[0].end]
    alone = "\n" in window[parts[0].end - 1 : parts[1].start + 1]
    finally_says = _final_pattern(phrases(language))
    if not alone or len(_NUMBERS.findall(first)) != 1:
        return None
    numbered = [text for part in main[1:] if _DIGIT.search(text := window[part.start : part.end])]
    last = numbered[-1] if numbered else ""
    ends = "=" in last or concludes(last, language) or finally_says.search(last) is not None
    if not finally_says.search(first):
        rest = window[parts[0].end :]
        blank = "\n\n" in window[parts[0].end - 2 : parts[1].start + 1]
        used = _RESULT.search(rest) is not None or _NUMBERS.findall(first)[0] in _NUMBERS.findall(rest)
        ends = ends or concludes(first, language) or not blank or used
        ends = ends or _result_pattern(phrases(language)).search(last) is not None
    if not last or ends or opens_with_correction(last, phrases(language)) or _ONLY_NUMBER.fullmatch(last):
        return None
    return first


@functools.cache
def _result_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(either_word(words.result_verbs), re.IGNORECASE)


@functools.cache
def _final_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(either_word(words.final_words), re.IGNORECASE)


def committed(window: str, language: str, parts: list[Sentence]) -> Iterator[Candidate]:
    """The number that a response settles on in so many words ("I'm going with sixteen")."""
    pattern = _commitment_pattern(phrases(language))
    for part in reversed(parts[-_MOST_SENTENCES:]):
        sentence = window[part.start : part.end]
        match = pattern.search(sentence) if part.role == "main" else None
        if match is None:
            continue
        said = words_in_digits(sentence[match.end() :], language)
        number = _NUMBER.search(said)
        if number is not None and DIRECT.fullmatch(said, 0, number.start()):
            yield Candidate(said, window[part.end : part.end + LONGEST], "anchor")
        return


@functools.cache
def _commitment_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(either_word(words.commitments), re.IGNORECASE)


def _statement(text: str, position: int) -> tuple[int, int]:
    """Span from ``position``, or from the next line when this one holds nothing, to the end of the sentence."""
    start = position
    while start < len(text) and (text[start] in _MARKUP or text[start].isspace()):
        if text[start] in "-–" and text[start + 1 : start + 2].isdigit():
            break  # a minus sign
        start += 1
    limit = min(len(text), start + LONGEST)
    ends = SENTENCE_END.finditer(text, start, limit)
    end = next((match.end() for match in ends if not ends_abbreviation(text, start, match)), limit)
    return start, end


def _only_said(before: str, words: Phrases) -> bool:
    """Whether the statement stands under a condition or in a refusal: "if the answer is", "I cannot say that …"."""
    if not before.strip():
        return False
    clause = _but_pattern(words).split(before)[-1]
    if is_disbelieved(clause, words):
        return True
    return bool(_condition_pattern(words).search(clause) or refusal_pattern(words).search(clause))


@functools.cache
def _but_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(either_word(words.but), re.IGNORECASE)


def _given_up(statement: str, words: Phrases) -> bool:
    """Whether the first clause of a statement takes the answer back at once ("18かどうか分かりません")."""
    refusal = refusal_pattern(words).search(statement)
    if refusal is None:
        return False
    return not any(word in statement[: refusal.start()].lower() for word in (*words.but, ",", "、"))


@functools.cache
def _condition_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(rf"(?:{either_word(words.conditions)})(?=[^,、]*$)", re.IGNORECASE)
