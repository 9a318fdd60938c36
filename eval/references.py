"""The rows of a build beside human references: which text each row is judged by, and which rows cannot be judged.

A build and a folder of aligned MGSM files come in; source, hypothesis and reference of every row come out.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any

from data_prep.brackets import CLOSE, OPEN
from data_prep.languages import LANGUAGES
from data_prep.schema import Message, Reject, Row, read_rejects, read_rows
from data_prep.similarity import chrf
from eval.items import mgsm_rows
from launch.errors import InputError
from launch.thinking import split_thinking

KEPT, DROPPED = "kept", "dropped"


@dataclass(frozen=True)
class References:
    """Human translations of the same problems, ``texts[language][line]``, and the SHA-256 of the files they are in."""

    folder: Path
    texts: dict[str, list[str]]
    files: dict[str, str]

    def lines(self) -> dict[tuple[str, str], int]:
        """The line of every question by its language and text; the first one where a question stands there twice."""
        found: dict[tuple[str, str], int] = {}
        for language, texts in self.texts.items():
            for line, text in enumerate(texts):
                found.setdefault((language, text), line)
        return found


@dataclass(frozen=True)
class Translation:
    """One row of a build beside its reference.

    Args:
        id: of the row.
        language: that it was translated into.
        group: ``kept`` or ``dropped``.
        reasons: what was wrong with it, as in :class:`data_prep.schema.Reject`; detail: the first as a sentence.
        source: the last user turn before translation.
        hypothesis: the same turn as the translator gave it.
        raw_output: the hypothesis holds a raw output of the translator, see :func:`dropped_hypothesis`.
        reference: the same turn as a human translated it.
        chrf: sentence chrF++ of the hypothesis against the reference, 0 to 100.
    """

    id: str
    language: str
    group: str
    reasons: tuple[str, ...]
    detail: str
    source: str
    hypothesis: str
    raw_output: bool
    reference: str
    chrf: float


@dataclass
class Matched:
    """Rows that can be judged, the names of their translators, and language → reason → number of rows that cannot."""

    translations: list[Translation] = field(default_factory=list)
    translators: dict[str, None] = field(default_factory=dict)
    left_out: dict[str, Counter[str]] = field(default_factory=dict)


def read_references(folder: Path) -> References:
    """Read every ``mgsm_<language>.tsv`` of a folder whose language is registered.

    Raises:
        InputError: fewer than two files, one that cannot be read, or files that do not have the same problems, told by
            their answers, on the same lines.
    """
    names = {code: f"mgsm_{code}.tsv" for code in LANGUAGES if (folder / f"mgsm_{code}.tsv").is_file()}
    if len(names) < 2:
        raise InputError(
            f"the references folder {folder} needs mgsm_<language>.tsv for the source language and for another one; "
            f"it has {', '.join(names.values()) or 'neither'}"
        )
    rows = {code: list(mgsm_rows(folder, code)) for code in names}
    answers = {code: [Decimal(row.provenance["gold"]) for row in listed] for code, listed in rows.items()}
    first = next(iter(names))
    for code, own in answers.items():
        if len(own) != len(answers[first]):
            raise InputError(
                f"{folder / names[code]} has {len(own)} lines, {names[first]} has {len(answers[first])}; "
                "line by line they have to be the same problems"
            )
        for line, (expected, answer) in enumerate(zip(answers[first], own, strict=True), start=1):
            if answer != expected:
                raise InputError(
                    f"{folder / names[code]}, line {line}: the answer is {answer}, and {expected} in {names[first]}; "
                    "line by line they have to be the same problems"
                )
    return References(
        folder,
        {code: [row.messages[0]["content"] for row in listed] for code, listed in rows.items()},
        {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names.values()},
    )


def match_translations(build: Path, manifest: dict[str, Any], references: References) -> Matched:
    """Pair every translated row and reject of a build with the reference of its question.

    The reference stands on the line whose question, in the language of the source, is the row's last user turn before
    translation. What cannot be judged is counted: rows without a reference, rows rejected before they were translated,
    and rows for which the translator gave no text at all, which scored as 0 would flatter the gates.

    Raises:
        InputError: the build holds no source rows, or not one row is left to judge.
    """
    if not manifest.get("recipe", {}).get("keep_source", True):
        raise InputError(f"the build in {build} holds no source rows; build it again with keep_source: true")
    matched = Matched()
    lines = references.lines()
    rows: Iterable[tuple[Row | Reject, int | None]] = _kept(build, lines) if manifest.get("rows") else ()
    rejects: Iterable[tuple[Row | Reject, int | None]] = _dropped(build, lines) if manifest.get("rejects") else ()
    for item, line in chain(rows, rejects):
        paired = _paired(item, line, references)
        if isinstance(paired, Translation):
            matched.translations.append(paired)
            matched.translators[str(item.provenance.get("translator", "unknown"))] = None
        else:
            matched.left_out.setdefault(item.language, Counter())[paired] += 1
    if not matched.translations:
        reasons = sum(matched.left_out.values(), Counter())
        counted = ", ".join(f"{reason}: {count}" for reason, count in reasons.items()) or "it has no translated rows"
        raise InputError(
            f"no row of the build in {build} can be judged by the references in {references.folder} ({counted}); "
            "a question of the build has to stand in their file of its source language, word for word"
        )
    return matched


def dropped_hypothesis(reject: Reject) -> tuple[str, bool]:
    """The last user turn that a dropped row would have had, and whether a raw output is part of it.

    Where the translator's output was refused as such (broken brackets), ``Reject.translation`` holds the source text
    of the failed segment; in its place comes the last raw output without its chain of thought, brackets and white
    space around it: what a pipeline that demands no brackets would have taken. Empty where there was no output. Of
    several segments refused in one row only the first one's outputs are known; the others stay as their source text.
    """
    turn = last_user_turn(reject.translation)
    if not reject.outputs or reject.segment not in turn:
        return turn, False
    output = split_thinking(reject.outputs[-1], opened_by_prompt=False).answer or ""
    output = output.replace(OPEN, "").replace(CLOSE, "").replace("\x00", " ").strip()
    # An output that repeats its source and got as far as the gates stands in the turn already.
    if reject.segment in output and output in turn:
        return turn, False
    return (turn.replace(reject.segment, output).strip() if output else "", True)


def last_user_turn(messages: Iterable[Message]) -> str:
    """The last thing that the user says, stripped; empty where that is nothing."""
    said = [message["content"].strip() for message in messages if message["role"] == "user"]
    return said[-1] if said else ""


def _kept(build: Path, lines: dict[tuple[str, str], int]) -> Iterator[tuple[Row, int | None]]:
    """Translated rows with the line of their question, which only the row they were translated from can tell."""
    known: dict[tuple[str, str], int] = {}
    for row in read_rows(build):
        line = lines.get((row.language, last_user_turn(row.messages)))
        if line is not None and row.language == _origin(row):
            known[row.provenance["source_id"], row.language] = line
    for row in read_rows(build):
        if row.language != _origin(row):
            yield row, known.get((row.provenance["source_id"], _origin(row)))


def _dropped(build: Path, lines: dict[tuple[str, str], int]) -> Iterator[tuple[Reject, int | None]]:
    for reject in read_rejects(build):
        yield reject, lines.get((_origin(reject), last_user_turn(reject.messages)))


def _origin(item: Row | Reject) -> str:
    """The language that the row was written in, before anything was translated."""
    return str(item.provenance["source_language"])


def _paired(item: Row | Reject, line: int | None, references: References) -> Translation | str:
    """The item beside its reference, or why it cannot be judged."""
    if item.language == _origin(item):
        return "rejected before translation"
    if item.language not in references.texts:
        return "no references in this language"
    reference = "" if line is None else references.texts[item.language][line]
    if line is None or not reference:
        return "no reference for this question"
    hypothesis, raw_output = (
        dropped_hypothesis(item) if isinstance(item, Reject) else (last_user_turn(item.messages), False)
    )
    if not hypothesis:
        return "no text from the translator"
    return Translation(
        id=item.id,
        language=item.language,
        group=KEPT if isinstance(item, Row) else DROPPED,
        reasons=() if isinstance(item, Row) else item.reasons,
        detail="" if isinstance(item, Row) else item.detail,
        source=references.texts[_origin(item)][line],
        hypothesis=hypothesis,
        raw_output=raw_output,
        reference=reference,
        chrf=chrf(hypothesis, reference),
    )
