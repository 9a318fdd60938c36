"""Find the pieces inside a text that must survive translation byte for byte: code, maths, links, tags, names.

The scanner goes through the text once from left to right; every opener looks for its closer through a cursor that only
moves forward, so that no input takes more than linear time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from data_prep.addresses import (
    FILE_ENDING,
    call_at,
    email_or_handle_at,
    file_at,
    identifier_at,
    number_name_at,
    path_at,
    url_at,
    windows_path_at,
)  # fmt: skip
from data_prep.markup_names import COMMANDS, FUNCTION_NAMES, HTML_NAMES, TEXT_COMMANDS, TEXT_ENVIRONMENTS

SpanKind = Literal["code", "math", "latex", "url", "link", "name", "html", "placeholder", "choice_label"]


@dataclass(frozen=True)
class Span:
    """``text[start:end]`` must stay as it is. ``kind`` says why."""

    start: int
    end: int
    kind: SpanKind


# Every span has one of these in it; what stands around decides. The characters come first and what must stand beside
# them afterwards, so that plain text is skipped at the speed of a character class.
_TRIGGER = re.compile(
    r"[\\$@{%)<&`:w\](\[/._xXT#-](?:(?<=[\\$@{%<&])|(?<=`)`*|(?<=[A-Ha-h]\))|(?<=\(\))|(?<=:)//|(?<=mailto:)"
    r"|(?<=w)ww\.|(?<=\])(?=[(\[])|(?<=\[)\^|(?<=\()(?=[A-Ja-j]\))|(?<=[^/<]/)(?=[\w.~@])|(?<=\A/)(?=[\w.~@])"
    rf"|(?<=\.)(?={FILE_ENDING})|(?<=[A-Za-z0-9]_)(?=[A-Za-z0-9])|(?<=0[xX])(?=[0-9A-Fa-f])|(?<=\dT)(?=\d\d:)"
    r"|(?<=#)(?=[0-9A-Fa-f]{6})|(?<=[0-9A-Fa-f]{8}-)(?=[0-9A-Fa-f]{4}-))",
    re.ASCII,
)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_FORMAT = re.compile(r"(?<![\d%])%(?:\(\w{1,40}\)|\d{1,2}\$)?[-+#0]*+\d{0,3}(?:\.\d{1,2})?[A-Za-z](?![A-Za-z])")
_OPENING_LABEL = re.compile(r"(?<![A-Za-z0-9_(\u00c0-\u024f])\([A-Ja-j]\)(?![A-Za-z0-9_\u00c0-\u024f])")
_CLOSING_LABEL = re.compile(r"(?<![\w(\[{'’.\-])[A-Ha-h]\)(?=\s|\Z|[\u3040-\u9fff])")
_LINE_LABEL = re.compile(r"^[ \t]*(?:[-*+>][ \t]+)?(?:\*\*)?([A-J][.:])(?:\*\*)?(?=[ \t]\S)", re.MULTILINE)
_COMMAND = re.compile(r"\\(?:[A-Za-z]+\*?|[\s\S]|\Z)")
_PLACEHOLDER = re.compile(
    r"\{\{[^{}\r\n]{0,200}+\}\}|\{%[^{}\r\n]{0,200}+\}"
    r"|\{[A-Za-z_][\w.\-\[\] ]{0,60}+(?:![rsa])?(?::[^{}\s]{0,20}+)?\}|\{\d{0,3}(?::[^{}\s]{0,20}+)?\}"
)
_SHELL_VARIABLE = re.compile(r"\$\{[^{}\r\n]{1,200}+\}|\$[A-Z_][A-Z0-9_]+(?![A-Za-z0-9_])|\$\([^()\r\n]{1,200}+\)")
_DESTINATION = re.compile(
    r"\]\([ \t]{0,8}(?:<(?P<angle>[^<>\r\n]{0,2000}+)>"
    r"|(?P<plain>(?:[^\s()<>\\]|\\.|\((?:[^\s()\\]|\\.){0,500}\)){0,2000}))"
    r"(?:[ \t]{1,8}(?:\"[^\"\r\n]{0,500}+\"|'[^'\r\n]{0,500}+'))?[ \t]{0,8}\)"
)
_REFERENCE = re.compile(r"\[\^?[^\s\[\]]{1,60}\]|(?<=\])\[[^\[\]\r\n]{1,100}\]")
_SIMPLE_ARGUMENT = re.compile(r"[_^][A-Za-z0-9]?|\[[^\[\]\r\n]{0,200}\]|\d{1,2}")
_TAG = re.compile(
    r"</[A-Za-z][\w:.-]{0,60}\s{0,20}>"
    r"|<(?P<name>[A-Za-z][\w:.-]{0,60}+)(?P<attributes>(?:\s{1,20}+[A-Za-z_:@][\w:.@-]{0,60}+"
    r"(?:\s{0,9}=\s{0,9}(?:\"[^\"<]{0,2000}+\"|'[^'<]{0,2000}+'|[^\s\"'=<>`]{1,500}+))?){0,40}+)\s{0,20}/?>"
    r"|<[A-Za-z][A-Za-z0-9+.-]{1,31}:[^\s<>]{0,2000}+>|<[\w.+-]{1,64}@[A-Za-z0-9.-]{1,255}>|<![A-Z][^<>]{0,300}+>"
)
# What a worked solution notes for a calculator: <<48/2=24>>.
_CALCULATION = re.compile(r"<<[^<>\s][^<>\r\n]{0,200}=[^<>\r\n]{0,100}>>")
_VERBATIM_ELEMENT = re.compile(r"<(script|style|pre|textarea|code|samp|var|tt|svg|math)(?![\w:.-])", re.IGNORECASE)
_ENVIRONMENT = re.compile(r"\{([A-Za-z]{1,30}\*?)\}")
_PROSE = re.compile(r"(?:\b[A-Za-z]{2,}\b[ ,]{1,2}){5}")
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")


class Closers:
    """The next occurrence of a closer after a position; positions only grow, so the text is searched once for each."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._next: dict[str, int] = {}

    def after(self, closer: str, position: int) -> int:
        """Index of ``closer`` at or after ``position``, -1 if there is none."""
        known = self._next.get(closer, -2)
        if known == -1 or known >= position:
            return known
        found = self._text.find(closer, position)
        self._next[closer] = found
        return found


