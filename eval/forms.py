"""Answers that are no plain number: choice letters, yes and no, words.

Each reader takes a cleaned statement and gives the answer in a comparable form, ``SEVERAL`` where the statement gives
two, or None where it gives none.
"""

from __future__ import annotations

import functools
import re
import string
from typing import Final

from eval.conclusions import conclusion_words
from eval.phrases import PHRASES, Phrases, either_word, japanese, phrases
from eval.portions import small_number, small_words

SEVERAL: Final = "several"
_ORDINALS = 5  # as many are listed for each language
# A first word or two with a stop after it: "Yes, …", "So no: …".
_OPENING = re.compile(r"[\W_]*(?:[^\W\d]+,?\s)?(?P<word>[^\W\d]+)[*_]*\s*[,.!:;。、！—–]")
_ALONE = re.compile(
    r"[\W_]*(?:(?:la|le|the|die|der|letter|lettre|letra|lettera|buchstabe|option|opción|opzione)\s)?([a-jA-J])[\W_]*",
    re.IGNORECASE,
)
_LETS = re.compile(
    r"てみましょう|ていきましょう|let's|let me|voyons|veamos|vediamo|(?:schauen|sehen) wir", re.IGNORECASE
)
_LETTER = re.compile(
    r"(?<![A-Za-zÀ-ɏ0-9'’.\\-])([A-J])(?![A-Za-zÀ-ɏ0-9'’])|(?<![A-Za-zÀ-ɏ0-9'’.\\-])([a-j])(?=\)(?![A-Za-zÀ-ɏ0-9]))"
)


def normalised(text: str) -> str:
    """Text without case, markup, punctuation at its ends and runs of white space."""
    text = re.sub(r"[*_`$\\{}]", " ", text).casefold()
    return re.sub(r"\s+", " ", text).strip(string.punctuation + " \n。、，．！？「」『』«»“”‘’–—")


def read_choice(statement: str, language: str, *, sentence: bool) -> str | None:
    """A choice letter A to J: "B", "(B)", "option B: 18", "Bです"; ``SEVERAL`` for "A or B"."""
    words = phrases(language)
    statement = _after_last_correction(statement, words, r"[(\[*]*[A-J](?![a-z])")
    alone = _ALONE.fullmatch(statement)
    if alone:
        return alone[1].upper()
    letters = [m for m in _LETTER.finditer(statement) if not _article(statement, m, words)]
    letters = [m for m in letters if not denied_word(statement, m.start(), m.end(), words)]
    letters = _before_reason(statement, [m for m in letters if not _ruled_out(statement, m, words)], words)
    if not letters:
        return _ordinal_choice(statement, words)
    first = letters[0]
    names = [(m[1] or m[2]).upper() for m in letters]
    if len(set(names)) == 1:
        return names[0]
    if not sentence and re.fullmatch(r"[^\w]*(?:\w+[\s(*\"]+){0,2}", statement[: first.start()]):
        gap = statement[first.end() : letters[1].start()]
        return SEVERAL if _joined(gap, words) else names[0]
    return SEVERAL


def _ordinal_choice(statement: str, words: Phrases) -> str | None:
    """The letter of "the second option"; None where none or several are named so."""
    found = {match.lastgroup for match in _ordinal_pattern(words).finditer(statement) if match.lastgroup}
    return found.pop() if len(found) == 1 else None


@functools.cache
def _ordinal_pattern(words: Phrases) -> re.Pattern[str]:
    nouns = "|".join(words.choice_nouns)
    options = [
        rf"(?P<{letter}>{'|'.join(words.ordinals[place::_ORDINALS])})"
        for place, letter in enumerate("ABCDE"[:_ORDINALS])
    ]
    return re.compile(rf"(?<!\w)(?:{'|'.join(options)})\s?(?:{nouns})(?!\w)", re.IGNORECASE)


def _ruled_out(statement: str, match: re.Match[str], words: Phrases) -> bool:
    """Whether a clause after the letter says that it is wrong ("B is too small", "A and C are wrong")."""
    if _in_neither(statement, match.start(), words):
        return True
    links = "|".join(word for word in words.both_links if not japanese(word))
    others = rf"(?:[)\]*.,\s]*(?:(?:and|or|et|ou|y|o|und|oder|e|{links})\s)?[(\[*]*[A-J][)\]*]*(?!\w)){{0,4}}[と]?"
    return (
        re.match(rf"{others}[)\]*]*\s?(?:{'|'.join(words.wrong_after)})", statement[match.end() :], re.IGNORECASE)
        is not None
    )


def _in_neither(statement: str, start: int, words: Phrases) -> bool:
    joints = "|".join(words.alternatives + words.additions + words.neither)
    listed = rf"(?:[(\[*]*[A-J][)\]*]*(?:,\s|,?\s(?:{joints})\s)){{0,6}}[(\[*]*"
    return (
        re.search(rf"(?<!\w)(?:{'|'.join(words.neither)})\s{listed}$", statement[max(0, start - 80) : start], re.I)
        is not None
    )


