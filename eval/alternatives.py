"""Statements that leave the answer open: ranges ("15 to 20"), two answers ("18 or 20"), guesses ("could be 18 …")."""

from __future__ import annotations

import functools
import itertools
import re

from eval.central import COUNTER, EQUAL, circumstance, in_parenthesis
from eval.phrases import Phrases, either_word, japanese
from eval.quantities import Quantity
from eval.units import convertible, priced, same

_FILLER = r"(?:[$€£¥≈~=\s*_(\"'-]|(?<!\w)[a-zA-Z](?!\w))*"
_GOES_ON = re.compile(r"\s?(?!\*\*)[-+*/×·÷=](?!\w*$)")  # what follows "or" is an equation of its own: "or 20 = A"
# Verbs after which stands what the numbers before them come to: "9 œufs à 2 dollars font 18 dollars".
_MAKE = re.compile(
    EQUAL.pattern + r"|(?<!\w)(?:makes?|making|gives?|giving|leaving|yielding|costs?|comes? to|totals?|"
    r"totall?ing|font|fait|coûtent|coûte|valent|donnent|donne|"
    r"fanno|costano|costa|danno|son|hacen|suman|cuestan|cuesta|dan|machen|macht|kosten|kostet|ergeben|"
    r"in tutto|in totale|insgesamt|"
    r"zusammen|altogether|in total|in all|en tout|au total|"
    r"en total|en conjunto)(?!\w)|合わせて|合計|全部で",
    re.IGNORECASE,
)
_CONNECTED = re.compile(r"(?:ので|で|ため|けど|けれど)、?\s?$")  # 1400円なので、 gives a reason and lists nothing
_IN_TOTAL = re.compile(
    r"\s?(?:[^\W\d]+\s){0,2}(?:in total|in all|altogether|en tout|au total|en total|insgesamt|zusammen|in tutto|"
    r"in totale)(?!\w)",
    re.IGNORECASE,
)
_ALSO = re.compile(r"\s?(?:also|aussi|également|también|auch|anche|pure)(?!\w)", re.IGNORECASE)  # "but also 20"
_AT_A_PRICE = re.compile(r"\s(?:[^\W\d]+\s){1,2}(?:à|a|zu|at)\s", re.IGNORECASE)  # "5 bandes dessinées à 8 €"
# "The price falls from 65 to 52": what it comes to stands last.
_CHANGES = re.compile(
    r"(?<!\w)(?:pass\w+|drop\w*|falls?|fell|goes|went|rises?|rose|sinks?|sank|fäll\w*|fiel\w*|steig\w*|stieg\w*|sink\w*|"
    r"scend\w+|sal\w+|baj\w+|sub\w+|baiss\w+|tomb\w+|mont\w+)\s(?:[^\W\d]+\s){0,2}(?:de|from|von|da|desde|dai)"
    r"\s[$€£¥*]*$",
    re.IGNORECASE,
)
_COMPARED = re.compile(r"compared|rispetto|par rapport|respecto|frente|gegenüber|verglichen", re.IGNORECASE)
_COMMA = re.compile(r"[,;、&\n]")


@functools.cache
def _between_patterns(words: Phrases) -> tuple[re.Pattern[str], ...]:
    def alternatives(entries: tuple[str, ...]) -> tuple[str, str]:
        latin = [word for word in entries if not japanese(word)]
        other = [word for word in entries if word not in latin]
        return "|".join(latin) or "(?!)", "|".join(other) or "(?!)"

    either, either_ja = alternatives(words.alternatives)
    both, both_ja = alternatives(words.additions)
    to, to_ja = alternatives(tuple(word for word in words.range_to if word not in words.additions))
    unit = r"(?:(?:\s?[A-Za-zÀ-ɏ]+\.?){0,2}|[^\W\dA-Za-zÀ-ɏ、]{1,4})"
    either_pattern = rf".{{0,60}}?(?<!\w)(?:{either})(?:\s(?:{either}))?(?!\w){_FILLER}|{COUNTER}(?:{either_ja})、?"
    either_pattern += r"|[^\d。\n]{0,8}(?:または|もしくは|あるいは|それとも)[^\d。\n]{0,20}"
    either_pattern += (
        r"|.{0,20}?[;,.]\s(?:\w+\s)?(?:if|si|wenn|falls|se)\s[^,;\n]{1,50},\s.{0,20}"  # one answer a case
    )
    joint = rf"(?:,?\s*(?<!\w)(?:{both})(?!\w)|[,;、&]|[,;]?\s*\n\s*[-*•]?)"
    both_pattern = rf"\s?[$€£¥°%]?{unit}\s*{joint}{_FILLER}|\s?{COUNTER}(?:{both_ja}){_FILLER}"
    range_pattern = (
        rf"\s?[$€£¥°%]?{unit}\s*(?:-|–|—|~|〜|～|\.\.\.?|…|(?<!\w)(?:{to})(?!\w))\s*[$€£¥]?\s?|{COUNTER}(?:{to_ja})"
    )
    article = r"(?:\s(?:the|les?|l[oa]s|i|gli|le|den|die))?"
    start_pattern = rf"(?:(?<!\w)(?:{'|'.join(words.range_from) or '(?!)'})){article}[\s$€£¥*]*$"
    return tuple(
        re.compile(p, re.IGNORECASE | re.DOTALL) for p in (either_pattern, both_pattern, range_pattern, start_pattern)
    )


