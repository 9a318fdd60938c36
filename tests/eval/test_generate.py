"""Asking a model: each question once, also when killed, and nothing is written where nothing can be asked."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eval.__main__ import main
from launch.errors import InputError

ITEMS = 4 * 12 + 3 * 12  # four languages of apples, three of them translated


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_generation_holds_the_question_the_completion_and_the_right_answer(evaluate: Callable[..., Path]) -> None:
    folder = evaluate("right")
    files = sorted(path.name for path in (folder / "generations").iterdir())
    assert files == [
        *(f"apples.{code}.jsonl" for code in ("de", "en", "fr", "ja")),
        *(f"apples_translated.{code}.jsonl" for code in ("de", "fr", "ja")),
    ]
    generation = lines(folder / "generations" / "apples.fr.jsonl")[0]
    assert generation["id"] == "test-00.fr"
    assert (generation["task"], generation["language"]) == ("apples", "fr")
    assert generation["prompt"] == [{"role": "user", "content": generation["text"]}]
    assert generation["completion"].endswith("Tom a maintenant 12 pommes.")
    assert (generation["finish_reason"], generation["opened_by_prompt"]) == ("stop", False)
    assert generation["prompt_tokens"] == 20
    assert generation["completion_tokens"] > 0
    assert (generation["gold"], generation["reference"]) == ("12", None)
    translated = lines(folder / "generations" / "apples_translated.ja.jsonl")[0]
    assert translated["gold"] is None
    assert translated["reference"] == translated["completion"]


def test_thinking_and_sampling_reach_the_server(evaluate: Callable[..., Path], server: Any) -> None:
    evaluate("right", "--sampling.max_new_tokens", "77", "--limit_per_language", "1")
    thinking = Counter(request["chat_template_kwargs"]["enable_thinking"] for request in server.asked)
    assert thinking == {True: 4, False: 3}
    assert {request["max_tokens"] for request in server.asked} == {77}
    assert {request["temperature"] for request in server.asked} == {0.0}, "what is not overridden stays the task's"


def test_a_second_run_asks_nothing(evaluate: Callable[..., Path], server: Any) -> None:
    folder = evaluate("right")
    first = {path.name: path.read_bytes() for path in (folder / "generations").iterdir()}
    assert len(server.asked) == ITEMS
    evaluate("right")
    assert len(server.asked) == ITEMS
    assert {path.name: path.read_bytes() for path in (folder / "generations").iterdir()} == first


def test_a_wider_recipe_asks_only_what_is_new_and_a_narrower_one_leaves_nothing_stale(
    evaluate: Callable[..., Path], server: Any
) -> None:
    folder = evaluate("right", "--languages", "[fr]")
    assert len(server.asked) == 24
    evaluate("right")
    assert len(server.asked) == ITEMS
    evaluate("right", "--languages", "[fr]")
    assert len(server.asked) == ITEMS
    for part in ("generations", "scores"):
        assert {path.name for path in (folder / part).iterdir()} == {"apples.fr.jsonl", "apples_translated.fr.jsonl"}


def test_a_killed_run_goes_on_where_it_was(recipe: Path, server: Any, tmp_path: Path) -> None:
    server.delay_s = 0.1
    folder = tmp_path / "killed"
    command = [sys.executable, "-m", "eval", "run", "--config", str(recipe), "--model", "right"]
    command += ["--output_dir", str(folder)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(server.asked) < 20 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(0.3)  # what was in flight still reaches the server's list
    before = len(server.asked)
    assert 20 <= before < ITEMS, "the run was killed in its middle"
    assert not (folder / "report.json").exists()
    server.delay_s = 0.0
    subprocess.run(command, check=True, capture_output=True)
    in_flight = 4
    assert ITEMS <= len(server.asked) <= ITEMS + in_flight
    assert sum(len(lines(path)) for path in (folder / "generations").iterdir()) == ITEMS


def test_requests_that_fail_count_as_wrong_are_told_and_are_asked_again(
    evaluate: Callable[..., Path], server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    server.refuse_after = 30
    folder = evaluate("right")
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    failed = sum(sum(reasons.values()) for reasons in report["errors"].values())
    assert failed == ITEMS - 30
    assert "were never answered and count as wrong" in capsys.readouterr().err
    assert "never answered" in (folder / "report.html").read_text(encoding="utf-8")
    metrics = report["metrics"]["apples"]["average"]["accuracy"]
    assert metrics["n"] == 48
    assert metrics["value"] < 1
    server.refuse_after = None
    evaluate("right")
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report["errors"] == {"apples": {}, "apples_translated": {}}
    assert report["metrics"]["apples"]["average"]["accuracy"]["value"] == 1


def test_a_model_that_answers_nothing_at_all_is_an_error_and_no_report(
    evaluate: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"no request was answered; .*84 of 84.*out of order"):
        evaluate("broken")
    assert not (tmp_path / "runs" / "broken" / "report.json").exists()
    assert not (tmp_path / "runs" / "broken" / "generations").exists()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["--data", "nowhere"], "the data folder nowhere of task 'apples' does not exist"),
        (["--tasks", "[sample_mth]"], "unknown task 'sample_mth'"),
        (["--languages", "[fr,xx]"], "'xx'"),
        (["--languages", "[it]"], "no language 'it'"),
        (["--languages", "[]"], "'languages' is empty"),
        (["--limit_per_language", "0"], "must be at least 1"),
        (["--thinking_budget", "0"], "must be at least 1"),
        (["--thinking_budget", "512"], "task 'apples': thinking_budget 512 leaves no token for the answer"),
        (["--thinking_budget", "64"], "needs the engine's key 'tokenizer'"),
        (["--engine.kind", "hf", "--model", "./no/such/model"], "the model folder ./no/such/model does not exist"),
        (["--model", ""], "name the model"),
        (["--task_data.pears", "x"], "pears"),
        (["--embeder", "usem3"], "did you mean '--embedder'"),
    ],
)
def test_bad_input_is_one_sentence_before_anything_is_asked_or_written(
    evaluate: Callable[..., Path], server: Any, tmp_path: Path, overrides: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        evaluate("right", *overrides)
    assert "\n" not in str(caught.value)
    assert server.asked == []
    assert not (tmp_path / "runs").exists()


def test_two_tasks_of_one_name_are_refused(recipe: Path, tmp_path: Path) -> None:
    tasks = f"[{recipe.parent / 'apples.yaml'}, {recipe.parent / 'apples.yaml'}]"
    with pytest.raises(InputError, match="two tasks of the recipe are named 'apples'"):
        main(
            ["run", "--config", str(recipe), "--model", "right", "--output_dir", str(tmp_path / "r"), "--tasks", tasks]
        )


def test_a_task_may_have_a_data_folder_of_its_own(
    evaluate: Callable[..., Path], make_build: Callable[..., Path], tmp_path: Path
) -> None:
    other = make_build(tmp_path / "other", numbers=[[1, 2], [3, 4]])
    folder = evaluate("right", "--task_data", json.dumps({"apples_translated": str(other)}))
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert run["tasks"]["apples"]["items"]["fr"] == 12
    assert run["tasks"]["apples_translated"]["items"]["fr"] == 2
    assert run["tasks"]["apples_translated"]["folder"] == str(other)


def test_prompts_lists_every_question_for_decontamination(recipe: Path, server: Any, tmp_path: Path) -> None:
    output = tmp_path / "prompts.jsonl"
    main(["prompts", "--config", str(recipe), "--output", str(output)])
    prompts = lines(output)
    assert len(prompts) == ITEMS
    assert prompts[0] == {
        "task": "apples",
        "language": "en",
        "id": "test-00.en",
        "text": "Tom has 5 apples and buys 7 more. How many apples does Tom have now?",
        "reference": None,
    }
    assert server.asked == []
