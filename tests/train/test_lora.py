"""Which modules get adapters: presets that reach every block; targets that would do nothing are refused."""

from __future__ import annotations

from typing import Any

import pytest
from peft import get_peft_model
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, NemotronHConfig, NemotronHForCausalLM, PreTrainedModel

from launch.errors import InputError
from train.config import LoraConfig
from train.lora import (
    HYBRID_LORA_TARGETS,
    PRESETS,
    Coverage,
    coverage,
    lora_config,
    raw_weight_modules,
    resolve_targets,
)

SIZES: dict[str, Any] = {
    "vocab_size": 32,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "num_hidden_layers": 1,
    "pad_token_id": 0,
}


def hybrid() -> NemotronHForCausalLM:
    sizes = {key: value for key, value in SIZES.items() if key != "num_hidden_layers"}
    mamba = {"ssm_state_size": 4, "mamba_num_heads": 2, "mamba_head_dim": 8, "n_groups": 1}
    return NemotronHForCausalLM(NemotronHConfig(**sizes, **mamba, hybrid_override_pattern="MM*-"))


# Two layers: Bamba has attention in the second alone.
MAMBA_SIZES: dict[str, Any] = {
    "num_hidden_layers": 2,
    "mamba_n_heads": 4,
    "mamba_d_head": 8,
    "mamba_d_state": 4,
    "mamba_n_groups": 1,
    "mamba_chunk_size": 8,
}
MAMBA: dict[str, dict[str, Any]] = {
    "bamba": {**MAMBA_SIZES, "attn_layer_indices": [1]},
    "falcon_h1": {**MAMBA_SIZES, "mamba_d_ssm": 32},
}


def new_model(model_type: str) -> Any:
    if model_type == "nemotron_h":
        return hybrid()
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **{**SIZES, **MAMBA.get(model_type, {})}))


def llama() -> PreTrainedModel:
    return AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", **SIZES))


@pytest.mark.parametrize("said", [None, "auto", ["auto"]])
def test_nothing_said_is_the_preset_of_the_architecture(said: list[str] | str | None) -> None:
    assert resolve_targets(said, hybrid()) == list(HYBRID_LORA_TARGETS)


@pytest.mark.parametrize("model_type", PRESETS)
def test_a_preset_reaches_every_linear_layer_that_it_can(model_type: str) -> None:
    model = new_model(model_type)
    raw, head = set(raw_weight_modules(model)), model.get_output_embeddings()
    reachable = {
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module is not head and name not in raw
    }
    reached = {name for name in reachable if name.rpartition(".")[2] in PRESETS[model_type]}
    assert reached == reachable
    # Every name of it is there, or falls to an error that names it.
    assert resolve_targets(list(PRESETS[model_type]), model) == resolve_targets("auto", model)


# Type of block → blocks, of them with adapters, linear layers and convolutions, of them with adapters. In two layers
# Bamba has a Mamba and an attention mixer, Falcon-H1 both in each, every layer an MLP of three.
OTHER_HYBRIDS = {
    "bamba": {"mamba": (1, 1, 3, 1), "attention": (1, 1, 4, 4), "mlp": (2, 2, 6, 6)},
    "falcon_h1": {"mamba": (2, 2, 6, 2), "attention": (2, 2, 8, 8), "mlp": (2, 2, 6, 6)},
}


@pytest.mark.parametrize("model_type", OTHER_HYBRIDS)
def test_the_preset_of_another_hybrid_reaches_every_type_of_block(model_type: str) -> None:
    model = new_model(model_type)
    adapted = get_peft_model(model, lora_config(LoraConfig(r=2), model))
    assert coverage(adapted) == {kind: Coverage(*counts) for kind, counts in OTHER_HYBRIDS[model_type].items()}
    trained = {name for name, parameter in adapted.named_parameters() if parameter.requires_grad}
    assert not [name for name in trained if "out_proj" in name or "conv1d" in name]


@pytest.mark.parametrize("model_type", OTHER_HYBRIDS)
@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (["in_proj", "q_prog"], "the model has no module 'q_prog'; nearest: .*q_proj"),
        (["out_proj"], r"matches model\.layers\.0\.mamba\.out_proj: the fused Mamba kernels take its weight raw"),
        (["conv1d"], "the fused Mamba kernels take its weight raw"),
        ("all-linear", "all-linear includes conv1d and out_proj of the Mamba blocks"),
    ],
)
def test_another_hybrid_refuses_what_would_do_nothing(model_type: str, targets: list[str] | str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        lora_config(LoraConfig(target_modules=targets), new_model(model_type))


def test_what_adapters_reach_is_told_by_block() -> None:
    model = hybrid()
    adapted = get_peft_model(model, lora_config(LoraConfig(r=2, target_modules=["q_proj", "in_proj"]), model))
    assert coverage(adapted) == {
        "mamba": Coverage(blocks=2, adapted=2, modules=6, adapted_modules=2),
        "attention": Coverage(blocks=1, adapted=1, modules=4, adapted_modules=1),
        "mlp": Coverage(blocks=1, adapted=0, modules=2, adapted_modules=0),
    }


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (["q_proj", "qq_proj"], r"the model has no module 'qq_proj'; nearest: q_proj"),
        (["gate_proj"], r"the model has no module 'gate_proj'; nearest: "),
        ([".*q_proj"], r"no module '\.\*q_proj' \(a regular expression stands alone, not in a list\)"),
        ([], "is empty"),
        ("(", "no regular expression"),
        (
            ["out_proj"],
            r"'out_proj' matches model\.layers\.0\.mixer\.out_proj: the fused Mamba kernels take",
        ),
        (["conv1d"], "the fused Mamba kernels take its weight raw"),
        (["q_proj", "layers.1.mixer.out_proj"], "the fused Mamba kernels take its weight raw"),
        (["model.layers.1.mixer.conv1d"], "the fused Mamba kernels take its weight raw"),
        (r".*\.(q|out)_proj", "the fused Mamba kernels take its weight raw"),
        (r".*proj", "the fused Mamba kernels take its weight raw"),
        ("out_proj", "the fused Mamba kernels take its weight raw"),
        ("all-linear", r"all-linear includes conv1d and out_proj of the Mamba blocks.*use auto: q_proj"),
        (["all-linear"], "all-linear includes"),
        (["q_proj", "All-Linear"], "all-linear includes"),
        (["lm_head"], "the loss takes the weight of the head raw"),
        (["mixer"], r"matches model\.layers\.0\.mixer, a NemotronHMamba2Mixer, which takes no adapter"),
    ],
)
def test_a_target_that_would_do_nothing_is_refused(targets: list[str] | str, message: str) -> None:
    with pytest.raises(InputError, match=rf"lora\.target_modules.*{message}"):
        lora_config(LoraConfig(target_modules=targets), hybrid())


@pytest.mark.parametrize("targets", [["q_proj"], "q_proj", "layers.2.mixer.q_proj", r".*\.q_proj"])
def test_a_name_a_path_and_an_expression_reach_the_same_layer(targets: list[str] | str) -> None:
    model = hybrid()
    adapted = get_peft_model(model, lora_config(LoraConfig(r=2, target_modules=targets), model))
    assert coverage(adapted)["attention"].adapted_modules == 1


def test_a_model_without_mamba_may_have_all_linear() -> None:
    assert resolve_targets("all-linear", llama()) == "all-linear"


def test_an_architecture_without_a_preset_is_asked_for_names() -> None:
    model = llama()
    model.config.model_type = "novel"
    with pytest.raises(InputError, match="no preset for the architecture 'novel'; name the modules: down_proj"):
        resolve_targets("auto", model)
