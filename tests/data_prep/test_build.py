"""A build is the same bytes however often it was killed; what it drops it counts; what it cannot use it names."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from data_prep.build import run_build
from data_prep.config import BuildConfig
from data_prep.memory import memory_table, read_memory
from data_prep.sample import SampleConfig
from data_prep.schema import Row, make_message, read_rejects, read_rows, reasoning_sha256
from data_prep.schema import write_rows as save_rows
from data_prep.sources import SourceConfig
from data_prep.translators import TranslatorConfig
from launch.engines import EngineConfig
from launch.errors import InputError

CASES = Path(__file__).parent / "cases"
TURNS = [{"role": "user", "content": "How many apples are there?"}, {"role": "assistant", "content": "There are 4."}]


def config(output_dir: Path, **values: Any) -> BuildConfig:
    defaults: dict[str, Any] = {
        "source": SourceConfig(kind="jsonl", path=str(CASES / "rows.jsonl")),
        "translator": TranslatorConfig(memory=[str(CASES / "memory.jsonl")]),
        "target_languages": ["fr", "de"],
    }
    return BuildConfig(output_dir=str(output_dir), **{**defaults, **values})


def contents(folder: Path) -> dict[str, str]:
    """Every file under ``data`` and ``rejects``, hidden ones too, by the hash of its bytes."""
    files = [path for part in ("data", "rejects") for path in (folder / part).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def write_rows(path: Path, number: int) -> Path:
    with path.open("w", encoding="utf-8") as file:
        for index in range(number):
            question = {"role": "user", "content": f"How many apples are there in basket number {index}?"}
            answer = {"role": "assistant", "content": f"<think>Count.</think>There are {index} apples in it."}
            file.write(json.dumps({"uuid": f"row-{index}", "messages": [question, answer]}) + "\n")
    return path


def test_rows_rejects_and_counts(tmp_path: Path) -> None:
    manifest = run_build(config(tmp_path / "D"))

    rows = {row.id: row for row in read_rows(tmp_path / "D")}
    rejects = {reject.id: reject for reject in read_rejects(tmp_path / "D")}
    english = {"apples.en", "train.en", "double.en", "greeting.en"}
    french = {name.replace(".en", ".fr") for name in english}
    assert set(rows) == english | french | {"apples.de", "double.de"}
    assert {name: reject.reason for name, reject in rejects.items()} == {
        "nobody.en": "no_assistant_turn",
        "train.de": "number",
        "greeting.de": "not_in_memory",
    }
    assert rows["double.fr"].messages[2]["content"] == (
        "La fonction `double` multiplie par deux le nombre donné.\n\n"
        "```python\ndef double(n):\n    return 2 * n  # twice the number\n```"
    )
    assert rows["apples.de"].messages[2]["reasoning_content"] == "She had 5 and bought 7.\n5 + 7 = 12"
    assert all(reasoning_sha256(row.messages) == row.provenance["reasoning_sha256"] for row in rows.values())
    assert rejects["train.de"].segment == "The train travels 80 kilometres every hour."
    assert rejects["train.de"].outputs == ("Der Zug fährt 90 Kilometer in jeder Stunde.",)

    assert (manifest["rows"], manifest["rejects"]) == (10, 3)
    assert manifest["rows_by_language"] == {"de": 2, "en": 4, "fr": 4}
    counted = {(line["language"], line["category"]): line for line in manifest["exclusion"]}
    german = counted["de", "math"]
    assert (german["rows"], german["kept_rows"], german["nvidia_format_bytes_share"]) == (2, 1, 0.0247)
    assert german["reasons"]["number"]["rows_share"] == 0.5
    sizes = {
        name: len("".join(message["content"] for message in rows[name].messages).encode())
        for name in ("apples.en", "train.en")
    }
    assert german["bytes"] == sum(sizes.values())
    assert german["reasons"]["number"]["bytes"] == sizes["train.en"]
    assert counted["en", "chat"]["reasons"]["no_assistant_turn"]["rows"] == 1


def test_the_manifest_knows_every_file(tmp_path: Path) -> None:
    manifest = run_build(config(tmp_path / "D"))

    assert json.loads((tmp_path / "D" / "manifest.json").read_text(encoding="utf-8")) == manifest
    assert {file["path"]: file["sha256"] for file in manifest["files"]} == contents(tmp_path / "D")
    assert manifest["recipe"]["target_languages"] == ["fr", "de"]
    assert manifest["packages"]["pyarrow"]


def test_the_sample_with_its_own_memory(tmp_path: Path) -> None:
    sample = SampleConfig(train=3, validation=1, test=1, held_out=1)
    values = {"source": SourceConfig(sample=sample), "translator": TranslatorConfig()}

    manifest = run_build(config(tmp_path / "D", target_languages=["fr", "es", "de", "it", "ja"], **values))

    assert set(manifest["rows_by_split"]) == {"train", "validation", "test", "held_out"}
    rows = list(read_rows(tmp_path / "D"))
    total = sum(line["rows"] for line in manifest["exclusion"])
    assert len(rows) >= 0.98 * total
    chains = {row.id: [m["reasoning_content"] for m in row.messages] for row in rows if row.language == "en"}
    assert all([m["reasoning_content"] for m in row.messages] == chains[f"{row.id[:-3]}.en"] for row in rows)


def test_shards_are_even_and_hold_one_split(tmp_path: Path) -> None:
    source = SourceConfig(kind="jsonl", path=str(write_rows(tmp_path / "rows.jsonl", 100)))
    manifest = run_build(
        config(tmp_path / "D", source=source, target_languages=[], shard_rows=30, validation_share=0.3, seed=1)
    )

    rows = {file["path"]: file["rows"] for file in manifest["files"]}
    train = [count for path, count in sorted(rows.items()) if "train" in path]
    assert train[:-1] == [30] * (len(train) - 1)
    assert sum(rows.values()) == 100
    assert 10 < manifest["rows_by_split"]["validation"] < 50
    again = run_build(
        config(tmp_path / "E", source=source, target_languages=[], shard_rows=7, validation_share=0.3, seed=1)
    )
    assert again["rows_by_split"] == manifest["rows_by_split"]


def test_rows_in_the_target_language_are_not_translated(tmp_path: Path) -> None:
    source = SourceConfig(kind="jsonl", path=str(CASES / "rows.jsonl"), language="fr", limit=4)
    values = {"source": source, "target_languages": ["fr"], "keep_source": True}

    assert run_build(config(tmp_path / "D", **values))["rows_by_language"] == {"fr": 4}


def test_without_the_source_rows(tmp_path: Path) -> None:
    manifest = run_build(config(tmp_path / "D", keep_source=False))

    assert manifest["rows_by_language"] == {"de": 2, "fr": 4}
    assert {reject.id for reject in read_rejects(tmp_path / "D")} >= {"nobody.en"}


def test_doubled_and_overlong_rows_are_rejected(tmp_path: Path) -> None:
    long = [{"role": "user", "content": "a" * 500}, TURNS[1]]
    records = [{"uuid": "a", "messages": TURNS}, {"uuid": "a", "messages": TURNS}, {"uuid": "b", "messages": long}]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, records)))
    source = SourceConfig(kind="jsonl", path=str(tmp_path / "rows.jsonl"))

    run_build(config(tmp_path / "D", source=source, target_languages=[], max_characters=400))

    assert [reject.reason for reject in read_rejects(tmp_path / "D")] == ["duplicate_id", "too_long"]
    assert [row.id for row in read_rows(tmp_path / "D")] == ["a.en"]


def test_a_build_in_which_every_row_is_rejected_is_whole(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps({"messages": TURNS[:1]}))
    source = SourceConfig(kind="jsonl", path=str(tmp_path / "rows.jsonl"))

    manifest = run_build(config(tmp_path / "D", source=source))

    assert (manifest["rows"], manifest["rejects"]) == (0, 1)
    assert list(read_rows(tmp_path / "D")) == []


def test_a_chain_that_changes_on_its_way_into_a_file_stops_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt(path: Path, rows: list[Row]) -> int:
        changed = [make_message(turn["role"], turn["content"], "Other.") for turn in rows[-1].messages]
        return save_rows(path, [*rows[:-1], dataclasses.replace(rows[-1], messages=tuple(changed))])

    monkeypatch.setattr("data_prep.build.write_rows", spoilt)

    with pytest.raises(RuntimeError, match=r"the chain of row \S+\.en is not the one that was read"):
        run_build(config(tmp_path / "D"))
    assert not list((tmp_path / "D" / "data").iterdir())


def test_a_finished_build_is_not_built_again(tmp_path: Path) -> None:
    run_build(config(tmp_path / "D"))
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "D").rglob("*.parquet")}

    run_build(config(tmp_path / "D"))

    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "D").rglob("*.parquet")} == times


def test_a_file_that_went_missing_is_made_again(tmp_path: Path) -> None:
    run_build(config(tmp_path / "D"))
    before = contents(tmp_path / "D")
    (tmp_path / "D" / "data" / "train.fr-00000.parquet").unlink()

    run_build(config(tmp_path / "D"))

    assert contents(tmp_path / "D") == before


def test_another_recipe_does_not_go_on_with_a_build(tmp_path: Path) -> None:
    run_build(config(tmp_path / "D"))

    with pytest.raises(InputError, match=r'target_languages: \["fr", "de"\] → \["fr"\].*--overwrite true'):
        run_build(config(tmp_path / "D", target_languages=["fr"]))
    manifest = run_build(config(tmp_path / "D", target_languages=["fr"], overwrite=True))

    assert set(manifest["rows_by_language"]) == {"en", "fr"}
    assert not list((tmp_path / "D").rglob("*.de-*"))


def test_other_input_does_not_go_on_with_a_build(tmp_path: Path) -> None:
    memory = tmp_path / "memory.jsonl"
    memory.write_bytes((CASES / "memory.jsonl").read_bytes())
    translator = TranslatorConfig(memory=[str(memory)])
    run_build(config(tmp_path / "D", translator=translator))
    memory.write_text(memory.read_text(encoding="utf-8").replace("12", "13"), encoding="utf-8")

    with pytest.raises(InputError, match=r"the content of .*memory\.jsonl"):
        run_build(config(tmp_path / "D", translator=translator))


def test_files_of_something_else_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")

    with pytest.raises(InputError, match="holds other files"):
        run_build(config(tmp_path, overwrite=True))
    assert (tmp_path / "README.md").read_text() == "mine"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"output_dir": ""}, "output_dir is missing"),
        ({"target_languages": ["fr", "xx"]}, r"target_languages\[1\]: .*xx"),
        ({"target_languages": ["fr", "fr"]}, "names a language twice"),
        ({"target_languages": [], "keep_source": False}, "nothing to build"),
        ({"shard_rows": 0}, "shard_rows is 0"),
        ({"validation_share": 1.5}, "validation_share is 1.5"),
        ({"source": SourceConfig(split="../up")}, "split name"),
        ({"source": SourceConfig(limit=0)}, "source.limit is 0"),
        ({"source": SourceConfig(kind="jsonl", path="nowhere.jsonl")}, "nowhere.jsonl does not exist"),
    ],
)
def test_values_that_cannot_work_are_named_and_nothing_is_written(
    tmp_path: Path, values: dict[str, Any], words: str
) -> None:
    bad = config(tmp_path / "D")
    for key, value in values.items():
        setattr(bad, key, value)

    with pytest.raises(InputError, match=words):
        run_build(bad)
    assert not (tmp_path / "D").exists()


# Turns English into something that is not, slowly: a build that takes a while and loses most of its rows.
SLOW = """
import sys, time
for segment in sys.stdin.buffer.read().decode().split("\\n\\n"):
    time.sleep(0.004)
    segment = segment.replace("How many", "Combien de").replace("There are", "Il y a")
    sys.stdout.buffer.write((segment + "\\n\\n").encode())
