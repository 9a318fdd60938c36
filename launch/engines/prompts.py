"""Requests as the text of a prompt, also for a server that is to continue an assistant's turn.

A server can be asked to continue the last message (``continue_final_message``), but that goes through the chat
template once more, and templates drop, move or double the chain of an assistant's turn, or open one after it; a server
with a reasoning parser then files the answer under the chain. A raw prompt is what it is.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from launch.engines.base import Request
from launch.engines.identity import local_folder, read_template
from launch.errors import InputError
from launch.thinking import CLOSE, OPEN


def prompt_text(tokenizer: Any, request: Request) -> str:
    """The request's prompt as text. Raises whatever the chat template raises."""
    if request.messages is None:
        assert request.prompt is not None
        return request.prompt
    return str(
        tokenizer.apply_chat_template(
            [dict(message) for message in request.messages],
            tokenize=False,
            add_generation_prompt=True,
            **request.template_kwargs,
        )
    )


def tokenized_prompt(tokenizer: Any, request: Request) -> tuple[str, list[int]]:
    """The request's prompt and its token ids; a rendered chat has its special tokens in the text already."""
    prompt = prompt_text(tokenizer, request)
    return prompt, tokenizer(prompt, add_special_tokens=request.messages is None)["input_ids"]


class PromptRenderer:
    """The served model's tokenizer and chat template, loaded when they are first needed.

    Raises:
        InputError: there is no such folder, or the template's file cannot be read.
    """

    def __init__(self, tokenizer: str, *, chat_template: str | None, revision: str | None, remote_code: bool) -> None:
        local_folder(tokenizer, "tokenizer")
        self._name, self._revision, self._remote_code = tokenizer, revision, remote_code
        self.template = read_template(chat_template)

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer  # imports torch

        try:
            tokenizer = AutoTokenizer.from_pretrained(
                self._name, revision=self._revision, trust_remote_code=self._remote_code
            )
        except (OSError, ValueError, KeyError, TypeError, ImportError, AttributeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise InputError(f"the engine's tokenizer '{self._name}' cannot be loaded: {reason}") from error
        if not tokenizer.is_fast:
            raise InputError(f"the engine's tokenizer '{self._name}' has no tokenizer.json; a budget needs one")
        if self.template is not None:
            tokenizer.chat_template = self.template
        return tokenizer

    def load(self) -> None:
        """Load the tokenizer now.

        Raises:
            InputError: it cannot be loaded, or cannot say where a token stands in the text.
        """
        _ = self._tokenizer

    def prompt(self, request: Request) -> str:
        """The request's prompt. Raises whatever the chat template raises."""
        rendered = prompt_text(self._tokenizer, request)
        if request.messages is None:
            return rendered
        # A server puts the special token that begins a text before any prompt; templates write it too.
        begin = self._tokenizer.bos_token
        if begin and rendered.startswith(begin) and self._adds(begin):
            return rendered.removeprefix(begin)
        return str(rendered)

    def characters(self, text: str, tokens: int) -> int:
        """How many characters the first ``tokens`` tokens of ``text`` make up; more than it has, when it has fewer."""
        offsets = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        return int(offsets[tokens - 1][1]) if tokens <= len(offsets) else len(text) + 1

    def tokens(self, text: str) -> int:
        """How many tokens ``text`` has."""
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    @cached_property
    def hides_tags(self) -> bool:
        """Whether the tags of the chain are special tokens, which servers leave out of the text unless told not to."""
        added = self._tokenizer.added_tokens_decoder.values()
        return any(token.content == CLOSE and token.special for token in added)

    def _adds(self, begin: str) -> bool:
        ids = self._tokenizer("a")["input_ids"]
        return bool(ids) and ids[0] == self._tokenizer.convert_tokens_to_ids(begin)


def hidden_tokens(tokenizer: Any) -> frozenset[int]:
    """Special tokens, which a reader of the text should not see; the tags of the chain are seen."""
    special = {token for token, content in tokenizer.added_tokens_decoder.items() if content.special}
    vocabulary = tokenizer.get_vocab()  # a tag that is no token would be converted to the unknown token
    shown = {vocabulary[tag] for tag in (OPEN, CLOSE) if tag in vocabulary}
    return frozenset((special | set(tokenizer.all_special_ids)) - shown)
