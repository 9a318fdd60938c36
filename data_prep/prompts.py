"""What a language model is asked for a unit, and how its answer is read: line and block in 〘〙, a document in JSON.

Every granularity asks in words of its own, so that no answer to one is ever taken for an answer to another.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from data_prep.brackets import BracketError, unwrap, wrap
from data_prep.languages import get_language
from data_prep.parts import Marks, PartsError, free_marks, from_json, mark_parts, read_marked, to_json
from data_prep.translators import TranslatorConfig, Unit
from launch.engines.base import Request, Sampling

# What stands for 〘 and 〙 in a prompt whose text holds them itself; the first pair that the text is free of.
_STAND_INS = (("⟦", "⟧"), ("⸨", "⸩"), ("⦃", "⦄"), ("⟪", "⟫"))
_BRACKETS = ("〘", "〙")
_INSIST = (
    "An earlier answer to this could not be used. Answer with exactly one line that begins with 〘 and ends with 〙, "
    "no line break between them, no word before or after them."
)
_INSIST_ON_MARKS = " Every mark of the text stands in the answer, once and in the same order, with text after it."
_INSIST_ON_JSON = (
    "An earlier answer to this could not be used. Answer with exactly one JSON object, its keys exactly those of the "
    "question, each value a translation without a line break, no word before or after the object."
)
_NO_CONTEXT = "–"


class _Turn(NamedTuple):
    """A text as it stands in the prompt, and its translation where it is an example; ``context`` is for blocks."""

    asked: str
    answered: str = ""
    context: str = ""


def translation_request(
    config: TranslatorConfig, unit: Unit, source_language: str, target_language: str, attempt: int
) -> Request:
    """The question for one unit: chat messages, or for base models one prompt of worked examples."""
    source, target = (get_language(source_language).name, get_language(target_language).name)
    examples = list(_examples(config, unit, target_language))
    text = _form(config, unit)
    length = max(len(unit.text), len(text)) if unit.parts else len(unit.text)
    sampling = replace(
        config.sampling,
        # Ample for a translation in any of the languages, and an end for a model that finds none.
        max_new_tokens=min(config.sampling.max_new_tokens, 64 + 2 * length),
        seed=config.sampling.seed + attempt,
        temperature=max(config.sampling.temperature, config.retry_temperature if attempt else 0.0),
    )
    insisted = " ".join(_insist(config, unit)) if attempt else ""
    last = _Turn(text if config.granularity == "document" else wrap(_swap(text, text)), "", unit.context)
    if config.prompt_style == "plain":
        return _plain(config, [*examples, last], (source, target), insisted, sampling, attempt)
    told = {
        "line": config.instructions,
        "block": config.block_instructions.replace("{marks}", "{0}1{1}, {0}2{1} and so on".format(*_marks(unit))),
        "document": config.document_instructions,
    }[config.granularity]
    told = told.replace("{source_language}", source).replace("{target_language}", target)
    turns = [{"role": "system", "content": f"{told} {insisted}" if insisted else told}]
    for example in examples:
        turns += [
            {"role": "user", "content": _user_turn(config, example)},
            {"role": "assistant", "content": example.answered},
        ]
    turns.append({"role": "user", "content": _user_turn(config, last)})
    return Request(
        messages=tuple(turns), sampling=sampling, attempt=attempt, template_kwargs={"enable_thinking": False}
    )


def read_line(unit: Unit, answer: str, finish_reason: str) -> tuple[str, ...]:
    """The translation in 〘〙, or those of a block's parts.

    Raises:
        BracketError: the contract is broken.
        PartsError: the marks of the parts are.
    """
    inside = unwrap(answer, finish_reason)
    if not unit.parts:
        return (_swap_back(inside, unit.text),)
    marks = _marks(unit)
    asked = mark_parts(unit.parts, marks)
    return read_marked(_swap_back(inside, asked), len(unit.parts), marks)


def read_document(unit: Unit, answer: str, finish_reason: str) -> tuple[str, ...]:
    """The translations in a JSON object.

    Raises:
        BracketError: the completion did not end by itself.
        PartsError: it is not the object that was asked for.
    """
    if finish_reason != "stop":
        raise BracketError("finish_reason", f"the completion ended with {finish_reason!r}, not 'stop'")
    return from_json(answer, len(unit.parts) or 1)


def _form(config: TranslatorConfig, unit: Unit) -> str:
    """The text of a unit as it is asked for, without the brackets."""
    if config.granularity == "document":
        return to_json(unit.parts or (unit.text,))
    return mark_parts(unit.parts, _marks(unit)) if unit.parts else unit.text


def _examples(config: TranslatorConfig, unit: Unit, target_language: str) -> Iterator[_Turn]:
    """The recipe's examples in the form of the granularity.

    Where a unit may have several lines, the first example is all of the recipe's together, the second its last one,
    for a block in the context of the others: so both numbers and context have been seen once.
    """
    pairs = config.few_shot.get(target_language, [])
    if config.granularity == "line":
        yield from (_Turn(wrap(ours), wrap(theirs)) for ours, theirs in pairs)
        return
    if not pairs:
        return
    for first in (0, len(pairs) - 1)[: len(pairs)]:
        ours, theirs = ([pair[side] for pair in pairs[first:]] for side in (0, 1))
        if config.granularity == "document":
            yield _Turn(to_json(ours), to_json(theirs))
        else:
            marks = _marks(unit)
            shown, given = (mark_parts(side, marks) if len(side) > 1 else side[0] for side in (ours, theirs))
            yield _Turn(wrap(shown), wrap(given), " ".join(pair[0] for pair in pairs[:first]))


def _plain(
    config: TranslatorConfig,
    turns: Sequence[_Turn],
    names: tuple[str, str],
    insisted: str,
    sampling: Sampling,
    attempt: int,
) -> Request:
    """One prompt that a base model goes on with; the end of the line ends its answer."""
    source, target = names
    shown = []
    for turn in turns:
        # The prompt goes line by line, and so does the context.
        context = f"Context: {' '.join(_context(turn).split())}\n" if config.granularity == "block" else ""
        answered = f" {turn.answered}" if turn.answered else ""
        shown.append(f"{context}{source}: {turn.asked}\n{target}:{answered}")
    prompt = "\n\n".join([insisted, *shown] if insisted else shown)
    stop = tuple(dict.fromkeys((*sampling.stop, "\n")))
    return Request(prompt=prompt, sampling=replace(sampling, stop=stop), attempt=attempt)


def _user_turn(config: TranslatorConfig, turn: _Turn) -> str:
    if config.granularity != "block":
        return turn.asked
    return f"Context:\n{_context(turn)}\n\nText:\n{turn.asked}"


def _context(turn: _Turn) -> str:
    """The context without the brackets, which stand around the text alone."""
    return turn.context.replace(_BRACKETS[0], "[").replace(_BRACKETS[1], "]") or _NO_CONTEXT


def _insist(config: TranslatorConfig, unit: Unit) -> Iterator[str]:
    if config.granularity == "document":
        yield _INSIST_ON_JSON
    else:
        yield _INSIST + (_INSIST_ON_MARKS if unit.parts else "")
    if unit.protected:
        form = _form(config, unit)
        if config.granularity == "document":
            kept = [json.dumps(span, ensure_ascii=False)[1:-1] for span in unit.protected]
        else:
            kept = [_swap(span, form) for span in unit.protected]
        yield f"Copy these parts letter by letter: {', '.join(kept)}."


def _marks(unit: Unit) -> Marks:
    marks = free_marks(unit.parts)
    if marks is None:
        raise PartsError("every kind of mark stands in the text")
    return marks


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
