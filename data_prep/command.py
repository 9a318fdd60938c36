"""Translation by a program such as ``apertium -u eng-spa``: segments on its standard input, translations on output.

Spans that must not change go in as made-up words and are put back afterwards; a segment whose words did not all come
back once is not translated.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from itertools import product
from string import ascii_lowercase

from data_prep.translators import Attempt, TranslatorConfig, Unit
from launch.errors import InputError

# Letters only, of one length, with an end: no tokenizer parts such a word, and none is the beginning of another.
_STAND_INS = [f"Zqx{first}{second}z" for first, second in product(ascii_lowercase, repeat=2)]
_STAND_IN = re.compile(r"Zqx[a-z]{2}z")


class CommandTranslator:
    """Runs the program once for every ``batch_segments`` segments; see ``TranslatorConfig`` for its settings.

    Raises:
        InputError: no command is given, or there is no such program.
    """

    attempts = 1

    def __init__(self, config: TranslatorConfig) -> None:
        if not config.command:
            raise InputError(
                "translator.command is empty; give a program and its arguments, such as [apertium, eng-spa]"
            )
        if shutil.which(config.command[0]) is None:
            raise InputError(
                f"translator.command: there is no program '{config.command[0]}'; install it or give its path"
            )
        if not config.separator.endswith("\n") or config.batch_segments < 1:
            raise InputError(
                "translator.separator has to end with a line break, and translator.batch_segments be 1 or more"
            )
        self.name = " ".join(config.command)
        self._config = config

    def translate(
        self, units: Sequence[Unit], source_language: str, target_language: str, attempt: int
    ) -> Sequence[Attempt]:
        """Mask, run, unmask; see :class:`data_prep.translators.Translator`."""
        argv = [
            part.replace("{source}", source_language).replace("{target}", target_language)
            for part in self._config.command
        ]
        masked = [mask(unit.text, unit.protected) for unit in units]
        ready = [position for position, text in enumerate(masked) if text is not None]
        outputs: dict[int, str | None] = {}
        for start in range(0, len(ready), self._config.batch_segments):
            batch = ready[start : start + self._config.batch_segments]
            texts = [masked[position] or "" for position in batch]
            outputs.update(zip(batch, self._run_halving(argv, texts), strict=True))
        return [_attempt(unit, position in outputs, outputs.get(position)) for position, unit in enumerate(units)]

    def close(self) -> None:
        """Nothing to let go of: every process has ended."""

    def _run_halving(self, argv: list[str], texts: list[str]) -> list[str | None]:
        """Translate a batch. Where it does not come back whole, its halves are tried: one bad segment costs itself."""
        outputs, problem = self._run(argv, texts)
        if outputs is not None:
            return list(outputs)
        # A program that cannot translate a single digit is not at odds with a segment, it does not work at all.
        if self._run(argv, ["1"])[0] is None:
            raise InputError(f"translator.command: '{' '.join(argv)}' failed: {problem}")
        return self._run_halves(argv, texts)

    def _run_halves(self, argv: list[str], texts: list[str]) -> list[str | None]:
        if len(texts) == 1:
            return [None]
        middle = len(texts) // 2
        results: list[str | None] = []
        for half in (texts[:middle], texts[middle:]):
            outputs, _ = self._run(argv, half)
            results.extend(self._run_halves(argv, half) if outputs is None else outputs)
        return results

    def _run(self, argv: list[str], texts: list[str]) -> tuple[list[str] | None, str]:
        separator = self._config.separator
        content = separator.join(texts) + "\n"
        try:
            done = subprocess.run(
                argv, input=content.encode(), capture_output=True, timeout=self._config.timeout_s, check=False
            )
        except subprocess.TimeoutExpired:
            return None, f"it took longer than {self._config.timeout_s:g} s"
        except OSError as error:
            raise InputError(f"translator.command: '{argv[0]}' cannot be run: {error.strerror}") from error
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
            return None, f"exit status {done.returncode}: {said[-1][:200]}"
        outputs = done.stdout.decode("utf-8", "replace").replace("\r\n", "\n").rstrip("\n").split(separator)
        if len(outputs) != len(texts):
            return (None, f"{len(texts)} segments went in and {len(outputs)} came out; is translator.separator right?")
        return [output.strip() for output in outputs], ""


def mask(text: str, protected: Sequence[str]) -> str | None:
    """Put a made-up word in the place of every protected span, in order; None when that cannot be done."""
    if _STAND_IN.search(text) or len(protected) > len(_STAND_INS):
        return None
    parts: list[str] = []
    position = 0
    for span, stand_in in zip(protected, _STAND_INS, strict=False):
        found = text.find(span, position)
        if not span or found == -1:
            return None
        parts += [text[position:found], stand_in]
        position = found + len(span)
    return "".join([*parts, text[position:]])


def unmask(text: str, protected: Sequence[str]) -> str | None:
    """Put the protected spans back; None when one is missing, doubled or invented."""
    expected = _STAND_INS[: len(protected)]
    if sorted(_STAND_IN.findall(text)) != expected:
        return None
    spans = dict(zip(expected, protected, strict=True))
    return _STAND_IN.sub(lambda match: spans[match[0]], text)


def _attempt(unit: Unit, asked: bool, output: str | None) -> Attempt:
    if not asked:
        return Attempt("", None, "not_maskable", "the protected spans of this segment cannot be masked")
    if output is None:
        return Attempt("", None, "command_failed", "the program does not bring this segment back")
    text = unmask(output, unit.protected)
    if text is None:
        return Attempt(output, None, "protected_spans", "a protected span was lost, doubled or invented")
    if not text:
        return Attempt(output, None, "empty", "the program gave nothing for this segment")
    return Attempt(output, text)
