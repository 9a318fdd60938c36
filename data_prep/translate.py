"""One shard of rows into one language: units out, attempts in, gates, and rows or rejects with their reason.

The chain is never looked at. What is not translatable reaches the output byte for byte, so a translator that returns
its input gives back the row's text. Every segment passes the gates on its own, whatever it was asked for with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from data_prep.chains import CHAIN_ROLE
from data_prep.documents import Document, Part, join_parts, source_text, take_apart, units_of
from data_prep.failures import FailedPart, failed_to_json
from data_prep.gates import GateConfig, check
from data_prep.languages import get_language
from data_prep.lid import identify
from data_prep.schema import Reject, Row, make_message, storable
from data_prep.translators import Attempt, Grouped, Translator, Unit
from launch.errors import InputError

__all__ = ["Document", "Part", "join_parts", "source_text", "take_apart", "translate_documents"]

# Where more of a shard's requests than this fail, the server is down, and rows should not pay for it.
_MOST_ERRORS = 0.1


@dataclass(frozen=True)
class Failure:
    """Why a unit, a segment of it, or a whole text cannot be used; without a segment it is about the whole."""

    reason: str
    detail: str
    segment: str | None = None


@dataclass
class Outcome:
    """What the attempts at one unit came to: texts for its segments, failures, and every raw output.

    ``texts`` are those of the last attempt, good or not; None where nothing could be read.
    """

    texts: tuple[str, ...] | None = None
    failures: tuple[Failure, ...] = ()
    outputs: list[str] = field(default_factory=list)


def translate_documents(
    documents: Sequence[Document],
    translator: Translator,
    target_language: str,
    usage: Counter[str],
    gates: GateConfig | None = None,
) -> list[Row | Reject]:
    """Translate documents; a row or a reject for each, in order.

    What is asked for at once is for the translator to say: lines, blocks or whole documents. Equal units are
    translated once. ``usage`` receives segments, requests and tokens.

    Raises:
        InputError: the translator does not work, or more than a tenth of its requests failed.
    """
    if isinstance(translator, Grouped):
        granularity, context = translator.granularity, translator.context_characters
    else:
        granularity, context = "line", 0
    units = [units_of(document, granularity, context) for document in documents]
    asked: dict[str, dict[Unit, None]] = {}
    for document, own in zip(documents, units, strict=True):
        asked.setdefault(document.row.language, {}).update(dict.fromkeys(own))
    outcomes = {
        language: _translate_units(wanted, translator, language, target_language, usage, gates)
        for language, wanted in asked.items()
    }
    return [
        _assemble(document, own, outcomes[document.row.language], translator.name, target_language)
        for document, own in zip(documents, units, strict=True)
    ]


def _translate_units(
    units: Iterable[Unit],
    translator: Translator,
    source_language: str,
    target_language: str,
    usage: Counter[str],
    gates: GateConfig | None,
) -> dict[Unit, Outcome]:
    outcomes = {unit: Outcome() for unit in units}
    usage["segments"] += sum(len(_segments(unit)) for unit in outcomes)
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
            outcome.texts, outcome.failures = _judge(unit, attempt, source_language, target_language, gates)
            outcome.outputs.append(storable(attempt.output))
            if outcome.failures:
                unusable.append(unit)
        waiting = unusable
    return outcomes


def _segments(unit: Unit) -> tuple[str, ...]:
    return unit.parts or (unit.text,)


def _judge(
    unit: Unit, attempt: Attempt, source_language: str, target_language: str, gates: GateConfig | None
) -> tuple[tuple[str, ...] | None, tuple[Failure, ...]]:
    if attempt.text is None:
        return None, (Failure(attempt.reason, storable(attempt.detail)),)
    texts = attempt.parts or (attempt.text,)
    if any(storable(text) != text or "\x00" in text for text in texts):
        return None, (Failure("invalid_unicode", "the translation holds lone surrogates or NUL"),)
    failures = (
        Failure(violation.gate, storable(violation.detail), segment)
        for segment, text in zip(_segments(unit), texts, strict=True)
        for violation in check(segment, text, source_language, target_language, gates)
    )
    return texts, tuple(failures)


def _check_errors(attempts: Sequence[Attempt]) -> None:
    errors = [attempt for attempt in attempts if attempt.error]
    if len(errors) > _MOST_ERRORS * len(attempts):
        raise InputError(
            f"the translator failed on {len(errors)} of {len(attempts)} segments ({errors[0].detail}); what it "
            f"answered is kept, run the same command again when it works"
        )


def _assemble(
    document: Document, units: Sequence[Unit], outcomes: Mapping[Unit, Outcome], translator: str, target_language: str
) -> Row | Reject:
    row = document.row
    texts = [text for unit in units for text in outcomes[unit].texts or _segments(unit)]
    waiting = iter(texts)
    messages = tuple(
        make_message(message["role"], join_parts(turn, waiting), message["reasoning_content"])
        for message, turn in zip(row.messages, document.turns, strict=True)
    )
    row_id = f"{row.provenance['source_id']}.{target_language}"
    provenance = {**row.provenance, "translator": translator}
    failed = [_failed_part(unit, outcomes[unit]) for unit in units if outcomes[unit].failures]
    if failed:
        failures = [failure for unit in units for failure in outcomes[unit].failures]
    else:
        failures = _language_failures(document, iter(texts), target_language)
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
        segment="\n".join(failed[0].segments) if failed else "",
        outputs=failed[0].outputs if failed else (),
        messages=row.messages,
        translation=messages,
        source=row.source,
        license=row.license,
        provenance={**provenance, **failed_to_json(failed)},
    )


def _failed_part(unit: Unit, outcome: Outcome) -> FailedPart:
    wrong = {failure.segment for failure in outcome.failures}
    pairs = list(zip(_segments(unit), outcome.texts or _segments(unit), strict=True))
    if None not in wrong:  # None: it is about the whole unit
        pairs = [(segment, text) for segment, text in pairs if segment in wrong]
    return FailedPart(
        tuple(segment for segment, _ in pairs),
        tuple(text for _, text in pairs),
        tuple(dict.fromkeys(failure.reason for failure in outcome.failures)),
        outcome.failures[0].detail,
        tuple(outcome.outputs),
    )


def _language_failures(document: Document, texts: Iterator[str], target_language: str) -> list[Failure]:
    """Language identification of the whole prompt, answer and chain, over what was translated of them."""
    names = {"assistant": "answer", CHAIN_ROLE: "chain"}
    said: dict[str, list[str]] = {"prompt": [], "answer": [], "chain": []}
    for message, turn in zip(document.row.messages, document.turns, strict=True):
        said[names.get(message["role"], "prompt")] += [next(texts) for part in turn if part.unit is not None]
    failures = []
    for name, parts in said.items():
        text = "\n".join(parts)
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
