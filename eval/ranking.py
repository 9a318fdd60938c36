"""Which number of a response is its answer, or none: a conditional logit over the numbers and "no answer".

Rules read what is announced. Where a response announces nothing, its last number is the answer in about half of the
ways to say it ("Maya has 37 left: she began with 52 and gave 15 away"); here every number, and the possibility that no
answer is given, gets a score, the sum of the weights of what holds of it (``passages``, ``combinations``).
The weights are fitted to texts whose answer is known (``tests/benchmarks/fit_ranking.py``, which says how well they do
on authors whose texts they never saw). Model: McFadden, "Conditional logit analysis of qualitative choice behavior",
Frontiers in Econometrics (1974).
"""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import orjson

from data_prep.languages import get_language
from eval.combinations import combinations
from eval.conclusions import concludes
from eval.passages import WORD, Mention, Passage

_WEIGHTS = Path(__file__).with_suffix(".json")
_LATEST = 4  # sentences from the end whose words tell whether an answer is given
_NO_PIECE = re.compile(r"[\d、。\s]+")
_PIECES = (2, 3, 4)  # characters, where no spaces part words
_STOPS = (".", "。", "!", "！", "?", "？", ":", ")", "”", "»", "」")
ANNOUNCED = ("boxed", "anchor")  # methods of the rules that an answer was announced
# The probability above which the likeliest option stands against what the rules say.
_OTHER_NUMBER = 0.6
_NUMBER_AFTER_ALL = 0.9
_NO_ANSWER = 0.6
_NO_ANSWER_ANNOUNCED = 0.7
_FINAL = ("refusal", "unfinished")  # methods of the rules after which no number is the answer
# What holds of a number wherever it is written counts for more than what holds of one of its mentions.
_EVERYWHERE = ("in a reason", "before operator", "in parentheses", "in first clause")
_PAIRS = (
    ("first", "alone in its sentence"), ("first", "from two after"), ("first", "in first clause"),
    ("first", "before ,"), ("first", "before 、"), ("first", "before :"), ("last", "from two before"),
    ("last", "in a reason"), ("last", "alone in its sentence"), ("last", "clause after :"),
    ("last", "in parentheses"),
)  # fmt: skip


@dataclass(frozen=True)
class Ruled:
    """What the rules made of a response.

    Args:
        method: as in ``answers.Grade``.
        values: those of the number that they read; none where they found no answer.
        corrected: it stands after words that take back another.
    """

    method: str
    values: tuple[Fraction, ...] = ()
    corrected: bool = False

    @property
    def sizes(self) -> frozenset[float]:
        """The values, signs aside."""
        return frozenset(abs(float(value)) for value in self.values)


@dataclass(frozen=True)
class Option:
    """A number that may be the answer, or (no mentions) that there is none; ``evidence``: names of what holds."""

    mentions: tuple[Mention, ...]
    evidence: frozenset[str]

    @property
    def ambiguous(self) -> bool:
        """It stands there with either sign ("x = 18 or x = -18")."""
        return len({mention.values[0] > 0 for mention in self.mentions}) > 1

    @property
    def sizes(self) -> set[float]:
        """What the number can mean, signs aside."""
        return {size for mention in self.mentions for size in mention.sizes}


def options(passage: Passage, language: str, ruled: Ruled | None) -> list[Option]:
    """The different numbers of a passage, signs aside, in the order of their first mention; "no answer" comes last."""
    places: dict[float, list[int]] = {}
    for place, mention in enumerate(passage.mentions):
        places.setdefault(mention.sizes[0], []).append(place)
    values = list(places)
    timed = any(mention.time is not None for mention in passage.mentions)
    ways = [set()] * len(values) if timed else combinations(values)
    ruled_sizes = ruled.sizes if ruled is not None else frozenset()
    greatest, smallest = max(values, default=0), min(values, default=0)
    concluded = bool(values) and concludes(passage.sentences[passage.mentions[-1].sentence], language)
    found = []
    for index, value in enumerate(values):
        mentions = tuple(passage.mentions[place] for place in places[value])
        evidence = set().union(*(mention.evidence for mention in mentions))
        evidence.update(f"everywhere {name}" for name in _EVERYWHERE if all(name in m.evidence for m in mentions))
        evidence.update(_position(passage, places[value], language, concluded))
        for way in ways[index]:
            firsts = [places[values[operand]][0] for operand in way.operands]
            evidence.update(_derived(way.kind, firsts, places[value][0]))
            evidence |= {"from all others"} if len(firsts) == len(values) - 1 else set()
        if value == greatest:
            evidence.add("greatest")
        if value == smallest:
            evidence.add("smallest")
        if "first" in evidence or "last" in evidence:
            evidence.update(f"{one} & {other}" for one, other in _PAIRS if one in evidence and other in evidence)
        if ruled is not None and any(size in ruled_sizes for mention in mentions for size in mention.sizes):
            strength = "corrected" if ruled.corrected else "strong" if ruled.method in ANNOUNCED else "weak"
            evidence |= {f"rules, {strength}", f"rules:{ruled.method}"}
        found.append(Option(mentions, frozenset(evidence)))
    found.append(Option((), frozenset(_unanswered(passage, len(values), language, ruled))))
    return found


