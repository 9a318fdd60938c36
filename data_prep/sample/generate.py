"""Draw the sample: a configuration with a seed in, English rows and their translation memory out."""

from __future__ import annotations

import functools
import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml
from babel import Locale
from babel.numbers import format_decimal
from fluent.runtime import FluentBundle, FluentResource

from data_prep.memory import MemoryEntry
from data_prep.sample.templates import TEMPLATES, Numbers, Template
from data_prep.schema import Message, Row

SOURCE_LANGUAGE = "en"
TARGET_LANGUAGES = ("fr", "es", "de", "it", "ja")
# The slot of a template, and the table of words.yaml that fills it.
_TABLES = {
    "name": "names",
    "other": "names",
    "item": "items",
    "country": "countries",
    "day": "days",
    "month": "months",
    "subject": "subjects",
    "word": "words",
}


@dataclass(frozen=True)
class SampleConfig:
    """How much to draw.

    Args:
        seed: two samples with the same configuration are equal byte for byte.
        train: English training rows per maths template; code and chat templates get a quarter of it.
        validation: validation rows per template.
        test: test rows per template.
        held_out: rows per template that is held out of training.
    """

    seed: int = 0
    train: int = 150
    validation: int = 4
    test: int = 6
    held_out: int = 12


@dataclass(frozen=True)
class _Problem:
    """A template with its numbers and words: what is the same in every language."""

    template: Template
    split: str
    numbers: Numbers
    words: dict[str, str]


def sample_rows(config: SampleConfig) -> Iterator[Row]:
    """The English rows. Splits share no problem: no template with the same numbers (chat: the same words)."""
    for index, problem in enumerate(_problems(config)):
        prompt, chain, answer = (_format(problem, SOURCE_LANGUAGE, part) for part in ("prompt", "chain", "answer"))
        if problem.template.category == "code":
            answer += f"\n\n```python\n{_format(problem, SOURCE_LANGUAGE, 'code')}\n```"
        provenance: dict[str, Any] = {
            "source_id": f"sample-{index:06d}",
            "split": problem.split,
            "template": problem.template.name,
        }
        if problem.template.category == "math":
            provenance |= {"gold": f"{problem.numbers['r']}", "steps": problem.template.steps}
        messages: tuple[Message, ...] = (
            {"role": "user", "content": prompt, "reasoning_content": None},
            {"role": "assistant", "content": answer, "reasoning_content": chain},
        )
        yield Row(
            id=provenance["source_id"],
            language=SOURCE_LANGUAGE,
            category=problem.template.category,
            messages=messages,
            source="sample",
            license="Apache-2.0",
            provenance=provenance,
        )


def memory_entries(config: SampleConfig) -> Iterator[MemoryEntry]:
    """The translation memory of ``sample_rows(config)``: one entry per line of text and target language."""
    for problem in _problems(config):
        for part in ("prompt", "answer"):
            source = _format(problem, SOURCE_LANGUAGE, part)
            for language in TARGET_LANGUAGES:
                yield MemoryEntry(SOURCE_LANGUAGE, language, source, _format(problem, language, part))


def _problems(config: SampleConfig) -> Iterator[_Problem]:
    for template in TEMPLATES:
        # A generator of its own for each template: adding one leaves the draws of the others as they are.
        rng = random.Random(f"{config.seed}/{template.name}")
        keys = _distinct_problems(template)
        rng.shuffle(keys)
        for split, count, pool in _partition(template, config, keys):
            seen: set[str] = set()
            for numbers, fixed in itertools.islice(itertools.cycle(pool), 20 * count if pool else 0):
                if len(seen) == count:
                    break
                words = fixed | _draw_words(template, fixed, rng)
                fingerprint = json.dumps([numbers, words], sort_keys=True)
                if fingerprint not in seen:
                    seen.add(fingerprint)
                    yield _Problem(template, split, numbers, words)


