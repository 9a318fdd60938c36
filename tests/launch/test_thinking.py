"""The <think> protocol: every state by example, and what holds for any text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launch.thinking import budget_cut, closed_chain, ends_open, split_thinking


def cases(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(__file__).parent / "cases" / name).read_text("utf-8").splitlines()]


TEXTS = st.lists(st.sampled_from(["<think>", "</think>", "<think", "a", " ", "\n", "é"]) | st.text(max_size=3)).map(
    "".join
)


@pytest.mark.parametrize("case", cases("thinking.jsonl"), ids=lambda case: case["name"])
def test_case(case: dict[str, Any]) -> None:
    thinking = split_thinking(case["completion"], case["opened"])
    assert (thinking.state, thinking.reasoning, thinking.answer) == (case["state"], case["reasoning"], case["answer"])


@given(TEXTS, st.booleans())
def test_state_says_which_parts_there_are(text: str, opened: bool) -> None:
    thinking = split_thinking(text, opened)
    assert (thinking.reasoning is None) == (thinking.state == "none")
    assert (thinking.answer is None) == (thinking.state == "unclosed")
    assert "</think>" not in (thinking.reasoning or "")
    for part in (thinking.reasoning, thinking.answer):
        assert part is None or (part == part.strip() and part in text)


@given(TEXTS, st.booleans())
def test_nothing_is_taken_for_an_answer_before_the_chain_is_closed(text: str, opened: bool) -> None:
    thinking = split_thinking(text, opened)
    assert (thinking.state in ("closed", "orphan_close")) == ("</think>" in text)


@given(st.text().filter(lambda text: "<" not in text), TEXTS)
def test_what_was_put_in_comes_out(reasoning: str, answer: str) -> None:
    for completion, opened in (
        (f"<think>\n{reasoning}</think>\n{answer}", False),
        (f"{reasoning}</think>{answer}", True),
    ):
        thinking = split_thinking(completion, opened)
        assert (thinking.state, thinking.reasoning, thinking.answer) == ("closed", reasoning.strip(), answer.strip())


def test_a_long_hostile_text_is_no_trouble() -> None:
    text = "<think>" * 300_000 + "</think" * 300_000
    assert split_thinking(text, opened_by_prompt=False).state == "unclosed"
    assert split_thinking("</think>" * 300_000, opened_by_prompt=False).answer == "</think>" * 299_999


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("Assistant\n<think>\n", True),
        ("Assistant\n<think>", True),
        ("Assistant\n<think></think>", False),
        ("What does <think> mean?", False),
        ("", False),
    ],
)
def test_prompt_ends_open(prompt: str, expected: bool) -> None:
    assert ends_open(prompt) is expected


@pytest.mark.parametrize("case", cases("thinking_budget.jsonl"), ids=lambda case: case["name"])
def test_budget_case(case: dict[str, Any]) -> None:
    cut = budget_cut(case["text"], case["opened"], within=case["within"], exhausted=case["exhausted"])
    assert (None if cut is None else (case["text"][: cut[0]], cut[1])) == (
        None if case["kept"] is None else (case["kept"], case["how"])
    )


@given(TEXTS, st.booleans(), st.integers(0, 20), st.booleans())
def test_a_cut_chain_holds_what_the_budget_allowed_and_is_closed_for_any_text(
    text: str, opened: bool, within: int, exhausted: bool
) -> None:
    cut = budget_cut(text, opened, within=within, exhausted=exhausted)
    if cut is not None:
        kept = text[: cut[0]]
        assert len(kept) >= within
        assert split_thinking(kept, opened).state == "unclosed"
        assert kept.count("\n", within) == (1 if cut[1] == "newline" else 0)
        closed = split_thinking(closed_chain(kept) + "4", opened)
        assert (closed.state, closed.answer) == ("closed", "4")
