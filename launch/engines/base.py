"""The one interface to a language model: requests in, completions out as they finish.

Translating a data set and evaluating a checkpoint are the same act; both speak only in these types.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

FinishReason = Literal["stop", "length", "error"]


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
    """

    prompt: str | None = None
    messages: tuple[dict[str, Any], ...] | None = None
    sampling: Sampling = field(default_factory=Sampling)
    attempt: int = 0
    template_kwargs: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("a request has either a prompt or messages")
        if self.answer is not None and self.messages is None:
            raise ValueError("an answer follows messages, not a prompt")

    def key(self, engine_identity: str) -> str:
        """SHA-256 (hex) over everything that can change the answer."""
        content = json.dumps([engine_identity, asdict(self)], ensure_ascii=True, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True)
class Completion:
    """What came back for the request with this ``key``.

    ``text`` is what the model generated, prompt not repeated, special tokens of the chat format removed.
    ``opened_by_prompt``: the rendered prompt ended with an open ``<think>``, so the text begins inside the chain.
    ``logprob`` is the natural logarithm of the probability of the request's ``answer``, all ``completion_tokens`` of
    it together, with the token that ends the turn; None where text was generated.
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
