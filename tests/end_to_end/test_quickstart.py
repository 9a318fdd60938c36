"""The road of the quickstart, shortened: build, fine-tune, evaluate, rank; and bad input at its doors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
BUILD = ["--source.sample.train=6", "--source.sample.validation=1", "--source.sample.test=1"]
TRAIN = [
    "--training.max_steps=30",
    "--training.save_steps=15",
    "--training.warmup_steps=5",
    "--training.eval_strategy=no",
    "--training.disable_tqdm=true",
]


def call(*command: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=500)
    assert done.returncode == status, done.stdout[-2000:] + done.stderr[-3000:]
    return done


@pytest.mark.slow
def test_the_whole_road(tmp_path: Path) -> None:
    data, sft, site = tmp_path / "data", tmp_path / "sft", tmp_path / "site"
    call("python", "-m", "data_prep", "build", "--config", "recipes/data/sample.yaml", f"--output_dir={data}", *BUILD)
    recipe = ["train/sft.py", "--config", "recipes/sft/tiny_nemotron_h.yaml"]
    launch = ["accelerate", "launch", "--config_file", "launch/accelerate/cpu.yaml"]
    call(*launch, *recipe, f"--data.build={data}", f"--training.output_dir={sft}", *TRAIN)
    runs = []
    for checkpoint in (sft / "initial", sft / "final"):
        run = tmp_path / "eval" / checkpoint.name
        command = ["python", "-m", "eval", "run", "--config", "recipes/eval/sample.yaml", f"--data={data}"]
        command += [f"--model={checkpoint}", f"--output_dir={run}", "--limit_per_language=2"]
        call(*command)
        # A finished evaluation asks nothing again.
        before = sorted((run / "completions").iterdir())
        call(*command)
        assert sorted((run / "completions").iterdir()) == before
        runs.append(run)
    call("python", "-m", "eval", "leaderboard", *map(str, runs), f"--output_dir={site}")

    report = json.loads((runs[1] / "report.json").read_text())
    assert set(report["metrics"]) == {"sample_math", "sample_held_out", "sample_translation"}
    languages = {"en", "fr", "es", "de", "it", "ja"}
    assert set(report["metrics"]["sample_math"]) == languages | {"average"}
    for language in languages:
        accuracy = report["metrics"]["sample_math"][language]["accuracy"]
        assert set(accuracy) == {"value", "low", "high", "n"}
        assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]
    assert (runs[1] / "report.html").is_file()
    for name in ("leaderboard.json", "leaderboard.md", "index.html"):
        assert (site / name).stat().st_size > 0


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["data_prep", "build", "--config", "nowhere.yaml"], "the recipe nowhere.yaml cannot be read"),
        (["data_prep", "build", "--target_languages=[xx]", "--output_dir=OUT"], "xx"),
        (["eval", "run", "--config", "recipes/eval/sample.yaml", "--model=m", "--output_dir=OUT"], "--data FOLDER"),
        (["eval", "score", "OUT"], "OUT"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(command: list[str], sentence: str, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    done = call("python", "-m", *[part.replace("OUT", out) for part in command], status=2)
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1
    assert sentence.replace("OUT", out) in lines[0]
    assert not Path(out).exists()
