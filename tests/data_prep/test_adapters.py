"""Records of the public data sets are parted right, or rejected with a name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from data_prep.adapters import Origin, adapt
from data_prep.schema import Reject, Row, reasoning_sha256

CASES = yaml.safe_load((Path(__file__).parent / "cases" / "adapters.yaml").read_text(encoding="utf-8"))
ORIGIN = Origin("records", 7, "train", "en", license="mit")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_record(case: dict[str, Any]) -> None:
    result = adapt(case["record"], case.get("format", "messages"), ORIGIN)

    if "reason" in case:
        assert isinstance(result, Reject)
        assert result.reason == case["reason"]
        assert result.detail
        assert result.record
    else:
        assert isinstance(result, Row), result
        assert [[m["role"], m["content"], m["reasoning_content"]] for m in result.messages] == case["messages"]
        assert result.provenance["reasoning_sha256"] == reasoning_sha256(result.messages)
        assert result.provenance.get("gold") == case.get("gold")


def test_what_a_nemotron_row_says_about_itself_is_kept() -> None:
    messages = [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}]
    record = {"uuid": "u1", "license": "cc-by-4.0", "generator": "R1", "version": "v2", "category": "stem"}

    row = adapt({**record, "reasoning": "off", "messages": messages}, "messages", ORIGIN)

    assert isinstance(row, Row)
    assert (row.id, row.category, row.license, row.source) == ("u1.en", "stem", "cc-by-4.0", "records")
    assert row.provenance == {
        "generator": "R1",
        "version": "v2",
        "reasoning": "off",
        "source_id": "u1",
        "split": "train",
        "source_language": "en",
        "reasoning_sha256": reasoning_sha256(row.messages),
    }


def test_a_row_without_an_id_gets_one_from_its_place() -> None:
    row = adapt({"question": "How many?", "answer": "72"}, "question_answer", ORIGIN)

    assert (row.id, row.category, row.license) == ("records-00000007.en", "unknown", "mit")


TEXT = st.text(st.sampled_from("ab é\n-\0\ud800")) | st.sampled_from(["<think>", "</think>", "<think>a</think>b"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
TURN = st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "tool"]) | JSON, "content": JSON})


@given(st.dictionaries(st.sampled_from(["messages", "uuid", "category", "license"]), JSON | st.lists(TURN)))
def test_any_record_is_a_row_or_a_reject(record: dict[str, Any]) -> None:
    result = adapt(record, "messages", ORIGIN)

    assert isinstance(result, Row | Reject)
    result.id.encode("utf-8")
    result.category.encode("utf-8")
