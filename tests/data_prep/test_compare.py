"""Builds side by side: every figure is the manifests' own, and a page is changed between its marks only."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from data_prep.build import run_build
from data_prep.compare import costs_table, fill, losses_table, quality_table
from data_prep.config import BuildConfig
from data_prep.gates import GateConfig
from data_prep.sources import SourceConfig
from data_prep.translators import TranslatorConfig
from launch.errors import InputError

CASES = Path(__file__).parent / "cases"


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The same rows, with every gate and without the one for numbers."""
    folder = tmp_path_factory.mktemp("builds")
    for name, gates in (("strict", GateConfig()), ("lenient", GateConfig(enabled=("empty",)))):
        run_build(
            BuildConfig(
                output_dir=str(folder / name),
                source=SourceConfig(kind="jsonl", path=str(CASES / "rows.jsonl")),
                translator=TranslatorConfig(memory=[str(CASES / "memory.jsonl")]),
                target_languages=["fr", "de"],
                gates=gates,
            )
        )
    return [folder / "strict", folder / "lenient"]


def cells(table: str) -> dict[str, dict[str, str]]:
    head, _, *lines = ([cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines())
    return {line[0]: dict(zip(head[1:], line[1:], strict=True)) for line in lines}


def test_losses_are_those_of_the_manifests(builds: list[Path]) -> None:
    table = cells(losses_table(builds))

    assert list(table) == ["French, strict", "French, lenient", "German, strict", "German, lenient"]
    assert table["German, strict"] == {
        "rows": "4", "kept": "2", "not in memory": "1", "number": "1", "other": "0", "lost bytes": share(builds[0]),
        "… by format": "0.0 %",
    }  # fmt: skip
    assert (table["German, lenient"]["kept"], table["German, lenient"]["number"]) == ("3", "0")
    assert table["French, strict"]["kept"] == "4"


def share(build: Path) -> str:
    lines = json.loads((build / "manifest.json").read_text(encoding="utf-8"))["exclusion"]
    german = [line for line in lines if line["language"] == "de"]
    lost = sum(line["bytes"] - line["kept_bytes"] for line in german)
    return f"{100 * lost / sum(line['bytes'] for line in german):.1f} %"


def test_costs_are_those_of_the_run(builds: list[Path]) -> None:
    path = builds[0] / "run.json"
    run = json.loads(path.read_text(encoding="utf-8"))
    run["languages"]["fr"] |= {"requests": 1200, "prompt_tokens": 9, "completion_tokens": 40, "seconds": 2.5}
    run["languages"]["de"] |= {"requests": 34, "prompt_tokens": 1, "completion_tokens": 20, "seconds": 3.0}
    run["languages"]["en"] |= {"requests": 5000, "seconds": 5000.0}
    path.write_text(json.dumps(run), encoding="utf-8")

    table = cells(costs_table(builds[:1]))

    assert table == {
        "strict": {
            "requests": "1\u202f234", "prompt tokens": "10", "completion tokens": "60", "… a kept row": "10",
            "seconds": "6",
        }
    }  # fmt: skip


def estimate(value: float | None, low: float | None = None, high: float | None = None, n: int = 3) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "n": n}


def test_quality_is_that_of_the_report_with_its_intervals(tmp_path: Path) -> None:
    kept = {"chrf++": estimate(40.93, 38.26, 43.47), "bleu": estimate(16.4), "lid_accuracy": estimate(1.0, 0.9, 1.0)}
    nothing = {"chrf++": estimate(None, n=0), "bleu": estimate(None, n=0), "lid_accuracy": estimate(None, n=0)}
    report = {"metrics": {"fr": {"kept": kept, "dropped": nothing}}}
    (tmp_path / "block").mkdir()
    (tmp_path / "block" / "translations.json").write_text(json.dumps(report), encoding="utf-8")

    assert cells(quality_table([tmp_path / "block"])) == {
        "French, block, kept": {
            "n": "3", "BLEU": "16.4", "chrF++": "40.9 [38.3, 43.5]", "in the language, %": "100 [90, 100]",
            "similarity": "–",
        }
    }  # fmt: skip


def test_a_page_is_filled_between_its_marks_and_can_be_filled_again(tmp_path: Path, builds: list[Path]) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "before\n<!-- a -->\nold\n<!-- /a -->\nbetween\n<!-- b -->\n<!-- /b -->\nafter\n", encoding="utf-8"
    )
    for _ in range(2):
        command = [sys.executable, "-m", "data_prep.compare", *map(str, builds), "--page", str(page), "--name", "a"]
        subprocess.run(command, check=True)
        text = page.read_text(encoding="utf-8")
        assert "old" not in text
        assert text.startswith("before\n<!-- a -->\n\n| ")
        assert text.endswith(" |\n\n<!-- /a -->\nbetween\n<!-- b -->\n<!-- /b -->\nafter\n")
        assert losses_table(builds) in text


@pytest.mark.parametrize("text", ["nothing", "<!-- a -->", "<!-- a --><!-- a --><!-- /a -->"])
def test_a_page_without_its_marks_is_left_alone(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"page.md needs a line <!-- a -->"):
        fill(page, "a", "| x |")
    assert page.read_text(encoding="utf-8") == text


def test_what_is_no_build_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        losses_table([tmp_path / "nowhere"])
    with pytest.raises(InputError, match=r"translations.json cannot be read .*python -m eval translations"):
        quality_table([tmp_path])
