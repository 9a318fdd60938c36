"""What the sentences of a response do: state, ask, tell the task again, refuse, or stand aside (checks, notes).

A careful reader takes the answer from what is stated; a check or an explanation after it repeats other numbers.
"""

from __future__ import annotations

import functools
import re

from eval.asides import error_pattern, side_opening, stands_aside, unasked_clause
from eval.conclusions import concludes, conclusion_pattern, conclusion_words
from eval.corrections import strong_corrections
from eval.phrases import DIRECT, Phrases, either_word, japanese, phrases
from eval.sentences import Role, Sentence, sentences

_DIGIT = re.compile(r"\d")
_NUMBER = re.compile(r"\d+")
_ASKS = re.compile("何|いく[つら]|どれ|どの")
_LATEST = 12  # sentences from the end that are read closely
_REFUSAL_WINDOW = 2_000  # characters from the end in which a refusal is looked for
_SUPPOSED = re.compile(r"\d.*(?<!\w)(?:if|when|wenn|falls|si|se)\s(?:[^\W\d]+\s){0,2}$", re.IGNORECASE | re.DOTALL)
_HEADING = re.compile(r"\s*(?:#{1,6}\s|\*\*[^*\n]{1,60}\*\*\s*:?\s*$|【[^】\n]{1,30}】\s*$|-{3,}\s*$)")


def with_roles(text: str, language: str) -> list[Sentence]:
    """The sentences of a text with their roles.

    A heading ("### Check", "**検算**") opens a section that lasts to the next heading; "Check: 60 - 15 = 45." one that
    lasts to the end of its line. A check that finds a mistake is no longer beside the point.
    """
    words = phrases(language)
    found: list[Sentence] = []
    section: Role = "main"
    line: Role = "main"
    previous_end = 0
    spans = sentences(text)
    for index, (start, end) in enumerate(spans):
        sentence = text[start:end]
        if "\n" in text[previous_end:start] or text[start - 1 : start] == "\n":
            line = "main"
        previous_end = end
        opened = side_opening(sentence, words, language)
        if opened is not None and opened[0] == "note" and not _DIGIT.search(text, 0, start):
            opened = None  # "Explanation:" above everything else heads the answer itself
        if opened is not None:
            kind, alone = opened
            if alone:
                section, line = kind, "main"
            else:
                line = kind
        elif (section != "main" and _HEADING.match(sentence)) or (
            section == "note" and conclusion_pattern(language).match(sentence)
        ):
            section = "main"
        role: Role = line if line != "main" else section
        if role == "check" and _mistake_pattern(words).search(sentence):
            role = section = line = "main"
        closely = role == "main" and index >= len(spans) - _LATEST and not concludes(sentence, language)
        if closely and stands_aside(text, start, end, found, language):
            role = "note"
        if index >= len(spans) - _LATEST and error_pattern(words).search(sentence):
            role = "mistake"
        found.append(Sentence(start, end, role))
    return found


@functools.cache
def _mistake_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile("|".join((*words.retractions, either_word(strong_corrections(words)))), re.IGNORECASE)


def is_question(sentence: str) -> bool:
    """Whether a sentence ends with a question mark, or asks as Japanese does without one."""
    sentence = sentence.rstrip(" \n*_\"')”»」』")
    return sentence.endswith(("?", "？")) or (sentence.endswith("か。") and _ASKS.search(sentence) is not None)


def asks_the_task(sentence: str, language: str) -> bool:
    """Whether a sentence is a question about a quantity ("How many apples …?")."""
    return is_question(sentence) and _question_pattern(phrases(language)).search(sentence) is not None


def instructs(sentence: str, language: str) -> bool:
    """Whether a sentence repeats how to answer ("as a single number on the last line")."""
    return _instruction_pattern(phrases(language)).search(sentence) is not None


@functools.cache
def _instruction_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(either_word(words.instructions, ends=False), re.IGNORECASE)


def offers(sentence: str, language: str) -> bool:
    """Whether a question offers help ("Would you like to see …?")."""
    return _offer_pattern(phrases(language)).search(sentence) is not None


