"""What the trainer sees of a row: the layout of Nemotron Nano 2, and that only the assistant's turns are learned."""

from __future__ import annotations

import dataclasses
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from datasets import Dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import GenerationConfig, PreTrainedTokenizerFast
from trl import SFTConfig, SFTTrainer

from data_prep.schema import Row, make_message
from train.examples import EXAMPLE_FEATURES, Encoder
from train.model import train_tokenizer
from train.prepare import to_sequences
from train.rendering import NOT_LEARNED, end_of_turn_ids, to_examples, to_translation_example
from train.row_checks import find_markers

ROW = Row(
    id="a.fr",
    language="fr",
    category="math",
    messages=(
        make_message("user", "Combien font 2 + 3 ?"),
        make_message("assistant", "Cela fait 5.", "2 + 3 = 5"),
    ),
    source="test",
    license="CC0-1.0",
    provenance={"source_id": "a"},
)
CASES = Path(__file__).parent / "cases"
GOLDEN = yaml.safe_load((CASES / "rendering.yaml").read_text(encoding="utf-8"))
TEMPLATES = Path(__file__).parents[2] / "train" / "templates"
# The template that SmolLM2-Instruct comes with.
SMOLLM2 = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
PROMPT = "<SPECIAL_10>System\n\n<SPECIAL_11>User\nCombien font 2 + 3 ?\n<SPECIAL_11>Assistant\n"


@pytest.fixture(scope="module")
def tokenizer():  # type: ignore[no-untyped-def]
    # Two line breaks are one token, as in real tokenizers: a border between them would not be one.
    tokenizer = train_tokenizer(["Combien font 2 + 3 ? Cela fait 5.", "2 + 3 = 5", *["a\n\nb"] * 9], 400)
    assert len(tokenizer.tokenize("a\n\nb")) == 3
    return tokenizer


def rendered(tokenizer, example) -> tuple[str, str]:  # type: ignore[no-untyped-def]
    """Prompt and completion as TRL makes them: the completion is what the whole has beyond the prompt."""
    flags = example["chat_template_kwargs"]
    prompt = tokenizer.apply_chat_template(example["prompt"], tokenize=False, add_generation_prompt=True, **flags)
    whole = tokenizer.apply_chat_template(example["prompt"] + example["completion"], tokenize=False, **flags)
    assert whole.startswith(prompt)
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, whole)]
    assert ids[1][: len(ids[0])] == ids[0]  # no token lies across the border
    return prompt, whole[len(prompt) :]


def test_a_chain_stands_between_think_tags(tokenizer) -> None:  # type: ignore[no-untyped-def]
    assert rendered(tokenizer, to_examples(ROW)[0]) == (
        f"{PROMPT}<think>\n",
        "2 + 3 = 5\n</think>\nCela fait 5.\n<SPECIAL_12>",
    )


@pytest.mark.parametrize("chain", [None, ""])
def test_a_row_without_a_chain_is_rendered_with_thinking_off(tokenizer, chain: str | None) -> None:  # type: ignore[no-untyped-def]
    row = dataclasses.replace(ROW, messages=(ROW.messages[0], make_message("assistant", "Cela fait 5.", chain)))
    assert rendered(tokenizer, to_examples(row)[0]) == (f"{PROMPT}<think></think>", "Cela fait 5.\n<SPECIAL_12>")


def test_a_translation_exercise_asks_for_the_prompt_in_the_language(tokenizer) -> None:  # type: ignore[no-untyped-def]
    source = dataclasses.replace(
        ROW, language="en", messages=(make_message("user", "What is 2 + 3?"), *ROW.messages[1:])
    )
    prompt, completion = rendered(tokenizer, to_translation_example(source, ROW))
    assert "Translate into French:\nWhat is 2 + 3?" in prompt
    assert prompt.endswith("<think></think>")
    assert completion == "Combien font 2 + 3 ?\n<SPECIAL_12>"


def test_the_last_flag_in_the_conversation_wins(tokenizer) -> None:  # type: ignore[no-untyped-def]
    def prompt(*turns: tuple[str, str]) -> str:
        messages = [{"role": role, "content": content} for role, content in turns]
        return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)

    assert prompt(("system", "/no_think"), ("user", "Hi")).endswith("<think></think>")
    assert prompt(("system", "/no_think"), ("user", "Hi /think")).endswith("<think>\n")
    assert prompt(("user", "See https://x.org/thinking-fast")).endswith("<think>\n")


