"""Before the first step: what identifies a run, which adapters it gets, and a look at what it will learn."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from typing import Any

import torch
from accelerate.utils import parse_flag_from_env
from peft import PeftModel
from rich.console import Console
from rich.table import Table
from rich.text import Text
from trl import SFTTrainer

from launch.errors import InputError
from launch.hybrid import ensure_packed_rows, has_mamba_blocks
from train.config import TrainConfig
from train.lora import coverage
from train.prepare import RunData, finished_manifest

# What may differ between two starts of the same run: where it writes and how it talks.
_NOT_IDENTITY = {"output_dir", "resume_from_checkpoint", "disable_tqdm", "report_to", "run_name", "logging_dir"}


def describe_run(config: TrainConfig) -> dict[str, Any]:
    """The run as flat, JSON-able key → value: every recipe key that changes the result, and the build's manifest hash.

    Raises:
        InputError: data.build is no finished build.
    """
    manifest = finished_manifest(config.data)
    run: dict[str, Any] = {"data_manifest_sha256": hashlib.sha256(manifest.read_bytes()).hexdigest()}
    for group in ("model", "data", "lora"):
        values = getattr(config, group)
        for key, value in (dataclasses.asdict(values) if values is not None else {}).items():
            run[f"{group}.{key}"] = value
    training = {key: value for key, value in config.training.to_dict().items() if key not in _NOT_IDENTITY}
    return run | {f"training.{key}": value for key, value in training.items()}


def check_launch(device: torch.device) -> None:
    """See that the launcher's configuration is what the processes got.

    Raises:
        InputError: FSDP was asked for on CPUs, where accelerate takes DDP and says nothing.
    """
    if device.type == "cpu" and parse_flag_from_env("ACCELERATE_USE_FSDP"):
        raise InputError(
            "the launch configuration asks for FSDP, which accelerate gives to accelerators only; on CPUs use "
            "launch/accelerate/zero3.yaml, which shards there too, or cpu_ddp.yaml"
        )


def check_packed_rows(trainer: SFTTrainer) -> None:
    """Let the loaded model read two short documents packed and apart, and print what keeps them apart.

    Models without a state are tried only where the run packs: other hybrids (Bamba, Falcon-H1) leak as well.

    Raises:
        InputError: nothing keeps them apart.
    """
    model: Any = trainer.model
    args: Any = trainer.args
    packs = args.packing or args.eval_packing or args.padding_free
    if not packs and not has_mamba_blocks(model):
        return
    plugin: Any = trainer.args.deepspeed_plugin
    sharded = "FSDP" if trainer.is_fsdp_enabled else "ZeRO-3" if plugin and plugin.zero_stage == 3 else None
    if sharded:
        found = f"packed rows: not tried out on this model, whose weights {sharded} spreads over the processes"
    else:
        model.to(trainer.args.device)  # DeepSpeed would move it only later
        found = ensure_packed_rows(model)
    if trainer.is_world_process_zero():
        Console(soft_wrap=True).print(found, highlight=False)


def _coverage_table(model: PeftModel) -> Table:
    table = Table("block", "with adapters", "linear layers with adapters", title="Adapters")
    for kind, reached in coverage(model).items():
        layers = f"{reached.adapted_modules} of {reached.modules}"
        table.add_row(kind, f"{reached.adapted} of {reached.blocks}", layers)
    return table


def show_run(data: RunData, trainer: SFTTrainer) -> None:
    """Print the mixture, the size of the model and the first sequence, with what is learned of it in green."""
    console = Console()
    table = Table("language", "training rows", "evaluation rows", title="Mixture")
    for language, count in data.counts.items():
        # Not the length of the data set: with packing a sequence holds several.
        evaluated = data.report["evaluation"].get(language, {}).get("examples", 0)
        table.add_row(language, f"{count:,}", f"{evaluated:,}")
    console.print(table)
    # Typed loosely: the trainer's attributes may be None or streams in general, and are neither here.
    model: Any = trainer.model
    sequences: Any = trainer.train_dataset
    tokenizer: Any = trainer.processing_class
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    total, trained = sum(size for size, _ in sizes), sum(size for size, requires_grad in sizes if requires_grad)
    console.print(f"{total:,} parameters, {trained:,} of them trained; {len(sequences):,} sequences")
    if isinstance(model, PeftModel):
        console.print(_coverage_table(model))
    shown = Text("First sequence (what is learned in green):\n")
    tokens = zip(sequences[0]["input_ids"], sequences[0]["labels"], strict=True)
    # Whole stretches, since a letter may be several tokens.
    for learned, stretch in itertools.groupby(tokens, key=lambda pair: pair[1] != -100):
        shown.append(tokenizer.decode([token for token, _ in stretch]), style="green" if learned else "dim")
    console.print(shown)
