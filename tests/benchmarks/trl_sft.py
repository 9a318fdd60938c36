"""``train/sft.py`` against TRL's own script, ``python -m trl.scripts.sft``: same model, rows, settings and tokens.

Every measurement is a process of its own with an empty cache: it loads the model, tokenises and masks the rows,
trains, and saves the model. Pairs follow each other at once, in an order drawn for each, so that what else the machine
does meets both; ``--together true`` goes further and lets the two of a pair share one core, a moment each. The ratio
is taken of the training (from its first line to its last step, with all that our checks do in it) and of the whole
process; of wall clock and of processor time. Losses and gradient norms are compared step by step.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from tabulate import tabulate
from tqdm import tqdm

from data_prep.build import run_build
from data_prep.config import BuildConfig
from data_prep.sample import SampleConfig
from data_prep.schema import row_from_record
from data_prep.sources import SourceConfig
from eval.stats import compare_paired
from launch.errors import InputError, exit_cleanly
from launch.files import write_whole
from launch.recipe import parse_recipe
from train.config import DataConfig, ModelConfig
from train.model import create_initial_checkpoint
from train.prepare import build_texts, draw_rows, rows_by_language
from train.rendering import to_examples

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SCRIPTS = {"ours": "train/sft.py", "trl": "trl.scripts.sft"}
PACKAGES = ("torch", "transformers", "trl", "datasets", "accelerate")
MEASURES = {
    "training, wall clock": "train_wall_s",
    "training, CPU time": "train_cpu_s",
    "a step after the first, wall clock": "step_wall_s",
    "a step after the first, CPU time": "step_cpu_s",
    "whole process, wall clock": "process_wall_s",
    "whole process, CPU time": "process_cpu_s",
}


@dataclass
class Benchmark:
    """What is trained, on what, how often.

    Args:
        model: folder of the model; without one a new hybrid of the architecture in ``recipe`` is made.
        recipe: a training recipe whose model.architecture is made.
        build: folder of a finished build; without one the built-in sample is built.
        output: the JSON file to write.
        steps: optimizer steps; every row is drawn once.
        batch_size: rows, or packed rows, a backward pass.
        accumulation: backward passes a step.
        packing: pack rows (best-fit decreasing). Not for a hybrid without CUDA kernels: the stock model refuses it.
        max_length: tokens of a row at most.
        learning_rate: constant after one step.
        pairs: how often both are measured.
        together: run the two of a pair at the same time on one core, which changes hands every few milliseconds: a
            machine with other work then slows both down alike. Wall clock says nothing there and is left out.
        seed: of rows, training and the order in each pair.
    """

    model: str = ""
    recipe: str = "recipes/sft/tiny_nemotron_h.yaml"
    build: str = ""
    output: str = "runs/benchmarks/trl_sft.json"
    steps: int = 60
    batch_size: int = 8
    accumulation: int = 1
    packing: bool = False
    max_length: int = 512
    learning_rate: float = 1e-3
    pairs: int = 10
    together: bool = False
    seed: int = 0


def make_inputs(benchmark: Benchmark, folder: Path) -> tuple[Path, DataConfig]:
    """The build's rows as TRL reads them in ``folder/rows``; the model, and our description of the same rows.

    Raises:
        InputError: no such model or build, or a row that is not one example (TRL's form knows no others).
    """
    build = Path(benchmark.build) if benchmark.build else folder / "build"
    if not benchmark.build:
        source = SourceConfig(kind="sample", sample=SampleConfig(train=100, validation=1, test=1, held_out=1))
        run_build(BuildConfig(output_dir=str(build), source=source))
    wanted = benchmark.steps * benchmark.batch_size * benchmark.accumulation
    data = DataConfig(build=str(build), rows=wanted, eval_rows=1, seed=benchmark.seed)
    model = Path(benchmark.model) if benchmark.model else _new_model(benchmark, data, folder)
    rows = rows_by_language(data, data.train_split, folder / "cache")
    (folder / "rows").mkdir()
    with (folder / "rows" / "train.jsonl").open("w", encoding="utf-8") as file:
        for draw in draw_rows(data, rows):
            row = row_from_record(rows[draw.language][draw.index])
            examples = to_examples(row)
            if len(examples) != 1:
                raise InputError(f"row {row.id} has {len(examples)} turns to learn; the comparison needs rows of one")
            file.write(json.dumps(examples[0], ensure_ascii=False) + "\n")
    return model, data


def _new_model(benchmark: Benchmark, data: DataConfig, folder: Path) -> Path:
    """A new hybrid whose time steps both scripts limit alike.

    The stock mixer clamps them to ``(time_step_min, inf)`` and not to the config's ``time_step_limit``, which is
    ``(0, inf)``. We correct that; with a ``time_step_min`` of 0 the stock mixer computes the same.
    """
    model = ModelConfig(**yaml.safe_load((ROOT / benchmark.recipe).read_text(encoding="utf-8"))["model"])
    made = create_initial_checkpoint(model, folder / "model", build_texts(data, folder / "cache"), benchmark.seed)
    config = json.loads((made / "config.json").read_text(encoding="utf-8"))
    if "time_step_min" in config:
        (made / "config.json").write_text(json.dumps(config | {"time_step_min": 0.0}), encoding="utf-8")
    return made


def settings(benchmark: Benchmark, output_dir: Path) -> dict[str, Any]:
    """Keys of TRL's ``SFTConfig`` that both scripts get."""
    return {
        "output_dir": str(output_dir),
        "seed": benchmark.seed,
        "max_steps": benchmark.steps,
        "per_device_train_batch_size": benchmark.batch_size,
        "gradient_accumulation_steps": benchmark.accumulation,
        "packing": benchmark.packing,
        "max_length": benchmark.max_length,
        "learning_rate": benchmark.learning_rate,
        "lr_scheduler_type": "constant_with_warmup",
        "warmup_steps": 1,
        # Ours decays matrices and embeddings only, the stock Trainer a hybrid's A_log, D and conv1d as well.
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "activation_checkpointing": False,
        "logging_steps": 1,
        "save_strategy": "no",
        "eval_strategy": "no",
        "bf16": False,
        "use_cpu": True,
        "disable_tqdm": True,
        "report_to": "none",
    }


@dataclass
class _Run:
    """A process that was started, and where it writes."""

    script: str
    process: subprocess.Popen[str]
    folder: Path
    started: float


def start(script: str, benchmark: Benchmark, model: Path, data: DataConfig, rows: Path) -> _Run:
    """One run in a process of its own, with an empty cache."""
    folder = Path(tempfile.mkdtemp(dir=rows.parent))
    shared = settings(benchmark, folder / "run")
    if script == "ours":
        name = {"name_or_path": str(model), "dtype": "float32"}
        recipe: dict[str, Any] = {"model": name, "data": asdict(data), "training": shared}
    else:
        recipe = {**shared, "model_name_or_path": str(model), "dtype": "float32", "dataset_name": str(rows)}
    config, result = folder / "config.yaml", folder / "result.json"
    config.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    command = [sys.executable, str(HERE / "timed_training.py"), str(result), SCRIPTS[script], "--config", str(config)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "cache")}
    started = time.perf_counter()
    with (folder / "output").open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, text=True
        )
    return _Run(script, process, folder, started)


