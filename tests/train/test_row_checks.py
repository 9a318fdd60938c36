"""What is wrong with a row is found in what would be trained of it, and has a name (cases/row_faults.yaml)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from datasets import Dataset
from transformers import PreTrainedTokenizerFast

from data_prep.schema import Row, make_message
from train.examples import EXAMPLE_FEATURES, Encoder
from train.prepared_report import bad_rows_message, describe, make_report
from train.rendering import end_of_turn_ids
from train.row_checks import FAULTS, find_markers

CASES = yaml.safe_load((Path(__file__).parent / "cases" / "row_faults.yaml").read_text(encoding="utf-8"))
TEMPLATES = Path(__file__).parents[2] / "train" / "templates"


def encoder(template: str, max_length: int | None = None) -> Encoder:
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(Path(__file__).parent / "cases" / "tokenizer.json"),
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="<|im_end|>" if template.startswith("smollm2") else "<SPECIAL_12>",
    )
    tokenizer.chat_template = CASES["templates"].get(template) or (TEMPLATES / f"{template}.jinja").read_text()
    return Encoder(tokenizer, find_markers(tokenizer, end_of_turn_ids(tokenizer)), None, max_length)


def row(*messages: list[str], name: str = "a.en") -> Row:
    turns = tuple(make_message(*message) for message in messages)
    return Row(name, "en", "math", turns, source="test", license="CC0-1.0")


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["name"])
def test_faults(case: dict[str, Any]) -> None:
    lines = encoder(case["template"], case.get("max_length")).row(row(*case["messages"]))
    assert lines[-1]["fault"] == case["fault"], lines[-1]["detail"]
    assert bool(lines[-1]["input_ids"]) == (case["fault"] is None)
    assert (lines[-1]["detail"] is None) == (case["fault"] is None)


def test_there_is_a_case_for_every_fault() -> None:
    assert {case["fault"] for case in CASES["cases"]} == {None, *FAULTS}


def test_one_bad_turn_does_not_take_the_others_with_it() -> None:
    turns = [["user", "a"], ["assistant", "b"], ["user", "c"], ["assistant", "<think>d</think>e"]]
    first, second = encoder("smollm2_thinking").row(row(*turns))
    assert (first["turns"], first["fault"]) == ([1], None)
    assert (second["turns"], second["fault"]) == ([3], "double_think")


def test_a_completion_that_is_cut_is_counted_and_has_no_end() -> None:
    whole, cut = (
        encoder("nemotron", length).row(row(["user", "Why?"], ["assistant", "So."]))[0] for length in (99, 18)
    )
    assert not whole["cut_by_max_length"]
    assert cut["cut_by_max_length"]
    assert cut["input_ids"] == whole["input_ids"][:18]
    assert 0 < cut["learned_tokens"] < whole["learned_tokens"]


@pytest.fixture(scope="module")
def examples() -> Dataset:
    """Ten rows, three of them bad for two reasons."""
    made = encoder("nemotron")
    answers = ["So."] * 7 + ["<think>x</think>So.", "<think>y</think>So.", " "]
    lines = [made.row(row(["user", "Why?"], ["assistant", a], name=f"{i}.en"))[0] for i, a in enumerate(answers)]
    return Dataset.from_list(lines, features=EXAMPLE_FEATURES)


def test_bad_rows_are_counted_by_reason_and_named(examples: Dataset) -> None:
    report = make_report(examples, {"en": examples}, {"en": 10})
    assert {reason: of["count"] for reason, of in report["left_out"].items()} == {
        "double_think": 2,
        "nothing_to_learn": 1,
    }
    assert [line["id"] for line in report["left_out"]["double_think"]["rows"]] == ["7.en", "8.en"]
    assert report["evaluation"]["en"]["left_out"] == report["left_out"]
    lines = list(describe(report))
    assert lines[0] == "left out: 3 of 10 training examples"
    assert lines[1].startswith("  2 double_think (")
    assert lines[1].endswith(": 7.en, 8.en")


def test_more_bad_rows_than_allowed_are_an_error_that_names_one(examples: Dataset) -> None:
    assert bad_rows_message(examples, 0.3) is None
    assert bad_rows_message(examples.select(range(7)), 0.0) is None
    message = bad_rows_message(examples, 0.2)
    assert message is not None
    assert "3 of 10 training examples" in message
    assert "2 double_think, 1 nothing_to_learn" in message
    assert "row 7.en: the answer begins with <think>" in message


def test_only_bad_rows_are_an_error_whatever_is_allowed(examples: Dataset) -> None:
    assert bad_rows_message(examples.select(range(7, 10)), 1.0) is not None
