"""One shard of rows into one language: segments out, attempts in, gates, and rows or rejects with their reason.

The chain is never looked at. What is not translatable reaches the output byte for byte, so a translator that returns
its input gives back the row's text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from data_prep.gates import GateConfig, check
from data_prep.languages import get_language
from data_prep.lid import identify
from data_prep.schema import Message, Reject, Row, make_message, storable
from data_prep.segments import split_segments
from data_prep.translators import Attempt, Translator, Unit
from launch.errors import InputError

# System turns that switch the model's thinking and are no language; a model in another language has the same switch.
_SWITCHES = frozenset({"/think", "/no_think", "detailed thinking on", "detailed thinking off"})
# Where more of a shard's requests than this fail, the server is down, and rows should not pay for it.
_MOST_ERRORS = 0.1


class Part(NamedTuple):
    """A piece of a turn: text that stays, or a unit with the white space around it."""

    before: str
    unit: Unit | None = None
    after: str = ""


@dataclass(frozen=True)
class Document:
    """A source row, taken apart once for all languages: the parts of every turn."""

    row: Row
    turns: tuple[tuple[Part, ...], ...]

    @property
    def units(self) -> Iterable[Unit]:
        """The units of all turns, in order."""
        return (part.unit for turn in self.turns for part in turn if part.unit is not None)


@dataclass(frozen=True)
class Failure:
    """Why a unit, or a whole text, cannot be used."""

    reason: str
    detail: str


@dataclass
class Outcome:
    """What the attempts at one unit came to: a text without failures, or failures and every raw output."""

    text: str | None = None
    failures: tuple[Failure, ...] = ()
    outputs: list[str] = field(default_factory=list)


def take_apart(row: Row) -> Document:
    """Split every turn of a row into what is translated and what stays."""
    return Document(row, tuple(_parts(message) for message in row.messages))


def join_parts(turn: Iterable[Part], texts: Mapping[Unit, str]) -> str:
    """A turn with these texts in the place of its units; with the units' own texts, the turn as it was."""
    pieces = []
    for before, unit, after in turn:
        pieces += [before, "" if unit is None else texts[unit], after]
    return "".join(pieces)


def translate_documents(
    documents: Sequence[Document],
    translator: Translator,
    target_language: str,
    usage: Counter[str],
    gates: GateConfig | None = None,
) -> list[Row | Reject]:
    """Translate documents of one source language; a row or a reject for each, in order.

    Equal units are translated once. ``usage`` receives segments, requests and tokens.

    Raises:
        InputError: the translator does not work, or more than a tenth of its requests failed.
    """
    languages = dict.fromkeys(document.row.language for document in documents)
    outcomes = {
        language: _translate_units(
            dict.fromkeys(unit for d in documents if d.row.language == language for unit in d.units),
            translator,
            language,
            target_language,
            usage,
            gates,
        )
        for language in languages
    }
    return [
        _assemble(document, outcomes[document.row.language], translator.name, target_language)
        for document in documents
    ]


def source_text(messages: Iterable[Message]) -> str:
    """What of a conversation is subject to translation, for counting its bytes."""
    return "".join(message["content"] for message in messages)


def _parts(message: Message) -> tuple[Part, ...]:
    content = message["content"]
    if message["role"] == "system" and content.strip() in _SWITCHES:
        return (Part(content),)
    parts = []
    for segment in split_segments(content):
        core = segment.text.strip()
        if not segment.translatable or not core:
            parts.append(Part(segment.text))
            continue
        start = segment.text.index(core)
        parts.append(Part(segment.text[:start], Unit(core, segment.protected), segment.text[start + len(core) :]))
    return tuple(parts)