def finish(run: _Run, steps: int) -> dict[str, Any]:
    """Wait for a run, and what it took.

    Raises:
        RuntimeError: the script failed.
    """
    _, status, usage = os.wait4(run.process.pid, 0)
    wall = time.perf_counter() - run.started
    if status != 0:
        said = (run.folder / "output").read_text(encoding="utf-8")[-3000:]
        raise RuntimeError(f"{run.script} ended with {os.waitstatus_to_exitcode(status)}: {said}")
    timed = json.loads((run.folder / "result.json").read_text(encoding="utf-8"))
    shutil.rmtree(run.folder)
    measured: dict[str, Any] = {key: timed[key] for key in ("loss", "grad_norm", "num_tokens")}
    measured |= {"process_wall_s": wall, "process_cpu_s": usage.ru_utime + usage.ru_stime}
    for clock in ("wall", "cpu"):
        seconds = timed[f"{clock}_s"]
        measured[f"train_{clock}_s"] = seconds[-1]
        measured[f"step_{clock}_s"] = (seconds[steps] - seconds[1]) / (steps - 1)
    return measured


def measure_pair(
    order: Sequence[str], core: int | None, benchmark: Benchmark, model: Path, data: DataConfig, rows: Path
) -> list[dict[str, Any]]:
    """Both scripts in this order: one after the other, or both at once on ``core``."""
    if core is None:
        finished = [finish(start(script, benchmark, model, data, rows), benchmark.steps) for script in order]
    else:
        started = [start(script, benchmark, model, data, rows) for script in order]
        for run in started:
            os.sched_setaffinity(run.process.pid, {core})
        finished = [finish(run, benchmark.steps) for run in started]
    return [{"script": script, **measured} for script, measured in zip(order, finished, strict=True)]


