"""Checkpoints of a run: which one is whole, whether it may be gone on from, and loading it so that it really is."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM
from trl import SFTTrainer

from launch.errors import InputError
from launch.files import write_whole

RUN_FILE = "run.json"
_CHECKPOINT_NAME = re.compile(r"checkpoint-(\d+)")


def last_checkpoint(output_dir: Path) -> Path | None:
    """The newest whole checkpoint; one that was torn while it was written is passed over.

    The Trainer writes ``trainer_state.json`` last, so a checkpoint is whole when that file can be parsed.
    """
    named = [(int(match[1]), path) for path in output_dir.glob("checkpoint-*") if (match := _matches(path))]
    return next((path for _, path in sorted(named, reverse=True) if _is_whole(path)), None)


def check_same_run(output_dir: Path, run: dict[str, Any]) -> None:
    """Compare ``run`` (recipe and data hash, flat) with the one that ``output_dir`` was started with, and keep it.

    Raises:
        InputError: they differ; the message names the keys.
    """
    path = output_dir / RUN_FILE
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        changed = sorted(key for key in before.keys() | run.keys() if before.get(key) != run.get(key))
        if changed:
            key = changed[0]
            raise InputError(
                f"{output_dir} holds a run with another recipe ({key}: {before.get(key)!r}, now {run.get(key)!r}"
                f"{f'; {len(changed) - 1} more keys differ' if len(changed) > 1 else ''}); "
                "choose another training.output_dir, or start over with --overwrite true"
            )
        return
    write_whole(path, json.dumps(run, indent=2, sort_keys=True))


def forget_run(output_dir: Path) -> None:
    """Remove what a run wrote to ``output_dir``: for starting over. A folder that is no run is not touched."""
    if (output_dir / RUN_FILE).is_file():
        shutil.rmtree(output_dir)


class ResumingSFTTrainer(SFTTrainer):
    """TRL's trainer, whose resume of a full fine-tune loads every weight or fails.

    transformers saves ``nemotron_h`` under the names of the hub (``backbone.…``), and the stock resume loads them
    non-strictly into ``model.…``: nothing matches, a warning is logged, and training goes on from the initial weights.
    Here the checkpoint goes through ``from_pretrained``, which knows the renaming, and is then loaded strictly.
    """

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        if model is None:
            model = self.accelerator.unwrap_model(self.model)
        special = self.is_deepspeed_enabled or self.is_fsdp_enabled or not hasattr(model, "config")
        if special or (Path(resume_from_checkpoint) / "adapter_config.json").is_file():
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        load_weights_strictly(model, resume_from_checkpoint)


def load_weights_strictly(model: nn.Module, checkpoint: str | Path) -> None:
    """Copy the checkpoint's weights into ``model``.

    Raises:
        InputError: the checkpoint lacks a weight, or has one of another shape or one that the model has not.
    """
    outcome: Any = AutoModelForCausalLM.from_pretrained(
        checkpoint, dtype=next(model.parameters()).dtype, output_loading_info=True
    )
    loaded, info = outcome
    wrong = {key: sorted(map(str, names)) for key, names in info.items() if names and key.endswith(("_keys", "_msgs"))}
    if wrong:
        kind, names = next(iter(wrong.items()))
        raise InputError(f"{checkpoint} cannot be resumed from: {kind.replace('_', ' ')}: {', '.join(names[:3])}")
    with torch.no_grad():
        model.load_state_dict(loaded.state_dict(), strict=True)


def _matches(path: Path) -> re.Match[str] | None:
    return _CHECKPOINT_NAME.fullmatch(path.name)


def _is_whole(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True
