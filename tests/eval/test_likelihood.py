"""Likelihood tasks end to end: a real model's loss on rows of a build and on MGSM, reported, compared and ranked."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from data_prep.schema import read_rows
from eval.__main__ import main
from train.config import ModelConfig
from train.model import create_initial_checkpoint

TINY = {
    "model_type": "llama", "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
    "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 512, "initializer_range": 0.3,
}  # fmt: skip


@pytest.fixture(scope="module")
def models(build: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two random models with one tokenizer."""
    folder = tmp_path_factory.mktemp("models")
    texts = [message["content"] for row in read_rows(build) for message in row.messages]
    config = ModelConfig(architecture=TINY, tokenizer_vocab_size=400)
    return [create_initial_checkpoint(config, folder / f"seed{seed}", texts, seed) for seed in (1, 2)]


@pytest.fixture(scope="module")
def recipe(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two likelihood tasks, the one on rows here taken from the split that the small build has."""
    folder = tmp_path_factory.mktemp("recipe")
    task = (Path("eval/tasks/validation_likelihood.yaml")).read_text(encoding="utf-8")
    languages = sorted({row.language for row in read_rows(build)})
    lines = [line for line in task.splitlines() if not line.startswith("languages:")]
    (folder / "rows.yaml").write_text(
        "\n".join([*lines, f"languages: [{', '.join(languages)}]"]).replace("split: validation", "split: test")
    )
    mgsm = folder / "mgsm"
    mgsm.mkdir()
    for code in ("en", "es", "fr", "de", "ja"):
        (mgsm / f"mgsm_{code}.tsv").write_text("What is 2 + 3?\t5\nWhat is 7 * 100?\t1,700\n", encoding="utf-8")
    (folder / "recipe.yaml").write_text(
        f"tasks: [{folder / 'rows.yaml'}, mgsm_likelihood]\n"
        f"task_data: {{validation_likelihood: {build}, mgsm_likelihood: {mgsm}}}\n"
    )
    return folder / "recipe.yaml"


@pytest.fixture(scope="module")
def runs(models: list[Path], recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    for model in models:
        main(["run", "--config", str(recipe), "--model", str(model), "--output_dir", str(folder / model.name)])
    return [folder / model.name for model in models]


def test_loss_is_the_mean_over_rows_of_nats_a_token(runs: list[Path], models: list[Path], build: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(models[0])
    model = AutoModelForCausalLM.from_pretrained(models[0]).eval()
    losses = []
    for row in read_rows(build, split="test", language="fr"):
        if not row.messages[-1]["reasoning_content"]:
            continue
        turns = [{key: value for key, value in turn.items() if value is not None} for turn in row.messages]
        prompt = tokenizer.apply_chat_template(turns[:-1], tokenize=False, add_generation_prompt=True)
        whole = tokenizer.apply_chat_template(turns, tokenize=False)
        assert whole.startswith(prompt)
        ids, answer = (
            tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, whole[len(prompt) :])
        )
        answer = answer[: answer.index(tokenizer.eos_token_id) + 1]
        with torch.no_grad():
            logprobs = model(torch.tensor([ids + answer])).logits[0].log_softmax(-1)
        losses.append(-sum(logprobs[len(ids) - 1 + n, token].item() for n, token in enumerate(answer)) / len(answer))
    report = json.loads((runs[0] / "report.json").read_text(encoding="utf-8"))
    found = report["metrics"]["validation_likelihood"]["fr"]
    assert found["loss"]["value"] == pytest.approx(sum(losses) / len(losses), abs=1e-4)
    assert found["loss"]["n"] == len(losses) > 1
    assert found["loss"]["low"] < found["loss"]["value"] < found["loss"]["high"]
    assert found["log_likelihood"]["value"] == -found["loss"]["value"]


def test_mgsm_measures_the_number_alone(runs: list[Path]) -> None:
    lines = (runs[0] / "generations" / "mgsm_likelihood.de.jsonl").read_text(encoding="utf-8").splitlines()
    generations = [json.loads(line) for line in lines]
    assert [generation["reference"] for generation in generations] == ["5", "1700"]
    assert all(math.isfinite(g["logprob"]) and g["logprob"] < 0 and g["completion"] == "" for g in generations)


def test_runs_are_compared_and_ranked_by_it(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["compare", *map(str, runs), "--output_dir", str(tmp_path / "c")])
    assert "log_likelihood" in capsys.readouterr().out
    reports = [json.loads((run / "report.json").read_text(encoding="utf-8")) for run in runs]
    values = [report["metrics"]["validation_likelihood"]["fr"]["log_likelihood"]["value"] for report in reports]
    compared = json.loads((tmp_path / "c" / "comparison.json").read_text(encoding="utf-8"))["comparisons"]
    row = next(c for c in compared if c["task"] == "validation_likelihood" and c["language"] == "fr")
    assert row["difference"] == pytest.approx(values[1] - values[0], abs=1e-9)
    main(["leaderboard", *map(str, runs), "--output_dir", str(tmp_path / "site")])
    board = json.loads((tmp_path / "site" / "leaderboard.json").read_text(encoding="utf-8"))
    averages = [r["metrics"]["validation_likelihood"]["average"]["log_likelihood"]["value"] for r in board["runs"]]
    assert averages == sorted(averages, reverse=True)
