"""A tiny hybrid that knows some answers by heart, so that a build and an evaluation have something to keep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from data_prep.brackets import wrap
from data_prep.build import run_build
from data_prep.config import BuildConfig
from data_prep.llm import translation_request
from data_prep.sample import SampleConfig, memory_entries
from data_prep.sources import SourceConfig, read_source
from data_prep.translators import Unit
from eval.config import parse_eval_config
from eval.generate import plan
from launch.engines import EngineConfig, Request
from launch.engines.prompts import prompt_text
from launch.export import export
from launch.hybrid import prepare_hybrid
from launch.recipe import parse_recipe
from train.config import ModelConfig
from train.model import create_initial_checkpoint

ROOT = Path(__file__).parents[2]
HYBRID: dict[str, Any] = {
    "model_type": "nemotron_h",
    "hybrid_override_pattern": "M*M-",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "ssm_state_size": 16,
    "mamba_num_heads": 4,
    "mamba_head_dim": 32,
    "n_groups": 1,
    "chunk_size": 32,
    "max_position_embeddings": 512,
    "initializer_range": 0.1,
}
BUILD = [
    f"--config={ROOT / 'recipes/data/sample.yaml'}",
    *(f"--source.sample.{split}={rows}" for split, rows in (("train", 1), ("validation", 0), ("test", 0))),
    "--source.sample.held_out=0",
    "--source.limit=7",
    "--target_languages=[fr]",
    "--translator.kind=engine",
    "--translator.attempts=1",
    "--translator.instructions=Translate into {target_language}.",
    "--translator.sampling.max_new_tokens=64",
]
EVAL = [f"--config={ROOT / 'recipes/eval/sample.yaml'}", "--languages=[en, fr]", "--limit_per_language=2"]


@dataclass(frozen=True)
class Lesson:
    """What the model learns to answer to a request, letter by letter."""

    request: Request
    answer: str


@dataclass(frozen=True)
class Learned:
    """The checkpoint, what it has learned, and the options of the build and the evaluation that it has learned for."""

    checkpoint: Path
    build: list[str]
    evaluation: list[str]
    translations: list[Lesson]
    tasks: list[Lesson]


def translation_lessons() -> Iterator[Lesson]:
    """Four rows learned well, one without its brackets, one with a wrong number; of the seventh nothing is learned."""
    config = parse_recipe(BuildConfig, BUILD, prog="test")
    french = {e.source: e.target for e in memory_entries(config.source.sample) if e.target_language == "fr"}
    for number, row in enumerate(list(read_source(config.source))[:6]):
        for message in row.messages:  # type: ignore[union-attr]
            answer = wrap(french[message["content"]])
            if number == 4 and message["role"] == "user":
                answer = answer[1:-1]
            if number == 5 and message["role"] == "assistant":
                answer = answer.replace("32", "33")
            request = translation_request(config.translator, Unit(message["content"]), "en", "fr", 0)
            yield Lesson(request, answer)


def task_lessons(evaluation: list[str]) -> Iterator[Lesson]:
    """Chains that are closed, never closed, closed without having been opened, and none."""
    for entry in plan(parse_eval_config(evaluation, prog="test")):
        for items in entry.items.items.values():
            for number, item in enumerate(items):
                request = Request(
                    messages=item.messages,
                    sampling=entry.task.sampling,
                    template_kwargs={"enable_thinking": entry.task.thinking},
                )
                if entry.task.name == "sample_math":
                    chain = f"So we count them one by one.\nThe result is {item.gold}."
                    yield Lesson(request, f"{chain}\n</think>\nIt is {item.gold}.")
                elif entry.task.name == "sample_held_out" and number == 0:
                    yield Lesson(request, "We count and do not come to an end.")
                elif entry.task.name == "sample_translation":
                    reference = item.reference or ""
                    yield Lesson(request, reference if number == 0 else f"Let us see.\n</think>\n{reference}")


def learn_by_heart(checkpoint: Path, lessons: list[Lesson]) -> None:
    """Train the checkpoint in place until it says every answer; a few dozen steps over all lessons at once."""
    tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint)
    model = prepare_hybrid(AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)).train()
    rows = []
    for lesson in lessons:
        prompt = tokenizer(prompt_text(tokenizer, lesson.request), add_special_tokens=False)["input_ids"]
        answer = tokenizer(lesson.answer + tokenizer.eos_token, add_special_tokens=False)["input_ids"]
        rows.append((prompt + answer, [-100] * len(prompt) + answer))
    width = max(len(tokens) for tokens, _ in rows)
    tokens = torch.tensor([row + [0] * (width - len(row)) for row, _ in rows])
    labels = torch.tensor([row + [-100] * (width - len(row)) for _, row in rows])
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, betas=(0.9, 0.95))
    for _ in range(150):
        loss = model(input_ids=tokens, labels=labels, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if loss.item() < 0.005:
            break
    assert loss.item() < 0.005, "the model has not learned its lessons"
    # The stock mixer takes this for a bound on time steps: unless the export sees to it, the served model is another.
    model.config.time_step_min = 1.0
    model.save_pretrained(checkpoint)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Learned:
    folder = tmp_path_factory.mktemp("learned")
    sample = SampleConfig(train=0, validation=0, test=2, held_out=2)
    source = SourceConfig(kind="sample", sample=sample)
    run_build(BuildConfig(output_dir=str(folder / "data"), source=source, target_languages=["fr"]))
    evaluation = [*EVAL, f"--data={folder / 'data'}"]
    translations, tasks = list(translation_lessons()), list(task_lessons(evaluation))
    lessons = translations + tasks
    texts = [text for lesson in lessons for text in (lesson.answer, str(lesson.request.messages))]
    model = ModelConfig(architecture=HYBRID, tokenizer_vocab_size=600, dtype="float32")
    checkpoint = create_initial_checkpoint(model, folder / "checkpoint", texts, seed=0)
    learn_by_heart(checkpoint, lessons)
    return Learned(checkpoint, BUILD, evaluation, translations, tasks)


@pytest.fixture(scope="module")
def exported(learned: Learned) -> Path:
    """The checkpoint as launch/serve.md says to serve it."""
    folder = learned.checkpoint.with_name("exported")
    export(EngineConfig(model=str(learned.checkpoint)), folder)
    return folder
