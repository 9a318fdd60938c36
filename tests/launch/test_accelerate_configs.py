"""The launch configurations: accelerate's own loader takes them, and each says how it is run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.utils import DistributedType
from transformers.models.nemotron_h import modeling_nemotron_h

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "launch" / "accelerate").glob("*.yaml"))
KINDS = {
    "cpu": DistributedType.NO,
    "cpu_ddp": DistributedType.MULTI_GPU,
    "single_gpu": DistributedType.NO,
    "zero2": DistributedType.DEEPSPEED,
    "zero3": DistributedType.DEEPSPEED,
    "fsdp2": DistributedType.FSDP,
}


def test_every_configuration_is_looked_at() -> None:
    assert {path.stem for path in CONFIGS} == KINDS.keys()


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_accelerate_reads_it_and_its_header_runs_it(path: Path) -> None:
    config = load_config_from_file(str(path))
    assert config.distributed_type == KINDS[path.stem]
    header = path.read_text().partition("compute_environment")[0]
    command = re.search(r"accelerate launch --config_file (\S+) .*train/sft\.py --config (\S+)", header)
    assert command is not None
    assert command[1] == f"launch/accelerate/{path.name}"
    assert (ROOT / command[2]).is_file()


@pytest.mark.parametrize("stage", [2, 3])
def test_deepspeed_leaves_to_the_recipe_what_the_recipe_says(stage: int) -> None:
    config = load_config_from_file(str(ROOT / "launch" / "accelerate" / f"zero{stage}.yaml"))
    settings = json.loads((ROOT / config.deepspeed_config["deepspeed_config_file"]).read_text())
    assert settings["zero_optimization"]["stage"] == stage
    said = ("bf16", "fp16", "gradient_accumulation_steps", "gradient_clipping", "train_micro_batch_size_per_gpu")
    assert {json.dumps(settings[key]) for key in said} <= {'"auto"', '{"enabled": "auto"}'}
    # An optimizer here would decay A_log, D and the norms.
    assert "optimizer" not in settings


def test_fsdp_wraps_a_block_that_the_model_has() -> None:
    config = load_config_from_file(str(ROOT / "launch" / "accelerate" / "fsdp2.yaml"))
    assert config.fsdp_config["fsdp_version"] == 2
    assert hasattr(modeling_nemotron_h, config.fsdp_config["fsdp_transformer_layer_cls_to_wrap"])
