"""The page of a build: every kept and dropped row beside its source, for a reader with a browser and nothing else."""

from __future__ import annotations

import json
import os
import re
import shutil
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from data_prep.browse import LONGEST_TEXT, write_browser
from data_prep.build import run_build
from data_prep.config import BuildConfig
from data_prep.failures import FailedPart, failed_parts
from data_prep.memory import memory_table
from data_prep.sample import SampleConfig, memory_entries
from data_prep.schema import Reject, Row, make_message, read_rejects, read_rows, write_rejects, write_rows
from data_prep.sources import SourceConfig
from data_prep.survey import Selection, fair_shares
from data_prep.translators import TranslatorConfig
from launch.engines import EngineConfig
from launch.errors import InputError

OpenPage = Callable[..., AbstractContextManager[Page]]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SAMPLE = SampleConfig(train=1, validation=0, test=1, held_out=0)
HOSTILE = "</script><script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">"


class Model:
    """A model that knows the sample's memory, and breaks a quarter of the segments, at every attempt.

    It forgets the brackets, or writes another number, or adds markup, NUL and half a surrogate pair.
    """

    def __init__(self) -> None:
        self.known = memory_table(memory_entries(SAMPLE))

    def __call__(self, turns: list[dict[str, Any]]) -> str:
        text = turns[-1]["content"].strip("〘〙")
        language = "fr" if "into French" in turns[0]["content"] else "ja"
        right = self.known.get(("en", language), {}).get(text, text)
        again = " (2)" if "An earlier answer" in turns[0]["content"] else ""
        answers = {
            0: right + again,
            1: f"〘{re.sub('[0-9]', '7', right)}〙",
            2: f"〘{right} {HOSTILE}\x00\ud800〙{again}",
        }
        return answers.get(zlib.crc32(f"{language} {text}".encode()) % 12, f"〘{right}〙")


@pytest.fixture(scope="module")
def model(serving: Callable[[Model], AbstractContextManager[EngineConfig]]) -> Iterator[TranslatorConfig]:
    with serving(Model()) as engine:
        yield TranslatorConfig(kind="engine", engine=engine, attempts=2)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory, model: TranslatorConfig) -> Path:
    """The sample in French and Japanese by a model that breaks much of it."""
    folder = tmp_path_factory.mktemp("build") / "D"
    source = SourceConfig(sample=SAMPLE)
    run_build(BuildConfig(str(folder), source=source, translator=model, target_languages=["fr", "ja"]))
    return folder


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory, build: Path) -> Path:
    path = tmp_path_factory.mktemp("page") / "build.html"
    write_browser(build, path)
    return path


@pytest.fixture(scope="module")
def rows(build: Path) -> list[Row]:
    return list(read_rows(build))


@pytest.fixture(scope="module")
def rejects(build: Path) -> list[Reject]:
    return list(read_rejects(build))


