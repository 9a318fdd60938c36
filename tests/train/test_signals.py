"""Stopped by a signal and started again, a run is the run that was never stopped: real processes, real signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from train.signals import INTERRUPTED, STOPPED

ROOT = Path(__file__).parents[2]
# Adapters with dropout on packed rows, several batches a step, and losses logged over more steps than were saved: all
# that a resume could get wrong.
ARGUMENTS = [
    "--config=recipes/sft/tiny_nemotron_h.yaml",
    "--model.architecture.hidden_size=32",
    "--model.architecture.intermediate_size=64",
    "--model.architecture.head_dim=8",
    "--model.architecture.mamba_head_dim=8",
    "--model.architecture.ssm_state_size=8",
    "--model.tokenizer_vocab_size=600",
    "--lora.r=4",
    "--lora.dropout=0.1",
    "--lora.target_modules=[q_proj,in_proj]",
    "--data.eval_rows=2",
    "--training.packing=true",
    "--training.max_length=256",
    "--training.per_device_train_batch_size=1",
    "--training.gradient_accumulation_steps=2",
    "--training.max_steps=24",
    "--training.save_steps=10",
    "--training.logging_steps=4",
    "--training.warmup_steps=2",
    "--training.eval_strategy=no",
    "--training.disable_tqdm=true",
]


def start(build: Path, output_dir: Path, *launcher: str) -> subprocess.Popen[str]:
    command = [*(launcher or (sys.executable,)), "train/sft.py", *ARGUMENTS]
    command += [f"--data.build={build}", f"--training.output_dir={output_dir}"]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def signal_at(process: subprocess.Popen[str], shown: str, number: signal.Signals) -> str:
    """Send the signal as soon as the run shows that text; everything that it shows."""
    seen: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        if shown in line and not any(shown in before for before in seen):
            process.send_signal(number)
        seen.append(line)
    process.wait(timeout=120)
    return "".join(seen)


def losses(run: Path) -> list[dict[str, Any]]:
    history = json.loads((run / "checkpoint-24" / "trainer_state.json").read_text())["log_history"]
    return [entry for entry in history if "loss" in entry]


@pytest.mark.slow
def test_stopped_twice_and_killed_once_a_run_ends_as_an_uninterrupted_one(build: Path, tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    uninterrupted = start(build, whole)
    output, _ = uninterrupted.communicate(timeout=300)
    assert uninterrupted.returncode == 0, output[-3000:]
    for number, status, shown in (
        (signal.SIGUSR1, STOPPED, "{'loss'"),
        (signal.SIGINT, INTERRUPTED, "{'loss'"),
        (signal.SIGKILL, -signal.SIGKILL, "{'loss'"),
    ):
        run = start(build, stopped)
        output = signal_at(run, shown, number)
        assert run.returncode == status, output[-3000:]
        assert not (stopped / "final").exists()
        if number != signal.SIGKILL:
            assert f"{number.name}: finishing the step, then saving a checkpoint" in output
            assert f"stopped by {number.name} after step" in output.splitlines()[-1]
    last = start(build, stopped)
    output, _ = last.communicate(timeout=300)
    assert last.returncode == 0, output[-3000:]
    assert "going on from" in output
    assert losses(stopped) == losses(whole)
    weights = [(run / "final" / "adapter_model.safetensors").read_bytes() for run in (whole, stopped)]
    assert weights[0] == weights[1]


@pytest.mark.slow
def test_before_the_first_step_a_signal_ends_the_run_at_once(build: Path, tmp_path: Path) -> None:
    run = start(build, tmp_path / "run")
    output = signal_at(run, "First sequence", signal.SIGTERM)
    assert run.returncode == STOPPED, output[-3000:]
    assert "stopped by SIGTERM: nothing was lost; the same command goes on" in output
    assert "Traceback" not in output


@pytest.mark.slow
def test_two_processes_stop_after_the_same_step_when_one_is_told(build: Path, tmp_path: Path) -> None:
    """The launcher is killed outright: one signal to it would reach both, this way each hears of it by itself."""
    accelerate = str(Path(sys.executable).parent / "accelerate")
    run = start(build, tmp_path / "run", accelerate, "launch", "--config_file", "launch/accelerate/cpu_ddp.yaml")
    output = signal_at(run, "{'loss'", signal.SIGKILL)
    (checkpoint,) = (tmp_path / "run").glob("checkpoint-*")
    end = time.monotonic() + 60
    while not (checkpoint / "COMPLETE").exists():
        assert time.monotonic() < end, output[-3000:]
        time.sleep(0.1)
    files = json.loads((checkpoint / "COMPLETE").read_text())["files"]
    assert {"rng_state_0.pth", "rng_state_1.pth"} <= files.keys()
    step = json.loads((checkpoint / "trainer_state.json").read_text())["global_step"]
    assert f"after step {step}, checkpoint saved" in output
    assert 4 <= step < 24