def broken_off(sentence: str, language: str) -> bool:
    """Whether the last sentence of a text stops in its middle ("…, so the total is")."""
    return _dangling_pattern(phrases(language)).search(sentence.rstrip()[-40:]) is not None


@functools.cache
def _offer_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(either_word(words.offers, ends=False), re.IGNORECASE)


@functools.cache
def _dangling_pattern(words: Phrases) -> re.Pattern[str]:
    spaced = "|".join(word for word in words.dangling if not japanese(word))
    other = [rf"(?<=[^\W\d])(?:{'|'.join(word for word in words.dangling if japanese(word))})$"]
    return re.compile("|".join([rf"\s(?:{spaced})$"] + other * any(map(japanese, words.dangling))))


def restates(sentence: str, language: str) -> bool:
    """Whether a sentence says what is to be found instead of saying it ("We need to find 12 + 6").

    "The age that we are asked for is 14" and "Gesucht ist somit -4" say it.
    """
    words = phrases(language)
    match = _restatement_pattern(words).search(sentence)
    if match is None or _SUPPOSED.search(sentence, 0, match.start()) or unasked_clause(sentence, language):
        return False  # "14 boxes a month, or half a box a day if you assume thirty days"
    found = _found_pattern(language).search(sentence, match.end())
    return found is None or re.search(either_word(words.conditions), sentence[: found.start()], re.I) is not None


@functools.cache
def _found_pattern(language: str) -> re.Pattern[str]:
    """What was asked for and, at the end of the sentence, its number."""
    concluding = either_word(conclusion_words(language))
    number = r"[*_]*(?:(?:minus|moins|menos|meno)\s)?[$€£¥]?-?\d[\d.,' ]*(?:\s?[^\W\d]+){0,2}[\s*_.!。]*$"
    return re.compile(
        rf"(?:{concluding}|\s(?:is|are|est|sont|es|son|ist|sind|beträgt|lautet|è|sono)|は|が)\s?{DIRECT.pattern}{number}",
        re.IGNORECASE,
    )


def refuses(text: str, language: str) -> bool:
    """Whether a text says that no answer is given, and gives none after that.

    "It cannot be solved with one equation. So we use two …" goes on to an answer; "It might be 18" is only a guess.
    """
    words = phrases(language)
    text = text[-_REFUSAL_WINDOW:]
    withdrawals = list(_withdrawal_pattern(words).finditer(text))
    if withdrawals:
        before, after = text[: withdrawals[-1].start()], text[withdrawals[-1].end() :]
        if set(_NUMBER.findall(after)) <= set(_NUMBER.findall(before)):
            return True  # no other number takes its place
    refusals = list(refusal_pattern(words).finditer(text))
    if not refusals:
        return False
    rest = text[refusals[-1].end() :]
    return not any(
        _DIGIT.search(rest, match.end(), match.end() + 200) for match in _turn_pattern(language).finditer(rest)
    )


@functools.cache
def _turn_pattern(language: str) -> re.Pattern[str]:
    """Words after which an answer may follow a refusal: ", so", "Therefore", "quindi"."""
    words = phrases(language)
    entries = [word for word in (*words.but, *conclusion_words(language)) if not japanese(word)]
    if language == "it":
        entries = [word for word in entries if word != "so"]  # "I know"
    return re.compile(rf"(?<!\w)(?:{'|'.join(entries)})(?!\w)|ので、|よって|したがって|ですが、", re.IGNORECASE)


@functools.cache
def refusal_pattern(words: Phrases) -> re.Pattern[str]:
    """Matches a clause that says that no answer is given."""
    return re.compile(either_word(words.refusals, ends=False), re.IGNORECASE)


@functools.cache
def _withdrawal_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(either_word(words.withdrawals, ends=False), re.IGNORECASE)


@functools.cache
def _restatement_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(either_word(words.restatements + words.instructions, ends=False), re.IGNORECASE)


@functools.cache
def _question_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(either_word(words.questions), re.IGNORECASE)
