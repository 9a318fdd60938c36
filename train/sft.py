"""Supervised fine-tuning: ``accelerate launch train/sft.py --config recipes/sft/X.yaml``.

A table of contents: read the recipe, draw and render the data, make or load the model, train, save.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from launch.errors import exit_cleanly
from launch.recipe import parse_recipe


def main(argv: Sequence[str]) -> None:
    """Run one recipe; the same command goes on from the last whole checkpoint."""
    from accelerate import PartialState

    from train.checkpoints import ResumingSFTTrainer, check_same_run, forget_run, last_checkpoint
    from train.config import TrainConfig
    from train.model import create_initial_checkpoint, load_model
    from train.preflight import describe_run, lora_config, show_run
    from train.prepare import build_texts, load_run_data

    config = parse_recipe(TrainConfig, argv, prog="train/sft.py", description="Fine-tune a model on a build.")
    state = PartialState()
    output_dir = Path(config.training.output_dir or "")
    cache = output_dir / "cache"
    run = describe_run(config)
    # One process writes to the output folder first; the others find what it wrote.
    with state.main_process_first():
        if state.is_main_process:
            if config.overwrite:
                forget_run(output_dir)
            check_same_run(output_dir, run)
        data = load_run_data(config.data, cache)
        start = config.model.name_or_path or ""
        if config.model.architecture is not None:
            texts = build_texts(config.data, cache)
            start = str(create_initial_checkpoint(config.model, output_dir / "initial", texts, config.training.seed))
    model, tokenizer = load_model(config.model, start)
    trainer = ResumingSFTTrainer(
        model=model,
        args=config.training,
        train_dataset=data.train,
        eval_dataset=data.evaluation if config.training.eval_strategy != "no" else None,
        processing_class=tokenizer,
        peft_config=lora_config(config.lora, model),
    )
    if state.is_main_process:
        show_run(data, trainer)
    if config.dry_run:
        return
    checkpoint = last_checkpoint(output_dir)
    if checkpoint is not None:
        state.print(f"going on from {checkpoint}")
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    trainer.save_model(str(output_dir / "final"))
    trainer.end()
    if state.num_processes > 1:
        _leave()


def _leave() -> None:
    """End this process with status 0 and without finalizing the interpreter.

    DeepSpeed keeps its process groups for good, so gloo's threads outlive ``trainer.end()``. One that lets go of its
    last tensor while Python finalizes aborts the process (pytorch/pytorch#179291), and the launcher then reports a run
    as failed that had finished.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    exit_cleanly(main)
