"""Where an expression stands in a statement ("V = … = 36π cm³" comes in, ``36\\pi`` comes out), in LaTeX."""

from __future__ import annotations

import functools
import re

from data_prep.languages import get_language
from eval.cleaning import FULL_WIDTH
from eval.phrases import Phrases

_FORMULA = re.compile(r"\$\$?([^$]{1,1000})\$\$?")
_BOLD = re.compile(r"\*\*([^*\n]{1,300})\*\*")
_WORDY = r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|operatorname|mbox)\s*\{[^{}]*\}"
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_FUNCTIONS = r"sin|cos|tan|cot|sec|csc|ln|log|exp|sqrt|arcsin|arccos|arctan|pi"
_TERM = (
    rf"\\[a-zA-Z]+|(?<![A-Za-zÀ-ɏ])(?:{_FUNCTIONS})(?![A-Za-zÀ-ɏ])|(?<![A-Za-zÀ-ɏ'])[A-Za-z]{{1,2}}'?(?![A-Za-zÀ-ɏ'])"
    r"|\d+(?:[.,]\d+)*|[π√∞θφαβ°()\[\]{}|]"
)
_RUN = re.compile(rf"(?:(?:{_TERM}|[-+*/^_=≈×·⋅÷!,;:<>≤≥→⇒⇔]|\.(?=\\))[ ]{{0,2}})+")
_MATHS = re.compile(r"[\d\\^=+*/π√]")
_UNIT = re.compile(
    rf"(?:\\[,;: !]|\\q?quad(?![a-z])|~|\s)*(?:{_WORDY}(?:\s*\^\s*\{{?\s*-?\d\s*\}}?)?"
    r"|\\%|\\(?:circ|degree)(?![a-z])|°"
    r"|(?:(?<=[\s,;}])|(?<=\d)(?=[a-z]{2}))(?:[kcdm]?m|k?g|[mc]?[lL]|h|s|min)(?:\s*\^\s*\{?\s*[23]\s*\}?)?"
    r"|\((?:[kcdm]?m|k?g|[mc]?[lL])(?:\s*\^\s*\{?\s*[23]\s*\}?)?\))[\s.,;]*$"
)
_PLAIN = FULL_WIDTH | {
    ord(c): " " for c in "\u00a0\u2007\u2008\u2009\u202f\u3000\t"
} | {ord(c): "-" for c in "\u2212\u2011"}  # fmt: skip
_STEP = re.compile(r"\\(?:iff|implies|Rightarrow|Leftrightarrow|Longrightarrow|to|therefore)(?![a-zA-Z])|[→⇒⇔⟹∴]|\\\\")
_ABOUT = re.compile(r"\\(?:approx|simeq|thickapprox)(?![a-z])|≈|≒")
_EQUALS = re.compile(r"(?<![<>!:])=|\\equiv(?![a-z])")


def plain(text: str) -> str:
    """Text with half-width characters and plain spaces, its LaTeX and powers left as they are."""
    return text.translate(_PLAIN)


def read_formula(statement: str, language: str, gold: str, words: Phrases) -> str | None:
    """The expression that a statement ends with, without its unit; None where it has none or denies it.

    In a chain of equations the last side counts, before an approximation of it; all of "y = 2x + 1" where the gold is
    an equation itself.
    """
    formulas = list(_FORMULA.finditer(statement)) or [m for m in _BOLD.finditer(statement) if _MATHS.search(m[1])]
    if not formulas:
        statement = _in_latex(statement, language)
        formulas = [m for m in _RUN.finditer(statement) if _MATHS.search(m[0])]
        if not formulas:
            return None
    last = formulas[-1]
    if _denied_pattern(words).search(statement[: last.start()]):
        return None
    written = _in_latex(last[last.lastindex or 0], language)
    return last_side(written, whole="=" in gold) or None


@functools.cache
def _denied_pattern(words: Phrases) -> re.Pattern[str]:
    return re.compile(rf"(?:(?<!\w)(?:{'|'.join(words.denied_before)}))\s[\s$*]*$", re.IGNORECASE)


def last_side(formula: str, *, whole: bool = False) -> str:
    """What a chain of equations comes to (``whole``: its last equation), without unit and emphasis."""
    formula = _STEP.split(formula)[-1]
    exact = _ABOUT.split(formula)[0]
    formula = exact if exact.strip() else formula
    sides = [side for side in _EQUALS.split(formula) if side.strip(" *$.,;")]
    if not sides:
        return ""
    ended = [_without_unit(side) for side in (sides[-2:] if whole else sides[-1:])]
    return "=".join(ended)


def _without_unit(side: str) -> str:
    side = side.strip(" *$.,;:。\n")
    for _ in range(3):
        shorter = _UNIT.sub("", side)
        if shorter == side or not shorter.strip():
            break
        side = shorter
    return side.strip(" *$.,;:。\n")


def _in_latex(text: str, language: str) -> str:
    """Plain mathematical characters in LaTeX: "√2/2", "13π", "x²"."""
    if not text.isascii():
        text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+", lambda m: "^{" + m[0].translate(_SUPERSCRIPTS) + "}", text)
        text = re.sub(r"√\s?(\d+|[a-z](?![a-z]))", r"\\sqrt{\1}", text)
        text = re.sub(r"√\s?\(([^()]{1,60})\)", r"\\sqrt{\1}", text)
        text = text.replace("π", r"\pi ").replace("×", r"\cdot ").replace("·", r"\cdot ").replace("⋅", r"\cdot ")
    text = re.sub(r"(?<![\\a-zA-Z])sqrt\s?\(([^()]{1,60})\)", r"\\sqrt{\1}", text)
    text = re.sub(r"(?<![\\a-zA-Z])pi(?![a-zA-Z])", r"\\pi ", text)
    text = re.sub(r"(?<=\d)\{,\}(?=\d)", ".", text)
    if get_language(language).decimal_separator == ",":
        text = re.sub(r"(?<=\d),(?=\d)", ".", text)
    return text


def of_another(statement: str, number: str | None, variable: str) -> bool:
    """Whether a statement gives its number as the value of another letter than ``variable`` ("y = 2" for x)."""
    if not number:
        return False
    said = re.findall(rf"(?<![\w\\])([a-zA-Z])\s?=\s?[$*]*{re.escape(number)}", statement)
    return bool(said) and variable.lower() not in {letter.lower() for letter in said}
