"""``python -m eval`` as people call it, on a real (tiny, random) model in this machine's memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from eval.__main__ import main


def program(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "eval", *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random llama of a few thousand parameters whose template opens the chain."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("model") / "checkpoint"
    vocabulary = {symbol: number for number, symbol in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    vocabulary["<end>"] = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>")
    fast.chat_template = (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"
        "{{ '<think>' if enable_thinking else '<think></think>' }}"
    )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=512, eos_token_id=vocabulary["<end>"], bos_token_id=None,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def test_a_thinking_budget_reaches_the_model_the_generations_and_the_report(
    checkpoint: Path, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launch.engines.budget.GRACE_TOKENS", 4)
    content = yaml.safe_load(recipe.read_text(encoding="utf-8")) | {"engine": {"kind": "hf", "dtype": "float32"}}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    run = ["run", "--config", str(tmp_path / "recipe.yaml"), "--model", str(checkpoint), "--languages", "[fr]"]
    run += ["--limit_per_language", "3", "--sampling.max_new_tokens", "30", "--output_dir", str(tmp_path / "run")]
    main([*run, "--thinking_budget", "6"])
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    assert report["thinking_states"]["apples"]["fr"] == {"closed": 3}, "without a budget they are never closed"
    assert report["metrics"]["apples"]["fr"]["budget_cut_rate"]["value"] == 1
    assert "budget_cut_rate" not in report["metrics"]["apples_translated"]["fr"], "that task does not think"
    made = (tmp_path / "run" / "generations" / "apples.fr.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["thinking_cut"] for line in made} <= {"newline", "abrupt"}
    main(run)
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    assert report["thinking_states"]["apples"]["fr"] == {"unclosed": 3}, "another budget is another question"
    assert report["metrics"]["apples"]["fr"]["budget_cut_rate"]["value"] is None


@pytest.mark.slow
def test_the_whole_road_on_a_real_model(checkpoint: Path, recipe: Path, tmp_path: Path) -> None:
    content = yaml.safe_load(recipe.read_text(encoding="utf-8")) | {"engine": {"kind": "hf", "dtype": "float32"}}
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(content), encoding="utf-8")
    run: list[str | Path] = ["run", "--config", recipe, "--model", checkpoint, "--limit_per_language", "3"]
    first = program(*run, "--output_dir", tmp_path / "short", "--sampling.max_new_tokens", "8")
    assert first.returncode == 0, first.stderr
    assert f"report: {tmp_path / 'short' / 'report.html'}" in first.stdout
    assert "asking the model" in first.stderr, "a progress bar is shown"
    report = json.loads((tmp_path / "short" / "report.json").read_text(encoding="utf-8"))
    assert report["model"] == str(checkpoint)
    assert report["thinking_states"]["apples"]["fr"] == {"unclosed": 3}, "the template opened what was never closed"
    assert report["metrics"]["apples"]["average"]["truncated_rate"]["value"] == 1
    assert report["metrics"]["apples"]["average"]["mean_completion_tokens"]["value"] == 8
    second = program(*run, "--output_dir", tmp_path / "long", "--sampling.max_new_tokens", "12")
    assert second.returncode == 0, second.stderr
    again = program("score", tmp_path / "short")
    assert again.returncode == 0, again.stderr
    comparison = program("compare", tmp_path / "short", tmp_path / "long")
    assert comparison.returncode == 0, comparison.stderr
    assert "no difference shown" in comparison.stdout
    board = program("leaderboard", tmp_path / "short", tmp_path / "long", "--output_dir", tmp_path / "site")
    assert board.returncode == 0, board.stderr
    assert board.stdout == f"leaderboard: {tmp_path / 'site' / 'index.html'}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rank"], "error: unknown command 'rank'; there are: run, score, compare, leaderboard, prompts"),
        (["score"], "error: python -m eval score: the following arguments are required: R"),
        (["score", "nowhere"], "error: nowhere/run.json does not exist"),
        (["run", "--config", "nowhere.yaml"], "error: the recipe nowhere.yaml cannot be read"),
        (["run", "--model", "x"], "error: the recipe names no task"),
        (["compare", "a", "b", "--outptu", "c"], "error: python -m eval compare: unrecognized arguments: --outptu c"),
        (["prompts", "--tasks", "[mgsm]"], "error: task 'mgsm' needs a folder with its rows"),
    ],
)
def test_bad_input_ends_with_one_line_and_status_2(arguments: list[str], message: str) -> None:
    ended = program(*arguments)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith(message)
    assert ended.stderr.count("\n") == 1


def test_help_names_every_command() -> None:
    ended = program("--help")
    assert ended.returncode == 0
    for command in ("run", "score", "compare", "leaderboard", "prompts"):
        assert f"\n  {command} " in ended.stdout