def _distinct_problems(template: Template) -> list[tuple[Numbers, dict[str, str]]]:
    """What makes two problems of a template different: its numbers, or its words where it has no numbers."""
    numbers = list(template.numbers())
    if numbers != [{}]:
        return [(n, {}) for n in numbers]
    tables = [list(_words()[_TABLES[slot]]) for slot in template.words]
    return [({}, dict(zip(template.words, choice, strict=True))) for choice in itertools.product(*tables)]


def _partition(
    template: Template, config: SampleConfig, keys: list[tuple[Numbers, dict[str, str]]]
) -> Iterator[tuple[str, int, list[tuple[Numbers, dict[str, str]]]]]:
    if template.held_out:
        yield "held_out", config.held_out, keys
        return
    # A template with few problems still keeps most of them for training.
    test = min(config.test, len(keys) // 5)
    validation = min(config.validation, len(keys) // 10)
    yield "test", test, keys[:test]
    yield "validation", validation, keys[test : test + validation]
    train = config.train if template.category == "math" else config.train // 4
    yield "train", train, keys[test + validation :]


def _draw_words(template: Template, fixed: dict[str, str], rng: random.Random) -> dict[str, str]:
    drawn: dict[str, str] = {}
    for slot in template.words:
        if slot not in fixed:
            taken = drawn.values()
            drawn[slot] = rng.choice([word for word in _words()[_TABLES[slot]] if word not in taken])
    for slot in ("day", "month"):
        if slot in fixed:
            cycle = list(_words()[_TABLES[slot]])
            drawn["next"] = cycle[(cycle.index(fixed[slot]) + 1) % len(cycle)]
    return drawn


@functools.cache
def _words() -> dict[str, Any]:
    return yaml.safe_load(files(__package__).joinpath("words.yaml").read_text(encoding="utf-8"))


@functools.cache
def _word_table() -> dict[str, dict[str, Any]]:
    """word → language → form or forms, over all tables; the keys of the tables do not overlap."""
    return {key: forms for table in _words().values() if isinstance(table, dict) for key, forms in table.items()}


def _format(problem: _Problem, language: str, part: str) -> str:
    bundle = _bundle(language)
    pattern = bundle.get_message(problem.template.name).attributes[part]
    text, errors = bundle.format_pattern(pattern, _arguments(problem, language))
    if errors:
        raise ValueError(f"{language}.ftl, {problem.template.name}.{part}: {errors[0]}")
    return str(text)


def _arguments(problem: _Problem, language: str) -> dict[str, Any]:
    """Names go in as they are written in the language; the other words by key, for the functions of the bundle."""
    words = {
        slot: _word_table()[key][language] if slot in ("name", "other") else key for slot, key in problem.words.items()
    }
    return problem.numbers | words


@functools.cache
def _bundle(language: str) -> FluentBundle:
    plural_category = Locale.parse(language).plural_form

    def noun(item: str, count: Any = None, form: str | None = None) -> str:
        forms = _word_table()[item][language]
        if form == "how_many" and "counter" in forms:
            return f"何{forms['counter']}"
        if form is not None:
            return forms[form]
        return forms.get("other" if count is None else plural_category(count), forms["other"])

    def quantity(item: str, count: Any, form: str | None = None) -> str:
        number = format_decimal(count, locale=language)
        counter = _word_table()[item][language].get("counter")
        return f"{number}{counter}" if counter else f"{number} {noun(item, count, form)}"

    def word(key: str, form: str | None = None) -> str:
        forms = _word_table()[key][language]
        return forms[form] if isinstance(forms, dict) and form else forms

    # Isolation marks around placeables help mixed-direction user interfaces; here they would be noise in the text.
    functions: dict[str, Any] = {"NOUN": noun, "QUANTITY": quantity, "WORD": word}
    bundle = FluentBundle([language], functions=functions, use_isolating=False)
    bundle.add_resource(FluentResource(files(__package__).joinpath(f"{language}.ftl").read_text(encoding="utf-8")))
    return bundle
