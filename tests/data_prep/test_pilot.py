"""A pilot tries a few rows of each category, says what the build would come to, and gives a verdict in words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from data_prep.build import run_build
from data_prep.config import BuildConfig
from data_prep.dedup import DedupConfig
from data_prep.memory import memory_table, read_memory
from data_prep.pilot import bounded_source, run_pilot, share, take_stock
from data_prep.schema import read_rows
from data_prep.sources import SourceConfig, read_source
from data_prep.translators import TranslatorConfig
from data_prep.verdict import duration, judge, projection_lines
from launch.engines import EngineConfig
from launch.errors import InputError

ROOT = Path(__file__).parents[2]


def write_rows(path: Path, categories: dict[str, int]) -> SourceConfig:
    records = [
        {
            "uuid": f"{category}-{number}",
            "category": category,
            "messages": [
                {"role": "user", "content": f"How many apples are there in the {category} basket number {number}?"},
                {"role": "assistant", "content": f"<think>Count.</think>There are {number} apples in it."},
            ],
        }
        for category, rows in categories.items()
        for number in range(rows)
    ]
    path.write_text("\n".join(map(json.dumps, records)))
    return SourceConfig(kind="jsonl", path=str(path))


def write_memory(path: Path, categories: dict[str, int], lost: set[tuple[str, int]]) -> TranslatorConfig:
    pairs = {}
    for category, rows in categories.items():
        for number in range(rows):
            wrong = number + ((category, number) in lost)
            pairs[f"How many apples are there in the {category} basket number {number}?"] = (
                f"Combien de pommes y a-t-il dans le panier {category} numéro {wrong} ?"
            )
            pairs[f"There are {number} apples in it."] = f"Il y a {number} pommes dedans."
    entries = [{"source_language": "en", "target_language": "fr", "source": s, "target": t} for s, t in pairs.items()]
    entries += [{**entry, "target_language": "de"} for entry in entries[:1]]
    path.write_text("\n".join(map(json.dumps, entries)))
    return TranslatorConfig(memory=[str(path)])


def pilot(tmp_path: Path, lost: set[tuple[str, int]] = frozenset(), rows: int = 20, **values: Any) -> BuildConfig:  # type: ignore[assignment]
    categories = {"math": 60, "chat": 30}
    return BuildConfig(
        output_dir=str(tmp_path / "D"),
        source=write_rows(tmp_path / "rows.jsonl", categories),
        translator=write_memory(tmp_path / "memory.jsonl", categories, set(lost)),
        **{"target_languages": ["fr", "de"], "pilot": rows, **values},
    )


def test_so_many_rows_of_each_category_are_built_in_one_language(tmp_path: Path) -> None:
    report = run_pilot(pilot(tmp_path))

    folder = tmp_path / "D" / "pilot"
    french = list(read_rows(folder, language="fr"))
    assert sorted(row.category for row in french) == ["chat"] * 20 + ["math"] * 20
    assert list(read_rows(folder, language="de")) == []
    assert json.loads((folder / "pilot.json").read_text(encoding="utf-8")) == report
    assert report["language"] == "fr"
    assert [(line["category"], line["rows"], line["tried"], line["kept"]) for line in report["categories"]] == [
        ("chat", 30, 20, 20),
        ("math", 60, 20, 20),
    ]


def test_the_projection_is_of_all_rows_and_languages(tmp_path: Path) -> None:
    everything = {("math", number) for number in range(60)}
    report = run_pilot(pilot(tmp_path, lost=everything))

    projection = report["projection"]
    assert projection["translations"] == 2 * 90
    chat, math = report["categories"]
    assert (chat["loss"]["value"], math["loss"]["value"]) == (0.0, 1.0)
    assert projection["lost"]["value"] == 2 * 60
    assert projection["lost"]["low"] == round(2 * 60 * math["loss"]["low"])
    assert projection["lost"]["high"] == round(2 * (60 + 30 * chat["loss"]["high"]))
    # 40 rows of two segments were asked for, and rows of the same length are to come.
    assert projection["requests"] / report["cost"]["requests"] == pytest.approx(2 * 90 / 40, rel=0.02)
    assert report["verdict"]["verdict"] == "do not start"
    assert report["verdict"]["sentences"][0].startswith(
        "math loses most: 20 of 20 rows (100.0 %, 95 % interval 83.9 %"
    )
    assert "'number'" in report["verdict"]["sentences"][0]


def test_the_drawn_rows_are_the_same_each_time_and_do_not_stand_together(tmp_path: Path) -> None:
    config = pilot(tmp_path, rows=10)
    drawn = [
        sorted(row.id for _, _, row in take_stock(read_source(config.source), config, "fr")["math"].drawn)
        for _ in range(2)
    ]

    assert drawn[0] == drawn[1]
    numbers = [int(name.split("-")[1].split(".")[0]) for name in drawn[0]]
    assert max(numbers) - min(numbers) > 20
    config.seed = 1
    other = sorted(row.id for _, _, row in take_stock(read_source(config.source), config, "fr")["math"].drawn)
    assert other != drawn[0]


def test_rows_that_are_left_out_before_translation_are_counted(tmp_path: Path) -> None:
    report = run_pilot(pilot(tmp_path, dedup=DedupConfig(kind="near", same_numbers=False, threshold=0.7)))

    lines = {line["category"]: line for line in report["categories"]}
    assert lines["math"]["left_out_before"]["near_duplicate"] > 30
    assert lines["math"]["rows"] + sum(lines["math"]["left_out_before"].values()) == 60
    assert lines["math"]["tried"] == min(20, lines["math"]["rows"])


def test_a_pilot_leaves_the_way_free_for_the_build(tmp_path: Path) -> None:
    config = pilot(tmp_path, target_languages=["fr"])
    run_pilot(config)
    config.pilot = None

    assert run_build(config)["rows_by_language"] == {"en": 90, "fr": 90}
    config.pilot = 5
    run_pilot(config)
    config.pilot = None
    assert run_build(config)["rows_by_language"] == {"en": 90, "fr": 90}


def test_another_language_can_be_tried(tmp_path: Path) -> None:
    report = run_pilot(pilot(tmp_path, pilot_language="de"))

    assert report["language"] == "de"
    assert sum(line["kept"] for line in report["categories"]) <= 1


def line(category: str, tried: int, kept: int) -> dict[str, Any]:
    return {
        "category": category,
        "tried": tried,
        "kept": kept,
        "loss": share(tried - kept, tried),
        "reasons": {"brackets": tried - kept},
    }


@pytest.mark.parametrize(
    ("lines", "verdict"),
    [
        ([line("math", 100, 99), line("code", 100, 95)], "start"),
        ([line("math", 100, 99), line("code", 100, 85)], "look first"),
        ([line("math", 100, 99), line("code", 100, 40)], "do not start"),
        ([line("math", 100, 99), line("code", 3, 3)], "too few rows"),
        ([line("math", 3, 0), line("code", 100, 100)], "do not start"),
        ([line("math", 20, 20), line("none", 0, 0)], "start"),
    ],
)
def test_the_worst_category_decides(lines: list[dict[str, Any]], verdict: str) -> None:
    assert judge(lines)["verdict"] == verdict


def test_what_is_said_of_a_category() -> None:
    assert judge([line("math", 20, 20)])["sentences"][0] == "None of 20 rows was lost."
    assert judge([line("math", 100, 90)])["sentences"][0] == (
        "math loses most: 10 of 100 rows (10.0 %, 95 % interval 5.5 % to 17.4 %), mostly for the reason 'brackets'."
    )


def test_a_share_has_its_wilson_interval() -> None:
    # Newcombe 1998, table I: 15 of 148 gives 0.0624 to 0.1605.
    interval = share(15, 148)
    assert interval["low"] == pytest.approx(0.0624, abs=5e-5)
    assert interval["high"] == pytest.approx(0.1605, abs=5e-5)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (7500, "2 h 5 min"),
        (3600, "1 h"),
        (90_000, "1 day 1 h"),
        (1e6, "11 days 13 h"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"pilot": 0}, "pilot is 0"),
        ({"pilot_language": "ja"}, "pilot_language is 'ja'; it has to be one of target_languages"),
        ({"target_languages": []}, "target_languages is empty; a pilot"),
        ({"max_characters": 3}, "yields no row to translate into 'fr'"),
    ],
)
def test_values_that_cannot_work_are_named_and_nothing_is_written(
    tmp_path: Path, values: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        run_pilot(pilot(tmp_path, **values))
    assert not (tmp_path / "D").exists()


def test_the_command_prints_table_projection_and_verdict(tmp_path: Path) -> None:
    config = pilot(tmp_path)
    argv = ["--output_dir", config.output_dir, "--source.kind", "jsonl", "--source.path", str(config.source.path)]
    argv += ["--translator.memory", f"[{config.translator.memory[0]}]", "--target_languages", "[fr]", "--pilot", "12"]
    done = subprocess.run(
        [sys.executable, "-m", "data_prep", "build", *argv],
        env={**os.environ, "COLUMNS": "130"},
        capture_output=True,
        text=True,
        cwd=ROOT,
    )

    assert done.returncode == 0, done.stderr
    assert "Pilot: 12 rows a category into 'fr'" in done.stdout
    assert "verdict: start" in done.stdout
    assert "on this machine, at the speed of the pilot" in done.stdout
    assert f"report: {tmp_path / 'D' / 'pilot' / 'pilot.json'}" in done.stdout.replace("\n", "")


def test_of_a_hub_data_set_only_the_beginning_is_read(tmp_path: Path) -> None:
    config = pilot(tmp_path, rows=200)
    config.source = SourceConfig(kind="hub", path="some/data")

    assert bounded_source(config) == (SourceConfig(kind="hub", path="some/data", limit=4000), False)
    config.source.limit = 300
    assert bounded_source(config) == (config.source, True)
    assert bounded_source(pilot(tmp_path))[1]


def test_tokens_and_time_of_a_model_and_no_time_where_the_store_knew_the_answers(
    tmp_path: Path, serving: Callable[[Any], AbstractContextManager[EngineConfig]]
) -> None:
    config = pilot(tmp_path, rows=10)
    memory = memory_table(read_memory(config.translator.memory[0]))["en", "fr"]
    with serving(lambda turns: f"〘{memory[turns[-1]['content'].strip('〘〙')]}〙") as engine:
        config.translator = TranslatorConfig(kind="engine", engine=engine)
        first, again = run_pilot(config), run_pilot(config)

    assert first["cost"]["prompt_tokens"] == 3 * first["cost"]["completion_tokens"] == 30 * first["cost"]["requests"]
    assert first["projection"]["prompt_tokens"] == pytest.approx(30 * first["projection"]["requests"], abs=30)
    assert first["cost"]["seconds"] > 0
    assert again["cost"] == {**first["cost"], "seconds": None}
    assert "time          not known" in "\n".join(projection_lines(again))
    assert f"tokens        {first['projection']['prompt_tokens']:,} read".replace(",", "\u202f") in "\n".join(
        projection_lines(first)
    )
    # What the pilot asked lies where the build looks for it.
    assert list((tmp_path / "D" / "completions").glob("*.jsonl"))
