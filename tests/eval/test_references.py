"""Rows of a build beside human references: files that do not fit together, and what a dropped row is judged by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from data_prep.llm import read_completion
from data_prep.schema import Reject, Row, make_message
from data_prep.translate import take_apart, translate_documents
from data_prep.translators import Attempt, Unit
from eval.references import dropped_hypothesis, read_references
from launch.engines.base import Completion
from launch.errors import InputError

CASES = yaml.safe_load((Path(__file__).parent / "cases" / "translations.yaml").read_text(encoding="utf-8"))
ENGLISH = "How many apples?\t7\nHow many pears?\t1,200\n"


def write(folder: Path, **files: str) -> Path:
    for language, text in files.items():
        (folder / f"mgsm_{language}.tsv").write_text(text, encoding="utf-8")
    return folder


def test_the_same_line_is_the_same_problem(tmp_path: Path) -> None:
    french = "Combien de pommes ?\t7\n Combien de poires ? \t1200\n"
    found = read_references(write(tmp_path, en=ENGLISH, fr=french, xx="not ours"))
    assert found.texts["fr"] == ["Combien de pommes ?", "Combien de poires ?"]
    assert found.lines()["en", "How many pears?"] == found.lines()["fr", "Combien de poires ?"] == 1
    assert set(found.files) == {"mgsm_en.tsv", "mgsm_fr.tsv"}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "needs mgsm_<language>.tsv for the source language and for another one; it has neither"),
        ({"en": ENGLISH}, "it has mgsm_en.tsv"),
        ({"en": ENGLISH, "fr": "Combien de pommes ?\t7\n"}, "mgsm_fr.tsv has 1 lines, mgsm_en.tsv has 2"),
        (
            {"en": ENGLISH, "fr": "Combien de pommes ?\t7\nCombien de prunes ?\t3\n"},
            "mgsm_fr.tsv, line 2: the answer is 3, and 1200 in mgsm_en.tsv",
        ),
        ({"en": ENGLISH, "fr": "Combien de pommes ?\n"}, "line 1: expected a question, a tab and a number"),
    ],
)
def test_files_that_do_not_fit_together_are_refused(files: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_references(write(tmp_path, **files))
    assert message in str(caught.value)


class Scripted:
    """Answers segments as the case says, under the real bracket contract."""

    name, attempts = "scripted", 1

    def __init__(self, completions: dict[str, str]) -> None:
        self.completions = completions

    def translate(self, units: Sequence[Unit], source: str, target: str, attempt: int) -> list[Attempt]:
        return [read_completion(unit, Completion("", self.completions[unit.text], "stop")) for unit in units]

    def close(self) -> None:
        pass


def dropped_row(case: dict[str, Any]) -> Reject:
    messages = (make_message("user", case["source"]), make_message("assistant", "4"))
    row = Row("q.en", "en", "math", messages, "q", "CC0-1.0", {"source_id": "q", "split": "test"})
    (reject,) = translate_documents([take_apart(row)], Scripted(case["completions"]), "fr", Counter())
    assert isinstance(reject, Reject)
    return reject


@pytest.mark.parametrize("case", CASES["hypotheses"], ids=lambda case: case["why"])
def test_a_dropped_row_is_judged_by_what_there_was_of_its_translation(case: dict[str, Any]) -> None:
    assert dropped_hypothesis(dropped_row(case)) == (case["hypothesis"], case["raw_output"])


def test_a_dropped_answer_leaves_the_question_as_it_was_translated() -> None:
    reject = dropped_row(CASES["hypotheses"][0])
    turn = make_message("user", "Combien de pommes y a-t-il ?")
    assert dropped_hypothesis(replace(reject, translation=(turn,))) == (turn["content"], False)
