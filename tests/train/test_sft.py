"""Training as a user runs it: real `accelerate launch`, real steps, real resume, real DeepSpeed processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

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
STEPS = ["--training.max_steps=6", "--training.save_steps=3"]


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


@pytest.fixture(scope="module")
def run(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six uninterrupted steps, with an evaluation in the middle and at the end."""
    folder = tmp_path_factory.mktemp("sft") / "run"
    done = accelerate(
        f"--data.build={build}",
        f"--training.output_dir={folder}",
        "--data.translation_share=0.2",
        "--data.languages={en: 1, fr: 2, ja: 1}",
        "--data.rows=120",
        *STEPS,
        "--training.eval_strategy=steps",
        "--training.eval_steps=3",
    )
    (folder / "stdout.txt").write_text(done.stdout)
    return folder


@pytest.mark.slow
def test_a_run_learns_and_leaves_loadable_checkpoints(run: Path) -> None:
    losses = logged_losses(run / "checkpoint-6")
    assert losses[6] < losses[1] - 0.05
    for name in ("initial", "checkpoint-3", "checkpoint-6", "final"):
        _, info = AutoModelForCausalLM.from_pretrained(run / name, output_loading_info=True)
        assert not info["missing_keys"]
        assert not info["unexpected_keys"]
        assert "<think>" in AutoTokenizer.from_pretrained(run / name).chat_template


@pytest.mark.slow
def test_there_is_one_evaluation_loss_a_language(run: Path) -> None:
    history = json.loads((run / "checkpoint-6" / "trainer_state.json").read_text())["log_history"]
    losses = {key for entry in history for key in entry if key.startswith("eval_") and key.endswith("_loss")}
    assert losses == {"eval_en_loss", "eval_fr_loss", "eval_ja_loss"}


@pytest.mark.slow
def test_the_mixture_is_shown(run: Path) -> None:
    shown = (run / "stdout.txt").read_text()
    assert [line.split("│")[2].strip() for line in shown.splitlines() if line.startswith("│ fr")] == ["60"]


@pytest.mark.slow
def test_a_resumed_run_ends_as_an_uninterrupted_one(run: Path, build: Path, tmp_path: Path) -> None:
    """Steps 4 to 6 again from checkpoint 3, past a torn checkpoint: bit for bit the same losses and weights."""
    interrupted = tmp_path / "run"
    shutil.copytree(run, interrupted)
    shutil.rmtree(interrupted / "final")
    (interrupted / "checkpoint-6" / "trainer_state.json").write_text("{")
    same_run = [
        f"--data.build={build}",
        f"--training.output_dir={interrupted}",
        "--data.translation_share=0.2",
        "--data.languages={en: 1, fr: 2, ja: 1}",
        "--data.rows=120",
        *STEPS,
        "--training.eval_strategy=steps",
        "--training.eval_steps=3",
    ]
    done = accelerate(*same_run)
    assert "going on from" in done.stdout
    assert "checkpoint-3" in done.stdout
    assert logged_losses(interrupted / "checkpoint-6") == logged_losses(run / "checkpoint-6")
    weights = [(folder / "final" / "model.safetensors").read_bytes() for folder in (run, interrupted)]
    assert weights[0] == weights[1]
    # Once more, as after a death between the last checkpoint and the final model: no step is taken.
    shutil.rmtree(interrupted / "final")
    again = accelerate(*same_run)
    assert f"going on from {interrupted / 'checkpoint-6'}" in again.stdout
    assert (interrupted / "final" / "model.safetensors").read_bytes() == weights[0]


@pytest.mark.slow
def test_another_recipe_does_not_go_on_in_silence(run: Path, build: Path) -> None:
    done = accelerate(
        f"--data.build={build}", f"--training.output_dir={run}", "--training.learning_rate=0.5", check=False
    )
    assert "holds a run with another recipe" in done.stderr
    assert done.returncode != 0


