"""A small build of the sample, and the command line of training as a user calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
RECIPE = ROOT / "recipes" / "sft" / "tiny_nemotron_h.yaml"
# A smaller model and shorter sequences than the recipe's: a step takes a tenth of a second.
SMALL = [
    "--model.architecture.hidden_size=32",
    "--model.architecture.intermediate_size=64",
    "--model.architecture.head_dim=8",
    "--model.architecture.mamba_head_dim=8",
    "--model.architecture.ssm_state_size=8",
    "--model.tokenizer_vocab_size=600",
    "--training.warmup_steps=2",
    "--training.logging_steps=1",
    "--training.disable_tqdm=true",
    "--training.eval_strategy=no",
    "--data.eval_rows=2",
]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample, built small: every language, four rows a template."""
    from data_prep.build import run_build
    from data_prep.config import BuildConfig
    from data_prep.sample import SampleConfig
    from data_prep.sources import SourceConfig

    folder = tmp_path_factory.mktemp("build") / "data"
    source = SourceConfig(kind="sample", sample=SampleConfig(train=4, validation=1, test=1, held_out=1))
    run_build(BuildConfig(output_dir=str(folder), source=source))
    return folder


def accelerate(
    *arguments: str, config: str = "cpu", processes: int | None = None, check: bool = True, **environment: str
) -> subprocess.CompletedProcess[str]:
    """``accelerate launch train/sft.py`` with the tiny recipe made smaller."""
    command = [str(BIN / "accelerate"), "launch", "--config_file", f"launch/accelerate/{config}.yaml"]
    if processes is not None:
        command += ["--num_processes", str(processes)]
    command += ["train/sft.py", "--config", str(RECIPE), *SMALL, *arguments]
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "PATH": f"{BIN}:{os.environ['PATH']}", **environment}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, cwd=ROOT, timeout=400)
    if check:
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done


def logged_losses(checkpoint: Path) -> dict[int, float]:
    """Step → training loss, as the Trainer wrote it down."""
    history: list[dict[str, Any]] = json.loads((checkpoint / "trainer_state.json").read_text())["log_history"]
    return {entry["step"]: entry["loss"] for entry in history if "loss" in entry}
