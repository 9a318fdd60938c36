"""What the sentences of a response do: state, ask, tell the task again, refuse, or stand aside (checks, notes).

A careful reader takes the answer from what is stated; a check or an explanation after it repeats other numbers.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Literal

from data_prep.languages import LANGUAGES
from eval.corrections import strong_corrections
from eval.phrases import DIRECT, Phrases, either_word, japanese, phrases
from eval.remarks import only_compares

Role = Literal["main", "note", "check", "mistake"]

SENTENCE_END = re.compile(r"[。！？!?]+[)\]\"'”»*_」』]*|\.+[)\]\"'”»*_」』]*(?=\s|$)|\n+")
_LIST_MARKER = re.compile(r"\s*[*_]{0,2}\d{1,2}\.[ ]")
_ABBREVIATIONS = frozenset(
    ("ex", "p.ex", "e.g", "i.e", "z.b", "d.h", "b", "h", "ca", "approx", "etc", "nr", "bzw", "ggf", "inkl", "vgl",
     "max", "mio", "mrd", "dr", "mr", "mrs", "ms", "vs", "std")
)  # fmt: skip
_SPACED_ABBREVIATION = re.compile(r"(?<!\w)(?:d\.\sh|z\.\sb|p\.\se[jx]|u\.\sa|i\.\se|e\.\sg)\.", re.IGNORECASE)
_DIGIT = re.compile(r"\d")
_BOLD_NUMBER = re.compile(r"\*\*[^*\n]{0,30}\d[^*\n]{0,30}\*\*")
_LATEST = 12  # sentences from the end that are read closely
_REFUSAL_WINDOW = 2_000  # characters from the end in which a refusal is looked for
_DRESS = r"[\s*_#>(\[「『【✓✔✅☑️•~-]*"
_SUPPOSED = re.compile(r"\d.*(?<!\w)(?:if|when|wenn|falls|si|se)\s(?:[^\W\d]+\s){0,2}$", re.IGNORECASE | re.DOTALL)
_CLAUSE_START = re.compile(r"(?P<mark>[,;:(—–])\s?(?:[^\W\d]+\s){0,2}$")
_HEADING = re.compile(r"\s*(?:#{1,6}\s|\*\*[^*\n]{1,60}\*\*\s*:?\s*$|【[^】\n]{1,30}】\s*$|-{3,}\s*$)")


@dataclass(frozen=True)
class Sentence:
    """A sentence or line at ``text[start:end]`` and what it does: ``main``, or ``note`` or ``check`` beside it,
    or ``mistake``: what others answer by mistake."""

    start: int
    end: int
    role: Role


def sentences(text: str) -> list[tuple[int, int]]:
    """Spans of the sentences and lines of a text; blank ones are left out."""
    spans, start = [], 0
    for match in SENTENCE_END.finditer(text):
        numbers = match.end() - start < 9 and _LIST_MARKER.fullmatch(text, start, match.end() + 1)
        if numbers and not _opens_with_answer(text, start, match.end()):
            continue  # "3. " numbers an item and ends nothing
        if ends_abbreviation(text, start, match):
            continue
        if text[start : match.end()].strip():
            spans.append((start, match.end()))
        start = match.end()
    if text[start:].strip():
        spans.append((start, len(text)))
    return spans


def _opens_with_answer(text: str, start: int, end: int) -> bool:
    """Whether "85. Her first …" at the start of a text is an answer: no list begins at 85, or has but one item."""
    number = int("".join(filter(str.isdecimal, text[start:end])))
    if text[:start].strip() or number < 2 or not re.match(r"\s[*_\"'«“]*[A-ZÀ-ÖØ-Þ]", text[end : end + 4]):
        return False
    return re.search(rf"\n\s*[*_]{{0,2}}{number + 1}[.)]", text) is None


def ends_abbreviation(text: str, start: int, point: re.Match[str]) -> bool:
    """Whether a match of ``SENTENCE_END`` in the sentence from ``start`` is the point of an abbreviation ("i.e.")."""
    return point[0] == "." and (
        _abbreviates(text, max(start, point.end() - 9), point.end() - 1)
        or _SPACED_ABBREVIATION.match(text, max(start, point.end() - 2)) is not None
    )


def _abbreviates(text: str, start: int, end: int) -> bool:
    """Whether the word that ends before the point at ``end`` is an abbreviation."""
    words = text[start:end].split()
    return bool(words) and words[-1].lstrip("(").lower() in _ABBREVIATIONS


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
        opened = _side_opening(sentence, words, language)
        if opened is not None and opened[0] == "note" and not _DIGIT.search(text, 0, start):
            opened = None  # "Explanation:" above everything else heads the answer itself
        if opened is not None:
            kind, alone = opened
            if alone:
                section, line = kind, "main"
            else:
                line = kind
        elif (section != "main" and _HEADING.match(sentence)) or (
            section == "note" and _conclusion_pattern(language).match(sentence)
        ):
            section = "main"
        role: Role = line if line != "main" else section
        if role == "check" and _mistake_pattern(words).search(sentence):
            role = section = line = "main"
        closely = role == "main" and index >= len(spans) - _LATEST and not concludes(sentence, language)
        if closely and (
            _in_parentheses(sentence)
            or ((clause := supposed_clause(sentence, language)) is not None and clause == 0)
            or only_compares(text, start, end, language)
            or _supposed(text, start, end, language)
            or _explains(text, start, end, found, words)
            or _verifies(text, start, end, found, language)
        ):
            role = "note"
        if index >= len(spans) - _LATEST and _error_pattern(words).search(sentence):
            role = "mistake"
        found.append(Sentence(start, end, role))
    return found


def _side_opening(sentence: str, words: Phrases, language: str) -> tuple[Role, bool] | None:
    """The kind of aside that a sentence opens, and whether it is a heading that stands alone."""
    for kind, pattern in _side_patterns(words):
        match = pattern.match(sentence)
        if match is not None:
            if kind == "note" and not match["named"] and _inner_conclusion(language).search(sentence, match.end()):
                return None  # "note that 9 are left, so she earns 18"
            return kind, not sentence[match.end() :].strip(" \n*_:：」』】)]")
    return None


def goes_on_to_conclude(statement: str, language: str) -> bool:
    """Whether a statement with a number draws a conclusion with another from it ("96 pages, so 24 are left")."""
    number = _DIGIT.search(statement)
    return number is not None and _inner_conclusion(language).search(statement, number.end()) is not None


@functools.cache
def _inner_conclusion(language: str) -> re.Pattern[str]:
    return re.compile(rf"(?:{either_word(conclusion_words(language))})\D{{0,60}}\d", re.IGNORECASE)


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
        patterns.append((kind, re.compile(rf"{_DRESS}(?:{named}|{opened})", re.IGNORECASE)))
    return tuple(patterns)


@functools.cache
def _mistake_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile("|".join((*words.retractions, either_word(strong_corrections(words)))), re.IGNORECASE)


@functools.cache
def _error_pattern(words: Phrases) -> re.Pattern[str]:
    warning = rf"(?:(?:{either_word(words.warnings)})[*_]*\s?[:：,!！、。][\s*_]*)?"
    return re.compile(rf"^[\s*_(（#>•⚠️–-]*{warning}(?:{either_word(words.mistakes, ends=False)})", re.IGNORECASE)


def _supposed(text: str, start: int, end: int, language: str) -> bool:
    """Whether a sentence only supposes ("Alone, he would need 7") in a paragraph after one with a bold answer."""
    paragraph = text.rfind("\n\n", 0, start + 2)
    if paragraph <= 0 or not _BOLD_NUMBER.search(text, max(0, paragraph - 300), paragraph):
        return False
    number = _DIGIT.search(text, start, end)
    if number is None or "=" in text[start:end] or _BOLD_NUMBER.search(text, start, end):
        return False
    if _inner_conclusion(language).search(text, start, number.end()):
        return False  # "four boxes would therefore weigh 20 kg"
    return _conditional_pattern(phrases(language)).search(text, start, end) is not None


def _explains(text: str, start: int, end: int, before: list[Sentence], words: Phrases) -> bool:
    """Whether a sentence without an equation says why what was stated before it holds ("Denn jede kostet 4") or turns
    to another side ("Leo, on the other hand, …")."""
    if "=" in text[start:end] or not _explanation_pattern(words).match(text, start, end):
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
    contrast = rf"(?:[^\s,.;:=]+,? ){{0,3}}?(?:{either_word(words.contrasts)})"
    return re.compile(rf"{_DRESS}(?:{either_word(words.explanations)}|{contrast})", re.IGNORECASE)


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


@functools.cache
def _counterfactual_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(either_word(words.counterfactuals, ends=False), re.IGNORECASE)


@functools.cache
def _conclusion_pattern(language: str) -> re.Pattern[str]:
    return re.compile(rf"{_DRESS}(?:{either_word(conclusion_words(language))})", re.IGNORECASE)


def conclusion_words(language: str) -> tuple[str, ...]:
    """The words that open a conclusion in the language or in English."""
    return (*LANGUAGES[language].conclusion_words, *LANGUAGES["en"].conclusion_words)


def concludes(sentence: str, language: str) -> bool:
    """Whether a sentence opens as a conclusion ("So …", "Donc …", "したがって…")."""
    return _conclusion_pattern(language).match(sentence) is not None


def _in_parentheses(sentence: str) -> bool:
    plain = sentence.strip(" \n*_")
    return (
        plain[:1] in "(（" and plain.rstrip(".。!").endswith((")", "）")) and plain.count("(") <= 1 and len(plain) > 12
    )


def is_question(sentence: str) -> bool:
    """Whether a sentence ends with a question mark."""
    return sentence.rstrip(" \n*_\"')”»」』").endswith(("?", "？"))


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
    if match is None or _SUPPOSED.search(sentence, 0, match.start()):
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
    return re.compile(rf"(?<!\w)(?:{'|'.join(entries)})(?!\w)|ので、|よって|したがって|ですが、", re.IGNORECASE)


@functools.cache
def refusal_pattern(words: Phrases) -> re.Pattern[str]:
    """Matches a clause that says that no answer is given."""
    return re.compile(either_word(words.refusals, ends=False), re.IGNORECASE)


@functools.cache
def _restatement_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(either_word(words.restatements + words.instructions, ends=False), re.IGNORECASE)


@functools.cache
def _question_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(either_word(words.questions), re.IGNORECASE)
