"""Clock times: "3:45 PM", "15h30", "Viertel vor vier", "las tres y media", 午後三時半; read, chosen and compared."""

from __future__ import annotations

import functools
import itertools
import re
from typing import Final

from data_prep.number_words import lexicon, read_kanji
from eval.phrases import Phrases, either_word, japanese, phrases

SEVERAL: Final = "several"
Time = tuple[int, int, str]

_CLOCK = re.compile(
    r"(?<![\d.,:])(?P<hour>\d{1,2})\s?(?:(?P<sep>[:hH.]|時|Uhr\s|heures?\s)\s?(?P<minute>\d{2})(?!\d)(?:分)?|時(?!間)(?P<half>半)?|(?P<bare>))",
)
_DURATION = re.compile(
    r"\s?(?:hours?|stunden?|std|heures? de|horas|ore di|時間|"
    r"min(?:utes?|utos?|uten|uti)?\b(?!\s?(?:past|to|after|before|vor|nach)))",
    re.IGNORECASE,
)
_LASTS = re.compile(
    r"(?:lasts?|takes?|for|dure|durent|pendant|roule|dura|duran|durante|tarda|dauert|braucht|fährt|impiega|per|plus|\+)\s(?:about\s|exactly\s)?[*_]*$",
    re.IGNORECASE,
)
_EITHER_JAPANESE = re.compile(
    r"\s*(?:に|頃)?(?:か、?(?!か|ら)(?:または|もしくは)?|、?または|、?もしくは|、?あるいは)"
)  # "から" is since
_EQUALISH = re.compile(r"[=→]")


def read_time(statement: str, language: str) -> Time | str | None:
    """A clock time as (hour, minute, marker): marker ``am``, ``pm`` or empty; None when no time is named.

    Of several times in a statement the one in bold is meant, else the last: a story goes from the start to the end.
    ``SEVERAL`` for a span ("from 1:30 to 3:45") or for alternatives.
    """
    statement = time_words_in_digits(statement, language)
    return _chosen(statement, find_times(statement, language), phrases(language))


def find_times(statement: str, language: str) -> list[tuple[re.Match[str], Time]]:
    """All clock times of a statement in digits ("3:45 pm", "15 h 30"), with where each stands; no durations."""
    words = phrases(language)
    found: list[tuple[re.Match[str], Time]] = []
    for match in _CLOCK.finditer(statement):
        marker = _half_of_day(statement, match, words)
        if (
            match["minute"] is None and match["half"] is None and not marker and "時" not in match[0]
        ) and not re.match(r"\s?(?:h\b|uhr|o'clock|heures?)", statement[match.end() :], re.IGNORECASE):
            continue
        if _is_duration(statement, match):
            continue
        minute = int(match["minute"] or (30 if match["half"] else 0))
        if int(match["hour"]) <= 24 and minute < 60:
            found.append((match, (int(match["hour"]), minute, marker)))
    return found


def minutes(time: Time) -> int:
    """Minutes since midnight; a time without its half of the day is taken as it is written."""
    hour, minute, marker = time
    return (hour % 12 + 12 * (marker == "pm") if marker else hour) * 60 + minute


def _is_duration(statement: str, match: re.Match[str]) -> bool:
    after = statement[match.end() : match.end() + 24]
    if _DURATION.match(after) and match["sep"] != "時":
        return True
    return _LASTS.search(statement[max(0, match.start() - 24) : match.start()]) is not None


def _chosen(statement: str, found: list[tuple[re.Match[str], Time]], words: Phrases) -> Time | str | None:
    if not found:
        return None
    if len({time for _, time in found}) == 1:
        return found[0][1]
    bold = [
        time
        for match, time in found
        if re.search(r"\*\*[^*\n]*$", statement[: match.start()]) and "**" in statement[match.end() : match.end() + 20]
    ]
    if len(set(bold)) == 1:
        return bold[0]
    if _EQUALISH.search(statement):
        return found[-1][1]
    spans, either = _joining_patterns(words)
    for (one, time), (other, next_time) in itertools.pairwise(found):
        gap = statement[one.end() : other.start()]
        if same_time(time, next_time):
            continue
        if spans.fullmatch(gap) or either.search(gap) or _EITHER_JAPANESE.match(gap):
            return SEVERAL
    outside = [
        time
        for match, time in found
        if statement.count("(", 0, match.start()) == statement.count(")", 0, match.start())
    ]
    return (outside or [found[-1][1]])[-1]


