"""TRL's trainer with checkpoints that are whole, and a resume that loads everything or fails."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model_state_dict
from safetensors import safe_open
from torch import nn
from transformers import AutoModelForCausalLM, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl import SFTTrainer

from launch.errors import InputError, some_of
from train.checkpoint_files import remove_old_checkpoints, seal, writing

_ADAPTER_FILE = "adapter_model.safetensors"
_SHOWN_NAMES = 5


class ResumingSFTTrainer(SFTTrainer):
    """TRL's trainer, whose resume of a run loads every weight or fails, and whose checkpoints are whole or not there.

    - transformers saves ``nemotron_h`` under the names of the hub (``backbone.…``), and the stock resume loads them
      non-strictly into ``model.…``: nothing matches, a warning is logged, and training goes on from the initial
      weights. Here the checkpoint goes through ``from_pretrained``, which knows the renaming, and is loaded strictly.
    - What was summed up since the last logged step is kept, so that the first loss after a resume is the mean over as
      many steps as without one, and the count of tokens goes on.
    - A run that had its last step takes no more.
    - The checkpoint before is removed only when the new one is sealed.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._resumed_from: Path | None = None
        self.add_callback(_RestoreSums(self))

    def train(self, resume_from_checkpoint: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train; ``resume_from_checkpoint`` is the folder of a whole checkpoint or None.

        Raises:
            InputError: the checkpoint lacks a weight or has one that the model has not, or one cannot be written.
        """
        self._resumed_from = Path(resume_from_checkpoint) if resume_from_checkpoint else None
        return super().train(resume_from_checkpoint, *args, **kwargs)

    def save_final(self, folder: Path) -> None:
        """Save model and tokenizer to ``folder``, whole or not at all; a collective call.

        Raises:
            InputError: it cannot be written.
        """
        partial = folder.with_name(f"{folder.name}.partial")
        with writing(partial, Path(self.args.output_dir or "")):
            if self.args.should_save:
                shutil.rmtree(partial, ignore_errors=True)
            self.accelerator.wait_for_everyone()
            self.save_model(str(partial))
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                shutil.rmtree(folder, ignore_errors=True)
                os.replace(partial, folder)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        output_dir = Path(self._get_output_dir(trial))
        folder = output_dir / f"checkpoint-{self.state.global_step}"
        if self.args.should_save:
            # Files of an attempt that was cut off, perhaps by another number of processes.
            shutil.rmtree(folder, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        # The stock save removes old checkpoints before all processes have written the new one.
        limit, self.args.save_total_limit = self.args.save_total_limit, None
        try:
            with writing(folder, output_dir):
                super()._save_checkpoint(model, trial)
                self._sums_file(folder).write_text(json.dumps(self._sums()), encoding="utf-8")
                self.accelerator.wait_for_everyone()
                if self.args.should_save:
                    resumable = not self.args.save_only_model
                    seal(folder, processes=self.accelerator.num_processes, resumable=resumable)
        finally:
            self.args.save_total_limit = limit
        if self.args.should_save:
            remove_old_checkpoints(output_dir, limit, self.state.best_model_checkpoint)
        # No process may leave before the checkpoint is sealed: the launcher ends the others when one has left.
        self.accelerator.wait_for_everyone()

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        # The stock loop asks after a step whether the run is over, so a finished one would take a step more.
        if self.state.global_step >= self.state.max_steps:
            self.control.should_training_stop = True
            return
        super()._run_epoch(*args, **kwargs)

    def _sums_file(self, checkpoint: Path) -> Path:
        return checkpoint / f"sums_since_logging_{self.accelerator.process_index}.json"

    def _sums(self) -> dict[str, Any]:
        return {
            "loss": self._tr_loss.item(),
            "last_logged": self._globalstep_last_logged,
            "metrics": dict(self._metrics["train"]),
            "tokens": self._total_train_tokens,
        }

    def _restore_sums(self) -> None:
        if self._resumed_from is None:
            return
        sums = json.loads(self._sums_file(self._resumed_from).read_text(encoding="utf-8"))
        self._tr_loss += sums["loss"]
        self._globalstep_last_logged = sums["last_logged"]
        self._metrics["train"].update(sums["metrics"])
        self._total_train_tokens = sums["tokens"]

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        if model is None:
            model = self.accelerator.unwrap_model(self.model)
        checkpoint = Path(resume_from_checkpoint)
        if (checkpoint / _ADAPTER_FILE).is_file() and not self.is_fsdp_enabled:
            check_adapter_names(model, checkpoint)
        elif not self.is_deepspeed_enabled and not self.is_fsdp_enabled and hasattr(model, "config"):
            load_weights_strictly(model, checkpoint)
            return
        super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _prepare_for_training(self, max_steps: int, train_dataloader: Any, resume_from_checkpoint: Any) -> Any:
        if resume_from_checkpoint is not None and self.is_deepspeed_enabled:
            check_deepspeed_names(self.accelerator.unwrap_model(self.model), Path(resume_from_checkpoint))
        return super()._prepare_for_training(max_steps, train_dataloader, resume_from_checkpoint)


class _RestoreSums(TrainerCallback):
    """Runs after the Trainer has set its sums to zero and before the first step."""

    def __init__(self, trainer: ResumingSFTTrainer) -> None:
        self._trainer = trainer

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._trainer._restore_sums()


def load_weights_strictly(model: nn.Module, checkpoint: str | Path) -> None:
    """Copy the checkpoint's weights into ``model``.

    Raises:
        InputError: the checkpoint lacks a weight, or has one of another shape or one that the model has not.
    """
    try:
        outcome: Any = AutoModelForCausalLM.from_pretrained(
            checkpoint, dtype=next(model.parameters()).dtype, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{checkpoint} cannot be resumed from: {' '.join(str(error).split())[:300]}") from error
    loaded, info = outcome
    wrong = {key: sorted(map(str, names)) for key, names in info.items() if names and key.endswith(("_keys", "_msgs"))}
    if wrong:
        raise InputError(
            f"{checkpoint} cannot be resumed from: "
            + "; ".join(f"{kind.replace('_', ' ')}: {_some(names)}" for kind, names in wrong.items())
        )
    with torch.no_grad():
        model.load_state_dict(loaded.state_dict(), strict=True)


def check_adapter_names(model: nn.Module, checkpoint: Path) -> None:
    """See that the adapter in ``checkpoint`` has exactly the tensors that ``model`` trains; PEFT only warns.

    Raises:
        InputError: a tensor is missing, has another shape, or is not in the model.
    """
    trained = {name: tuple(tensor.shape) for name, tensor in get_peft_model_state_dict(model).items()}
    with safe_open(checkpoint / _ADAPTER_FILE, framework="pt") as file:
        saved = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    _check_names(checkpoint, trained.keys(), saved.keys())
    # Under ZeRO-3 a parameter is empty outside its owner's gathering.
    other = [name for name, shape in trained.items() if saved[name] != shape and 0 not in shape]
    if other:
        raise InputError(f"{checkpoint} cannot be resumed from: other shapes: {_some(other)}")


def check_deepspeed_names(model: nn.Module, checkpoint: Path) -> None:
    """See that a DeepSpeed checkpoint has exactly the parameters that ``model`` trains.

    DeepSpeed copies ZeRO partitions by position and loads adapters non-strictly, so a missing name would not show.

    Raises:
        InputError: a parameter is missing or is not in the model.
    """
    files = sorted(checkpoint.glob("global_step*/*model_states.pt"))
    if not files:
        raise InputError(f"{checkpoint} cannot be resumed from: it holds no DeepSpeed states")
    # As DeepSpeed itself reads it: the file holds plain Python objects beside the tensors.
    states = torch.load(files[0], map_location="cpu", weights_only=False, mmap=True)
    groups = states.get("param_shapes")
    if groups:
        saved = {name for group in groups for name in group}
        _check_names(checkpoint, {n for n, p in model.named_parameters() if p.requires_grad}, saved)


def _check_names(checkpoint: Path, expected: Iterable[str], found: Iterable[str]) -> None:
    missing, unexpected = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    if missing or unexpected:
        lists = (("missing keys", missing), ("unexpected keys", unexpected))
        what = "; ".join(f"{kind}: {_some(names)}" for kind, names in lists if names)
        raise InputError(f"{checkpoint} cannot be resumed from: {what}")


def _some(names: list[str]) -> str:
    return some_of([re.sub(r"^base_model\.model\.", "", name) for name in names], _SHOWN_NAMES)
