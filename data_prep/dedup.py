"""Rows that a source repeats: equal ones, and nearly equal ones by MinHash and locality-sensitive hashing.

Rows come in the order of the source and the first of several stays, so the same source gives the same verdicts. The
signatures are rensa's; what is known of earlier rows lies in a temporary SQLite database, which spills to disk, so
that memory does not grow with their number.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from data_prep.schema import Message, Row, storable
from launch.errors import InputError

# A pair exactly at the threshold has to become a candidate with this probability.
_RECALL = 0.95
# Rows of one band that are looked at, and candidates that are compared: what keeps a set of look-alikes from costing
# the square of its size. The earliest, and those that share most bands, come first.
_MOST_OF_A_BAND = 50
_MOST_COMPARED = 20
# Memory of the database in KiB; beyond it, pages go to a file that the operating system removes with the process.
_CACHE_KIB = 128 * 1024
# Part of every signature: the same rows are compared in the same way in every build.
_SEED = 0


@dataclass
class DedupConfig:
    """Which rows of a source repeat another one and are left out.

    Rows are compared within a language, and only where their system turns are equal.

    Args:
        kind: ``none``; ``exact``: the compared text is equal but for white space and Unicode form; ``near``: also
            where it is nearly equal.
        text: what is compared: the user's turns (``prompt``), or the assistant's answers as well, without the chains.
        threshold: ``near`` only: from which Jaccard similarity of their character n-grams on two texts are nearly
            equal. It is estimated; with 128 permutations the standard error at 0.8 is 0.035.
        ngram: ``near`` only: characters of an n-gram (Leskovec et al., Mining of Massive Datasets, 3.2.2: 5 for texts
            of the length of an e-mail).
        permutations: ``near`` only: length of a MinHash signature.
        same_numbers: ``near`` only: texts with other numbers, or in another order, are other problems and not nearly
            equal.
    """

    kind: Literal["none", "exact", "near"] = "none"
    text: Literal["prompt", "prompt_and_answer"] = "prompt"
    threshold: float = 0.8
    ngram: int = 5
    permutations: int = 128
    same_numbers: bool = True


class Duplicate(NamedTuple):
    """Which earlier row one repeats; ``similarity`` is 1.0 where the texts are equal."""

    id: str
    similarity: float
    reason: Literal["duplicate", "near_duplicate"]


def check_dedup(config: DedupConfig) -> None:
    """Refuse values that cannot work.

    Raises:
        InputError: it names the key.
    """
    if not 0 < config.threshold <= 1:
        raise InputError(f"dedup.threshold is {config.threshold}; it has to be more than 0 and at most 1")
    for key, lowest in (("ngram", 1), ("permutations", 16)):
        if getattr(config, key) < lowest:
            raise InputError(f"dedup.{key} is {getattr(config, key)}; it has to be {lowest} or more")


@contextmanager
def open_index(config: DedupConfig) -> Iterator[DuplicateIndex | None]:
    """The index for a build; None where its recipe leaves nothing out."""
    if config.kind == "none":
        yield None
        return
    index = DuplicateIndex(config)
    try:
        yield index
    finally:
        index.close()


class DuplicateIndex:
    """The rows that were kept so far."""

    def __init__(self, config: DedupConfig) -> None:
        self._config = config
        self._bands = choose_bands(config.threshold, config.permutations)
        # Without a name: a database of its own, in memory up to the cache and in an unlinked file beyond.
        self._database = sqlite3.connect("", isolation_level=None)
        for statement in (
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            f"PRAGMA cache_size = -{_CACHE_KIB}",
            "CREATE TABLE rows (number INTEGER PRIMARY KEY, id TEXT, signature BLOB)",
            "CREATE TABLE exact (hash INTEGER PRIMARY KEY, number INTEGER)",
            "CREATE TABLE bands (hash INTEGER, number INTEGER, PRIMARY KEY (hash, number)) WITHOUT ROWID",
            "BEGIN",
        ):
            self._database.execute(statement)
        self._number = 0

    def find(self, row: Row) -> Duplicate | None:
        """The kept row that this one repeats; where there is none, this one is kept from now on.

        A row without any text to compare repeats none.
        """
        text = compared_text(row, self._config)
        if not text:
            return None
        scope = _scope(row)
        exact = _hash(scope, text)
        found = self._database.execute(
            "SELECT id FROM exact JOIN rows USING (number) WHERE hash = ?", (exact,)
        ).fetchone()
        if found is not None:
            return Duplicate(found[0], 1.0, "duplicate")
        if self._config.kind == "near":
            signature = self._signature(text)
            bands = self._band_hashes(scope, text, signature)
            nearest = self._nearest(signature, bands)
            if nearest is not None:
                return nearest
            self._database.executemany("INSERT INTO bands VALUES (?, ?)", ((band, self._number) for band in bands))
            self._keep(row.id, exact, signature.tobytes())
        else:
            self._keep(row.id, exact, b"")
        return None

    def close(self) -> None:
        """Forget everything."""
        self._database.close()

    def _keep(self, row_id: str, exact: int, signature: bytes) -> None:
        self._database.execute("INSERT INTO rows VALUES (?, ?, ?)", (self._number, row_id, signature))
        self._database.execute("INSERT INTO exact VALUES (?, ?)", (exact, self._number))
        self._number += 1

    def _signature(self, text: str) -> npt.NDArray[np.uint32]:
        from rensa import RMinHash  # only this kind of comparison needs it

        size = self._config.ngram
        folded = _folded(text)
        grams = {folded[start : start + size] for start in range(max(1, len(folded) - size + 1))}
        minhash = RMinHash(num_perm=self._config.permutations, seed=_SEED)
        minhash.update(list(grams))
        return np.frombuffer(array("I", minhash.digest()), dtype=np.uint32)

    def _band_hashes(self, scope: str, text: str, signature: npt.NDArray[np.uint32]) -> list[int]:
        if self._config.same_numbers:
            scope = "\x00".join([scope, *re.findall(r"\d+", _folded(text))])
        bands, rows = self._bands
        return sorted(
            {
                _hash(scope, f"{band}:{signature[band * rows : (band + 1) * rows].tobytes().hex()}")
                for band in range(bands)
            }
        )

    def _nearest(self, signature: npt.NDArray[np.uint32], bands: list[int]) -> Duplicate | None:
        shared: Counter[int] = Counter()
        for band in bands:
            found = self._database.execute(
                "SELECT number FROM bands WHERE hash = ? ORDER BY number LIMIT ?", (band, _MOST_OF_A_BAND)
            )
            shared.update(number for (number,) in found)
        best: tuple[float, str] | None = None
        for number in sorted(shared, key=lambda number: (-shared[number], number))[:_MOST_COMPARED]:
            row_id, known = self._database.execute(
                "SELECT id, signature FROM rows WHERE number = ?", (number,)
            ).fetchone()
            similarity = float(np.mean(np.frombuffer(known, dtype=np.uint32) == signature))
            if similarity >= self._config.threshold and (best is None or similarity > best[0]):
                best = (similarity, row_id)
        return best and Duplicate(best[1], round(best[0], 4), "near_duplicate")


def choose_bands(threshold: float, permutations: int) -> tuple[int, int]:
    """Bands of a signature and values in each, as many values as find a pair at the threshold with 95 % probability.

    Two texts of similarity ``s`` share one of ``b`` bands of ``r`` values with probability ``1 - (1 - s^r)^b``
    (Leskovec et al., Mining of Massive Datasets, 3.4.2).
    """
    for rows in range(permutations, 1, -1):
        bands = permutations // rows
        if 1 - (1 - threshold**rows) ** bands >= _RECALL:
            return bands, rows
    return permutations, 1


def prompt_text(messages: tuple[Message, ...]) -> str:
    """What a user says in a conversation: the turns, parted by a line break."""
    return "\n".join(message["content"] for message in messages if message["role"] == "user")


def compared_text(row: Row, config: DedupConfig) -> str:
    """What of a row is compared with others, in one Unicode form and with single spaces; empty where there is none."""
    text = prompt_text(row.messages)
    if config.text == "prompt_and_answer":
        answers = [message["content"] for message in row.messages if message["role"] == "assistant"]
        text = "\n".join([text, *answers])
    return " ".join(unicodedata.normalize("NFC", storable(text)).split())


def _scope(row: Row) -> str:
    """What has to be equal for two rows to be compared at all: one question under two instructions is two tasks."""
    system = [message["content"].strip() for message in row.messages if message["role"] == "system"]
    return "\x00".join([row.language, *system])


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _hash(scope: str, text: str) -> int:
    """A signed 64-bit integer, as SQLite keeps them; two of a million texts have the same one in 1 of 10^7 builds."""
    content = f"{scope}\x01{text}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), signed=True)
