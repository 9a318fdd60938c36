"""Numbers that words make: "zweiundvierzig", "two and a half", "half a million", 2時間半, "one point five".

A statement comes in; out comes the statement with such numbers in digits, which all other readers then take alike.
"""

from __future__ import annotations

import functools
import itertools
import re
from dataclasses import replace
from fractions import Fraction

from data_prep.languages import LANGUAGES, get_language
from data_prep.number_words import read_kanji
from data_prep.numbers import Number, find_number_words
from eval.phrases import Phrases, either_word, japanese, phrases
from eval.portions import half_in_digits, portions_in_digits, with_glued_portions
from eval.quantities import Quantity, find_quantities
from eval.signs import below_pattern, below_zero

_WITHIN = 400  # characters of a statement in which number words are looked for
_DEGREES = 40  # characters before "below zero" in which the degrees stand
_LONGEST = 2_000  # characters of a statement in which mixed numbers are looked for
# Scale words that are a number when they stand alone in the singular ("mille euros", "a thousand").
_ALONE = frozenset(
    {"hundred", "thousand", "million", "billion", "mille", "cent", "milliard", "mil", "millón", "tausend", "hundert"}
    | {"milliarde", "milione", "miliardo", "cento"}
)
_DIGIT = re.compile(r"\d")
# "the two of them, three quarters" is no two and three quarters.
_NO_ARTICLE = r"(?!(?:the|les?|la|aux|des|los|las|der|die|das|den|gli|dei|delle|ai|alle)(?!\w))"
_THOUSAND, _MILLION = 1_000, 1_000_000
_AND = re.compile(r"\s(?:(?:and|et|y|e|und)\s)?", re.IGNORECASE)
# A number of a sentence's last words in kanji, with what it counts: 残りは十二個です.
_KANJI_ENDING = re.compile(
    r"(?P<number>[〇一二三四五六七八九十百千万億]+)(?:[個枚人本円匹冊台点歳才回杯箱袋羽頭秒倍度軒つ組粒足着皿缶脚]"
    r"|[日年分]間?|時間|週間|[かヶ]月|通り|か所|切れ|[ァ-ヶー]{1,8})(?:ずつ|分)?(?:です|だ|でした|にな|とな|残|余|必要|[。\s*]|$)"
)
# Before the number of those that were named already: "so the two of them …".
_MEMBERS = re.compile(
    r"(?<!\w)(?:the|all|these|those|her|his|their|les|ces|tous|toutes|ses|los|las|estos|estas|sus|todos|todas|die|der|den|"
    r"diese|alle|ihre|seine|i|gli|le|questi|queste|tutti e|tutte e|of|de|von|di)\s$",
    re.IGNORECASE,
)
# Before a "one" that counts: "so only one is left", "perciò ne avanza soltanto uno".
_ONLY = re.compile(
    r"(?<!\w)(?:only|just|exactly|seulement|plus que|reste qu['e]|solo|solamente|soltanto|sólo|nur|noch)\s?$",
    re.I,
)
_ROMAN_LETTERS = frozenset("IVXLCDM")
# Verbs before what a calculation comes to, where the numbers before them are its parts.
_RESULT = (
    r"(?<!\w)(?:ergeben|ergibt|machen(?: zusammen)?|sind zusammen|font|cela fait|ça fait|fanno|suman|hacen un total de"
    r"|equivalen a|makes?(?: a total of)?|comes? to|adds? up to|totals?|in tutto|en tout|altogether)(?!\w)"
)
_NUMBERED = re.compile(r"\d\s[^\W\d]+\s$")  # "3 manzanas rojas y media" is no "roja y media"
_COUNTER = (
    r"(?:時間|[個年日分秒倍杯本枚箱袋]|週間|か月|ヶ月|キロ(?:グラム|メートル)?|"
    r"メートル|リットル|カップ|切れ|km|kg|m|g|L)?"
)


_SWISS = re.compile(
    r"(?<!\w)(?P<ten>septante|huitante|octante|nonante)(?:[- ](?:et[- ])?(?P<one>une?|deux|trois|quatre|cinq|six|"
    r"sept|huit|neuf)(?!\w))?",
    re.IGNORECASE,
)
_SPANISH_APOSTROPHE = re.compile(r"(?<![\d'])(\d{1,6})'(\d{1,2})(?![\d'\"])")  # 3'5 for 3,5
_METRES = re.compile(r"(?<![\d.,])(\d) m (\d{2})(?!\s?[\w²³°]|[.,]\d)")  # "1 m 75"
_TEENS = ["dix", "onze", "douze", "treize", "quatorze", "quinze", "seize", "dix-sept", "dix-huit", "dix-neuf"]
_ONES = ["un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf"]


