"""Process checks on a chain of thought: languages, arithmetic, consistency with the answer, repetition; no judge.

They describe how an answer came about and are never mixed into accuracy.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from data_prep.languages import LANGUAGES
from data_prep.lid import identify
from eval.arithmetic import find_equations, operands_given, readable
from eval.cleaning import clean
from eval.phrases import either_word, phrases
from eval.quantities import find_quantities
from eval.readings import read_number
from eval.sentences import sentences
from launch.thinking import Thinking

Verdict = Literal["as_expected", "other", "undetermined"]

_LONGEST = 200_000  # characters of a chain that are looked at
_MOST_SENTENCES = 400
_SHINGLE = 8  # words
_REPEATED_LINE = 12  # characters from which an equal line counts as said again


@dataclass(frozen=True)
class ReasoningScore:
    """One generation's process checks; None where a check does not apply.

    Args:
        state: the thinking state (closed, orphan_close, unclosed, none).
        closed: the chain was ended (closed or orphan_close).
        chain_language, answer_language: what was identified (ISO 639-1), None where no one could tell.
        chain_verdict, answer_verdict: as expected, another language, or undetermined.
        chain_switched, answer_switched: share (0..1) of the sentences whose language can be told that are in another
            language than expected; one English sentence among seven French ones is invisible otherwise.
        equations: number of equations ``a op b = c`` in the chain that can be checked; equations_right: that hold.
        operands: how many numbers those calculate with; operands_given: that the question or what stands before them
            in the chain gives. A line that was left out or came too early shows here.
        consistent: the chain's last result is the number that the answer gives.
        repetition: share (0..1) of the chain that repeats what stood in it before.
        flips: how often the chain takes back what it said ("wait", "no, …").
        chain_characters: length of the chain.
    """

    state: str
    closed: bool
    chain_language: str | None
    answer_language: str | None
    chain_verdict: Verdict
    answer_verdict: Verdict
    chain_switched: float | None
    answer_switched: float | None
    equations: int
    equations_right: int
    operands: int
    operands_given: int
    consistent: bool | None
    repetition: float | None
    flips: int
    chain_characters: int


def score_reasoning(
    thinking: Thinking,
    language: str,
    *,
    question: str = "",
    chain_language: str = "en",
    answer_language: str | None = None,
) -> ReasoningScore:
    """Process checks for one generation whose question was in ``language``.

    Args:
        thinking: chain and answer, parted.
        question: the question that was asked; what it gives may be calculated with.
        chain_language: the language that the chain should have.
        answer_language: the language that the answer should have; ``language`` itself unless given.
    """
    expected = answer_language or language
    chain, answer = (thinking.reasoning or "")[:_LONGEST], (thinking.answer or "")[:_LONGEST]
    chain_found, answer_found = (identify(text, LANGUAGES) if text else None for text in (chain, answer))
    text = readable(chain)
    equations = find_equations(text, chain_language)
    return ReasoningScore(
        state=thinking.state,
        closed=thinking.state in ("closed", "orphan_close"),
        chain_language=chain_found,
        answer_language=answer_found,
        chain_verdict=_verdict(chain_found, chain_language),
        answer_verdict=_verdict(answer_found, expected),
        chain_switched=switched(chain, chain_language),
        answer_switched=switched(answer, expected),
        equations=len(equations),
        equations_right=sum(equation.holds for equation in equations),
        operands=sum(len(equation.operands) for equation in equations),
        operands_given=operands_given(equations, text, chain_language, question[:_LONGEST], language),
        consistent=consistent(chain, answer, chain_language, expected),
        repetition=repetition(chain) if chain.strip() else None,
        flips=flips(chain, chain_language),
        chain_characters=len(thinking.reasoning or ""),
    )


def _verdict(found: str | None, expected: str) -> Verdict:
    if found is None:
        return "undetermined"
    return "as_expected" if found == expected else "other"


def switched(text: str, expected: str) -> float | None:
    """Share of the sentences whose language can be told that are not in ``expected``; None if none can be told."""
    told = [identify(text[start:end], LANGUAGES) for start, end in sentences(text)[:_MOST_SENTENCES]]
    known = [code for code in told if code is not None]
    return sum(code != expected for code in known) / len(known) if known else None


def consistent(chain: str, answer: str, chain_language: str, answer_language: str) -> bool | None:
    """Whether the answer gives the chain's last result; None where either has no number.

    The last result is what stands after the chain's last equals sign, or its last number ("so the best is the $250").
    """
    if not chain.strip() or not answer.strip():
        return None
    results = _last_result(clean(chain[-4000:]), chain_language)
    stated = read_number(clean(answer[-2000:]), answer_language, sentence=True)
    if not results or stated.status == "nothing":
        return None
    if stated.status == "value" and set(results) & set(stated.values):
        return True
    given = find_quantities(clean(answer[-2000:]), answer_language)
    return any(set(results) & set(quantity.values) for quantity in given[-1:])


def _last_result(chain: str, language: str) -> tuple[Fraction, ...]:
    quantities = [quantity for quantity in find_quantities(chain, language) if quantity.values]
    results = quantities[-1].values if quantities else ()
    _, equals, after = chain.rpartition("=")
    computed = find_quantities(after[:80], language) if equals else []
    return results + computed[0].values if computed else results


def repetition(chain: str) -> float:
    """Share of a chain's words that stand in a run of eight words, or on a line, that occurred before.

    0 for a chain without repetition, near 1 for one that loops; whatever the number of loops it stays below 1.
    """
    words = chain.split()
    if len(words) < 2 * len(chain) / 50:  # no spaces between the words
        words = list("".join(words))
    repeated = bytearray(len(words))
    seen: set[int] = set()
    for position in range(len(words) - _SHINGLE + 1):
        shingle = zlib.crc32(" ".join(words[position : position + _SHINGLE]).encode("utf-8", "surrogatepass"))
        if shingle in seen:
            repeated[position : position + _SHINGLE] = b"\x01" * _SHINGLE
        seen.add(shingle)
    by_shingles = sum(repeated) / len(words) if words else 0.0
    lines = [line.strip() for line in chain.splitlines() if len(line.strip()) >= _REPEATED_LINE]
    total = sum(map(len, lines))
    by_lines = 1 - sum(map(len, set(lines))) / total if total else 0.0
    return max(by_shingles, by_lines)


def flips(chain: str, language: str = "en") -> int:
    """How many clauses open by taking back what was said before ("Wait, …", "no, …")."""
    opening = either_word(phrases(language).corrections)
    return len(re.findall(rf"(?:^|[.!?…\n—–;]\s{{0,3}}|,\s)(?:{opening})(?=[\s,.:!…—–])", chain, re.IGNORECASE))
