"""Comparing and ranking runs: only over the same items, and only as far as the numbers carry."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from eval.__main__ import main
from eval.compare import Compared, compare_runs, compare_scores, paired_scores, scored_run
from launch.errors import InputError

OpenPage = Callable[[Path], AbstractContextManager[Page]]


def compared(first: Path, second: Path) -> dict[tuple[str, str], Compared]:
    return {(row.task, row.language): row for row in compare_runs(scored_run(first), scored_run(second))}


def test_a_better_run_is_better_in_every_language(finished: Callable[[str], Path]) -> None:
    found = compared(finished("endless"), finished("right"))
    for language in ("en", "fr", "de", "ja", "average"):
        row = found["apples", language]
        assert (row.first, row.second, row.difference, row.verdict) == (0, 1, 1, "better")
        assert row.p_value <= row.p_adjusted < 0.05
        assert 0 < row.low <= row.high <= 1
        assert (row.only_first, row.only_second) == (0, row.n)
    assert found["apples_translated", "ja"].verdict == "no difference shown"


def test_the_verdict_turns_with_the_order(finished: Callable[[str], Path]) -> None:
    right, endless = finished("right"), finished("endless")
    assert compared(right, endless)["apples", "average"].verdict == "worse"


def test_many_languages_need_more_than_one_alone(finished: Callable[[str], Path]) -> None:
    row = compared(finished("half"), finished("right"))["apples", "fr"]
    assert row.difference == pytest.approx(5 / 12)
    assert row.p_value < 0.05 < row.p_adjusted
    assert row.verdict == "no difference shown"
    assert row.minimum_detectable > row.difference / 2


def scores(**by_language: list[int]) -> dict[str, list[dict[str, Any]]]:
    return {
        code: [{"item": f"{n}.{code}", "cluster": str(n), "correct": bool(v)} for n, v in enumerate(values)]
        for code, values in by_language.items()
    }


def test_the_average_weighs_languages_alike_however_many_items_they_have() -> None:
    first, second = scores(fr=[0, 0, 0, 0, 0, 0], de=[0, 0]), scores(fr=[0, 0, 0, 0, 0, 0], de=[1, 1])
    a, b, clusters = paired_scores("reasoning", first, second)
    assert sum(a) / len(a) == 0
    assert sum(b) / len(b) == pytest.approx(0.5)
    assert clusters == ["0", "1", "2", "3", "4", "5", "0", "1"]


def test_one_problem_shows_no_difference() -> None:
    found = compare_scores("reasoning", scores(fr=[0], de=[0]), scores(fr=[1], de=[1]))
    assert (found.difference, found.p_value, found.low, found.high) == (1, 1, -1, 1)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["--limit_per_language", "5"], "7 of 12 items of task 'apples' in 'en' are only in .*right"),
        (["--languages", "[fr]"], "task 'apples' has 'en' only in .*right"),
        (["--tasks", "[{folder}/apples.yaml]"], "task 'apples_translated' is only in .*right"),
    ],
)
def test_runs_over_different_items_are_not_compared(
    finished: Callable[[str], Path], evaluate: Callable[..., Path], recipe: Path, overrides: list[str], message: str
) -> None:
    first = finished("right")
    second = evaluate("half", *(override.replace("{folder}", str(recipe.parent)) for override in overrides))
    for order in ([first, second], [second, first]):
        with pytest.raises(InputError, match=message):
            main(["compare", *map(str, order)])


def test_the_same_items_with_other_right_answers_are_other_items(
    finished: Callable[[str], Path], evaluate: Callable[..., Path], make_build: Callable[..., Path], tmp_path: Path
) -> None:
    numbers = [[1, 2 + number] for number in range(12)]
    other = evaluate("half", "--data", str(make_build(tmp_path / "other", numbers=numbers)))
    with pytest.raises(InputError, match="12 of 12 items"):
        main(["compare", str(finished("right")), str(other)])


def test_what_else_differs_is_said(
    finished: Callable[[str], Path], evaluate: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = finished("right"), evaluate("half", "--sampling.temperature", "0.5")
    main(["compare", str(first), str(second)])
    said = " ".join(capsys.readouterr().out.split())
    assert "task apples: sampling is temperature 0.0 in the first run, temperature 0.5 in the second" in said


def test_a_comparison_is_written_where_asked(
    finished: Callable[[str], Path], tmp_path: Path, open_page: OpenPage
) -> None:
    first, second, folder = finished("endless"), finished("right"), tmp_path / "comparison"
    main(["compare", str(first), str(second), "--output_dir", str(folder)])
    content = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    assert (content["first"]["name"], content["second"]["name"]) == ("endless", "right")
    assert content["comparisons"] == [asdict(row) for row in compare_runs(scored_run(first), scored_run(second))]
    with open_page(folder / "comparison.html") as page:
        assert page.title() == "right against endless"
        assert "better" in page.locator("tr", has_text="日本語").first.inner_text()


@pytest.fixture
def site(finished: Callable[[str], Path], tmp_path: Path) -> Path:
    runs = [str(finished(model)) for model in ("endless", "half", "right")]
    main(["leaderboard", *runs, "--output_dir", str(tmp_path / "site")])
    return tmp_path / "site"


def test_runs_are_ranked_with_their_standing_in_every_language(site: Path) -> None:
    board = json.loads((site / "leaderboard.json").read_text(encoding="utf-8"))
    assert (board["sort_by"], board["metric"]) == ("apples", "accuracy")
    assert [(run["rank"], run["name"]) for run in board["runs"]] == [(1, "right"), (2, "half"), (3, "endless")]
    assert [run["tied_with_best"] for run in board["runs"]] == [True, True, False]
    assert board["runs"][0]["standing"]["apples"] == dict.fromkeys(["average", "en", "fr", "de", "ja"], "best")
    assert board["runs"][1]["standing"]["apples"] == {"average": "tied"}
    assert board["runs"][2]["standing"]["apples"] == {}
    assert board["runs"][2]["standing"]["apples_translated"]["fr"] == "best", "equal values are best together"
    estimate = board["runs"][1]["metrics"]["apples"]["average"]["accuracy"]
    assert estimate["value"] == pytest.approx(7 / 12)
    assert estimate["low"] < estimate["value"] < estimate["high"]


def test_the_markdown_is_a_table_with_intervals(site: Path) -> None:
    text = (site / "leaderboard.md").read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if "[half](reports/half/report.html)" in line)
    assert row.startswith("| 2 ")
    assert "58.3† [" in row
    assert "**100.0**" in text


def test_the_page_ranks_plots_and_links_to_every_report(site: Path, open_page: OpenPage) -> None:
    with open_page(site / "index.html") as page:
        rows = page.locator("#task-apples table.ranked tbody tr")
        assert [rows.nth(n).locator("a").inner_text() for n in range(3)] == ["right", "half", "endless"]
        assert "58.3 %" in rows.nth(1).inner_text()
        assert rows.nth(0).locator("td.best").count() == 5
        plot = page.locator("#task-apples figure svg")
        assert {"endless", "half", "right"} <= {
            text.strip("\u200b") for text in plot.locator("text").all_text_contents()
        }
        rows.nth(1).locator("a").click()
        page.wait_for_url("**/reports/half/report.html*")
        assert page.title() == "Evaluation of half"


def test_another_task_may_decide_the_order(finished: Callable[[str], Path], tmp_path: Path) -> None:
    runs = [str(finished(model)) for model in ("half", "right")]
    main(["leaderboard", *runs, "--output_dir", str(tmp_path / "site"), "--sort_by", "apples_translated"])
    board = json.loads((tmp_path / "site" / "leaderboard.json").read_text(encoding="utf-8"))
    assert board["metric"] == "chrf++"
    assert [run["name"] for run in board["runs"]] == ["half", "right"], "equal runs keep the order they were given in"
    with pytest.raises(InputError, match="no run has the task 'pears' to sort by; there are: apples"):
        main(["leaderboard", *runs, "--output_dir", str(tmp_path / "site"), "--sort_by", "pears"])


def test_a_run_without_a_task_is_ranked_on_the_others(
    finished: Callable[[str], Path], evaluate: Callable[..., Path], recipe: Path, tmp_path: Path
) -> None:
    whole, part = finished("half"), evaluate("right", "--tasks", f"[{recipe.parent / 'apples.yaml'}]")
    main(["leaderboard", str(whole), str(part), "--output_dir", str(tmp_path / "site")])
    board = json.loads((tmp_path / "site" / "leaderboard.json").read_text(encoding="utf-8"))
    assert [run["name"] for run in board["runs"]] == ["right", "half"]
    assert "apples_translated" not in board["runs"][0]["metrics"]


def test_runs_of_one_name_are_told_apart(evaluate: Callable[..., Path], tmp_path: Path) -> None:
    runs = [str(evaluate(model, "--name", "checkpoint | 1")) for model in ("half", "right")]
    main(["leaderboard", *runs, "--output_dir", str(tmp_path / "site")])
    board = json.loads((tmp_path / "site" / "leaderboard.json").read_text(encoding="utf-8"))
    assert [run["name"] for run in board["runs"]] == ["checkpoint | 1 (2)", "checkpoint | 1"]
    assert len({run["report"] for run in board["runs"]}) == 2
    for run in board["runs"]:
        assert (tmp_path / "site" / run["report"]).is_file()
    assert "checkpoint \\| 1" in (tmp_path / "site" / "leaderboard.md").read_text(encoding="utf-8")


def test_a_leaderboard_of_different_items_is_refused_and_nothing_written(
    evaluate: Callable[..., Path], tmp_path: Path
) -> None:
    first, second = evaluate("right"), evaluate("half", "--limit_per_language", "5")
    with pytest.raises(InputError, match="7 of 12 items"):
        main(["leaderboard", str(first), str(second), "--output_dir", str(tmp_path / "site")])
    with pytest.raises(InputError, match="named twice"):
        main(["leaderboard", str(first), f"{first}/", "--output_dir", str(tmp_path / "site")])
    with pytest.raises(InputError, match="does not exist"):
        main(["leaderboard", str(first), str(tmp_path / "nothing"), "--output_dir", str(tmp_path / "site")])
    (first / "scores" / "apples.fr.jsonl").unlink()
    with pytest.raises(InputError, match="run 'python -m eval score"):
        main(["leaderboard", str(first), "--output_dir", str(tmp_path / "site")])
    assert not (tmp_path / "site").exists()
