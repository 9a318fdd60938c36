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
from eval.candidates import sentences
from eval.phrases import either_word, phrases
from eval.quantities import clean, find_quantities, read_digits
from eval.readings import read_number
from launch.thinking import Thinking

Verdict = Literal["as_expected", "other", "undetermined"]

_LONGEST = 200_000  # characters of a chain that are looked at
_MOST_SENTENCES = 400
_SHINGLE = 8  # words
_REPEATED_LINE = 12  # characters from which an equal line counts as said again
_DIGITS = r"\d{1,3}(?:[ ']\d{3}){1,6}(?!\d)(?:[.,]\d{1,20})?|\d{1,30}(?:[.,]\d{1,20}){0,6}(?!\d)|\.\d{1,20}"
_OPERAND = rf"-?[$€£¥]?\s?(?:{_DIGITS})"
_OPERATOR = r"[-+*/×·÷–]|\bx\b|\btimes\b|\bplus\b|\bminus\b|\bdivided by\b"
_SPACE = r"[^\S\n]"
_EQUATION = re.compile(
    rf"(?<![\w.,)\]^{{])(?P<left>{_OPERAND}(?:{_SPACE}?%)?(?:{_SPACE}?[^\W\d_]{{1,12}})?"
    rf"(?:{_SPACE}?(?:{_OPERATOR}){_SPACE}?{_OPERAND}(?:{_SPACE}?[^\W\d_]{{2,12}})?){{1,6}})"
    rf"{_SPACE}{{0,3}}={_SPACE}{{0,3}}(?P<right>{_OPERAND})(?P<percent>{_SPACE}?%)?"
    rf"(?!{_SPACE}?[-+*/×·÷=\d(^])(?!{_SPACE}x{_SPACE})",
    re.IGNORECASE,
)
_OPERATORS = {
    "–": "-",
    "×": "*",
    "·": "*",
    "x": "*",
    "times": "*",
    "÷": "/",
    "divided by": "/",
    "plus": "+",
    "minus": "-",
}
_PART = re.compile(rf"(?P<number>{_DIGITS})|(?P<operator>{_OPERATOR})", re.IGNORECASE)
_CALCULATOR = re.compile(r"<<[^<>\n]{0,80}>>")  # GSM8K's calculator marks say the equation a second time
_BULLET = re.compile(r"^[^\S\n]*[-*•–][^\S\n]+", re.MULTILINE)


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
    consistent: bool | None
    repetition: float | None
    flips: int
    chain_characters: int


def score_reasoning(
    thinking: Thinking, language: str, *, chain_language: str = "en", answer_language: str | None = None
) -> ReasoningScore:
    """Process checks for one generation whose question was in ``language``.

    Args:
        thinking: chain and answer, parted.
        chain_language: the language that the chain should have.
        answer_language: the language that the answer should have; ``language`` itself unless given.
    """
    expected = answer_language or language
    chain, answer = (thinking.reasoning or "")[:_LONGEST], (thinking.answer or "")[:_LONGEST]
    chain_found, answer_found = (identify(text, LANGUAGES) if text else None for text in (chain, answer))
    held = [holds for _, holds in equations(chain, chain_language)]
    return ReasoningScore(
        state=thinking.state,
        closed=thinking.state in ("closed", "orphan_close"),
        chain_language=chain_found,
        answer_language=answer_found,
        chain_verdict=_verdict(chain_found, chain_language),
        answer_verdict=_verdict(answer_found, expected),
        chain_switched=switched(chain, chain_language),
        answer_switched=switched(answer, expected),
        equations=len(held),
        equations_right=sum(held),
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


def equations(chain: str, language: str = "en") -> list[tuple[str, bool]]:
    """Equations between numbers ("5 + 7 = 12", "$3 x 4 = $12") as written, and whether each holds.

    A result rounded to the decimals it shows holds ("10 / 3 = 3.33"). What is no plain sum, product or the like of
    numbers is passed over.
    """
    found = []
    text = _CALCULATOR.sub("", clean(chain))
    text = _BULLET.sub("", text)
    for match in _EQUATION.finditer(text):
        left = _evaluate(match["left"], language)
        right = read_digits(re.sub(r"[^\d.,' ]", "", match["right"]).strip(" "), language)
        if left is None or not right:
            continue
        negative = match["right"].lstrip().startswith("-")
        results = [(-value if negative else value) / (100 if match["percent"] else 1) for value in right]
        results += [-value if negative else value for value in right]
        shown = re.search(r"[.,](\d+)\s*$", match["right"])
        tolerance = Fraction(1, 2 * 10 ** len(shown[1])) if shown else Fraction(0)
        if left.denominator != 1 and not shown:
            tolerance = Fraction(0)
        found.append((match[0].strip(), any(abs(left - value) <= tolerance for value in results)))
    return found


def _evaluate(expression: str, language: str) -> Fraction | None:
    """Value of a chain of numbers and operators by the usual precedence; None if it is not one."""
    values: list[Fraction] = []
    operators: list[str] = []
    sign = 1
    for part in _PART.finditer(expression):
        if part["operator"]:
            operator = _OPERATORS.get(part["operator"].lower(), part["operator"])
            if len(operators) < len(values):
                operators.append(operator)
            elif operator == "-":
                sign = -sign
            elif operator != "+":
                return None
            continue
        if len(values) > len(operators):
            return None
        read = read_digits(part["number"].strip(), language)
        if not read:
            return None
        value, sign = sign * read[0], 1
        if expression[part.end() :].lstrip().startswith("%"):
            value /= 100
        if operators and operators[-1] in "*/":
            operator = operators.pop()
            if operator == "/" and value == 0:
                return None
            values[-1] = values[-1] * value if operator == "*" else values[-1] / value
        else:
            values.append(value)
    if not values or len(operators) != len(values) - 1:
        return None
    total = values[0]
    for operator, value in zip(operators, values[1:], strict=True):
        total = total + value if operator == "+" else total - value
    return total


def consistent(chain: str, answer: str, chain_language: str, answer_language: str) -> bool | None:
    """Whether the answer gives the chain's last result; None where either has no number.

    The last result is what stands after the chain's last equals sign, else its last number.
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
    after = chain.rsplit("=", 1)
    if len(after) == 2:
        results = find_quantities(after[1][:80], language)
        if results and results[0].values:
            return results[0].values
    quantities = [quantity for quantity in find_quantities(chain, language) if quantity.values]
    return quantities[-1].values if quantities else ()


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