@functools.cache
def _joining_patterns(words: Phrases) -> tuple[re.Pattern[str], re.Pattern[str]]:
    to = "|".join(re.escape(word) if word in "-–" else word for word in words.range_to)
    marker = "|".join((*words.morning, *words.afternoon, "Uhr", "h"))
    spans = rf"\s?(?:{marker})?\s?(?:-|–|—|{to})\s?(?:las? |le |alle |l'|the )?"
    return re.compile(spans, re.IGNORECASE), re.compile(
        either_word(tuple(word for word in words.alternatives if not japanese(word))), re.IGNORECASE
    )


def _half_of_day(statement: str, match: re.Match[str], words: Phrases) -> str:
    after = statement[match.end() : match.end() + 24]
    before = statement[max(0, match.start() - 4) : match.start()].rstrip()
    for marker, entries in (("am", words.morning), ("pm", words.afternoon)):
        if re.match(rf"\s?(?:uhr\s)?(?:{'|'.join(entries)})(?![a-z])", after, re.IGNORECASE):
            return marker
        if any(before.endswith(entry) for entry in entries if not entry.isascii()):
            return marker
    return ""


def same_time(one: Time, gold: Time) -> bool:
    """Whether two clock times agree; a missing half of the day agrees with either."""
    return one[1] == gold[1] and bool(_hours(one) & _hours(gold))


def _hours(time: Time) -> set[int]:
    hour, _, marker = time
    if marker == "am":
        return {hour % 12}
    if marker == "pm":
        return {hour % 12 + 12}
    return {hour % 24} | ({hour + 12} if 1 <= hour < 12 else {0} if hour == 12 else set())


# --- times in words -------------------------------------------------------------------------------------------------


def time_words_in_digits(statement: str, language: str) -> str:
    """A statement with the clock times that it names in words in digits: "a quarter to four" becomes "3:45"."""
    words = phrases(language)
    codes = (language, "en") if language != "en" else ("en",)
    for pattern, offset in _time_patterns(words, codes):
        statement = pattern.sub(functools.partial(_in_digits, offset=offset, codes=codes), statement)
    statement = re.sub(either_word(words.noon), "12:00 pm", statement, flags=re.IGNORECASE)
    return re.sub(either_word(words.midnight), "12:00 am", statement, flags=re.IGNORECASE)


@functools.cache
def _time_patterns(words: Phrases, codes: tuple[str, ...]) -> tuple[tuple[re.Pattern[str], str], ...]:
    turns = "|".join((*words.noon, *words.midnight))
    hour = rf"(?P<hour>\d{{1,2}}|{_number_alternatives(codes, 24)})"
    noon = rf"(?P<hour>{turns})"
    minute = rf"(?P<minute>\d{{1,2}}|{_number_alternatives(codes, 59)})"
    patterns = []
    for entry in words.times:
        written, _, offset = entry.rpartition("|")
        written = written.strip()
        spaced = not japanese(written)
        written = written.replace("{hour}", hour).replace("{noon}", noon).replace("{minute}", minute)
        end = r"(?![\w:])" if spaced and not written.endswith(")") else ""
        begin = r"(?<![:.,\w])" if spaced else ""
        patterns.append((re.compile(f"{begin}{written}{end}", re.IGNORECASE), offset.strip()))
    return tuple(patterns)


@functools.cache
def _number_alternatives(codes: tuple[str, ...], most: int) -> str:
    spelled = [word for code in codes for word, value in lexicon(code).small.items() if value <= most]
    kanji = ["[〇一二三四五六七八九十]{1,3}"] if "ja" in codes else []
    alternatives = [re.escape(word).replace(r"\ ", "[ -]") for word in spelled]
    return "|".join(kanji + sorted(alternatives, key=len, reverse=True))


def _in_digits(match: re.Match[str], *, offset: str, codes: tuple[str, ...]) -> str:
    hour = _small_number(match["hour"], codes)
    if hour is None:
        words = phrases(codes[0])
        hour = next((h for h, names in ((12, words.noon), (0, words.midnight)) if _names(match["hour"], names)), None)
    named = _small_number(match["minute"], codes) if "minute" in match.groupdict() else 0
    if hour is None or named is None:
        return match[0]
    signs = {"+": named, "-": -named, "-30-": -30 - named, "-30+": named - 30}
    minutes = signs[offset] if offset in signs else int(offset)
    hour, minute = divmod(hour * 60 + minutes, 60)
    if minutes < 0 and hour == 0:
        hour = 12
    return f" {hour % 24}:{minute:02d} "


def _names(written: str, entries: tuple[str, ...]) -> bool:
    return re.fullmatch("|".join(entries), written, re.IGNORECASE) is not None


def _small_number(written: str, codes: tuple[str, ...]) -> int | None:
    if written.isdecimal():
        return int(written)
    for code in codes:
        value = lexicon(code).small.get(" ".join(written.lower().replace("-", " ").split()))
        if value is not None:
            return value
    kanji = read_kanji(written, 0)
    return int(kanji[0]) if kanji else None
