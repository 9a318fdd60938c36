"""Numbers that name something ("flight 447", Room 101, 2番線): they say which, not how many."""

from __future__ import annotations

import functools
import re

from data_prep.languages import get_language
from eval.central import circumstance
from eval.phrases import Phrases, japanese, phrases
from eval.quantities import Quantity

_WITHIN = 40  # characters before a number in which its noun stands
_COUNTING = r"each|every|per|one|another|chaque|cada|jede[rnms]?|pro|je|ogni"
_NOT_A_NOUN = frozenset(
    {"the", "le", "la", "el", "il", "lo", "un", "del", "al", "dal", "nel", "der", "die", "das"}
    | {"total", "final", "missing", "correct", "original", "whole", "secret", "unknown"}
)
_COUNTING_WORD = re.compile(_COUNTING, re.IGNORECASE)
_YEAR_NOUN = re.compile("year|année|an|año|jahr|anno", re.IGNORECASE)
_DRESS = "*_\"'“«("


@functools.lru_cache(maxsize=4096)
def _is_name(word: str, words: Phrases) -> bool:
    """Whether a word, the number of which it may be, is a noun whose number names it."""
    latin = "|".join(name for name in words.names if not japanese(name))
    return re.fullmatch(f"(?:{latin})", word.rpartition("'")[2], re.IGNORECASE) is not None


@functools.lru_cache(maxsize=4096)
def _is_number_noun(word: str, words: Phrases) -> bool:
    return re.fullmatch("|".join(words.number_nouns), word, re.IGNORECASE) is not None


@functools.cache
def _unspaced_patterns(words: Phrases) -> tuple[re.Pattern[str], re.Pattern[str]]:
    before = "|".join(name for name in words.names if japanese(name))
    return re.compile(rf"(?:{before})\s?[*_]*$"), re.compile("|".join(words.named_after))


def _names(statement: str, quantity: Quantity, words: Phrases) -> bool:
    """Whether a whole number stands beside a noun that it names."""
    if not quantity.values or quantity.values[0].denominator > 1 or quantity.percent or quantity.values[0] < 0:
        return False
    if statement[quantity.start] in "$€£¥+":
        return False
    before = statement[max(0, quantity.start - _WITHIN) : quantity.start].rstrip(_DRESS)
    if words.named_after:
        noun_before, noun_after = _unspaced_patterns(words)
        if noun_after.match(statement, quantity.end) or noun_before.search(before):
            return True
    if not before.endswith(" "):
        return False
    around = before.split()[-4:]
    if len(around) > 1 and len(around[-1]) == 1 and around[-1].isupper():  # "Autobahn A 7"
        around.pop()
    if len(around) > 1 and _is_number_noun(around[-1], words):
        around.pop()
        named = (
            around[-1].rpartition("'")[2].isalpha() and len(around[-1]) > 2 and around[-1].lower() not in _NOT_A_NOUN
        )
    else:
        named = bool(around) and _is_name(around[-1].lstrip(_DRESS), words)
        named = named or (len(around) > 1 and _is_name(" ".join(around[-2:]), words))
    if not named or (len(around) > 1 and _COUNTING_WORD.fullmatch(around[-2])):
        return False
    return _YEAR_NOUN.fullmatch(around[-1].rpartition("'")[2]) is None or 1000 <= quantity.values[0] < 3000


def only_a_name(statement: str, quantities: list[Quantity], language: str) -> bool:
    """Whether the only number of a sentence names its subject ("Flight 447 was delayed")."""
    if len(quantities) != 1:
        return False
    before = statement[: quantities[0].start].strip(" *_#>-")
    subject = len(before.split()) <= 2 and len(before) <= 20 and ":" not in before
    after = statement[quantities[0].end :].strip(" *_.!。")
    longest_copula = 12 if get_language(language).spaced else 8
    return subject and len(after) > longest_copula and _names(statement, quantities[0], phrases(language))


def without_names(statement: str, quantities: list[Quantity], language: str) -> list[Quantity]:
    """The quantities that name nothing, unless none of the others can be the answer."""
    if len(quantities) < 2:
        return quantities
    words = phrases(language)
    named = [_names(statement, quantity, words) for quantity in quantities]
    if not any(named):
        return quantities
    others = [quantity for quantity, name in zip(quantities, named, strict=True) if not name]
    # "40 runners of group 10": the number after "of" is a name, so nothing is counted out of 40.
    later = [
        q.start for q, name in zip(quantities, named, strict=True) if name and others and q.start > others[-1].start
    ]
    end = later[0] if later else None
    if all(circumstance(statement[:end], quantity, words) for quantity in others):
        return quantities
    return others
