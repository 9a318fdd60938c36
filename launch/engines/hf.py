"""The engine ``hf``: transformers in this process. Requests are rendered, sorted by length and decoded in batches."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from launch.engines.adapters import LOAD_ERRORS, Adapters, cannot_load
from launch.engines.base import Completion, Request
from launch.engines.budget import BudgetWatch, Chain, cut_chain
from launch.engines.config import EngineConfig
from launch.engines.decoding import Decoder, Row
from launch.engines.identity import Adapter, base_and_adapter, identity_of, read_template, template_identity
from launch.engines.prompts import hidden_tokens, tokenized_prompt
from launch.errors import InputError
from launch.hybrid import prepare_hybrid
from launch.thinking import ends_open

# So many batches of requests are read ahead and sorted by length, longest first.
_WINDOW_BATCHES = 16
_DTYPES = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True)
class _Asked:
    """A row's request: its key and stop strings, whether its prompt opened a chain, and the chain that was cut."""

    key: str
    opened: bool
    stops: tuple[str, ...]
    budget: int | None
    adapter: Adapter | None
    prompt_tokens: int
    chain: Chain | None = None


class HfEngine:
    """A causal language model in this process, loaded when the first request arrives.

    ``identity`` holds the model's name and revision, for a local folder its name and a fingerprint of its files (so a
    checkpoint that was trained on is another model), the adapter likewise, and the dtype. A request's own adapter is
    loaded when it is first named and stays in memory; its requests are decoded together, with the tokenizer and the
    chat template of the engine.

    Raises:
        InputError: there is no such model or adapter, or a value in the configuration makes no sense.
    """

    def __init__(self, config: EngineConfig) -> None:
        if not config.model:
            raise InputError("the engine needs a model: give the key 'model' a hub name or a local folder")
        if config.dtype not in _DTYPES:
            raise InputError(f"unknown dtype '{config.dtype}' for the model; known: {', '.join(_DTYPES)}")
        if config.batch_size < 1:
            raise InputError(f"batch_size must be at least 1, not {config.batch_size}")
        self._config = config
        self._model_name, self._adapter = base_and_adapter(config)
        parts = [identity_of(self._model_name, config.revision)]
        if self._adapter:
            parts.append(f"adapter={identity_of(self._adapter, None)}")
        self._template = read_template(config.chat_template)
        if self._template is not None:
            parts.append(template_identity(self._template))
        self.identity = " ".join(["hf", *parts, f"dtype={config.dtype}"])
        self._model: Any = None
        self._tokenizer: Any = None
        self._decoder: Decoder | None = None

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Answer requests as they finish; see ``Engine``. Sampled completions depend on the request, not on its batch.

        Raises:
            InputError: the model or a request's adapter turns out not to be loadable.
        """
        for is_given, group in groupby(requests, lambda request: request.answer is not None):
            if is_given:
                yield from map(self._likelihood, group)
            else:
                yield from self._decode(group)

    def _decode(self, requests: Iterable[Request]) -> Iterator[Completion]:
        source = iter(requests)
        first = next(source, None)
        if first is None:
            return
        source = chain([first], source)
        decoder = self._decoder or self._load()
        window: list[Row] = []  # the longest prompt last
        failed: deque[Completion] = deque()
        exhausted = False

        def fill() -> None:
            nonlocal exhausted
            while not window and not exhausted and len(failed) < self._window_size:
                chunk = list(islice(source, self._window_size))
                exhausted = len(chunk) < self._window_size
                for request in chunk:
                    row = self._row(request)
                    if isinstance(row, Row):
                        window.append(row)
                    else:
                        failed.append(row)
                window.sort(key=lambda row: len(row.prompt))

        def take(count: int) -> list[Row]:
            fill()
            fitting = [at for at, row in enumerate(window) if row.id.adapter == self._adapters.active]
            return [window.pop(at) for at in reversed(fitting[-count:])]

        while not exhausted or window:
            fill()
            if window:
                self._use(window[-1].id.adapter)
            # One adapter at a time: its rows of the window, and of the next ones as long as no other is waiting.
            for row in decoder.run(take):
                while failed:
                    yield failed.popleft()
                answer = self._answer_row(row)
                if answer is None:
                    yield self._completion(row)
                else:
                    window.append(answer)  # taken next: its completion is nearest to its end
            while failed:
                yield failed.popleft()

    def _use(self, adapter: Adapter | None) -> None:
        if self._decoder is not None and adapter != self._adapters.active:
            self._decoder.forget_prefix()
        self._adapters.use(adapter)

    def close(self) -> None:
        """Forget the model and free its memory."""
        self._model = self._tokenizer = self._decoder = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    @property
    def _window_size(self) -> int:
        return self._config.batch_size * _WINDOW_BATCHES

    def _load(self) -> Decoder:
        config = self._config
        tokenizer_at = self._model_name
        if self._adapter and Path(self._adapter, "tokenizer_config.json").is_file():
            tokenizer_at = self._adapter  # saved with the adapter, with the template it was trained with
        revision = config.revision if tokenizer_at == self._model_name else None
        shared: dict[str, Any] = {"trust_remote_code": config.trust_remote_code}
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(tokenizer_at, revision=revision, **shared)
        except LOAD_ERRORS as error:
            raise InputError(cannot_load("tokenizer", tokenizer_at, error)) from error
        if self._template is not None:
            self._tokenizer.chat_template = self._template
        if config.device != "cpu" and config.device is not None and not torch.cuda.is_available():
            raise InputError(f"the engine is to run on device '{config.device}', but no GPU can be used here")
        device = config.device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                self._model_name,
                revision=config.revision,
                dtype=config.dtype,
                device_map=device,
                output_loading_info=True,
                **shared,
            )
            model, report = loaded
        except LOAD_ERRORS as error:
            raise InputError(cannot_load("model", self._model_name, error)) from error
        if report["missing_keys"]:
            names = sorted(report["missing_keys"])
            raise InputError(
                f"the weights in {self._model_name} lack {len(names)} of the model's tensors (first: {names[0]}) and "
                "would run with random ones; is the checkpoint complete?"
            )
        self._model = prepare_hybrid(model)
        self._adapters = Adapters(self._model, self._adapter)
        self._model.eval()
        self._end_tokens = _end_tokens(self._model, self._tokenizer)
        self._hidden_tokens = hidden_tokens(self._tokenizer)
        self._vocabulary = int(self._model.get_input_embeddings().weight.shape[0])
        self._context = getattr(self._model.config.get_text_config(), "max_position_embeddings", None)
        # Padding is masked, so any token of the vocabulary will do.
        self._decoder = Decoder(
            self._model, batch_size=config.batch_size, pad_token_id=min(self._end_tokens, default=0)
        )
        return self._decoder

    def _row(self, request: Request) -> Row | Completion:
        """The request as token ids, or an error completion when it cannot be put to this model."""
        key, sampling = request.key(self.identity), request.sampling
        try:
            prompt, ids = tokenized_prompt(self._tokenizer, request)
        except Exception as error:  # a template is a program of the model's: it may raise anything
            return _failed(key, f"the prompt cannot be rendered: {type(error).__name__}: {error}")
        if not ids:
            return _failed(key, "the prompt is empty")
        if max(ids) >= self._vocabulary:
            return _failed(key, f"the tokenizer gives token {max(ids)}, the model knows {self._vocabulary}")
        room = sampling.max_new_tokens
        if self._context is not None:
            room = min(room, self._context - len(ids))
        if room < 1:
            reason = f"a prompt of {len(ids)} tokens leaves no room for new ones (context {self._context}, "
            return _failed(key, reason + f"max_new_tokens {sampling.max_new_tokens})")
        added = self._tokenizer.get_added_vocab()
        # A special token never shows in the text. Other added tokens do, and within longer ones: Gemma has "\n" and
        # "\n\n".
        special = {stop: added[stop] for stop in sampling.stop if added.get(stop) in self._hidden_tokens}
        stop_texts = tuple(stop for stop in sampling.stop if stop and stop not in special)
        opened = ends_open(prompt)
        tests: list[Callable[[list[int]], bool]] = []
        if stop_texts:
            tests.append(self._stop_test(stop_texts))
        if request.thinking_budget is not None:
            tests.append(BudgetWatch(self._text, opened, request.thinking_budget))
        return Row(
            id=_Asked(key, opened, stop_texts, request.thinking_budget, request.adapter, len(ids)),
            prompt=ids,
            max_new_tokens=room,
            end_tokens=self._end_tokens | set(special.values()),
            temperature=max(0.0, sampling.temperature),
            top_p=sampling.top_p,
            # The same draws for every model, so that two checkpoints can be compared with less noise.
            seed=int(request.draw_key()[:12], 16),
            stopped=_any_of(tests),
        )

    def _answer_row(self, row: Row) -> Row | None:
        """What asks for the answer after this row's chain, where that was cut at its budget; the second request."""
        asked: _Asked = row.id
        if row.finish_reason == "error" or asked.chain is not None:
            return None
        chain = cut_chain(row.generated, self._text, asked.opened, asked.budget)
        if chain is None or any(stop in chain.text for stop in asked.stops):
            return None
        closing = self._tokenizer(chain.closing, add_special_tokens=False)["input_ids"]
        room = row.max_new_tokens - len(chain.tokens) - len(closing)
        if room < 1:
            row.finish_reason = "length"
            return None
        return replace(
            row,
            id=replace(asked, chain=chain),
            prompt=[*row.prompt, *chain.tokens, *closing],
            max_new_tokens=room,
            seed=row.seed + 1,
            stopped=self._stop_test(asked.stops) if asked.stops else None,
            generated=[],
            finish_reason=None,
        )

    @torch.inference_mode()
    def _likelihood(self, request: Request) -> Completion:
        """How likely the request's answer is, read in one pass."""
        if self._decoder is None:
            self._load()
        self._use(request.adapter)
        key = request.key(self.identity)
        try:
            prompt, ids = tokenized_prompt(self._tokenizer, request)
            turns = [dict(message) for message in (*(request.messages or ()), request.answer or {})]
            whole = self._tokenizer.apply_chat_template(turns, tokenize=False, **request.template_kwargs)
        except Exception as error:  # a template is a program of the model's: it may raise anything
            return _failed(key, f"the answer cannot be rendered: {type(error).__name__}: {error}")
        if not whole.startswith(prompt):
            return _failed(key, "the chat template renders the question alone in another way than with this answer")
        answer = self._tokenizer(whole[len(prompt) :], add_special_tokens=False)["input_ids"]
        # What a template writes after the token that ends the turn is never generated.
        answer = answer[: next((n for n, token in enumerate(answer) if token in self._end_tokens), len(answer)) + 1]
        if not ids or not answer:
            return _failed(key, "the question or its answer is empty")
        if self._context is not None and len(ids) + len(answer) > self._context:
            return _failed(key, f"{len(ids) + len(answer)} tokens are more than the model reads ({self._context})")
        tokens = torch.tensor([[*ids, *answer]], device=self._model.device)
        logits = self._model(input_ids=tokens, use_cache=False).logits[0, len(ids) - 1 : -1].float()
        logprob = -torch.nn.functional.cross_entropy(logits, tokens[0, len(ids) :], reduction="sum").item()
        if not math.isfinite(logprob):
            return _failed(key, "the model's output is not a number (NaN)")
        return Completion(key, "", "stop", len(ids), len(answer), ends_open(prompt), logprob)

    def _stop_test(self, stops: tuple[str, ...]) -> Callable[[list[int]], bool]:
        # A token holds at least one byte, so a stop string that the last token completed lies in so many last tokens;
        # some more, since a decoder may drop a leading space and a first broken character.
        tail = max(len(stop.encode("utf-8", "surrogatepass")) for stop in stops) + 8

        def stopped(generated: list[int]) -> bool:
            text = self._text(generated[-tail:])
            return any(stop in text for stop in stops)

        return stopped

    def _text(self, ids: list[int]) -> str:
        shown = [token for token in ids if token not in self._hidden_tokens]
        return str(self._tokenizer.decode(shown, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def _completion(self, row: Row) -> Completion:
        asked: _Asked = row.id
        if row.finish_reason == "error" or row.finish_reason is None:
            return _failed(asked.key, row.error or "decoding ended without a result")
        text = self._text(row.generated)
        text = text[: min((at for stop in asked.stops if (at := text.find(stop)) != -1), default=len(text))]
        chain = asked.chain
        return Completion(
            key=asked.key,
            text=text if chain is None else chain.text + chain.closing + text,
            finish_reason=row.finish_reason,
            prompt_tokens=asked.prompt_tokens,
            completion_tokens=len(row.generated) + (0 if chain is None else len(chain.tokens)),
            opened_by_prompt=asked.opened,
            thinking_cut=None if chain is None else chain.how,
        )


def _any_of(tests: list[Callable[[list[int]], bool]]) -> Callable[[list[int]], bool] | None:
    if len(tests) < 2:
        return tests[0] if tests else None
    return lambda generated: any(test(generated) for test in tests)


def _failed(key: str, reason: str) -> Completion:
    return Completion(key, "", "error", error=" ".join(reason.split())[:500])


def _end_tokens(model: Any, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    of_model = model.generation_config.eos_token_id if model.generation_config is not None else None
    of_model = [of_model] if isinstance(of_model, int) else (of_model or [])
    return frozenset(token for token in (*of_model, tokenizer.eos_token_id) if isinstance(token, int))