def test_flags_are_not_shown_and_words_that_begin_like_one_are_whole(tokenizer) -> None:  # type: ignore[no-untyped-def]
    messages = [
        {"role": "system", "content": "See https://x.org/thinking-fast\n/no_think\n  and /think  on"},
        {"role": "user", "content": "/no_think  Why\n\n/nothing? /think"},
    ]
    prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert prompt == (
        "<SPECIAL_10>System\nSee https://x.org/thinking-fast\n\n  and  on\n"
        "<SPECIAL_11>User\nWhy\n\n/nothing?\n<SPECIAL_11>Assistant\n<think>\n"
    )


def test_earlier_turns_lose_their_reasoning(tokenizer) -> None:  # type: ignore[no-untyped-def]
    messages = (*ROW.messages, make_message("user", "Et 1 + 1 ?"), make_message("assistant", "2.", "1 + 1 = 2"))
    prompt, completion = rendered(tokenizer, to_examples(dataclasses.replace(ROW, messages=messages))[-1])
    assert "2 + 3 = 5" not in prompt
    assert "Cela fait 5." in prompt
    assert completion == "1 + 1 = 2\n</think>\n2.\n<SPECIAL_12>"


def test_numbers_up_to_three_digits_are_one_token(tokenizer) -> None:  # type: ignore[no-untyped-def]
    tokens = tokenizer.tokenize("2 + 35")
    assert tokenizer.decode(tokenizer("2 + 35")["input_ids"]) == "2 + 35"
    assert tokens[0] == "2"


def test_a_row_that_does_not_end_with_the_assistant_is_named() -> None:
    with pytest.raises(ValueError, match=r"row a\.fr does not end with an assistant turn"):
        to_examples(dataclasses.replace(ROW, messages=ROW.messages[:1]))


