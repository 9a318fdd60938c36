"""Answers that are no plain number: choice letters, clock times, tuples, yes and no, words.

Each reader takes a cleaned statement and gives the answer in a comparable form, ``SEVERAL`` where the statement gives
two, or None where it gives none.
"""

from __future__ import annotations

import functools
import re
import string
from fractions import Fraction
from typing import Final

from eval.phrases import PHRASES, Phrases, japanese, phrases
from eval.quantities import find_quantities

SEVERAL: Final = "several"
_LETTER = re.compile(r"(?<![A-Za-zÀ-ɏ0-9'’.\\-])([A-J])(?![A-Za-zÀ-ɏ0-9'’])")
_CLOCK = re.compile(
    r"(?<![\d.,:])(?P<hour>\d{1,2})\s?(?:(?P<sep>[:hH.]|時|Uhr\s|heures?\s)\s?(?P<minute>\d{2})(?!\d)(?:分)?|時(?P<half>半)?|(?P<bare>))",
)
_BRACKETS = {"(": ")", "[": "]", "{": "}", "<": ">"}


def normalised(text: str) -> str:
    """Text without case, markup, punctuation at its ends and runs of white space."""
    text = re.sub(r"[*_`$\\{}]", " ", text).casefold()
    return re.sub(r"\s+", " ", text).strip(string.punctuation + " \n。、，．！？「」『』«»“”‘’–—")


def read_choice(statement: str, language: str, *, sentence: bool) -> str | None:
    """A choice letter A to J: "B", "(B)", "option B: 18", "Bです"; ``SEVERAL`` for "A or B"."""
    words = phrases(language)
    statement = _after_last_correction(statement, words, r"[(\[*]*[A-J](?![a-z])")
    alone = re.fullmatch(r"[\W_]*([a-jA-J])[\W_]*", statement)
    if alone:
        return alone[1].upper()
    letters = [m for m in _LETTER.finditer(statement) if not _article(statement, m, words)]
    letters = [m for m in letters if not _denied_word(statement, m.start(), m.end(), words)]
    if not letters:
        return None
    first = letters[0]
    if len({m[1] for m in letters}) == 1:
        return first[1]
    if not sentence and re.fullmatch(r"[^\w]*(?:\w+[\s(*\"]+){0,2}", statement[: first.start()]):
        gap = statement[first.end() : letters[1].start()]
        return SEVERAL if _joined(gap, words) else first[1]
    return SEVERAL


def _article(statement: str, match: re.Match[str], words: Phrases) -> bool:
    """Whether a capital letter is a word ("A dog", "I think", Italian "E", Spanish "O")."""
    bracketed = statement[match.end() : match.end() + 1] in {
        ")",
        "]",
        ".",
        ":",
        "*",
        "}",
    }
    word_follows = re.match(r"\s+[a-zà-ɏ0-9]", statement[match.end() :]) is not None
    joined = "|".join(word for word in words.alternatives + words.additions if not japanese(word))
    if re.match(rf"\s+(?:{joined})\s+[(\[*]*[A-J](?!\w)", statement[match.end() :]):
        return False
    return match[1] in "AEIO" and word_follows and not bracketed


def read_time(statement: str, language: str) -> tuple[int, int, str] | str | None:
    """A clock time as (hour, minute, marker): marker ``am``, ``pm`` or empty; None when no time is named."""
    words = phrases(language)
    statement = _after_last_correction(statement, words, r"\d")
    found = []
    for match in _CLOCK.finditer(statement):
        marker = _half_of_day(statement, match, words)
        if (
            match["minute"] is None and match["half"] is None and not marker and "時" not in match[0]
        ) and not re.match(
            r"\s?(?:h\b|uhr|o'clock|heures?)",
            statement[match.end() :],
            re.IGNORECASE,
        ):
            continue
        minute = int(match["minute"] or (30 if match["half"] else 0))
        if int(match["hour"]) <= 24 and minute < 60:
            found.append((match, (int(match["hour"]), minute, marker)))
    if not found:
        return None
    if len({time for _, time in found}) == 1:
        return found[0][1]
    return SEVERAL if len(found) > 1 and not _EQUALISH.search(statement) else found[-1][1]


