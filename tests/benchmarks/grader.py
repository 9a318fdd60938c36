"""Does the grader hold on any text, and how fast is it? Seeded strings and long answers in, failures and times out.

    python tests/benchmarks/grader.py [--strings 100000] [--gsm8k FILE] [--profile] [--write docs/grading.md]

Three parts (``--parts strings long speed``), each of processor time on one core. Strings made at random and from
spoiled answers of the case table are graded and must neither raise nor take long. Answers of up to a megabyte must
take time in proportion to their length, and a second at most. The answers of the case table, and the worked solutions
of GSM8K where a file is given, say how many a second are graded. The exit status is 1 where something does not hold.
A string that hangs ends the run after ``HANG_SECONDS``, its number and the place in ``HANG_LOG``; ``--first N
--strings 1`` makes string N again.
"""

from __future__ import annotations

import argparse
import cProfile
import faulthandler
import json
import math
import pstats
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from markdown_tables import replace_section, table
from tqdm import tqdm

from data_prep.languages import LANGUAGES
from eval.answers import grade
from eval.golds import read_gold

PARTS = ("strings", "long", "speed")
CASES = Path(__file__).parents[1] / "eval" / "cases" / "answers.jsonl"
HANG_SECONDS = 600  # by the clock, on a machine that may be busy
HANG_LOG = Path(tempfile.gettempdir()) / "grader_benchmark.log"
MOST_SECONDS = 1.0  # for one string, and for a megabyte
SPEED_SECONDS = 3.0  # for how long speed is measured
SYMBOLIC_EVERY = 1000  # one string in so many has a symbolic gold, which another process compares

FRAGMENTS = [
    "\\boxed{", "}", "{", "\\frac{1}{0}", "\\frac", "\\text{", "1/0", "the answer is ", "Réponse : ", "答えは", "は",
    "no, ", "wait", "いや", "**", "$", "(", ")", "[", "=", " or ", "か", "万", "分の", "^", "1e999", "10^99999", "%",
    ":", "15h", "<think>", "</think>", "\n", ". ", "。", "?", "-", "±", "½", "not ", "ではない", "between ", "\x00",
    "\ud800", "1", "7,", ".5", "１", "²", "Antwort", "la respuesta es", "twenty-", "million ", "####", "\u202f", "'",
]  # fmt: skip
LONG = {
    "boxes that never close": "\\boxed{", "digits": "1", "announcements": "the answer is ", "text commands": "\\text{",
    "parentheses": "(", "bold": "**", "corrections": "no, 1 ", "alternatives": "1 or ", "Japanese nouns": "答え",
    "lines": "\n", "quotes": '"', "number words": "twenty ", "thoughts": "<think>", "equations": "1=",
    "spaces": " ", "sentences": "It is 18. ", "groups": "1,000", "fractions": "\\frac{1}{2}", "boxes": "\\boxed{1} ",
    "questions": "How many 3? ", "kanji numerals": "二十", "hashes": "#### 1\n", "letters": "(A) ", "letter": "a",
}  # fmt: skip


def cases() -> list[tuple[str, str, str]]:
    """Response, gold and language of the case table."""
    rows = map(json.loads, CASES.read_text(encoding="utf-8").splitlines())
    return [(row["response"], row["gold"], row["language"]) for row in rows]


def _symbolic(gold: str) -> bool:
    return read_gold(gold).kind == "symbolic"


