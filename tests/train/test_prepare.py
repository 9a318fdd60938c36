"""Preparing once: the same with any number of workers, found again, never used stale or torn, equal in training."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk

from data_prep.schema import Row, make_message, read_records, write_rows
from launch.errors import InputError
from launch.recipe import parse_recipe
from train import prepared
from train.config import TrainConfig
from train.prepare_command import main as prepare

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes" / "sft" / "tiny_nemotron_h.yaml"
SMALL = [
    "--model.architecture.hidden_size=32",
    "--model.architecture.intermediate_size=64",
    "--model.architecture.head_dim=8",
    "--model.architecture.mamba_head_dim=8",
    "--model.architecture.ssm_state_size=8",
    "--model.tokenizer_vocab_size=300",
    "--training.disable_tqdm=true",
    "--training.eval_strategy=no",
    "--training.max_steps=2",
    "--training.logging_steps=1",
    "--data.translation_share=0.2",
    "--data.transforms.strip_share=0.2",
    "--data.transforms.cut_share=0.2",
    "--data.transforms.cut_tokens=[8,24]",
]


def small_row(number: int, language: str) -> Row:
    chain = "".join(f"{i} + {number} = {i + number}\n" for i in range(number % 7))
    turns = (make_message("user", f"{number} + 7 ({language})?"), make_message("assistant", f"{number + 7}.", chain))
    category = "tool" if number % 5 == 0 else "math"
    return Row(f"{number}.{language}", language, category, turns, "test", "CC0-1.0", {"source_id": str(number)})


@pytest.fixture
def small_build(tmp_path: Path) -> Path:
    """A build of 40 rows in two languages, one of them with a doubled tag."""
    folder = tmp_path / "build"
    for split, rows in (("train", 20), ("validation", 3)):
        for language in ("en", "fr"):
            made = [small_row(number, language) for number in range(rows)]
            if (split, language) == ("train", "en"):
                made[3] = Row(
                    "bad.en", "en", "math", (made[3].messages[0], make_message("assistant", "<think>x")), "t", ""
                )
                made[3].provenance["source_id"] = "3"
            write_rows(folder / "data" / f"{split}.{language}-00000.parquet", made)
    (folder / "manifest.json").write_text("{}")
    return folder


@pytest.fixture
def arguments(small_build: Path, tmp_path: Path) -> list[str]:
    return [
        f"--config={RECIPE}",
        *SMALL,
        f"--data.build={small_build}",
        f"--training.output_dir={tmp_path / 'runs/one'}",
    ]


def folder_of(tmp_path: Path) -> Path:
    [folder] = (tmp_path / "runs" / "prepared").iterdir()
    return folder


def contents(folder: Path) -> list[dict[str, Any]]:
    return load_from_disk(str(folder / "train")).to_list()  # type: ignore[return-value]


def refuse_to_tokenise(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("tokenised again")

    monkeypatch.setattr(prepared.prepare, "encode_draws", refuse)


def test_prepared_data_is_found_again_and_says_what_was_done(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(arguments)
    first = capsys.readouterr().out
    assert "prepared data: made in" in first
    assert "left out: 1 of 40 training examples" in first
    assert "1 double_think" in first
    assert "bad.en" in first
    assert "chains: " in first
    assert not (tmp_path / "runs" / "one").exists()

    refuse_to_tokenise(monkeypatch)
    prepare([*arguments, f"--training.output_dir={tmp_path / 'runs/two'}", "--training.learning_rate=0.5"])
    again = capsys.readouterr().out
    assert "nothing is tokenised again" in again
    assert again.splitlines()[1:] == first.splitlines()[1:]


def test_what_was_done_to_every_row_is_on_record(arguments: list[str], tmp_path: Path) -> None:
    prepare(arguments)
    folder = folder_of(tmp_path)
    lines = list(read_records(folder / "examples.parquet", ["id", "transform", "fault", "tokens", "language"]))
    report = json.loads((folder / "prepared.json").read_text())
    assert len(lines) == 40
    assert sum(line["tokens"] for line in lines) == sum(len(s["input_ids"]) for s in contents(folder))
    assert {line["transform"] for line in lines} >= {"stripped", "cut", "none", "translation"}
    for language in ("en", "fr"):
        for kind in ("stripped", "cut"):
            counted = sum(of.get(kind, 0) for of in report["transforms"][language].values())
            assert counted == sum(line["transform"] == kind for line in lines if line["language"] == language)


@pytest.mark.parametrize(
    "change",
    [
        ["--data.seed=1"],
        ["--data.transforms.seed=1"],
        ["--data.transforms.mask_forced_close=true"],
        ["--training.max_length=40"],
        ["--training.packing=true"],
        ["--model.tokenizer_vocab_size=266"],
        ["--model.chat_template=train/templates/smollm2_thinking.jinja"],
    ],
    ids=lambda change: change[0],
)
def test_other_settings_are_prepared_anew(
    change: list[str], arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    prepare(arguments)
    refuse_to_tokenise(monkeypatch)
    with pytest.raises(AssertionError, match="tokenised again"):
        prepare([*arguments, *change])


def rewrite_rows(build: Path) -> None:
    write_rows(build / "data" / "train.en-00000.parquet", [small_row(number, "en") for number in range(21)])


def rewrite_manifest(build: Path) -> None:
    (build / "manifest.json").write_text('{"again": 1}')


@pytest.mark.parametrize("change", [rewrite_rows, rewrite_manifest])
def test_a_build_that_changed_is_prepared_anew(
    change: Callable[[Path], None], arguments: list[str], small_build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(arguments)
    change(small_build)
    refuse_to_tokenise(monkeypatch)
    with pytest.raises(AssertionError, match="tokenised again"):
        prepare(arguments)


def truncate(folder: Path) -> None:
    [file] = (folder / "train").glob("*.arrow")
    os.truncate(file, file.stat().st_size // 2)


@pytest.mark.parametrize(
    "tear",
    [
        truncate,
        lambda folder: (folder / "prepared.json").unlink(),
        lambda folder: (folder / "prepared.json").write_text('{"rows"'),
        lambda folder: (folder / "evaluation" / "fr" / "state.json").unlink(),
    ],
    ids=["half a file", "no report", "half a report", "a file less"],
)
def test_torn_prepared_data_is_made_again(
    tear: Callable[[Path], None], arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(arguments)
    folder = folder_of(tmp_path)
    before = contents(folder)
    tear(folder)
    capsys.readouterr()
    prepare(arguments)
    printed = capsys.readouterr().out
    assert "is not whole" in printed
    assert "prepared data: made in" in printed
    assert contents(folder) == before


def test_an_interrupted_preparation_leaves_nothing_under_its_name(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(prepared.prepare, "to_sequences", interrupt)
    with pytest.raises(KeyboardInterrupt):
        prepare(arguments)
    assert list((tmp_path / "runs" / "prepared").iterdir()) == []


def test_what_a_killed_process_left_is_removed(arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    left = tmp_path / "runs" / "prepared" / f".key.{prepared.socket.gethostname()}.{done.stdout.strip()}.unfinished"
    other = left.with_name(f".key.another-machine.{done.stdout.strip()}.unfinished")
    for folder in (left, other):
        folder.mkdir(parents=True)
    prepare(arguments)
    assert not left.exists()
    assert other.exists()


def test_any_number_of_workers_prepares_the_same(arguments: list[str], tmp_path: Path) -> None:
    prepare(arguments)
    alone = folder_of(tmp_path)
    prepare([*arguments, f"--training.output_dir={tmp_path / 'elsewhere/run'}", "--training.dataset_num_proc=2"])
    [together] = (tmp_path / "elsewhere" / "prepared").iterdir()
    assert together.name == alone.name
    assert contents(together) == contents(alone)
    assert (together / "examples.parquet").read_bytes() == (alone / "examples.parquet").read_bytes()


def test_rows_of_a_category_can_stay_unpacked(arguments: list[str], tmp_path: Path) -> None:
    plain = ["--training.packing=true", "--training.max_length=200", "--data.unpacked_categories=[tool]"]
    prepare([*arguments, *plain])
    sequences = contents(folder_of(tmp_path))
    records = read_records(folder_of(tmp_path) / "examples.parquet", ["category", "tokens"])
    tool_lengths = sorted(record["tokens"] for record in records if record["category"] == "tool")
    alone = sorted(s["seq_lengths"][0] for s in sequences if len(s["seq_lengths"]) == 1)
    assert len(tool_lengths) == 8
    assert all(length in alone for length in tool_lengths)
    assert any(len(s["seq_lengths"]) > 1 for s in sequences)
    assert all(sum(s["seq_lengths"]) == len(s["input_ids"]) == len(s["labels"]) <= 200 for s in sequences)


def test_too_many_bad_rows_end_it_before_anything_is_kept(arguments: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"1 of 40 .* 1 double_think; for example row bad\.en"):
        prepare([*arguments, "--data.max_bad_share=0"])
    assert list((tmp_path / "runs" / "prepared").iterdir()) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["--training.packing=true", "--training.packing_strategy=wrapped"], "no boundaries.*use 'bfd'"),
        (["--training.eval_packing=true", "--training.packing_strategy=wrapped"], "no boundaries.*use 'bfd'"),
        (["--training.packing=true", "--training.max_length=null"], "needs training.max_length"),
        (["--training.assistant_only_loss=true"], "the assistant's turns alone are learned, without it"),
        (["--training.chat_template_path=x.jinja"], "use model.chat_template"),
        (["--training.dataset_kwargs={skip_prepare_dataset: true}"], "tokenised before the trainer"),
        (["--data.max_bad_share=2"], "from 0 to 1"),
        (["--data.transforms.strip_shar=0.1"], "did you mean '--data.transforms.strip_share'"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_settings_that_would_train_on_something_else_are_refused(
    values: list[str], message: str, arguments: list[str]
) -> None:
    with pytest.raises(InputError, match=message):
        parse_recipe(TrainConfig, [*arguments, *values], prog="train")


@pytest.mark.slow
def test_a_run_on_prepared_data_has_the_losses_of_one_that_prepares_itself(
    arguments: list[str], tmp_path: Path
) -> None:
    prepare(arguments)
    found, made = (train([*arguments, f"--training.output_dir={tmp_path / run}"]) for run in ("runs/one", "own/run"))
    assert "nothing is tokenised again" in found
    assert "prepared data: made in" in made
    assert "bad.en" in made
    losses = [
        [entry["loss"] for entry in json.loads(file.read_text())["log_history"] if "loss" in entry]
        for file in (tmp_path / run / "checkpoint-2" / "trainer_state.json" for run in ("runs/one", "own/run"))
    ]
    assert len(losses[0]) == 2
    assert losses[0] == losses[1]
    kept = json.loads((tmp_path / "own/run/data.json").read_text())
    assert kept["left_out"]["double_think"]["rows"][0]["id"] == "bad.en"


def train(arguments: list[str]) -> str:
    done = subprocess.run(
        [sys.executable, "train/sft.py", *arguments, "--training.save_steps=2"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
