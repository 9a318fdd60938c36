"""The statements of a response that may be its answer, in the order in which a reader takes them.

The last box, announcements from the last one on, a choice that is settled on, then sentences from the last one on.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from propcache.api import cached_property

from eval import forms, formulas, tuples
from eval.boxes import boxes
from eval.candidates import LONGEST, WINDOW, Candidate, announced, committed, last_sentences
from eval.choices import NONE, settled_choice
from eval.cleaning import clean
from eval.discourse import with_roles
from eval.golds import Gold
from eval.phrases import Phrases, either_word, phrases
from eval.readings import read_number
from eval.sentences import Sentence
from launch.thinking import CLOSE, OPEN, split_thinking

_BETWEEN_BOXES = re.compile(
    r"[\s$,;.、]{0,4}(?:[^\W\d]{1,5}|oppure|ou bien|o bien|or else|または|あるいは|もしくは|[&/])?[\s$,;.、]{0,4}"
)


def after_thinking(response: str) -> str | None:
    """What follows the thinking of a response; None where that never closed."""
    if not (CLOSE in response or response.lstrip().startswith(OPEN)):
        return response
    return split_thinking(response, opened_by_prompt=False).answer


class Response:
    """A response without its thinking; cleaned and parted into sentences when that is asked for."""

    def __init__(self, answer: str, language: str, target: Gold) -> None:
        self.answer = answer
        self._language = language
        self._read = formulas.plain if target.kind == "symbolic" else clean

    @cached_property
    def window(self) -> str:
        return self._read(self.answer[-2 * WINDOW :])[-WINDOW:]

    @cached_property
    def parts(self) -> list[Sentence]:
        return with_roles(self.window, self._language)


def statements(text: Response, language: str, target: Gold) -> Iterator[Candidate]:
    """The statements to read for a gold of this kind, the one that counts most first."""
    found, empty = boxes(text.answer)
    if found:
        boxed = _boxed(text.answer, found, target)
        yield from _instead(boxed.rest, target, language)
        yield boxed
    if empty:
        yield Candidate("", "", "empty_box")
    window, parts = text.window, text.parts
    yield from _without_doubt(announced(window, language, parts), target, language)
    if target.kind == "choice" and (letter := settled_choice(window, parts, language)) is not None:
        yield Candidate("" if letter == NONE else letter, "", "denied" if letter == NONE else "last_number")
    if target.kind == "number":
        yield from committed(window, language, parts)
    if target.kind == "truth":
        texts = _texts(window, parts)
        said = forms.opening_truth(texts, language) or forms.inner_truth(texts, language)
        if said is not None:
            yield Candidate(said, "", "bare")
    if target.kind == "tuple" and target.ordered:
        named = tuples.named_values(window, language)
        if len(named) == len(target.parts):
            yield Candidate(f"({'; '.join(map(str, named))})", "", "last_number")
    yield from last_sentences(window, language, parts)
    if any(part.role != "main" for part in parts):
        yield from announced(window, language, parts, asides=True)
        yield from last_sentences(window, language, parts, asides=True)


def _instead(rest: str, target: Gold, language: str) -> Iterator[Candidate]:
    """An answer that is announced after a box and a turn ("But on reading again … the correct answer is 17")."""
    if target.kind == "symbolic" or not rest.strip():
        return
    words = phrases(language)
    if re.search(either_word(words.turns), rest, re.IGNORECASE) is None:
        return
    for candidate in announced(rest, language, with_roles(rest, language)):
        if not candidate.soft:
            yield candidate
        return


def _texts(window: str, parts: list[Sentence]) -> list[str]:
    return [window[part.start : part.end] for part in parts if part.role == "main"]


def _boxed(answer: str, found: list[tuple[int, int, str]], target: Gold) -> Candidate:
    """The last box; boxes that stand side by side ("\\boxed{1} or \\boxed{2}") are one statement."""
    start, end, content = found[-1]
    for earlier_start, earlier_end, earlier in reversed(found[:-1]):
        gap = answer[earlier_end:start]
        if not _BETWEEN_BOXES.fullmatch(gap):
            break
        link = gap.strip(" $\n\t") or ","
        content, start = f"{earlier} {link} {content}", earlier_start
    content = content[-LONGEST:]
    raw = content if target.kind == "symbolic" else clean(content)
    return Candidate(raw, clean(answer[end : end + 600]), "boxed")


def _without_doubt(candidates: Iterator[Candidate], target: Gold, language: str) -> Iterator[Candidate]:
    """The announcements; two that stand side by side and differ are made one statement of two answers."""
    last = next(candidates, None)
    if last is None:
        return
    earlier = next(candidates, None)
    between = earlier.rest[: max(0, len(earlier.rest) - len(last.rest) - len(last.text))] if earlier else ""
    if earlier is not None and target.kind == "number" and len(between) < 40 and not re.search(r"[\d=]", between):
        one, two = read_number(earlier.text, language), read_number(last.text, language)
        differ = one.status == two.status == "value" and not set(one.values) & set(two.values)
        if differ and not _turn_pattern(phrases(language)).search(between):
            yield Candidate(f"{one.text} / {two.text}", "", "several")
            return
    yield last
    if earlier is not None:
        yield earlier
        yield from candidates


@functools.cache
def _turn_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(either_word(words.corrections + words.but), re.IGNORECASE)
