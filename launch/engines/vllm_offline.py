"""The engine ``vllm_offline``: vLLM in this process, for many prompts on GPUs without a server.

vLLM pins its own torch and transformers, so it lives in an environment of its own (see ``launch/serve.md``). Requests
are tokenized here as ``hf`` does it and go to vLLM as token ids; vLLM batches them, and keeps in memory what prompts
begin with.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from launch.engines.base import Completion, FinishReason, Request
from launch.engines.budget import Chain, cut_chain
from launch.engines.config import EngineConfig
from launch.engines.identity import Adapter, base_and_adapter, identity_of, read_template, template_identity
from launch.engines.prompts import hidden_tokens, tokenized_prompt
from launch.errors import InputError
from launch.thinking import GRACE_TOKENS, ends_open

# So many requests are handed to vLLM at once: it needs many to fill its batches, and gives back all at the end.
_WINDOW = 2048
_NO_RANK = "an adapter under vllm_offline needs the engine's key 'max_lora_rank', the largest rank of the adapters"
_REASONS: dict[str, FinishReason] = {"stop": "stop", "length": "length"}


@dataclass(frozen=True)
class _Asked:
    """A request under way: its prompt, and the chain that was cut from it."""

    request: Request
    key: str
    ids: list[int]
    opened: bool
    chain: Chain | None = None
    closing: tuple[int, ...] = ()

    @property
    def prompt(self) -> list[int]:
        """The token ids that vLLM is to continue."""
        return self.ids if self.chain is None else [*self.ids, *self.chain.tokens, *self.closing]

    @property
    def room(self) -> int:
        """The most tokens to generate now, as far as the request goes."""
        most, budget = self.request.sampling.max_new_tokens, self.request.thinking_budget
        if self.chain is not None:
            return most - len(self.chain.tokens) - len(self.closing)
        return most if budget is None else min(most, budget + GRACE_TOKENS)


class VllmEngine:
    """A causal language model run by vLLM, loaded when the first request arrives.

    ``identity`` holds what that of ``hf`` holds. Prefix caching is on, and the state of Mamba layers is kept in
    float32, without which hybrid models drift (a model without such layers does not mind).

    Raises:
        InputError: vLLM is not installed, there is no such model or adapter, or a value makes no sense.
    """

    def __init__(self, config: EngineConfig) -> None:
        if not config.model:
            raise InputError("the engine needs a model: give the key 'model' a hub name or a local folder")
        if config.tensor_parallel_size < 1:
            raise InputError(f"tensor_parallel_size must be at least 1, not {config.tensor_parallel_size}")
        try:
            self._vllm = importlib.import_module("vllm")
        except ImportError as error:
            raise InputError(
                f"the engine vllm_offline needs vLLM, which cannot be imported here ({error}); install it in an "
                "environment of its own as launch/serve.md says, or use the engine hf"
            ) from error
        self._config = config
        self._model_name, adapter = base_and_adapter(config)
        self._adapter = Adapter.at(adapter) if adapter else None
        if self._adapter is not None and config.max_lora_rank is None:
            raise InputError(_NO_RANK)
        self._template = read_template(config.chat_template)
        parts = [identity_of(self._model_name, config.revision)]
        if self._adapter is not None:
            parts.append(f"adapter={self._adapter.identity}")
        if self._template is not None:
            parts.append(template_identity(self._template))
        self.identity = " ".join(["vllm", *parts, f"dtype={config.dtype}"])
        self._llm: Any = None
        self._tokenizer: Any = None
        self._loras: dict[Adapter, Any] = {}

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Answer requests, a window of them at a time; see ``Engine``.

        Raises:
            InputError: vLLM cannot load the model.
        """
        source = iter(requests)
        while window := list(islice(source, _WINDOW)):
            asked: list[_Asked] = []
            for request in window:
                prepared = self._prepare(request)
                if isinstance(prepared, Completion):
                    yield prepared
                else:
                    asked.append(prepared)
            while asked:  # again with the chains that were cut or broken off
                following: list[_Asked] = []
                for entry, output in zip(asked, self._ask(asked), strict=True):
                    answer = self._read(entry, output)
                    if isinstance(answer, Completion):
                        yield answer
                    else:
                        following.append(answer)
                asked = following

    def close(self) -> None:
        """Forget the model; vLLM frees its memory with its last reference."""
        self._llm = self._tokenizer = None

    def _load(self) -> None:
        config = self._config
        lora = {} if config.max_lora_rank is None else {"enable_lora": True, "max_lora_rank": config.max_lora_rank}
        try:
            self._llm = self._vllm.LLM(
                model=self._model_name,
                revision=config.revision,
                dtype=config.dtype,
                trust_remote_code=config.trust_remote_code,
                tensor_parallel_size=config.tensor_parallel_size,
                max_model_len=config.max_model_len,
                gpu_memory_utilization=config.gpu_memory_utilization,
                enable_prefix_caching=True,
                mamba_ssm_cache_dtype="float32",
                **lora,
            )
        except (OSError, ValueError, RuntimeError, KeyError, TypeError, ImportError, AssertionError) as error:
            reason = " ".join(str(error).split())[:300]
            raise InputError(f"vLLM cannot load the model '{self._model_name}': {reason}") from error
        self._tokenizer = self._llm.get_tokenizer()
        self._hidden_tokens = hidden_tokens(self._tokenizer)
        self._context = int(self._llm.model_config.max_model_len)
        if self._template is not None:
            self._tokenizer.chat_template = self._template

    def _prepare(self, request: Request) -> _Asked | Completion:
        """The request as token ids, or an error completion when it cannot be put to this model."""
        key = request.key(self.identity)
        if request.answer is not None:
            return _failed(key, "vllm_offline only generates; likelihoods need an engine of kind hf")
        if request.adapter is not None and self._config.max_lora_rank is None:
            return _failed(
                key, "an adapter under vllm_offline needs 'max_lora_rank', the largest rank of the adapters"
            )
        if self._llm is None:
            self._load()
        try:
            prompt, ids = tokenized_prompt(self._tokenizer, request)
        except Exception as error:  # a template is a program of the model's: it may raise anything
            return _failed(key, f"the prompt cannot be rendered: {type(error).__name__}: {error}")
        if not ids or len(ids) >= self._context or request.sampling.max_new_tokens < 1:
            return _failed(key, f"a prompt of {len(ids)} tokens leaves no room for new ones (context {self._context})")
        return _Asked(request, key, ids, ends_open(prompt))

    def _ask(self, asked: list[_Asked]) -> list[Any]:
        """vLLM's output for each, in order."""
        return list(
            self._llm.generate(
                [{"prompt_token_ids": entry.prompt} for entry in asked],
                [self._sampling(entry) for entry in asked],
                lora_request=[self._lora(entry.request.adapter or self._adapter) for entry in asked],
                use_tqdm=False,
            )
        )

    def _sampling(self, entry: _Asked) -> Any:
        sampling = entry.request.sampling
        return self._vllm.SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p if sampling.temperature > 0 else 1.0,
            max_tokens=min(entry.room, self._context - len(entry.prompt)),
            stop=list(sampling.stop),
            # The same draws for every model; those of the answer are others than those of the chain.
            seed=int(entry.request.draw_key()[:7], 16) + (entry.chain is not None),
        )

    def _lora(self, adapter: Adapter | None) -> Any:
        if adapter is None:
            return None
        if adapter not in self._loras:
            number = len(self._loras) + 1
            request = importlib.import_module("vllm.lora.request").LoRARequest
            self._loras[adapter] = request(lora_name=adapter.identity, lora_int_id=number, lora_path=adapter.path)
        return self._loras[adapter]

    def _read(self, entry: _Asked, output: Any) -> Completion | _Asked:
        """The completion, or what is to be asked next."""
        made = output.outputs[0]
        reason = _REASONS.get(made.finish_reason)
        if reason is None:
            return _failed(entry.key, f"finish reason {str(made.finish_reason)[:50]!r} instead of stop or length")
        ids = list(made.token_ids)
        if reason == "stop" and not isinstance(made.stop_reason, str):
            ids = ids[:-1]  # the token that ended it
        sampling, budget = entry.request.sampling, entry.request.thinking_budget
        if entry.chain is None and budget is not None:
            chain = cut_chain(ids, self._text, entry.opened, budget)
            if chain is None and reason == "length" and len(ids) == budget + GRACE_TOKENS < sampling.max_new_tokens:
                chain = Chain(ids, self._text(ids), "", None)  # closed in time; it is the answer that goes on
            if chain is not None:
                closing = tuple(self._tokenizer(chain.closing, add_special_tokens=False)["input_ids"])
                following = replace(entry, chain=chain, closing=closing if chain.closing else ())
                if following.room >= 1 and len(following.prompt) < self._context:
                    return following
                reason = "length"
        text = self._text(ids)
        text = text[: min((at for stop in sampling.stop if stop and (at := text.find(stop)) != -1), default=len(text))]
        chain = entry.chain
        return Completion(
            key=entry.key,
            text=text if chain is None else chain.text + chain.closing + text,
            finish_reason=reason,
            prompt_tokens=len(entry.ids),
            completion_tokens=len(ids) + (0 if chain is None else len(chain.tokens)),
            opened_by_prompt=entry.opened,
            thinking_cut=None if chain is None else chain.how,
        )

    def _text(self, ids: list[int]) -> str:
        shown = [token for token in ids if token not in self._hidden_tokens]
        return str(self._tokenizer.decode(shown, skip_special_tokens=False, clean_up_tokenization_spaces=False))


def _failed(key: str, reason: str) -> Completion:
    return Completion(key, "", "error", error=" ".join(reason.split())[:500])
