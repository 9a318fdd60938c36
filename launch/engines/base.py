"""The one interface to a language model: requests in, completions out as they finish.

Translating a data set and evaluating a checkpoint are the same act; both speak only in these types.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal, Protocol

from launch.engines.identity import Adapter
from launch.thinking import ThinkingCut

FinishReason = Literal["stop", "length", "error"]

_encode = json.JSONEncoder(ensure_ascii=True, sort_keys=True).encode
_LATER_FIELDS = ("thinking_budget", "adapter")  # of Request; None is their default


@dataclass(frozen=True)
class Sampling:
    """How to draw a completion.

    Args:
        temperature: 0 is greedy.
        top_p: nucleus sampling; only used when temperature > 0.
        max_new_tokens: the most tokens to generate.
        stop: strings that end the completion; they are not part of its text.
        seed: where drawing starts; without effect on greedy decoding.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    max_new_tokens: int = 512
    stop: tuple[str, ...] = ()
    seed: int = 0


@dataclass(frozen=True)
class Request:
    """One question to a model: either a raw ``prompt`` or chat ``messages``, never both.

    With ``answer``, the assistant's turn in the chat form (``content``, and ``reasoning_content`` where there is a
    chain), nothing is generated: the model says how likely that turn is.
    ``attempt`` counts repeated asking (0 first); it is part of the key, so another attempt is another question.
    ``template_kwargs`` reach the model's chat template (``enable_thinking`` and the like).
    ``thinking_budget`` is the most tokens a chain of thought may take before it is closed, at the rule of
    ``launch.thinking.budget_cut``; a chain that stays within it is answered as without a budget.
    ``adapter`` answers in place of the engine's own; in the key stands what it is, not where (``Adapter.at(PATH)``).
    """

    prompt: str | None = None
    messages: tuple[dict[str, Any], ...] | None = None
    sampling: Sampling = field(default_factory=Sampling)
    attempt: int = 0
    template_kwargs: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, Any] | None = None
    thinking_budget: int | None = None
    adapter: Adapter | None = None

    def __post_init__(self) -> None:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("a request has either a prompt or messages")
        if self.answer is not None and self.messages is None:
            raise ValueError("an answer follows messages, not a prompt")
        if self.thinking_budget is not None and self.thinking_budget < 1:
            raise ValueError(f"a thinking budget is at least 1 token, not {self.thinking_budget}")

    def key(self, engine_identity: str) -> str:
        """SHA-256 (hex) over everything that can change the answer."""
        return hashlib.sha256(f"[{_encode(engine_identity)}, {self._content}]".encode()).hexdigest()

    def draw_key(self) -> str:
        """What the random draws start from: the question alone, neither the model nor how far it may think.

        So checkpoints are compared on the same draws, and a budget that is not reached changes nothing.
        """
        bare = self.thinking_budget is None and self.adapter is None
        return (self if bare else replace(self, thinking_budget=None, adapter=None)).key("")

    @cached_property
    def _content(self) -> str:
        """Every field as JSON, which keys are made of; once, since each request has its key taken three times."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        values["sampling"] = vars(self.sampling)
        if self.adapter is not None:
            values["adapter"] = self.adapter.identity
        for name in _LATER_FIELDS:
            if values[name] is None:  # keys from before there was such a field stay what they were
                del values[name]
        return _encode(values)


@dataclass(frozen=True)
class Completion:
    """What came back for the request with this ``key``.

    ``text`` is what the model generated, prompt not repeated, special tokens of the chat format removed.
    ``opened_by_prompt``: the rendered prompt ended with an open ``<think>``, so the text begins inside the chain.
    ``logprob`` is the natural logarithm of the probability of the request's ``answer``, all ``completion_tokens`` of
    it together, with the token that ends the turn; None where text was generated.
    ``thinking_cut`` says how a chain over its budget was closed, at a line break or abruptly; None: it was not.
    ``error`` is a short reason when ``finish_reason`` is ``error`` (``text`` is then empty).
    """

    key: str
    text: str
    finish_reason: FinishReason
    prompt_tokens: int = 0
    completion_tokens: int = 0
    opened_by_prompt: bool = False
    logprob: float | None = None
    error: str | None = None
    thinking_cut: ThinkingCut | None = None


class Engine(Protocol):
    """A model that answers requests. ``identity`` names model and revision as they enter every request's key."""

    identity: str

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Yield a completion for every request as it finishes, in any order, matched by ``key``.

        A request that cannot be answered becomes a completion with ``finish_reason="error"``; it never raises.
        """
        ...

    def close(self) -> None:
        """Release the model or the connections."""
        ...
