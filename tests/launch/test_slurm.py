"""The Slurm scripts themselves, with stand-ins for srun and scontrol on PATH: told to stop, they requeue, else not."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Runs the step in a process group of its own and hands signals on to all of it, as slurmstepd does.
SRUN = """#!/usr/bin/env python3
import os, signal, subprocess, sys
command = sys.argv[1:]
while command[0].startswith("--"):
    command.pop(0)
step = subprocess.Popen(command, start_new_session=True)
for number in (signal.SIGUSR1, signal.SIGTERM):
    signal.signal(number, lambda number, frame: os.killpg(step.pid, number))
status = step.wait()
sys.exit(status if status >= 0 else 128 - status)
"""
SCONTROL = """#!/bin/sh
case $1 in show) echo node1; echo node2 ;; requeue) echo "requeue $2" >> scontrol.log ;; esac
"""
# The training: a child that listens, behind a launcher that hides its status, as accelerate does.
LAUNCHER = """#!/usr/bin/env python3
import os, subprocess, sys
open("arguments", "w").write("\\n".join(sys.argv[1:]))
status = subprocess.call([sys.executable, "training.py"])
sys.exit(1 if status else 0)
"""
TRAINING = """
import os, signal, sys, time
def stop(number, frame):
    open("saved", "w").write(signal.Signals(number).name)
    sys.exit(75)
signal.signal(signal.SIGUSR1, stop)
signal.signal(signal.SIGTERM, stop)
open("ready", "w").close()
outcome = open("outcome").read()
time.sleep(60 if outcome == "long" else 0)
sys.exit(int(outcome))
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    """A folder with the stand-ins: ``srun``, ``scontrol`` and an environment."""
    venv = tmp_path / "venv" / "bin"
    venv.mkdir(parents=True)
    for path, content in (
        (tmp_path / "srun", SRUN),
        (tmp_path / "scontrol", SCONTROL),
        (venv / "accelerate", LAUNCHER),
        (venv / "python", LAUNCHER),
    ):
        path.write_text(content)
        path.chmod(0o755)
    (tmp_path / "training.py").write_text(TRAINING)
    return tmp_path


def submit(script: str, cluster: Path, outcome: str, *arguments: str) -> subprocess.Popen[str]:
    (cluster / "outcome").write_text(outcome)
    environment = {
        **os.environ,
        "PATH": f"{cluster}:{os.environ['PATH']}",
        "VENV": str(cluster / "venv"),
        "SLURM_JOB_ID": "4711",
        "SLURM_JOB_NODELIST": "node[1-2]",
        "SLURM_NNODES": "2",
        "SLURM_NODEID": "0",
        "SLURM_GPUS_ON_NODE": "8",
    }
    command = ["bash", str(ROOT / "launch" / "slurm" / script), *arguments]
    return subprocess.Popen(
        command, cwd=cluster, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_for(path: Path) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not come"
        time.sleep(0.02)


@pytest.mark.parametrize("script", ["sft.sbatch", "eval.sbatch"])
@pytest.mark.parametrize("told", [signal.SIGUSR1, signal.SIGTERM])
def test_told_to_stop_the_job_is_requeued(script: str, told: signal.Signals, cluster: Path) -> None:
    job = submit(script, cluster, "long")
    wait_for(cluster / "ready")
    job.send_signal(told)
    output, _ = job.communicate(timeout=60)
    assert job.returncode == 75, output
    assert (cluster / "scontrol.log").read_text() == "requeue 4711\n"
    expected = "SIGUSR1" if script == "sft.sbatch" else "SIGTERM"
    assert (cluster / "saved").read_text() == expected, "the training was told, and not killed with its launcher"


@pytest.mark.parametrize("script", ["sft.sbatch", "eval.sbatch"])
@pytest.mark.parametrize("outcome", ["0", "2"])
def test_a_job_that_ends_by_itself_is_not_requeued(script: str, outcome: str, cluster: Path) -> None:
    job = submit(script, cluster, outcome)
    job.communicate(timeout=60)
    assert job.returncode == (1 if outcome == "2" else 0)
    assert not (cluster / "scontrol.log").exists()


def test_two_nodes_are_launched_as_one_run_with_the_arguments_as_they_are(cluster: Path) -> None:
    submit("sft.sbatch", cluster, "0", "--config", "a recipe.yaml", "--data.languages={en: 1}").communicate(timeout=60)
    arguments = (cluster / "arguments").read_text().splitlines()
    options = dict(zip(arguments[1:-4:2], arguments[2:-4:2], strict=True))
    assert arguments[0] == "launch"
    assert options["--num_machines"] == "2"
    assert options["--machine_rank"] == "0"
    assert options["--num_processes"] == "16"
    assert options["--main_process_ip"] == "node1"
    assert options["--deepspeed_multinode_launcher"] == "standard"
    assert arguments[-4:] == ["train/sft.py", "--config", "a recipe.yaml", "--data.languages={en: 1}"]


@pytest.mark.parametrize("script", ["sft.sbatch", "eval.sbatch"])
def test_slurm_is_asked_to_tell_ahead_of_the_limit_and_to_requeue(script: str) -> None:
    asked = [line for line in (ROOT / "launch" / "slurm" / script).read_text().splitlines() if "#SBATCH" in line]
    assert "#SBATCH --requeue" in asked
    assert "#SBATCH --open-mode=append" in asked
    assert any(line.startswith("#SBATCH --signal=B:USR1@") for line in asked)
