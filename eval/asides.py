"""Sentences beside the answer: headings of notes and checks, mistakes of others, what would be, why it is so.

They repeat numbers or name others, and a careful reader does not take the answer from them while there is another.
"""

from __future__ import annotations

import functools
import re

from eval.conclusions import DRESS, concludes, inner_conclusion
from eval.phrases import Phrases, either_word, phrases
from eval.remarks import only_compares
from eval.sentences import Role, Sentence

_DIGIT = re.compile(r"\d")
_BOLD_NUMBER = re.compile(r"\*\*[^*\n]{0,30}\d[^*\n]{0,30}\*\*")
_LONGEST = 600  # characters of a sentence that may be an explanation
_NUMBER = re.compile(r"\d[\d.,' ]*")
_CLAUSE_START = re.compile(r"(?P<mark>[,;:(—–])\s?(?:[^\W\d]+\s){0,2}$")


def side_opening(sentence: str, words: Phrases, language: str) -> tuple[Role, bool] | None:
    """The kind of aside that a sentence opens, and whether it is a heading that stands alone."""
    for kind, pattern in _side_patterns(words):
        match = pattern.match(sentence)
        if match is not None:
            if kind == "note" and not match["named"] and inner_conclusion(language).search(sentence, match.end()):
                return None  # "note that 9 are left, so she earns 18"
            return kind, not sentence[match.end() :].strip(" \n*_:：」』】)]")
    return None


@functools.cache
def _side_patterns(words: Phrases) -> tuple[tuple[Role, re.Pattern[str]], ...]:
    patterns: list[tuple[Role, re.Pattern[str]]] = []
    kinds: tuple[tuple[Role, tuple[str, ...], tuple[str, ...]], ...] = (
        ("check", words.checks, words.check_openings),
        ("note", words.notes, words.note_openings),
    )
    for kind, nouns, openings in kinds:
        # A noun opens an aside when a colon follows or nothing at all, a clause whatever follows.
        ends = r"[*_」』】)]*\s*(?:[:：]|[*_\s]*$)|[」』】)\]]\s*"
        named = rf"(?P<named>(?:{'|'.join(nouns)})(?:\s?\([^()\n]{{0,40}}\))?(?:{ends}))"
        opened = rf"(?:{either_word(openings, ends=False)})"
        patterns.append((kind, re.compile(rf"{DRESS}(?:{named}|{opened})", re.IGNORECASE)))
    return tuple(patterns)


@functools.cache
def error_pattern(words: Phrases) -> re.Pattern[str]:
    """Matches a sentence about answers that others give by mistake."""
    warning = rf"(?:(?:{either_word(words.warnings)})[*_]*\s?[:：,!！、。][\s*_]*)?"
    return re.compile(rf"^[\s*_(（#>•⚠️–-]*{warning}(?:{either_word(words.mistakes, ends=False)})", re.IGNORECASE)


def stands_aside(text: str, start: int, end: int, before: list[Sentence], language: str) -> bool:
    """Whether the sentence at ``text[start:end]`` compares, supposes or explains and states nothing."""
    words = phrases(language)
    return (
        _in_parentheses(text[start:end])
        or (_stated(text, before) and _part_pattern(words).match(text, start, end) is not None)
        or supposed_clause(text[start:end], language) == 0
        or only_compares(text, start, end, language)
        or _supposed(text, start, end, language)
        or _explains(text, start, end, before, words)
        or _verifies(text, start, end, before, language)
        or (_stated(text, before) and unasked_clause(text[start:end], language) == 0)
    )


@functools.cache
def _part_pattern(words: Phrases) -> re.Pattern[str]:
    """Matches a sentence about a part of what was counted before it ("Two of them are …")."""
    every = r"(?!each|every|all|both|chac|tou[st]|jede|alle|beide|ogn|ciasc|tutt|cada|tod)"
    return re.compile(rf"{DRESS}{every}[^\W_]+\s(?:{'|'.join(words.part_of)})(?!\w)", re.IGNORECASE)


