"""Fit the weights of ``eval/ranking.py``, and say how it does on authors whose texts it never saw.

    python tests/benchmarks/fit_ranking.py [--folds 10] [--write docs/grading.md]
    python tests/benchmarks/fit_ranking.py --held_out AUTHOR [AUTHOR …]     # only these, and no weights are written
    python tests/benchmarks/fit_ranking.py --check          # do the weights that are there decide as new ones would?

The texts are those of ``tests/eval/cases/``: ``prose.jsonl`` by author, and ``answers.jsonl``, with which the rules
were taught and which therefore does not say how far to trust them. The authors are parted into folds; each fold is
graded by weights fitted to all others. Then ``eval/ranking.json`` is written, fitted to all.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import torch
from markdown_tables import percent, replace_section, table
from tqdm import tqdm

from data_prep.languages import LANGUAGES
from eval import ranking
from eval.answers import evidence, matches, rule
from eval.ranking import Option, Ruled, decide
from launch.errors import InputError

CASES = Path(__file__).parents[1] / "eval" / "cases"
WEIGHTS = Path(__file__).parents[2] / "eval" / "ranking.json"
# How strongly weights are held near nought: those of words more, since there are many, those of "no answer" most.
PENALTY, WORD_PENALTY, NO_ANSWER_PENALTY = 0.25, 0.375, 0.75
SEEN = 3  # times that evidence has to occur
LEAST = 0.02  # smaller weights are not written
TAUGHT = "taught"  # the author of the texts that the rules were taught with


@dataclass(frozen=True)
class Text:
    """A response with what is to be chosen: ``right`` says of each option whether it may be the answer."""

    author: str
    language: str
    correct: bool
    by_rules: bool
    ruled: Ruled | None = None
    options: tuple[Option, ...] = ()
    right: tuple[bool, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether there is anything to learn: some options right and some wrong."""
        return any(self.right) and not all(self.right)


def read(path: Path, taught: bool) -> list[Text]:
    """The texts of a case table."""
    found = []
    for line in tqdm(path.read_text(encoding="utf-8").splitlines(), desc=path.name, leave=False):
        case = json.loads(line)
        author = TAUGHT if taught else case["author"]
        verdict = rule(case["response"], case["gold"], case["language"]).correct
        known = evidence(case["response"], case["gold"], case["language"])
        if known is None:
            found.append(Text(author, case["language"], case["correct"], verdict))
            continue
        ruled, options = known
        hits = [matches(option, case["gold"]) for option in options[:-1]]
        right = [*hits, False] if case["correct"] else [*(not hit for hit in hits), True]
        found.append(Text(author, case["language"], case["correct"], verdict, ruled, tuple(options), tuple(right)))
    return found