_EQUALISH = re.compile(r"[=→]")


def _half_of_day(statement: str, match: re.Match[str], words: Phrases) -> str:
    after, before = (
        statement[match.end() : match.end() + 24],
        statement[max(0, match.start() - 4) : match.start()],
    )
    for marker, entries in (("am", words.morning), ("pm", words.afternoon)):
        if re.match(rf"\s?(?:uhr\s)?(?:{'|'.join(entries)})(?![a-z])", after, re.IGNORECASE):
            return marker
        if any(before.endswith(entry) for entry in entries if not entry.isascii()):
            return marker
    return ""


def same_time(one: tuple[int, int, str], gold: tuple[int, int, str]) -> bool:
    """Whether two clock times agree; a missing half of the day agrees with either."""
    if one[1] != gold[1]:
        return False
    hours, golds = _hours(one), _hours(gold)
    return bool(hours & golds)


def _hours(time: tuple[int, int, str]) -> set[int]:
    hour, _, marker = time
    if marker == "am":
        return {hour % 12}
    if marker == "pm":
        return {hour % 12 + 12}
    return {hour % 24} | ({hour + 12} if 1 <= hour < 12 else {0} if hour == 12 else set())


def read_tuple(statement: str, language: str) -> list[Fraction] | None:
    """The numbers of "(1, 2)", "1 and 2", "x = 1, y = 2" in their order; None where there are none or not plain."""
    groups = re.findall(r"[(\[{]([^()\[\]{}]{1,400})[)\]}]", statement)
    inner = groups[-1] if groups and len(find_quantities(groups[-1], language)) > 1 else statement
    inner = re.sub(r"(?<![\w])[a-zA-Z](?:_\d)?\s?=", " ", inner)
    words = phrases(language)
    joiners = "|".join(word for word in words.additions + words.alternatives if word.isascii() and word.isalpha())
    if ";" in inner:
        parts = inner.split(";")
    else:
        parts = re.split(
            rf"[,、](?!\d)|\s+(?:{joiners})\s+|(?<=\d),(?=\d)(?!\d{{3}}(?!\d))|と",
            inner,
        )
    values = []
    for part in parts:
        quantities = find_quantities(part, language)
        if not quantities and not part.strip():
            continue
        if len(quantities) != 1 or not quantities[0].values:
            return None
        values.append(quantities[0].values[0])
    return values if len(values) > 1 else None


@functools.cache
def truth_words() -> dict[str, str]:
    """Every word for yes, no, true and false with its meaning."""
    meanings: dict[str, str] = {}
    for entry in PHRASES.values():
        for meaning, forms in (
            ("yes", entry.says_yes),
            ("no", entry.says_no),
            ("true", entry.says_true),
            ("false", entry.says_false),
        ):
            meanings.update({form: meaning for form in forms if form not in meanings})
    return meanings


def read_truth(statement: str, language: str) -> str | None:
    """The truth word that a statement begins with, in English; ``SEVERAL`` for "yes or no"."""
    words = phrases(language)
    own: dict[str, str] = {}
    for meaning, forms in (
        ("yes", words.says_yes),
        ("no", words.says_no),
        ("true", words.says_true),
        ("false", words.says_false),
    ):
        own.update(dict.fromkeys(forms, meaning))
    pattern = re.compile(
        rf"(?<![^\W_])(?:{'|'.join(sorted(map(re.escape, own), key=len, reverse=True))})(?![^\W_])",
        re.IGNORECASE,
    )
    japanese = re.match(r"\W*(はい|いいえ|正しい|誤り|真|偽)", statement)
    if japanese:
        return own.get(japanese[1])
    plain = statement.strip(" \n*_`\"'“”().,:;!-–—")
    first = pattern.match(plain)
    if first is None:
        return None
    if re.match(
        r"\s*(?:or|ou|o|oder|and|et|y|und|e|/)\s(?:yes|no|non?|oui|sí|nein|ja|sì|true|false)",
        plain[first.end() :],
        re.IGNORECASE,
    ):
        return SEVERAL
    later = [
        m
        for m in pattern.finditer(plain, first.end())
        if re.search(
            r"[.,;:!—–-]\s*(?:wait|attends|moment|espera|aspetta|warte)[\s,.:]*$",
            plain[: m.start()],
            re.IGNORECASE,
        )
    ]
    return own[(later[-1] if later else first)[0].lower()]


