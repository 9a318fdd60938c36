"""Before the first step: what identifies a run, which adapters it gets, and a look at what it will learn."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from typing import Any

from peft import LoraConfig as PeftLoraConfig
from rich.console import Console
from rich.table import Table
from rich.text import Text
from transformers import PreTrainedModel
from trl import SFTTrainer

from launch.errors import InputError
from train.config import LoraConfig, TrainConfig
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


def lora_config(config: LoraConfig | None, model: PreTrainedModel) -> PeftLoraConfig | None:
    """PEFT's configuration; None for a full fine-tune.

    Raises:
        InputError: a target that no module of the model has (PEFT would pass over it in silence).
    """
    if config is None:
        return None
    names = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    unmatched = [target for target in config.target_modules if target not in names]
    if unmatched:
        raise InputError(f"lora.target_modules: the model has no module '{unmatched[0]}'")
    return PeftLoraConfig(
        r=config.r,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=list(config.target_modules),
        task_type="CAUSAL_LM",
    )


def show_run(data: RunData, trainer: SFTTrainer) -> None:
    """Print the mixture, the size of the model and the first sequence, with what is learned of it in green."""
    console = Console()
    table = Table("language", "training rows", "evaluation rows", title="Mixture")
    for language, count in data.counts.items():
        table.add_row(language, f"{count:,}", f"{len(data.evaluation.get(language, ())):,}")
    console.print(table)
    # Typed loosely: the trainer's attributes may be None or streams in general, and are neither here.
    model: Any = trainer.model
    sequences: Any = trainer.train_dataset
    tokenizer: Any = trainer.processing_class
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    total, trained = sum(size for size, _ in sizes), sum(size for size, requires_grad in sizes if requires_grad)
    console.print(f"{total:,} parameters, {trained:,} of them trained; {len(sequences):,} sequences")
    shown = Text("First sequence (what is learned in green):\n")
    tokens = zip(sequences[0]["input_ids"], sequences[0]["labels"], strict=True)
    # Whole stretches, since a letter may be several tokens.
    for learned, stretch in itertools.groupby(tokens, key=lambda pair: pair[1] != -100):
        shown.append(tokenizer.decode([token for token, _ in stretch]), style="green" if learned else "dim")
    console.print(shown)
