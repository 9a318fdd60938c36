"""Translation by a language model through an engine, under the 〘〙 contract.

A segment becomes a request; a completion becomes a translation or the name of what breaks the contract. Every
completion is in the store the moment it arrives, so that what was asked once is never asked again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from data_prep.brackets import BracketError, unwrap, wrap
from data_prep.languages import get_language
from data_prep.translators import Attempt, TranslatorConfig, Unit
from launch.engines.base import Completion, Engine, Request
from launch.engines.identity import Adapter
from launch.engines.store import CompletionStore, complete
from launch.errors import InputError
from launch.thinking import split_thinking

# What stands for 〘 and 〙 in a prompt whose text holds them itself; the first pair that the text is free of.
_STAND_INS = (("⟦", "⟧"), ("⸨", "⸩"), ("⦃", "⦄"), ("⟪", "⟫"))
_BRACKETS = ("〘", "〙")
_INSIST = (
    "An earlier answer to this could not be used. Answer with exactly one line that begins with 〘 and ends with 〙, "
    "no line break between them, no word before or after them."
)


class EngineTranslator:
    """Asks a model; owns the engine and the store, and closes both.

    Raises:
        InputError: ``attempts`` is less than 1, a few-shot example is not a pair, or there is no such adapter.
    """

    def __init__(self, config: TranslatorConfig, engine: Engine, store: CompletionStore) -> None:
        if config.attempts < 1:
            raise InputError(f"translator.attempts is {config.attempts}; it has to be 1 or more")
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
        return [read_completion(unit, completions[key]) for unit, key in zip(units, keys, strict=True)]

    def close(self) -> None:
        """Close the store and the engine."""
        self._store.close()
        self._engine.close()


def translation_request(
    config: TranslatorConfig, unit: Unit, source_language: str, target_language: str, attempt: int
) -> Request:
    """The question for one segment: chat messages, or for base models one prompt of worked examples."""
    source, target = (get_language(source_language).name, get_language(target_language).name)
    text = wrap(_swap(unit.text, unit.text))
    examples = config.few_shot.get(target_language, [])
    sampling = replace(
        config.sampling,
        # Ample for a translation in any of the languages, and an end for a model that finds none.
        max_new_tokens=min(config.sampling.max_new_tokens, 64 + 2 * len(unit.text)),
        seed=config.sampling.seed + attempt,
        temperature=max(config.sampling.temperature, config.retry_temperature if attempt else 0.0),
    )
    if config.prompt_style == "plain":
        shots = "".join(f"{source}: {wrap(ours)}\n{target}: {wrap(theirs)}\n\n" for ours, theirs in examples)
        prompt = f"{shots}{source}: {text}\n{target}:"
        stop = tuple(dict.fromkeys((*sampling.stop, "\n")))
        return Request(prompt=prompt, sampling=replace(sampling, stop=stop), attempt=attempt)
    instructions = config.instructions.replace("{source_language}", source).replace("{target_language}", target)
    if attempt:
        instructions = " ".join([instructions, _INSIST, *_keep(unit)])
    turns = [{"role": "system", "content": instructions}]
    for ours, theirs in examples:
        turns += [{"role": "user", "content": wrap(ours)}, {"role": "assistant", "content": wrap(theirs)}]
    turns.append({"role": "user", "content": text})
    return Request(
        messages=tuple(turns), sampling=sampling, attempt=attempt, template_kwargs={"enable_thinking": False}
    )


def read_completion(unit: Unit, completion: Completion) -> Attempt:
    """What a completion is worth for its unit."""
    tokens = (completion.prompt_tokens, completion.completion_tokens)
    if completion.finish_reason == "error":
        return Attempt("", None, "engine_error", completion.error or "the engine failed", True, *tokens)
    answer: str | None = completion.text
    if completion.opened_by_prompt or completion.text.lstrip().startswith("<think>"):
        answer = split_thinking(completion.text, completion.opened_by_prompt).answer
    if answer is None:
        return Attempt(completion.text, None, "brackets", "the model did not stop thinking", False, *tokens)
    try:
        inside = unwrap(answer, completion.finish_reason)
    except BracketError as error:
        return Attempt(completion.text, None, "brackets", f"{error.reason}: {error}", False, *tokens)
    return Attempt(completion.text, _swap_back(inside, unit.text), "", "", False, *tokens)


def _keep(unit: Unit) -> list[str]:
    if not unit.protected:
        return []
    return ["Copy these parts letter by letter: " + ", ".join(_swap(span, unit.text) for span in unit.protected) + "."]


def _pair(source: str) -> tuple[str, str] | None:
    """The stand-ins for brackets in this source text; None where it holds none, or holds all stand-ins as well."""
    if not any(bracket in source for bracket in _BRACKETS):
        return None
    return next((pair for pair in _STAND_INS if not any(sign in source for sign in pair)), None)


def _swap(text: str, source: str) -> str:
    return _replaced(text, _BRACKETS, _pair(source))


def _swap_back(text: str, source: str) -> str:
    pair = _pair(source)
    return text if pair is None else _replaced(text, pair, _BRACKETS)


def _replaced(text: str, old: tuple[str, str], new: tuple[str, str] | None) -> str:
    return text if new is None else text.replace(old[0], new[0]).replace(old[1], new[1])
