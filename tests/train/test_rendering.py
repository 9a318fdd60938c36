"""What the trainer sees of a row: the layout of Nemotron Nano 2, and that only the assistant's turn is learned."""

from __future__ import annotations

import dataclasses

import pytest

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
PROMPT = "<SPECIAL_10>System\n\n<SPECIAL_11>User\nCombien font 2 + 3 ?\n<SPECIAL_11>Assistant\n"


@pytest.fixture(scope="module")
def tokenizer():  # type: ignore[no-untyped-def]
    return train_tokenizer(["Combien font 2 + 3 ? Cela fait 5.", "2 + 3 = 5"], 400)


def rendered(tokenizer, example) -> tuple[str, str]:  # type: ignore[no-untyped-def]
    """Prompt and completion as TRL makes them: the completion is what the whole has beyond the prompt."""
    flags = example["chat_template_kwargs"]
    prompt = tokenizer.apply_chat_template(example["prompt"], tokenize=False, add_generation_prompt=True, **flags)
    whole = tokenizer.apply_chat_template(example["prompt"] + example["completion"], tokenize=False, **flags)
    assert whole.startswith(prompt)
    return prompt, whole[len(prompt) :]


def test_a_chain_stands_between_think_tags(tokenizer) -> None:  # type: ignore[no-untyped-def]
    assert rendered(tokenizer, to_example(ROW)) == (
        f"{PROMPT}<think>\n",
        "2 + 3 = 5\n</think>\nCela fait 5.\n<SPECIAL_12>",
    )


def test_a_row_without_a_chain_is_rendered_with_thinking_off(tokenizer) -> None:  # type: ignore[no-untyped-def]
    row = dataclasses.replace(ROW, messages=(ROW.messages[0], make_message("assistant", "Cela fait 5.")))
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
    assert "https://x.org/thinking-fast" in prompt(("user", "See https://x.org/thinking-fast"))


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
