"""What the optimizer must do with the small tensors that steer the state space model, and with norms and biases.

``A_log``, ``D`` and ``dt_bias`` act through exponentials over thousands of steps, and a usual update of them is far
below the rounding of bfloat16: they are updated in float32 and never decayed. Nor are conv1d, norms and biases.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from launch.errors import InputError

SSM_PARAMETERS = ("A_log", "D", "dt_bias")
# Where the float32 values are kept in the state of the optimizer.
_STATE_KEY = "ssm_parameters_float32"


def trained_ssm_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters ``A_log``, ``D`` and ``dt_bias`` of every Mamba block that are trained, by full name."""
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and name.rpartition(".")[2] in SSM_PARAMETERS
    }


def decayed_parameters(model: nn.Module) -> list[str]:
    """Names of the parameters that weight decay pulls towards zero: matrices and embeddings.

    Told by the names of parameters and the types of modules, since under ZeRO-3 shapes say nothing. The stock rule
    decays ``A_log``, ``D``, ``conv1d.weight`` and the last norm of ``nemotron_h``.
    """
    return [
        f"{path}.{name}" if path else name
        for path, module in model.named_modules()
        if not isinstance(module, nn.Conv1d) and "norm" not in type(module).__name__.lower()
        for name, _ in module.named_parameters(recurse=False)
        if name not in SSM_PARAMETERS and "bias" not in name
    ]


def check_decay(optimizer: Any, model: nn.Module) -> None:
    """See that no parameter is decayed that should not be, whatever made the optimizer's groups.

    Raises:
        InputError: one is; the message names it.
    """
    decayed = set(decayed_parameters(model))
    spared = {id(parameter): name for name, parameter in model.named_parameters() if name not in decayed}
    for group in optimizer.param_groups:
        wrong = [spared[id(parameter)] for parameter in group["params"] if id(parameter) in spared]
        if wrong and group.get("weight_decay"):
            raise InputError(
                f"the optimizer would decay {wrong[0]} (weight decay {group['weight_decay']:g}), and {len(wrong) - 1} "
                "more that should not be; set training.weight_decay to 0, or choose another training.optim"
            )


def store_in_float32(parameters: dict[str, nn.Parameter]) -> None:
    """Make the parameters float32 in place: the stored copy is the master, whatever the rest of the model is."""
    for parameter in parameters.values():
        parameter.data = parameter.data.float()


def keep_in_optimizer_state(optimizer: torch.optim.Optimizer, parameters: dict[str, nn.Parameter]) -> None:
    """Save the float32 values with the optimizer, and put them back when its state is loaded.

    A resume reads the weights in the dtype of the model: what the masters have beyond bfloat16 would be rounded away.
    """

    def save(_: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
        return {**state, _STATE_KEY: {name: parameter.detach().clone() for name, parameter in parameters.items()}}

    def load(_: torch.optim.Optimizer, state: dict[str, Any]) -> None:
        saved: dict[str, Tensor] = state.get(_STATE_KEY, {})
        with torch.no_grad():
            for name, value in saved.items():
                parameters[name].copy_(value)

    optimizer.register_state_dict_post_hook(save)
    optimizer.register_load_state_dict_pre_hook(load)
