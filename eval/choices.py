"""Which option a response settles on when it discusses the others as well ("**D)** …. The others (A: …, B: …) …").

The sentences of a response come in; out comes the letter that one of them picks, or that it rejects all options.
"""

from __future__ import annotations

import functools
import re
from typing import Final

from eval.conclusions import concludes
from eval.forms import SEVERAL, denied_word, read_choice
from eval.phrases import Phrases, either_word, japanese, phrases
from eval.sentences import Sentence

NONE: Final = "none"
# From the first of the marks in front of it, so that a long row of them is looked at once.
_LETTER = r"(?<![A-Za-zÀ-ɏ0-9(\[*])[(\[*]*+(?P<{}>[A-J])(?![A-Za-zÀ-ɏ0-9'’])[)\]*]*"
_HEADED = re.compile(
    r"[\s*_#>(\[「【✓✔✅☑️👉➡️•–-]*(?P<letter>[A-J])(?:\*\*|[)\].:）：*]|\s[–—-]\s|[\s*_」】]*$)", re.DOTALL
)
_MARKED = re.compile(r"\s*(?:\*\*|__|[✓✔✅☑👉➡])")
_NAMED = re.compile(r"(?<![A-Za-zÀ-ɏ0-9'’])([A-J])(?![A-Za-zÀ-ɏ0-9'’])")
_BOLD = re.compile(r"\*\*[(\[]?(?:[^\W\d]+\s)?(?P<bold>[A-J])(?:[).\]:]\*\*|\*\*|[).\]:][^*\n]{0,80}\*\*)")
_MOST_SENTENCES = 12


def settled_choice(window: str, parts: list[Sentence], language: str) -> str | None:
    """The letter that a response picks in so many words, the last such pick, or that it opens with.

    ``NONE`` where it says that no option is right; None where it says neither, or two letters could be meant.
    """
    words = phrases(language)
    texts = [window[part.start : part.end] for part in parts if part.role == "main"]
    if not texts or len(texts) > _MOST_SENTENCES:
        return None
    for index in range(len(texts) - 1, -1, -1):
        text = texts[index]
        if _nothing_pattern(words).search(text):
            return NONE
        pick = _picked(text, words)
        if pick is not None:
            return None if _joined(text, pick, words) else text[pick[0] : pick[1]]
        if concludes(text, language) and _NAMED.search(text):
            return None  # a conclusion, read as a sentence like others
    return _opened(texts, language)


def _picked(text: str, words: Phrases) -> tuple[int, int] | None:
    """Where the one letter stands that a sentence calls right or chooses."""
    found = [match.span(match.lastgroup or 0) for match in _pick_pattern(words).finditer(text)]
    found = [(start, end) for start, end in found if not denied_word(text, start, end, words)]
    if not found and len(set(_NAMED.findall(text))) > 1:
        found = [match.span("bold") for match in _BOLD.finditer(text)]
    return found[-1] if len({text[start:end] for start, end in found}) == 1 else None


@functools.cache
def _pick_pattern(words: Phrases) -> re.Pattern[str]:
    before = either_word(words.picks_before, ends=False)
    after = [word for word in words.picks_after if not japanese(word)]
    unspaced = [word for word in words.picks_after if japanese(word)]
    rights = "|".join([rf"\s(?:{'|'.join(after)})(?!\w)", *unspaced])
    nouns = r"option|answer|réponse|opción|antwort|opzione"
    link = rf"(?:\s?(?:is|ist|est|es|è|:|は|のは|{nouns}|la|the|l')[\s:*]*){{0,3}}[\s:*]*"
    return re.compile(rf"(?:(?i:{before})){link}{_LETTER.format('before')}|{_LETTER.format('after')}(?i:{rights})")


def _joined(text: str, pick: tuple[int, int], words: Phrases) -> bool:
    """Whether another letter is named in the same breath ("A and C are right", "B or C")."""
    before, after = _joint_patterns(words)
    return before.search(text[: pick[0]]) is not None or after.match(text, pick[1]) is not None


@functools.cache
def _joint_patterns(words: Phrases) -> tuple[re.Pattern[str], re.Pattern[str]]:
    joints = "|".join(word for word in words.additions + words.alternatives + words.both_links if not japanese(word))
    joint = rf"[)\]*]*(?:,?\s(?:{joints})\s|[とかも]|、|または|もしくは|,\s?|/)(?:[^\W\d]+\s)?[(\[*]*"
    other = r"(?<![A-Za-z])[A-J](?![A-Za-z'’])"
    return re.compile(rf"{other}{joint}$"), re.compile(rf"{joint}{other}")


@functools.cache
def _nothing_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(either_word(words.no_option, ends=False), re.IGNORECASE)


def _opened(texts: list[str], language: str) -> str | None:
    """The letter that a response opens with where all the others are only discussed after it."""
    if len(texts) < 2:
        return None
    first = _HEADED.match(texts[0])
    letter = first["letter"] if first is not None else None
    if first is None or letter is None or read_choice(texts[0], language, sentence=True) not in (letter, SEVERAL):
        return None
    if len(set(_NAMED.findall(texts[0]))) > 1:
        return None
    later = texts[1:]
    others = {name for text in later for name in _NAMED.findall(text)}
    alone = _MARKED.match(texts[0]) is not None or not texts[0][first.end() :].strip()
    listed = any((head := _HEADED.match(text)) is not None and head["letter"] != letter for text in later)
    if letter in others or (listed and not alone):
        return None
    return letter
