"""The text of an answer made plain, so that numbers are found in it: full-width characters, LaTeX, tags, ½ and ²."""

from __future__ import annotations

import re
import unicodedata

FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_CHARACTERS = str.maketrans(
    FULL_WIDTH
    | {ord(c): " " for c in "\u00a0\u2007\u2008\u2009\u200a\u202f\u3000\t"}
    | {ord(c): "-" for c in "\u2212\ufe63\u2011"}
    | {ord(c): "'" for c in "\u2019\u02bc"}
    | {ord(c): None for c in "\u200b\u200c\u200d\u2060\ufeff\u00ad"}
    | {0x2044: "/", 0x2215: "/"}
)
_VULGAR = {c: unicodedata.normalize("NFKC", c).replace("\u2044", "/") for c in "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"}
_VULGAR_PATTERN = re.compile(r" ?([" + "".join(_VULGAR) + "])")
_MIXED_JAPANESE = re.compile(r"(?<![\d.,])(\d{1,6})と(\d{1,6})分の(\d{1,6})")
_MIXED_JAPANESE_BAR = re.compile(r"(?<![\d.,])(\d{1,6})と(?=\d{1,3}/\d{1,3}(?![\d/]))")
_ANSWER_TAG = re.compile(r"<(?:final_?)?answer>", re.IGNORECASE)
_TAG = re.compile(
    r"</?(?:final_?answer|answer|final|result|b|strong|i|em|u|mark|span|p|div|sub|sup|li)>", re.IGNORECASE
)
_STRUCK = re.compile(r"~~[^~\n]{1,200}~~|<(del|s|strike)>[^<\n]{0,200}</\1>")
_MINUS_APART = re.compile(r"(?<![\w)\]])(?<![\w)\]]\s)-\s+(?=\d+/\d)")  # what "-\frac12" leaves
_PRICE = re.compile(r"(?<![\d.,])(\d{1,6})\s?€\s?(\d{2})(?!\d|[.,]\d)")  # 3€50
_PER_HUNDRED = re.compile(r"(?<=\d)\s?p\.\s?(?:100|c\.)(?!\w)")  # "25 p. 100"
_RAISED = re.compile(r"(?<=\d)[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+")
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")

_LATEX = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (
            r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|operatorname|mbox|bm|emph|bf|rm)\s*\{([^{}]*)\}",
            r" \1 ",
        ),
        (r"(?<=\d)\{,\}(?=\d)", ","),
        (r"(?<=\d)\{\.\}(?=\d)", "."),
        (r"\\(?:cancel|bcancel|xcancel|sout|st)\s*\{[^{}]{0,200}\}", " "),
        (r"\\!", ""),
        (r"\\(?:[,;: ]|q?quad\b)|(?<=\d)~(?=\d{3}\b)", " "),
        (r"\\(?:left|right|displaystyle|big|Big|bigl|bigr)\b", ""),
        (r"\^\s*\{?\s*\\circ\s*\}?|\\circ\b|\\degree\b", "°"),
        (
            r"\\[dtc]?frac\s*\{\s*([^{}]{1,40}?)\s*\}\s*\{\s*([^{}]{1,40}?)\s*\}",
            r" \1/\2 ",
        ),
        (r"\\[dtc]?frac\s*(\d)\s*(\d)", r" \1/\2 "),
        (r"\\(?:times|cdot|ast)\b", "×"),
        (r"\\div\b", "÷"),
        (r"\\pm\b", "±"),
        (r"\\(?:approx|simeq)\b", "≈"),
        (r"\\(?:implies|Rightarrow|rightarrow|to)\b", "→"),
        (r"\\(?:mid|[lr]?vert)\b", "|"),
        (r"\\lbrace\b", "{"),
        (r"\\rbrace\b", "}"),
        (r"\\[()\[\]]", " "),
        (r"\\([$%#&{}_])", r"\1"),
    )
]
_UNIT_POWER = re.compile(r"(?<=[A-Za-zµ°])\^\s?\{?\s?-?\d\s?\}?|(?<=[a-zA-Z])[²³]")


def clean(text: str) -> str:
    """Plain text of an answer: half-width characters, plain spaces and signs, LaTeX of numbers written out."""
    plain = text.isascii()
    text = text.replace("\t", " ") if plain else text.translate(_CHARACTERS)
    if "\\" in text or "{" in text:
        for pattern, replacement in _LATEX:
            text = pattern.sub(replacement, text)
        text = _MINUS_APART.sub("-", text)
    if "~~" in text or "<" in text:
        text = _TAG.sub(" ", _ANSWER_TAG.sub("\nAnswer: ", _STRUCK.sub(" ", text)))
    if not plain:
        text = _VULGAR_PATTERN.sub(lambda match: f" {_VULGAR[match[1]]}", text)
        if "と" in text and "/" in text:
            text = _MIXED_JAPANESE_BAR.sub(r"\1 ", text)
        if "分の" in text:
            text = _MIXED_JAPANESE.sub(r"\1 \3/\2", text)
    if "€" in text:
        text = _PRICE.sub(r"\1.\2 €", text)
    if "p. " in text or "p.c" in text:
        text = _PER_HUNDRED.sub(" %", text)
    if "^" in text or not plain:
        text = _UNIT_POWER.sub("", text)
        text = _RAISED.sub(lambda match: "^" + match[0].translate(_SUPERSCRIPT), text)
    return text
