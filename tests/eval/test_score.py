"""Scoring: what a generation is worth, and how many of them make an estimate with an interval."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.__main__ import main
from eval.folder import Generation
from eval.score import (
    Metric,
    average_of_estimates,
    both,
    estimate,
    macro_average,
    reasoning_metrics,
    score_answer,
    score_translation,
)
from eval.stats import Estimate
from eval.tasks import RowFilter, Task
from launch.errors import InputError

TASK = Task("apples", "reasoning", "Apples", RowFilter("build"), ["fr"])
RIGHT = "Tom a maintenant 12 pommes dans son panier."
CHAIN = "Tom starts with five apples and then he buys seven more.\n5 + 7 = 12"
GENERATION = Generation(
    id="test-00.fr",
    cluster="test-00",
    task="apples",
    language="fr",
    category="math",
    template="add",
    text="Tom a 5 pommes et il en achète 7 de plus. Combien de pommes Tom a-t-il maintenant ?",
    prompt=[],
    gold="12",
    reference=None,
    completion=f"<think>{CHAIN}</think>{RIGHT}",
    finish_reason="stop",
    opened_by_prompt=False,
    prompt_tokens=10,
    completion_tokens=30,
)
METRICS = {metric.name: metric for metric in reasoning_metrics("en")}


def observed(generation: Generation, task: Task = TASK) -> dict[str, float]:
    """What one generation says about every metric; metrics that it says nothing about are absent."""
    score = score_answer(generation, task)
    found = {name: metric.observe(score) for name, metric in METRICS.items()}
    return {name: value[0] / value[1] for name, value in found.items() if value is not None}


def test_a_right_answer_in_the_language_after_an_english_chain() -> None:
    found = observed(GENERATION)
    expected_to_hold = ["accuracy", "accuracy_if_finished", "accuracy_and_language", "closed_rate", "chain_in_english"]
    expected_to_hold += ["answer_in_language", "both_in_language", "arithmetic_holds", "consistent"]
    assert {name: found[name] for name in expected_to_hold} == dict.fromkeys(expected_to_hold, 1.0)
    assert found["truncated_rate"] == found["language_undetermined"] == 0
    assert found["mean_completion_tokens"] == 30
    assert found["chain_characters_if_right"] == len(CHAIN)
    assert "chain_characters_if_wrong" not in found


def test_an_unclosed_chain_is_no_answer_even_when_the_right_number_stands_in_it() -> None:
    generation = replace(GENERATION, completion=CHAIN, opened_by_prompt=True, finish_reason="length")
    score = score_answer(generation, TASK)
    assert (score["correct"], score["method"], score["extracted"]) == (False, "no_answer", None)
    found = observed(generation)
    assert (found["accuracy"], found["closed_rate"], found["truncated_rate"]) == (0, 0, 1)
    assert "accuracy_if_finished" not in found, "what was cut says nothing about answers that were finished"
    assert found["answer_in_language"] == found["both_in_language"] == 0


def test_a_right_answer_in_another_language_is_right_and_breaks_the_contract() -> None:
    found = observed(replace(GENERATION, completion=f"<think>{CHAIN}</think>Tom now has 12 apples in his basket."))
    assert (found["accuracy"], found["accuracy_and_language"]) == (1, 0)
    assert (found["chain_in_english"], found["answer_in_language"], found["both_in_language"]) == (1, 0, 0)


def test_a_language_that_cannot_be_told_is_left_out_of_the_rates_and_counted_apart() -> None:
    found = observed(replace(GENERATION, completion=f"<think>{CHAIN}</think>12"))
    assert found["accuracy"] == 1
    assert found["language_undetermined"] == 1
    assert not {"answer_in_language", "both_in_language", "accuracy_and_language"} & set(found)


def test_a_wrong_answer_is_not_right_and_in_the_language_whatever_its_language() -> None:
    found = observed(replace(GENERATION, completion=f"<think>{CHAIN}</think>13"))
    assert (found["accuracy"], found["accuracy_and_language"]) == (0, 0)
    assert found["chain_characters_if_wrong"] == len(CHAIN)


def test_a_request_that_failed_is_a_wrong_answer_and_says_nothing_else() -> None:
    generation = replace(GENERATION, completion="", finish_reason="error", error="timeout")
    assert observed(generation) == {"accuracy": 0.0, "accuracy_and_language": 0.0}
    assert score_answer(generation, TASK)["method"] == "error"


def test_chains_cut_at_their_budget_are_a_share_where_there_is_a_budget() -> None:
    limited = replace(TASK, thinking_budget=10)
    assert "budget_cut_rate" not in observed(GENERATION)
    assert observed(GENERATION, limited)["budget_cut_rate"] == 0
    cut = observed(replace(GENERATION, thinking_cut="newline"), limited)
    assert (cut["budget_cut_rate"], cut["accuracy_if_finished"], cut["closed_rate"]) == (1, 1, 1)


def test_without_thinking_no_chain_is_expected() -> None:
    found = observed(replace(GENERATION, completion=RIGHT), replace(TASK, thinking=False))
    assert not {"chain_in_english", "closed_rate"} & set(found)
    assert found["both_in_language"] == found["answer_in_language"] == 1


def test_with_thinking_a_missing_chain_breaks_the_contract() -> None:
    found = observed(replace(GENERATION, completion=RIGHT))
    assert (found["accuracy"], found["chain_in_english"], found["both_in_language"], found["closed_rate"]) == (
        1,
        0,
        0,
        0,
    )


def test_the_answer_may_be_expected_in_one_language_for_all_questions() -> None:
    generation = replace(GENERATION, completion=f"<think>{CHAIN}</think>Tom now has 12 apples in his basket.")
    assert observed(generation, replace(TASK, answer_language="en"))["both_in_language"] == 1


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(True, True, True), (True, False, False), (True, None, None), (None, None, None), (None, False, False)],
)
def test_one_that_fails_decides_what_cannot_be_told_does_not(
    first: bool | None, second: bool | None, expected: bool | None
) -> None:
    assert both(first, second) is expected
    assert both(second, first) is expected


SHARE = Metric("share", "share", lambda s: s["seen"])


def rows(*seen: tuple[float, float] | None) -> list[dict[str, Any]]:
    return [{"cluster": str(number), "seen": value} for number, value in enumerate(seen)]


def test_a_yes_or_no_metric_has_wilsons_interval_also_when_all_agree() -> None:
    all_right = estimate(SHARE, rows(*[(1.0, 1.0)] * 10))
    assert (all_right.value, all_right.high, all_right.n) == (1.0, 1.0, 10)
    assert all_right.low == pytest.approx(0.7225, abs=1e-3)


def test_a_metric_over_equations_counts_every_equation() -> None:
    found = estimate(SHARE, rows((3.0, 3.0), (0.0, 1.0), None, (1.0, 1.0)))
    assert (found.value, found.n) == (pytest.approx(4 / 5), 5)


def test_what_nothing_was_observed_of_has_no_value() -> None:
    assert estimate(SHARE, rows(None, None)) == Estimate(None, None, None, 0)
    assert macro_average(SHARE, {"fr": rows(None), "de": []}) == Estimate(None, None, None, 0)


def test_the_average_gives_every_language_the_same_weight() -> None:
    scores = {"fr": rows(*[(1.0, 1.0)] * 90), "de": rows(*[(0.0, 1.0)] * 10)}
    found = macro_average(SHARE, scores)
    assert (found.value, found.n) == (0.5, 100)


def test_the_average_of_all_right_is_not_certain() -> None:
    found = macro_average(SHARE, {code: rows(*[(1.0, 1.0)] * 10) for code in ("fr", "de", "ja")})
    assert found.value == found.high == 1
    assert found.low == pytest.approx(0.7225, abs=1e-3), "the same ten problems, however many languages"


@given(st.lists(st.lists(st.booleans(), min_size=8, max_size=8), min_size=1, max_size=6), st.integers(0, 3))
def test_an_average_lies_in_its_interval_and_is_seeded(answers: list[list[bool]], seed: int) -> None:
    scores = {str(code): rows(*[(float(right), 1.0) for right in column]) for code, column in enumerate(answers)}
    found = macro_average(SHARE, scores, seed=seed)
    assert found == macro_average(SHARE, scores, seed=seed)
    assert found.value == pytest.approx(sum(map(sum, answers)) / (8 * len(answers)))
    assert found.low is not None
    assert found.high is not None
    assert found.value is not None
    assert 0 <= found.low <= found.value + 1e-9
    assert found.value - 1e-9 <= found.high <= 1


def width(found: Estimate) -> float:
    assert found.low is not None
    assert found.high is not None
    return found.high - found.low


def test_languages_that_fail_on_the_same_problems_tell_less_than_as_many_problems() -> None:
    half = [(float(number % 2), 1.0) for number in range(20)]
    same = macro_average(SHARE, {code: rows(*half) for code in "abcd"})
    other = {code: [{**row, "cluster": f"{code}{row['cluster']}"} for row in rows(*half)] for code in "abcd"}
    apart = macro_average(SHARE, other)
    assert width(same) > 1.5 * width(apart)


def test_the_average_of_corpus_scores_is_no_narrower_than_its_languages() -> None:
    found = average_of_estimates([Estimate(20.0, 18.0, 22.0, 50), Estimate(40.0, 36.0, 44.0, 50)])
    assert found == Estimate(30.0, 27.0, 33.0, 100)
    assert average_of_estimates([Estimate(20.0, None, None, 1)]) == Estimate(20.0, None, None, 1)


def test_a_translation_without_an_answer_is_empty_and_scores_nothing() -> None:
    reference = "Tom hat 5 Äpfel und kauft 7 weitere. Wie viele Äpfel hat Tom jetzt?"
    whole = replace(GENERATION, reference=reference, gold=None, language="de", completion=reference)
    unclosed = replace(whole, completion=f"<think>{reference}", finish_reason="length")
    failed = replace(whole, completion="", finish_reason="error", error="timeout")
    items, corpus = score_translation([whole, unclosed, failed], "de", embedder=None, seed=0)
    assert [item["hypothesis"] for item in items] == [reference, "", ""]
    assert [item["chrf"] for item in items] == [pytest.approx(100), 0, 0]
    assert [item["truncated"] for item in items] == [False, True, None]
    assert corpus.metrics["chrf++"].value is not None
    assert corpus.metrics["chrf++"].value < 100


def test_scoring_again_asks_no_model_and_gives_the_same_report(evaluate: Callable[..., Path], server: Any) -> None:
    folder = evaluate("half")
    names = ("report.json", "report.html", "scores/apples.fr.jsonl")
    before, asked = [(folder / name).read_bytes() for name in names], len(server.asked)
    for name in names:
        (folder / name).unlink()
    main(["score", str(folder)])
    assert [(folder / name).read_bytes() for name in names] == before
    assert len(server.asked) == asked


def test_scoring_shows_what_another_completion_would_have_been_worth(evaluate: Callable[..., Path]) -> None:
    folder = evaluate("right")
    path = folder / "generations" / "apples.fr.jsonl"
    path.write_text(
        path.read_text(encoding="utf-8").replace("Tom a maintenant 12", "Tom a maintenant 99"), encoding="utf-8"
    )
    main(["score", str(folder)])
    metrics = json.loads((folder / "report.json").read_text(encoding="utf-8"))["metrics"]["apples"]
    wrong = sum(gold == 12 for gold in (12, 7, 21, 35, 14, 13, 44, 12, 20, 75, 42, 22))
    assert metrics["fr"]["accuracy"]["value"] == pytest.approx(1 - wrong / 12)


def breakage(name: str) -> Callable[[Path], Any]:
    path = "generations/apples.fr.jsonl"
    return {
        "no run": lambda folder: (folder / "run.json").unlink(),
        "broken run": lambda folder: (folder / "run.json").write_text("{"),
        "other run": lambda folder: (folder / "run.json").write_text('{"tasks": {}}'),
        "no file": lambda folder: (folder / path).unlink(),
        "torn": lambda folder: (folder / path).write_bytes((folder / path).read_bytes()[:-30]),
        "short": lambda folder: (folder / path).write_text((folder / path).read_text().partition("\n")[0] + "\n"),
        "list": lambda folder: (folder / path).write_text("[]\n"),
        "no key": lambda folder: (folder / path).write_text('{"id": "a"}\n'),
    }[name]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no run", r"run\.json does not exist; it should be a folder written by 'python -m eval run'"),
        ("broken run", r"run\.json cannot be read"),
        ("other run", r"run\.json does not have the expected keys"),
        ("no file", r"apples\.fr\.jsonl does not exist"),
        ("torn", r"apples\.fr\.jsonl, line 12"),
        ("short", r"apples\.fr\.jsonl has 1 lines, run\.json says 12"),
        ("list", r"apples\.fr\.jsonl, line 1: not a JSON object"),
        ("no key", r"apples\.fr\.jsonl, line 1: missing 1\d required"),
    ],
)
def test_a_folder_that_is_no_whole_evaluation_is_refused(
    evaluate: Callable[..., Path], name: str, message: str
) -> None:
    folder = evaluate("right")
    breakage(name)(folder)
    with pytest.raises(InputError, match=message):
        main(["score", str(folder)])
