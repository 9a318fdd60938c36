"""The bracket contract: what is accepted, what is rejected, and why."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.brackets import BracketError, unwrap, wrap

CASES = [json.loads(line) for line in (Path(__file__).parent / "cases" / "brackets.jsonl").open(encoding="utf-8")]


@pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case["completion"]))
def test_the_table(case):
    if case["text"] is not None:
        assert unwrap(case["completion"], case["finish_reason"]) == case["text"]
        return
    with pytest.raises(BracketError) as caught:
        unwrap(case["completion"], case["finish_reason"])
    assert caught.value.reason
    if "reason" in case:
        assert caught.value.reason == case["reason"]


@given(st.text())
def test_what_is_accepted_keeps_the_contract(text):
    try:
        inside = unwrap(text, "stop")
    except BracketError:
        return
    assert text.strip() == text.strip()[0] + text.strip()[1:-1] + text.strip()[-1]
    assert text.count("〘") == text.count("〙") == 1
    assert inside == inside.strip() != ""
    assert len(inside.splitlines()) == 1


@given(
    st.text(st.characters(exclude_characters="〘〙", exclude_categories=["Cs", "Cc", "Zl", "Zp", "Cf"]), min_size=1)
)
def test_what_is_wrapped_can_be_unwrapped(text):
    if text.strip():
        assert unwrap(f" {wrap(text)}\n", "stop") == text.strip()
