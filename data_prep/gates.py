"""The quality gates: what is wrong with a translation, judged from source and translation alone, without a model.

Every gate has a name and gives its reason; a clean translation gives an empty list.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, get_args

from data_prep.brackets import CLOSE, OPEN
from data_prep.languages import LANGUAGES, Language, get_language
from data_prep.lid import identify, word_evidence
from data_prep.number_gate import compare_numbers
from data_prep.prose import has_words
from data_prep.spans import Span, find_spans, line_labels
from launch.errors import InputError

Gate = Literal[
    "empty", "line_break", "protected_span", "choice_label", "number", "length", "repetition", "untranslated_copy",
    "language", "meta_talk", "brackets", "characters",
]  # fmt: skip


@dataclass(frozen=True)
class Violation:
    """What a gate found: its name and, for a reader, what exactly is wrong."""

    gate: Gate
    detail: str


@dataclass(frozen=True)
class GateConfig:
    """Which gates judge, and how strictly.

    Args:
        enabled: the gates that judge; all by default.
        least_length: the least characters a translation may have, as a share of what the languages lead one to expect.
        most_length: the most, likewise.
        length_slack: characters by which short texts may miss either bound.
        least_words_for_language: source words from which on the language of a translation is looked at.
    """

    enabled: tuple[str, ...] = field(default_factory=lambda: get_args(Gate))
    least_length: float = 0.5
    most_length: float = 2.0
    length_slack: int = 20
    least_words_for_language: int = 2

    def __post_init__(self) -> None:
        for gate in self.enabled:
            if gate not in get_args(Gate):
                raise InputError(f"unknown gate {gate!r}; known gates: {', '.join(sorted(get_args(Gate)))}")


_DEFAULT = GateConfig()


@dataclass(frozen=True)
class _Pair:
    """Source and translation with what every gate looks at; ``*_prose`` is the text outside protected spans."""

    source: str
    translation: str
    source_language: Language
    target_language: Language
    source_spans: list[Span]
    target_spans: list[Span]
    source_prose: str
    target_prose: str
    config: GateConfig


def check(
    source: str, translation: str, source_language: str, target_language: str, config: GateConfig | None = None
) -> list[Violation]:
    """Everything that is wrong with a translation; ``[]`` passes.

    Raises:
        ValueError: a language is not registered. No text makes it raise.
    """
    config = config or _DEFAULT
    source_entry, target_entry = get_language(source_language), get_language(target_language)
    if not translation.strip():
        return [Violation("empty", "the translation is empty")] if source.strip() and "empty" in config.enabled else []
    source_spans, target_spans = find_spans(source), find_spans(translation)
    pair = _Pair(
        source, translation, source_entry, target_entry, source_spans, target_spans,
        _outside(source, source_spans), _outside(translation, target_spans), config,
    )  # fmt: skip
    return [violation for gate, judge in _GATES.items() if gate in config.enabled for violation in judge(pair)]


def _outside(text: str, spans: list[Span]) -> str:
    """The text with protected spans blanked out; lengths stay, so that positions do."""
    pieces: list[str] = []
    position = 0
    for span in spans:
        pieces.extend((text[position : span.start], " " * (span.end - span.start)))
        position = span.end
    pieces.append(text[position:])
    return "".join(pieces)


def _line_break(pair: _Pair) -> list[Violation]:
    before, after = (sum(map(bool, map(str.strip, text.splitlines()))) for text in (pair.source, pair.translation))
    if before == after:
        return []
    return [Violation("line_break", f"{before} lines became {after}")]


def _protected_span(pair: _Pair) -> list[Violation]:
    kept = _counted(pair.source, pair.source_spans)
    found = _counted(pair.translation, pair.target_spans)
    violations = []
    for piece, count in kept.items():
        # counted as a substring where the other language's punctuation hides it from the scanner
        times = found[piece] if found[piece] >= count else pair.translation.count(piece)
        if times < count:
            violations.append(
                Violation("protected_span", f"{piece!r} {'is missing' if not times else 'occurs less often'}")
            )
        elif found[piece] > count:
            violations.append(Violation("protected_span", f"{piece!r} occurs {found[piece]} times instead of {count}"))
    invented = (piece for piece in found if piece not in kept and piece not in pair.source)
    return violations + [Violation("protected_span", f"{piece!r} is not in the source") for piece in invented]


def _counted(text: str, spans: list[Span]) -> Counter[str]:
    return Counter(text[span.start : span.end] for span in spans if span.kind != "choice_label")


def _choice_label(pair: _Pair) -> list[Violation]:
    before, after = (
        Counter([text[s.start : s.end] for s in spans if s.kind == "choice_label"] + line_labels(text, spans))
        for text, spans in ((pair.source, pair.source_spans), (pair.translation, pair.target_spans))
    )
    if before == after:
        return []
    missing, added = before - after, after - before
    parts = [
        f"{word} {', '.join(sorted(labels))}" for word, labels in (("missing", missing), ("added", added)) if labels
    ]
    return [Violation("choice_label", "; ".join(parts))]


def _number(pair: _Pair) -> list[Violation]:
    return [
        Violation("number", detail)
        for detail in compare_numbers(
            pair.source_prose, pair.target_prose, pair.source_language.code, pair.target_language.code
        )
    ]


def _length(pair: _Pair) -> list[Violation]:
    before, after = len(" ".join(pair.source_prose.split())), len(" ".join(pair.target_prose.split()))
    expected = before * pair.target_language.length_ratio / pair.source_language.length_ratio
    config = pair.config
    if after + config.length_slack * pair.target_language.length_ratio < expected * config.least_length:
        return [Violation("length", f"{after} characters for {before} are too few")]
    if after > expected * config.most_length + config.length_slack:
        return [Violation("length", f"{after} characters for {before} are too many")]
    return []


def _repetition(pair: _Pair) -> list[Violation]:
    """A model that fell into a loop at the end; a source that ends in one may be translated so."""
    loop = _loop(pair.target_prose, pair.target_language)
    if loop is None or _loop(pair.source_prose, pair.source_language) is not None:
        return []
    return [Violation("repetition", f"{loop!r} is repeated at the end")]


def _loop(text: str, language: Language) -> str | None:
    """What the text repeats at its end, at least four times and over at least sixteen words or characters."""
    units = text.split() if language.spaced else list(text.strip())
    for period in range(1, 9 if language.spaced else 25):
        run = units[-period:]
        times = 1
        while times * period < len(units) and units[-(times + 1) * period : -times * period] == run:
            times += 1
        if times >= max(4, 16 // period):
            return (" " if language.spaced else "").join(run)
    return None


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+(?:['’\-][^\W\d_]+)*", text)


def _untranslated_copy(pair: _Pair) -> list[Violation]:
    if pair.source_language.code == pair.target_language.code:
        return []
    before, after = (" ".join(_words(prose)).casefold() for prose in (pair.source_prose, pair.target_prose))
    if before != after or not _is_language(pair.source_prose):
        return []
    if identify(pair.source_prose, _codes(pair)) != pair.source_language.code:
        return []  # a name or a term that is the same in both languages
    return [Violation("untranslated_copy", "the translation is the source")]


def _is_language(prose: str) -> bool:
    """Words that a translation would change: more than names, symbols and abbreviations."""
    words = _words(prose)
    return has_words(prose, 0, len(prose)) and any(word[0].islower() and len(word) > 2 for word in words)


def _codes(pair: _Pair) -> tuple[str, str]:
    return pair.source_language.code, pair.target_language.code


_PLENTY = 2.5  # function words that make a closer look superfluous when few speak for another language
_SENTENCE_END = re.compile(r"(?<=[.!?])\s|(?<=[。！？])")


def _language(pair: _Pair) -> list[Violation]:
    """The language of the whole and of each of its sentences; what is too short to tell passes."""
    if len(_words(pair.source_prose)) < pair.config.least_words_for_language:
        return []
    source, target = _codes(pair)
    evidence = word_evidence(pair.target_prose)
    own = evidence.pop(target, 0.0)
    if own < _PLENTY or max(evidence.values(), default=0.0) > own / 3:
        found = identify(pair.target_prose, (source, target))
        # On a few words only the source language is a likely mistake; a near relative may just look like it.
        certain = len(_words(pair.target_prose)) >= (4 if found in LANGUAGES else 7) or not pair.target_language.spaced
        if found is not None and found != target and (found == source or certain):
            return [Violation("language", f"the translation is in {found!r}, not {target!r}")]
    sentences = _SENTENCE_END.split(pair.target_prose)
    if source != target and len(sentences) > 1:
        for sentence in sentences:
            if word_evidence(sentence).get(source, 0.0) < 1.0:
                continue
            if len(_words(sentence)) >= 5 and identify(sentence, (source, target)) == source:
                return [Violation("language", f"a sentence is still in {source!r}: {sentence.strip()[:80]!r}")]
    return []


_META_TALK = re.compile(
    r"\b(?:here (?:is|'s) (?:the|a|your|my) (?:\w+ )?translation|the (?:\w+ )?translation (?:is|of|would be|reads)\b"
    r"|translated (?:text|version|into|to) ?:|translation ?:|i (?:cannot|can't|can not|am unable to|'m unable to) "
    r"(?:translate|assist|help|comply|fulfil)|as an ai\b|i'm sorry,? but|sure[,!] here)"
    r"|\b(?:voici la traduction|traduction ?:|la traduction (?:est|en français)|je ne peux pas (?:traduire|vous aider)"
    r"|en tant qu'(?:ia|intelligence|assistant|modèle))"
    r"|\b(?:aquí (?:está|tienes) la traducción|traducción ?:|la traducción (?:es|al español)"
    r"|no puedo (?:traducir|ayudar)|como (?:una )?(?:ia|inteligencia artificial|modelo de lenguaje))\b"
    r"|\b(?:hier ist die (?:deutsche )?übersetzung|übersetzung ?:|die übersetzung (?:lautet|ist)"
    r"|ich kann (?:das|diesen text|dies|ihnen|dir)? ?(?:leider )?nicht (?:übersetzen|helfen)"
    r"|als ki\b|als sprachmodell)"
    r"|\b(?:ecco la traduzione|traduzione ?:|la traduzione (?:è|in italiano)|non posso (?:tradurre|aiutar)"
    r"|come (?:ia|intelligenza artificiale|modello linguistico))"
    r"|(?:以下(?:が|は)?[^。\n]{0,8}翻訳|翻訳[:：]|日本語訳[:：]|翻訳(?:は|結果)[^。\n]{0,6}(?:です|とおり|通り)|翻訳できません"
    r"|お手伝いできません|AIとして)|</?think>|<\|[a-z_]+\|>",
    re.IGNORECASE,
)


def _meta_talk(pair: _Pair) -> list[Violation]:
    """Talk about the task instead of the translation; a source that talks so may be translated so."""
    match = _META_TALK.search(pair.translation)
    if match is None or match[0].lower() in pair.source.lower():
        return []
    if re.search(
        r"translat|traduc|traduz|übersetz|翻訳|as an ai|sorry|cannot|can't|unable", pair.source, re.IGNORECASE
    ):
        return []
    return [Violation("meta_talk", f"the translation speaks of itself: {match[0]!r}")]


def _brackets(pair: _Pair) -> list[Violation]:
    for bracket in (OPEN, CLOSE):
        if pair.translation.count(bracket) != pair.source.count(bracket):
            return [Violation("brackets", f"{bracket} is the translator's delimiter, not text")]
    return []


_BROKEN = re.compile("[\ufffd\x00\ud800-\udfff]")
_OTHER_SCRIPTS = "\u0400-\u04ff\u0590-\u06ff\u0900-\u0dff\u0e00-\u0e7f\uac00-\ud7a3"
_FOREIGN = {
    "Jpan": re.compile(f"[{_OTHER_SCRIPTS}]"),
    "Latn": re.compile(f"[{_OTHER_SCRIPTS}\u3040-\u30ff\u3400-\u9fff]"),
}


def _characters(pair: _Pair) -> list[Violation]:
    """Broken characters, and letters of a script that neither the source nor the language has."""
    for match in _BROKEN.finditer(pair.translation):
        if match[0] not in pair.source:
            return [Violation("characters", f"the translation holds the broken character {match[0]!a}")]
    for match in _FOREIGN[pair.target_language.script].finditer(pair.target_prose):
        if match[0] not in pair.source:
            return [Violation("characters", f"{match[0]!r} is not written in {pair.target_language.name}")]
    return []


_GATES: dict[str, Callable[[_Pair], list[Violation]]] = {
    "line_break": _line_break,
    "brackets": _brackets,
    "characters": _characters,
    "protected_span": _protected_span,
    "choice_label": _choice_label,
    "number": _number,
    "length": _length,
    "repetition": _repetition,
    "meta_talk": _meta_talk,
    "untranslated_copy": _untranslated_copy,
    "language": _language,
}