def _supposed(text: str, start: int, end: int, language: str) -> bool:
    """Whether a sentence only supposes ("Alone, he would need 7") in a paragraph after one with a bold answer."""
    paragraph = text.rfind("\n\n", 0, start + 2)
    if paragraph <= 0 or not _BOLD_NUMBER.search(text, max(0, paragraph - 300), paragraph):
        return False
    number = _DIGIT.search(text, start, end)
    if number is None or "=" in text[start:end] or _BOLD_NUMBER.search(text, start, end):
        return False
    if inner_conclusion(language).search(text, start, number.end()):
        return False  # "four boxes would therefore weigh 20 kg"
    return _conditional_pattern(phrases(language)).search(text, start, end) is not None


def _explains(text: str, start: int, end: int, before: list[Sentence], words: Phrases) -> bool:
    """Whether a sentence without an equation says why what was stated before it holds ("Denn jede kostet 4") or turns
    to another side ("Leo, on the other hand, …")."""
    if end - start > _LONGEST or "=" in text[start:end] or not _explanation_pattern(words).match(text, start, end):
        return False
    return _stated(text, before)


def _stated(text: str, before: list[Sentence]) -> bool:
    return any(part.role == "main" and _DIGIT.search(text, part.start, part.end) for part in before)


def _verifies(text: str, start: int, end: int, before: list[Sentence], language: str) -> bool:
    """Whether a sentence finds what was stated before it confirmed ("21 and 49 are 70, as required")."""
    words = phrases(language)
    if not _verification_pattern(words).search(text, start, end) or concludes(text[start:end], language):
        return False
    return _stated(text, before)


@functools.cache
def _verification_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(either_word(words.verifications), re.IGNORECASE)


@functools.cache
def _explanation_pattern(words: Phrases) -> re.Pattern[str]:
    contrast = rf"(?:[^\W\d_]+,? ){{0,3}}?(?:{either_word(words.contrasts)})"
    second = rf"[^\W\d_]+\s(?:{either_word(words.explanations)})"  # "Entrano infatti"
    return re.compile(rf"{DRESS}(?:{either_word(words.explanations)}|{contrast}|{second})", re.IGNORECASE)


@functools.cache
def _conditional_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(either_word(words.conditionals), re.IGNORECASE)


def supposed_clause(sentence: str, language: str) -> int | None:
    """Where in a sentence it begins to say what would be; 0 where nothing with a number stands before that clause.

    "Four buses: with 3 only 120 would fit" says its number before the colon.
    """
    match = _counterfactual_pattern(phrases(language)).search(sentence)
    if match is None:
        return None
    clause = _CLAUSE_START.search(sentence, 0, match.start())
    return clause.start("mark") if clause is not None and _DIGIT.search(sentence, 0, clause.start("mark")) else 0


def unasked_clause(sentence: str, language: str) -> int | None:
    """Where in a sentence it begins to say what was not asked for; 0 where nothing with a number stands before that.

    "He pays 1,080, which in 12 instalments is 90 a month, but that was not asked" says its number first.
    """
    match = _unasked_pattern(phrases(language)).search(sentence)
    if match is None:
        return None
    first = _NUMBER.search(sentence, 0, match.start())
    comma = sentence.find(", ", first.end(), match.start()) if first is not None else -1
    return comma if comma > 0 and _DIGIT.search(sentence, comma, match.start()) else 0


@functools.cache
def _unasked_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(either_word(words.not_asked, ends=False), re.IGNORECASE)


@functools.cache
def _counterfactual_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(either_word(words.counterfactuals, ends=False), re.IGNORECASE)


def _in_parentheses(sentence: str) -> bool:
    plain = sentence.strip(" \n*_")
    return (
        plain[:1] in "(（" and plain.rstrip(".。!").endswith((")", "）")) and plain.count("(") <= 1 and len(plain) > 12
    )
