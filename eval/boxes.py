"""Boxed answers: a response in, the contents of its ``\\boxed{}`` with their places out."""

from __future__ import annotations

import re

_BOX = re.compile(r"\\f?boxed\s*")
_BOX_WINDOW = 200_000  # boxes are looked for in that much text before the end
_MOST_BOXES = 64
_LONGEST = 2_000  # characters of a box that are read


def boxes(response: str) -> tuple[list[tuple[int, int, str]], bool]:
    """Contents of the closed boxes near the end with their spans, in order, and whether one of them is empty."""
    offset = max(0, len(response) - _BOX_WINDOW)
    starts = [(m.start() + offset, m.end() + offset) for m in _BOX.finditer(response[offset:])][-_MOST_BOXES:]
    found: list[tuple[int, int, str]] = []
    empty = False
    for start, inside in starts:
        if found and start < found[-1][1]:
            continue  # a box in a box
        if inside < len(response) and response[inside] == "{":
            end = _closing_brace(response, inside)
            content = response[inside + 1 : end - 1] if end else None
        else:
            single = re.compile(r"[A-Za-z0-9]+").match(response, inside) if inside > start + 6 else None
            end, content = (single.end(), single[0]) if single and response[inside - 1].isspace() else (None, None)
        if end is None or content is None:
            continue
        if re.sub(r"\\(?:text|mathrm)\s*\{\s*\}|[\s?_.…$\\,;~{}]|\\quad", "", content):
            found.append((start, end, content))
        else:
            empty = True
    return found, empty


def _closing_brace(text: str, opening: int) -> int | None:
    """Index after the brace that closes the one at ``opening``; None within the longest statement."""
    depth = 0
    for position in range(opening, min(len(text), opening + _LONGEST)):
        if text[position] == "{" and text[position - 1] != "\\":
            depth += 1
        elif text[position] == "}" and text[position - 1] != "\\":
            depth -= 1
            if depth == 0:
                return position + 1
    return None
