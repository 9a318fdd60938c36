"""The engine ``hf``: transformers in this process. Requests are rendered, sorted by length and decoded in batches."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from launch.engines.base import Completion, Request
from launch.engines.config import EngineConfig
from launch.engines.decoding import Decoder, Row
from launch.errors import InputError
from launch.hybrid import prepare_hybrid
from launch.thinking import CLOSE, OPEN, ends_open

# So many batches of requests are read ahead and sorted by length, longest first.
_WINDOW_BATCHES = 16
_DTYPES = ("auto", "float32", "bfloat16", "float16")
_LOAD_ERRORS = (OSError, ValueError, RuntimeError, KeyError, TypeError, ImportError, AttributeError, SafetensorError)
_WHOLE_FILE_BYTES = 64 * 2**20
_SAMPLES, _SAMPLE_BYTES = 32, 2**18


class HfEngine:
    """A causal language model in this process, loaded when the first request arrives.

    ``identity`` holds the model's name and revision, for a local folder its name and a fingerprint of its files (so a
    checkpoint that was trained on is another model), the adapter likewise, and the dtype.

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
        self._model_name, self._adapter = _base_and_adapter(config)
        parts = [_identity_of(self._model_name, config.revision)]
        if self._adapter:
            parts.append(f"adapter={_identity_of(self._adapter, None)}")
        self._template = _read_template(config.chat_template)
        if self._template is not None:
            parts.append(f"template={hashlib.sha256(self._template.encode()).hexdigest()[:16]}")
        self.identity = " ".join(["hf", *parts, f"dtype={config.dtype}"])
        self._model: Any = None
        self._tokenizer: Any = None
        self._decoder: Decoder | None = None

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion]:
        """Answer requests as they finish; see ``Engine``. Sampled completions depend on the request, not on its batch.

        Raises:
            InputError: the model turns out not to be loadable.
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

        def take(count: int) -> list[Row]:
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
            taken = window[-count:][::-1]
            del window[-count:]
            return taken

        while not exhausted or window:
            for row in decoder.run(take):
                while failed:
                    yield failed.popleft()
                yield self._completion(row)
            while failed:
                yield failed.popleft()

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
        except _LOAD_ERRORS as error:
            raise InputError(_cannot_load("tokenizer", tokenizer_at, error)) from error
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
        except _LOAD_ERRORS as error:
            raise InputError(_cannot_load("model", self._model_name, error)) from error
        if report["missing_keys"]:
            names = sorted(report["missing_keys"])
            raise InputError(
                f"the weights in {self._model_name} lack {len(names)} of the model's tensors (first: {names[0]}) and "
                "would run with random ones; is the checkpoint complete?"
            )
        self._model = prepare_hybrid(model)
        if self._adapter:
            self._model = _with_adapter(self._model, self._adapter)
        self._model.eval()
        self._end_tokens = _end_tokens(self._model, self._tokenizer)
        self._hidden_tokens = _hidden_tokens(self._tokenizer)
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
            prompt, ids = self._render(request)
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
        return Row(
            id=(key, ends_open(prompt), stop_texts),
            prompt=ids,
            max_new_tokens=room,
            end_tokens=self._end_tokens | set(special.values()),
            temperature=max(0.0, sampling.temperature),
            top_p=sampling.top_p,
            # The same draws for every model, so that two checkpoints can be compared with less noise.
            seed=int(request.key("")[:12], 16),
            stopped=self._stop_test(stop_texts) if stop_texts else None,
        )

    def _render(self, request: Request) -> tuple[str, list[int]]:
        if request.messages is None:
            assert request.prompt is not None
            return request.prompt, self._tokenizer(request.prompt)["input_ids"]
        prompt = self._tokenizer.apply_chat_template(
            [dict(message) for message in request.messages],
            tokenize=False,
            add_generation_prompt=True,
            **request.template_kwargs,
        )
        return prompt, self._tokenizer(prompt, add_special_tokens=False)["input_ids"]

    @torch.inference_mode()
    def _likelihood(self, request: Request) -> Completion:
        """How likely the request's answer is, read in one pass."""
        if self._decoder is None:
            self._load()
        key = request.key(self.identity)
        try:
            prompt, ids = self._render(request)
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
        key, opened, stops = row.id
        if row.finish_reason == "error" or row.finish_reason is None:
            return _failed(key, row.error or "decoding ended without a result")
        text = self._text(row.generated)
        cut = min((position for stop in stops if (position := text.find(stop)) != -1), default=len(text))
        return Completion(
            key=key,
            text=text[:cut],
            finish_reason=row.finish_reason,
            prompt_tokens=len(row.prompt),
            completion_tokens=len(row.generated),
            opened_by_prompt=opened,
        )


