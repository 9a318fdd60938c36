"""Part a text into what a translator gets and what reaches the output untouched; joined, the segments are the text.

Blocks (fences, indented code, tables, HTML) come from a CommonMark parser, the spans inside a line from
:mod:`data_prep.spans`. The parser only says what each line is; the text itself never passes through it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock

from data_prep.prose import has_words
from data_prep.spans import TEXT_ENVIRONMENTS, Closers, Span, find_spans, looks_like_prose


@dataclass(frozen=True)
class Segment:
    """A piece of a text.

    Args:
        text: the piece itself. A translatable one stands on a single line and neither begins nor ends with white
            space; list, quote and heading markers and choice labels at its start are segments of their own.
        translatable: a reader reads it as language, so a translator gets it.
        protected: substrings of a translatable segment, in order and with repetitions, that must reach the translation
            byte for byte: inline code, maths, URLs, tags, placeholders, choice labels.
    """

    text: str
    translatable: bool
    protected: tuple[str, ...] = ()


_Kind = Literal["text", "table", "code"]

_LINE = re.compile(r"[^\r\n]*+(?:\r\n?|\n)|[^\r\n]++\Z")  # a line as CommonMark means it
# The bracket contract knows no line break of any kind inside a translation, so each of them ends a segment.
_BREAK = r"\r\n?|[\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]"
_BREAKS = re.compile(_BREAK)
_LETTER = re.compile(r"[^\W\d_]")
_CELL_ENDS = re.compile(_BREAK + r"|(?<!\\)\|")
# Without any of these, no line is code, HTML or a table, and no span runs over a line break: no parser is needed.
_NEEDS_PARSER = re.compile(r"[`\t<|$]|~~~|    |\\\[|\\\(|\\begin\{")
_MARKERS = re.compile(
    r"(?:[ \t]*(?:>|#{1,6}(?=[ \t])|[-*+•◦‣▪–—](?=[ \t])|\[[ xX]\](?=[ \t])"
    r"|\(?\d{1,9}(?:\.\d{1,3}){0,3}[.)](?=[ \t])|\([ivx]{1,5}\)(?=[ \t])))*+[ \t]*"
    r"(?:(?:\(?[A-Ja-j]\)|[A-J][.:]|\*\*\(?[A-J][.):]\*\*|\*\*\(?[A-J]\)?\*\*[.:)]?)[ \t]+)?"
)
_DEFINITION = re.compile(
    r"[ \t>]*\[[^\]\r\n]{1,200}\]:[ \t]*+(?:<[^>\r\n]*+>|[^\s<]*?[/.#:][^\s]*+)"
    r"(?:[ \t]+(?:\"[^\"\r\n]*+\"|'[^'\r\n]*+'|\([^)\r\n]*+\)))?[ \t]*\Z"
)
_JSON_START = re.compile(r"\{\s*[\"}]|\[\s*[\[{\"\d\]tfn-]")
_MOST_JSON = 64 * 1024  # characters of an object over several lines; a longer one on a single line is known, too
_CLOSING_MARKS = re.compile(r"[ \t]+#{1,20}\Z|(?<!\\)\\\Z")
_BLOCK_TAG = re.compile(
    r"</?(?:p|div|li|ul|ol|dl|dt|dd|td|th|tr|table|thead|tbody|h[1-6]|br|hr|section|article|details|summary|body|html"
    r"|head|title|blockquote|center|header|footer|main|nav|figure|figcaption|option|select|form)\b",
    re.IGNORECASE,
)
_DISPLAY = re.compile(r"`[^`]*+`|\\\[|\\\]|\$\$|\\begin\{([A-Za-z]{1,30}\*?)\}|\\.|(?=\Z)")


def split_segments(text: str) -> list[Segment]:
    """The segments of a text, in order; ``"".join(s.text for s in split_segments(text)) == text`` for any text."""
    lines = _LINE.findall(text)
    segments: list[Segment] = []
    withheld: list[str] = []
    for start, end, kind in _groups(text, lines):
        group = "".join(lines[start:end])
        for piece, protected in [(group, None)] if kind == "code" else _pieces(group, kind):
            if protected is None:
                withheld.append(piece)
                continue
            if withheld:
                segments.append(Segment("".join(withheld), False))
                withheld.clear()
            segments.append(Segment(piece, True, protected))
    if withheld:
        segments.append(Segment("".join(withheld), False))
    return segments


def _pieces(text: str, kind: _Kind) -> Iterator[tuple[str, tuple[str, ...] | None]]:
    """The parts of a group of lines: a translatable one with its protected substrings, any other with None."""
    if not _LETTER.search(text):
        yield text, None
        return
    position = 0
    defines = "]:" in text
    for start, end, spans in _stretches(text, _CELL_ENDS if kind == "table" else _BREAKS):
        if defines and _DEFINITION.match(text, start, end):
            continue
        start, end = _trim(text, start, end, spans)
        if spans:
            spans = [span for span in spans if start <= span.start and span.end <= end]
        if not has_words(text, start, end, spans) or _is_json(text[start:end]):
            continue
        if position < start:
            yield text[position:start], None
        yield text[start:end], tuple(text[span.start : span.end] for span in spans)
        position = end
    if position < len(text):
        yield text[position:], None


def _stretches(text: str, separators: re.Pattern[str]) -> Iterator[tuple[int, int, list[Span]]]:
    """What lies between two separators, with the spans in it; a span that runs over a line break separates, too."""
    start = gap = 0
    inside: list[Span] = []
    for span in [*find_spans(text), None]:
        for separator in separators.finditer(text, gap, span.start if span else len(text)):
            yield start, separator.start(), inside
            start, inside = separator.end(), []
        if span is None:
            yield start, len(text), inside
            return
        gap = span.end
        if _BREAKS.search(text, span.start, span.end):
            yield start, span.start, inside
            start, inside = span.end, []
        else:
            inside.append(span)


def _trim(text: str, start: int, end: int, spans: list[Span]) -> tuple[int, int]:
    """Without markers, choice label, block tags and white space around it."""
    first, last = 0, len(spans)
    markers = _MARKERS.match(text, start, end)
    start = markers.end() if markers else start
    while True:
        start, end = _strip(text, start, end)
        while first < last and spans[first].start < start:
            first += 1
        if first < last and spans[first].start == start and _BLOCK_TAG.match(text, start):
            start = spans[first].end
            first += 1
        elif first < last and spans[last - 1].end == end and _BLOCK_TAG.match(text, spans[last - 1].start):
            end = spans[last - 1].start
            last -= 1
        else:
            break
    closing = _CLOSING_MARKS.search(text, max(start, end - 30), end)
    return _strip(text, start, closing.start() if closing else end)


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def _is_json(piece: str) -> bool:
    if (piece[:1], piece[-1:]) not in (("{", "}"), ("[", "]")):
        return False
    try:
        json.loads(piece)
    except (ValueError, RecursionError):
        return False
    return True


def _groups(text: str, lines: list[str]) -> list[tuple[int, int, _Kind]]:
    """Ranges of lines that belong together, with what they are; every line is in exactly one."""
    json_lines = _json_lines(text, lines)
    kinds: list[tuple[int, int, _Kind]] = _parse(text) if _NEEDS_PARSER.search(text) else []
    groups: list[tuple[int, int, _Kind]] = []
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
    if "{" not in text and "[" not in text:
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
        following = _BREAKS.search(text, end)
        if not text[end : following.start() if following else len(text)].strip():
            inside, tried = True, end
            found.add(number)
    return found


def _parse(text: str) -> list[tuple[int, int, _Kind]]:
    """The parser's leaf blocks in order, as ranges of lines."""
    blocks: list[tuple[int, int, _Kind]] = []
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
