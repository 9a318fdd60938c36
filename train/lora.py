"""Which modules get adapters: presets by architecture, targets checked against the model, what they cover."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from peft import LoraConfig as PeftLoraConfig
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from launch.errors import InputError
from train.config import LoraConfig

# Everything in a hybrid block that LoRA can reach: out_proj and conv1d are handed to the fused kernels as raw weights,
# so an adapter there would never be trained.
HYBRID_LORA_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "in_proj", "up_proj", "down_proj")
LLAMA_LORA_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_LLAMA_LIKE = ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "granite", "smollm3", "olmo2")
# Every linear layer of a block that LoRA can reach, by model_type.
PRESETS: dict[str, tuple[str, ...]] = {
    "nemotron_h": HYBRID_LORA_TARGETS,
    "falcon_h1": (*LLAMA_LORA_TARGETS, "in_proj"),
    "bamba": (*LLAMA_LORA_TARGETS, "in_proj"),
    **dict.fromkeys(_LLAMA_LIKE, LLAMA_LORA_TARGETS),
    "nemotron": ("q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj"),
    "phi3": ("qkv_proj", "o_proj", "gate_up_proj", "down_proj"),
    "gpt_neox": ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"),
}
AUTO = "auto"
ALL_LINEAR = "all-linear"
# Children of a Mamba mixer whose weights its kernels take as they are, past the forward of the module.
_RAW_IN_A_MIXER = ("out_proj", "conv1d", "x_proj", "dt_proj")
_RAW_REASON = "the fused Mamba kernels take its weight raw, past the module, so an adapter there would never train"
# Type of a block by what its class is called.
_KINDS = {"attention": "attention", "moe": "moe", "sparse": "moe", "mlp": "mlp", "feedforward": "mlp"}
_ADAPTABLE = (nn.Linear, nn.Embedding, nn.Conv1d, nn.Conv2d, nn.Conv3d, Conv1D)


def lora_config(config: LoraConfig | None, model: PreTrainedModel) -> PeftLoraConfig | None:
    """PEFT's configuration; None for a full fine-tune.

    Raises:
        InputError: a target that no module of the model has (PEFT would pass over it in silence), one that cannot be
            adapted or would never train, or no preset for the architecture.
    """
    if config is None:
        return None
    targets = resolve_targets(config.target_modules, model)
    return PeftLoraConfig(
        r=config.r,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )


def resolve_targets(targets: list[str] | str | None, model: PreTrainedModel) -> list[str] | str:
    """The targets as PEFT takes them: names (each matches the end of a module's path) or one regular expression.

    Args:
        targets: None or "auto" for the preset of the architecture; a list of names; a regular expression over whole
            module paths; or "all-linear", which only models without Mamba blocks take.
        model: the model without adapters.

    Raises:
        InputError: as in ``lora_config``.
    """
    if isinstance(targets, list):
        targets = next((t for t in targets if t.lower() == ALL_LINEAR or [t.lower()] == targets == [AUTO]), targets)
    if targets is None or (isinstance(targets, str) and targets.lower() == AUTO):
        return list(_preset(model))
    if isinstance(targets, str) and targets.lower() == ALL_LINEAR:
        raw = sorted({name.rpartition(".")[2] for name in raw_weight_modules(model)})
        if raw:
            raise InputError(
                f"lora.target_modules: all-linear includes {' and '.join(raw)} of the Mamba blocks, and "
                f"{_RAW_REASON.replace('its weight', 'their weights')}; use auto: {', '.join(_preset(model))}"
            )
        return ALL_LINEAR
    if isinstance(targets, str) and re.fullmatch(r"[\w.]+", targets) and not _matches(targets, model):
        targets = [targets]  # a name, not an expression
    if not targets:
        raise InputError("lora.target_modules is empty; leave it out for the preset, or lora for a full fine-tune")
    for target in [targets] if isinstance(targets, str) else targets:
        found = _matches(target, model) if isinstance(targets, str) else _named(target, model)
        if not found:
            raise InputError(_unmatched(target, model))
        for name in found:
            _check_adaptable(target, name, model)
    return targets


def raw_weight_modules(model: nn.Module) -> list[str]:
    """Full names of the modules whose weights the Mamba kernels take raw: children of a mixer with an ``A_log``."""
    return [
        f"{path}.{child}" if path else child
        for path, module in model.named_modules()
        if hasattr(module, "A_log")
        for child, _ in module.named_children()
        if child in _RAW_IN_A_MIXER
    ]


@dataclass(frozen=True)
class Coverage:
    """How much of one type of block has adapters.

    Args:
        blocks: blocks of the type.
        adapted: of them with at least one adapter.
        modules: linear layers in them.
        adapted_modules: of them with an adapter.
    """

    blocks: int
    adapted: int
    modules: int
    adapted_modules: int


def coverage(model: nn.Module) -> dict[str, Coverage]:
    """What the adapters of a model reach, by type of block: mamba, attention, mlp, moe."""
    found: dict[str, list[tuple[int, int]]] = {}
    for kind, block in _blocks(model):
        inner = {name for name, m in block.named_modules() if isinstance(m, BaseTunerLayer)}
        plain = [
            name
            for name, m in block.named_modules()
            if isinstance(m, (nn.Linear, nn.Conv1d, Conv1D)) and not any(name.startswith(f"{i}.") for i in inner)
        ]
        found.setdefault(kind, []).append((len(inner), len({*plain, *inner})))
    return {
        kind: Coverage(len(c), sum(a > 0 for a, _ in c), sum(n for _, n in c), sum(a for a, _ in c))
        for kind, c in found.items()
    }


def _blocks(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    inside: list[str] = []
    for path, module in model.named_modules():
        if any(path.startswith(f"{outer}.") for outer in inside[-1:]):
            continue
        kind = _kind(module)
        if kind is not None:
            inside.append(path)
            yield kind, module


def _kind(module: nn.Module) -> str | None:
    name = type(module).__name__.lower()
    if "A_log" in dict(module.named_parameters(recurse=False)):
        return "mamba"
    if any(module.children()):
        return next((kind for part, kind in _KINDS.items() if part in name), None)
    return None


def _preset(model: PreTrainedModel) -> tuple[str, ...]:
    model_type = model.config.get_text_config().model_type
    preset = PRESETS.get(model_type)
    if preset is None:
        raise InputError(
            f"lora.target_modules: there is no preset for the architecture '{model_type}'; name the modules: "
            f"{', '.join(_linear_names(model))}"
        )
    present = tuple(target for target in preset if _named(target, model))
    return present or preset


def _linear_names(model: PreTrainedModel) -> list[str]:
    """Last names of the linear layers that an adapter may be put on."""
    not_these = set(raw_weight_modules(model))
    head = model.get_output_embeddings()
    modules = {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, (nn.Linear, Conv1D)) and module is not head and name not in not_these
    }
    return sorted(modules)


def _matches(pattern: str, model: nn.Module) -> list[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(f"lora.target_modules: '{pattern}' is no regular expression: {error}") from error
    return [name for name, _ in model.named_modules() if name and compiled.fullmatch(name)]


def _named(target: str, model: nn.Module) -> list[str]:
    return [name for name, _ in model.named_modules() if name == target or name.endswith(f".{target}")]


def _unmatched(target: str, model: PreTrainedModel) -> str:
    last = target.rpartition(".")[2] if re.fullmatch(r"[\w.]+", target) else target
    names = _linear_names(model)
    close = difflib.get_close_matches(last, names, n=3, cutoff=0.5)
    known = f"; nearest: {', '.join(close)}" if close else f"; there are {', '.join(names)}"
    in_list = "" if re.fullmatch(r"[\w.]+", target) else " (a regular expression stands alone, not in a list)"
    return f"lora.target_modules: the model has no module '{target}'{in_list}{known}"


def _check_adaptable(target: str, name: str, model: PreTrainedModel) -> None:
    module = model.get_submodule(name)
    if name in raw_weight_modules(model):
        raise InputError(f"lora.target_modules: '{target}' matches {name}: {_RAW_REASON}; leave it out")
    if module is model.get_output_embeddings():
        raise InputError(
            f"lora.target_modules: '{target}' matches {name}: the loss takes the weight of the head raw, so that an "
            "adapter there would never train; leave it out"
        )
    if not isinstance(module, _ADAPTABLE):
        raise InputError(
            f"lora.target_modules: '{target}' matches {name}, a {type(module).__name__}, which takes no adapter; name "
            f"linear layers: {', '.join(_linear_names(model))}"
        )