def _translate_units(
    units: Iterable[Unit],
    translator: Translator,
    source_language: str,
    target_language: str,
    usage: Counter[str],
    gates: GateConfig | None,
) -> dict[Unit, Outcome]:
    outcomes = {unit: Outcome() for unit in units}
    usage["segments"] += len(outcomes)
    waiting = list(outcomes)
    for number in range(translator.attempts):
        if not waiting:
            break
        attempts = translator.translate(waiting, source_language, target_language, number)
        _check_errors(attempts)
        unusable = []
        for unit, attempt in zip(waiting, attempts, strict=True):
            usage["requests"] += 1
            usage["prompt_tokens"] += attempt.prompt_tokens
            usage["completion_tokens"] += attempt.completion_tokens
            outcome = outcomes[unit]
            outcome.text, outcome.failures = _judge(unit, attempt, source_language, target_language, gates)
            outcome.outputs.append(storable(attempt.output))
            if outcome.failures:
                unusable.append(unit)
        waiting = unusable
    return outcomes


def _judge(
    unit: Unit, attempt: Attempt, source_language: str, target_language: str, gates: GateConfig | None
) -> tuple[str | None, tuple[Failure, ...]]:
    if attempt.text is None:
        return None, (Failure(attempt.reason, storable(attempt.detail)),)
    text = storable(attempt.text)
    if text != attempt.text or "\x00" in text:
        return None, (Failure("invalid_unicode", "the translation holds lone surrogates or NUL"),)
    violations = check(unit.text, text, source_language, target_language, gates)
    return text, tuple(Failure(violation.gate, storable(violation.detail)) for violation in violations)


def _check_errors(attempts: Sequence[Attempt]) -> None:
    errors = [attempt for attempt in attempts if attempt.error]
    if len(errors) > _MOST_ERRORS * len(attempts):
        raise InputError(
            f"the translator failed on {len(errors)} of {len(attempts)} segments ({errors[0].detail}); what it "
            f"answered is kept, run the same command again when it works"
        )


def _assemble(
    document: Document, outcomes: dict[Unit, Outcome], translator: str, target_language: str
) -> Row | Reject:
    row = document.row
    failed = [unit for unit in document.units if outcomes[unit].failures]
    texts = {unit: outcomes[unit].text or unit.text for unit in document.units}
    messages = tuple(
        make_message(message["role"], join_parts(turn, texts), message["reasoning_content"])
        for message, turn in zip(row.messages, document.turns, strict=True)
    )
    row_id = f"{row.provenance['source_id']}.{target_language}"
    provenance = {**row.provenance, "translator": translator}
    if failed:
        failures = [failure for unit in failed for failure in outcomes[unit].failures]
        segment, outputs = failed[0].text, tuple(outcomes[failed[0]].outputs)
    else:
        failures = _language_failures(document, outcomes, target_language)
        segment, outputs = "", ()
    if not failures:
        return Row(row_id, target_language, row.category, messages, row.source, row.license, provenance)
    return Reject(
        id=row_id,
        language=target_language,
        category=row.category,
        split=row.provenance["split"],
        reason=failures[0].reason,
        detail=failures[0].detail,
        reasons=tuple(dict.fromkeys(failure.reason for failure in failures)),
        segment=segment,
        outputs=outputs,
        messages=row.messages,
        translation=messages,
        source=row.source,
        license=row.license,
        provenance=provenance,
    )


def _language_failures(document: Document, outcomes: dict[Unit, Outcome], target_language: str) -> list[Failure]:
    """Language identification of the whole prompt and the whole answer, over what was translated of them."""
    failures = []
    for name, is_answer in (("prompt", False), ("answer", True)):
        text = "\n".join(
            outcomes[part.unit].text or ""
            for message, turn in zip(document.row.messages, document.turns, strict=True)
            if (message["role"] == "assistant") == is_answer
            for part in turn
            if part.unit is not None
        )
        found = identify(text) if text else None
        if found is not None and found != target_language:
            failures.append(
                Failure(f"{name}_language", f"the {name} is {_name(found)}, not {get_language(target_language).name}")
            )
    return failures


def _name(code: str) -> str:
    try:
        return get_language(code).name
    except ValueError:
        return f"'{code}'"
