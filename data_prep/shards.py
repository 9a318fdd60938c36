"""A stream of source rows cut into shards: even, in order, and the same every time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from data_prep.chains import chain_text
from data_prep.config import BuildConfig, check_split
from data_prep.dedup import Duplicate, DuplicateIndex, open_index
from data_prep.schema import Reject, Row, make_message
from data_prep.translate import source_text


@dataclass(frozen=True)
class Shard:
    """So many source rows of one split; ``index`` counts the shards of that split."""

    split: str
    index: int
    items: list[Row | Reject]


def cut_shards(items: Iterable[Row | Reject], config: BuildConfig) -> Iterator[Shard]:
    """Part a source by split into shards of ``shard_rows``; holds no more than one shard a split.

    Rows that no translator should see become rejects here, see :func:`admit`.
    """
    waiting: dict[str, list[Row | Reject]] = {}
    indices: dict[str, int] = {}
    for item in admit(items, config):
        split = item.split if isinstance(item, Reject) else item.provenance["split"]
        if split not in waiting:
            check_split(split)
        rows = waiting.setdefault(split, [])
        rows.append(item)
        if len(rows) == config.shard_rows:
            yield Shard(split, indices.get(split, 0), rows)
            indices[split] = indices.get(split, 0) + 1
            waiting[split] = []
    for split, rows in waiting.items():
        if rows:
            yield Shard(split, indices.get(split, 0), rows)


def admit(items: Iterable[Row | Reject], config: BuildConfig) -> Iterator[Row | Reject]:
    """The rows of a source, each in its split; those that nothing should be made of are rejects.

    Their reasons: ``duplicate_id``, ``too_long``, and where the recipe asks for it ``duplicate`` and
    ``near_duplicate``; a row that was rejected is not one that a later row can repeat.
    """
    seen: set[int] = set()
    with open_index(config.dedup) as index:
        for item in items:
            yield _admitted(_placed(item, config), seen, index, config) if isinstance(item, Row) else item


def _placed(row: Row, config: BuildConfig) -> Row:
    """Move a drawn share of the training rows to the validation split."""
    if not config.validation_share or row.provenance["split"] != "train":
        return row
    draw = hashlib.sha256(f"{config.seed}/{row.provenance['source_id']}".encode()).digest()
    if int.from_bytes(draw[:8]) >= config.validation_share * 2**64:
        return row
    return replace(row, provenance={**row.provenance, "split": "validation"})


def _admitted(row: Row, seen: set[int], index: DuplicateIndex | None, config: BuildConfig) -> Row | Reject:
    # Eight bytes of hash instead of the id: the set stays small for millions of rows.
    key = int.from_bytes(hashlib.blake2b(row.id.encode(), digest_size=8).digest())
    if key in seen:
        return _reject(row, "duplicate_id", "another row of this source has the same id")
    seen.add(key)
    characters = len(source_text(row.messages))
    if config.chain == "translate":
        characters += len(chain_text(row.messages))
    if characters > config.max_characters:
        return _reject(
            row, "too_long", f"{characters} characters to translate, max_characters is {config.max_characters}"
        )
    repeated = index.find(row) if index is not None else None
    return row if repeated is None else _repetition(row, repeated, config)


def _repetition(row: Row, repeated: Duplicate, config: BuildConfig) -> Reject:
    what, verb = ("prompt", "is") if config.dedup.text == "prompt" else ("prompt and answer", "are")
    how = "the same as" if repeated.reason == "duplicate" else f"to about {repeated.similarity:.0%} the same as"
    reject = _reject(row, repeated.reason, f"{what} {verb} {how} in row {repeated.id}")
    found = {"duplicate_of": repeated.id, "similarity": repeated.similarity}
    return replace(reject, provenance={**row.provenance, **found})


def _reject(row: Row, reason: str, detail: str) -> Reject:
    return Reject(
        id=row.id,
        language=row.language,
        category=row.category,
        split=row.provenance["split"],
        reason=reason,
        detail=detail,
        reasons=(reason,),
        messages=tuple(
            make_message(message["role"], message["content"][:20_000], message["reasoning_content"])
            for message in row.messages
        ),
        source=row.source,
        license=row.license,
        provenance=row.provenance,
    )