def find_spans(text: str) -> list[Span]:
    """All protected spans, in order, none overlapping; a span may run over line breaks (display maths, code)."""
    spans: list[Span] = []
    scanner = _Scanner(text)
    position = 0
    while (trigger := _TRIGGER.search(text, position)) is not None:
        found = scanner.span_at(trigger, position)
        position = trigger.end()
        if found is not None:
            spans.append(found)
            position = found.end
        elif text[trigger.start()] == "\\":
            position += 1  # an escaped character opens nothing
    return spans


class _Scanner:
    """What stands at a trigger, looked at with what the rest of the text says about closers."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.closers = Closers(text)
        self.backticks = _backtick_closers(text) if "`" in text else {}
        self.environments = _match_environments(text) if "\\begin{" in text else {}
        self.paths_seen = 0
        self.braces = _match_braces(text) if "\\" in text and "{" in text else {}

    def span_at(self, trigger: re.Match[str], free: int) -> Span | None:
        """The span that the trigger belongs to; it may begin before the trigger, not before ``free``."""
        text, start, what = self.text, trigger.start(), trigger[0]
        match what[0]:
            case "`":
                return Span(start, self.backticks[start], "code") if start in self.backticks else None
            case "\\":
                return self._latex(start, free)
            case "$":
                return self._dollar(start)
            case ":" | "w":
                return _named(url_at(text, start, free), "url")
            case "@":
                return _named(email_or_handle_at(text, start, free), "url")
            case "/":
                return self._path(start, free)
            case ".":
                return _named(file_at(text, start, free), "name")
            case "_":
                return _named(identifier_at(text, start, free), "name")
            case "x" | "X" | "T" | "#" | "-":
                return _named(number_name_at(text, start, free), "name")
            case "]" | "[":
                return _link(text, start)
            case "<":
                return self._html(start)
            case "&":
                return _span(_ENTITY.match(text, start), "html")
            case "{":
                return _span(_PLACEHOLDER.match(text, start), "placeholder")
            case "%":
                return _span(_FORMAT.match(text, start), "placeholder")
            case "(":
                return _span(_OPENING_LABEL.match(text, start), "choice_label")
        if text[start - 1] == "(":
            return _named(call_at(text, start, free), "name")
        if start - 1 < free or _inside_parenthesis(text, start - 1):
            return None
        return _span(_CLOSING_LABEL.match(text, start - 1), "choice_label")

    def _path(self, start: int, free: int) -> Span | None:
        if start < self.paths_seen:
            return None
        found, self.paths_seen = path_at(self.text, start, max(free, self.paths_seen))
        return _named(found, "name")

    def _latex(self, start: int, free: int) -> Span | None:
        text = self.text
        if start and text[start - 1] == ":" and (found := windows_path_at(text, start, free)):
            return Span(*found, "name")
        match = _COMMAND.match(text, start)
        command = match[0] if match else ""
        end = start + len(command)
        if command in ("\\(", "\\["):
            closing = self.closers.after("\\)" if command == "\\(" else "\\]", end)
            return Span(start, closing + 2, "math") if closing >= 0 else None
        name = command[1:].rstrip("*")
        if not name or not name[0].isalpha():
            return None
        if name in ("begin", "end"):
            environment = _ENVIRONMENT.match(text, end)
            if environment is None:
                return None
            if start in self.environments and environment[1].rstrip("*") not in TEXT_ENVIRONMENTS:
                return Span(start, self.environments[start], "math")
            return Span(start, environment.end(), "latex")
        following = text[end : end + 1]
        if name in TEXT_COMMANDS:
            return Span(start, end + (following == "{"), "latex")
        if following in ("{", "_", "^") or name in COMMANDS:
            return Span(start, self._arguments_end(end), "latex")
        if name[0] in "ntr":  # a literal escape sequence in prose, such as \n
            return Span(start, start + 2, "latex")
        return None

    def _arguments_end(self, position: int) -> int:
        """The end of the ``{…}``, ``[…]``, ``_…``, ``^…`` and digits that follow a command."""
        while True:
            following = self.text[position : position + 1]
            if following == "{" and position in self.braces:
                position = self.braces[position]
            elif (following and following in "_^[") or following.isdigit():
                simple = _SIMPLE_ARGUMENT.match(self.text, position)
                if simple is None:
                    return position
                position = simple.end()
            else:
                return position

    def _dollar(self, start: int) -> Span | None:
        """``$$…$$``, ``$…$`` and shell variables; an amount of money is none of them."""
        text = self.text
        if text.startswith("$$", start):
            closing = self.closers.after("$$", start + 2)
            if closing > start + 2 and not looks_like_prose(text, start + 2, closing):
                return Span(start, closing + 2, "math")
            return None
        if start and text[start - 1] == "$":  # the second of an unclosed $$
            return None
        closing = self.closers.after("$", start + 1)
        while closing > 0 and text[closing - 1] == "\\":  # \$ inside maths
            closing = self.closers.after("$", closing + 1)
        if closing > 0 and _is_maths(text[start + 1 : min(closing, start + 1001)], text[closing + 1 : closing + 2]):
            return Span(start, closing + 1, "math")
        return _span(_SHELL_VARIABLE.match(text, start), "placeholder")

    def _html(self, start: int) -> Span | None:
        text = self.text
        if text.startswith("<<", start):
            return _span(_CALCULATION.match(text, start), "math")
        for opener, closer in (("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")):
            if text.startswith(opener, start):
                closing = self.closers.after(closer, start + len(opener))
                return Span(start, closing + len(closer), "html") if closing >= 0 else None
        tag = _TAG.match(text, start)
        if tag is None:
            return None
        verbatim = _VERBATIM_ELEMENT.match(text, start)
        if verbatim and not tag[0].endswith("/>"):
            closing = self.closers.after(f"</{verbatim[1]}>", tag.end())
            if closing >= 0:
                return Span(start, closing + len(verbatim[1]) + 3, "html")
        attributes = tag["attributes"]
        if attributes and "=" not in attributes and tag["name"].lower() not in HTML_NAMES:
            return None  # "x <y and z> w" is no tag
        return Span(start, tag.end(), "html")


def _named(place: tuple[int, int] | None, kind: SpanKind) -> Span | None:
    return Span(*place, kind) if place else None


def _span(match: re.Match[str] | None, kind: SpanKind) -> Span | None:
    return Span(match.start(), match.end(), kind) if match else None


def _backtick_closers(text: str) -> dict[int, int]:
    """Start of a backtick run → end of the next run of the same length (CommonMark's code spans)."""
    closers: dict[int, int] = {}
    waiting: dict[int, int] = {}
    runs = [match.span() for match in re.finditer("`+", text)]
    for start, end in reversed(runs):
        if end - start in waiting:
            closers[start] = waiting[end - start]
        waiting[end - start] = end
    return closers


def _match_environments(text: str) -> dict[int, int]:
    """Start of a ``\\begin{x}`` → end of its own ``\\end{x}``."""
    pairs: dict[int, int] = {}
    stacks: dict[str, list[int]] = {}
    for match in re.finditer(r"\\(begin|end)\{([A-Za-z]{1,30}\*?)\}", text):
        if match[1] == "begin":
            stacks.setdefault(match[2], []).append(match.start())
        elif stacks.get(match[2]):
            pairs[stacks[match[2]].pop()] = match.end()
    return pairs


def _match_braces(text: str) -> dict[int, int]:
    """Position of a ``{`` → the position after its own ``}``; escaped braces do not count."""
    pairs: dict[int, int] = {}
    stack: list[int] = []
    for match in re.finditer(r"\\[\s\S]|[{}]", text):
        if match[0] == "{":
            stack.append(match.start())
        elif match[0] == "}" and stack:
            pairs[stack.pop()] = match.end()
    return pairs


def _is_maths(content: str, following: str) -> bool:
    """Whether what stands between two dollar signs is maths, not the text between two amounts of money."""
    if not content.strip() or len(content) > 1000 or following.isdigit() or "\n\n" in content or "\n\r\n" in content:
        return False
    bare = re.sub(r"\\(?:text|mathrm|operatorname|textbf|mbox)\{[^{}]*\}", "", content)
    words = [word for word in _WORD.findall(bare) if word not in FUNCTION_NAMES]
    strong = "\\" in content or "^" in content or "_" in content
    if content[0].isspace() or content[-1].isspace():
        return content[0].isspace() and content[-1].isspace() and (strong or "=" in content) and not words
    if strong:
        return True
    if words and (content[0].isdigit() or following.isalnum() or re.search(r"[A-Za-z]{2}[,;:.]?\s+[A-Za-z]{2}", bare)):
        return False
    return not any(character in content for character in "。、！？")


def _link(text: str, start: int) -> Span | None:
    """The destination of ``](destination "title")``, the label of ``][label]``, a footnote mark ``[^1]``."""
    if text.startswith("](", start):
        match = _DESTINATION.match(text, start)
        if match is None:
            return None
        group = "angle" if match["angle"] is not None else "plain"
        return Span(match.start(group), match.end(group), "link") if match[group] else None
    return _span(_REFERENCE.match(text, start + (text[start] == "]")), "link")


def line_labels(text: str, spans: list[Span]) -> list[str]:
    """Choice labels with a full stop or a colon, ``A.`` and ``B:``, which are labels only at the start of a line.

    A colon alone may be a dialogue ("Q: … A: …"), so colons count only where B has one, too.
    """
    taken = {span.start for span in spans}
    labels = [match[1] for match in _LINE_LABEL.finditer(text) if match.start(1) not in taken]
    return [label for label in labels if label[1] == "." or "B:" in labels]


def looks_like_prose(text: str, start: int, end: int) -> bool:
    """Five plain words in a row: what stands between two ``$$`` is no maths then."""
    return _PROSE.search(text, start, end) is not None


def _inside_parenthesis(text: str, position: int) -> bool:
    """The ``B)`` of "(see option B)" closes a parenthesis of its line and is no label."""
    before = text[max(0, position - 200) : position]
    before = before[before.rfind("\n") + 1 :]
    return before.rfind("(") > before.rfind(")")
