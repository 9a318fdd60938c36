"""What reaches the model in a batch, what is logged of an evaluation, and that models of other kinds are tried out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    NemotronHForCausalLM,
    PreTrainedTokenizerFast,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.models.bamba.modeling_bamba import BambaMixer
from trl import SFTConfig

from launch.errors import InputError
from launch.hybrid import prepare_hybrid
from train.preflight import check_packed_rows
from train.trainer import HybridSFTTrainer

NewTrainer = Callable[..., HybridSFTTrainer]
LENGTHS = (5, 12, 9, 3)


def rows(seed: int) -> Dataset:
    """Rows of random tokens, all of different lengths."""
    generator = torch.Generator().manual_seed(seed)
    tokens = [torch.randint(10, 300, (length,), generator=generator).tolist() for length in LENGTHS]
    return Dataset.from_dict({"input_ids": tokens, "labels": tokens})


@pytest.fixture
def new_trainer(small_tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> NewTrainer:
    """Makes a trainer with evaluation sets ``fr`` and ``ja``."""

    def made(model: nn.Module, **values: Any) -> HybridSFTTrainer:
        defaults: dict[str, Any] = {
            "output_dir": str(tmp_path / "run"),
            "per_device_train_batch_size": 4,
            "per_device_eval_batch_size": 4,
            "max_steps": 1,
            "save_strategy": "no",
            "eval_strategy": "steps",
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
            train_dataset=rows(0),
            eval_dataset={"fr": rows(1), "ja": rows(2)},
            processing_class=small_tokenizer,
        )

    return made


def test_rows_are_padded_on_the_right_whatever_the_tokenizer_says(
    new_hybrid: Callable[..., NemotronHForCausalLM],
    new_trainer: NewTrainer,
    small_tokenizer: PreTrainedTokenizerFast,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What stands in front of a row runs into the state of a hybrid, and many tokenizers ask for padding there."""
    monkeypatch.setattr(small_tokenizer, "padding_side", "left")
    model = prepare_hybrid(new_hybrid(chunk_size=8, initializer_range=0.1)).eval()
    [batch] = new_trainer(model).get_train_dataloader()
    assert sorted(batch["attention_mask"].sum(1).tolist()) == sorted(LENGTHS)
    with torch.no_grad():
        padded = model(batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False).logits
        for row, tokens, mask in zip(padded, batch["input_ids"], batch["attention_mask"], strict=True):
            length = int(mask.sum())
            assert mask[:length].all()
            alone = model(tokens[None, :length], use_cache=False).logits[0]
            torch.testing.assert_close(row[:length], alone, atol=1e-5, rtol=1e-5)


def test_what_is_measured_on_a_set_carries_its_name(
    new_hybrid: Callable[..., NemotronHForCausalLM], new_trainer: NewTrainer
) -> None:
    """As a tracker sees it: one key of its own for every set, or one set overwrites the other."""
    seen: list[dict[str, float]] = []

    class Tracker(TrainerCallback):
        def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
            seen.append({key: value for key, value in kwargs["logs"].items() if key.startswith("eval_")})

    trainer = new_trainer(new_hybrid())
    trainer.add_callback(Tracker())
    trainer.train()
    evaluations = [logs for logs in seen if logs]
    assert len(evaluations) == 2
    shared = evaluations[0].keys() & evaluations[1].keys()
    assert shared == {"eval_num_tokens"}  # training tokens so far
    for logs, name in zip(evaluations, ("fr", "ja"), strict=True):
        assert {f"eval_{name}_loss", f"eval_{name}_mean_token_accuracy"} <= logs.keys()
    assert trainer._metrics["eval"] == {}


def bamba() -> nn.Module:
    torch.manual_seed(0)
    sizes = {"vocab_size": 300, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "attn_layer_indices": [1], "mamba_n_heads": 4}
    mamba = {"mamba_d_head": 8, "mamba_d_state": 4, "mamba_n_groups": 1, "mamba_chunk_size": 8}
    model: nn.Module = AutoModelForCausalLM.from_config(AutoConfig.for_model("bamba", **sizes, **heads, **mamba))
    return model


@pytest.mark.parametrize("packing", ["packing", "eval_packing", "padding_free"])
def test_another_hybrid_that_cannot_pack_is_found_before_the_first_step(packing: str, new_trainer: NewTrainer) -> None:
    trainer = new_trainer(bamba())
    setattr(trainer.args, packing, True)
    with pytest.raises(InputError, match=r"refuses a packed row .* set training\.packing to false"):
        check_packed_rows(trainer)


def test_another_hybrid_that_leaks_is_found_before_the_first_step(
    new_trainer: NewTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with kernels that are too old: ``seq_idx`` is dropped in silence."""
    stock = BambaMixer.forward
    monkeypatch.setattr(
        BambaMixer, "forward", lambda self, *args, seq_idx=None, **kwargs: stock(self, *args, **kwargs)
    )
    trainer = new_trainer(bamba())
    trainer.args.packing = True
    with pytest.raises(InputError, match="packed rows mix their documents"):
        check_packed_rows(trainer)


def test_a_model_that_does_not_pack_is_not_tried(new_trainer: NewTrainer, capsys: pytest.CaptureFixture[str]) -> None:
    check_packed_rows(new_trainer(bamba()))
    assert "packed rows" not in capsys.readouterr().out


def test_attention_alone_is_tried_where_rows_are_packed(
    new_trainer: NewTrainer, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = {"vocab_size": 300, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", **sizes, num_attention_heads=2))
    trainer = new_trainer(model)
    trainer.args.packing = True
    check_packed_rows(trainer)
    assert "packed rows: documents are kept apart by the model's own code" in capsys.readouterr().out
