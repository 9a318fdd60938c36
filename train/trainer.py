"""The trainer of a run: TRL's, with the optimizer that a hybrid needs and the checks of its first steps."""

from __future__ import annotations

from typing import Any

import torch
from accelerate.utils import DummyOptim
from torch import nn

from launch.errors import InputError
from train.callbacks import GradientCheck, PrecisionReport
from train.checkpoints import ResumingSFTTrainer
from train.optimizer import (
    check_decay,
    decayed_parameters,
    keep_in_optimizer_state,
    store_in_float32,
    trained_ssm_parameters,
)


class HybridSFTTrainer(ResumingSFTTrainer):
    """Updates ``A_log``, ``D`` and ``dt_bias`` in float32, decays only what should be, and looks at the gradients.

    Where one process holds the whole model (alone or in DDP) the SSM parameters are stored in float32. DeepSpeed casts
    the stored copy to the dtype of its configuration and keeps float32 masters of its own; FSDP2 refuses a model of
    several dtypes and keeps float32 itself when it computes in bfloat16. Which is in force is looked up and printed.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Typed loosely: the trainer's attribute may be None in general, and is not here.
        model: Any = self.model
        self._stored_in_float32: dict[str, nn.Parameter] = {}
        if not (self.is_deepspeed_enabled or self.is_fsdp_enabled):
            self._stored_in_float32 = trained_ssm_parameters(model)
            store_in_float32(self._stored_in_float32)
        self.add_callback(PrecisionReport(self))
        self.add_callback(GradientCheck(self))

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log; what TRL adds to an evaluation gets the name of its set, as the loss has it (``eval_fr_…``).

        TRL calls it ``eval_mean_token_accuracy`` for every set, so that in a tracker each overwrites the one before.
        """
        loss = next((key for key in logs if key.startswith("eval_") and key.endswith("_loss")), None)
        if loss is not None:
            found = self._metrics["eval"]
            for key in sorted(found.keys() - {"num_tokens"}):  # training tokens so far, the same for every set
                values = found.pop(key)
                logs[f"{loss.removesuffix('loss')}{key}"] = sum(values) / len(values)
        super().log(logs, start_time)

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        """Of all parameters those that weight decay applies to."""
        return decayed_parameters(model)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """The stock optimizer; what must not be decayed is not, and float32 values are saved with it.

        Raises:
            InputError: the optimizer would decay what must not be.
        """
        is_new = self.optimizer is None
        optimizer = super().create_optimizer(model)
        trained: Any = self.model if model is None else model
        if isinstance(optimizer, DummyOptim):
            if self.args.weight_decay:
                raise InputError(
                    "the DeepSpeed configuration has an optimizer of its own, which decays every parameter, A_log, D "
                    "and norms among them; leave that section out, or set training.weight_decay to 0"
                )
            return optimizer
        check_decay(optimizer, trained)
        if is_new and self._stored_in_float32:
            keep_in_optimizer_state(optimizer, self._stored_in_float32)
        return optimizer
