"""The words that announce an answer: "the answer is", "Réponse :", 答えは, "####"."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from data_prep.languages import LANGUAGES, Language, get_language
from eval.phrases import Phrases, phrases

_ADJECTIVES = (
    r"(?:corrigée|finale?|correcte?|exacte?|corregida|correcta|corretta|finale|esatta|rettificata|definitiva|"
    r"définitive|corrected)"
)
_STEP_BY_STEP = re.compile(r"(?:step[- ]by[- ]step|ステップごとの|段階的な)\s?$", re.IGNORECASE)


@dataclass(frozen=True)
class Anchor:
    """The words that announce an answer; ``soft``: they also name steps; ``heads``: a heading or a colon, no verb."""

    start: int
    end: int
    soft: bool
    heads: bool


def find_anchors(text: str, language: str) -> list[Anchor]:
    """All announcements of a text, in reading order."""
    soft = set(phrases(language).soft_nouns)
    found = []
    position = 0
    lowered = text.lower() if len(text.lower()) == len(text) else text
    for noun_at in _noun_pattern(language).finditer(lowered):  # many times faster than the pattern of the whole anchor
        match = _anchor_pattern(language).match(text, noun_at.start()) if noun_at.start() >= position else None
        if match is None or (match["hashes"] and text[text.rfind("\n", 0, match.start()) + 1 : match.start()].strip()):
            continue
        position = match.end()
        noun = next((value for value in match.groups() if value), "").lower()
        if _denial_pattern(phrases(language)).search(match[0]):
            continue  # "the answer is not", "la risposta non è"
        if _STEP_BY_STEP.search(text, max(0, match.start() - 20), match.start()):
            continue
        heads = match[0].rstrip(" *_\"'”»)]`」』").endswith((":", "=", "→")) or not match[0][len(noun) :].strip("*_ ")
        found.append(Anchor(match.start(), match.end(), noun in soft, heads))
    return found


@functools.cache
def _anchor_pattern(language: str) -> re.Pattern[str]:
    entries = list({id(entry): entry for entry in (get_language(language), LANGUAGES["en"])}.values())
    parts = [r"(?P<hashes>\#{4}(?!\#))"]
    parts += [_spaced_anchor(entry) if entry.spaced else _unspaced_anchor(entry) for entry in entries]
    return re.compile("|".join(parts), re.IGNORECASE | re.MULTILINE)


@functools.cache
def _noun_pattern(language: str) -> re.Pattern[str]:
    nouns = {*get_language(language).answer_words, *LANGUAGES["en"].answer_words}
    return re.compile("|".join(sorted(map(re.escape, nouns), key=len, reverse=True)) + "|\\#\\#\\#\\#")


def _spaced_anchor(entry: Language) -> str:
    nouns = "|".join(sorted(map(re.escape, entry.answer_words), key=len, reverse=True))
    copulas = "|".join(sorted(map(re.escape, entry.answer_phrases), key=len, reverse=True))
    quotes = r"[*_\"'”»)\]`]*"
    return (
        rf"(?<![\w/-])(?P<{entry.code}>{nouns})(?![\w/-])(?:"
        rf"\s?(?:\([^()\n]{{0,30}}\)|\[[^\[\]\n]{{0,30}}\]|{_ADJECTIVES})?{quotes}\s?[:=→]{quotes}"
        rf"|(?:\s[^.!?\n\d:;,$\\]{{0,60}}?)?\s(?:{copulas})(?!\w)\s?:?"
        rf"|{quotes}[ ]{{0,3}}$"
        rf"|{quotes}\s(?=[*$€£¥(\"]{{0,3}}(?:[-]?\d|(?-i:[A-J])(?:[).:;,\s*]|$))))"
    )


def _unspaced_anchor(entry: Language) -> str:
    nouns = "|".join(sorted(map(re.escape, entry.answer_words), key=len, reverse=True))
    links = "|".join(sorted(map(re.escape, entry.answer_phrases), key=len, reverse=True))
    return (
        rf"(?P<{entry.code}>{nouns})[*_」』]*(?:\s?(?:\([^()\n]{{0,30}}\))?\s?(?:{links}|=)"
        rf"|(?!く|け|き|決|説|析|法|消|え[るた])[^。！？\n\d、]{{0,15}}?(?:は|:|=)|\.?\s?(?=[$¥]?\d)|\s*$)"
    )


@functools.cache
def _denial_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(words.denied_before)})(?!\w)|n't\b", re.IGNORECASE)