def string(index: int, table_cases: list[tuple[str, str, str]], seed: int) -> tuple[str, str, str]:
    """The string with this number, its gold and language: fragments, any characters, or a spoiled answer."""
    draw = random.Random(f"{seed} {index}")
    wants_symbolic = index % SYMBOLIC_EVERY == SYMBOLIC_EVERY - 1
    gold = draw.choice([gold for _, gold, _ in table_cases if _symbolic(gold) == wants_symbolic])
    language = draw.choice(sorted(LANGUAGES))
    kind = draw.randrange(3)
    length = int(2 ** draw.uniform(0, 11))
    if kind == 0:
        pieces = draw.choices(FRAGMENTS, k=max(1, length // 8))
        return "".join(pieces), gold, language
    if kind == 1:
        top = draw.choice((0x80, 0x250, 0x3100, 0xFFFF, 0x10FFFF))
        return "".join(chr(draw.randrange(top)) for _ in range(length)), gold, language
    return _spoiled(draw, [response for response, _, _ in table_cases]), gold, language


def _spoiled(draw: random.Random, responses: list[str]) -> str:
    text = draw.choice(responses)
    for _ in range(draw.randint(1, 8)):
        i, j = sorted((draw.randint(0, len(text)), draw.randint(0, len(text))))
        piece = draw.choice((text[i:j], draw.choice(FRAGMENTS), draw.choice(responses), str(draw.randint(0, 10**6))))
        text = draw.choice((text[:i] + text[j:], text[:i] + piece + text[i:], text[:i] + 3 * piece + text[j:]))
        text = text[:4000]
    return text


def fuzz(strings: int, seed: int, first: int) -> tuple[list[str], list[tuple[float, int, int]], float]:
    """Grade strings; what failed, the slowest (seconds, number, length), and the seconds for all."""
    failures: list[str] = []
    slowest: list[tuple[float, int, int]] = []
    table_cases, total = cases(), 0.0
    with HANG_LOG.open("w", buffering=1) as last:
        for index in tqdm(range(first, first + strings), desc="strings"):
            response, gold, language = string(index, table_cases, seed)
            last.seek(0)
            last.write(f"string {index} of seed {seed}\n")
            faulthandler.dump_traceback_later(
                HANG_SECONDS, exit=True, file=last
            )  # a thread could not: re keeps the GIL
            started = time.process_time()
            try:
                graded = grade(response, gold, language)
                if not graded.method or (graded.correct and graded.extracted is None):
                    failures.append(f"string {index}: {graded}")
            except Exception as error:
                failures.append(f"string {index}: {type(error).__name__}: {error}")
            spent = time.process_time() - started
            total += spent
            slowest = sorted([*slowest, (spent, index, len(response))])[-3:]
            if spent > MOST_SECONDS:
                failures.append(f"string {index}: {spent:.1f} s for {len(response)} characters")
        faulthandler.cancel_dump_traceback_later()
    return failures, slowest, total


def lengths() -> Iterator[tuple[str, float, float]]:
    """Kind of long answer, its seconds for a megabyte, and the power of the length that the time grows with."""
    for name, piece in tqdm(LONG.items(), desc="long answers"):
        worst, grown = 0.0, 0.0
        for gold, language in (("12345", "en"), ("B", "ja"), ("Paris", "fr")):
            quarter, whole = (
                _seconds(lambda n=n: grade(piece * (n // len(piece)), gold, language))  # noqa: B023
                for n in (250_000, 1_000_000)
            )
            if whole > worst:
                worst, grown = whole, math.log(max(whole, 1e-6) / max(quarter, 1e-6), 4)
        yield name, worst, grown


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def speed(answers: list[tuple[str, str, str]]) -> float:
    """How many answers are graded in a second of processor time; symbolic golds are left out."""
    answers = [answer for answer in answers if not _symbolic(answer[1])]
    for answer in answers:
        grade(*answer)  # patterns are compiled, word lists are read
    started, done = time.process_time(), 0
    while time.process_time() - started < SPEED_SECONDS:
        for answer in answers:
            grade(*answer)
        done += len(answers)
    return done / (time.process_time() - started)


def worked_solutions(file: Path) -> list[tuple[str, str, str]]:
    """GSM8K's solutions as answers: the calculation, then the result in a sentence."""
    answers = []
    for row in map(json.loads, file.read_text(encoding="utf-8").splitlines()):
        chain, _, gold = re.sub(r"<<[^>\n]*>>", "", row["answer"]).partition("####")
        answers.append((f"{chain.strip()}\nThe answer is {gold.strip()}.", gold.strip(), "en"))
    return answers


def main() -> None:
    """Run all parts and print the tables."""
    parser = argparse.ArgumentParser(description="Does the grader hold on any text, and how fast is it?")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--strings", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first string")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gsm8k", type=Path, help="also measure speed on the worked solutions of this file")
    parser.add_argument("--profile", action="store_true", help="also say where the time goes")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables into this document")
    arguments = parser.parse_args()
    rows: list[list[str]] = [["", "result"]]
    failures: list[str] = []
    if "strings" in arguments.parts:
        failures, slowest, total = fuzz(arguments.strings, arguments.seed, arguments.first)
        seconds, index, length = slowest[-1]
        rows += [
            ["strings graded", f"{arguments.strings:,}"],
            ["that failed", f"{len(failures)}"],
            ["the slowest", f"{seconds:.3f} s (number {index}, {length:,} characters)"],
            ["strings a second", f"{arguments.strings / max(total, 1e-9):,.0f}"],
        ]
    if "long" in arguments.parts:
        long = sorted(lengths(), key=lambda row: -row[1])
        rows += [[f"1 MB of {name}", f"{whole:.2f} s, time ∝ length^{grown:.1f}"] for name, whole, grown in long[:5]]
        failures += [f"1 MB of {name}: {whole:.1f} s" for name, whole, _ in long if whole > MOST_SECONDS]
    if "speed" in arguments.parts:
        corpora = {"the case table": cases()}
        if arguments.gsm8k is not None:
            corpora["GSM8K's worked solutions"] = worked_solutions(arguments.gsm8k)
        for name, answers in corpora.items():
            rows.append([f"answers a second, {name}", f"{speed(answers):,.0f}"])
            if arguments.profile:
                profiler = cProfile.Profile()
                profiler.runcall(lambda listed=answers: [grade(*answer) for answer in listed])
                pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(15)
    text = table(rows)
    print(text)
    if arguments.write is not None:
        replace_section(arguments.write, "grader", text)
    if failures:
        print("\n".join(failures), file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
