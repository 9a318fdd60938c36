"""The programs behind the numbers of docs/grading.md do what they say, on a small share of their work."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SOLUTIONS = [
    {
        "question": f"Tom has {a} apples and buys {b} more. He gives {c} away. How many apples does Tom have?",
        "answer": f"Tom has {a} + {b} = <<{a}+{b}={a + b}>>{a + b} apples.\nHe keeps {a + b} - {c} = "
        f"<<{a + b}-{c}={a + b - c}>>{a + b - c} of them.\n#### {a + b - c}",
    }
    for a, b, c in ((20 + 7 * k, 31 + 3 * k, 5 + k) for k in range(20))
]


def run(program: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / program), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=500)


def cells(table: str) -> dict[str, list[str]]:
    """The rows of a Markdown table by their first cell."""
    lines = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("|")]
    return {line[0]: line[1:] for line in lines}


def test_strings_of_any_kind_are_graded() -> None:
    finished = run("grader.py", "--parts", "strings", "--strings", "3000")
    assert finished.returncode == 0, finished.stderr[-2000:]
    assert cells(finished.stdout)["strings graded"] == ["3,000"]
    assert cells(finished.stdout)["that failed"] == ["0"]


def test_spoiled_chains_are_told_from_sound_ones(tmp_path: Path) -> None:
    file, document = tmp_path / "gsm8k.jsonl", tmp_path / "document.md"
    file.write_text("".join(json.dumps(row) + "\n" for row in SOLUTIONS), encoding="utf-8")
    document.write_text("before\n<!-- process_checks -->old<!-- /process_checks -->\nafter\n", encoding="utf-8")
    finished = run("process_checks.py", str(file), "--chains", "20", "--write", str(document))
    assert finished.returncode == 0, finished.stderr[-2000:]
    assert document.read_text(encoding="utf-8").count(finished.stdout.strip()) == 1
    solutions = finished.stdout.partition("| on the sound chains")[0]
    damages = [name.strip() for name in solutions.splitlines()[2].strip("|").split("|")[1:]]
    rows = cells(solutions)

    def auc(check: str, damage: str) -> float:
        return float(rows[check][damages.index(damage)].split(" ")[0])

    assert auc("no repetition", "loop") == 1
    assert auc("numbers given", "lines swapped") == 1
    assert auc("answer follows from the chain", "other answer") == 1
    assert auc("equations that hold", "lines swapped") == 0.5, "whole lines keep their sums"
    assert auc("equations that hold", "wrong digit") > 0.7


def test_graders_are_held_against_the_same_table(tmp_path: Path) -> None:
    cases = [
        {"language": "de", "response": "Die Antwort ist 70.000.", "gold": "70000", "correct": True},
        {"language": "de", "response": "Antwort: 70000", "gold": "70000", "correct": True},
        {"language": "de", "response": r"Also \boxed{70000}.", "gold": "70000", "correct": True},
        {"language": "de", "response": "Antwort: 7", "gold": "70000", "correct": False},
    ]
    file = tmp_path / "cases.jsonl"
    file.write_text("".join(json.dumps(case) + "\n" for case in cases), encoding="utf-8")
    finished = run("graders.py", "--cases", str(file))
    assert finished.returncode == 0, finished.stderr[-2000:]
    all_cases = cells(finished.stdout.partition("| right verdicts where")[0])
    assert all_cases["this repository"][1] == "100.0 %"
    assert all_cases["simple-evals, MGSM"][1] == "50.0 %", "it needs its own word, and a number without points"
    assert all_cases["NeMo-Skills, maths"][1] == "50.0 %", "it needs a box"
    assert {row[-2] for name, row in all_cases.items() if name not in ("grader", "---")} == {"0.0 %"}


@pytest.mark.parametrize("changed", [False, True])
def test_another_grading_is_shown_beside_the_one_before(
    evaluate: Callable[..., Path], tmp_path: Path, changed: bool
) -> None:
    folder = evaluate("right")
    scores = folder / "scores" / "apples.fr.jsonl"
    if changed:
        scores.write_text(scores.read_text(encoding="utf-8").replace('"correct": true', '"correct": false', 3))
    written = scores.read_bytes()
    finished = run("rescored.py", str(folder), "--list", str(tmp_path / "list.md"), "--changed_only")
    assert finished.returncode == 0, finished.stderr[-2000:]
    assert cells(finished.stdout)["right, apples, fr"] == [
        "75.0 %" if changed else "100.0 %", "100.0 %", "3" if changed else "0", "0", "0", "12",
    ]  # fmt: skip
    assert (tmp_path / "list.md").read_text(encoding="utf-8").count("Tom a maintenant") == (3 if changed else 0)
    assert scores.read_bytes() == written, "the folder stays as it was"


@pytest.mark.slow
def test_weights_fitted_without_an_author_read_that_author_better_than_the_rules_do() -> None:
    finished = run("fit_ranking.py", "--held_out", "typical 4", "everyday 5", "fluent 2")
    assert finished.returncode == 0, finished.stderr[-2000:]
    rules, weighed = (float(cell.removesuffix(" %")) for cell in cells(finished.stdout)["all"][1:3])
    assert weighed > rules + 5


@pytest.mark.slow
def test_the_weights_are_those_of_the_texts() -> None:
    """Fitted anew they decide alike; not the same to the digit, since that depends on the machine."""
    finished = run("fit_ranking.py", "--check")
    assert finished.returncode == 0, finished.stderr[-2000:]
    assert float(finished.stdout.partition("%")[0]) >= 99.5


def test_an_author_who_wrote_nothing_is_named() -> None:
    finished = run("fit_ranking.py", "--held_out", "nobody 1")
    assert finished.returncode == 1
    assert "no text is by nobody 1; the authors are" in finished.stderr
