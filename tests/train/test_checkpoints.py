"""Which checkpoint a run goes on from, what a full disk leaves of one, and that going on loads every weight."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import NemotronHForCausalLM

import train.config
from launch.errors import InputError
from train.checkpoint_files import (
    agree_on_resume_point,
    check_same_run,
    find_resume_point,
    forget_run,
    remove_old_checkpoints,
    seal,
    why_torn,
    writing,
)
from train.checkpoints import check_adapter_names, check_deepspeed_names, load_weights_strictly
from train.trainer import HybridSFTTrainer


def write_checkpoint(
    folder: Path, step: int, *, processes: int = 1, sealed: bool = True, resumable: bool = True
) -> Path:
    """Files of the kinds and formats that a run writes: two weight shards, ZeRO states, optimizer, random states."""
    checkpoint = folder / f"checkpoint-{step}"
    states = checkpoint / f"global_step{step}"
    states.mkdir(parents=True)
    names = [f"model-{number:05}-of-00002.safetensors" for number in (1, 2)]
    for number, name in enumerate(names):
        save_file({f"weight{number}": torch.zeros(100)}, checkpoint / name)
    index = {"weight_map": {f"weight{number}": name for number, name in enumerate(names)}}
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps(index))
    for rank in range(processes):
        torch.save({"cpu": torch.zeros(10)}, checkpoint / f"rng_state_{rank}.pth")
        torch.save({"partition": torch.zeros(10)}, states / f"zero_pp_rank_{rank}_mp_rank_00_optim_states.pt")
    torch.save({"step": torch.zeros(100)}, checkpoint / "optimizer.pt")
    (checkpoint / "latest").write_text(f"global_step{step}")
    (checkpoint / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    if sealed:
        seal(checkpoint, processes=processes, resumable=resumable)
    return checkpoint


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGE = [
    ("model-00001-of-00002.safetensors", cut),
    ("model-00002-of-00002.safetensors", Path.unlink),
    ("model.safetensors.index.json", cut),
    ("optimizer.pt", cut),
    ("optimizer.pt", empty),
    ("rng_state_1.pth", Path.unlink),
    ("rng_state_0.pth", cut),
    ("trainer_state.json", empty),
    ("trainer_state.json", cut),
    ("latest", empty),
    ("global_step9/zero_pp_rank_1_mp_rank_00_optim_states.pt", Path.unlink),
    ("global_step9/zero_pp_rank_0_mp_rank_00_optim_states.pt", cut),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGE, ids=[f"{name}-{damage.__name__}" for name, damage in DAMAGE])
def test_a_torn_checkpoint_is_passed_over_and_named(name: str, damage: Callable[[Path], None], tmp_path: Path) -> None:
    before = write_checkpoint(tmp_path, 3, processes=2)
    damage(write_checkpoint(tmp_path, 9, processes=2) / name)
    point = find_resume_point(tmp_path)
    assert point.checkpoint == before
    said = point.describe() or ""
    assert said.startswith(f"going on from {before}; passed over, not whole: checkpoint-9 ({name} is ")
    assert "\n" not in said


def test_the_newest_whole_checkpoint_is_taken_by_its_step(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 9)
    whole = write_checkpoint(tmp_path, 100)
    write_checkpoint(tmp_path, 120, sealed=False)  # the process died before the last file was written
    (tmp_path / "checkpoint-130").mkdir()
    (tmp_path / "checkpoint-old").mkdir()
    point = find_resume_point(tmp_path)
    assert point.checkpoint == whole
    assert list(point.torn) == ["checkpoint-130", "checkpoint-120"]
    assert set(point.torn.values()) == {"it was not written to its end"}


def test_no_whole_checkpoint_is_the_beginning(tmp_path: Path) -> None:
    assert find_resume_point(tmp_path / "nowhere").describe() is None
    write_checkpoint(tmp_path, 1, sealed=False)
    point = find_resume_point(tmp_path)
    assert point.checkpoint is None
    assert "starting from the beginning; passed over, not whole: checkpoint-1" in (point.describe() or "")


def test_a_file_that_was_changed_and_can_be_read_is_not_torn(tmp_path: Path) -> None:
    """What it lacks is said when it is loaded; to go on from an older checkpoint in silence would hide it."""
    checkpoint = write_checkpoint(tmp_path, 1)
    save_file({}, checkpoint / "model-00001-of-00002.safetensors")
    assert why_torn(checkpoint) is None


def test_what_cannot_be_gone_on_from_is_an_error(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "two", 4, processes=2)
    with pytest.raises(InputError, match=r"written by 2 processes and this run has 1.* --num_processes 2"):
        agree_on_resume_point(tmp_path / "two", processes=1)
    write_checkpoint(tmp_path / "weights", 4, resumable=False)
    with pytest.raises(InputError, match="holds weights only"):
        agree_on_resume_point(tmp_path / "weights", processes=1)
    with pytest.raises(InputError, match="resume_from_checkpoint is not needed"):
        agree_on_resume_point(tmp_path, processes=1, asked="checkpoint-4")


def test_old_checkpoints_go_and_leftovers_do_not_count(tmp_path: Path) -> None:
    for step in (2, 4, 6, 8, 10):
        write_checkpoint(tmp_path, step, sealed=step != 8)
    remove_old_checkpoints(tmp_path, 2, best=str(tmp_path / "checkpoint-2"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-10", "checkpoint-2", "checkpoint-6"]
    remove_old_checkpoints(tmp_path, None, best=None)
    assert len(list(tmp_path.iterdir())) == 3


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 400 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a file system can only be mounted by root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize(
    "save", [torch.save, lambda value, path: save_file(value, path)], ids=["torch", "safetensors"]
)
def test_a_full_disk_is_one_sentence_that_names_the_last_good_checkpoint(
    save: Callable[[dict[str, torch.Tensor], Path], None], small_disk: Path
) -> None:
    good = write_checkpoint(small_disk, 3)
    torn = small_disk / "checkpoint-6"

    def write() -> None:
        with writing(torn, small_disk):
            torn.mkdir()
            save({"weights": torch.zeros(200_000)}, torn / "weights")

    with pytest.raises(InputError, match=rf"checkpoint-6 cannot be written: the disk is full; .*last good.* {good};"):
        write()
    assert not torn.exists(), "its room is free again"
    assert find_resume_point(small_disk).describe() == f"going on from {good}"


def test_another_error_while_writing_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="out of memory"), writing(tmp_path / "checkpoint-6", tmp_path):
        raise RuntimeError("CUDA out of memory")


def test_another_recipe_is_refused_and_named(tmp_path: Path) -> None:
    check_same_run(tmp_path, {"training.learning_rate": 0.1, "data.seed": 0})
    check_same_run(tmp_path, {"training.learning_rate": 0.1, "data.seed": 0})
    with pytest.raises(InputError, match=r"training\.learning_rate: 0\.1, now 0\.2"):
        check_same_run(tmp_path, {"training.learning_rate": 0.2, "data.seed": 0})


def test_a_recipe_is_the_same_whether_its_lists_are_lists_or_tuples(tmp_path: Path) -> None:
    for _ in range(2):
        check_same_run(tmp_path, {"data.cut_tokens": (1000, 2000)})


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
def hybrid(new_hybrid: Callable[..., NemotronHForCausalLM]) -> NemotronHForCausalLM:
    return new_hybrid(vocab_size=50)


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


def test_a_checkpoint_with_a_weight_too_many_is_refused(hybrid: NemotronHForCausalLM, tmp_path: Path) -> None:
    hybrid.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors") | {"backbone.layers.0.mixer.extra": torch.zeros(2)}
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"unexpected keys: .*mixer\.extra"):
        load_weights_strictly(hybrid, tmp_path)


def test_an_adapter_is_loaded_whole_or_refused(hybrid: NemotronHForCausalLM, tmp_path: Path) -> None:
    adapted = get_peft_model(hybrid, LoraConfig(target_modules=["q_proj", "in_proj"], r=2))
    adapted.save_pretrained(str(tmp_path))
    check_adapter_names(adapted, tmp_path)
    file = tmp_path / "adapter_model.safetensors"
    tensors = load_file(file)
    name = next(name for name in tensors if "q_proj.lora_A" in name)
    for changed, message in (
        ({key: value for key, value in tensors.items() if key != name}, r"missing keys: .*q_proj\.lora_A"),
        (tensors | {"base_model.model.model.other.lora_A.weight": torch.zeros(2)}, r"unexpected keys: model\.other"),
        (tensors | {name: torch.zeros(3, 16)}, r"other shapes: .*q_proj\.lora_A"),
    ):
        save_file(changed, file)
        with pytest.raises(InputError, match=message):
            check_adapter_names(adapted, tmp_path)


def test_a_run_with_adapters_does_not_go_on_without_one(
    new_hybrid: Callable[..., NemotronHForCausalLM], noise_trainer: Callable[..., HybridSFTTrainer], tmp_path: Path
) -> None:
    """PEFT would load the others and leave this one as it is drawn, with a warning."""

    def start() -> HybridSFTTrainer:
        return noise_trainer(new_hybrid(), rows=8, lora=train.config.LoraConfig(r=2), max_steps=2, save_steps=1)

    start().train()
    checkpoint = tmp_path / "run" / "checkpoint-1"
    tensors = load_file(checkpoint / "adapter_model.safetensors")
    tensors.pop(next(name for name in tensors if "in_proj.lora_B" in name))
    save_file(tensors, checkpoint / "adapter_model.safetensors")
    with pytest.raises(InputError, match=r"missing keys: .*in_proj\.lora_B"):
        start().train(resume_from_checkpoint=str(checkpoint))


def test_a_deepspeed_checkpoint_names_what_it_lacks(hybrid: NemotronHForCausalLM, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no DeepSpeed states"):
        check_deepspeed_names(hybrid, tmp_path)
    (tmp_path / "global_step4").mkdir()
    shapes = {name: tuple(parameter.shape) for name, parameter in hybrid.named_parameters()}
    states = tmp_path / "global_step4" / "zero_pp_rank_0_mp_rank_00_model_states.pt"
    torch.save({"param_shapes": [shapes]}, states)
    check_deepspeed_names(hybrid, tmp_path)
    shapes.pop(lost := next(name for name in shapes if name.endswith("A_log")))
    torch.save({"param_shapes": [shapes]}, states)
    with pytest.raises(InputError, match=f"missing keys: {lost}"):
        check_deepspeed_names(hybrid, tmp_path)
