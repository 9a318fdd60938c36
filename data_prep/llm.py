"""Translation by a language model through an engine, under the 〘〙 contract, or in JSON for whole documents.

A unit becomes a request; a completion becomes a translation or the name of what breaks the contract. Every completion
is in the store the moment it arrives, so that what was asked once is never asked again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

from data_prep.brackets import BracketError
from data_prep.languages import get_language
from data_prep.parts import PartsError
from data_prep.prompts import read_document, read_line, translation_request
from data_prep.translators import Attempt, Granularity, TranslatorConfig, Unit
from launch.engines.base import Completion, Engine
from launch.engines.identity import Adapter
from launch.engines.store import CompletionStore, complete
from launch.errors import InputError
from launch.thinking import split_thinking

__all__ = ["EngineTranslator", "read_completion", "translation_request"]


class EngineTranslator:
    """Asks a model; owns the engine and the store, and closes both.

    Raises:
        InputError: ``attempts`` is less than 1, there is no such granularity, a few-shot example is not a pair, or
            there is no such adapter.
    """

    def __init__(self, config: TranslatorConfig, engine: Engine, store: CompletionStore) -> None:
        if config.attempts < 1:
            raise InputError(f"translator.attempts is {config.attempts}; it has to be 1 or more")
        if config.granularity not in get_args(Granularity) or config.context_characters < 0:
            raise InputError(
                f"translator.granularity is {config.granularity!r}, with {config.context_characters} "
                f"context_characters; it has to be one of {', '.join(get_args(Granularity))}, with 0 or more"
            )
        for language, examples in config.few_shot.items():
            get_language(language)
            if any(len(example) != 2 for example in examples):
                raise InputError(f"translator.few_shot.{language}: an example is a pair [source, translation]")
        if config.adapters and config.engine.kind not in ("hf", "vllm_offline"):
            raise InputError(
                "translator.adapters needs an engine that runs the model in this process (engine.kind hf)"
            )
        self._adapters: dict[str, Adapter] = {}
        for language, name in config.adapters.items():
            get_language(language)
            self._adapters[language] = Adapter.at(name)
        adapters = (f"{language}={adapter.identity}" for language, adapter in sorted(self._adapters.items()))
        self.name = " ".join([engine.identity, *adapters])
        self.attempts = config.attempts
        self.granularity = config.granularity
        self.context_characters = config.context_characters
        self._config = config
        self._engine = engine
        self._store = store

    def translate(
        self, units: Sequence[Unit], source_language: str, target_language: str, attempt: int
    ) -> Sequence[Attempt]:
        """Ask for every unit, from the store where it is known; see :class:`data_prep.translators.Translator`."""
        requests = [
            replace(
                translation_request(self._config, unit, source_language, target_language, attempt),
                adapter=self._adapters.get(target_language),
            )
            for unit in units
        ]
        keys = [request.key(self._engine.identity) for request in requests]
        again = f", attempt {attempt + 1}" if attempt else ""
        completions = {
            completion.key: completion
            for completion in complete(
                self._engine,
                requests,
                self._store,
                description=f"{source_language} → {target_language}{again}",
                total=len(requests),
            )
        }
        return [
            read_completion(unit, completions[key], self.granularity) for unit, key in zip(units, keys, strict=True)
        ]

    def close(self) -> None:
        """Close the store and the engine."""
        self._store.close()
        self._engine.close()


def read_completion(unit: Unit, completion: Completion, granularity: Granularity = "line") -> Attempt:
    """What a completion is worth for its unit, which was asked for with this granularity."""
    tokens = (completion.prompt_tokens, completion.completion_tokens)
    if completion.finish_reason == "error":
        return Attempt("", None, "engine_error", completion.error or "the engine failed", True, *tokens)
    contract = "json" if granularity == "document" else "brackets"
    answer: str | None = completion.text
    if completion.opened_by_prompt or completion.text.lstrip().startswith("<think>"):
        answer = split_thinking(completion.text, completion.opened_by_prompt).answer
    if answer is None:
        return Attempt(completion.text, None, contract, "the model did not stop thinking", False, *tokens)
    read = read_document if granularity == "document" else read_line
    try:
        texts = read(unit, answer, completion.finish_reason)
    except BracketError as error:
        return Attempt(completion.text, None, contract, f"{error.reason}: {error}", False, *tokens)
    except PartsError as error:
        return Attempt(completion.text, None, contract, f"parts: {error}", False, *tokens)
    return Attempt(completion.text, "\n".join(texts), "", "", False, *tokens, parts=texts if unit.parts else ())
