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
    """Run one recipe, from the last whole checkpoint on; a signal ends it after a checkpoint (train/signals.py)."""
    from train.versions import check_versions

    check_versions()
    from accelerate import PartialState

    from train.checkpoint_files import agree_on_resume_point, check_same_run, forget_run
    from train.config import TrainConfig
    from train.lora import lora_config
    from train.model import create_initial_checkpoint, load_model
    from train.preflight import check_launch, check_packed_rows, describe_run, show_run
    from train.prepare import build_texts
    from train.prepared import find_or_prepare, show_data
    from train.rendering import load_tokenizer
    from train.signals import StopOnSignal
    from train.trainer import HybridSFTTrainer

    config = parse_recipe(TrainConfig, argv, prog="train/sft.py", description="Fine-tune a model on a build.")
    state = PartialState()
    check_launch(config.training.device)
    stop = StopOnSignal()
    stop.install()
    output_dir = Path(config.training.output_dir or "")
    cache = output_dir / "cache"
    run = describe_run(config)
    # One process writes to the output folder first; the others find what it wrote.
    with state.main_process_first():
        if state.is_main_process:
            if config.overwrite:
                forget_run(output_dir)
            check_same_run(output_dir, run)
        start = config.model.name_or_path or ""
        if config.model.architecture is not None:
            texts = build_texts(config.data, cache)
            start = str(create_initial_checkpoint(config.model, output_dir / "initial", texts, config.training.seed))
        say = print if state.is_main_process else None
        data = find_or_prepare(config, load_tokenizer(config.model, start), start, say)
    model, tokenizer = load_model(config.model, start, data.modes)
    config.training.dataset_kwargs = {"skip_prepare_dataset": True}  # it is tokenised, masked and packed
    trainer = HybridSFTTrainer(
        model=model,
        args=config.training,
        train_dataset=data.train,
        eval_dataset=data.evaluation if config.training.eval_strategy != "no" else None,
        processing_class=tokenizer,
        peft_config=lora_config(config.lora, model),
    )
    if state.is_main_process:
        show_data(data, output_dir)
        show_run(data, trainer)
    check_packed_rows(trainer)
    if config.dry_run:
        return
    resume = agree_on_resume_point(output_dir, state.num_processes, config.training.resume_from_checkpoint)
    if resume.describe():
        state.print(resume.describe())
    trainer.add_callback(stop)
    trainer.train(resume_from_checkpoint=str(resume.checkpoint) if resume.checkpoint else None)
    if stop.stopped_at is None:
        trainer.save_final(output_dir / "final")
    else:
        state.print(stop.describe())
    trainer.end()
    status = 0 if stop.stopped_at is None else stop.exit_status
    if state.num_processes > 1:
        _leave(status)
    sys.exit(status)


def _leave(status: int) -> None:
    """End this process without finalizing the interpreter.

    DeepSpeed keeps its process groups for good, so gloo's threads outlive ``trainer.end()``. One that lets go of its
    last tensor while Python finalizes aborts the process (pytorch/pytorch#179291), and the launcher then reports a run
    as failed that had finished.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    exit_cleanly(main)
