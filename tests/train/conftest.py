"""What tests of training share: a small build of the sample, a hybrid that is made in a moment, a trainer for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from torch import nn
from transformers import NemotronHConfig, NemotronHForCausalLM, PreTrainedTokenizerFast
from trl import SFTConfig

from data_prep.build import run_build
from data_prep.config import BuildConfig
from data_prep.sample import SampleConfig
from data_prep.sources import SourceConfig
from train.config import LoraConfig
from train.lora import lora_config
from train.model import train_tokenizer
from train.trainer import HybridSFTTrainer


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample, built small: every language, four rows a template."""
    folder = tmp_path_factory.mktemp("build") / "data"
    source = SourceConfig(kind="sample", sample=SampleConfig(train=4, validation=1, test=1, held_out=1))
    run_build(BuildConfig(output_dir=str(folder), source=source))
    return folder


@pytest.fixture(scope="session")
def new_hybrid() -> Callable[..., NemotronHForCausalLM]:
    """Makes a hybrid of three blocks, the same at every call; keyword arguments go to its configuration."""

    def made(**values: Any) -> NemotronHForCausalLM:
        torch.manual_seed(0)
        defaults: dict[str, Any] = {
            "vocab_size": 300,
            "hidden_size": 16,
            "hybrid_override_pattern": "M*-",
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 8,
            "intermediate_size": 16,
            "ssm_state_size": 4,
            "mamba_num_heads": 2,
            "mamba_head_dim": 8,
            "n_groups": 1,
        }
        return NemotronHForCausalLM(NemotronHConfig(**{**defaults, **values}))

    return made


@pytest.fixture(scope="session")
def small_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer of at most 300 entries, as many as the hybrid above has."""
    return train_tokenizer(["What is 2 + 3? It is 5."], 300)


@pytest.fixture
def noise_trainer(small_tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> Callable[..., HybridSFTTrainer]:
    """Makes a trainer of a model on rows of random tokens; keyword arguments go to its configuration."""

    def made(model: nn.Module, *, rows: int, lora: LoraConfig | None = None, **values: Any) -> HybridSFTTrainer:
        tokens = torch.randint(10, 300, (rows, 12), generator=torch.Generator().manual_seed(1)).tolist()
        defaults: dict[str, Any] = {
            "output_dir": str(tmp_path / "run"),
            "per_device_train_batch_size": 2,
            "activation_checkpointing": False,
            "bf16": False,
            "use_cpu": True,
            "disable_tqdm": True,
            "report_to": "none",
            "dataset_kwargs": {"skip_prepare_dataset": True},
        }
        return HybridSFTTrainer(
            model=model,
            args=SFTConfig(**{**defaults, **values}),
            train_dataset=Dataset.from_dict({"input_ids": tokens, "labels": tokens}),
            processing_class=small_tokenizer,
            peft_config=lora_config(lora, model),  # type: ignore[arg-type]
        )

    return made