def test_smollm2_gets_a_chain_in_its_own_layout(tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(tokenizer, "chat_template", (TEMPLATES / "smollm2_thinking.jinja").read_text())
    messages = (*ROW.messages, make_message("user", "Et 1 + 1 ?"), make_message("assistant", "2.", "1 + 1 = 2"))
    assert rendered(tokenizer, to_examples(dataclasses.replace(ROW, messages=messages))[-1]) == (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nCombien font 2 + 3 ?<|im_end|>\n<|im_start|>assistant\nCela fait 5.<|im_end|>\n"
        "<|im_start|>user\nEt 1 + 1 ?<|im_end|>\n<|im_start|>assistant\n<think>\n",
        "1 + 1 = 2\n</think>\n2.<|im_end|>\n",
    )


TURN = st.builds(
    lambda role, content: {"role": role, "content": content}, st.sampled_from(["user", "assistant"]), st.text()
)


@given(system=st.none() | st.text(), turns=st.lists(TURN, min_size=1, max_size=4), answered=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_smollm2_without_thinking_is_its_own_template(tokenizer, system, turns, answered) -> None:  # type: ignore[no-untyped-def]
    messages = [*([] if system is None else [{"role": "system", "content": system}]), *turns]
    flags = {"tokenize": False, "add_generation_prompt": not answered, "enable_thinking": False}
    ours = (TEMPLATES / "smollm2_thinking.jinja").read_text()
    assert tokenizer.apply_chat_template(messages, chat_template=ours, **flags) == tokenizer.apply_chat_template(
        messages, chat_template=SMOLLM2, **flags
    )


@pytest.mark.parametrize("template", ["nemotron", "smollm2_thinking"])
@given(chain=st.text(), answer=st.text().map(str.strip).filter(bool), thinking=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_prompt_is_the_beginning_whatever_is_answered(  # type: ignore[no-untyped-def]
    tokenizer, template: str, chain: str, answer: str, thinking: bool
) -> None:
    turn: dict[str, Any] = {"role": "assistant", "content": answer, "reasoning_content": chain}
    example = {
        "prompt": [{"role": "user", "content": "2 + 3?"}],
        "completion": [turn],
        "chat_template_kwargs": {
            "enable_thinking": thinking,
            "chat_template": (TEMPLATES / f"{template}.jinja").read_text(),
        },
    }
    prompt, completion = rendered(tokenizer, example)
    if thinking:
        assert prompt.endswith("<think>\n")
        assert chain.strip() in completion
    assert answer in completion


def golden_tokenizer(template: str) -> PreTrainedTokenizerFast:
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(CASES / "tokenizer.json"),
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="<|im_end|>" if template.startswith("smollm2") else "<SPECIAL_12>",
    )
    tokenizer.chat_template = (TEMPLATES / f"{template}.jinja").read_text()
    return tokenizer


def golden_row(case: dict[str, Any]) -> Row:
    return dataclasses.replace(ROW, messages=tuple(make_message(*message) for message in case["messages"]))


def golden_encoder(template: str, max_length: int | None) -> Encoder:
    tokenizer = golden_tokenizer(template)
    return Encoder(tokenizer, find_markers(tokenizer, end_of_turn_ids(tokenizer)), None, max_length)


def marked(tokenizer: PreTrainedTokenizerFast, line: dict[str, Any]) -> str:
    """The text of an example with what is learned in double brackets."""
    text = ""
    for learned, stretch in groupby(
        zip(line["input_ids"], line["labels"], strict=True), lambda p: p[1] != NOT_LEARNED
    ):
        part = tokenizer.decode([token for token, _ in stretch])
        text += f"⟦{part}⟧" if learned else part
    return text


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: f"{case['template']}: {case['name']}")
def test_tokens_and_labels_are_those_on_record(case: dict[str, Any]) -> None:
    encoder = golden_encoder(case["template"], case["max_length"])
    lines = encoder.row(golden_row(case))
    assert [line["turns"] for line in lines] == [example["turns"] for example in case["examples"]]
    for line, example in zip(lines, case["examples"], strict=True):
        assert line["fault"] == example.get("fault")
        if line["fault"] is None:
            learned = {i for first, last in example["learned"] for i in range(first, last)}
            ids = example["input_ids"]
            assert line["input_ids"] == ids
            assert line["labels"] == [token if i in learned else NOT_LEARNED for i, token in enumerate(ids)]
            assert marked(encoder.tokenizer, line) == example["text"]
            assert line["thinking"] == example["thinking"]
            assert line["learned_tokens"] == len(learned)


def by_trl(tokenizer: PreTrainedTokenizerFast, rows: list[Row], **settings: Any) -> list[dict[str, Any]]:
    """What TRL itself makes of the prompts and completions."""
    examples = [example for row in rows for example in to_examples(row)]
    trainer: Any = SimpleNamespace(_tokenizer=tokenizer, chat_template=None, completion_only_loss=True)
    arguments = SFTConfig(output_dir="unused", use_cpu=True, bf16=False, **settings)
    prepared = SFTTrainer._prepare_dataset(
        trainer, Dataset.from_list(examples), tokenizer, arguments, arguments.packing, None, "train"
    )
    return prepared.select_columns([c for c in prepared.column_names if c in COLUMNS]).to_list()


COLUMNS = ("input_ids", "labels", "seq_lengths")


@pytest.mark.parametrize("template", ["nemotron", "smollm2_thinking"])
@pytest.mark.parametrize("settings", [{"packing": False}, {"packing": True}, {"packing": False, "max_length": 93}])
def test_tokens_labels_and_packs_are_those_of_trl(template: str, settings: dict[str, Any]) -> None:
    settings = {"max_length": 200, **settings}
    # TRL makes an example of every turn; where we join turns there is nothing to compare.
    rows = [
        dataclasses.replace(golden_row(case), id=str(number))
        for number, case in enumerate(GOLDEN)
        if case["template"] == template and all(len(example["turns"]) == 1 for example in case["examples"])
    ]
    encoder = golden_encoder(template, settings["max_length"])
    lines = [line for row in rows for line in encoder.row(row) if line["fault"] is None]
    examples = Dataset.from_list(lines, features=EXAMPLE_FEATURES)
    arguments = SFTConfig(output_dir="unused", use_cpu=True, bf16=False, **settings)
    ours = to_sequences(examples, arguments, packing=arguments.packing, unpacked_categories=[])
    theirs = by_trl(encoder.tokenizer, rows, **settings)
    assert len(theirs) > 2
    assert ours.to_list() == theirs


def test_every_turn_ends_with_the_token_that_ends_generation(tmp_path: Path) -> None:
    """As Gemma: the tokenizer's EOS ends documents, the generation config names the token that ends turns."""
    tokenizer = golden_tokenizer("smollm2_thinking")
    tokenizer.eos_token = "<s>"
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert end not in end_of_turn_ids(tokenizer, tmp_path)
    [refused] = Encoder(tokenizer, find_markers(tokenizer, end_of_turn_ids(tokenizer)), None, None).row(ROW)
    assert refused["fault"] == "eos_not_trained"
    GenerationConfig(eos_token_id=[tokenizer.eos_token_id, end]).save_pretrained(tmp_path)
    ends = end_of_turn_ids(tokenizer, tmp_path)
    [accepted] = Encoder(tokenizer, find_markers(tokenizer, ends), None, None).row(ROW)
    assert accepted["fault"] is None
    assert end_of_turn_ids(tokenizer, eos_token="<|im_end|>") == ends
