"""One HTML page on which the kept and the dropped rows of a finished build are browsed beside their source.

A build's manifest, rows and rejects go in; a file that opens from disk comes out. The build is read twice: once for
what there is, to count it and to choose what the page carries, and once for the chosen rows themselves.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_prep.failures import FailedPart, failed_parts
from data_prep.languages import LANGUAGES
from data_prep.manifest import read_manifest
from data_prep.pages import embedded, render_page, shortened, whole_page
from data_prep.schema import Message, Reject, Row, read_rejects, read_rows, storable
from data_prep.survey import Selection, Survey, language_order, survey_build
from launch.errors import InputError

LIMIT = 1000  # kept and dropped rows of a language that a page carries, unless it is asked for others
LONGEST_TEXT = 10_000  # characters of one turn, chain or output that the page carries

_NAMES = {code: language.native_name for code, language in LANGUAGES.items()}


@dataclass
class _Conversations:
    """Source conversations, each once, however many rows of the page came from it."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    positions: dict[Hashable, int] = field(default_factory=dict)

    def add(self, language: str, messages: Iterable[Message]) -> int:
        """Its position in ``entries``."""
        shown = [_shown(message, None) for message in messages]
        key = (language, *(tuple(message.items()) for message in shown))
        if key not in self.positions:
            self.positions[key] = len(self.entries)
            self.entries.append({"language": language, "messages": shown})
        return self.positions[key]


def write_browser(folder: Path, path: Path, selection: Selection | None = None, limit: int = LIMIT) -> tuple[int, int]:
    """Write the page of a build; it appears under its name only when it is whole.

    Args:
        folder: the output folder of a finished build.
        path: the page.
        selection: which rows it is about; all by default.
        limit: kept rows, and dropped rows, of a language that it carries at most.

    Returns:
        How many rows the page carries, and how many there are.

    Raises:
        InputError: no finished build, nothing in it that is asked for, or a place that cannot be written.
    """
    selection = selection or Selection()
    if limit < 1:
        raise InputError(f"--limit is {limit}; it has to be 1 or more")
    manifest = read_manifest(folder)
    survey = survey_build(folder, manifest, selection, limit)
    with whole_page(path) as file:
        items, sources = _read_items(folder, survey)
        data = {"rows": items, "sources": sources, "names": _NAMES, "stock": _stock(survey)}
        page = render_page(
            "rows.html.jinja",
            title=f"{manifest['recipe']['pretty_name']}: kept and dropped rows",
            folder=folder,
            narrowed=selection.words,
            limit=limit,
            found=survey.found,
            kept=sum(rows for kind, rows in survey.stock.items() if kind.outcome == "kept"),
            carried=len(items),
            facts=_facts(manifest),
            splits=sorted({kind.split for kind in survey.stock}),
            counts=_counts(survey, items),
            names=_NAMES,
            **_losses(manifest, selection),
            data=embedded(data),
        )
        file.write(storable(page))
    return len(items), survey.found