def summary(runs: Sequence[dict[str, Any]], measures: Sequence[str]) -> str:
    """A Markdown table of both scripts' times and their ratios, and under it how alike the steps are."""
    sides = [[run for run in runs if run["script"] == script] for script in SCRIPTS]
    pairs = list(zip(*sides, strict=True))
    table = [
        {
            "seconds": name,
            **{script: _spread([run[key] for run in side]) for script, side in zip(SCRIPTS, sides, strict=True)},
            "ours ÷ TRL": _ratio(pairs, key),
        }
        for name, key in MEASURES.items()
        if name in measures
    ]
    lines = [tabulate(table, headers="keys", tablefmt="github", disable_numparse=True), ""]
    for key, name in (("loss", "losses"), ("grad_norm", "gradient norms"), ("num_tokens", "tokens")):
        furthest = max(abs(a - b) for one, two in pairs for a, b in zip(one[key], two[key], strict=True))
        lines.append(f"{name} of {len(pairs[0][0][key])} steps: largest difference {furthest:g}")
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3g} ({min(values):.3g}–{max(values):.3g})"


def _ratio(pairs: Sequence[tuple[dict[str, Any], ...]], measured: str) -> str:
    """Geometric mean of the pairs' ratios with its 95 % interval: a paired t interval of their logarithms."""
    ours, trl = (np.log([run[measured] for run in side]).tolist() for side in zip(*pairs, strict=True))
    found = compare_paired(ours, trl)
    ratio, low, high = np.exp([found.difference, found.low, found.high])
    return f"{ratio:.3f} [{low:.3f}, {high:.3f}]"


def main(argv: Sequence[str]) -> None:
    """Measure all pairs, print the summary, write the JSON file (after every pair)."""
    benchmark = parse_recipe(Benchmark, argv, prog="tests/benchmarks/trl_sft.py", description=__doc__)
    if benchmark.pairs < 2 or benchmark.steps < 2:
        raise InputError("an interval needs at least 2 pairs and 2 steps")
    draw = random.Random(benchmark.seed)
    cores = sorted(os.sched_getaffinity(0))
    runs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        model, data = make_inputs(benchmark, Path(temporary))
        for pair in tqdm(range(benchmark.pairs), unit="pair"):
            order = draw.sample(list(SCRIPTS), 2)
            core = cores[pair % len(cores)] if benchmark.together else None
            found = measure_pair(order, core, benchmark, model, data, Path(temporary, "rows"))
            runs += [{"pair": pair} | run for run in found]
            record = {"benchmark": asdict(benchmark), "versions": {p: version(p) for p in PACKAGES}, "runs": runs}
            write_whole(Path(benchmark.output), json.dumps(record, indent=1))
    print(summary(runs, [name for name in MEASURES if not (benchmark.together and "wall" in name)]))


if __name__ == "__main__":
    exit_cleanly(main)
