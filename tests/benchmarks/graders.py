"""How graders that people use do on the case table: right verdicts by language, and wrong answers accepted.

    python tests/benchmarks/graders.py [--cases FILE] [--write docs/grading.md [--section NAME]]

math-verify is the installed package, lm-eval too where it is installed (``pip install --no-deps lm-eval``; else its
rows are left out and said to be). simple-evals and NeMo-Skills are no packages of PyPI: their rules are written here
from how they are published, and say so in the table.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from latex2sympy2_extended import NormalizationConfig, normalize_latex
from markdown_tables import percent, replace_section, table
from math_verify import LatexExtractionConfig, StringExtractionConfig, parse, verify
from tqdm import tqdm

from data_prep.languages import LANGUAGES
from eval.answers import grade
from launch.errors import InputError

CASES = Path(__file__).parents[1] / "eval" / "cases" / "answers.jsonl"
# The word that simple-evals asks for before the answer. MGSM has no Italian: that word is ours.
PREFIXES = {"en": "Answer", "fr": "Réponse", "es": "Respuesta", "de": "Antwort", "it": "Risposta", "ja": "答え"}

Rule = Callable[[str, str, str], bool]


@dataclass(frozen=True)
class Case:
    """A response with its gold answer, and whether a careful reader accepts it."""

    language: str
    response: str
    gold: str
    correct: bool


@dataclass(frozen=True)
class Grader:
    """A grader by name; ``how``: the package that is run, or that its rule was read and written again."""

    name: str
    how: str
    accepts: Rule


def ours(response: str, gold: str, language: str) -> bool:
    """The grader of this repository."""
    return grade(response, gold, language).correct


def math_verify_default(response: str, gold: str, language: str) -> bool:
    """math-verify as it comes; choice letters are compared as letters, which it leaves to its user."""
    if re.fullmatch("[A-J]", gold):
        letters = [StringExtractionConfig(strings=tuple("ABCDEFGHIJ"))]
        return bool(verify(parse(gold, letters), parse(response, letters)))
    return bool(verify(parse(gold), parse(response)))


def simple_evals(response: str, gold: str, language: str) -> bool:
    """The rule of simple-evals for MGSM, from its definition.

    What follows the last occurrence of the language's answer word is searched for numbers, commas taken out; the last
    one, without zeros that end its decimals, has to be the gold answer character for character.
    """
    _, word, after = response.rpartition(PREFIXES[language])
    numbers = re.findall(r"\d+(?:\.\d*)?", after.replace(",", "")) if word else []
    if not numbers:
        return False
    number = numbers[-1].rstrip(".")
    if "." in number:
        number = number.rstrip("0").rstrip(".")
    return number == gold.replace(",", "")


def nemo_skills(response: str, gold: str, language: str) -> bool:
    """The rule of NeMo-Skills for maths, from its definition.

    Only the last box counts. Percent signs and the point of a sentence are taken off; plain words and digits have to
    be equal but for spaces, anything else is compared by math-verify as LaTeX.
    """
    answer = _last_box(response)
    if answer is None:
        return False
    if re.fullmatch("[A-J]", gold.strip()):
        letters = [StringExtractionConfig(strings=tuple("ABCDEFGHIJ"))]
        if verify(parse(gold, letters), parse(answer, letters)):
            return True
    gold, answer = (re.sub(r"^(\d+\.?\d*)\\?%$", r"\1", text).rstrip(".\\") for text in (gold, answer))
    plain = [normalize_latex(text, NormalizationConfig()).replace(" ", "") for text in (gold, answer)]
    literal = all(re.fullmatch(r"[A-Za-z,]+|\d+", text) for text in plain)
    if literal or plain[0] == plain[1]:
        return plain[0] == plain[1]
    latex = [LatexExtractionConfig()]
    return bool(verify(parse(f"${gold}$", latex), parse(f"${answer}$", latex)))


def _last_box(response: str) -> str | None:
    start = response.rfind("\\boxed{")
    depth = 0
    for position in range(start, len(response) if start >= 0 else start):
        depth += {"{": 1, "}": -1}.get(response[position], 0)
        if response[position] == "}" and depth == 0:
            return response[start + len("\\boxed{") : position]
    return None


def lm_eval_graders() -> list[Grader]:
    """lm-eval's flexible-extract as gsm8k_cot and mgsm_native_cot set it; empty where it is not installed."""
    try:
        from lm_eval.api.metrics import exact_match_hf_evaluate
        from lm_eval.filters.extraction import RegexFilter
    except ImportError:
        return []
    flexible = RegexFilter(r"(-?[$0-9.,]{2,})|(-?[0-9]+)", group_select=-1)
    how = f"lm-eval {version('lm-eval')}"

    def rule(**options: object) -> Rule:
        def accepts(response: str, gold: str, language: str) -> bool:
            extracted = flexible.apply([[response]], [{}])[0]
            return bool(exact_match_hf_evaluate(extracted, [gold], ignore_case=True, **options)["exact_match"])

        return accepts

    return [
        Grader("lm-eval, flexible-extract of gsm8k", how, rule(regexes_to_ignore=[",", r"\$", "(?s).*#### ", r"\.$"])),
        Grader("lm-eval, flexible-extract of mgsm", how, rule(ignore_punctuation=True)),
    ]


