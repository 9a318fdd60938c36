"""The recipes for Nemotron Nano 9B v2, on a model with the same 56 blocks but 64 wide and on rows of the real schema.

What the command line changes is where things lie, how wide, how long and how many, and that there is no GPU.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from transformers import NemotronHConfig, NemotronHForCausalLM

from data_prep.build import run_build
from data_prep.config import BuildConfig
from data_prep.sample import SampleConfig, memory_entries, sample_rows
from data_prep.schema import Row, read_rows
from launch.engines import EngineConfig, Request, Sampling, open_engine
from launch.recipe import parse_recipe
from train.__main__ import main as merge_command
from train.config import TrainConfig
from train.lora import HYBRID_LORA_TARGETS
from train.model import train_tokenizer

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SFT_RECIPES = ROOT / "recipes" / "sft"
PATTERN = "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-"
MAMBA_BLOCKS = [index for index, block in enumerate(PATTERN) if block == "M"]
# As Nemotron Nano 2 comes: a template that renders the content alone.
CONTENT_ONLY = "{% for m in messages %}<SPECIAL_11>{{ m.role }}\n{{ m.content }}\n<SPECIAL_12>\n{% endfor %}"


def nemotron_record(row: Row, number: int) -> dict[str, Any]:
    """A row of the sample as Nemotron-Post-Training-Dataset-v2 holds it; every third one without reasoning."""
    (user, assistant), reasoning = row.messages[-2:], number % 3 != 0
    chain = f"<think>\n{assistant['reasoning_content']}\n</think>\n\n" if reasoning else ""
    turns = [("system", ""), ("user", user["content"]), ("assistant", chain + assistant["content"])]
    return {
        "uuid": f"00000000-0000-4000-8000-{number:012d}",
        "license": "cc-by-4.0",
        "generator": "DeepSeek-R1-0528",
        "version": "v2",
        "category": row.category,
        "reasoning": "on" if reasoning else "off",
        "messages": [{"role": role, "content": content} for role, content in turns],
    }


@pytest.fixture(scope="module")
def nemotron_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The build of recipes/data/nemotron_v2.yaml, from a local Parquet file and a translation memory."""
    folder = tmp_path_factory.mktemp("nemotron")
    sample = SampleConfig(train=2, validation=1, test=1, held_out=1)
    records = [nemotron_record(row, number) for number, row in enumerate(sample_rows(sample))]
    pq.write_table(pa.Table.from_pylist(records), folder / "math-00000-of-00001.parquet")
    with (folder / "memory.jsonl").open("w", encoding="utf-8") as memory:
        memory.writelines(json.dumps(entry._asdict()) + "\n" for entry in memory_entries(sample))
    overrides = {
        "source.kind": "parquet",
        "source.path": folder / "math-00000-of-00001.parquet",
        "translator.kind": "memory",
        "translator.memory": [str(folder / "memory.jsonl")],
        "validation_share": 0.2,
        "output_dir": folder / "build",
    }
    options = [f"--{key}={value}" for key, value in overrides.items()]
    recipe = ROOT / "recipes" / "data" / "nemotron_v2.yaml"
    run_build(parse_recipe(BuildConfig, [f"--config={recipe}", *options], prog="data_prep build"))
    return folder / "build"