def _french(match: re.Match[str]) -> str:
    """ "septante-cinq" as "soixante-quinze", which the speller knows in all its compounds."""
    written = (match["one"] or "").lower()
    one = _ONES.index("un" if written == "une" else written) + 1 if written else 0
    ten = match["ten"].lower()
    if ten in ("huitante", "octante"):
        return "quatre-vingt-" + _ONES[one - 1] if one else "quatre-vingts"
    if ten == "septante":
        return "soixante et onze" if one == 1 else f"soixante-{_TEENS[one]}"
    return f"quatre-vingt-{_TEENS[one]}"


@functools.lru_cache(maxsize=64)  # several readers of one response ask about the same sentence
def words_in_digits(text: str, language: str) -> str:
    """A statement with its number words in digits ("zweiundvierzig", "la moitié", 十八).

    Words that often are no number ("one", "second") count only where the text is little else.
    """
    text = portions_in_digits(text, language)
    found = _words(text[:_WITHIN], language)
    sure = [number for number in found if _is_sure(number)]
    if not sure and len(found) == 1 and len(text) <= 40:
        # "Only one is left." may say one, "Lloyd hat einen Hof." does not.
        article = language != "en" and found[0].readings[0] == 1 and not japanese(found[0].text)
        sure = found if len(text.split()) <= (2 if article else 4) else []
    if not sure and not _DIGIT.search(text):
        return half_in_digits(text, language)
    for number in reversed(sure):
        text = f"{text[: number.start]}{_written(number.readings[0])}{text[number.end :]}"
    return text


def concluded_in_digits(text: str, language: str) -> str:
    """A sentence with its conclusion in digits where that is in words: "he gave away 8, so twelve are left"."""
    last = text.rfind("=") if "=" in text else max((m.end() for m in _DIGIT.finditer(text[-_WITHIN:])), default=0)
    if "=" in text or not last:
        return text
    position = max(0, len(text) - _WITHIN) + last
    tail = text[position:]
    if not get_language(language).spaced:
        ending = _KANJI_ENDING.search(tail)
        kanji = read_kanji(ending["number"], 0) if ending and re.search("[、は]", tail[: ending.start()]) else None
        if ending is None or kanji is None:
            return text
        return f"{text[:position]}{tail[: ending.start()]}{_written(kanji[0])}{tail[ending.end('number') :]}"
    conclusion = _so_pattern(language).search(tail)
    if conclusion is None:
        return text
    after = position + conclusion.end()
    for number in _words(tail[conclusion.end() :], language):
        start, end = (after + place for place in (number.start, number.end))
        fraction = number.readings[0].denominator > 1
        alone = fraction or number.text.lower().split()[-1] in _ALONE
        alone = alone or (number.readings[0] == 1 and _ONLY.search(text[:start]) is not None)
        if (alone or not number.vague) and (fraction or not _MEMBERS.search(text[:start])):
            if _compared_pattern(phrases(language)).match(text, end):
                return text
            return f"{text[:start]}{_written(number.readings[0])}{text[end:]}"
    return text


@functools.cache
def _so_pattern(language: str) -> re.Pattern[str]:
    words = (*get_language(language).conclusion_words, *LANGUAGES["en"].conclusion_words)
    restated = tuple(word for word in phrases(language).restaters if word != "or")
    return re.compile(f"{either_word(words)}|[,;:—–.]\\s(?:{either_word(restated)})|{_RESULT}", re.IGNORECASE)


@functools.cache
def _compared_pattern(words: Phrases) -> re.Pattern[str]:
    """After a number: "more than the others"."""
    return re.compile(rf"\s?(?:[^\W\d]+\s)?(?:{'|'.join(words.comparisons)})", re.IGNORECASE)


def _words(text: str, language: str) -> list[Number]:
    """The number words of a text, "un milione e duecentomila" as one; a single Roman letter is none."""
    found: list[Number] = []
    for number in find_number_words(text, language):
        if not number.readings or number.text in _ROMAN_LETTERS:
            continue
        if found and _goes_on(text, found[-1], number):
            last = found.pop()
            total = last.readings[0] + number.readings[0]
            number = replace(last, end=number.end, text=text[last.start : number.end], readings=(total,))
        found.append(number)
    return found