@pytest.fixture(scope="module")
def browser(page_file: Path) -> Iterator[Browser]:
    """A real browser, started when the build is made: while it runs, no other event loop can run in this thread."""
    chromium = next(filter(None, map(shutil.which, BROWSERS)), None)
    if chromium is None and os.environ.get("CI"):
        pytest.fail("these tests look at pages in a real browser: install chromium")
    if chromium is None:
        pytest.skip("looks at a page in a real browser: install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Browser) -> OpenPage:
    """Opens a file in the browser; any error on the page fails the test."""

    @contextmanager
    def opened(path: Path, address: str = "", **options: Any) -> Iterator[Page]:
        problems: list[str] = []
        page = browser.new_page(**options)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.goto(path.resolve().as_uri() + address)
        yield page
        page.close()
        assert problems == []

    return opened


def text_of(part: Locator) -> str:
    return (part.text_content() or "").replace("\u202f", "")


def shown(page: Page) -> tuple[int, int]:
    """How many rows match the filters, of how many on the page."""
    match = re.match(r"(\d+) of (\d+) rows", text_of(page.locator("#shown")))
    assert match
    return int(match[1]), int(match[2])


def card_of(page: Page, row_id: str) -> Locator:
    page.fill("#filter-text", row_id)
    return page.locator("#list article", has=page.locator(f"code:text-is('{row_id}')"))


def test_filters_find_what_the_build_holds(
    page_file: Path, rows: list[Row], rejects: list[Reject], open_page: OpenPage
) -> None:
    total = len(rows) + len(rejects)
    french = [reject for reject in rejects if reject.language == "fr"]
    assert len(french) > 5
    with open_page(page_file) as page:
        assert shown(page) == (total, total)
        page.select_option("#filter-outcome", "dropped")
        assert shown(page) == (len(rejects), total)
        page.select_option("#filter-language", "fr")
        assert shown(page) == (len(french), total)
        assert page.locator("#filter-language option[value=fr]").text_content() == f"français (fr) ({len(french)})"
        page.check("#filter-reason input[value=brackets]")
        either = [reject for reject in french if "brackets" in reject.reasons]
        assert shown(page) == (len(either), total)
        page.check("#filter-reason input[value=number]")
        either = [reject for reject in french if {"brackets", "number"} & set(reject.reasons)]
        assert shown(page) == (len(either), total)
        page.click("#clear")
        assert shown(page) == (total, total)
        page.select_option("#filter-category", "code")
        page.select_option("#filter-split", "test")
        code = [row for row in rows if (row.category, row.provenance["split"]) == ("code", "test")]
        code_lost = [reject for reject in rejects if (reject.category, reject.split) == ("code", "test")]
        assert shown(page) == (len(code) + len(code_lost), total)


def test_text_is_searched_in_source_chain_translation_and_outputs(
    page_file: Path, rows: list[Row], rejects: list[Reject], open_page: OpenPage
) -> None:
    row = next(row for row in rows if row.language == "ja" and row.messages[-1]["reasoning_content"])
    question, chain = row.messages[0]["content"], row.messages[-1]["reasoning_content"]
    english = next(other for other in rows if other.id == row.id.replace(".ja", ".en"))
    with open_page(page_file) as page:
        for text in (question, chain, english.messages[0]["content"].upper()):
            page.fill("#filter-text", text or "")
            assert page.locator(f"#list code:text-is('{row.id}')").count() == 1, text
            assert shown(page)[0] <= 3
        page.fill("#filter-text", "document.title")
        outputs = [[output for part in failed_parts(reject) for output in part.outputs] for reject in rejects]
        assert shown(page)[0] == sum(any("document.title" in output for output in own) for own in outputs) > 0


def test_a_kept_row_stands_beside_its_source(page_file: Path, rows: list[Row], open_page: OpenPage) -> None:
    row = next(row for row in rows if row.language == "ja" and row.messages[-1]["reasoning_content"])
    english = next(other for other in rows if other.id == row.id.replace(".ja", ".en"))
    with open_page(page_file) as page:
        card = card_of(page, row.id)
        for language, messages in (("en", english.messages), ("ja", row.messages)):
            texts = card.locator(f".cell .text[lang={language}]").all_text_contents()
            assert texts == [message["content"] for message in messages]
        left, right = (card.locator(f".cell .text[lang={code}]").first.bounding_box() for code in ("en", "ja"))
        assert left
        assert right
        assert left["y"] == right["y"]
        assert left["x"] < right["x"]
        chain = card.locator(".chain .text[lang=en]")
        assert not chain.is_visible()
        card.locator("summary").click()
        assert chain.text_content() == row.messages[-1]["reasoning_content"]
        assert "✓ kept" in text_of(card.locator(".facts"))


def test_a_dropped_row_says_what_failed_and_shows_every_output(
    page_file: Path, rejects: list[Reject], open_page: OpenPage
) -> None:
    reject = next(reject for reject in rejects if reject.reason == "brackets" and len(failed_parts(reject)) == 1)
    assert len(reject.outputs) == 2
    with open_page(page_file) as page:
        card = card_of(page, reject.id)
        text = text_of(card)
        assert "✗ dropped" in text
        assert f"brackets: {reject.detail}" in text
        assert card.locator(".failure .text").all_text_contents() == [reject.segment, *reject.outputs]
        assert "Output 1 of 2, as it came" in text
        assert "Output 2 of 2, as it came" in text
        assert card.locator(".cell mark").first.text_content() == reject.segment
        assert "dropped" in (card.get_attribute("class") or "")


def test_a_row_with_several_failed_parts_shows_and_marks_each(
    page_file: Path, rejects: list[Reject], open_page: OpenPage
) -> None:
    reject = next(reject for reject in rejects if len(failed_parts(reject)) > 1)
    parts = failed_parts(reject)
    assert all(len(part.outputs) == 2 for part in parts)
    with open_page(page_file) as page:
        card = card_of(page, reject.id)
        shown_texts = card.locator(".failure .text").all_text_contents()
        assert shown_texts == [text for part in parts for text in (*part.segments, *part.outputs)]
        text = text_of(card)
        assert f"{len(parts)} parts of the row failed." in text
        assert all(part.detail in text for part in parts)
        marks = set(card.locator(".cell mark").all_text_contents())
        assert marks == {text for part in parts for text in (*part.segments, *part.given)}


def test_a_reject_from_before_all_parts_were_kept_still_shows_what_failed() -> None:
    old = Reject(
        "r.fr", "fr", "math", "train", "number", "12 became 13", ("number",), "Anna has 12.", ("〘Anna a 13.〙",),
        translation=(make_message("user", "Anna a 13. Bien."),),
    )  # fmt: skip
    assert failed_parts(old) == [
        FailedPart(("Anna has 12.",), ("Anna a 13.",), ("number",), "12 became 13", ("〘Anna a 13.〙",))
    ]
    assert failed_parts(replace(old, segment="", outputs=())) == []


def test_the_tables_lead_to_their_rows(
    build: Path, page_file: Path, rejects: list[Reject], open_page: OpenPage
) -> None:
    manifest = json.loads((build / "manifest.json").read_text(encoding="utf-8"))
    line = next(line for line in manifest["exclusion"] if (line["language"], line["category"]) == ("fr", "math"))
    with open_page(page_file) as page:
        text = page.locator("main").inner_text()
        assert f"{100 * line['lost']['bytes_share']:.2f} %" in text
        assert "1.96 %" in text  # NVIDIA's figure for French maths
        row = page.locator("tr", has_text="brackets").filter(has_text="français").filter(has_text="math")
        row.locator("a").click()
        expect(page.locator("#filter-language")).to_have_value("fr")  # the browser tells the page of its address later
        wanted = [r for r in rejects if (r.language, r.category) == ("fr", "math") and "brackets" in r.reasons]
        assert shown(page)[0] == len(wanted)
        assert page.locator("#filter-language").input_value() == "fr"
        assert page.locator("#rows").bounding_box()["y"] < 100  # type: ignore[index]
        page.go_back()
        expect(page.locator("#filter-language")).to_have_value("")
        assert shown(page)[0] == shown(page)[1]


def test_the_address_keeps_the_filters(page_file: Path, rejects: list[Reject], open_page: OpenPage) -> None:
    with open_page(page_file, "#outcome=dropped&language=ja&reason=brackets&reason=number") as page:
        found = [r for r in rejects if r.language == "ja" and {"brackets", "number"} & set(r.reasons)]
        assert shown(page)[0] == len(found)
        page.fill("#filter-text", "50 % & mehr")
        assert shown(page)[0] == 0
        page.reload()
        assert page.locator("#filter-text").input_value() == "50 % & mehr"
        assert page.locator("#filter-reason input:checked").count() == 2
    with open_page(page_file, "#language=xx&page=nothing") as page:
        assert shown(page)[0] == 0
        assert page.locator("#filter-language").input_value() == "xx"
        page.goto(page_file.resolve().as_uri() + "#counts")  # not the filters' business
        assert page.locator("#filter-language").input_value() == "xx"


def write_build(folder: Path, rows: Iterable[Row], rejects: Iterable[Reject] = (), name: str = "By hand") -> Path:
    """A finished build as it lies on disk, of rows made by hand."""
    files = []
    by_language = attrgetter("language")
    for language, ours in groupby(sorted(rows, key=by_language), by_language):
        path = f"data/train.{language}-00000.parquet"
        files.append({"path": path, "rows": write_rows(folder / path, ours)})
    for language, theirs in groupby(sorted(rejects, key=by_language), by_language):
        path = f"rejects/train.{language}-00000.parquet"
        files.append({"path": path, "rows": write_rejects(folder / path, theirs)})
    recipe = {"pretty_name": name, "translator.kind": "memory", "translator.engine.model": ""}
    manifest = {"recipe": {**recipe, "translator.command": []}, "recipe_hash": "0", "sources": {}, "licenses": {}}
    content = json.dumps({**manifest, "exclusion": [], "files": files})
    (folder / "manifest.json").write_text(content, encoding="utf-8")
    return folder


def row(name: str, language: str = "en", text: str = "Text", category: str = "math", chain: str | None = None) -> Row:
    messages = (make_message("user", f"{text} {name}"), make_message("assistant", "12", chain))
    provenance = {"source_id": name, "split": "train", "source_language": "en"}
    return Row(f"{name}.{language}", language, category, messages, "hand", "mit", provenance)


def reject(name: str, reason: str, language: str = "fr", **values: Any) -> Reject:
    provenance = {"source_id": name, "split": "train", "source_language": "en"}
    defaults: dict[str, Any] = {"messages": row(name).messages, "detail": "why", "reasons": (reason,)}
    return Reject(f"{name}.{language}", language, "math", "train", reason, provenance=provenance, **defaults | values)


def test_twenty_thousand_rows_are_listed_fifty_at_a_time(tmp_path: Path, open_page: OpenPage) -> None:
    words = "Anna buys apples at the market and counts them again. " * 20
    many = [row(f"r{n}", code, words) for n in range(10_000) for code in ("en", "fr")]
    build = write_build(tmp_path / "D", many)
    assert write_browser(build, tmp_path / "many.html", limit=10_000) == (20_000, 20_000)
    with open_page(tmp_path / "many.html") as page:
        assert page.locator("#list article").count() == 50
        assert page.locator("#page").text_content() == "Page 1 of 400"
        assert page.locator("#previous").is_disabled()
        page.click("#next")
        assert page.locator("#page").text_content() == "Page 2 of 400"
        assert page.url.endswith("#page=2")
        page.reload()
        assert page.locator("#page").text_content() == "Page 2 of 400"
        page.fill("#filter-text", "again. r99")
        assert shown(page)[0] == 2 * 111
        assert page.locator("#page").text_content() == "Page 1 of 5"
        spent = page.evaluate(
            """() => {
                const field = document.getElementById("filter-text"), start = performance.now();
                for (const text of ["a", "an", "ann", "anna", "anna b", "market", "nowhere", ""]) {
                    field.value = text;
                    field.dispatchEvent(new Event("input"));
                }
                return performance.now() - start;
            }"""
        )
        assert spent < 8 * 1000  # a second a letter on the slowest machine; a fraction of it on a usual one


def test_a_page_that_cannot_carry_all_says_so_and_takes_of_every_kind(tmp_path: Path, open_page: OpenPage) -> None:
    kept = [row(f"k{n}", code) for n in range(300) for code in ("en", "fr", "de")]
    lost = [reject(f"x{n}", "brackets") for n in range(500)] + [reject(f"y{n}", "number") for n in range(3)]
    build = write_build(tmp_path / "D", kept, lost)
    assert write_browser(build, tmp_path / "part.html", limit=40) == (4 * 40, 1403)
    with open_page(tmp_path / "part.html") as page:
        assert "This page carries 160 of them" in page.locator("header").inner_text()
        assert text_of(page.locator("#shown")) == "160 of 160 rows on this page; 1403 of 1403 in all"
        page.check("#filter-reason input[value=number]")
        assert text_of(page.locator("#shown")) == "3 of 160 rows on this page; 3 of 1403 in all"
        page.uncheck("#filter-reason input[value=number]")
        # The same source rows were drawn in every language, so that translations can be compared.
        page.select_option("#filter-outcome", "kept")
        chosen = {}
        for code in ("en", "fr", "de"):
            page.select_option("#filter-language", code)
            names = page.locator("#list .facts code").all_text_contents()
            chosen[code] = {name.removesuffix(f".{code}") for name in names}
        assert len(chosen["en"]) == 40
        assert chosen["en"] == chosen["fr"] == chosen["de"]


@given(sizes=st.dictionaries(st.integers(), st.integers(1, 50), min_size=1, max_size=8), places=st.integers(1, 200))
def test_no_place_is_wasted_and_none_given_twice(sizes: dict[int, int], places: int) -> None:
    shares = fair_shares(sizes, places)

    assert sum(shares.values()) == min(places, sum(sizes.values()))
    assert all(0 <= shares[key] <= size for key, size in sizes.items())
    short = [shares[key] for key, size in sizes.items() if shares[key] < size]
    assert not short or max(shares.values()) - min(short) <= 1


def test_options_narrow_the_page(build: Path, rows: list[Row], rejects: list[Reject], tmp_path: Path) -> None:
    def found(**selection: str) -> int:
        return write_browser(build, tmp_path / "page.html", Selection(**selection))[1]

    kinds = Counter((row.language, row.category) for row in rows)
    kinds.update((reject.language, reject.category) for reject in rejects)
    assert found(language="fr", category="math") == kinds["fr", "math"]
    assert found(reason="number") == sum("number" in reject.reasons for reject in rejects)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "narrowed to reason number" in page
    with pytest.raises(InputError, match=r"no row in .* has language de and category math"):
        found(language="de", category="math")


def test_rows_whose_source_was_not_kept_say_so(tmp_path: Path, open_page: OpenPage) -> None:
    write_browser(write_build(tmp_path / "D", [row("a", "fr", chain="2 + 2")]), tmp_path / "page.html")
    with open_page(tmp_path / "page.html") as page:
        card = page.locator("#list article")
        assert "The source row is not in this build." in text_of(card)
        assert card.locator(".chain").count() == 1


def test_a_record_that_could_not_be_read_is_shown(tmp_path: Path, open_page: OpenPage) -> None:
    unreadable = reject("a", "no_messages", language="en", messages=(), record='{"messages": "<b>none</b>"}')
    write_browser(write_build(tmp_path / "D", [], [unreadable]), tmp_path / "page.html")
    with open_page(tmp_path / "page.html") as page:
        assert '{"messages": "<b>none</b>"}' in text_of(page.locator("#list article"))


def test_what_stands_in_rows_stays_text(tmp_path: Path, open_page: OpenPage) -> None:
    strange = "\u2028\u2029\x00\ufeff<!-- <script> ]]> {{ 7 * 7 }} &amp; \\ud800 ' \" `"
    rows = [
        row(HOSTILE, "en", HOSTILE + strange, HOSTILE, HOSTILE),
        row(HOSTILE, "fr", HOSTILE, HOSTILE, "other chain"),
    ]
    lost = [reject(HOSTILE, HOSTILE, detail=HOSTILE, segment=HOSTILE, outputs=(HOSTILE + strange, ""), record=HOSTILE)]
    build = write_build(tmp_path / "D", rows, lost, name=HOSTILE + "\ud800")
    write_browser(build, tmp_path / "page.html")
    with open_page(tmp_path / "page.html") as page:
        assert page.title().startswith("</script><script>")
        assert page.locator("img").count() == 0
        assert page.locator("script").count() == 2
        assert shown(page) == (3, 3)
        texts = page.locator("#list .text").all_text_contents()
        assert texts.count(HOSTILE) >= 2
        assert HOSTILE + strange in texts
        assert "(empty)" in texts
        assert "which is not that of the source" in text_of(page.locator("#list"))
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        page.check("#filter-reason input")
        assert shown(page) == (1, 3)
        page.click("#clear")
        page.select_option("#filter-category", HOSTILE)
        page.reload()
        assert page.locator("#filter-category").input_value() == HOSTILE
        assert shown(page) == (2, 3)


def test_what_a_model_wrote_stays_text(page_file: Path, rejects: list[Reject], open_page: OpenPage) -> None:
    assert any(HOSTILE in output for reject in rejects for output in reject.outputs)
    with open_page(page_file, "#outcome=dropped") as page:
        assert page.title() == "Multilingual reasoning data: kept and dropped rows"
        assert page.locator("img").count() == 0


def test_an_endless_text_is_shortened_and_says_how_much_is_missing(tmp_path: Path, open_page: OpenPage) -> None:
    long = row("a", text="x" * (3 * LONGEST_TEXT), chain="y" * (LONGEST_TEXT + 7))
    write_browser(write_build(tmp_path / "D", [long]), tmp_path / "page.html")
    with open_page(tmp_path / "page.html") as page:
        assert "[…] (20,002 more characters in the build)" in page.locator(".cell .text").first.inner_text()
        page.click("summary:has-text('Chain')")
        assert "[…] (7 more characters in the build)" in page.locator(".chain .text").inner_text()


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_cut_off_on_a_telephone(page_file: Path, open_page: OpenPage, width: int) -> None:
    with open_page(page_file, "#outcome=dropped", viewport={"width": width, "height": 800}) as page:
        page.locator("#list article").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_controls_are_reached_by_the_keyboard(page_file: Path, open_page: OpenPage) -> None:
    with open_page(page_file) as page:
        page.focus("#filter-outcome")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        assert page.locator("#filter-outcome").input_value() == "dropped"
        for _ in range(5):
            page.keyboard.press("Tab")
        page.keyboard.press("Space")
        assert page.locator("#filter-reason input:checked").count() == 1


def test_a_page_is_written_whole_or_not_at_all(build: Path, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("an earlier page")
    broken = shutil.copytree(build, tmp_path / "D")
    shard = next((broken / "data").glob("*.fr-*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-100])

    with pytest.raises(InputError, match="cannot be read as Parquet"):
        write_browser(broken, path)

    assert path.read_text() == "an earlier page"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["D", "page.html"]


def test_the_same_build_gives_the_same_page(build: Path, page_file: Path, tmp_path: Path) -> None:
    write_browser(build, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == page_file.read_bytes()


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("page.html/inside.html", r"page\.html/inside\.html cannot be written: Not a directory"),
        (".", "give the path of a file"),
        ("x" * 300, "cannot be written: File name too long"),
    ],
)
def test_a_place_that_cannot_be_written_is_named(build: Path, tmp_path: Path, place: str, words: str) -> None:
    (tmp_path / "page.html").write_text("a file")
    with pytest.raises(InputError, match=words):
        write_browser(build, tmp_path / place)


def test_a_limit_below_one_and_an_unfinished_build_are_named(build: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--limit is 0"):
        write_browser(build, tmp_path / "page.html", limit=0)
    with pytest.raises(InputError, match=r"holds no manifest\.json"):
        write_browser(tmp_path, tmp_path / "page.html")
