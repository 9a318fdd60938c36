"""A row as the trainer reads it: conversational prompt and completion, so that the assistant's turn alone is learned.

The model's own chat template does the rendering; the prompt is rendered exactly as in generation.
"""

from __future__ import annotations

from typing import Any

from data_prep.languages import get_language
from data_prep.schema import Message, Row

Example = dict[str, Any]

TRANSLATION_INSTRUCTION = "Translate into {language_name}:\n{text}"


def to_example(row: Row) -> Example:
    """Prompt: everything before the last assistant turn; completion: that turn with its chain.

    A row without a chain, or with an empty one, is rendered with thinking off, so that it teaches no empty thought.

    Raises:
        ValueError: the conversation does not end with an assistant turn.
    """
    if not row.messages or row.messages[-1]["role"] != "assistant":
        raise ValueError(f"row {row.id} does not end with an assistant turn")
    thinking = bool(row.messages[-1].get("reasoning_content"))
    return _example([_turn(message) for message in row.messages], thinking)


def to_translation_example(source: Row, translated: Row) -> Example:
    """A translation exercise from a row and its translation: the last user turn of each, thinking off."""
    text, reference = (_last_user_turn(row) for row in (source, translated))
    prompt = TRANSLATION_INSTRUCTION.format(language_name=get_language(translated.language).name, text=text)
    turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": reference}]
    return _example(turns, thinking=False)


def _example(turns: list[dict[str, str]], thinking: bool) -> Example:
    return {
        "prompt": turns[:-1],
        "completion": turns[-1:],
        "chat_template_kwargs": {"enable_thinking": thinking},
    }


def _turn(message: Message) -> dict[str, str]:
    # Absent and empty chains are left out: a template sees a string or no key at all.
    turn = {"role": message["role"], "content": message["content"]}
    if message.get("reasoning_content"):
        turn["reasoning_content"] = message["reasoning_content"] or ""
    return turn


def _last_user_turn(row: Row) -> str:
    return next(message["content"] for message in reversed(row.messages) if message["role"] == "user")