def _position(passage: Passage, places: list[int], language: str, concluded: bool) -> Iterator[str]:
    sentences = [mention.sentence for mention in passage.mentions]
    in_last = sentences[places[-1]] == sentences[-1]
    if len(places) > 1:
        yield "said again"
    if sentences[places[0]] == sentences[0]:
        yield "in first sentence with numbers"
    if in_last:
        yield "in last sentence with numbers"
        if concluded:
            yield "in last sentence with numbers, which concludes"
    for name, holds in (("first", places[0] == 0), ("last", places[-1] == len(sentences) - 1)):
        if holds:
            yield name
            yield f"{name}, {language}"
            if sentences[0] == sentences[-1]:
                yield f"{name} of one sentence"
    if places[0] == 0 and concluded:
        yield "first, last sentence concludes"


def _derived(kind: str, operands: list[int], place: int) -> Iterator[str]:
    where = "before" if max(operands) < place else "after" if min(operands) > place else "around"
    yield f"from two {where}"
    yield f"{kind} of those {where}"


def _unanswered(passage: Passage, numbers: int, language: str, ruled: Ruled | None) -> Iterator[str]:
    """What speaks for or against "no answer": how the text ends, and the words of its last sentences."""
    yield "no answer"
    yield f"no answer, numbers:{min(numbers, 4)}"
    yield f"no answer, sentences:{min(len(passage.sentences), 4)}"
    last = passage.sentences[-1].rstrip(' \n*_"') if passage.sentences else ""
    for name, holds in (
        ("question", last.endswith(("?", "？"))),
        ("open end", not last.endswith(_STOPS)),
        ("dots", last.endswith(("=", "…", "..."))),
    ):
        if holds:
            yield f"no answer, {name}"
    if ruled is not None and not ruled.values:
        yield "no answer, rules"
        yield f"no answer, rules:{ruled.method}"
    for sentence in passage.sentences[-_LATEST:]:
        yield from (f"{language} no answer:{piece}" for piece in _pieces(sentence, language))


def _pieces(sentence: str, language: str) -> Iterator[str]:
    """The words and pairs of words of a sentence; runs of characters where no spaces part words."""
    if get_language(language).spaced:
        words = WORD.findall(sentence.lower())
        yield from words
        yield from (f"{one} {other}" for one, other in itertools.pairwise(words))
        return
    for run in _NO_PIECE.split(sentence):
        for length in _PIECES:
            yield from (run[start : start + length] for start in range(len(run) - length + 1))


@functools.cache
def weights() -> dict[str, float]:
    """The fitted weight of each evidence by name."""
    return dict(orjson.loads(_WEIGHTS.read_bytes()))


def probabilities(found: Iterable[Option], weighted: dict[str, float]) -> list[float]:
    """The probability of each option."""
    scores = [sum(map(weighted.get, option.evidence, itertools.repeat(0.0))) for option in found]
    most = max(scores)
    odds = [math.exp(score - most) for score in scores]
    return [odd / sum(odds) for odd in odds]


def decide(ruled: Ruled, found: list[Option], weighted: dict[str, float]) -> Option | None:
    """The option to take in place of what the rules say; None to leave it at that.

    The result that a text ends with stands, and an announced answer is only given up for "no answer"; where the rules
    found several answers, none or a corrected one, another number has to be all but certain.
    """
    sizes = ruled.sizes
    if sizes and not any(sizes & option.sizes for option in found):
        return None  # the rules read a number in words that was not weighed
    if ruled.method not in ANNOUNCED and any(sizes & option.sizes for option in found if _concludes(option.evidence)):
        return None
    odds = probabilities(found, weighted)
    probability, likeliest = max(zip(odds, found, strict=True), key=lambda pair: pair[0])
    if not likeliest.mentions:
        needed = _NO_ANSWER_ANNOUNCED if ruled.method in ANNOUNCED else _NO_ANSWER
        return likeliest if ruled.values and probability > needed else None
    if ruled.method in ANNOUNCED or likeliest.ambiguous:
        return None
    if not ruled.values or ruled.corrected:
        certain = ruled.method not in _FINAL and probability > _NUMBER_AFTER_ALL
        return likeliest if certain else None
    return likeliest if probability > _OTHER_NUMBER and not sizes & likeliest.sizes else None


def _concludes(evidence: frozenset[str]) -> bool:
    """Whether a number ends the text as its result: of a calculation, of a conclusion, or on a line of its own."""
    if {"after =", "in last sentence"} <= evidence or {"after =", "last"} <= evidence:
        return True
    said = {"sentence concludes", "little else in its sentence"} & evidence
    return {"in last sentence", "alone in its sentence"} <= evidence and bool(said)
