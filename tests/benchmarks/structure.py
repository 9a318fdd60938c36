"""How fast a text is taken apart and its translation checked, in MB of source text a second of processor time.

Run it as ``python tests/benchmarks/structure.py TEXT [--language fr]``; TEXT is a text file or JSON lines, whose
strings are the texts. No translator is needed: protected spans, numbers and punctuation of a segment stay, and its
words become frequent words of the target language, which is the common case for every gate.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

from data_prep.brackets import CLOSE, OPEN, unwrap, wrap
from data_prep.gates import GateConfig, check
from data_prep.languages import LANGUAGES, Language, get_language
from data_prep.numbers import find_numbers
from data_prep.segments import Segment, split_segments
from data_prep.sides import _cached_side

_WORD = re.compile(r"[^\W\d_]+")
_THOUSANDS, _DECIMALS = re.compile(r"(?<=\d),(?=\d{3})"), re.compile(r"(?<=\d)\.(?=\d)")


def read_texts(path: Path) -> list[str]:
    """The texts of a file: every string of every line of ``.jsonl``, any other file as a whole."""
    content = path.read_text(encoding="utf-8")
    if path.suffix != ".jsonl":
        return [content]
    return [text for line in content.splitlines() if line.strip() for text in _strings(json.loads(line))]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


def pretend_to_translate(segment: Segment, words: Iterator[str], target: Language) -> str:
    """The segment with its own spans, numbers and punctuation, and other words; separators follow the target."""
    pieces: list[str] = []
    position = 0
    for span in [*segment.protected, ""]:
        found = segment.text.index(span, position) if span else len(segment.text)
        pieces.append(_localized(_WORD.sub(lambda match: next(words), segment.text[position:found]), target))
        pieces.append(span)
        position = found + len(span)
    return "".join(pieces)


def _localized(text: str, target: Language) -> str:
    return _DECIMALS.sub(target.decimal_separator, _THOUSANDS.sub("\N{NO-BREAK SPACE}", text))


def _timed(work: Callable[[], object]) -> float:
    """Seconds of processor time, the least of three: whatever else a machine does only adds to it."""
    seconds = []
    for _ in range(3):
        _cached_side.cache_clear()  # nothing profits from what was looked at before
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return min(seconds)


def _each(function: Callable[..., object], items: Iterable[tuple[Any, ...]]) -> None:
    for item in items:
        function(*item)


def measure(texts: list[str], language: str) -> dict[str, float]:
    """Seconds of processor time for each part, over all texts; ``language`` is the code of the target."""
    target = get_language(language)
    frequent = sorted(target.function_words) if target.spaced else ["です", "の", "これは"]
    words = cycle([word for word in frequent if not find_numbers(word, language)])
    segments = [segment for text in texts for segment in split_segments(text) if segment.translatable]
    segments = [segment for segment in segments if not {OPEN, CLOSE} & set(segment.text)]
    pairs = [(segment.text, pretend_to_translate(segment, words, target)) for segment in segments]
    gates = GateConfig()
    spans = replace(gates, enabled=("protected_span",))
    no_model = replace(gates, enabled=tuple(gate for gate in gates.enabled if gate != "language"))
    check("A first text loads the lexicons.", "Un.", "en", language)

    def gated(config: GateConfig) -> float:
        return _timed(lambda: _each(check, ((before, after, "en", language, config) for before, after in pairs)))

    seconds = {
        "split_segments": _timed(lambda: _each(split_segments, ((text,) for text in texts))),
        "brackets.unwrap": _timed(lambda: _each(unwrap, ((wrap(after), "stop") for _, after in pairs))),
        "protected spans": gated(spans),
    }
    seconds["the contract: these three"] = sum(seconds.values())
    seconds["every gate but language"] = gated(no_model)
    seconds["the contract, every gate but language"] = (
        seconds["split_segments"] + seconds["brackets.unwrap"] + seconds["every gate but language"]
    )
    seconds["every gate"] = gated(gates)
    return seconds


def main() -> None:
    """Print a line for each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--language", default="fr", choices=sorted(LANGUAGES))
    arguments = parser.parse_args()
    texts = read_texts(arguments.text)
    size = sum(len(text.encode("utf-8", "replace")) for text in texts) / 1e6
    print(f"{len(texts)} texts, {size:.2f} MB")
    for part, seconds in measure(texts, arguments.language).items():
        print(f"{part:40} {seconds:8.2f} s {size / max(seconds, 1e-9):8.2f} MB/s")


if __name__ == "__main__":
    main()
