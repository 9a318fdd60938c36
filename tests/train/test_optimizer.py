"""Real steps on a tiny hybrid in bfloat16: A_log, D and dt_bias are updated in float32, resumed, and never decayed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.utils import DummyOptim
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import NemotronHForCausalLM, Trainer

import train.trainer
from launch.errors import InputError
from launch.hybrid import prepare_hybrid
from train.optimizer import SSM_PARAMETERS, check_decay, decayed_parameters
from train.trainer import HybridSFTTrainer

LEARNING_RATE = 1e-5


NewHybrid = Callable[..., NemotronHForCausalLM]
Start = Callable[..., HybridSFTTrainer]


@pytest.fixture
def hybrid(new_hybrid: NewHybrid) -> NewHybrid:
    def made(dtype: torch.dtype = torch.bfloat16) -> NemotronHForCausalLM:
        model = new_hybrid(chunk_size=8, mamba_proj_bias=True, initializer_range=0.1).to(dtype)
        nn.init.constant_(model.model.layers[0].mixer.A_log, 0.7)  # at 0 every step would be seen in bfloat16
        return prepare_hybrid(model)

    return made


@pytest.fixture
def start(noise_trainer: Start, hybrid: NewHybrid) -> Start:
    """A trainer of a fresh model."""

    def started(model: nn.Module | None = None, **arguments: Any) -> HybridSFTTrainer:
        defaults: dict[str, Any] = {
            "max_steps": 8,
            "save_steps": 4,
            "learning_rate": LEARNING_RATE,
            "lr_scheduler_type": "constant",
        }
        return noise_trainer(model or hybrid(), rows=64, **{**defaults, **arguments})

    return started


def values(model: Any) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def of_the_ssm(named: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value for name, value in named.items() if name.rpartition(".")[2] in SSM_PARAMETERS}


def test_steps_that_bfloat16_would_round_away_add_up(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    """Adam moves each value by about the learning rate a step; near 1 bfloat16 knows no step below 0.004."""
    trainer = start()
    before = values(trainer.model)
    trainer.train()
    after = values(trainer.model)
    moved = {name: (after[name] - before[name]).abs().max().item() for name in of_the_ssm(after)}
    assert {name.rpartition(".")[2] for name in moved} == set(SSM_PARAMETERS)
    for name, distance in moved.items():
        assert 2 * LEARNING_RATE < distance < 9 * LEARNING_RATE, name
        assert torch.equal(after[name].bfloat16(), before[name].bfloat16()), f"{name}: the test's steps are too large"
    printed = capsys.readouterr().out
    assert "A_log, D, dt_bias: master copy and update in float32, stored in float32" in printed
    assert "trained parameters are stored and updated in bfloat16" in printed


def test_without_the_guard_they_are_lost(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train.trainer, "store_in_float32", lambda parameters: None)
    with pytest.raises(InputError, match=r"dt_bias would be updated in bfloat16, which rounds its steps away; set"):
        start().train()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_resumed_run_has_the_same_bits(dtype: torch.dtype, hybrid: NewHybrid, start: Start, tmp_path: Path) -> None:
    whole = start(hybrid(dtype))
    whole.train()
    resumed = start(hybrid(dtype))
    resumed.train(resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-4"))
    expected, found = values(whole.model), values(resumed.model)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value), name


def test_the_masters_are_in_the_state_of_the_optimizer(start: Start, tmp_path: Path) -> None:
    """However the weights are loaded, their float32 values come back with the optimizer."""
    trainer = start(max_steps=4)
    trainer.train()
    expected = of_the_ssm(values(trainer.model))
    state = torch.load(tmp_path / "run" / "checkpoint-4" / "optimizer.pt", weights_only=True)
    fresh = start()
    fresh.create_optimizer().load_state_dict(state)
    for name, value in of_the_ssm(values(fresh.model)).items():
        assert torch.equal(value, expected[name]), name


def test_only_matrices_and_embeddings_are_decayed(hybrid: NewHybrid) -> None:
    model = hybrid()
    decayed = {name.removeprefix("model.layers.") for name in decayed_parameters(model)}
    assert decayed == {
        "model.embeddings.weight" if hasattr(model.model, "embeddings") else "model.embed_tokens.weight",
        "0.mixer.in_proj.weight",
        "0.mixer.out_proj.weight",
        *(f"1.mixer.{name}_proj.weight" for name in "qkvo"),
        "2.mixer.up_proj.weight",
        "2.mixer.down_proj.weight",
        "lm_head.weight",
    }


def test_decay_alone_leaves_the_others_as_they_are(start: Start) -> None:
    """The groups of the real optimizer: with no gradient at all, a step of it is nothing but decay."""
    trainer = start(weight_decay=0.5, learning_rate=0.1)
    optimizer = trainer.create_optimizer()
    model: Any = trainer.model
    before = values(model)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    changed = {name for name, value in values(model).items() if not torch.equal(value, before[name])}
    assert changed == set(decayed_parameters(model))


def test_an_optimizer_with_groups_of_its_own_is_looked_at(hybrid: NewHybrid) -> None:
    model = hybrid()
    with pytest.raises(InputError, match=r"would decay model\.layers\.0\.norm\.weight|would decay .*\(weight decay 0"):
        check_decay(torch.optim.AdamW(model.parameters(), weight_decay=0.1), model)
    check_decay(torch.optim.AdamW(model.parameters(), weight_decay=0.0), model)


def test_a_run_with_such_an_optimizer_does_not_begin(start: Start) -> None:
    trainer = start(weight_decay=0.1)
    model: Any = trainer.model
    trainer.optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.1)
    with pytest.raises(InputError, match="the optimizer would decay"):
        trainer.train()
    assert trainer.state.global_step == 0


def test_an_optimizer_of_deepspeed_s_configuration_is_refused_with_decay(start: Start) -> None:
    trainer = start(weight_decay=0.1)
    trainer.optimizer = DummyOptim(params=list(trainer.model.parameters()))  # type: ignore[union-attr]
    with pytest.raises(InputError, match="DeepSpeed configuration has an optimizer of its own, which decays every"):
        trainer.create_optimizer()


@pytest.mark.parametrize("sharded", [True, False])
def test_fsdp2_gets_a_model_of_one_dtype(sharded: bool, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's own FSDP2, one process with gloo; accelerate does not start it on CPUs, so its switch is set here."""
    connected = Trainer.create_accelerator_and_postprocess

    def with_fsdp(trainer: Trainer) -> None:
        connected(trainer)
        trainer.is_fsdp_enabled = sharded

    monkeypatch.setattr(Trainer, "create_accelerator_and_postprocess", with_fsdp)
    model: Any = start().model
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        for block in (*model.model.layers, model):
            fully_shard(block, mesh=init_device_mesh("cpu", (1,)))
        tokens = torch.arange(10, 22)[None]
        if sharded:
            assert model(tokens, labels=tokens).loss.isfinite()
        else:
            with pytest.raises(AssertionError, match="uniform original parameter dtype"):
                model(tokens, labels=tokens)
    finally:
        torch.distributed.destroy_process_group()
