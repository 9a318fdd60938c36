"""Which checkpoint a run goes on from, and that going on loads every weight."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import NemotronHConfig, NemotronHForCausalLM

from launch.errors import InputError
from train.checkpoints import check_same_run, forget_run, last_checkpoint, load_weights_strictly


def write_checkpoint(folder: Path, step: int, *, torn: bool = False) -> Path:
    checkpoint = folder / f"checkpoint-{step}"
    checkpoint.mkdir(parents=True)
    (checkpoint / "model.safetensors").write_bytes(b"weights")
    (checkpoint / "trainer_state.json").write_text('{"global_step": ' if torn else json.dumps({"global_step": step}))
    return checkpoint


def test_the_newest_whole_checkpoint_is_taken(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 9)
    whole = write_checkpoint(tmp_path, 100)
    write_checkpoint(tmp_path, 120, torn=True)
    (tmp_path / "checkpoint-130").mkdir()  # died before the state was written
    assert last_checkpoint(tmp_path) == whole


def test_no_whole_checkpoint_is_none(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 1, torn=True)
    assert last_checkpoint(tmp_path) is None
    assert last_checkpoint(tmp_path / "nowhere") is None


def test_another_recipe_is_refused_and_named(tmp_path: Path) -> None:
    check_same_run(tmp_path, {"training.learning_rate": 0.1, "data.seed": 0})
    check_same_run(tmp_path, {"training.learning_rate": 0.1, "data.seed": 0})
    with pytest.raises(InputError, match=r"training\.learning_rate: 0\.1, now 0\.2"):
        check_same_run(tmp_path, {"training.learning_rate": 0.2, "data.seed": 0})


def test_starting_over_removes_a_run_and_nothing_else(tmp_path: Path) -> None:
    run, other = tmp_path / "run", tmp_path / "other"
    check_same_run(run, {"data.seed": 0})
    other.mkdir()
    (other / "thesis.tex").write_text("years of work")
    forget_run(run)
    forget_run(other)
    assert not run.exists()
    assert (other / "thesis.tex").exists()


@pytest.fixture
def hybrid() -> NemotronHForCausalLM:
    torch.manual_seed(0)
    return NemotronHForCausalLM(
        NemotronHConfig(
            vocab_size=50,
            hidden_size=16,
            hybrid_override_pattern="M*-",
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
            intermediate_size=16,
            ssm_state_size=4,
            mamba_num_heads=2,
            mamba_head_dim=8,
            n_groups=1,
        )
    )


def test_weights_saved_under_the_names_of_the_hub_are_loaded(hybrid: NemotronHForCausalLM, tmp_path: Path) -> None:
    hybrid.save_pretrained(tmp_path)
    assert any(name.startswith("backbone.") for name in load_file(tmp_path / "model.safetensors"))
    expected = {name: value.clone() for name, value in hybrid.state_dict().items()}
    with torch.no_grad():
        for parameter in hybrid.parameters():
            parameter.add_(1)
    load_weights_strictly(hybrid, tmp_path)
    for name, value in hybrid.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=0)


def test_a_checkpoint_that_lacks_a_weight_is_refused(hybrid: NemotronHForCausalLM, tmp_path: Path) -> None:
    hybrid.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights.pop(next(name for name in weights if name.endswith("A_log")))
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"missing keys: .*A_log"):
        load_weights_strictly(hybrid, tmp_path)