@pytest.mark.slow
def test_two_zero3_processes_train_as_one_process_does_and_resume(build: Path, tmp_path: Path) -> None:
    """The same global batch: one process with 4 rows a step, two DeepSpeed ZeRO-3 processes with 2 each."""
    common = [f"--data.build={build}", "--training.packing=false", "--training.max_steps=4", "--training.save_steps=2"]
    one = tmp_path / "one"
    accelerate(*common, f"--training.output_dir={one}", "--training.per_device_train_batch_size=4")
    two = tmp_path / "two"
    zero3 = [*common, f"--training.output_dir={two}", "--training.per_device_train_batch_size=2"]
    first = accelerate(*zero3, config="zero3", processes=2, DS_ACCELERATOR="cpu")
    # Read between backward and step, where DeepSpeed still has them whole.
    assert "gradients: every trained parameter gets one" in first.stdout
    # Two processes really ran: each left its shard of the optimizer, and together they saw as many rows.
    assert len(list((two / "checkpoint-4" / "global_step4").glob("*optim_states.pt"))) == 2
    history = [json.loads((f / "checkpoint-4" / "trainer_state.json").read_text())["log_history"] for f in (one, two)]
    tokens = [[entry["num_tokens"] for entry in entries if "loss" in entry] for entries in history]
    assert tokens[0] == tokens[1]
    losses = [logged_losses(folder / "checkpoint-4") for folder in (one, two)]
    assert losses[1] == pytest.approx(losses[0], abs=1e-3)
    # Again from step 2: the second process's part of checkpoint 4 is gone, as if it had died before it was written.
    shutil.rmtree(two / "final")
    (lost,) = (two / "checkpoint-4" / "global_step4").glob("*rank_1_*optim_states.pt")
    lost.unlink()
    again = accelerate(*zero3, config="zero3", processes=2, DS_ACCELERATOR="cpu")
    assert f"going on from {two / 'checkpoint-2'}" in again.stdout
    assert f"checkpoint-4 (global_step4/{lost.name} is missing)" in again.stdout
    assert logged_losses(two / "checkpoint-4") == pytest.approx(losses[1], abs=1e-6)
    # A parameter under another name, which DeepSpeed would load by its place.
    states_file = min((two / "checkpoint-4" / "global_step4").glob("*model_states.pt"))
    states = torch.load(states_file, weights_only=False)
    [group] = [group for group in states["param_shapes"] if "model.norm_f.weight" in group]
    group["model.norm_g.weight"] = group.pop("model.norm_f.weight")
    torch.save(states, states_file)
    refused = accelerate(*zero3, config="zero3", processes=2, check=False, DS_ACCELERATOR="cpu")
    assert "checkpoint-4 cannot be resumed from: missing keys: model.norm_f.weight" in refused.stderr
    assert refused.returncode != 0


@pytest.mark.slow
def test_fsdp_on_cpus_is_refused(build: Path, tmp_path: Path) -> None:
    """accelerate takes DDP there and says nothing."""
    options = [f"--data.build={build}", f"--training.output_dir={tmp_path / 'run'}", *STEPS]
    done = accelerate(*options, config="fsdp2", processes=2, check=False)
    assert "asks for FSDP, which accelerate gives to accelerators only" in done.stderr
    assert done.returncode != 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--training.learning_rat=1"], "unknown option '--training.learning_rat'; did you mean"),
        (["--data.build=nowhere"], "nowhere is no finished build"),
        (["--data.languages={xx: 1}"], "language 'xx' has no rows"),
        (["--model.architecture=null", "--model.name_or_path=nowhere/at-all"], "'nowhere/at-all' cannot be loaded"),
        (["--model.architecture.hybrid_override_pattern=MQ"], "model.architecture: no model can be made of it"),
        (["--lora.target_modules=[q_proj,qq_proj]"], "no module 'qq_proj'"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(
    arguments: list[str], message: str, build: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "train/sft.py", "--config", str(RECIPE), *SMALL, f"--data.build={build}"]
    command += [f"--training.output_dir={tmp_path / 'run'}", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 2, done.stderr[-2000:]
    assert message in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run" / "final").exists()
