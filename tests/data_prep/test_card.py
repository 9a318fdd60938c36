"""The card tells `datasets` where languages and splits are, and a reader what was left out."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from data_prep.build import run_build
from data_prep.config import BuildConfig
from data_prep.exclusions import Counts, Losses, Tally, add_json, counts_to_json, exclusion_table
from data_prep.sample import SampleConfig
from data_prep.sources import SourceConfig

SMALL = SampleConfig(train=2, validation=1, test=1, held_out=1)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("build") / "D"
    source = SourceConfig(sample=SMALL)
    run_build(
        BuildConfig(output_dir=str(folder), source=source, target_languages=["fr", "ja"], pretty_name="A | B: <C>")
    )
    return folder


def test_front_matter(build: Path) -> None:
    front, text = (build / "README.md").read_text(encoding="utf-8").removeprefix("---\n").split("\n---\n", 1)
    matter = yaml.safe_load(front)

    assert matter["language"] == ["en", "fr", "ja"]
    assert matter["license"] == "apache-2.0"
    assert matter["pretty_name"] == "A | B: <C>"
    assert [config["config_name"] for config in matter["configs"]] == ["en", "fr", "ja"]
    assert [file["split"] for file in matter["configs"][1]["data_files"]] == [
        "train",
        "validation",
        "test",
        "held_out",
    ]
    assert text.strip().startswith("# A \\| B: &lt;C&gt;")


def test_the_table_of_what_was_left_out(build: Path) -> None:
    lines = (build / "README.md").read_text(encoding="utf-8").splitlines()

    assert any(line.startswith("| fr | math |") and line.endswith("| 1.96 % |") for line in lines)
    assert any(line.startswith("| en | math |") and line.endswith("| – |") for line in lines)


def test_datasets_reads_a_build_by_language_and_split(build: Path, tmp_path: Path) -> None:
    import datasets

    french = datasets.load_dataset(str(build), "fr", split="test", cache_dir=str(tmp_path))

    assert french.column_names == ["id", "language", "category", "messages", "source", "license", "provenance"]
    assert set(french["language"]) == {"fr"}
    assert french[0]["messages"][1]["role"] == "assistant"


def test_shares_and_order_of_the_exclusion_table() -> None:
    counts: Counts = {
        ("es", "stem"): Losses(Tally(6, 800), {"brackets": Tally(1, 100), "numbers": Tally(3, 100)}),
        ("en", "stem"): Losses(Tally(10, 1000)),
        ("ja", "poems"): Losses(Tally(0, 0), {"brackets": Tally(1, 0)}),
    }

    english, spanish, japanese = exclusion_table(counts)

    assert (english["language"], english["reasons"], english["nvidia_format_bytes_share"]) == ("en", {}, None)
    assert (spanish["rows"], spanish["bytes"], spanish["lost"]) == (10, 1000, {"rows_share": 0.4, "bytes_share": 0.2})
    assert list(spanish["reasons"]) == ["numbers", "brackets"]
    assert spanish["reasons"]["numbers"] == {"rows": 3, "bytes": 100, "rows_share": 0.3, "bytes_share": 0.1}
    assert (spanish["format_bytes_share"], spanish["nvidia_format_bytes_share"]) == (0.1, 0.0515)
    assert (japanese["lost"]["bytes_share"], japanese["nvidia_format_bytes_share"]) == (0.0, None)


def test_counts_of_shards_add_up() -> None:
    counts: Counts = {("es", "stem"): Losses(Tally(6, 800), {"brackets": Tally(1, 100)})}
    total: Counts = {}

    add_json(total, counts_to_json(counts))
    add_json(total, counts_to_json(counts))

    assert total["es", "stem"].total == Tally(14, 1800)
    assert total["es", "stem"].rejected == {"brackets": Tally(2, 200)}
