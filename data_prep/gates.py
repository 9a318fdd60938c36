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
from data_prep.chatter import find_meta_talk, find_obedience, is_answered
from data_prep.languages import LANGUAGES, get_language
from data_prep.lid import identify, word_evidence
from data_prep.number_gate import compare_numbers
from data_prep.prose import has_words
from data_prep.sides import Side, find_plain_words, source_side
from launch.errors import InputError

Gate = Literal[
    "empty", "line_break", "protected_span", "choice_label", "number", "length", "repetition", "untranslated_copy",
    "language", "meta_talk", "instruction", "question", "brackets", "characters",
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
    """Source and translation with what every gate looks at."""

    before: Side
    after: Side
    config: GateConfig

    @property
    def codes(self) -> tuple[str, str]:
        return self.before.language.code, self.after.language.code


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
    pair = _Pair(source_side(source, source_entry), Side(translation, target_entry), config)
    return [violation for gate, judge in _GATES.items() if gate in config.enabled for violation in judge(pair)]


def _line_break(pair: _Pair) -> list[Violation]:
    before, after = pair.before.lines, pair.after.lines
    if before == after:
        return []
    return [Violation("line_break", f"{before} lines became {after}")]


def _protected_span(pair: _Pair) -> list[Violation]:
    kept, found = pair.before.protected, pair.after.protected
    if kept == found:
        return []
    violations = []
    for piece, count in kept.items():
        # counted as a substring where the other language's punctuation hides it from the scanner
        own = found.get(piece, 0)
        times = own if own >= count else pair.after.text.count(piece)
        if times < count:
            violations.append(
                Violation("protected_span", f"{piece!r} {'is missing' if not times else 'occurs less often'}")
            )
        elif own > count:
            violations.append(Violation("protected_span", f"{piece!r} occurs {own} times instead of {count}"))
    invented = (piece for piece in found if piece not in kept and piece not in pair.before.text)
    return violations + [Violation("protected_span", f"{piece!r} is not in the source") for piece in invented]


def _choice_label(pair: _Pair) -> list[Violation]:
    before, after = pair.before.labels, pair.after.labels
    if before == after:
        # Fewer than three may be part of a sentence, whose order follows the language.
        if len(before) < 3 or list(before) == list(after) or list(before) != sorted(before):
            return []
        return [Violation("choice_label", f"the order became {', '.join(after)}")]
    missing, added = Counter(before) - Counter(after), Counter(after) - Counter(before)
    parts = [
        f"{word} {', '.join(sorted(labels))}" for word, labels in (("missing", missing), ("added", added)) if labels
    ]
    return [Violation("choice_label", "; ".join(parts))]


def _number(pair: _Pair) -> list[Violation]:
    details = compare_numbers(pair.before.prose, pair.after.prose, *pair.codes)
    return [Violation("number", detail) for detail in details]


def _length(pair: _Pair) -> list[Violation]:
    before, after = pair.before.length, pair.after.length
    ratio = pair.after.language.length_ratio
    expected = before * ratio / pair.before.language.length_ratio
    config = pair.config
    if after + config.length_slack * ratio < expected * config.least_length:
        return [Violation("length", f"{after} characters for {before} are too few")]
    if after > expected * config.most_length + config.length_slack:
        return [Violation("length", f"{after} characters for {before} are too many")]
    return []


def _repetition(pair: _Pair) -> list[Violation]:
    """A model that fell into a loop at the end; a source that ends in one may be translated so."""
    loop = pair.after.loop
    if loop is None or pair.before.loop is not None:
        return []
    return [Violation("repetition", f"{loop!r} is repeated at the end")]


def _untranslated_copy(pair: _Pair) -> list[Violation]:
    source, target = pair.codes
    if source == target or not _same_words(pair) or not _is_language(pair.before):
        return []
    if identify(pair.before.prose, pair.codes) != source:
        return []  # a name or a term that is the same in both languages
    return [Violation("untranslated_copy", "the translation is the source")]


def _same_words(pair: _Pair) -> bool:
    if pair.before.first_word != pair.after.first_word:
        return False
    before, after = pair.before.words, pair.after.words
    return len(before) == len(after) and " ".join(before).casefold() == " ".join(after).casefold()


def _is_language(side: Side) -> bool:
    """Words that a translation would change: more than names, symbols and abbreviations."""
    has_lower = any(word[0].islower() and len(word) > 2 for word in side.words)
    return has_lower and has_words(side.prose, 0, len(side.prose))


_PLENTY = 2.5  # function words that make a closer look superfluous when few speak for another language
_SENTENCE_END = re.compile(r"(?<=[.!?])\s|(?<=[。！？])")
_KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa]")
_HAN = re.compile(r"[\u3400-\u9fff]")


