"""What a finished build holds of each kind, and a fair draw of it: for pages that cannot carry a whole build."""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from data_prep.languages import LANGUAGES
from data_prep.schema import read_records
from launch.errors import InputError

_ORDER = {code: position for position, code in enumerate(LANGUAGES)}
_Key = TypeVar("_Key", bound=Hashable)


def language_order(code: str) -> int:
    """The place of a language in the registry; one that is not in it comes last."""
    return _ORDER.get(code, len(_ORDER))


@dataclass(frozen=True)
class Selection:
    """Which rows a page is about; None is all. A ``reason`` leaves out what was kept."""

    language: str | None = None
    category: str | None = None
    reason: str | None = None

    def takes(self, kind: Kind) -> bool:
        """Whether rows of this kind belong to it."""
        return (
            self.language in (None, kind.language)
            and self.category in (None, kind.category)
            and (self.reason is None or self.reason in kind.reason)
        )

    @property
    def words(self) -> list[str]:
        """What narrows it: ``["language fr", "reason number"]``."""
        return [f"{name} {value}" for name, value in vars(self).items() if value is not None]


class Kind(NamedTuple):
    """What a page filters by; ``reason`` holds all reasons of a dropped row, the one that counts first."""

    outcome: str
    language: str
    category: str
    split: str
    reason: tuple[str, ...] = ()


@dataclass(frozen=True)
class Survey:
    """What there is of each kind, and what of it was chosen: positions of rows by the path of their file."""

    stock: Mapping[Kind, int]
    chosen: Mapping[str, frozenset[int]]

    @property
    def found(self) -> int:
        """How many rows there are."""
        return sum(self.stock.values())


def survey_build(folder: Path, manifest: Mapping[str, Any], selection: Selection, limit: int) -> Survey:
    """Count the rows of a selection and choose at most ``limit`` of every language and outcome.

    Where there are more, every category, split and reason has its share of the places, and what is chosen of it is
    drawn by the hash of the source row's id: a row is chosen in all languages or in none, as far as shares allow.
    """
    stock: Counter[Kind] = Counter()
    drawn: dict[tuple[str, str], dict[Hashable, list[tuple[int, str, int]]]] = {}
    for entry in manifest["files"]:
        for position, (row_id, kind) in enumerate(_kinds(folder, entry["path"])):
            if not selection.takes(kind):
                continue
            stock[kind] += 1
            digest = hashlib.blake2b(row_id.removesuffix(kind.language).encode(), digest_size=8).digest()
            stratum: Hashable = (kind.category, kind.split, *kind.reason[:1])
            lowest = drawn.setdefault((kind.language, kind.outcome), {}).setdefault(stratum, [])
            # Negated, as heapq has the smallest on top, and the largest hash is the one that has to go.
            heapq.heappush(lowest, (-int.from_bytes(digest), entry["path"], position))
            if len(lowest) > limit:
                heapq.heappop(lowest)
    if not stock:
        raise InputError(
            f"no row in {folder} has {' and '.join(selection.words)}; python -m data_prep inspect {folder} lists "
            f"the languages, categories and reasons"
        )
    chosen: dict[str, set[int]] = {}
    for strata in drawn.values():
        shares = fair_shares({stratum: len(lowest) for stratum, lowest in strata.items()}, limit)
        for stratum, lowest in strata.items():
            for _, path, position in heapq.nlargest(shares[stratum], lowest):
                chosen.setdefault(path, set()).add(position)
    return Survey(stock, {path: frozenset(positions) for path, positions in chosen.items()})


def _kinds(folder: Path, path: str) -> Iterable[tuple[str, Kind]]:
    """Id and kind of every row of a file of the build, in order."""
    split = Path(path).name.partition(".")[0]
    kept = path.startswith("data/")
    columns = ("id", "language", "category", *(() if kept else ("reason", "reasons")))
    for record in read_records(folder / path, columns):
        reasons = () if kept else tuple(record["reasons"] or (record["reason"],))
        outcome = "kept" if kept else "dropped"
        yield record["id"], Kind(outcome, record["language"], record["category"], split, reasons)


def fair_shares(sizes: Mapping[_Key, int], places: int) -> dict[_Key, int]:
    """Divide places evenly; what a small one cannot fill goes to the others, until all places or all rows are used."""
    shares = {}
    for position, (key, size) in enumerate(sorted(sizes.items(), key=lambda item: item[1])):
        shares[key] = min(size, places // (len(sizes) - position))
        places -= shares[key]
    return shares
