"""A run in which something trained gets no gradient ends at its first update, with one sentence that names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import NemotronHForCausalLM
from transformers.models.nemotron_h.modeling_nemotron_h import NemotronHMLP

from launch.errors import InputError
from launch.hybrid import prepare_hybrid
from train.config import LoraConfig
from train.trainer import HybridSFTTrainer

PASSED = "gradients: every trained parameter gets one"


NewHybrid = Callable[[], NemotronHForCausalLM]
Start = Callable[..., HybridSFTTrainer]


@pytest.fixture
def hybrid(new_hybrid: Callable[..., NemotronHForCausalLM]) -> NewHybrid:
    return lambda: prepare_hybrid(new_hybrid(chunk_size=8, initializer_range=0.1))


@pytest.fixture
def start(noise_trainer: Start) -> Start:
    def started(model: nn.Module, *, lora: bool = False, **arguments: Any) -> HybridSFTTrainer:
        defaults: dict[str, Any] = {"max_steps": 3, "learning_rate": 1e-3, "save_strategy": "no"}
        return noise_trainer(model, rows=32, lora=LoraConfig(r=2) if lora else None, **{**defaults, **arguments})

    return started


@pytest.mark.parametrize("lora", [False, True])
def test_a_run_that_is_right_goes_through(
    lora: bool, hybrid: NewHybrid, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    start(hybrid(), lora=lora, warmup_steps=1).train()
    assert capsys.readouterr().out.count(PASSED) == 1


def test_lora_a_is_waited_for_until_an_update_was_real(
    hybrid: NewHybrid, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    """With warm-up the first update has learning rate 0, and lora_A gets its first gradient in the third step."""
    start(hybrid(), lora=True, warmup_steps=1, max_steps=2).train()
    assert PASSED not in capsys.readouterr().out


class Detached(NemotronHMLP):
    """A block that takes its weights past autograd, as a fused kernel does that has no backward for them."""

    def forward(self, x: Tensor) -> Tensor:
        """Nothing that is trained here gets a gradient."""
        return super().forward(x).detach()


class Zeroed(NemotronHMLP):
    """A block whose gradient is there, but zero."""

    def forward(self, x: Tensor) -> Tensor:
        """The input's gradient is dropped, too; the residual carries it on."""
        return super().forward(x) * 0


@pytest.mark.parametrize("block", [Detached, Zeroed])
@pytest.mark.parametrize("lora", [False, True])
def test_a_parameter_without_a_gradient_ends_the_run(
    block: type[nn.Module], lora: bool, hybrid: NewHybrid, start: Start
) -> None:
    model = hybrid()
    model.model.layers[2].mixer.__class__ = block
    trainer = start(model, lora=lora)
    with pytest.raises(InputError, match=r"no gradient reaches .*layers\.2\.mixer\.(up|down)_proj") as error:
        trainer.train()
    assert trainer.state.global_step == 0
    assert ("lora_B" in str(error.value)) == lora
    assert "lora_A" not in str(error.value)


def test_a_dead_lora_a_is_found_after_the_first_real_update(hybrid: NewHybrid, start: Start) -> None:
    trainer = start(hybrid(), lora=True)
    model: Any = trainer.model
    [lora_a] = [p for name, p in model.named_parameters() if "up_proj.lora_A" in name]
    lora_a.register_hook(torch.zeros_like)
    with pytest.raises(InputError, match=r"no gradient reaches .*up_proj\.lora_A"):
        trainer.train()
    assert trainer.state.global_step == 1


def test_a_gradient_that_is_not_finite_ends_the_run(hybrid: NewHybrid, start: Start) -> None:
    """Which one it was is lost by then: the norm of all is not finite, and the stock clipping spreads it."""
    trainer = start(hybrid(), max_grad_norm=0.0)
    model: Any = trainer.model
    model.model.layers[0].mixer.D.register_hook(lambda gradient: gradient / 0)
    with pytest.raises(InputError, match="infinite or not a number at the first update"):
        trainer.train()


def test_rows_of_the_embedding_that_no_token_uses_are_no_fault(hybrid: NewHybrid, start: Start) -> None:
    """Tokens 0 to 9 occur in no row; the parameter as a whole has a gradient."""
    trainer = start(hybrid(), max_steps=1)
    trainer.train()
    assert trainer.state.global_step == 1