def _before_reason(statement: str, letters: list[re.Match[str]], words: Phrases) -> list[re.Match[str]]:
    """The letters before a clause that gives the reason, where there are any ("C, because A is too small")."""
    for reason in re.finditer(either_word(words.reasons), statement, re.IGNORECASE):
        before = [m for m in letters if m.end() <= reason.start()]
        if before:
            return before
    return letters


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
    joints = words.alternatives + words.additions + words.both_links
    joined = "|".join(word for word in joints if not japanese(word))
    if re.match(rf"\s+(?:{joined})\s+(?:[^\W\d]{{2,3}}\s)?[(\[*]*[A-J](?!\w)", statement[match.end() :]):
        return False
    return match[1] is not None and match[1] in "AEIO" and word_follows and not bracketed


def read_ratio(statement: str, language: str) -> str | None:
    """A ratio as "3:2"; ``SEVERAL`` where the statement gives two and no equation."""
    statement = _ratio_words(language).sub(
        lambda match: f"{small_number(match['one'], language)}:{small_number(match['other'], language)}", statement
    )
    found = re.findall(r"(?<![\d.,])\d+(?:\s?(?::|to|à|pour|a|zu|対)\s?\d+)+", statement)
    if not found:
        return None
    written = [re.sub(r"\s|to|à|pour|a|zu|対", lambda m: "" if m[0].isspace() else ":", text) for text in found]
    return SEVERAL if len(set(written)) > 1 and "=" not in statement else written[-1]


@functools.cache
def _ratio_words(language: str) -> re.Pattern[str]:
    """Two numbers, at least the first in words, with what parts a ratio ("five to three", "fünf zu drei")."""
    words = small_words(language)
    return re.compile(
        rf"(?<!\w)(?P<one>{words})\s(?:to|à|pour|contre|a|zu|su|contro|contra)\s(?P<other>{words}|\d{{1,3}})(?!\w)",
        re.IGNORECASE,
    )


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
    if first is None or (first[0].lower() == "si" and re.match(r"\s[^\W\d]", plain[first.end() :])):
        return None  # "Si sumamos …" is an if
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


def opening_truth(texts: list[str], language: str) -> str | None:
    """The truth word that the first of several sentences opens with ("Yes, she can.") where no later one opens so."""
    said = [read_truth(match["word"], language) for text in texts if (match := _OPENING.match(text))]
    said = [word for word in said if word in ("yes", "no", "true", "false")]
    first = _OPENING.match(texts[0]) if len(texts) > 1 and not _LETS.search(texts[0]) else None
    if first is None or len(said) != 1 or read_truth(first["word"], language) != said[0]:
        return None
    return first["word"]


def inner_truth(texts: list[str], language: str) -> str | None:
    """The truth word that a sentence sets off by commas or draws as its conclusion ("…, so yes, it is prime")."""
    found = [match["word"] for text in texts for match in _inner_truth_pattern(language).finditer(text)]
    return found[-1] if len({truth_words()[word.lower()] for word in found}) == 1 else None


@functools.cache
def _inner_truth_pattern(language: str) -> re.Pattern[str]:
    words = phrases(language)
    said = "|".join((*words.says_yes, *words.says_no))
    concluding = "|".join(word for word in conclusion_words(language) if not japanese(word))
    before = rf"(?:[,;:—–、]\s?|(?<!\w)(?:{concluding})\s)[*_]*"
    return re.compile(rf"{before}(?P<word>{said})(?=[*_]*[,;:.!—–。、])", re.IGNORECASE)


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
    if position is None or denied_word(statement, position, position + len(wanted_plain), words):
        return False
    after, before = statement[position + len(wanted_plain) :], statement[:position]
    either = "|".join(word for word in words.alternatives if word.isascii())
    if re.match(rf"\s+(?:{either})\s", after) or re.search(rf"\s(?:{either})\s+$", before):
        return SEVERAL
    if sentence:
        return True
    return (
        len(before.split()) <= 3
        and re.match(r"$|[^\w]|です|だ|で(?:しょう|した|ある)|[とに]な[りる]", after) is not None
    )


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
    entries = "|".join(words.alternatives + words.additions + words.both_links)
    return (
        re.fullmatch(
            rf"[\s)\]*.]*(?:/|,|&|{entries})?[\s(\[*]*(?:\w+\s){{0,2}}[(\[*]*",
            gap,
            re.IGNORECASE,
        )
        is not None
    )


def denied_word(statement: str, start: int, end: int, words: Phrases) -> bool:
    """Whether a word or letter is said not to be meant ("not A", AではなくC)."""
    before = rf"(?:(?<!\w)(?:{'|'.join(words.denied_before)})|n['’]t)(?:\s[^\W\d]+){{0,1}}\s[(*\"]*$"
    if re.search(before, statement[max(0, start - 40) : start], re.IGNORECASE):
        return True
    return (
        bool(words.denied_after) and re.match(rf"[)*]*(?:{'|'.join(words.denied_after)})", statement[end:]) is not None
    )


def _after_last_correction(statement: str, words: Phrases, answer: str) -> str:
    latin = "|".join(
        rf"{word}(?=\s?[,:])" if word in words.denied_before else word  # "A; no, C" is C, "A, no la B" is A
        for word in words.corrections
        if not japanese(word)
    )
    other = "|".join(word for word in words.corrections if japanese(word)) or "(?!)"
    pattern = re.compile(
        rf"(?:[.,;:!?…—–()\n-]\s*(?i:{latin})(?!\w)[\s.,:;!…—–-]*|(?:{other})[、。,\s]*)(?:(?!\d)\w+['\s,:]+){{0,4}}?(?={answer})"
    )
    last = None
    for match in pattern.finditer(statement[:2000]):
        last = match
    return statement[last.end() :] if last else statement
