"""Find names that machines read: URLs, mail addresses, handles, file paths and names, identifiers, hex, time stamps.

Each function is given the place of the one character that such a name cannot do without (``/``, ``.``, ``@`` …) and
gives the whole name as (start, end), or None. What it looks at is bounded, or is passed over for good, so that a scan
with all of them takes linear time.
"""

from __future__ import annotations

import re

_SCHEME = re.compile(
    r"(?<![A-Za-z0-9])(?:https?|s?ftp|ssh|git|file|s3|gs|hdfs|wss?|postgres|mysql|redis|jdbc|mailto)\Z"
)
_URL_REST = re.compile(r"[^\s<>\"`{}|\\^\u2000-\U0010ffff]*")
_TRAILING_PUNCTUATION = ".,;:!?'\"*_~"
_EMAIL_LEFT = re.compile(r"[A-Za-z0-9._%+-]{1,64}\Z")
_EMAIL_RIGHT = re.compile(r"@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+")
_HANDLE = re.compile(r"(?<![\w@])@[A-Za-z_](?:[\w:./-]{0,60}[A-Za-z0-9_])?", re.ASCII)

# Endings of files and of domains that are not at the same time the beginning of a sentence after a lost space.
_ENDINGS = (
    "py|pyi|ipynb|js|mjs|ts|tsx|jsx|vue|json|jsonl|yaml|yml|toml|ini|cfg|conf|txt|md|rst|tex|bib|csv|tsv|xml|html?|css"
    "|scss|java|class|jar|kt|swift|cpp|cc|hpp|cs|rs|rb|php|pl|sh|bash|zsh|bat|ps1|sql|lua|dart|scala|pdf|png|jpe?g|gif"
    "|svg|webp|ico|bmp|tiff?|mp[34]|wav|mkv|mov|zip|tar|gz|tgz|bz2|xz|rar|7z|xlsx?|docx?|pptx?|odt|log|lock|env|exe"
    "|dll|db|sqlite3?|parquet|np[yz]|pkl|h5|hdf5|pth|onnx|safetensors|gguf|bin|iso|apk|deb|rpm|whl|gitignore"
)
_DOMAINS = "com|org|net|edu|gov|io|dev|ai"
FILE_ENDING = rf"(?:{_ENDINGS}|{_DOMAINS})(?![A-Za-z0-9_])"
_FILE_LEFT = re.compile(r"(?:[A-Za-z0-9_-]{1,60}\.){0,9}[A-Za-z0-9_-]{0,60}\Z")
_FILE_RIGHT = re.compile(rf"\.{FILE_ENDING}(?:\.{FILE_ENDING}){{0,3}}")
_PATH_LEFT = re.compile(r"[\w.~@%+-]{1,100}\Z", re.ASCII)
_PATH_RIGHT = re.compile(r"(?:/[\w.~@%+=:-]*)++", re.ASCII)
_ROOTED = re.compile(r"(?:~|\.\.?)?/[\w.@-]", re.ASCII)
_SYSTEM_FOLDER = re.compile(r"/(?:bin|boot|dev|etc|home|lib|mnt|opt|proc|root|run|sbin|srv|sys|tmp|usr|var)/?\Z")
_ENDS_IN_FILE = re.compile(rf"[\w-]\.{FILE_ENDING}\Z", re.ASCII)
_DOMAIN_FIRST = re.compile(rf"(?:[A-Za-z0-9-]+\.)+(?:{_DOMAINS})(?::\d+)?/")
_WINDOWS_PATH = re.compile(
    r"(?<![A-Za-z0-9])[A-Za-z]:(?:\\(?:[\w.$@%+()-]+(?: [\w.()-]+){0,3}(?=\\)|[\w.$@%+()-]*[\w$@%+-])?)+", re.ASCII
)
_IDENTIFIER_LEFT = re.compile(r"[A-Za-z_][\w.]{0,100}\Z|[A-Za-z_]\Z", re.ASCII)
_IDENTIFIER_RIGHT = re.compile(r"_[A-Za-z0-9]\w*(?:\.[A-Za-z_]\w*)*(?:\(\)|=[\w./:@+-]*[\w/])?", re.ASCII)
_CALL = re.compile(r"(?<![\w.\\])[A-Za-z_][\w.]{0,100}\(\Z", re.ASCII)
_HEX = re.compile(r"(?<![A-Za-z0-9_])0[xX][0-9A-Fa-f]+(?![A-Za-z0-9_])")
_COLOUR = re.compile(r"(?<![\w&#])#(?:[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})(?!\w)", re.ASCII)
_UUID = re.compile(r"(?<!\w)[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?!\w)", re.ASCII)
_TIME_STAMP = re.compile(
    r"(?<!\d)\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?(?!\w)", re.ASCII
)

Place = tuple[int, int]


