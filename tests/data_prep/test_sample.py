"""The built-in sample: enough templates, splits that share no problem, a translation for every line, good grammar."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from fractions import Fraction
from pathlib import Path

import pytest
import yaml

from data_prep.gates import check
from data_prep.lid import identify
from data_prep.sample import SampleConfig, memory_entries, sample_rows
from data_prep.sample.templates import TEMPLATES
from data_prep.schema import Row
from data_prep.segments import split_segments

CONFIG = SampleConfig(train=12, validation=2, test=4, held_out=5)
TARGETS = ("fr", "es", "de", "it", "ja")
WORDING = yaml.safe_load((Path(__file__).parent / "cases" / "sample_wording.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return list(sample_rows(CONFIG))


@pytest.fixture(scope="module")
def memory() -> dict[tuple[str, str], str]:
    return {(entry.source, entry.target_language): entry.target for entry in memory_entries(CONFIG)}


def problem(row: Row) -> tuple[str, ...]:
    """What makes two rows the same problem: the template and its numbers, or the text where there are none."""
    prompt = row.messages[0]["content"]
    numbers = re.findall(r"\d+(?:\.\d+)?", prompt)
    return (row.provenance["template"], *(numbers or [prompt]))


def test_there_are_templates_enough() -> None:
    assert len(TEMPLATES) >= 24
    assert sum(template.held_out for template in TEMPLATES) == 4
    assert {template.category for template in TEMPLATES} == {"math", "code", "chat"}
    assert {template.steps for template in TEMPLATES if template.category == "math"} == {1, 2}


def test_splits_share_no_problem(rows: list[Row]) -> None:
    by_split = defaultdict(set)
    for row in rows:
        by_split[row.provenance["split"]].add(problem(row))
    assert set(by_split) == {"train", "validation", "test", "held_out"}
    names = sorted(by_split)
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            assert not by_split[a] & by_split[b], (a, b)


def test_held_out_templates_are_nowhere_else(rows: list[Row]) -> None:
    held_out = {template.name for template in TEMPLATES if template.held_out}
    for row in rows:
        assert (row.provenance["template"] in held_out) == (row.provenance["split"] == "held_out")


def test_the_same_seed_gives_the_same_rows_and_another_seed_others(rows: list[Row]) -> None:
    assert list(sample_rows(CONFIG)) == rows
    assert list(sample_rows(SampleConfig(seed=1, train=12, validation=2, test=4, held_out=5))) != rows
    assert not [id for id, count in Counter(row.id for row in rows).items() if count > 1]


def test_every_chain_computes_what_it_says_and_ends_with_the_gold(rows: list[Row]) -> None:
    checked = 0
    for row in rows:
        if row.category != "math":
            continue
        chain = row.messages[1]["reasoning_content"] or ""
        equations = re.findall(r"^([\d.]+) ([-+*/]) ([\d.]+) = ([\d.]+)$", chain, flags=re.MULTILINE)
        assert len(equations) == row.provenance["steps"], chain
        for a, operator, b, result in equations:
            x, y = Fraction(a), Fraction(b)
            value = {"+": x + y, "-": x - y, "*": x * y, "/": x / y}[operator]
            assert value == Fraction(result), chain
            checked += 1
        assert equations[-1][3] == row.provenance["gold"]
        assert re.search(rf"(?<![\d.]){re.escape(row.provenance['gold'])}(?![\d.]*\d)", row.messages[1]["content"])
    assert checked > 200


def test_every_translatable_line_has_a_translation_that_passes_the_gates(
    rows: list[Row], memory: dict[tuple[str, str], str]
) -> None:
    for row in rows:
        for message in row.messages:
            for segment in split_segments(message["content"]):
                if segment.translatable:
                    for language in TARGETS:
                        translation = memory[segment.text, language]
                        assert check(segment.text, translation, "en", language) == [], (segment.text, translation)


def test_no_translation_is_taken_for_another_language(memory: dict[tuple[str, str], str]) -> None:
    wrong = [(language, text) for (_, language), text in memory.items() if identify(text) not in (language, None)]
    assert wrong == []


@pytest.mark.parametrize("case", WORDING, ids=lambda case: f"{case['language']}: {case['note']}")
def test_wording_in_the_language(case: dict[str, str], memory: dict[tuple[str, str], str]) -> None:
    texts = [text for (_, language), text in memory.items() if language == case["language"]]
    if "matches" in case:
        assert any(re.search(case["matches"], text) for text in texts)
    if "never" in case:
        assert not [text for text in texts if re.search(case["never"], text)]