"""


def start_build(folder: Path, rows: Path, program: Path) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "data_prep", "build", "--output_dir", str(folder), "--shard_rows", "20"]
    argv += ["--source.kind", "jsonl", "--source.path", str(rows), "--target_languages", "[fr,de]"]
    argv += ["--translator.kind", "command", "--translator.command", json.dumps([sys.executable, str(program)])]
    return subprocess.Popen(argv, cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.slow
def test_a_build_that_was_killed_again_and_again_ends_in_the_same_bytes(tmp_path: Path) -> None:
    rows, program = write_rows(tmp_path / "rows.jsonl", 120), tmp_path / "slow.py"
    program.write_text(SLOW)
    assert start_build(tmp_path / "whole", rows, program).wait() == 0

    # Killed after one finished file, after four, after nine: each time at another place of a shard.
    for finished, stop in ((1, signal.SIGKILL), (4, signal.SIGINT), (9, signal.SIGKILL)):
        build = start_build(tmp_path / "killed", rows, program)
        while build.poll() is None and len(list((tmp_path / "killed" / "progress").glob("*-*.json"))) < finished:
            time.sleep(0.01)
        time.sleep(0.03)
        # An interrupt that falls into a finalizer is lost in CPython ("Exception ignored in …"); people press again.
        while build.poll() is None:
            build.send_signal(stop)
            with contextlib.suppress(subprocess.TimeoutExpired):
                build.wait(timeout=1)
        assert build.returncode == (130 if stop == signal.SIGINT else -stop)
        assert not (tmp_path / "killed" / "manifest.json").exists()
        with pytest.raises(InputError, match="not finished"):
            list(read_rows(tmp_path / "killed"))
    assert start_build(tmp_path / "killed", rows, program).wait() == 0

    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert len(contents(tmp_path / "whole")) >= 18


class Model:
    """It knows the memory, forgets brackets at first, and always at one segment."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, turns: list[dict[str, Any]]) -> str:
        text = turns[-1]["content"].strip("〘〙")
        self.asked.append(text)
        language = "fr" if "into French" in turns[0]["content"] else "de"
        known = memory_table(read_memory(CASES / "memory.jsonl"))["en", language]
        insisted = "An earlier answer" in turns[0]["content"]
        return f"〘{known.get(text, text)}〙" if insisted and "castle" not in text else known.get(text, text)