@functools.lru_cache(maxsize=8192)
def _between(gap: str, words: Phrases) -> tuple[bool, bool, bool]:
    """Whether what stands between two numbers makes them alternatives, a list, or a range."""
    either, both, to, _ = _between_patterns(words)
    listed = both.fullmatch(gap) is not None and not _CONNECTED.search(gap)
    return either.fullmatch(gap) is not None, listed, to.fullmatch(gap) is not None


def alternatives(statement: str, kept: list[Quantity], words: Phrases) -> str | None:
    """The two numbers, as written, of a statement that gives a range or two answers; None where it does not."""
    if len(kept) < 2:
        return None
    start = _between_patterns(words)[3]
    paired = any(len(re.findall(rf"(?i)(?<!\w){word}(?!\w)", statement)) > 1 for word in words.paired)
    guessing = _hedge_pattern(words).search(statement) is not None and EQUAL.search(statement) is None
    for one, other in itertools.pairwise(kept):
        gap = statement[one.end : other.start]
        if len(gap) > 80 or _COMPARED.search(gap):
            continue
        linked, joined, spans = _between(gap, words)
        linked = linked or paired
        if not (linked or joined or spans or guessing):
            continue
        written = statement[one.start : other.end]
        different = not same(one, other) and not convertible(statement, one, other)
        if different and linked and not _GOES_ON.match(statement, other.end):
            if _decided(statement, one, other, kept, words):
                continue
            return written
        guessed = guessing and not _settled(statement, other, words)
        apart = different and (guessed or joined) and not _beside(statement, one, other, words)
        if apart and guessed:
            return written
        if in_parenthesis(statement, other):
            continue
        if spans and re.match(r"\s[^\W\d]{3,}", gap) and _result_again(statement, one, kept):
            continue
        if spans and _CHANGES.search(statement, 0, one.start):
            continue
        if spans and _AT_A_PRICE.fullmatch(gap) and priced(statement, other) and not priced(statement, one):
            continue
        if spans and not _worked_out(statement, other, kept) and not _goes_on(statement, other, kept):
            return written
        if joined and not _COMMA.search(gap) and start.search(statement[: one.start]):
            return written
        if apart and joined and not _worked_out(statement, other, kept):
            return written
    return None


def _decided(statement: str, one: Quantity, other: Quantity, kept: list[Quantity], words: Phrases) -> bool:
    """Whether one of two answers is said again after a "but": "x = 4 or x = -3, but x > 0, so x = 4"."""
    later = [q for q in kept if q.start > other.start]
    turns = bool(later) and _turn_pattern(words).search(statement, other.end, later[-1].start) is not None
    return turns and (same(later[-1], one) or same(later[-1], other))


def _settled(statement: str, quantity: Quantity, words: Phrases) -> bool:
    """Whether a number that follows guesses is none itself: "it could be 30, but with both ends it is 31"."""
    turns = [match.end() for match in _turn_pattern(words).finditer(statement, 0, quantity.start)]
    if not turns or _ALSO.match(statement, turns[-1]):
        return False
    return _hedge_pattern(words).search(statement, turns[-1]) is None


@functools.cache
def _turn_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(either_word(words.but), re.IGNORECASE)


def _result_again(statement: str, quantity: Quantity, kept: list[Quantity]) -> bool:
    """Whether a number says the result of an equation again: "3^5 = 243, there are 243 codes à 5 places"."""
    earlier = [q for q in kept if q.start < quantity.start and same(q, quantity)]
    return any(re.search(r"=\s?[$*]*$", statement[max(0, q.start - 6) : q.start]) for q in earlier)


def _beside(statement: str, one: Quantity, other: Quantity, words: Phrases) -> bool:
    """Whether one of two numbers is only a circumstance of the other ("of the 30 pupils, 12 walk")."""
    return circumstance(statement, one, words) or circumstance(statement, other, words)


def _goes_on(statement: str, quantity: Quantity, kept: list[Quantity]) -> bool:
    """Whether another clause with a number follows: "it fell from 3 to 1, so it is 1 degree"."""
    later = [q for q in kept if q.start > quantity.start]
    return bool(later) and re.search(r"[,、;:]\D*$", statement[quantity.end : later[-1].start]) is not None


def _worked_out(statement: str, quantity: Quantity, kept: list[Quantity]) -> bool:
    """Whether an equals sign with a number after it follows: what looked like a range was an operation."""
    later = [q for q in kept if q.start > quantity.start]
    if _IN_TOTAL.match(statement, (later or [quantity])[-1].end):
        return True
    return bool(later) and _MAKE.search(statement, quantity.end, later[-1].start) is not None


@functools.cache
def _hedge_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(either_word(words.hedges, ends=False), re.IGNORECASE)
