"""What a source repeats is left out once, the same rows every time, and each says which row it repeats."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.build import run_build
from data_prep.config import BuildConfig, build_hash
from data_prep.dedup import DedupConfig, Duplicate, DuplicateIndex, choose_bands
from data_prep.schema import Row, make_message, read_rejects, read_rows
from data_prep.sources import SourceConfig
from data_prep.translators import TranslatorConfig
from launch.errors import InputError

CASES = Path(__file__).parent / "cases"
PAIRS = yaml.safe_load((CASES / "dedup.yaml").read_text(encoding="utf-8"))
FERRY = (
    "A ferry leaves the harbour every morning and carries people, bicycles and small cars to the island until night."
)


def make_row(row_id: str, user: str, *, system: str = "", answer: str = "Yes.", language: str = "en") -> Row:
    turns = [make_message("system", system)] if system else []
    turns += [make_message("user", user), make_message("assistant", answer, "A thought.")]
    return Row(row_id, language, "chat", tuple(turns), "test", "mit")


def verdicts(config: DedupConfig, rows: list[Row]) -> list[Duplicate | None]:
    index = DuplicateIndex(config)
    try:
        return [index.find(row) for row in rows]
    finally:
        index.close()


@pytest.mark.parametrize("case", PAIRS, ids=lambda case: case["name"])
def test_what_repeats_a_row(case: dict[str, Any]) -> None:
    language = case.get("language", "en")
    rows = [
        make_row("a", language=language, **case["first"]),
        make_row("b", language=case.get("second_language", language), **case["second"]),
    ]

    first, second = verdicts(DedupConfig(kind="near"), rows)

    assert first is None
    assert (second.reason if second else "kept") == case["verdict"]
    if second:
        assert second.id == "a"
        assert (second.similarity == 1.0) or second.reason == "near_duplicate"


def test_exact_removal_leaves_nearly_equal_rows() -> None:
    rows = [make_row("a", FERRY), make_row("b", FERRY.upper()), make_row("c", f" {FERRY}")]

    assert verdicts(DedupConfig(kind="exact"), rows) == [None, None, Duplicate("a", 1.0, "duplicate")]


def test_the_answer_can_be_part_of_what_is_compared() -> None:
    rows = [
        make_row("a", FERRY, answer="Fine."),
        make_row("b", FERRY, answer="No."),
        make_row("c", FERRY, answer="No."),
    ]

    assert [bool(found) for found in verdicts(DedupConfig(kind="exact"), rows)] == [False, True, True]
    answers_too = verdicts(DedupConfig(kind="exact", text="prompt_and_answer"), rows)
    assert answers_too == [None, None, Duplicate("b", 1.0, "duplicate")]


def test_numbers_can_be_left_out_of_the_comparison() -> None:
    rows = [make_row("a", f"{FERRY} It takes 25 minutes."), make_row("b", f"{FERRY} It takes 26 minutes.")]

    assert verdicts(DedupConfig(kind="near"), rows)[1] is None
    found = verdicts(DedupConfig(kind="near", same_numbers=False), rows)[1]
    assert found is not None
    assert found.reason == "near_duplicate"


def words_of(text: str, changed: int, seed: int) -> str:
    """The text with so many of its words replaced."""
    words = text.split()
    for position in random.Random(seed).sample(range(len(words)), changed):
        words[position] = "xyzzy"
    return " ".join(words)


@pytest.mark.parametrize("threshold", [0.6, 0.8, 0.9])
def test_pairs_well_above_the_threshold_are_found_and_pairs_well_below_are_not(threshold: float) -> None:
    vocabulary = [f"w{'abcdefghij'[a]}{'klmnopqrst'[b]}" for a in range(10) for b in range(10)]
    missed = invented = 0
    for seed in range(60):
        text = " ".join(random.Random(seed).choices(vocabulary, k=120))
        grams = {text[i : i + 5] for i in range(len(text) - 4)}
        rows, true = [make_row("a", text)], []
        for changed in (1, 2, 4, 8, 16, 32, 64):
            other = words_of(text, changed, seed)
            others = {other[i : i + 5] for i in range(len(other) - 4)}
            rows.append(make_row(f"b{changed}", other))
            true.append(len(grams & others) / len(grams | others))
        for row, similarity in zip(rows[1:], true, strict=True):
            found = verdicts(DedupConfig(kind="near", threshold=threshold), [rows[0], row])[1]
            # Three standard errors of the estimate from 128 permutations.
            missed += similarity > threshold + 0.1 and found is None
            invented += similarity < threshold - 0.12 and found is not None
    assert (missed, invented) == (0, 0)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8, 0.95, 1.0])
def test_bands_find_a_pair_at_the_threshold(threshold: float) -> None:
    bands, rows = choose_bands(threshold, 128)

    assert bands * rows <= 128
    assert 1 - (1 - threshold**rows) ** bands >= 0.95


@settings(deadline=None)
@given(st.lists(st.text(max_size=30), max_size=12))
def test_every_text_is_taken_and_no_two_kept_rows_are_equal(texts: list[str]) -> None:
    rows = [make_row(str(number), text) for number, text in enumerate(texts)]

    found = verdicts(DedupConfig(kind="near"), rows)

    kept = [" ".join(text.split()) for text, duplicate in zip(texts, found, strict=True) if duplicate is None]
    assert max(Counter(text for text in kept if text).values(), default=1) == 1
    assert all(duplicate is None or int(duplicate.id) < number for number, duplicate in enumerate(found))
    assert found == verdicts(DedupConfig(kind="near"), rows)


def test_look_alikes_in_thousands_cost_no_square() -> None:
    """Every row shares bands with all others and repeats none of them."""
    rows = [make_row(str(number), f"{FERRY} {number:05d} " + "abcdefgh"[number % 8] * 40) for number in range(3000)]
    index = DuplicateIndex(DedupConfig(kind="near", same_numbers=False, threshold=0.97))
    statements: Counter[str] = Counter()
    index._database.set_trace_callback(lambda statement: statements.update([statement[:22]]))

    for row in rows:
        index.find(row)

    assert statements["SELECT id, signature FR"] <= 20 * len(rows)


def write_source(path: Path, prompts: list[str]) -> SourceConfig:
    records = [
        {
            "uuid": f"row-{number}",
            "category": "chat",
            "messages": [
                {"role": "user", "content": prompt},
                {"role": "assistant", "content": f"<think>Hm.</think>Answer {number}."},
            ],
        }
        for number, prompt in enumerate(prompts)
    ]
    path.write_text("\n".join(map(json.dumps, records)))
    return SourceConfig(kind="jsonl", path=str(path))


def build(folder: Path, source: SourceConfig, **values: Any) -> dict[str, Any]:
    translator = TranslatorConfig(memory=[str(CASES / "memory.jsonl")])
    return run_build(
        BuildConfig(output_dir=str(folder), source=source, translator=translator, target_languages=[], **values)
    )


PROMPTS = [FERRY, "What is a harbour?", FERRY, f"{FERRY} ", FERRY.replace("every", "each"), "What is an island?"]


def test_a_build_lists_what_it_left_out_and_what_that_repeats(tmp_path: Path) -> None:
    manifest = build(tmp_path / "D", write_source(tmp_path / "rows.jsonl", PROMPTS), dedup=DedupConfig(kind="near"))

    assert [row.id for row in read_rows(tmp_path / "D")] == ["row-0.en", "row-1.en", "row-5.en"]
    rejects = {reject.id: reject for reject in read_rejects(tmp_path / "D")}
    assert {name: (reject.reason, reject.provenance["duplicate_of"]) for name, reject in rejects.items()} == {
        "row-2.en": ("duplicate", "row-0.en"),
        "row-3.en": ("duplicate", "row-0.en"),
        "row-4.en": ("near_duplicate", "row-0.en"),
    }
    assert rejects["row-2.en"].detail == "prompt is the same as in row row-0.en"
    assert 0.8 <= rejects["row-4.en"].provenance["similarity"] < 1
    assert rejects["row-4.en"].messages[0]["content"] == PROMPTS[4]
    [line] = manifest["exclusion"]
    assert {reason: shares["rows"] for reason, shares in line["reasons"].items()} == {
        "duplicate": 2,
        "near_duplicate": 1,
    }
    assert manifest["recipe"]["dedup.kind"] == "near"
    assert manifest["packages"]["rensa"]
    assert "near_duplicate" in (tmp_path / "D" / "README.md").read_text(encoding="utf-8")


def test_the_same_rows_are_left_out_however_the_source_is_cut(tmp_path: Path) -> None:
    source = write_source(tmp_path / "rows.jsonl", PROMPTS * 3)
    for folder, shard_rows in (("D", 2), ("E", 500)):
        build(tmp_path / folder, source, dedup=DedupConfig(kind="near"), shard_rows=shard_rows)

    def left_out(folder: str) -> list[tuple[str, Any]]:
        return [(reject.id, reject.provenance.get("duplicate_of")) for reject in read_rejects(tmp_path / folder)]

    assert left_out("D") == left_out("E")
    assert len(left_out("D")) == 15


def test_a_build_that_goes_on_leaves_out_the_same_rows(tmp_path: Path) -> None:
    source = write_source(tmp_path / "rows.jsonl", PROMPTS * 3)

    def contents() -> dict[str, bytes]:
        files = [path for part in ("data", "rejects") for path in (tmp_path / "D" / part).iterdir()]
        return {path.name: path.read_bytes() for path in files}

    build(tmp_path / "D", source, dedup=DedupConfig(kind="near"), shard_rows=4)
    before = contents()
    # As a kill leaves it that came after the first of five shards.
    (tmp_path / "D" / "manifest.json").unlink()
    for path in sorted((tmp_path / "D" / "progress").glob("*-*.json"))[1:]:
        path.unlink()
    build(tmp_path / "D", source, dedup=DedupConfig(kind="near"), shard_rows=4)

    assert contents() == before
    assert len(before) > 4


def test_a_row_that_was_rejected_is_not_repeated_by_a_later_one(tmp_path: Path) -> None:
    records = [{"uuid": "a", "messages": [{"role": "user", "content": FERRY}]}]  # no answer: rejected
    turns = [*records[0]["messages"], {"role": "assistant", "content": "Yes."}]
    records.append({"uuid": "b", "messages": turns})
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, records)))
    source = SourceConfig(kind="jsonl", path=str(tmp_path / "rows.jsonl"))

    build(tmp_path / "D", source, dedup=DedupConfig(kind="near"))

    assert [row.id for row in read_rows(tmp_path / "D")] == ["b.en"]


def test_without_it_a_recipe_is_the_one_that_it_was() -> None:
    assert build_hash(BuildConfig()) != build_hash(BuildConfig(dedup=DedupConfig(kind="exact")))
    # The hash of the default recipe without such a key; other default gates change it, nothing else may.
    assert build_hash(BuildConfig()) == "052d2bbce26c79a8"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"threshold": 0.0}, "dedup.threshold is 0.0"),
        ({"threshold": 80.0}, "dedup.threshold is 80.0"),
        ({"ngram": 0}, "dedup.ngram is 0"),
        ({"permutations": 2}, "dedup.permutations is 2"),
    ],
)
def test_values_that_cannot_work_are_named(tmp_path: Path, values: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        build(tmp_path / "D", SourceConfig(), dedup=DedupConfig(kind="near", **values))
    assert not (tmp_path / "D").exists()
