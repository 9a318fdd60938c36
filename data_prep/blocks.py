"""Part a text into groups of lines: prose, tables, and what is code; the CommonMark parser only says what a line is.

The text itself never passes through the parser. A span such as display maths may run through the lines of a group, and
through no others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock

from data_prep.markup_names import TEXT_ENVIRONMENTS
from data_prep.spans import Closers, Span, find_spans, looks_like_prose

Kind = Literal["text", "table", "code"]

# The bracket contract knows no line break of any kind inside a translation, so each of them ends a segment.
# (A character class in front, so that a search skips text at its speed.)
BREAK = r"[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029](?:(?<=\r)\n)?"
BREAKS = re.compile(BREAK)
_LINE = re.compile(r"[^\r\n]*+(?:\r\n?|\n)|[^\r\n]++\Z")  # a line as CommonMark means it
# Without any of these, no line is code, HTML or a table. Where no span runs over a line break either, the lines do not
# depend on each other, and no parser is needed.
_BLOCK_MARKS = ("`", "\t", "|", "~~~", "    ")
_BLOCK_TAG = re.compile(r"(?:\A|[\r\n])[^\w\r\n]*(?:\d{1,9}[.)][^\w\r\n]*)?<[A-Za-z!/?]")
_JSON_START = re.compile(r"\{\s*[\"}]|\[\s*[\[{\"\d\]tfn-]")
_JSON_LINE = re.compile(r"(?:\A|[\r\n])[^\S\r\n]*[{\[]")
# Settings between two rules at the very beginning: keys with values, list items, comments and continued lines.
_FRONT_MATTER = re.compile(
    r"---[ \t]*(?:\r\n?|\n)(?=[a-z_][\w-]*:)(?:(?:[A-Za-z_][\w-]*:(?=\s)|[ \t]+\S|- |#)[^\r\n]*+(?:\r\n?|\n))++"
    r"---[ \t]*(?:\r\n?|\n|\Z)"
)
_MOST_JSON = 64 * 1024  # characters of an object over several lines; a longer one on a single line is known, too
_DISPLAY = re.compile(r"`[^`]*+`|\\\[|\\\]|\$\$|\\begin\{([A-Za-z]{1,30}\*?)\}|\\.|(?=\Z)")


def groups_of(text: str) -> Iterator[tuple[str, Kind, list[Span] | None]]:
    """The groups of lines that a span may run through, with what they are and, where they are known, their spans."""
    front = _FRONT_MATTER.match(text)
    if front:
        yield front[0], "code", None
        text = text[front.end() :]
    if not _may_hold_blocks(text):
        spans = find_spans(text)
        if not any(BREAKS.search(text, span.start, span.end) for span in spans):
            if text:
                yield text, "text", spans
            return
    lines = _LINE.findall(text)
    for start, end, kind in _line_groups(text, lines):
        yield "".join(lines[start:end]), kind, None


def _may_hold_blocks(text: str) -> bool:
    # Looking for a character takes a tenth of the time of a pattern, and most texts have none of these.
    return (
        any(map(text.__contains__, _BLOCK_MARKS))
        or ("<" in text and _BLOCK_TAG.search(text) is not None)
        or (("{" in text or "[" in text) and _JSON_LINE.search(text) is not None)
    )


def _line_groups(text: str, lines: list[str]) -> list[tuple[int, int, Kind]]:
    """Ranges of lines that belong together, with what they are; every line is in exactly one."""
    json_lines = _json_lines(text, lines)
    kinds = _parse(text)
    groups: list[tuple[int, int, Kind]] = []
    line = 0
    for start, end, kind in [*kinds, (len(lines), len(lines), "text")]:
        while line < min(start, len(lines)):
            groups.append((line, line + 1, "code" if line in json_lines else "text"))
            line += 1
        end = min(end, len(lines))
        if line < end:
            if kind != "code" and any(number in json_lines for number in range(line, end)):
                groups.extend((n, n + 1, "code" if n in json_lines else kind) for n in range(line, end))
            else:
                groups.append((line, end, kind))
            line = end
    return groups


def _json_lines(text: str, lines: list[str]) -> set[int]:
    """The lines of JSON objects and arrays that begin a line, end a line and may run over several."""
    found: set[int] = set()
    if not _JSON_LINE.search(text):
        return found
    decoder = json.JSONDecoder()
    position = tried = 0
    inside = False
    for number, line in enumerate(lines):
        start = position + len(line) - len(line.lstrip())
        position += len(line)
        if start < tried:
            if inside:
                found.add(number)
            continue
        inside = False
        if not _JSON_START.match(text, start, min(len(text), start + 1000)):
            continue
        window = text[start : start + _MOST_JSON]
        try:
            end = start + decoder.raw_decode(window)[1]
        except RecursionError:
            break
        except ValueError as error:  # what was read in vain is not read again, so that the whole stays linear
            tried = start + getattr(error, "pos", 0)
            continue
        following = BREAKS.search(text, end)
        if not text[end : following.start() if following else len(text)].strip():
            inside, tried = True, end
            found.add(number)
    return found


def _parse(text: str) -> list[tuple[int, int, Kind]]:
    """The parser's leaf blocks in order, as ranges of lines."""
    blocks: list[tuple[int, int, Kind]] = []
    table_end = 0
    for token in _PARSER.parse(text):
        if token.map is None:
            continue
        start, end = token.map
        if token.type in ("fence", "code_block"):
            blocks.append((start, end, "code"))
        elif token.type == "html_block":
            blocks.append((start, end, "code" if _is_unclosed_verbatim(token.content) else "text"))
        elif token.type == "table_open":
            blocks.append((start, end, "table"))
            table_end = end
        elif token.type == "inline" and start >= table_end:
            blocks.append((start, end, "text"))
    return blocks


