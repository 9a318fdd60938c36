"""A checkpoint exported for servers, loaded as a server loads it: stock transformers, nothing of ours applied."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, NemotronHConfig, PreTrainedTokenizerFast

from launch.engines import EngineConfig
from launch.errors import InputError
from launch.export import export, main
from launch.hybrid import prepare_hybrid

TEXT = "<s>user\n4?</s><think>\n2 + 2</think>4</s>"


def save_tokenizer(folder: Path, template: str = "{{ messages[0].content }}") -> None:
    specials = ["<pad>", "<s>", "</s>", "<think>", "</think>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({token: number for number, token in enumerate(specials + alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(specials)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>")
    fast.add_special_tokens({"additional_special_tokens": ["<think>", "</think>"]})
    fast.chat_template = template
    fast.save_pretrained(folder)


def save_hybrid(folder: Path, **changes: Any) -> Path:
    """A hybrid with time steps below ``time_step_min``, and generation defaults that would change every answer."""
    torch.manual_seed(0)
    shape: dict[str, Any] = {
        "vocab_size": 300,
        "hidden_size": 32,
        "layers_block_type": ["linear_attention", "full_attention", "mlp"],
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "intermediate_size": 64,
        "ssm_state_size": 8,
        "mamba_num_heads": 4,
        "mamba_head_dim": 16,
        "n_groups": 2,
        "chunk_size": 8,
        "initializer_range": 0.3,
        "time_step_min": 0.5,
        "eos_token_id": 7,
        "pad_token_id": 0,
        "bos_token_id": 1,
    }
    model = AutoModelForCausalLM.from_config(NemotronHConfig(**shape | changes))
    model.generation_config.repetition_penalty = 1.5
    model.save_pretrained(folder)
    save_tokenizer(folder)
    return folder


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(torch.arange(10, 60)[None]).logits
    return found


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_hybrid(tmp_path_factory.mktemp("models") / "hybrid")


@pytest.fixture(scope="module")
def exported(checkpoint: Path) -> Path:
    export(EngineConfig(model=str(checkpoint)), checkpoint.with_name("exported"))
    return checkpoint.with_name("exported")


def test_the_stock_model_reads_as_the_corrected_one(checkpoint: Path, exported: Path) -> None:
    expected = logits(prepare_hybrid(AutoModelForCausalLM.from_pretrained(checkpoint)))
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(exported)), expected)
    difference = logits(AutoModelForCausalLM.from_pretrained(checkpoint)) - expected
    assert difference.abs().max() > 0.1, "without the export the stock model is another one"
    assert torch.equal(logits(prepare_hybrid(AutoModelForCausalLM.from_pretrained(exported))), expected)


def test_tags_stay_in_the_text_and_keep_their_ids(checkpoint: Path, exported: Path) -> None:
    before, after = (AutoTokenizer.from_pretrained(folder) for folder in (checkpoint, exported))
    ids = after(TEXT)["input_ids"]
    assert ids == before(TEXT)["input_ids"]
    assert after.decode(ids, skip_special_tokens=True) == "user\n4?<think>\n2 + 2</think>4"
    assert before.decode(ids, skip_special_tokens=True) == "user\n4?\n2 + 24", "which is what servers give"
    assert after.chat_template == before.chat_template


def test_generation_defaults_hold_the_ends_and_no_preferences(exported: Path) -> None:
    found = json.loads((exported / "generation_config.json").read_text())
    assert (found.pop("eos_token_id"), found.pop("transformers_version") != "") == ([2, 7], True)
    assert found == {"do_sample": True, "top_k": 0, "bos_token_id": 1, "pad_token_id": 0}


def test_an_adapter_is_merged_and_brings_its_tokenizer(checkpoint: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    config = LoraConfig(target_modules=["q_proj", "in_proj"], init_lora_weights=False, r=4)
    adapted: Any = get_peft_model(AutoModelForCausalLM.from_pretrained(checkpoint), config)
    adapted.save_pretrained(str(tmp_path / "adapter"))
    save_tokenizer(tmp_path / "adapter", "{{ 'of the adapter' }}")
    main([str(tmp_path / "adapter"), str(tmp_path / "merged")])
    expected = logits(prepare_hybrid(adapted))
    merged = tmp_path / "merged"
    torch.testing.assert_close(logits(AutoModelForCausalLM.from_pretrained(merged)), expected, rtol=0, atol=1e-4)
    assert AutoTokenizer.from_pretrained(merged).chat_template == "{{ 'of the adapter' }}"

    template = tmp_path / "own.jinja"
    template.write_text("own")
    main(
        [str(checkpoint), str(tmp_path / "named"), f"--adapter={tmp_path / 'adapter'}", f"--chat_template={template}"]
    )
    assert torch.equal(
        *(logits(AutoModelForCausalLM.from_pretrained(tmp_path / name)) for name in ("merged", "named"))
    )
    assert AutoTokenizer.from_pretrained(tmp_path / "named").chat_template == "own"


def test_what_cannot_be_exported_leaves_nothing_behind(checkpoint: Path, exported: Path, tmp_path: Path) -> None:
    def refused(model: Path, folder: Path, message: str) -> None:
        before = sorted(folder.parent.iterdir())
        with pytest.raises(InputError, match=message):
            export(EngineConfig(model=str(model)), folder)
        assert sorted(folder.parent.iterdir()) == before

    refused(checkpoint, exported, "is there already; remove it")
    refused(tmp_path / "nowhere", tmp_path / "out", "does not exist")
    limited = save_hybrid(tmp_path / "limited", time_step_limit=(0.0, 2.0))
    refused(limited, tmp_path / "out", "limits its time steps to 2.* use the engine hf")
    (limited / "model.safetensors").write_bytes(b"no weights")
    refused(limited, tmp_path / "out", "cannot be loaded")


def test_wrong_use_is_one_sentence() -> None:
    done = subprocess.run([sys.executable, "-m", "launch.export", "--bogus"], capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "python -m launch.export --help" in done.stderr