def _goes_on(text: str, millions: Number, rest: Number) -> bool:
    """Whether a number word adds to the millions before it."""
    one, other = millions.readings[0], rest.readings[0]
    whole = one.denominator == other.denominator == 1 and one >= _MILLION and one % _MILLION == 0
    return whole and _THOUSAND <= other < _MILLION and _AND.fullmatch(text, millions.end, rest.start) is not None


def _is_sure(number: Number) -> bool:
    if not number.vague:
        return True
    several = japanese(number.text) and (len(number.text) > 1 or number.text in "百千万億")
    return several or number.text.lower() in _ALONE


@functools.lru_cache(maxsize=64)
def spelled_out(text: str, language: str) -> str:
    """A cleaned statement with its mixed numbers in digits: "2 litros y medio" becomes "5/2 litros"."""
    words = phrases(language)
    if language == "fr" and "ante" in text:
        text = _SWISS.sub(_french, text)
    if language == "es" and "'" in text:
        text = _SPANISH_APOSTROPHE.sub(r"\1,\2", text)
    if " m " in text:
        text = _METRES.sub(r"\1.\2 m", text)
    if below := below_pattern(words).search(text, 0, _LONGEST):
        text = below_zero(_degrees_in_digits(text, below.start(), language), words)
    if not _any_pattern(words).search(text, 0, _LONGEST):
        return text
    text = with_glued_portions(_glued(text, language, words), language)
    for pattern, part in _after_patterns(words):
        text = _with_parts(text, pattern, part, language, words)
    text = _halved(text, language, words)
    return _decimals(text, language, words)


def _degrees_in_digits(text: str, end: int, language: str) -> str:
    """The text with the number word of the degrees before ``end`` in digits ("four degrees below zero")."""
    start = max(0, end - _DEGREES)
    numbers = [
        number for number in _words(text[start:end], language) if not _DIGIT.search(text, start + number.end, end)
    ]
    if not numbers:
        return text
    last = numbers[-1]
    return f"{text[: start + last.start]}{_written(last.readings[0])}{text[start + last.end :]}"


@functools.cache
def _any_pattern(words: Phrases) -> re.Pattern[str]:
    entries = (
        *words.half_after, *words.quarter_after, *words.three_quarters_after, *words.half_glued, *words.half_before,
        *words.decimal_words, *words.glued_portions,
    )  # fmt: skip
    return re.compile("|".join(entries), re.IGNORECASE)


@functools.cache
def _after_patterns(words: Phrases) -> tuple[tuple[re.Pattern[str], Fraction], ...]:
    parts = (
        (words.half_after, Fraction(1, 2)),
        (words.quarter_after, Fraction(1, 4)),
        (words.three_quarters_after, Fraction(3, 4)),
    )
    patterns = []
    for entries, part in parts:
        spaced = "|".join(entry for entry in entries if not japanese(entry))
        unspaced = [entry for entry in entries if japanese(entry)]
        either = [rf"(?P<unit>(?:[ -]?{_NO_ARTICLE}[^\W\d]+\.?)?) (?:{spaced})(?!\w)"] * bool(spaced)
        either += [rf"(?P<counter>{_COUNTER})(?:{entry})" for entry in unspaced]
        patterns.append((re.compile("|".join(either) or "(?!)", re.IGNORECASE), part))
    return tuple(patterns)


@functools.cache
def _multiples(language: str) -> dict[str, int]:
    """Words that multiply: scale words and dozens, with their factor."""
    entries = (get_language(language), LANGUAGES["en"])
    scales = {word: 10**power for entry in entries for word, power in entry.scale_words.items() if power >= 2}
    dozens = {
        word: 12 for entry in entries for word, value in entry.fraction_words.items() if value.lstrip("?") == "12"
    }
    return {word: factor for word, factor in (scales | dozens).items() if word not in ("noon", "cent", "cento")}


def _halved(text: str, language: str, words: Phrases) -> str:
    """ "half a million" and "half a dozen" in digits, "half an hour" as 1/2 hour."""

    def replaced(match: re.Match[str]) -> str:
        word = match["what"].lower()
        if word in multiples:
            return _written(Fraction(multiples[word], 2))
        return f"1/2 {match['what']}"

    multiples = _multiples(language)
    scales = "|".join(sorted(map(re.escape, multiples), key=len, reverse=True))
    halves = "|".join(words.half_before)
    boundary = r"(?<!\w)(?<!\d )" if get_language(language).spaced else r"(?<![\d間個年日分])"
    pattern = re.compile(
        rf"{boundary}(?:{halves})\s?(?P<what>{scales}|(?:{_measures()}))(?![A-Za-zÀ-ɏ])", re.IGNORECASE
    )
    return pattern.sub(replaced, text)


