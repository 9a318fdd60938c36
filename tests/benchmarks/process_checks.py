"""Do the process checks see a spoiled chain? Worked solutions in, the AUC of every check by kind of damage out.

    python tests/benchmarks/process_checks.py GSM8K_FILE [--chains N] [--seed N] [--write docs/grading.md]

GSM8K_FILE has lines {"question": …, "answer": "…\\n#### 72"}; the built-in sample is measured as well. A chain is
spoiled by exchanging two lines, leaving one out, changing one digit, or saying what follows a line again three times;
or the chain stays and the answer's number is changed. The AUC is the probability that a sound chain scores better than
a spoiled one, ties counting half: 0.5 sees nothing. Its interval is a percentile bootstrap over problems.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from markdown_tables import percent, replace_section, table
from tqdm import tqdm

from data_prep.sample.generate import SampleConfig, sample_rows
from eval.reasoning import ReasoningScore, score_reasoning
from launch.errors import InputError
from launch.thinking import Thinking

RESAMPLES = 1000
MUCH_REPETITION = 0.3
NO_OBJECTION = 1.0  # what a check counts as that has nothing to say


@dataclass(frozen=True)
class Chain:
    """A problem with a chain of thought and the answer after it, all in English."""

    question: str
    chain: str
    answer: str


def gsm8k(file: Path) -> list[Chain]:
    """Worked solutions without their calculator marks, answered in a sentence.

    Raises:
        InputError: the file cannot be read as GSM8K.
    """
    chains = []
    try:
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            chain, _, result = re.sub(r"<<[^>\n]*>>", "", row["answer"]).partition("####")
            chains.append(Chain(row["question"], chain.strip(), f"The answer is {result.strip()}."))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} is no file of GSM8K: {error}") from error
    return chains


def sample() -> list[Chain]:
    """The maths of the built-in sample, all kinds of problems mixed."""
    rows = sample_rows(SampleConfig(train=20, validation=4, test=6, held_out=12))
    chains = [
        Chain(row.messages[-2]["content"], row.messages[-1]["reasoning_content"], row.messages[-1]["content"])
        for row in rows
        if row.category == "math"
    ]
    random.Random(0).shuffle(chains)
    return chains


def swapped(chain: Chain, draw: random.Random) -> Chain | None:
    """Two different lines have changed places."""
    lines = chain.chain.splitlines()
    pairs = [(i, j) for i in range(len(lines)) for j in range(i) if lines[i] != lines[j]]
    if not pairs:
        return None
    i, j = draw.choice(pairs)
    lines[i], lines[j] = lines[j], lines[i]
    return replace(chain, chain="\n".join(lines))


def dropped(chain: Chain, draw: random.Random) -> Chain | None:
    """One line is missing."""
    lines = chain.chain.splitlines()
    if len(lines) < 2:
        return None
    del lines[draw.randrange(len(lines))]
    return replace(chain, chain="\n".join(lines))


def wrong_digit(chain: Chain, draw: random.Random) -> Chain | None:
    """One digit anywhere in the chain is another one."""
    places = [match.start() for match in re.finditer(r"\d", chain.chain)]
    if not places:
        return None
    return replace(chain, chain=_other_digit(chain.chain, draw.choice(places), draw))


def looped(chain: Chain, draw: random.Random) -> Chain | None:
    """From some line on everything is said three times more."""
    lines = chain.chain.splitlines()
    again = lines[draw.randrange(len(lines)) :]
    return replace(chain, chain="\n".join(lines + 3 * again))


def other_answer(chain: Chain, draw: random.Random) -> Chain | None:
    """The chain is whole, and the answer gives another number."""
    places = [match.start() for match in re.finditer(r"\d", chain.answer)]
    if not places:
        return None
    return replace(chain, answer=_other_digit(chain.answer, draw.choice(places), draw))


def _other_digit(text: str, place: int, draw: random.Random) -> str:
    digit = draw.choice([digit for digit in "0123456789" if digit != text[place]])
    return text[:place] + digit + text[place + 1 :]


DAMAGES: dict[str, Callable[[Chain, random.Random], Chain | None]] = {
    "lines swapped": swapped,
    "line dropped": dropped,
    "wrong digit": wrong_digit,
    "loop": looped,
    "other answer": other_answer,
}


def _share(part: int, whole: int) -> float:
    return part / whole if whole else NO_OBJECTION


def _objections(score: ReasoningScore) -> int:
    """How many of the checks have something to say against a chain."""
    return sum(
        (
            score.equations_right < score.equations,
            score.operands_given < score.operands,
            score.consistent is False,
            (score.repetition or 0.0) > MUCH_REPETITION,
        )
    )


CHECKS: dict[str, Callable[[ReasoningScore], float]] = {
    "equations that hold": lambda score: _share(score.equations_right, score.equations),
    "numbers given": lambda score: _share(score.operands_given, score.operands),
    "answer follows from the chain": lambda score: NO_OBJECTION if score.consistent is None else score.consistent,
    "no repetition": lambda score: -(score.repetition or 0.0),
    "no flips": lambda score: -score.flips,
    "shorter chain": lambda score: -score.chain_characters,
    "the first four together": lambda score: -_objections(score),
}


def scored(chain: Chain) -> list[float]:
    """What every check says of a chain, more being better."""
    score = score_reasoning(Thinking("closed", chain.chain, chain.answer), "en", question=chain.question)
    return [float(check(score)) for check in CHECKS.values()]


def auc(sound: np.ndarray, spoiled: np.ndarray, seed: int) -> tuple[float, float, float]:
    """Probability that a sound value is above a spoiled one, ties counting half, with its 95 % interval."""
    n = len(sound)
    above = (sound[:, None] > spoiled[None, :]) + 0.5 * (sound[:, None] == spoiled[None, :])
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(n, np.full(n, 1 / n), size=RESAMPLES).astype(np.float32)
    values = ((drawn @ above.astype(np.float32)) * drawn).sum(axis=1) / n**2
    low, high = np.quantile(values, [0.025, 0.975])
    return float(above.mean()), float(low), float(high)


def measured(chains: list[Chain], seed: int) -> tuple[list[list[str]], list[list[str]]]:
    """The table of AUCs, and that of what the checks say of the sound chains."""
    sound = np.array([scored(chain) for chain in tqdm(chains, desc="sound chains")])
    columns, counts = [], []
    for name, damage in DAMAGES.items():
        draw = random.Random(f"{seed} {name}")
        spoiled = [damage(chain, draw) for chain in chains]
        kept = [index for index, chain in enumerate(spoiled) if chain is not None]
        values = np.array([scored(spoiled[index]) for index in tqdm(kept, desc=name)])  # type: ignore[arg-type]
        columns.append([auc(sound[kept][:, k], values[:, k], seed) for k in range(len(CHECKS))])
        counts.append(len(kept))
    rows = [["", *DAMAGES]]
    for k, name in enumerate(CHECKS):
        rows.append([name, *(f"{value:.2f} [{low:.2f}, {high:.2f}]" for value, low, high in (c[k] for c in columns))])
    rows.append(["chains", *map(str, counts)])
    return rows, _on_sound(chains)


def _on_sound(chains: list[Chain]) -> list[list[str]]:
    scores = [
        score_reasoning(Thinking("closed", chain.chain, chain.answer), "en", question=chain.question)
        for chain in chains
    ]
    told = [score.consistent for score in scores if score.consistent is not None]
    return [
        ["on the sound chains", "share", "of"],
        _counted("equations that hold", sum(s.equations_right for s in scores), sum(s.equations for s in scores)),
        _counted("numbers given", sum(s.operands_given for s in scores), sum(s.operands for s in scores)),
        _counted("answer follows from the chain", sum(told), len(told)),
        _counted(
            f"no repetition above {MUCH_REPETITION:.0%}",
            sum((score.repetition or 0.0) <= MUCH_REPETITION for score in scores),
            len(scores),
        ),
        _counted("no flips", sum(not score.flips for score in scores), len(scores)),
    ]


def _counted(name: str, part: int, whole: int) -> list[str]:
    return [name, percent(part, whole), f"{whole:,}"]


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description="Do the process checks see a spoiled chain?")
    parser.add_argument("gsm8k", type=Path, metavar="GSM8K_FILE")
    parser.add_argument("--chains", type=int, help="measure only the first N of each source")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables into this document")
    arguments = parser.parse_args()
    parts = []
    for title, chains in (("GSM8K, worked solutions", gsm8k(arguments.gsm8k)), ("The built-in sample", sample())):
        aucs, on_sound = measured(chains[: arguments.chains], arguments.seed)
        parts.append(f"{title}:\n\n{table(aucs)}\n\n{table(on_sound)}")
    text = "\n\n".join(parts)
    print(text)
    if arguments.write is not None:
        replace_section(arguments.write, "process_checks", text)


if __name__ == "__main__":
    main()