def url_at(text: str, start: int, free: int) -> Place | None:
    """The URL whose ``://``, ``www.`` or ``mailto:`` stands at ``start``; its scheme begins at ``free`` or later."""
    beginning = start
    if text[start] == ":":
        scheme = _SCHEME.search(text, max(free, start - 10), start)
        if scheme is None:
            return None
        beginning = scheme.start()
    elif start and text[start - 1].isalnum() and text[start - 1].isascii():
        return None
    rest = _URL_REST.match(text, start)
    url = _trim_url(text[beginning : rest.end()]) if rest else ""
    return (beginning, beginning + len(url)) if len(url) > start - beginning + 4 else None


def _trim_url(url: str) -> str:
    """Without the punctuation of the sentence around it: ``(see https://x.org/a_(b)).`` → ``https://x.org/a_(b)``."""
    unopened = url.count(")") - url.count("(")
    end = len(url)
    while end:
        last = url[end - 1]
        if last == ")" and unopened > 0:
            unopened -= 1
        elif last not in _TRAILING_PUNCTUATION and (last != "]" or "[" in url):
            break
        end -= 1
    return url[:end]


def email_or_handle_at(text: str, start: int, free: int) -> Place | None:
    """The mail address, ``@handle`` or citation key of the ``@`` at ``start``."""
    left = _EMAIL_LEFT.search(text, max(free, start - 64), start)
    right = _EMAIL_RIGHT.match(text, start)
    if left and right:
        return left.start(), right.end()
    handle = _HANDLE.match(text, start)
    return handle.span() if handle else None


def file_at(text: str, start: int, free: int) -> Place | None:
    """The file or host name whose ending begins with the ``.`` at ``start``, with what a host name is followed by."""
    right = _FILE_RIGHT.match(text, start)
    left = _FILE_LEFT.search(text, max(free, start - 200), start)
    if right is None or left is None:
        return None
    before = text[left.start() - 1 : left.start()]
    if (before.isalnum() and before.isascii()) or before in tuple("./\\@"):
        return None
    end = right.end()
    if text.startswith("/", end):
        rest = _URL_REST.match(text, end)
        end = left.start() + len(_trim_url(text[left.start() : rest.end()])) if rest else end
    return left.start(), end


def path_at(text: str, start: int, free: int) -> tuple[Place | None, int]:
    """The path around the ``/`` at ``start``, and where the next path may begin: its slashes are looked at once."""
    right = _PATH_RIGHT.match(text, start)
    left = _PATH_LEFT.search(text, max(free, start - 100), start)
    beginning = left.start() if left else start
    end = right.end() if right else start + 1
    path = text[beginning:end].rstrip(".,:=-")
    before = text[beginning - 1 : beginning]
    if (before.isascii() and before.isalnum()) or before in tuple("/\\)]}<$") or not _is_path(path):
        return None, end
    return (beginning, beginning + len(path)), end


def _is_path(path: str) -> bool:
    names = [name for name in path.split("/") if name]
    if not any(character.isalpha() for character in path):
        return False
    if _ENDS_IN_FILE.search(path) or _DOMAIN_FIRST.match(path) or _SYSTEM_FOLDER.match(path):
        return True
    if _ROOTED.match(path):
        return path[0] != "/" or len(names) > 1
    return path.endswith("/") and len(names) > 1


def windows_path_at(text: str, start: int, free: int) -> Place | None:
    """The path with a drive letter whose first backslash stands at ``start``."""
    if start - 2 < free:
        return None
    path = _WINDOWS_PATH.match(text, start - 2)
    if path is None or text[path.end() : path.end() + 1] in tuple("{_^"):
        return None
    return path.span() if path[0].count("\\") > 1 or _ENDS_IN_FILE.search(path[0]) else None


def identifier_at(text: str, start: int, free: int) -> Place | None:
    """The ``snake_case`` name, with ``.attributes`` and ``()``, of the ``_`` at ``start``."""
    left = _IDENTIFIER_LEFT.search(text, max(free, start - 100), start)
    right = _IDENTIFIER_RIGHT.match(text, start)
    return (left.start(), right.end()) if left and right else None


def call_at(text: str, start: int, free: int) -> Place | None:
    """The name before the ``()`` that ends at ``start``."""
    call = _CALL.search(text, max(free, start - 100), start)
    return (call.start(), start + 1) if call else None


def number_name_at(text: str, start: int, free: int) -> Place | None:
    """Hexadecimal numbers, colours, UUIDs and time stamps, by their ``x``, ``#``, first ``-`` or ``T``."""
    pattern, before = _NUMBER_NAMES[text[start]]
    if start - before < free:
        return None
    match = pattern.match(text, start - before)
    return match.span() if match else None


_NUMBER_NAMES = {"x": (_HEX, 1), "X": (_HEX, 1), "#": (_COLOUR, 0), "-": (_UUID, 8), "T": (_TIME_STAMP, 10)}
