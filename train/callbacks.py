"""What is looked at while the first steps run: the dtypes in force, and that all that is trained gets a gradient."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from launch.errors import InputError, some_of
from train.optimizer import trained_ssm_parameters

# Optimizer steps in a row that may have nothing to learn before a run ends for it.
_MOST_EMPTY_STEPS = 3
# The experts of a mixture that no token was sent to have no gradient, and that is right.
_MAY_BE_ZERO = (".experts.",)


class PrecisionReport(TrainerCallback):
    """Says which dtype ``A_log``, ``D`` and ``dt_bias`` are stored and updated in, as the engine really has them."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Look and print.

        Raises:
            InputError: they would be updated in less than float32.
        """
        model: Any = self._trainer.model
        lines = [
            line for line in (ssm_precision(self._trainer, model), _rounded_updates(self._trainer, model)) if line
        ]
        for line in lines if state.is_world_process_zero else []:
            print(line, flush=True)


def ssm_precision(trainer: Trainer, model: nn.Module) -> str | None:
    """One line on the dtypes of the trained SSM parameters; None where there are none.

    Raises:
        InputError: master copy and update are not in float32.
    """
    parameters = trained_ssm_parameters(model)
    if not parameters:
        return None
    name, parameter = next(iter(parameters.items()))
    stored = _short(parameter.dtype)
    by = "the stored copy is the master"
    masters = {parameter.dtype for parameter in parameters.values()}
    if trainer.is_deepspeed_enabled:
        from deepspeed.utils import safe_get_full_fp32_param

        held = [safe_get_full_fp32_param(parameter) for parameter in parameters.values()]
        masters = {p.dtype if m is None else m.dtype for m, p in zip(held, parameters.values(), strict=True)}
        by = "DeepSpeed keeps the masters"
    if masters != {torch.float32}:
        raise InputError(
            f"{name} would be updated in {_short(next(iter(masters - {torch.float32})))}, which rounds its steps "
            "away; set training.bf16 to true, so that a float32 master copy is kept, or model.dtype to float32"
        )
    return f"A_log, D, dt_bias: master copy and update in float32, stored in {stored} ({by}), no weight decay"


def _rounded_updates(trainer: Trainer, model: nn.Module) -> str | None:
    """A warning where trained weights are updated in a dtype that rounds small steps away."""
    if trainer.is_deepspeed_enabled:
        return None
    low = [p for p in model.parameters() if p.requires_grad and p.dtype in (torch.bfloat16, torch.float16)]
    if not low:
        return None
    return (
        f"warning: {sum(p.numel() for p in low):,} trained parameters are stored and updated in "
        f"{_short(low[0].dtype)}: a step below 1/256 of a weight is lost in rounding; model.dtype float32 with "
        "training.bf16 true keeps it"
    )


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


class GradientCheck(TrainerCallback):
    """Ends a run in which a trained parameter gets no gradient, instead of letting it go on for hours.

    At the first update every trained parameter must have a finite gradient that is not zero, except ``lora_A``: its
    gradient is a product with ``lora_B``, which starts at zero, so it is looked at after the first update with a
    learning rate above 0. Under DeepSpeed gradients are whole only between backward and step, and are read through
    ``safe_get_full_grad``.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._pending: set[str] = set()
        self._updated = False
        self._empty_steps = 0
        self._checked = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Note what is trained; under DeepSpeed, whose backward and step are one call, look in between."""
        self._pending = {name for name, _ in self._trained()}
        self._updated, self._empty_steps, self._checked = False, 0, 0
        if self._trainer.is_deepspeed_enabled:
            engine: Any = self._trainer.model_wrapped
            step = engine.step

            def looked_at(*positional: Any, **named: Any) -> Any:
                self._look()
                if not self._pending:
                    engine.step = step
                return step(*positional, **named)

            engine.step = looked_at

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Look at the gradients that the optimizer is about to apply."""
        if not self._trainer.is_deepspeed_enabled:
            self._look()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """A run that is over before everything was seen to learn has not been right either."""
        due = sorted(name for name in self._pending if self._updated or not _is_lora_a(name))
        if self._checked and due and self._empty_steps:
            raise InputError(_no_gradient(due))

    def _trained(self) -> Iterable[tuple[str, nn.Parameter]]:
        model: Any = self._trainer.model
        return ((name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad)

    def _look(self) -> None:
        if not self._pending:
            return
        due = {name for name in self._pending if self._updated or not _is_lora_a(name)}
        self._checked += 1
        if due:
            largest = self._largest_gradients(due)
            self._judge(largest)
        self._updated = self._updated or _learning_rate(self._trainer) > 0

    def _largest_gradients(self, names: set[str]) -> dict[str, float]:
        """Largest absolute gradient by name, over all processes: -1 where there is none, infinite where not finite."""
        values = [_largest(self._gradient(p)) for name, p in self._trained() if name in names]
        found = torch.stack([value.to(self._trainer.args.device) for value in values])
        found = torch.where(found.isfinite(), found, torch.inf)
        if torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1:
            torch.distributed.all_reduce(found, op=torch.distributed.ReduceOp.MAX)
        return dict(zip([name for name, _ in self._trained() if name in names], found.tolist(), strict=True))

    def _gradient(self, parameter: nn.Parameter) -> Tensor | None:
        if not self._trainer.is_deepspeed_enabled:
            return parameter.grad
        from deepspeed.utils import safe_get_full_grad

        gradient: Tensor | None = safe_get_full_grad(parameter)
        return gradient

    def _judge(self, largest: dict[str, float]) -> None:
        infinite = sorted(name for name, value in largest.items() if value == float("inf"))
        if infinite:
            if self._trainer.args.fp16:  # the loss scale is still being found
                return
            named = "every gradient is" if len(infinite) == len(largest) else f"the gradient of {some_of(infinite)} is"
            raise InputError(
                f"{named} infinite or not a number at the first update; look at the learning rate, the dtype and the "
                "weights that the run starts from"
            )
        zero = sorted(name for name, value in largest.items() if value <= 0)
        if (
            len(zero) == len(largest)
            and self._empty_steps + 1 < _MOST_EMPTY_STEPS
            and not all(value < 0 for value in largest.values())
        ):
            self._empty_steps += 1  # nothing to learn in this batch, it seems
            return
        wrong = [name for name in zero if not any(part in name for part in _MAY_BE_ZERO)]
        if wrong:
            raise InputError(_no_gradient(wrong))
        if zero and self._trainer.is_world_process_zero():
            print(f"warning: no gradient yet for {some_of(zero)}: no token was sent to these experts", flush=True)
        self._empty_steps = 0
        self._pending -= set(largest)
        if not self._pending and self._trainer.is_world_process_zero():
            print("gradients: every trained parameter gets one", flush=True)


def _is_lora_a(name: str) -> bool:
    return ".lora_A." in name or ".lora_embedding_B" in name


def _largest(gradient: Tensor | None) -> Tensor:
    if gradient is None:
        return torch.tensor(-1.0)
    local: Any = gradient.to_local() if hasattr(gradient, "to_local") else gradient
    return local.detach().abs().max().float() if local.numel() else torch.tensor(-1.0)


def _learning_rate(trainer: Trainer) -> float:
    optimizer: Any = trainer.optimizer
    return max(float(group["lr"]) for group in optimizer.param_groups)


def _no_gradient(names: list[str]) -> str:
    return (
        f"no gradient reaches {some_of(names)}: trained parameters that would never learn; freeze them or leave them "
        "out of lora.target_modules"
    )