def _read_items(folder: Path, survey: Survey) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The chosen rows as the page shows them, and the source conversations that they name by position.

    First what was dropped, then translations, then rows that are as they came; languages in the registry's order.
    """
    chosen: list[Row | Reject] = []
    for path, positions in sorted(survey.chosen.items()):
        rows: Iterable[Row | Reject] = (read_rows if path.startswith("data/") else read_rejects)(folder / path)
        chosen += [row for position, row in enumerate(rows) if position in positions]
    originals = _originals(folder, [item for item in chosen if isinstance(item, Row)])
    sources = _Conversations()
    items = [
        _kept(item, originals.get(_original_id(item)), sources) if isinstance(item, Row) else _dropped(item, sources)
        for item in chosen
    ]

    def place(item: Mapping[str, Any]) -> tuple[bool, bool, int]:
        return item["outcome"] == "kept", "translation" not in item, language_order(item["language"])

    return sorted(items, key=place), sources.entries


def _original_id(row: Row) -> str:
    return f"{row.provenance.get('source_id')}.{row.provenance.get('source_language')}"


def _originals(folder: Path, rows: Iterable[Row]) -> dict[str, Row]:
    """The source rows of translated rows, by id, as far as the build kept them."""
    wanted = {_original_id(row): row.provenance.get("source_language", "") for row in rows}
    languages = set(wanted.values())
    if not languages:
        return {}
    return {row.id: row for row in read_rows(folder, language=languages) if row.id in wanted}


def _kept(row: Row, original: Row | None, sources: _Conversations) -> dict[str, Any]:
    item = _item("kept", row, row.provenance.get("split"))
    if original is not None:
        item["source"] = sources.add(original.language, original.messages)
    if original is None or original.id != row.id:
        item["translation"] = _translation(row.messages, original.messages if original else ())
    return item


def _dropped(reject: Reject, sources: _Conversations) -> dict[str, Any]:
    item = _item("dropped", reject, reject.split)
    item |= {"reason": list(reject.reasons or (reject.reason,)), "detail": _short(reject.detail)}
    if failed := failed_parts(reject):
        item["failed"] = [_failed(part) for part in failed]
    if reject.record:
        item["record"] = _short(reject.record)
    if reject.messages:
        item["source"] = sources.add(reject.provenance.get("source_language", ""), reject.messages)
    if reject.translation:
        item["translation"] = _translation(reject.translation, reject.messages)
    return item


def _failed(part: FailedPart) -> dict[str, Any]:
    """A part that failed, as the page carries it."""
    return {
        "reasons": list(part.reasons),
        "detail": _short(part.detail),
        "segments": [_short(segment) for segment in part.segments],
        "given": [_short(text) for text in part.given],
        "outputs": [_short(output) for output in part.outputs],
    }


def _item(outcome: str, item: Row | Reject, split: Any) -> dict[str, Any]:
    shown = {
        "outcome": outcome,
        "id": item.id,
        "language": item.language,
        "category": item.category,
        "split": split,
        "from": item.source,
        "license": item.license,
        "translator": item.provenance.get("translator"),
        "gold": item.provenance.get("gold"),
    }
    return {key: str(value) for key, value in shown.items() if value is not None}


def _translation(messages: Iterable[Message], originals: Iterable[Message]) -> list[dict[str, str]]:
    chains = [message["reasoning_content"] for message in originals]
    return [
        _shown(message, chains[position] if position < len(chains) else None)
        for position, message in enumerate(messages)
    ]


def _shown(message: Message, known_chain: str | None) -> dict[str, str]:
    """A turn as the page carries it; a chain that stands at its source already is not carried again."""
    shown = {"role": message["role"], "content": _short(message["content"])}
    chain = message["reasoning_content"]
    if chain is not None and chain != known_chain:
        shown["chain"] = _short(chain)
    return shown


def _short(text: str) -> str:
    return shortened(text, LONGEST_TEXT, "the build")


def _stock(survey: Survey) -> list[dict[str, Any]]:
    """The survey for the script of the page, which counts what matches beyond the rows that it carries."""
    order = sorted(survey.stock, key=lambda kind: (language_order(kind.language), kind.outcome == "dropped", kind))
    return [{**kind._asdict(), "rows": survey.stock[kind]} for kind in order]


def _counts(survey: Survey, items: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A line a language: kept and dropped rows by split, of all splits, and on the page."""
    lines: dict[str, dict[str, Any]] = {}
    for kind, rows in sorted(survey.stock.items(), key=lambda line: language_order(line[0].language)):
        line = lines.setdefault(
            kind.language,
            {"language": kind.language, "splits": defaultdict(Counter), "all": Counter(), "carried": Counter()},
        )
        line["splits"][kind.split][kind.outcome] += rows
        line["all"][kind.outcome] += rows
    for item in items:
        lines[item["language"]]["carried"][item["outcome"]] += 1
    return list(lines.values())


def _losses(manifest: Mapping[str, Any], selection: Selection) -> dict[str, list[dict[str, Any]]]:
    """The exclusion table of the manifest and its reasons, as far as the page is about them."""
    exclusion = [
        line
        for line in manifest["exclusion"]
        if selection.language in (None, line["language"]) and selection.category in (None, line["category"])
    ]
    reasons = [
        {"language": line["language"], "category": line["category"], "reason": reason, **shares}
        for line in exclusion
        for reason, shares in line["reasons"].items()
        if selection.reason in (None, reason)
    ]
    return {"exclusion": exclusion, "reasons": reasons}


def _facts(manifest: Mapping[str, Any]) -> dict[str, str]:
    recipe = manifest["recipe"]
    translator = {"engine": recipe["translator.engine.model"], "command": " ".join(recipe["translator.command"])}
    return {
        "Sources": ", ".join(manifest["sources"]),
        "Licences": ", ".join(manifest["licenses"]),
        "Translator": translator.get(recipe["translator.kind"], recipe["translator.kind"]),
        "Recipe": manifest["recipe_hash"],
    }
