"""Does the grader agree with the labels of English GSM8K answers? Files in, agreement and the disagreements out.

    python tests/benchmarks/english_answers.py GSM8K_FILE [--labelled FILE] [--list] [--write docs/grading.md]

GSM8K_FILE has the worked solutions ({"question": …, "answer": "…\\n#### 72"}). Each is written out as an answer in the
forms that models use, once with its own result and once with another number: the first has to be accepted, the second
not. FILE has model outputs with published labels, in the form of ``example_model_solutions.jsonl`` of
github.com/openai/grade-school-math: {"ground_truth": "…A: 18", "<model>": {"solution": …, "is_correct": …}, …}.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markdown_tables import percent, replace_section, table

from data_prep.schema import storable
from eval.answers import grade
from launch.errors import InputError

FORMS = {
    "#### N": "{chain}\n#### {n}",
    "A: N": "{chain}\nA: {n}",
    "The answer is N.": "{chain}\nThe answer is {n}.",
    "**Answer:** N": "{chain}\n\n**Answer:** {n}",
    "boxed": "{chain}\n\nThe final answer is $\\boxed{{{n}}}$.",
    "Final answer: **$N**": "{chain}\n\n### Final Answer: **${n}**",
    "So in total N units.": "{chain}\nSo in total it is {n} units.",
    "Therefore, … = N.": "{chain}\nTherefore, the total is {n}.",
    "N alone": "{n}",
}
ALONE = "the worked solution alone"  # without its result line: its last sentence has to say the result


@dataclass(frozen=True)
class Answer:
    """An answer with its gold, whether it is right, and what it belongs to in the table."""

    group: str
    response: str
    gold: str
    right: bool


def renderings(file: Path, seed: int = 0) -> list[Answer]:
    """Every worked solution alone, and in every form with its own result and with another number.

    Raises:
        InputError: the file cannot be read as GSM8K.
    """
    draw, answers = random.Random(seed), []
    for row in _rows(file):
        chain, _, gold = re.sub(r"<<[^>\n]*>>", "", row["answer"]).partition("####")
        gold = gold.strip().replace(",", "")
        answers.append(Answer(ALONE, chain.strip(), gold, True))
        for name, form in FORMS.items():
            for number, right in ((gold, True), (_another(gold, draw), False)):
                written = f"{int(number):,}" if number.lstrip("-").isdigit() and draw.random() < 0.5 else number
                answers.append(Answer(name, form.format(chain=chain.strip(), n=written), gold, right))
    return answers


def _another(gold: str, draw: random.Random) -> str:
    """A number near the gold one: a digit more, a digit less, or another digit."""
    places = [place for place, character in enumerate(gold) if character.isdigit()]
    place = draw.choice(places)
    digit = draw.choice([digit for digit in "123456789" if digit != gold[place]])
    return draw.choice([gold[:place] + digit + gold[place + 1 :], gold + digit, digit + gold.lstrip("-")])


def labelled(file: Path) -> list[Answer]:
    """Model outputs with their published labels.

    Raises:
        InputError: the file has another form.
    """
    answers = []
    for row in _rows(file):
        gold = row["ground_truth"].rpartition("A:")[2].strip().replace(",", "")
        for name, output in row.items():
            if isinstance(output, dict):
                solution = re.sub(r"<<[^>\n]*>>", "", output["solution"])
                answers.append(Answer(f"published labels, {name}", solution, gold, bool(output["is_correct"])))
    return answers


def _rows(file: Path) -> list[dict[str, Any]]:
    try:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read: {error}") from error
    if not all(isinstance(row, dict) and ("answer" in row or "ground_truth" in row) for row in rows):
        raise InputError(f"{file} is neither GSM8K nor a file of labelled outputs")
    return rows


def main() -> None:
    """Grade all answers and print how often the verdict is the label."""
    parser = argparse.ArgumentParser(description="Does the grader agree with the labels of English GSM8K answers?")
    parser.add_argument("gsm8k", type=Path, metavar="GSM8K_FILE")
    parser.add_argument("--labelled", type=Path, metavar="FILE", help="model outputs with published labels")
    parser.add_argument("--list", action="store_true", help="print every disagreement")
    parser.add_argument("--write", type=Path, metavar="DOCUMENT", help="put the table into this document")
    arguments = parser.parse_args()
    answers = renderings(arguments.gsm8k) + (labelled(arguments.labelled) if arguments.labelled else [])
    groups: dict[str, list[tuple[Answer, bool]]] = {}
    for answer in answers:
        groups.setdefault(answer.group, []).append((answer, grade(answer.response, answer.gold, "en").correct))
    groups["all but those alone"] = [pair for name, pairs in groups.items() if name != ALONE for pair in pairs]
    rows = [["answers", "verdict as labelled", "wrong ones accepted", "of"]]
    for name, pairs in groups.items():
        wrong = [accepted for answer, accepted in pairs if not answer.right]
        agreed = sum(accepted == answer.right for answer, accepted in pairs)
        rows.append([name, percent(agreed, len(pairs), 2), percent(sum(wrong), len(wrong), 2), f"{len(pairs):,}"])
    print(table(rows))
    if arguments.list:
        listed = [pair for name, pairs in groups.items() if not name.startswith("all but") for pair in pairs]
        for answer, accepted in listed:
            if accepted != answer.right:
                verdict = "accepted" if accepted else "refused"
                print(storable(f"{answer.group}: gold {answer.gold}, {verdict}: …{answer.response[-160:]!r}"))
    if arguments.write is not None:
        replace_section(arguments.write, "english_answers", table(rows))


if __name__ == "__main__":
    main()
