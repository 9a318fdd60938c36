"""``python -m train merge``: what comes out, loaded as others load it, is the model that was trained."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, NemotronHConfig, PreTrainedTokenizerFast

from launch.errors import InputError
from train.__main__ import main

SHARED: dict[str, Any] = {
    "vocab_size": 60,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "initializer_range": 0.2,
}
HYBRID: dict[str, Any] = {
    "layers_block_type": ["linear_attention", "full_attention", "mlp"],
    "ssm_state_size": 8,
    "mamba_num_heads": 4,
    "mamba_head_dim": 16,
    "n_groups": 2,
    "chunk_size": 8,
}
TARGETS = {
    "nemotron_h": ["q_proj", "k_proj", "v_proj", "o_proj", "in_proj", "up_proj", "down_proj"],
    "llama": ["q_proj", "v_proj", "gate_proj", "down_proj"],
}


def save_tokenizer(folder: Path, template: str) -> None:
    bpe = Tokenizer(models.WordLevel({f"w{number}": number for number in range(60)}, unk_token="w0"))
    bpe.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, unk_token="w0", eos_token="w2", pad_token="w3")
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)


def save_base(folder: Path, kind: str, dtype: torch.dtype = torch.float32, seed: int = 0, **changes: Any) -> Path:
    torch.manual_seed(seed)
    shape = SHARED | (HYBRID if kind == "nemotron_h" else {"num_hidden_layers": 2}) | changes
    config = NemotronHConfig(**shape) if kind == "nemotron_h" else LlamaConfig(**shape)
    model = AutoModelForCausalLM.from_config(config).to(dtype)
    model.generation_config.eos_token_id = [2, 11]
    model.save_pretrained(folder)
    # A sampling default without do_sample, as some on the hub have it: transformers refuses to save it.
    path = folder / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"temperature": 0.6}))
    save_tokenizer(folder, "of the base")
    return folder


def save_adapter(folder: Path, base: Path, kind: str) -> Any:
    torch.manual_seed(7)
    config = LoraConfig(target_modules=TARGETS[kind], init_lora_weights=False, r=4, task_type="CAUSAL_LM")
    adapted: Any = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    adapted.save_pretrained(str(folder))
    save_tokenizer(folder, "of the adapter")
    return adapted


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(torch.arange(4, 40)[None], use_cache=False).logits
    return found.float()


def merge(*arguments: object) -> None:
    main(["merge", *map(str, arguments)])


@pytest.fixture(scope="module", params=["nemotron_h", "llama"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Any]:
    """Kind, folder with ``base``, ``adapter`` and ``merged``, and the adapted model in memory."""
    folder = tmp_path_factory.mktemp(request.param)
    base = save_base(folder / "base", request.param)
    adapted = save_adapter(folder / "adapter", base, request.param)
    merge("--adapter", folder / "adapter", "--output_dir", folder / "merged")
    return request.param, folder, adapted


def test_merged_and_adapter_give_the_logits_of_training(trained: tuple[str, Path, Any]) -> None:
    _, folder, adapted = trained
    expected = logits(adapted)
    base: Any = AutoModelForCausalLM.from_pretrained(folder / "base")
    assert (logits(base) - expected).abs().max() > 0.1, "the adapter changes something"
    for load in (
        lambda: AutoModelForCausalLM.from_pretrained(folder / "merged"),
        lambda: AutoModelForCausalLM.from_pretrained(folder / "adapter"),
        lambda: PeftModel.from_pretrained(base, str(folder / "adapter")),
    ):
        torch.testing.assert_close(logits(load()), expected, rtol=0, atol=1e-5)


def test_tensors_are_named_as_those_of_the_base(trained: tuple[str, Path, Any]) -> None:
    kind, folder, _ = trained
    base, merged = (load_file(folder / name / "model.safetensors") for name in ("base", "merged"))
    prefix = "backbone.layers." if kind == "nemotron_h" else "model.layers."
    assert any(name.startswith(prefix) for name in merged)
    assert {name: (t.shape, t.dtype) for name, t in merged.items()} == {n: (t.shape, t.dtype) for n, t in base.items()}
    adapter = load_file(folder / "adapter" / "adapter_model.safetensors")
    assert all(name.startswith("base_model.model.model.layers.") for name in adapter)


def test_tokenizer_template_and_generation_config_come_along(trained: tuple[str, Path, Any]) -> None:
    _, folder, _ = trained
    tokenizer = AutoTokenizer.from_pretrained(folder / "merged")
    assert (tokenizer.chat_template, tokenizer.eos_token) == ("of the adapter", "w2")
    found, base = (json.loads((folder / n / "generation_config.json").read_text()) for n in ("merged", "base"))
    assert found == base
    assert found["temperature"] == 0.6
    config = json.loads((folder / "merged" / "config.json").read_text())
    assert config == json.loads((folder / "base" / "config.json").read_text())


def test_the_dtype_of_the_base_is_kept_and_large_models_are_sharded(tmp_path: Path) -> None:
    base = save_base(tmp_path / "base", "nemotron_h", torch.bfloat16)
    save_adapter(tmp_path / "adapter", base, "nemotron_h")
    merge("--adapter", tmp_path / "adapter", "--output_dir", tmp_path / "out", "--max_shard_size", "20KB")
    shards = sorted((tmp_path / "out").glob("model-*.safetensors"))
    assert len(shards) > 1
    tensors = {name: tensor for shard in shards for name, tensor in load_file(shard).items()}
    assert {tensor.dtype for tensor in tensors.values()} == {torch.bfloat16}
    assert tensors.keys() == load_file(base / "model.safetensors").keys()


def test_a_full_checkpoint_comes_out_without_its_training_states(tmp_path: Path) -> None:
    checkpoint = save_base(tmp_path / "checkpoint-4", "llama")
    for name in ("optimizer.pt", "trainer_state.json", "COMPLETE"):
        (checkpoint / name).write_text("{}")
    merge("--checkpoint", checkpoint, "--output_dir", tmp_path / "out")
    assert not {"optimizer.pt", "trainer_state.json", "COMPLETE"} & {p.name for p in (tmp_path / "out").iterdir()}
    torch.testing.assert_close(
        *(logits(AutoModelForCausalLM.from_pretrained(p)) for p in (checkpoint, tmp_path / "out")), rtol=0, atol=0
    )


def test_a_base_that_was_moved_is_named(trained: tuple[str, Path, Any], tmp_path: Path) -> None:
    _, folder, adapted = trained
    moved = tmp_path / "moved" / "base"
    moved.parent.mkdir()
    (folder / "base").rename(moved)
    try:
        with pytest.raises(InputError, match=r"base model of the adapter .* --base can name.* does not exist"):
            merge("--adapter", folder / "adapter", "--output_dir", tmp_path / "out")
        merge("--adapter", folder / "adapter", "--base", moved, "--output_dir", tmp_path / "out")
    finally:
        moved.rename(folder / "base")
    torch.testing.assert_close(
        logits(AutoModelForCausalLM.from_pretrained(tmp_path / "out")), logits(adapted), rtol=0, atol=1e-5
    )


# What the other base differs in → what the sentence says.
OTHER_BASES = [
    ("by its weights alone", {"seed": 1}, (), "was trained on .*base, not on .*; if that is the same model"),
    ("narrower", {"intermediate_size": 32}, ("--any_base",), "was trained on another model than .*size mismatch"),
    (
        "without the Mamba block",
        {"layers_block_type": ["full_attention", "mlp"]},
        ("--any_base",),
        "another model than",
    ),
    ("deeper", {"layers_block_type": [*HYBRID["layers_block_type"], "mlp"]}, ("--any_base",), "only one of them has"),
]


@pytest.mark.parametrize(
    ("changes", "options", "message"), [c[1:] for c in OTHER_BASES], ids=[c[0] for c in OTHER_BASES]
)
def test_an_adapter_of_another_base_is_refused(
    changes: dict[str, Any], options: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    save_adapter(tmp_path / "adapter", save_base(tmp_path / "base", "nemotron_h"), "nemotron_h")
    other = save_base(tmp_path / "other", "nemotron_h", **changes)
    with pytest.raises(InputError, match=message) as raised:
        merge("--adapter", tmp_path / "adapter", "--base", other, *options, "--output_dir", tmp_path / "out")
    assert "\n" not in str(raised.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["adapter", "base", "other"]


def test_an_adapter_that_lacks_a_tensor_is_refused(tmp_path: Path) -> None:
    save_adapter(tmp_path / "adapter", save_base(tmp_path / "base", "llama"), "llama")
    file = tmp_path / "adapter" / "adapter_model.safetensors"
    tensors = load_file(file)
    tensors.pop(lost := sorted(tensors)[0])
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(InputError, match=f"only one of them has {lost}"):
        merge("--adapter", tmp_path / "adapter", "--output_dir", tmp_path / "out")


def test_wrong_use_is_one_sentence(trained: tuple[str, Path, Any], tmp_path: Path) -> None:
    _, folder, _ = trained
    for arguments, message in (
        ((), "no command is given; commands: prepare, merge"),
        (("marge",), "no command 'marge'"),
        (("merge",), "required: --adapter/--checkpoint, --output_dir; see python -m train merge --help"),
        (("merge", "--adapter", tmp_path, "--output_dir", tmp_path / "x"), "holds neither adapter_config.json nor"),
        (("merge", "--adapter", folder / "adapter", "--output_dir", folder / "merged"), "is there already"),
        (("merge", "--adapter", folder / "base", "--base", "x", "--output_dir", tmp_path / "x"), "no adapter; leave"),
        (("merge", "--adapter", "no/such/run", "--output_dir", tmp_path / "x"), "no/such/run does not exist"),
    ):
        with pytest.raises(InputError, match=message):
            main([str(argument) for argument in arguments])


def test_a_full_disk_leaves_nothing_behind(trained: tuple[str, Path, Any], tmp_path: Path) -> None:
    """A real limit on the size of a file, as a full disk answers: the write stops in the middle."""
    _, folder, _ = trained
    script = (
        "import resource, signal, sys; from launch.errors import exit_cleanly; from train.__main__ import main;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000));"
        "exit_cleanly(main)"
    )
    out = tmp_path / "out"
    command = [sys.executable, "-c", script, "merge", "--adapter", str(folder / "adapter"), "--output_dir", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr[-2000:]
    assert f"{out} cannot be written" in done.stderr.strip().splitlines()[-1]
    assert not list(tmp_path.iterdir())