def says(statement: str, gold: str, language: str, *, sentence: bool) -> bool | str:
    """Whether a statement gives the words of ``gold`` as its answer; ``SEVERAL`` where it offers others too."""
    statement, wanted = normalised(statement), normalised(gold)
    statement_plain = re.sub(
        r"^(?:the|a|an|le|la|les|l'|un|une|el|los|las|una|der|die|das|ein|eine|il|lo|gli|i)\s+",
        "",
        statement,
    )
    wanted_plain = re.sub(r"^(?:the|a|an)\s+", "", wanted)
    if not wanted_plain:
        return False
    if statement_plain == wanted_plain:
        return True
    words = phrases(language)
    position = _find_word(statement, wanted_plain)
    if position is None or _denied_word(statement, position, position + len(wanted_plain), words):
        return False
    after, before = statement[position + len(wanted_plain) :], statement[:position]
    either = "|".join(word for word in words.alternatives if word.isascii())
    if re.match(rf"\s+(?:{either})\s", after) or re.search(rf"\s(?:{either})\s+$", before):
        return SEVERAL
    if sentence:
        return True
    return len(before.split()) <= 3 and re.match(r"$|[^\w]|です|だ", after) is not None


def _find_word(text: str, word: str) -> int | None:
    start = text.find(word)
    while start != -1:
        before, after = (
            text[start - 1 : start],
            text[start + len(word) : start + len(word) + 1],
        )
        spaced = word.isascii() or not japanese(word)
        if not spaced or not (before.isalnum() or (after.isalnum() and after.isascii())):
            return start
        start = text.find(word, start + 1)
    return None


def _joined(gap: str, words: Phrases) -> bool:
    entries = "|".join(words.alternatives + words.additions)
    return (
        re.fullmatch(
            rf"[\s)\]*.]*(?:/|,|&|{entries})?[\s(\[*]*(?:\w+\s)?[(\[*]*",
            gap,
            re.IGNORECASE,
        )
        is not None
    )


def _denied_word(statement: str, start: int, end: int, words: Phrases) -> bool:
    before = rf"(?:(?<!\w)(?:{'|'.join(words.denied_before)})|n['’]t)(?:\s[^\W\d]+){{0,1}}\s[(*\"]*$"
    if re.search(before, statement[max(0, start - 40) : start], re.IGNORECASE):
        return True
    return (
        bool(words.denied_after) and re.match(rf"[)*]*(?:{'|'.join(words.denied_after)})", statement[end:]) is not None
    )


def _after_last_correction(statement: str, words: Phrases, answer: str) -> str:
    latin = "|".join(word for word in words.corrections if not japanese(word))
    other = "|".join(word for word in words.corrections if japanese(word)) or "(?!)"
    pattern = re.compile(
        rf"(?:[.,;:!?…—–()\n-]\s*(?i:{latin})(?!\w)[\s.,:;!…—–-]*|(?:{other})[、。,\s]*)(?:(?!\d)\w+['\s,:]+){{0,4}}?(?={answer})"
    )
    last = None
    for match in pattern.finditer(statement[:2000]):
        last = match
    return statement[last.end() :] if last else statement