def _failed(key: str, reason: str) -> Completion:
    return Completion(key, "", "error", error=" ".join(reason.split())[:500])


def _base_and_adapter(config: EngineConfig) -> tuple[str, str | None]:
    """Name or folder of the model and of the adapter; a model folder that holds only an adapter names its base."""
    folder = _folder(config.model, "model")
    adapter = config.adapter
    if adapter and (at := _folder(adapter, "adapter")) and not (at / "adapter_config.json").is_file():
        raise InputError(f"the adapter folder {adapter} holds no adapter_config.json")
    if folder is None or (folder / "config.json").is_file():
        return config.model, adapter
    if adapter or not (folder / "adapter_config.json").is_file():
        raise InputError(f"the model folder {config.model} holds no config.json; is it a checkpoint?")
    try:
        base = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise InputError(f"{folder / 'adapter_config.json'} does not name the base model of the adapter") from error
    _folder(str(base), f"base model of the adapter {config.model}: the model")
    return str(base), config.model


def _read_template(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"the engine's chat_template {path} cannot be read: {reason}") from error


def _folder(name: str, what: str) -> Path | None:
    """The local folder of that name; None for a name on the hub."""
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    is_path = path.is_absolute() or name.startswith((".", "~")) or name.endswith(os.sep) or name.count("/") != 1
    if path.exists() or (is_path and "/" in name):
        raise InputError(f"the {what} folder {name} does not exist" if not path.exists() else f"{name} is no folder")
    return None


def _identity_of(name: str, revision: str | None) -> str:
    path = Path(name).expanduser()
    if path.is_dir():
        return f"{path.resolve().name}#{fingerprint(path)}"
    return f"{name}@{revision or 'main'}"


def fingerprint(folder: Path) -> str:
    """Sixteen hex digits over a model folder: every file that shapes answers, by name, size and content.

    Of a file over 64 MiB, samples spread over it are read: training changes every tensor, so they change too.
    """
    digest = hashlib.sha256()
    shaping = (".json", ".jinja", ".safetensors", ".bin", ".model", ".txt", ".py", ".gguf")
    state = ("trainer_state.json", "optimizer.bin", "scheduler.bin", "training_args.bin")
    for path in sorted(folder.iterdir()):
        if not path.is_file() or path.suffix not in shaping or path.name in state:
            continue
        size = path.stat().st_size
        digest.update(f"{path.name}\0{size}\0".encode())
        with path.open("rb") as file:
            if size <= _WHOLE_FILE_BYTES:
                digest.update(hashlib.file_digest(file, "sha256").digest())
                continue
            for sample in range(_SAMPLES):
                file.seek(sample * (size - _SAMPLE_BYTES) // (_SAMPLES - 1))
                digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:16]


def _with_adapter(model: Any, adapter: str) -> Any:
    from peft import PeftModel

    try:
        return PeftModel.from_pretrained(model, adapter)
    except _LOAD_ERRORS as error:
        raise InputError(_cannot_load("adapter", adapter, error)) from error


def _cannot_load(what: str, name: str, error: Exception) -> str:
    reason = " ".join(str(error).split())[:300]
    place = "" if Path(name).is_dir() else " (no local folder of that name, and the hub did not give it)"
    return f"the {what} '{name}' cannot be loaded{place}: {reason}"


def _end_tokens(model: Any, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    of_model = model.generation_config.eos_token_id if model.generation_config is not None else None
    of_model = [of_model] if isinstance(of_model, int) else (of_model or [])
    return frozenset(token for token in (*of_model, tokenizer.eos_token_id) if isinstance(token, int))


def _hidden_tokens(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Special tokens, which a reader of the text should not see; the tags of the chain are seen."""
    special = {token for token, content in tokenizer.added_tokens_decoder.items() if content.special}
    shown = {tokenizer.convert_tokens_to_ids(tag) for tag in (OPEN, CLOSE)}
    return frozenset((special | set(tokenizer.all_special_ids)) - shown)
