"""A row as the trainer reads it: prompt and completion through the model's own chat template, then tokens and labels.

Prompt and completion are the conversational form of TRL, and the tokens and labels are those that TRL makes of them
(a test compares); they are made here because only here a row that goes wrong can still be named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, GenerationConfig, PreTrainedTokenizerBase

from data_prep.languages import get_language
from data_prep.schema import Message, Row
from launch.errors import InputError
from launch.thinking import CLOSE
from train.config import ModelConfig

Example = dict[str, Any]

TRANSLATION_INSTRUCTION = "Translate into {language_name}:\n{text}"
# The label of a token that is read but not learned, as in PyTorch and TRL.
NOT_LEARNED = -100


@dataclass(frozen=True)
class Encoding:
    """An example in tokens.

    Args:
        prompt: what the template renders for generation; rendered text, not tokens.
        completion: what the whole conversation has beyond it.
        input_ids: tokens of both.
        labels: as long as ``input_ids``; the token where it is learned, ``NOT_LEARNED`` elsewhere.
        prompt_is_kept: the text and the tokens of the prompt are the beginning of the whole; otherwise what is
            trained begins differently from what generation begins with.
    """

    prompt: str
    completion: str
    input_ids: list[int]
    labels: list[int]
    prompt_is_kept: bool = True

    @property
    def learned(self) -> int:
        """Number of tokens that are learned."""
        return sum(label != NOT_LEARNED for label in self.labels)


def load_tokenizer(config: ModelConfig, name_or_path: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer with the chat template in force, without loading the model.

    Raises:
        InputError: there is no such tokenizer, it has no chat template, or the template's file cannot be read.
    """
    where = str(name_or_path)
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            where, revision=config.revision, trust_remote_code=config.trust_remote_code
        )
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"model.name_or_path: '{where}' cannot be loaded: {reason}") from error
    if config.chat_template:
        try:
            tokenizer.chat_template = Path(config.chat_template).read_text(encoding="utf-8")
        except OSError as error:
            raise InputError(f"model.chat_template: {config.chat_template}: {error.strerror}") from error
    if not tokenizer.chat_template:
        raise InputError(f"the tokenizer of '{where}' has no chat template; name one with model.chat_template")
    return tokenizer


def end_of_turn_ids(
    tokenizer: PreTrainedTokenizerBase,
    name_or_path: str | Path | None = None,
    revision: str | None = None,
    eos_token: str | None = None,
) -> frozenset[int]:
    """The tokens that end a generated turn: the tokenizer's, the recipe's, and those of the generation config.

    A model may well end its turns with another token than the one its tokenizer calls EOS (Gemma does).
    """
    ids = {tokenizer.eos_token_id}
    if eos_token is not None:
        ids.add(tokenizer.convert_tokens_to_ids(eos_token))
    if name_or_path is not None:
        try:
            configured = GenerationConfig.from_pretrained(str(name_or_path), revision=revision or "main").eos_token_id
        except (OSError, ValueError):
            configured = None
        ids |= set(configured) if isinstance(configured, list) else {configured}
    return frozenset(i for i in ids if isinstance(i, int))


def to_examples(row: Row) -> list[Example]:
    """One example for every assistant turn: prompt is everything before it, completion the turn with its chain.

    A turn without a chain, or with an empty one, is rendered with thinking off, so that it teaches no empty thought.

    Raises:
        ValueError: the conversation does not end with an assistant turn.
    """
    if not row.messages or row.messages[-1]["role"] != "assistant":
        raise ValueError(f"row {row.id} does not end with an assistant turn")
    turns = [_turn(message) for message in row.messages]
    return [
        _example(turns[: position + 1], bool(turn.get("reasoning_content")))
        for position, turn in enumerate(turns)
        if turn["role"] == "assistant"
    ]


def to_translation_example(source: Row, translated: Row) -> Example:
    """A translation exercise from a row and its translation: the last user turn of each, thinking off."""
    text, reference = (_last_user_turn(row) for row in (source, translated))
    prompt = TRANSLATION_INSTRUCTION.format(language_name=get_language(translated.language).name, text=text)
    turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": reference}]
    return _example(turns, thinking=False)


