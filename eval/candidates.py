"""Where an answer stands in a response: boxes, announcements ("the answer is"), the last sentence; strongest first."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from data_prep.languages import LANGUAGES, Language, get_language
from eval.phrases import Phrases, either_word, phrases

WINDOW = 20_000  # characters from the end in which an announcement or a last sentence is looked for
LONGEST = 2_000  # characters of a statement that are read

_MOST_ANCHORS = 32

_BOX = re.compile(r"\\f?boxed\s*")
_BOX_WINDOW = 200_000  # boxes are looked for in that much text before the end
_MOST_BOXES = 64
_SENTENCE_END = re.compile(r"[。！？!?]+[)\]\"'”»*_」』]*|\.+[)\]\"'”»*_」』]*(?=\s|$)|\n+")
_LIST_MARKER = re.compile(r"\s*[*_]{0,2}\d{1,2}\.[ ]")
_MARKUP = " \t*_`\"'“”»«>:：#-–—→=「『"


@dataclass(frozen=True)
class Candidate:
    """A stretch of the response that states an answer.

    Args:
        text: the statement; ``rest``: what follows it (a correction may stand there).
        method: ``boxed``, ``anchor``, ``bare`` (the response is nothing else) or ``last_number`` (weak: a sentence
            that does not say that it is the answer).
        before: what precedes the statement in its sentence.
        words_count: number words in it may be the answer; not in a sentence before the last, when digits are around.
    """

    text: str
    rest: str
    method: str
    before: str = ""
    words_count: bool = True


def boxes(response: str) -> tuple[list[tuple[int, int, str]], bool]:
    """Contents of the closed boxes near the end with their spans, in order, and whether one of them is empty."""
    offset = max(0, len(response) - _BOX_WINDOW)
    starts = [(m.start() + offset, m.end() + offset) for m in _BOX.finditer(response[offset:])][-_MOST_BOXES:]
    found: list[tuple[int, int, str]] = []
    empty = False
    for start, inside in starts:
        if found and start < found[-1][1]:
            continue  # a box in a box
        if inside < len(response) and response[inside] == "{":
            end = _closing_brace(response, inside)
            content = response[inside + 1 : end - 1] if end else None
        else:
            single = re.compile(r"[A-Za-z0-9]+").match(response, inside) if inside > start + 6 else None
            end, content = (single.end(), single[0]) if single and response[inside - 1].isspace() else (None, None)
        if end is None or content is None:
            continue
        if re.sub(r"\\(?:text|mathrm)\s*\{\s*\}|[\s?_.…$\\,;~{}]|\\quad", "", content):
            found.append((start, end, content))
        else:
            empty = True
    return found, empty


def _closing_brace(text: str, opening: int) -> int | None:
    """Index after the brace that closes the one at ``opening``; None within the longest statement."""
    depth = 0
    for position in range(opening, min(len(text), opening + LONGEST)):
        if text[position] == "{" and text[position - 1] != "\\":
            depth += 1
        elif text[position] == "}" and text[position - 1] != "\\":
            depth -= 1
            if depth == 0:
                return position + 1
    return None


@functools.cache
def _anchor_pattern(language: str) -> re.Pattern[str]:
    entries = list({id(entry): entry for entry in (get_language(language), LANGUAGES["en"])}.values())
    parts = [r"(?P<hashes>^\s{0,3}\#{4}(?!\#))"]
    parts += [_spaced_anchor(entry) if entry.spaced else _unspaced_anchor(entry) for entry in entries]
    return re.compile("|".join(parts), re.IGNORECASE | re.MULTILINE)


def _spaced_anchor(entry: Language) -> str:
    nouns = "|".join(sorted(map(re.escape, entry.answer_words), key=len, reverse=True))
    copulas = "|".join(sorted(map(re.escape, entry.answer_phrases), key=len, reverse=True))
    quotes = r"[*_\"'”»)\]`]*"
    return (
        rf"(?<![\w/-])(?P<{entry.code}>{nouns})(?![\w/-])(?:"
        rf"\s?(?:\([^()\n]{{0,30}}\)|\[[^\[\]\n]{{0,30}}\])?{quotes}\s?[:=→]{quotes}"
        rf"|(?:\s[^.!?\n\d:;,$\\]{{0,60}}?)?\s(?:{copulas})(?!\w)\s?:?"
        rf"|{quotes}[ ]{{0,3}}$"
        rf"|{quotes}\s(?=[*$€£¥(\"]{{0,3}}(?:[-]?\d|(?-i:[A-J])(?:[).:\s*]|$))))"
    )


def _unspaced_anchor(entry: Language) -> str:
    nouns = "|".join(sorted(map(re.escape, entry.answer_words), key=len, reverse=True))
    links = "|".join(sorted(map(re.escape, entry.answer_phrases), key=len, reverse=True))
    return (
        rf"(?P<{entry.code}>{nouns})[*_」』]*(?:\s?(?:\([^()\n]{{0,30}}\))?\s?(?:{links}|=)"
        rf"|(?!く|け|き|決|説|析|法|消|え[るた])[^。！？\n\d、]{{0,15}}?(?:は|:|=)|\s?(?=[$¥]?\d)|\s*$)"
    )


@dataclass(frozen=True)
class _Anchor:
    start: int
    end: int
    soft: bool


def _anchors(text: str, language: str) -> list[_Anchor]:
    soft = set(phrases(language).soft_nouns)
    found = []
    for match in _anchor_pattern(language).finditer(text):
        noun = next((value for value in match.groups() if value), "").lower()
        if _denial_pattern(phrases(language)).search(match[0]):
            continue  # "the answer is not", "la risposta non è"
        found.append(_Anchor(match.start(), match.end(), noun in soft))
    return found


@functools.cache
def _denial_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(words.denied_before)})(?!\w)|n't\b", re.IGNORECASE)


def sentences(text: str) -> list[tuple[int, int]]:
    """Spans of the sentences and lines of a text; blank ones are left out."""
    spans, start = [], 0
    for match in _SENTENCE_END.finditer(text):
        if match.end() - start < 9 and _LIST_MARKER.fullmatch(text, start, match.end() + 1):
            continue  # "3. " numbers an item and ends nothing
        if text[start : match.end()].strip():
            spans.append((start, match.end()))
        start = match.end()
    if text[start:].strip():
        spans.append((start, len(text)))
    return spans


def is_question(sentence: str) -> bool:
    """Whether a sentence ends with a question mark."""
    return sentence.rstrip(" \n*_\"')”»」』").endswith(("?", "？"))


def announced(text: str, language: str) -> Iterator[Candidate]:
    """Statements that say that they are the answer, the last one first; ``text`` is cleaned."""
    words = phrases(language)
    offset = max(0, len(text) - WINDOW)
    window = text[offset:]
    spans = sentences(window)
    last_number = max(
        (start for start, end in spans if re.search(r"\d", window[start:end])),
        default=-1,
    )
    for anchor in _anchors(window, language)[: -_MOST_ANCHORS - 1 : -1]:
        start, end = _statement(window, anchor.end)
        if start == end:
            continue
        sentence_start = max((s for s, _ in spans if s <= anchor.start), default=0)
        before = window[max(sentence_start, anchor.start - 300) : anchor.start]
        if anchor.soft and last_number >= end:
            continue  # a step on the way: numbers follow
        if is_question(window[start:end]) or _only_said(before, words):
            continue
        if _given_up(window[start:end], words):
            continue
        yield Candidate(window[start:end], window[end : end + LONGEST], "anchor", before)


def _statement(text: str, position: int) -> tuple[int, int]:
    """Span from ``position``, or from the next line when this one holds nothing, to the end of the sentence."""
    start = position
    while start < len(text) and (text[start] in _MARKUP or text[start].isspace()):
        if text[start] in "-–" and text[start + 1 : start + 2].isdigit():
            break  # a minus sign
        start += 1
    limit = min(len(text), start + LONGEST)
    end = _SENTENCE_END.search(text, start, limit)
    return start, end.end() if end else limit


def _only_said(before: str, words: Phrases) -> bool:
    """Whether the statement stands under a condition or in a refusal: "if the answer is", "I cannot say that …"."""
    if not before.strip():
        return False
    clause = before
    for word in words.but:
        clause = re.split(rf"(?i)(?<!\w){word}(?!\w)" if word.isascii() else word, clause)[-1]
    return bool(_condition_pattern(words).search(clause) or refusal_pattern(words).search(clause))


def _given_up(statement: str, words: Phrases) -> bool:
    """Whether the first clause of a statement takes the answer back at once ("18かどうか分かりません")."""
    refusal = refusal_pattern(words).search(statement)
    if refusal is None:
        return False
    return not any(word in statement[: refusal.start()].lower() for word in (*words.but, ",", "、"))


@functools.cache
def _condition_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(rf"(?:{either_word(words.conditions)})(?=[^,、]*$)", re.IGNORECASE)


@functools.cache
def refusal_pattern(words: Phrases) -> re.Pattern[str]:
    """Matches a clause that says that no answer is given."""
    return re.compile(either_word(words.refusals, ends=False), re.IGNORECASE)


@functools.cache
def _restatement_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(either_word(words.restatements, ends=False), re.IGNORECASE)


@functools.cache
def _question_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(either_word(words.questions), re.IGNORECASE)


def asks_the_task(sentence: str, language: str) -> bool:
    """Whether a sentence is a question about a quantity ("How many apples …?")."""
    return is_question(sentence) and _question_pattern(phrases(language)).search(sentence) is not None


def restates(sentence: str, language: str) -> bool:
    """Whether a sentence says what is to be found instead of saying it ("We need to find 12 + 6")."""
    return _restatement_pattern(phrases(language)).search(sentence) is not None
