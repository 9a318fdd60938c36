"""Several segments in one answer come back as they should, or not at all: nothing is guessed, nothing repaired."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from data_prep.parts import PartsError, free_marks, from_json, mark_parts, read_marked, to_json

CASES = yaml.safe_load((Path(__file__).parent / "cases" / "parts.yaml").read_text(encoding="utf-8"))
SIGNS = ("<", ">")
LINES = st.lists(st.text(st.sampled_from('ab1 <>⟦⟧{}"\\é漢')).map(str.strip).filter(bool), min_size=1, max_size=12)


@pytest.mark.parametrize("case", CASES["marked"], ids=lambda case: case["answer"])
def test_a_marked_line_has_every_part_once_and_in_order(case: dict[str, Any]) -> None:
    if "parts" in case:
        assert read_marked(case["answer"], 2, SIGNS) == tuple(case["parts"])
        return
    with pytest.raises(PartsError, match=re.escape(case["error"])):
        read_marked(case["answer"], 2, SIGNS)


@pytest.mark.parametrize("case", CASES["json"], ids=lambda case: case["answer"])
def test_a_json_answer_has_the_same_keys_and_nothing_around_it(case: dict[str, Any]) -> None:
    if "parts" in case:
        assert from_json(case["answer"], 2) == tuple(case["parts"])
        return
    with pytest.raises(PartsError, match=re.escape(case["error"])):
        from_json(case["answer"], 2)


@given(texts=LINES)
def test_what_was_asked_comes_back(texts: list[str]) -> None:
    marks = free_marks(texts)
    if marks is not None:
        assert read_marked(mark_parts(texts, marks), len(texts), marks) == tuple(texts)
    assert from_json(to_json(texts), len(texts)) == tuple(texts)


def test_marks_are_signs_that_no_text_uses_as_marks() -> None:
    assert free_marks(["2 < 3 > 1", "<b>"]) == ("<", ">")
    assert free_marks(["see <12>", "⟦x⟧"]) == ("⟦", "⟧")
    assert free_marks(["<1>", "⟦1⟧ ⸨1⸩", "⦃1⦄ ⟪1⟫"]) is None


@pytest.mark.parametrize("answer", ["[" * 100_000, '{"1":' * 100_000, "1" * 10_000, '{"1": ' + "9" * 5000 + "}"])
def test_no_answer_breaks_the_reader(answer: str) -> None:
    with pytest.raises(PartsError):
        from_json(answer, 1)


def test_a_question_in_json_stands_on_one_line_as_it_is_written() -> None:
    assert to_json(['Ça \\frac "x"', "漢字"]) == '{"1": "Ça \\\\frac \\"x\\"", "2": "漢字"}'
    assert json.loads(to_json(["a", "b"])) == {"1": "a", "2": "b"}