def render(
    tokenizer: PreTrainedTokenizerBase,
    turns: Sequence[dict[str, str]],
    thinking: bool,
    *,
    for_generation: bool = False,
) -> str:
    """The conversation as text, by the tokenizer's template.

    Raises:
        jinja2.TemplateError: the template refuses the conversation.
    """
    flags: Any = {"tokenize": False, "add_generation_prompt": for_generation, "enable_thinking": thinking}
    return str(tokenizer.apply_chat_template(list(turns), **flags))


def encode(
    example: Example, tokenizer: PreTrainedTokenizerBase, *, learn_prompt: bool = False, mask_close: bool = False
) -> Encoding:
    """Tokens and labels of an example, as TRL makes them of it.

    Args:
        example: prompt, completion and whether thinking is on.
        tokenizer: with the template that renders it.
        learn_prompt: everything is learned, not the completion alone (``completion_only_loss: false``).
        mask_close: the ``</think>`` of the completion is not learned. For a chain that was cut short: the model learns
            to answer after it, not to stop thinking there.

    Raises:
        jinja2.TemplateError: the template refuses the conversation.
    """
    thinking = example["chat_template_kwargs"]["enable_thinking"]
    prompt = render(tokenizer, example["prompt"], thinking, for_generation=True)
    whole = render(tokenizer, [*example["prompt"], *example["completion"]], thinking)
    prompt_ids = _tokens(tokenizer, prompt)["input_ids"]
    encoded = _tokens(tokenizer, whole, return_offsets_mapping=mask_close)
    input_ids: list[int] = encoded["input_ids"]
    common = _common_prefix(prompt_ids, input_ids)
    kept = whole.startswith(prompt) and common == len(prompt_ids)
    labels = list(input_ids) if learn_prompt else [NOT_LEARNED] * common + input_ids[common:]
    if mask_close:
        start = whole.find(CLOSE, len(prompt))
        for position, (begin, end) in enumerate(encoded["offset_mapping"]):
            if start != -1 and begin < start + len(CLOSE) and end > start:
                labels[position] = NOT_LEARNED
    return Encoding(prompt, whole[len(prompt) :] if kept else whole, input_ids, labels, kept)


def join_turns(encodings: Sequence[Encoding]) -> Encoding | None:
    """The turns of one conversation as a single example in which each of them is learned; None if that cannot be.

    It can where the template is prefix-preserving, that is where every earlier turn stands in the whole conversation
    token by token as it stood when it was the last one. Whether it does is seen from the tokens of this conversation:
    a template that drops earlier chains may still be exact for one without chains.
    """
    whole = encodings[-1]
    labels = list(whole.labels)
    for turn in encodings[:-1]:
        length = len(turn.input_ids)
        if whole.input_ids[:length] != turn.input_ids:
            return None
        labels[:length] = [
            label if label != NOT_LEARNED else before
            for label, before in zip(turn.labels, labels[:length], strict=True)
        ]
    return Encoding(whole.prompt, whole.completion, whole.input_ids, labels, whole.prompt_is_kept)


def _example(turns: list[dict[str, str]], thinking: bool) -> Example:
    return {
        "prompt": turns[:-1],
        "completion": turns[-1:],
        "chat_template_kwargs": {"enable_thinking": thinking},
    }


def _turn(message: Message) -> dict[str, str]:
    # Absent and empty chains are left out: a template sees a string or no key at all.
    turn = {"role": message["role"], "content": message["content"]}
    if (message.get("reasoning_content") or "").strip():
        turn["reasoning_content"] = message["reasoning_content"] or ""
    return turn


def _tokens(tokenizer: PreTrainedTokenizerBase, text: str, **options: Any) -> Any:
    # The template writes the special tokens itself.
    return tokenizer(text, add_special_tokens=False, verbose=False, **options)


def _common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    for position, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return position
    return min(len(left), len(right))


def _last_user_turn(row: Row) -> str:
    return next(message["content"] for message in reversed(row.messages) if message["role"] == "user")
