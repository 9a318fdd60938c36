"""What the trainer sees of a row: the layout of Nemotron Nano 2, and that only the assistant's turn is learned."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_prep.schema import Row, make_message
from train.model import train_tokenizer
from train.rendering import to_example, to_translation_example

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
    assert rendered(tokenizer, to_example(ROW)) == (
        f"{PROMPT}<think>\n",
        "2 + 3 = 5\n</think>\nCela fait 5.\n<SPECIAL_12>",
    )


@pytest.mark.parametrize("chain", [None, ""])
def test_a_row_without_a_chain_is_rendered_with_thinking_off(tokenizer, chain: str | None) -> None:  # type: ignore[no-untyped-def]
    row = dataclasses.replace(ROW, messages=(ROW.messages[0], make_message("assistant", "Cela fait 5.", chain)))
    assert rendered(tokenizer, to_example(row)) == (f"{PROMPT}<think></think>", "Cela fait 5.\n<SPECIAL_12>")


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
    prompt, completion = rendered(tokenizer, to_example(dataclasses.replace(ROW, messages=messages)))
    assert "2 + 3 = 5" not in prompt
    assert "Cela fait 5." in prompt
    assert completion == "1 + 1 = 2\n</think>\n2.\n<SPECIAL_12>"


def test_numbers_up_to_three_digits_are_one_token(tokenizer) -> None:  # type: ignore[no-untyped-def]
    tokens = tokenizer.tokenize("2 + 35")
    assert tokenizer.decode(tokenizer("2 + 35")["input_ids"]) == "2 + 35"
    assert tokens[0] == "2"


def test_a_row_that_does_not_end_with_the_assistant_is_named() -> None:
    with pytest.raises(ValueError, match=r"row a\.fr does not end with an assistant turn"):
        to_example(dataclasses.replace(ROW, messages=ROW.messages[:1]))


def test_smollm2_gets_a_chain_in_its_own_layout(tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(tokenizer, "chat_template", (TEMPLATES / "smollm2_thinking.jinja").read_text())
    messages = (*ROW.messages, make_message("user", "Et 1 + 1 ?"), make_message("assistant", "2.", "1 + 1 = 2"))
    assert rendered(tokenizer, to_example(dataclasses.replace(ROW, messages=messages))) == (
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