def graders() -> list[Grader]:
    """Every grader that can be run here, ours first."""
    return [
        Grader("this repository", "run", ours),
        Grader("math-verify", f"math-verify {version('math-verify')}", math_verify_default),
        *lm_eval_graders(),
        Grader("simple-evals, MGSM", "its rule, written again", simple_evals),
        Grader("NeMo-Skills, maths", "its rule, written again", nemo_skills),
        Grader("one that accepts nothing", "to compare with", lambda response, gold, language: False),
    ]


def read_cases(path: Path) -> list[Case]:
    """The case table.

    Raises:
        InputError: it cannot be read.
    """
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return [Case(row["language"], row["response"], row["gold"], row["correct"]) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no case table: {error}") from error


def verdicts(grader: Grader, cases: list[Case]) -> list[bool]:
    """What a grader accepts; what makes it raise it does not accept."""
    accepted = []
    for case in tqdm(cases, desc=grader.name):
        try:
            accepted.append(grader.accepts(case.response, case.gold, case.language))
        except Exception:  # a grader that raises has not accepted the answer
            accepted.append(False)
    return accepted


def tables(cases: list[Case], accepted: dict[str, list[bool]], how: dict[str, str]) -> str:
    """Both tables as Markdown: all cases by language, and parts of the table that suit single graders."""
    languages = [code for code in LANGUAGES if any(case.language == code for case in cases)]
    wrong = [index for index, case in enumerate(cases) if not case.correct]
    right = [index for index, case in enumerate(cases) if case.correct]
    every = [["grader", "how", "right verdicts", *languages, "wrong accepted", "right refused"]]
    parts = {
        "gold is a number": [i for i, c in enumerate(cases) if re.fullmatch(r"-?[\d.]+", c.gold)],
        "and boxed": [
            i for i, c in enumerate(cases) if re.fullmatch(r"-?[\d.]+", c.gold) and "\\boxed{" in c.response
        ],
        "and after the answer word": [
            i for i, c in enumerate(cases) if re.fullmatch(r"-?[\d.]+", c.gold) and PREFIXES[c.language] in c.response
        ],
    }
    some = [["right verdicts where the", *(f"{name} ({len(indices)})" for name, indices in parts.items())]]
    for name, verdict in accepted.items():
        agreed = [ok == case.correct for ok, case in zip(verdict, cases, strict=True)]
        by_language = [[agreed[i] for i, case in enumerate(cases) if case.language == code] for code in languages]
        every.append(
            [
                name,
                how[name],
                percent(sum(agreed), len(agreed)),
                *(percent(sum(part), len(part), 0) for part in by_language),
                percent(sum(verdict[i] for i in wrong), len(wrong)),
                percent(sum(not verdict[i] for i in right), len(right)),
            ]
        )
        some.append([name, *(percent(sum(agreed[i] for i in indices), len(indices)) for indices in parts.values())])
    counted = f"{len(cases)} cases, {len(wrong)} of them answers that must not be accepted."
    return f"{counted}\n\n{table(every)}\n\n{table(some)}"


def main() -> None:
    """Run every grader and print the tables."""
    parser = argparse.ArgumentParser(description="How graders that people use do on the case table.")
    parser.add_argument("--cases", type=Path, default=CASES)
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables into this document")
    parser.add_argument("--section", default="graders", help="which table of the document")
    arguments = parser.parse_args()
    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    cases = read_cases(arguments.cases)
    run = graders()
    text = tables(cases, {g.name: verdicts(g, cases) for g in run}, {g.name: g.how for g in run})
    if not any(grader.name.startswith("lm-eval") for grader in run):
        text += "\n\nlm-eval was not installed where this table was made; its rows are left out."
    print(text)
    if arguments.write is not None:
        replace_section(arguments.write, arguments.section, text)


if __name__ == "__main__":
    main()