def fit(texts: list[Text]) -> dict[str, float]:
    """The weights under which the right options are likeliest, by L-BFGS."""
    texts = [text for text in texts if text.fits]
    evidences = [_trusted(text, option) for text in texts for option in text.options]
    seen = Counter(name for names in evidences for name in names)
    index = {name: place for place, name in enumerate(sorted(name for name, n in seen.items() if n >= SEEN))}
    places = torch.tensor(
        [(row, index[name]) for row, names in enumerate(evidences) for name in sorted(names) if name in index]
    ).T
    shape = (len(evidences), len(index))
    matrix = torch.sparse_coo_tensor(places, torch.ones(places.shape[1]), shape).coalesce()
    transposed = matrix.t().coalesce()
    group = torch.tensor([place for place, text in enumerate(texts) for _ in text.options])
    right = torch.tensor([float(hit) for text in texts for hit in text.right])
    penalties = torch.tensor([_penalty(name) for name in index])
    weights = torch.zeros(len(index), requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=150, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        with torch.no_grad():
            scores = torch.mv(matrix, weights)
            most = torch.full((len(texts),), -math.inf).scatter_reduce(0, group, scores, "amax")
            odds = torch.exp(scores - most[group])
            total = torch.zeros(len(texts)).scatter_add(0, group, odds)
            good = torch.zeros(len(texts)).scatter_add(0, group, odds * right).clamp_min(1e-30)
            slope = odds / total[group] - odds * right / good[group]
            weights.grad = torch.mv(transposed, slope) + penalties * weights
            return (total.log() - good.log()).sum() + 0.5 * (penalties * weights**2).sum()

    optimizer.step(loss)
    fitted = weights.detach().tolist()
    return {name: fitted[place] for name, place in index.items() if abs(fitted[place]) >= LEAST}


def _trusted(text: Text, option: Option) -> list[str]:
    """The evidence of an option without what the rules say where they were taught with the text."""
    return [name for name in option.evidence if text.author != TAUGHT or "rules" not in name.split(":")[0]]


def _penalty(name: str) -> float:
    kind = name.split(":")[0]
    if kind[:2] not in LANGUAGES:
        return PENALTY
    return NO_ANSWER_PENALTY if kind.endswith("no answer") else WORD_PENALTY


def graded(text: Text, weights: dict[str, float]) -> bool:
    """The verdict under these weights."""
    if text.ruled is None:
        return text.by_rules
    chosen = decide(text.ruled, list(text.options), weights)
    if chosen is None:
        return text.by_rules
    return text.right[text.options.index(chosen)] == text.correct and bool(chosen.mentions)


def held_out(texts: list[Text], authors: list[set[str]]) -> list[tuple[Text, bool]]:
    """Each text of the authors with its verdict under weights fitted without them, part by part."""
    verdicts = []
    for part in tqdm(authors, desc="parts", leave=False):
        weights = fit([text for text in texts if text.author not in part])
        verdicts += [(text, graded(text, weights)) for text in texts if text.author in part]
    return verdicts


def agreement(texts: list[Text]) -> float:
    """The share of the texts on which the weights that are there and new ones come to the same verdict."""
    new, old = fit(texts), ranking.weights()
    return sum(graded(text, new) == graded(text, old) for text in texts) / len(texts)


def report(verdicts: list[tuple[Text, bool]]) -> str:
    """A table by kind of author: right verdicts of the rules and of both, and wrong answers accepted."""
    kinds: dict[str, list[tuple[Text, bool]]] = defaultdict(list)
    for text, verdict in verdicts:
        kinds[text.author.rstrip("0123456789 ")].append((text, verdict))
    kinds["all"] = verdicts
    rows = [["texts", "", "rules alone", "with weights", "wrong accepted, rules", "with weights"]]
    for kind, rated in kinds.items():
        wrong = [(text, verdict) for text, verdict in rated if not text.correct]
        rows.append(
            [
                kind,
                f"{len(rated):,}",
                percent(sum(text.by_rules == text.correct for text, _ in rated), len(rated)),
                percent(sum(verdict == text.correct for text, verdict in rated), len(rated)),
                f"{sum(text.by_rules for text, _ in wrong)} of {len(wrong)}" if wrong else "–",
                f"{sum(verdict for _, verdict in wrong)} of {len(wrong)}" if wrong else "–",
            ]
        )
    return table(rows)


def main() -> None:
    """Fit, report, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folds", type=int, default=10, help="parts of the authors; 0 fits without a report")
    parser.add_argument(
        "--held_out", nargs="+", metavar="AUTHOR", help="report on these authors alone, fit nothing else"
    )
    parser.add_argument("--check", action="store_true", help="compare the weights that are there with new ones")
    parser.add_argument("--write", type=Path, help="a document that has <!-- ranking --> … <!-- /ranking -->")
    arguments = parser.parse_args()
    lines = (CASES / "prose.jsonl").read_text(encoding="utf-8").splitlines()
    authors = sorted({json.loads(line)["author"] for line in lines})
    if unknown := set(arguments.held_out or ()) - set(authors):
        raise InputError(f"no text is by {', '.join(sorted(unknown))}; the authors are {', '.join(authors)}")
    texts = read(CASES / "prose.jsonl", taught=False) + read(CASES / "answers.jsonl", taught=True)
    if arguments.check:
        print(f"{agreement(texts):.2%} of the texts are decided as by new weights")
        return
    parts = (
        [set(arguments.held_out)]
        if arguments.held_out
        else [set(authors[n :: arguments.folds]) for n in range(arguments.folds)]
    )
    if parts:
        text = report(held_out(texts, parts))
        print(text)
        if arguments.write:
            replace_section(arguments.write, "ranking", text)
    if not arguments.held_out:
        weights = fit(texts)
        rounded = {name: round(weight, 2) for name, weight in sorted(weights.items())}
        WEIGHTS.write_text(json.dumps(rounded, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
        print(f"{len(weights):,} weights written to {WEIGHTS.name}")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        raise SystemExit(f"error: {error}") from None
