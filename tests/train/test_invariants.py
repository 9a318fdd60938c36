"""What must not change the training, through the real command line: how batches are parted, by whom, how laid out.

All runs see the same rows in the same order in float32; losses and gradient norms of every step are compared.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
REFERENCE = Path(__file__).parent / "cases" / "reference_steps.json"
SMALL = [
    "--config=recipes/sft/tiny_nemotron_h.yaml",
    "--model.architecture.hidden_size=32",
    "--model.architecture.intermediate_size=64",
    "--model.architecture.head_dim=8",
    "--model.architecture.mamba_head_dim=8",
    "--model.architecture.ssm_state_size=8",
    "--model.tokenizer_vocab_size=600",
    "--training.warmup_steps=1",
    "--training.logging_steps=1",
    "--training.eval_strategy=no",
    "--training.disable_tqdm=true",
    "--data.eval_rows=1",
]
pytestmark = pytest.mark.slow


class Steps(NamedTuple):
    """What the Trainer logged: one loss and one gradient norm a step."""

    losses: list[float]
    norms: list[float]

    def distance(self, other: Steps) -> float:
        """The largest difference of any loss, or of any norm as a share of it."""
        assert len(self.losses) == len(other.losses) > 1
        losses = [abs(a - b) for a, b in zip(self.losses, other.losses, strict=True)]
        norms = [abs(a - b) / b for a, b in zip(self.norms, other.norms, strict=True)]
        return max(losses + norms)


Train = Callable[..., Steps]


@pytest.fixture(scope="module")
def train(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Train:
    """A run by ``accelerate launch`` with a configuration of the product, so many processes and more options."""

    def run(*options: str, config: str = "cpu", processes: int = 1) -> Steps:
        folder = tmp_path_factory.mktemp("run")
        command = [str(BIN / "accelerate"), "launch", "--config_file", f"launch/accelerate/{config}.yaml"]
        command += ["--main_process_port", "0"] if processes > 1 else []
        command += ["--num_processes", str(processes), "train/sft.py", *SMALL, *options]
        command += [f"--data.build={build}", f"--training.output_dir={folder}"]
        variables = {**os.environ, "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"}
        variables["PATH"] = f"{BIN}:{os.environ['PATH']}"
        done = subprocess.run(command, env=variables, capture_output=True, text=True, cwd=ROOT, timeout=900)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
        checkpoint = max(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
        assert len(list(checkpoint.glob("rng_state*"))) == processes  # accelerate may start fewer and say nothing
        history = json.loads((checkpoint / "trainer_state.json").read_text())["log_history"]
        steps = [entry for entry in history if "loss" in entry]
        return Steps([entry["loss"] for entry in steps], [entry["grad_norm"] for entry in steps])

    return run


def batch(rows: int, accumulation: int = 1) -> list[str]:
    """Four steps of padded rows, so many a process and backward pass."""
    return [
        "--training.max_steps=4",
        "--training.packing=false",
        f"--training.per_device_train_batch_size={rows}",
        f"--training.gradient_accumulation_steps={accumulation}",
    ]


@pytest.fixture(scope="module")
def plain(train: Train) -> Steps:
    return train(*batch(8))


def test_steps_are_those_of_the_stored_reference(plain: Steps) -> None:
    """A change of versions or code that changes what is learned shows here; store new ones only when it should."""
    assert plain.distance(Steps(**json.loads(REFERENCE.read_text()))) < 1e-3


def test_a_batch_of_eight_is_eight_accumulated(train: Train, plain: Steps) -> None:
    assert train(*batch(1, accumulation=8)).distance(plain) < 1e-5


@pytest.mark.parametrize("config", ["cpu_ddp", "zero2", "zero3"])
def test_two_processes_are_one(train: Train, plain: Steps, config: str) -> None:
    assert train(*batch(4), config=config, processes=2).distance(plain) < 1e-5


def test_recomputed_activations_are_the_kept_ones(train: Train, plain: Steps) -> None:
    assert train(*batch(8), "--training.activation_checkpointing=true").distance(plain) == 0.0


def test_packed_rows_learn_what_separate_ones_learn(train: Train) -> None:
    """The same twelve rows in every step, padded or packed: the loss of a step is a mean over the same tokens."""
    all_rows = ["--data.rows=12", "--training.num_train_epochs=3", "--training.max_length=512"]
    batch_of_all = "--training.per_device_train_batch_size=12"
    separate = train(*all_rows, batch_of_all, "--training.packing=false")
    packed = train(*all_rows, batch_of_all, "--training.packing=true", "--training.packing_strategy=bfd")
    assert len(packed.losses) == 3
    assert packed.distance(separate) < 1e-5
