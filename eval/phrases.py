"""What people say around an answer, language by language: corrections, denials, alternatives, ranges, refusals.

Facts for the grader only; the words that announce an answer are in ``data_prep.languages``. Entries are fragments of
regular expressions, matched without regard to case; a blank in one stands for any white space.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, fields
from pathlib import Path

import yaml

_JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff、〜～]")


@dataclass(frozen=True, eq=False)  # compared by identity: patterns are cached by it
class Phrases:
    """The phrases of one language.

    Args:
        corrections: openings that take back what was said before; what follows counts ("no, 18").
        retractions: clauses that take back an answer even when nothing follows ("that is wrong").
        denied_before: words that deny the number after them ("not 20"); denied_after: before them ("20ではなく").
        alternatives: words between two answers of which it may be either ("18 or 20").
        paired: words that part two answers when they are said twice ("soit 18, soit 20").
        additions: words between two things that both hold ("18 and 20").
        range_to: words between the ends of a range; range_from: words before its first end.
        refusals: clauses that say that no answer is given.
        conditions: openings under which a statement is not made ("if the answer is 18").
        restatements: openings of clauses that tell the task again ("we need to find").
        questions: words that make a clause a question about the quantity asked for.
        but: words after which a clause counts on its own.
        reasons: words that open a clause beside the point, a reason or a part ("because", "of whom").
        asides: prepositions that mark a number as circumstance ("in 3 days", "for 5 people").
        choice_nouns: nouns before a choice letter ("option B").
        soft_nouns: answer words that also name steps ("the total is"); they count in the last sentence only.
        says_yes, says_no, says_true, says_false: the truth words.
        bounds: words that make a number a bound and no value ("more than 18"); "at least 18" can be an answer.
        morning, afternoon: markers of the half of the day.
    """

    corrections: tuple[str, ...] = ()
    retractions: tuple[str, ...] = ()
    denied_before: tuple[str, ...] = ()
    denied_after: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()
    paired: tuple[str, ...] = ()
    additions: tuple[str, ...] = ()
    range_to: tuple[str, ...] = ()
    range_from: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    restatements: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    but: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    asides: tuple[str, ...] = ()
    choice_nouns: tuple[str, ...] = ()
    soft_nouns: tuple[str, ...] = ()
    says_yes: tuple[str, ...] = ()
    says_no: tuple[str, ...] = ()
    says_true: tuple[str, ...] = ()
    says_false: tuple[str, ...] = ()
    bounds: tuple[str, ...] = ()
    morning: tuple[str, ...] = ()
    afternoon: tuple[str, ...] = ()


def _read(path: Path) -> dict[str, Phrases]:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {code: Phrases(**{name: tuple(entries) for name, entries in own.items()}) for code, own in content.items()}


PHRASES: dict[str, Phrases] = _read(Path(__file__).with_suffix(".yaml"))


@functools.cache
def phrases(language: str) -> Phrases:
    """The phrases of a language together with the English ones, which models mix in; English alone if unknown."""
    english = PHRASES["en"]
    own = PHRASES.get(language, english)
    if own is english:
        return english
    merged = {f.name: tuple(dict.fromkeys(getattr(own, f.name) + getattr(english, f.name))) for f in fields(Phrases)}
    return Phrases(**merged)


def japanese(entry: str) -> bool:
    """Whether an entry is written in a script that does not part words."""
    return _JAPANESE.search(entry) is not None


def either_word(entries: tuple[str, ...], *, ends: bool = True) -> str:
    """A pattern for any of the entries: whole words, but Japanese ones anywhere, since nothing parts its words."""
    spaced = "|".join(entry for entry in entries if not japanese(entry))
    unspaced = [entry for entry in entries if japanese(entry)]
    end = r"(?!\w)" if ends else ""
    return "|".join([rf"(?<!\w)(?:{spaced}){end}"] * bool(spaced) + unspaced) or "(?!)"