def _is_unclosed_verbatim(html: str) -> bool:
    """A script, style or comment that never ends; those that end are spans."""
    opening = re.match(r"\s*<(?:(script|style|pre|textarea)\b|!--)", html, re.IGNORECASE)
    return opening is not None and (f"</{opening[1]}" if opening[1] else "-->").lower() not in html.lower()


def _paragraph(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """CommonMark's paragraph, except that display maths goes on to its end whatever its lines look like.

    The parser would otherwise take a line such as ``- 3x`` inside ``\\[ … \\]`` for a list item.
    """
    terminators = state.md.block.ruler.getRules("paragraph")
    end_line = state.lineMax
    parent, state.parentType = state.parentType, "paragraph"
    line = _last_line_of_maths(state, start_line, end_line) + 1
    while line < end_line and not state.isEmpty(line):
        # an indented line is a lazy continuation here; a negative count marks one that a quote has checked already
        lazy = state.sCount[line] - state.blkIndent > 3 or state.sCount[line] < 0
        if not lazy and any(terminator(state, line, end_line, True) for terminator in terminators):
            break
        line = _last_line_of_maths(state, line, end_line) + 1
    state.line = line
    token = state.push("inline", "", 0)
    token.map = [start_line, line]
    token.children = []
    state.parentType = parent
    return True


def _last_line_of_maths(state: StateBlock, line: int, end_line: int) -> int:
    """The line on which display maths that begins on ``line`` ends; ``line`` itself where none is left open."""
    source = state.src
    position = state.bMarks[line] + state.tShift[line]
    if source.find("\\", position, state.eMarks[line]) < 0 and source.find("$$", position, state.eMarks[line]) < 0:
        return line
    closers: Closers = state.env.setdefault("closers", None) or Closers(source)
    state.env["closers"] = closers
    while True:
        match = _DISPLAY.search(source, position, state.eMarks[line])
        if match is None or match.start() == match.end():
            return line
        position = match.end()
        closer = {"\\[": "\\]", "$$": "$$"}.get(match[0], f"\\end{{{match[1]}}}" if match[1] else "")
        if not closer or (match[1] and match[1].rstrip("*") in TEXT_ENVIRONMENTS):
            continue
        closing = closers.after(closer, position)
        if closing < 0 or closing >= state.eMarks[end_line - 1]:
            continue
        if closer == "$$" and looks_like_prose(source, position, closing):
            continue
        position = closing + len(closer)
        while state.eMarks[line] < position:
            line += 1


_PARSER = MarkdownIt("commonmark", {"maxNesting": 100}).enable("table").disable("reference")
_PARSER.core.ruler.enableOnly(["normalize", "block"])
_PARSER.block.ruler.at("paragraph", _paragraph)