@functools.cache
def _measures() -> str:
    return (
        r"hours?|miles?|cups?|lit(?:er|re)s?|pounds?|heures?|tasses?|litros?|horas?|tazas?|kilos?|stunden?|tassen?|litern?|"
        r"or[ae]|tazz[ae]|litr[oi]|chil[oi]|時間|カップ|リットル"
    )


def _glued(text: str, language: str, words: Phrases) -> str:
    """ "zweieinhalb" in digits."""

    def replaced(match: re.Match[str]) -> str:
        found = _words(match[1], language)
        return _written(found[0].readings[0] + Fraction(1, 2)) if len(found) == 1 else match[0]

    if not words.half_glued:
        return text
    return re.sub(rf"(?<!\w)([^\W\d]+?)(?:{'|'.join(words.half_glued)})(?!\w)", replaced, text, flags=re.IGNORECASE)


def _with_parts(text: str, pattern: re.Pattern[str], part: Fraction, language: str, words: Phrases) -> str:
    """The text with "two and a half hours" as "5/2 hours" and "a million and a half" as "1500000"."""
    if not pattern.search(text, 0, _LONGEST):
        return text
    multiples = _multiples(language)
    quantities = find_quantities(text[:_LONGEST], language)
    quantities += [Quantity(n.start, n.end, n.readings[:1]) for n in _words(text[:_LONGEST], language)]
    for quantity in sorted(quantities, key=lambda q: q.start, reverse=True):
        match = pattern.match(text, quantity.end)
        if match is None or not quantity.values:
            continue
        unit = (match["unit"] or "").strip(" -") or (match.groupdict().get("counter") or "")
        last = re.search(r"[^\W\d]+$", text[quantity.start : quantity.end])
        factor = multiples.get(unit.lower()) or (multiples.get(last[0].lower()) if last else None) or 1
        if factor > 1 and unit.lower() in multiples:
            value, unit = (quantity.values[0] + part) * factor, ""
        else:
            value = quantity.values[0] + part * factor
        text = f"{text[: quantity.start]}{_with_unit(value, unit)}{text[match.end() :]}"
    either = "|".join(rf"{word}(?!\w)" if word[-1:].isalpha() or word[-1:] == "?" else word for word in words.articles)
    article = re.compile(rf"(?<!\w)(?:{either})\s?(?={pattern.pattern})", re.IGNORECASE)
    for match in list(article.finditer(text))[::-1]:
        tail = pattern.match(text, match.end())
        if tail is not None and tail["unit"] and not _NUMBERED.search(text[: match.start()]):
            unit = tail["unit"].strip(" -")
            factor = multiples.get(unit.lower(), 1)
            written = _with_unit((1 + part) * factor, unit if factor == 1 else "")
            text = f"{text[: match.start()]}{written}{text[tail.end() :]}"
    return text


def _with_unit(value: Fraction, unit: str) -> str:
    """Hours and minutes for hours, since either unit may be asked for."""
    if re.fullmatch(r"hours?|heures?|horas?|stunden?|or[ae]|時間", unit, re.IGNORECASE) and value.denominator > 1:
        whole, minutes = divmod(int(value * 60), 60)
        return f"{whole}{unit}{minutes}分" if japanese(unit) else f"{whole} {unit} {minutes} min"
    return f"{_written(value)} {unit}".rstrip()  # a scale word may follow: "two and a half thousand"


def _decimals(text: str, language: str, words: Phrases) -> str:
    """ "one point five" in digits."""
    joint = re.compile(rf"\s?(?:{either_word(words.decimal_words)})\s?", re.IGNORECASE)
    if not joint.search(text, 0, _LONGEST):
        return text
    numbers = _words(text[:_LONGEST], language)
    for whole, decimals in list(itertools.pairwise(numbers))[::-1]:
        between, digits = text[whole.end : decimals.start], decimals.readings[0]
        if joint.fullmatch(between) and digits.denominator == 1 and 0 <= digits < 1000:
            value = whole.readings[0] + digits / 10 ** len(str(digits))
            text = f"{text[: whole.start]}{_written(value)}{text[decimals.end :]}"
    return text


def _written(value: Fraction) -> str:
    return str(value)  # 3/2 or 1500000: the same in every language