@pytest.fixture(scope="module")
def base(nemotron_build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nemotron Nano 9B v2, 64 wide instead of 4480, random, stored in bfloat16 as on the hub."""
    folder = tmp_path_factory.mktemp("model") / "nemotron_nano"
    rows = [row for file in sorted((nemotron_build / "data").glob("*.parquet")) for row in read_rows(file)]
    texts = [text for row in rows for m in row.messages for text in (m["content"], m["reasoning_content"] or "")]
    tokenizer = train_tokenizer(texts, 600)
    tokenizer.chat_template = CONTENT_ONLY
    torch.manual_seed(0)
    config = NemotronHConfig(
        hybrid_override_pattern=PATTERN,
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        ssm_state_size=8,
        mamba_num_heads=4,
        mamba_head_dim=16,
        n_groups=2,
        chunk_size=32,
        initializer_range=0.1,  # at 0.02 so narrow a model has gradients that vanish in front of the epsilon of Adam
        max_position_embeddings=1024,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    NemotronHForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def run_recipe(variant: str, base: Path, build: Path, output: Path, processes: int = 1) -> str:
    """Two steps of a recipe by its own command, on the CPU; returns what it printed."""
    recipe = SFT_RECIPES / f"nemotron_nano_9b_v2_{variant}.yaml"
    options: dict[str, Any] = {
        "model.name_or_path": base,
        "data.build": build,
        "data.rows": 60,
        "data.eval_rows": 1,
        "training.output_dir": output,
        "training.use_cpu": "true",
        "training.max_steps": 2,
        "training.save_steps": 2,
        "training.logging_steps": 1,
        "training.max_length": 256,
        "training.gradient_accumulation_steps": 1,
        "training.dataset_num_proc": "null",
        "training.eval_strategy": "no",
    }
    command = [sys.executable]
    if processes > 1:
        command = [str(BIN / "accelerate"), "launch", "--config_file", "launch/accelerate/zero3.yaml"]
        command += ["--num_processes", str(processes)]
    command += ["train/sft.py", f"--config={recipe}", *(f"--{key}={value}" for key, value in options.items())]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "DS_ACCELERATOR": "cpu",
        "PATH": f"{BIN}:{os.environ['PATH']}",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT, timeout=900)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def losses(output: Path) -> list[float]:
    history = json.loads((output / "checkpoint-2" / "trainer_state.json").read_text())["log_history"]
    return [entry["loss"] for entry in history if "loss" in entry]


def check_merged(base: Path, adapter: Path, merged: Path) -> None:
    """Adapted weights are those of the base, not in 4 bits, and the product of the adapter; others stay."""
    before, after = (load_file(folder / "model.safetensors") for folder in (base, merged))
    learned = load_file(adapter / "adapter_model.safetensors")
    settings = json.loads((adapter / "adapter_config.json").read_text())
    assert before.keys() == after.keys()
    adapted = {name for name in learned if ".lora_A." in name}
    for name, weight in before.items():
        found = [key for key in adapted if f".{name.removeprefix('backbone.').removesuffix('.weight')}.lora_A." in key]
        if not found:
            assert torch.equal(weight, after[name]), name
            continue
        product = learned[found[0].replace(".lora_A.", ".lora_B.")].float() @ learned[found[0]].float()
        expected = weight.float() + settings["lora_alpha"] / settings["r"] * product
        torch.testing.assert_close(after[name].float(), expected.to(weight.dtype).float(), rtol=2**-7, atol=1e-4)


def one_token(model: Path) -> tuple[str, int]:
    """Finish reason and number of tokens of a completion by the engine that evaluates checkpoints."""
    engine = open_engine(EngineConfig(kind="hf", model=str(model), device="cpu"))
    request = Request(messages=({"role": "user", "content": "2 + 3?"},), sampling=Sampling(max_new_tokens=1))
    [completion] = engine.generate([request])
    assert completion.opened_by_prompt
    return completion.finish_reason, completion.completion_tokens


def test_the_pattern_is_that_of_the_9b() -> None:
    assert {block: PATTERN.count(block) for block in "M-*"} == {"M": 27, "-": 25, "*": 4}


def test_rows_of_nemotron_v2_become_rows_in_six_languages(nemotron_build: Path) -> None:
    rows = [row for file in sorted((nemotron_build / "data").glob("*.parquet")) for row in read_rows(file)]
    assert {row.language for row in rows} == {"en", "fr", "es", "de", "it", "ja"}
    for row in rows:
        assert (row.messages[-1]["reasoning_content"] is not None) == (row.provenance["reasoning"] == "on")
        assert "<think>" not in row.messages[-1]["content"]
    assert {row.provenance["reasoning"] for row in rows if row.language == "ja"} == {"on", "off"}


@pytest.mark.parametrize("variant", ["full", "lora", "qlora"])
def test_what_every_recipe_of_the_9b_says(variant: str) -> None:
    recipe = SFT_RECIPES / f"nemotron_nano_9b_v2_{variant}.yaml"
    config = parse_recipe(TrainConfig, [f"--config={recipe}", "--training.use_cpu=true"], prog="train/sft.py")
    assert config.model.name_or_path == "nvidia/NVIDIA-Nemotron-Nano-9B-v2"
    assert (config.model.quantization is not None) == (variant == "qlora")
    assert not config.model.trust_remote_code
    training = config.training
    assert (training.packing, training.packing_strategy, training.bf16) == (True, "bfd", True)
    assert training.adam_beta2 == 0.95
    assert training.get_warmup_steps(1000) == 50
    assert (config.lora is None) == (variant == "full")
    if config.lora is not None:
        assert config.lora.target_modules == list(HYBRID_LORA_TARGETS)
    build = load_build_recipe()
    assert config.data.build == build["output_dir"]
    assert set(config.data.languages) == {"en", *build["target_languages"]}


def load_build_recipe() -> dict[str, Any]:
    """The data recipe, with the output folder that its first line names."""
    path = ROOT / "recipes" / "data" / "nemotron_v2.yaml"
    command = path.read_text(encoding="utf-8").splitlines()[0]
    config = parse_recipe(BuildConfig, [f"--config={path}"], prog="data_prep build")
    output_dir = re.search(r"--output_dir (\S+)", command)
    assert output_dir
    return {**dataclasses.asdict(config), "output_dir": output_dir[1]}


@pytest.mark.slow
def test_full_fine_tuning_with_two_zero3_processes(base: Path, nemotron_build: Path, tmp_path: Path) -> None:
    """In bfloat16 two steps at 1e-5 are lost in rounding, so the float32 masters of the optimizer are looked at."""
    from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint

    output = tmp_path / "full"
    printed = run_recipe("full", base, nemotron_build, output, processes=2)

    assert len(losses(output)) == 2
    assert all(math.isfinite(loss) for loss in losses(output))
    assert "<think>" in printed
    assert "update in float32, stored in bfloat16 (DeepSpeed keeps the masters), no weight decay" in printed
    shards = list((output / "checkpoint-2" / "global_step2").glob("*optim_states.pt"))
    assert len(shards) == 2
    before = load_model_weights(base)
    after = get_fp32_state_dict_from_zero_checkpoint(str(output / "checkpoint-2"))
    for block in MAMBA_BLOCKS:
        for name in ("conv1d.weight", "A_log", "D", "dt_bias", "in_proj.weight", "out_proj.weight"):
            key = f"model.layers.{block}.mixer.{name}"
            assert not torch.equal(after[key], before[key]), key
    assert one_token(output / "final") == ("length", 1)


def load_model_weights(folder: Path) -> dict[str, torch.Tensor]:
    model = NemotronHForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model.state_dict()


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["lora", "qlora"])
def test_adapters(variant: str, base: Path, nemotron_build: Path, tmp_path: Path) -> None:
    output = tmp_path / variant
    printed = run_recipe(variant, base, nemotron_build, output)

    assert len(losses(output)) == 2
    assert all(math.isfinite(loss) for loss in losses(output))
    adapter = load_file(output / "final" / "adapter_model.safetensors")
    assert all(".lora_A." in name or ".lora_B." in name for name in adapter)
    for block in MAMBA_BLOCKS:
        # B starts at zero: whatever is in it was learned.
        [lora_b] = [adapter[name] for name in adapter if f"layers.{block}.mixer.in_proj.lora_B" in name]
        assert lora_b.abs().max() > 0
    # The base is not written anywhere; what the optimizer does not hold cannot have changed.
    optimizer = torch.load(output / "checkpoint-2" / "optimizer.pt", weights_only=True)
    assert sum(len(group["params"]) for group in optimizer["param_groups"]) == len(adapter)
    size = sum(tensor.numel() for tensor in adapter.values())
    printed = " ".join(printed.split())
    assert f"{size:,} of them trained" in printed
    for kind, number in (("mamba", 27), ("attention", 4), ("mlp", 25)):
        assert f"│ {kind} │ {number} of {number} │" in printed
    assert "packed rows: documents are kept apart by the PyTorch path" in printed
    assert "gradients: every trained parameter gets one" not in printed  # in two steps lora_A has had none yet
    sequences = re.search(r"(\d+) sequences", printed)
    assert sequences
    assert int(sequences[1]) < 60  # packed: fewer sequences than rows
    assert one_token(output / "final") == ("length", 1)
    merge_command(["merge", f"--adapter={output / 'final'}", f"--output_dir={output / 'merged'}"])
    check_merged(base, output / "final", output / "merged")
    assert one_token(output / "merged") == ("length", 1)
