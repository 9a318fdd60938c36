"""Numbers written as words: cardinals, ordinals, halves and dozens of each language, kanji numerals, Roman numerals.

Cardinals and ordinals are spelled by num2words; the rest comes from the language's registry entry.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from num2words import num2words

from data_prep.languages import Language, get_language

# A word as number words have it: letters, joined by nothing; hyphens and spaces join the words of one number.
TOKEN = re.compile(r"[^\W\d_]+")
_JOINT = re.compile(r"[ \u00a0\u202f\u2009]|[-\u2010\u2011]\s?")
_KANJI_DIGITS = {digit: value for value, digit in enumerate("〇一二三四五六七八九")} | {"零": 0, "両": 2}
_SMALL_UNITS = {"十": 10, "百": 100, "千": 1000}
_LARGE_UNITS = {"万": 10**4, "億": 10**8, "兆": 10**12}
KANJI_NUMERALS = "".join([*_KANJI_DIGITS, *_SMALL_UNITS, *_LARGE_UNITS]).replace("両", "")
_PLAIN = re.compile(r"\d{1,3}(?:,\d{3})+(?!\d)|\d{1,30}(?:\.\d{1,30})?")
_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_ROMAN_FORM = re.compile(r"M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})")


@dataclass(frozen=True)
class WordNumber:
    """Possible values of a number word, the usual one first; ``vague``: the word often means something else."""

    readings: tuple[Fraction, ...]
    vague: bool = False


@dataclass(frozen=True)
class Lexicon:
    """Number words of one language, lower case, words parted by single spaces.

    Args:
        small: spelled numbers from 0 to 999.
        other: ordinals, fractions, multiples, dozens, months.
        scales: thousand, million … with their power of ten.
        beginnings: first words of everything above, so that other words are passed over at once.
        thousands: the scale words that may be written together with the numbers around them.
        longest: the most words a spelled number has.
        stems: spelled numbers that longer words begin with, in languages that write compounds in one word.
        links: words between a scale word and what follows it ("two thousand and one").
    """

    small: dict[str, int]
    other: dict[str, WordNumber]
    scales: dict[str, int]
    homographs: frozenset[str]
    homograph_before: frozenset[str]
    beginnings: frozenset[str]
    thousands: tuple[str, ...]
    longest: int
    stems: re.Pattern[str] | None
    links: frozenset[str]


@cache
def lexicon(code: str) -> Lexicon:
    """The number words of a registered language; Japanese has none here (see :func:`read_kanji`)."""
    language = get_language(code)
    small: dict[str, int] = {}
    if language.spaced:
        for number in range(1000):
            spelled = _normal(num2words(number, lang=code))
            small.setdefault(spelled, number)
            small.setdefault(spelled.replace(" and ", " "), number)  # American English
            small.setdefault(_unaccented(spelled), number)
        small |= {form: number for form, number in _other_forms(small, language).items() if form not in small}
    small |= language.cardinal_forms
    readings: dict[str, list[Fraction]] = {}
    vague: set[str] = set()
    for word, values in language.fraction_words.items():
        readings.setdefault(word, []).extend(Fraction(value) for value in values.lstrip("?").split("|"))
        if values.startswith("?"):
            vague.add(word)
    if language.spaced:
        for number in range(1, 101):
            for word in _inflected(_normal(num2words(number, lang=code, to="ordinal")), language.ordinal_endings):
                readings.setdefault(word, []).append(Fraction(number))
                vague.add(word)
        for number, month in enumerate(language.months, 1):
            readings.setdefault(month, []).append(Fraction(number))
            vague.add(month)
    other = {word: WordNumber(tuple(dict.fromkeys(values)), word in vague) for word, values in readings.items()}
    scales = {word: power for word, power in language.scale_words.items() if language.spaced}
    stems = None
    if language.compounds:
        stems = re.compile(
            "|".join(sorted((w for w, n in small.items() if n > 1 and len(w) > 2), key=len, reverse=True))
        )
    return Lexicon(
        small=small,
        other=other,
        scales=scales,
        homographs=language.homographs,
        homograph_before=language.homograph_before,
        beginnings=frozenset(word.split(" ")[0] for words in (small, other, scales) for word in words),
        thousands=tuple(word for word, power in scales.items() if power == 3),
        longest=max((word.count(" ") + 1 for word in small), default=1),
        stems=stems,
        links=frozenset(_normal(num2words(1001, lang=code)).split()) - set(small) - set(scales)
        if language.spaced
        else frozenset(),
    )


def _other_forms(spelled: dict[str, int], language: Language) -> dict[str, int]:
    """Spelled numbers in which a word has another form ("ciento una", "centoventitré"), or "hundred" lacks "one"."""
    usual = {
        number: _normal(num2words(number, lang=language.code)) for number in set(language.cardinal_forms.values())
    }
    pairs = [(usual[number], form, number) for form, number in language.cardinal_forms.items()]
    one = [_normal(num2words(1, lang=language.code)), *(form for _, form, number in pairs if number == 1)]
    hundreds = [word for word, power in language.scale_words.items() if power == 2]
    forms: dict[str, int] = {}
    for words, value in spelled.items():
        if value <= 20:
            continue
        for word, form, number in pairs:
            if number <= 9 and words.endswith(word):
                forms[words.removesuffix(word) + form] = value
            elif number >= 100 and words.startswith(word + " "):
                forms[form + words.removeprefix(word)] = value
        for hundred in hundreds:
            for first in one:
                for joint in ("", " "):
                    if words.startswith(first + joint + hundred) and len(words) > len(first + joint + hundred):
                        forms[words.removeprefix(first + joint)] = value
    for words, value in list(forms.items()):  # both at once: "doscientas una"
        for word, form, number in pairs:
            if number == 1 and words.endswith(" " + word):
                forms[words.removesuffix(word) + form] = value
    return forms


def _normal(spelled: str) -> str:
    return " ".join(spelled.lower().replace("-", " ").replace(",", " ").split())


def _unaccented(spelled: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", spelled) if not unicodedata.combining(c))


def _inflected(word: str, endings: tuple[tuple[str, tuple[str, ...]], ...]) -> list[str]:
    return [word] + [
        word.removesuffix(ending) + other for ending, others in endings if word.endswith(ending) for other in others
    ]


def find_words(text: str, code: str) -> list[tuple[int, int, WordNumber]]:
    """Number words of a language that parts words by spaces: (start, end, what it may mean), in order.

    ``text`` is lower case. "two thousand five hundred" is one number, "three quarters" is 3/4, "two dozen" is 24.
    """
    words = lexicon(code)
    tokens = [match.span() for match in TOKEN.finditer(text)]
    found: list[tuple[int, int, WordNumber]] = []
    index = 0
    while index < len(tokens):
        start, end = tokens[index]
        word = text[start:end]
        if word in words.beginnings:
            after, number = _number_at(text, tokens, index, words)
            if number is not None:
                found.append((start, tokens[after - 1][1], number))
                index = after
                continue
        elif len(word) > 5:
            glued = _glued(word, words)
            if glued is not None:
                found.append((start, end, glued))
        index += 1
    return found


def _number_at(text: str, tokens: list[tuple[int, int]], index: int, words: Lexicon) -> tuple[int, WordNumber | None]:
    """The number that begins at a token, and the token after it."""
    after, value = _small(text, tokens, index, words)
    total = Fraction(0)
    scaled = False
    while True:
        scale_at = max(index, after)
        word = _word(text, tokens, scale_at, joined=scale_at > index)
        power = words.scales.get(word, 0)
        if power < 2 or (scale_at == index and value is not None):
            break
        total += (1 if value is None else value) * 10**power
        bare = value is None
        scaled, value, after = True, None, scale_at + 1
        following, rest = _after_scale(text, tokens, after, words)
        if rest is None or rest >= 10**power:
            if bare and total == 10**power:  # "thousand" alone: "a thousand", "thousands of"
                return after, WordNumber((Fraction(10**power),), vague=True)
            break
        value, after = rest, following
    if value is None and not scaled:
        word = _word(text, tokens, index, joined=False)
        for length in range(min(words.longest, len(tokens) - index), 0, -1):
            phrase = _phrase(text, tokens, index, length)
            if phrase is not None and phrase in words.other:
                return index + length, words.other[phrase]
        return index, None
    total += value or 0
    part = words.other.get(_word(text, tokens, after, joined=True))
    if part is not None and value is not None and not scaled:
        if (
            part.readings[0].denominator > 1
            and part.readings[0].numerator == 1
            and total < part.readings[0].denominator
        ):
            return after + 1, WordNumber((total * part.readings[0],), vague=part.vague and total == 1)
        if part.readings[0] == 12 and total > 1:
            return after + 1, WordNumber((total * 12,))
    vague = (
        after == index + 1
        and _word(text, tokens, index, joined=False) in words.homographs
        and not (index and total > 1 and _word(text, tokens, index - 1, joined=False) in words.homograph_before)
    )
    return after, WordNumber((total,), vague=vague)


def _after_scale(text: str, tokens: list[tuple[int, int]], index: int, words: Lexicon) -> tuple[int, int | None]:
    """The number that goes on after a scale word: "two thousand [and one]", "eine Million [zweihunderttausend]"."""
    following, rest = _small(text, tokens, index, words, joined=True)
    word = _word(text, tokens, index, joined=True)
    if rest is None and word and word in words.links:
        following, rest = _small(text, tokens, index + 1, words, joined=True)
        return following, rest if rest is not None and rest < 100 else None
    if rest is None and len(word) > 5 and (glued := _glued(word, words)) is not None and not glued.vague:
        return index + 1, int(glued.readings[0])
    return following, rest


def _small(
    text: str, tokens: list[tuple[int, int]], index: int, words: Lexicon, *, joined: bool = False
) -> tuple[int, int | None]:
    """The longest spelled number below 1000 at a token."""
    if index >= len(tokens) or (joined and not _joins(text, tokens, index)):
        return index, None
    for length in range(min(words.longest, len(tokens) - index), 0, -1):
        phrase = _phrase(text, tokens, index, length)
        if phrase is not None and phrase in words.small:
            return index + length, words.small[phrase]
    return index, None


def _phrase(text: str, tokens: list[tuple[int, int]], index: int, length: int) -> str | None:
    if length > 1 and tokens[index + length - 1][1] - tokens[index][0] > 80:
        return None
    for position in range(index + 1, index + length):
        if not _joins(text, tokens, position):
            return None
    return " ".join(text[start:end] for start, end in tokens[index : index + length])


def _joins(text: str, tokens: list[tuple[int, int]], index: int) -> bool:
    """Between a token and the one before stands only a space or a hyphen."""
    return _JOINT.fullmatch(text, tokens[index - 1][1], tokens[index][0]) is not None


def _word(text: str, tokens: list[tuple[int, int]], index: int, *, joined: bool) -> str:
    if index >= len(tokens) or (joined and index and not _joins(text, tokens, index)):
        return ""
    return text[tokens[index][0] : tokens[index][1]]


def _glued(word: str, words: Lexicon) -> WordNumber | None:
    """A compound that begins with a number ("zehnjährig"), or thousands in one word ("zweitausendfünfhundert")."""
    for scale in words.thousands:
        head, thousand, tail = word.partition(scale)
        if thousand and (not head or head in words.small) and (not tail or tail in words.small):
            return WordNumber((Fraction(words.small.get(head, 1) * 1000 + words.small.get(tail, 0)),))
    stem = words.stems.match(word) if words.stems else None
    return WordNumber((Fraction(words.small[stem[0]]),), vague=True) if stem else None


def read_kanji(text: str, position: int, initial: Fraction | None = None) -> tuple[Fraction, int] | None:
    """The number at ``position`` in kanji or mixed notation (``二十五``, ``1億2000万`` with ``initial`` = 1 read).

    Returns its value and the position after it; None where no numeral stands.
    """
    total = section = Fraction(0)
    current = initial
    plain = False
    start = position
    while position < len(text) and position - start < 60:
        character = text[position]
        if character in _KANJI_DIGITS and character != "両":
            if current is not None and not plain:
                break
            current = (current or Fraction(0)) * 10 + _KANJI_DIGITS[character]
            plain = True
            position += 1
        elif character in _SMALL_UNITS:
            section += (1 if current is None else current) * _SMALL_UNITS[character]
            current, plain = None, False
            position += 1
        elif character in _LARGE_UNITS:
            section += current or 0
            if section == 0 and position == start and initial is None:
                section = Fraction(1)
            total += section * _LARGE_UNITS[character]
            section, current, plain = Fraction(0), None, False
            position += 1
        elif current is None and position > start and (match := _PLAIN.match(text, position)):
            current = Fraction(match[0].replace(",", ""))
            position = match.end()
        else:
            break
    if position == start:
        return None
    return total + section + (current or 0), position


def read_roman(token: str) -> int | None:
    """The value of a Roman numeral in capitals, below 4000."""
    if not token or len(token) > 15 or not _ROMAN_FORM.fullmatch(token):
        return None
    values = [_ROMAN[character] for character in token]
    return sum(
        -value if value < following else value for value, following in zip(values, [*values[1:], 0], strict=True)
    )