@pytest.fixture
def answering() -> Model:
    return Model()


@pytest.fixture
def model(
    answering: Model, serving: Callable[[Model], AbstractContextManager[EngineConfig]]
) -> Iterator[EngineConfig]:
    with serving(answering) as engine:
        yield engine


def test_a_language_model_is_asked_until_it_keeps_the_contract_and_never_again(
    tmp_path: Path, model: EngineConfig, answering: Model
) -> None:
    translator = TranslatorConfig(kind="engine", engine=model, attempts=2)
    values = {"translator": translator, "target_languages": ["fr"]}

    manifest = run_build(config(tmp_path / "D", **values))

    assert manifest["rows_by_language"] == {"en": 4, "fr": 3}
    reject = next(reject for reject in read_rejects(tmp_path / "D") if reject.language == "fr")
    assert (reject.id, reject.reason, reject.detail.split(":")[0]) == ("greeting.fr", "brackets", "missing")
    assert reject.segment == "You should visit the old castle, because the view from there is beautiful."
    assert reject.outputs == ("Vous devriez visiter le vieux château, car la vue y est très belle.",) * 2
    line = next(line for line in manifest["exclusion"] if (line["language"], line["category"]) == ("fr", "chat"))
    assert (line["format_bytes_share"], line["nvidia_format_bytes_share"]) == (1.0, 0.0137)
    run = json.loads((tmp_path / "D" / "run.json").read_text())
    assert run["languages"]["fr"]["requests"] == len(answering.asked) == 20
    assert run["languages"]["fr"]["completion_tokens"] == 200

    # Starting over asks nothing: every completion, the bad ones too, is in the store.
    before = contents(tmp_path / "D")
    run_build(config(tmp_path / "D", overwrite=True, **values))
    assert contents(tmp_path / "D") == before
    assert len(answering.asked) == 20


def test_a_server_that_is_down_stops_the_build_and_the_next_run_goes_on(tmp_path: Path, model: EngineConfig) -> None:
    down = dataclasses.replace(model, base_url="http://127.0.0.1:9/v1")
    values: dict[str, Any] = {"target_languages": ["fr"]}
    with pytest.raises(InputError, match="the translator failed on 10 of 10 segments"):
        run_build(config(tmp_path / "D", translator=TranslatorConfig(kind="engine", engine=down), **values))
    assert not (tmp_path / "D" / "manifest.json").exists()

    manifest = run_build(config(tmp_path / "D", translator=TranslatorConfig(kind="engine", engine=model), **values))

    assert manifest["rows_by_language"] == {"en": 4, "fr": 3}