def _language(pair: _Pair) -> list[Violation]:
    """The language of the whole and of each of its sentences; what is too short to tell passes."""
    if len(pair.before.words) < pair.config.least_words_for_language:
        return []
    source, target = pair.codes
    prose = pair.after.prose
    if not any(word[0].islower() for word in pair.before.words) and _same_words(pair):
        return []  # names stay as they are
    evidence = word_evidence(prose)
    own = evidence.pop(target, 0.0)
    from_source = evidence.get(source, 0.0)
    if own < _PLENTY or max(evidence.values(), default=0.0) > own / 3:
        found = identify(prose, (source, target))
        # On a few words only the source language is a likely mistake; a near relative may just look like it.
        certain = len(pair.after.words) >= (4 if found in LANGUAGES else 7) or not pair.after.language.spaced
        if found is not None and found != target and (found == source or certain):
            return [Violation("language", f"the translation is in {found!r}, not {target!r}")]
    if target == "ja" and _is_sentence_without_kana(pair):
        return [Violation("language", "a sentence without kana is not in 'ja'")]
    if source != target and from_source >= 1.0:
        sentences = _SENTENCE_END.split(prose)
        for sentence in sentences if len(sentences) > 1 else []:
            if word_evidence(sentence).get(source, 0.0) < 1.0:
                continue
            if len(find_plain_words(sentence)) >= 5 and identify(sentence, (source, target)) == source:
                return [Violation("language", f"a sentence is still in {source!r}: {sentence.strip()[:80]!r}")]
    return []


def _is_sentence_without_kana(pair: _Pair) -> bool:
    """Chinese, as a rule: a sentence has particles and endings, and Japanese writes those in kana."""
    prose = pair.after.prose
    if _KANA.search(prose) or len(_HAN.findall(prose)) < 6:
        return False
    return word_evidence(pair.before.prose).get(pair.before.language.code, 0.0) >= 2.0


def _meta_talk(pair: _Pair) -> list[Violation]:
    """Talk about the task instead of the translation."""
    said = find_meta_talk(pair.before, pair.after)
    return [] if said is None else [Violation("meta_talk", f"the translation speaks of itself: {said!r}")]


def _instruction(pair: _Pair) -> list[Violation]:
    """Orders in the source are translated, not obeyed."""
    detail = find_obedience(pair.before, pair.after)
    return [] if detail is None else [Violation("instruction", detail)]


def _question(pair: _Pair) -> list[Violation]:
    return [Violation("question", "a question became a statement")] if is_answered(pair.before, pair.after) else []


def _brackets(pair: _Pair) -> list[Violation]:
    for bracket in (OPEN, CLOSE):
        if pair.after.text.count(bracket) != pair.before.text.count(bracket):
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
    text, source = pair.after.text, pair.before.text
    if text.isascii() and "\x00" not in text:
        return []
    for match in _BROKEN.finditer(text):
        if match[0] not in source:
            return [Violation("characters", f"the translation holds the broken character {match[0]!a}")]
    language = pair.after.language
    for match in _FOREIGN[language.script].finditer(pair.after.prose):
        if match[0] not in source:
            return [Violation("characters", f"{match[0]!r} is not written in {language.name}")]
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
    "instruction": _instruction,
    "question": _question,
    "untranslated_copy": _untranslated_copy,
    "language": _language,
}
