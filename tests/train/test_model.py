"""Loading the model of a run: a template that keeps the chain, and 4-bit weights where the kernels allow them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bitsandbytes
import pytest
import torch
import yaml
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, NemotronHConfig, NemotronHForCausalLM, PreTrainedTokenizerFast

import train.model
from launch.errors import InputError
from launch.recipe import parse_recipe
from train.config import ModelConfig, TrainConfig
from train.lora import HYBRID_LORA_TARGETS, lora_config
from train.model import check_chat_template, load_model, train_tokenizer

ROOT = Path(__file__).parents[2]
TEMPLATES = yaml.safe_load((Path(__file__).parent / "cases" / "chat_templates.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(["What is 2 + 3? It is 5."], 300)


@pytest.fixture(scope="module")
def hybrid(tokenizer: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with a block of each kind."""
    folder = tmp_path_factory.mktemp("model") / "hybrid"
    torch.manual_seed(0)
    config = NemotronHConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        hybrid_override_pattern="M*-",
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        intermediate_size=64,
        ssm_state_size=16,
        mamba_num_heads=2,
        mamba_head_dim=32,
        n_groups=1,
    )
    NemotronHForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("case", TEMPLATES, ids=lambda case: case["name"])
def test_a_template_that_would_spoil_training_is_refused(
    case: dict[str, Any], tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer, "chat_template", case["template"])
    if case["error"] is None:
        check_chat_template(tokenizer, "the-model")
    else:
        with pytest.raises(InputError, match=f"chat template of 'the-model' {case['error']}"):
            check_chat_template(tokenizer, "the-model")


def test_a_template_need_not_know_what_the_data_has_not(
    tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no row has a chain the stock template of Nemotron Nano 2 is right; the answer is always asked for."""
    by_name = {case["name"]: case["template"] for case in TEMPLATES}
    monkeypatch.setattr(tokenizer, "chat_template", by_name["content alone, as Nemotron Nano 2 comes"])
    check_chat_template(tokenizer, "the-model", {False})
    monkeypatch.setattr(tokenizer, "chat_template", by_name["always thinking"])
    with pytest.raises(InputError, match="opens <think> although"):
        check_chat_template(tokenizer, "the-model", {False})
    monkeypatch.setattr(tokenizer, "chat_template", by_name["the answer is forgotten"])
    with pytest.raises(InputError, match="does not render the answer"):
        check_chat_template(tokenizer, "the-model", {False})


def test_the_tags_of_the_chain_are_tokens_that_text_keeps(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    for loaded in (tokenizer, PreTrainedTokenizerFast.from_pretrained(tmp_path)):
        ids = loaded("<think>2 + 3</think>5", add_special_tokens=False)["input_ids"]
        assert len([i for i in ids if loaded.convert_ids_to_tokens(i) in ("<think>", "</think>")]) == 2
        assert loaded.decode([*ids, loaded.eos_token_id], skip_special_tokens=True) == "<think>2 + 3</think>5"
        special = {token.content for token in loaded.added_tokens_decoder.values() if token.special}
        assert special == {"<pad>", "<s>", "<SPECIAL_10>", "<SPECIAL_11>", "<SPECIAL_12>"}


@pytest.mark.parametrize("path", sorted((ROOT / "train" / "templates").iterdir()), ids=lambda path: path.stem)
def test_our_templates_pass(path: Path, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer, "chat_template", path.read_text(encoding="utf-8"))
    check_chat_template(tokenizer, "the-model")


def test_the_template_is_looked_at_before_the_weights(hybrid: Path, tmp_path: Path) -> None:
    template = tmp_path / "content_only.jinja"
    template.write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
    weights = hybrid / "model.safetensors"
    weights.rename(tmp_path / "gone")
    try:
        with pytest.raises(InputError, match="does not render the chain"):
            load_model(ModelConfig(str(hybrid), chat_template=str(template)), hybrid)
    finally:
        (tmp_path / "gone").rename(weights)


def test_nf4_spares_what_the_fused_kernels_take_raw(hybrid: Path) -> None:
    model, _ = load_model(ModelConfig(str(hybrid), dtype="bfloat16", quantization="nf4"), hybrid)
    kinds = {name.rpartition(".")[2]: type(module) for name, module in model.named_modules()}
    assert {name for name, kind in kinds.items() if kind is bitsandbytes.nn.Linear4bit} == set(HYBRID_LORA_TARGETS)
    assert (kinds["out_proj"], kinds["conv1d"], kinds["lm_head"]) == (nn.Linear, nn.Conv1d, nn.Linear)
    layer: Any = next(module for module in model.modules() if isinstance(module, bitsandbytes.nn.Linear4bit))
    assert layer.weight.quant_state.nested  # the block scales are quantized as well
    assert (layer.weight.quant_type, layer.compute_dtype) == ("nf4", torch.bfloat16)


def test_nf4_says_nearly_the_same(hybrid: Path) -> None:
    exact, tokenizer = load_model(ModelConfig(str(hybrid), dtype="float32"), hybrid)
    rough, _ = load_model(ModelConfig(str(hybrid), dtype="float32", quantization="nf4"), hybrid)
    ids = tokenizer("What is 2 + 3?", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        expected, logits = exact(ids).logits, rough(ids).logits
    error = (logits - expected).norm() / expected.norm()
    assert 0 < error < 0.25  # the weights themselves are off by about a tenth


def test_nf4_without_bitsandbytes_says_what_to_install(hybrid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train.model, "is_bitsandbytes_available", lambda: False)
    with pytest.raises(InputError, match=r"bitsandbytes, which is not installed; .*\[qlora\]"):
        load_model(ModelConfig(str(hybrid), quantization="nf4"), hybrid)


def test_quantized_weights_cannot_be_trained_themselves() -> None:
    recipe = ROOT / "recipes" / "sft" / "nemotron_nano_9b_v2_qlora.yaml"
    with pytest.raises(InputError, match=r"model\.quantization: weights in nf4 cannot be trained themselves"):
        parse_recipe(TrainConfig, [f"--config={recipe}", "--training.use_cpu=true", "--lora=null"], prog="sft")


def test_an_unknown_quantization_is_refused() -> None:
    recipe = ROOT / "recipes" / "sft" / "nemotron_nano_9b_v2_qlora.yaml"
    with pytest.raises(InputError, match=r"model\.quantization"):
        parse_recipe(
            TrainConfig, [f"--config={recipe}", "--training.use_cpu=true", "--model.quantization=int3"], prog=""
        )


def test_the_recipe_of_smollm2_fits_its_architecture_and_its_template_is_saved(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    config = parse_recipe(TrainConfig, [f"--config={ROOT / 'recipes/sft/smollm2_135m_lora.yaml'}"], prog="sft")
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1}
    LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **sizes)).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")

    model, loaded = load_model(config.model, tmp_path / "base")

    adapters = lora_config(config.lora, model)
    assert adapters is not None
    linear = {name.rpartition(".")[2] for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    assert set(adapters.target_modules or ()) == linear - {"lm_head"}
    loaded.save_pretrained(tmp_path / "saved")
    template = ROOT / "train" / "templates" / "smollm2_thinking.jinja"
    assert (tmp_path / "saved" / "chat_template.jinja").read_text() == template.read_text()
