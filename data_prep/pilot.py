"""The pilot of a build: a few rows of each category through everything, and what the whole build would come to.

The source is read once to see what it holds; of each category so many rows are drawn by the hash of their ids and
built in one language. What that cost and lost is projected on all rows and languages, with intervals.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scipy import stats
from tqdm import tqdm

from data_prep.build import run_build
from data_prep.config import BuildConfig, check_config
from data_prep.manifest import read_records, write_json
from data_prep.schema import Reject, Row
from data_prep.shards import admit
from data_prep.sources import count_records, read_source
from data_prep.translate import source_text
from data_prep.verdict import judge
from launch.engines.store import CompletionStore
from launch.errors import InputError

PILOT = "pilot"
_LEVEL = 0.95
# A hub data set is streamed: so many rows of a split, and so many for each row drawn, are read and no more.
_STREAMED_ROWS = 1000
_STREAMED_PER_DRAWN = 20
# Of the requests; equal ones of two shards are asked once, so a pilot that took nothing from the store may have fewer.
_MOSTLY_ASKED = 0.9


@dataclass
class Stock:
    """What the source holds of one category.

    Args:
        rows: that can be translated into the pilot's language.
        work: UTF-8 bytes of all prompts and answers, times the languages that each is translated into.
        left_out: rows that are rejects before any translation, by reason.
        drawn: a heap of the rows with the lowest hashes, the highest of them first.
    """

    rows: int = 0
    work: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    drawn: list[tuple[int, int, Row]] = field(default_factory=list)


def run_pilot(config: BuildConfig) -> dict[str, Any]:
    """Run the pilot of a recipe; returns what it wrote to ``output_dir/pilot/pilot.json``.

    The pilot's rows are a build of their own in ``output_dir/pilot``, made anew each time; its completions lie with
    those of the build that it is a pilot of.

    Raises:
        InputError: as ``run_build``, or there is no row that could be translated into the pilot's language.
    """
    check_config(config)
    assert config.pilot is not None
    folder = Path(config.output_dir) / PILOT
    language = config.pilot_language or config.target_languages[0]
    source, complete = bounded_source(config)
    bar = tqdm(read_source(source), total=count_records(source), desc="reading", unit="row")
    stocks = take_stock(admit(bar, config), config, language)
    drawn = sorted((entry for stock in stocks.values() for entry in stock.drawn), key=lambda entry: entry[1])
    if not drawn:
        raise InputError(f"the source yields no row to translate into '{language}'; a build without --pilot says why")
    (folder / f"{PILOT}.json").unlink(missing_ok=True)
    completions = Path(config.output_dir) / "completions"
    known = _stored(completions)
    own = replace(
        config, output_dir=str(folder), target_languages=[language], overwrite=True, pilot=None, pilot_language=None
    )
    manifest = run_build(own, (row for _, _, row in drawn), completions)
    cost = _cost(folder, language, asked=_stored(completions) - known, engine=config.translator.kind == "engine")
    report = project(config, language, stocks, manifest, cost, complete=complete)
    write_json(folder / f"{PILOT}.json", report)
    return report


def bounded_source(config: BuildConfig) -> tuple[Any, bool]:
    """The source as far as a pilot reads it, and whether that is all of it."""
    if config.source.kind != "hub":
        return config.source, True
    most = max(_STREAMED_ROWS, _STREAMED_PER_DRAWN * (config.pilot or 0))
    if config.source.limit is not None and config.source.limit <= most:
        return config.source, True
    return replace(config.source, limit=most), False


def take_stock(items: Iterable[Row | Reject], config: BuildConfig, language: str) -> dict[str, Stock]:
    """Count a source by category and draw ``pilot`` rows of each that are not in this language already."""
    stocks: dict[str, Stock] = {}
    for position, item in enumerate(items):
        stock = stocks.setdefault(item.category, Stock())
        if isinstance(item, Reject):
            stock.left_out[item.reason] += 1
            continue
        size = len(source_text(item.messages).encode())
        stock.work += size * len([code for code in config.target_languages if code != item.language])
        if item.language == language:
            continue
        stock.rows += 1
        digest = hashlib.sha256(f"{config.seed}/pilot/{item.id}".encode()).digest()
        entry = (-int.from_bytes(digest[:8]), position, item)
        if len(stock.drawn) < (config.pilot or 0):
            heapq.heappush(stock.drawn, entry)
        else:
            heapq.heappushpop(stock.drawn, entry)
    return stocks


def project(
    config: BuildConfig,
    language: str,
    stocks: dict[str, Stock],
    manifest: dict[str, Any],
    cost: dict[str, Any],
    *,
    complete: bool,
) -> dict[str, Any]:
    """What the pilot found, what the whole build would come to if the rest is like it, and the verdict."""
    categories = [_category(name, stock, language, manifest) for name, stock in sorted(stocks.items())]
    tried_bytes = sum(line["tried_bytes"] for line in categories)
    work = sum(stock.work for stock in stocks.values())
    factor = work / tried_bytes if tried_bytes else 0.0
    languages = len(config.target_languages)
    projection = {
        "whole_source": complete,
        "languages": languages,
        "translations": sum(line["rows"] for line in categories) * languages,
        "lost": {
            bound: round(sum(line["loss"][bound] * line["rows"] for line in categories if line["tried"]) * languages)
            for bound in ("value", "low", "high")
        },
        **{key: None if cost[key] is None else round(cost[key] * factor) for key in cost},
    }
    return {
        "language": language,
        "rows_per_category": config.pilot,
        "recipe_hash": manifest["recipe_hash"],
        "categories": categories,
        "cost": {**cost, "bytes": tried_bytes},
        "projection": projection,
        "verdict": judge(categories),
    }


def _category(name: str, stock: Stock, language: str, manifest: dict[str, Any]) -> dict[str, Any]:
    """One line of the report: what was tried, kept and lost; a row left out in its own language is lost as well."""
    tried = len(stock.drawn)
    lines = [line for line in manifest["exclusion"] if line["category"] == name]
    kept = sum(line["kept_rows"] for line in lines if line["language"] == language)
    reasons: Counter[str] = Counter()
    for line in lines:
        reasons.update({reason: part["rows"] for reason, part in line["reasons"].items()})
    return {
        "category": name,
        "rows": stock.rows,
        "left_out_before": dict(sorted(stock.left_out.items())),
        "tried": tried,
        "tried_bytes": sum(len(source_text(row.messages).encode()) for _, _, row in stock.drawn),
        "kept": kept,
        "loss": share(tried - kept, tried),
        "reasons": dict(reasons.most_common()),
    }


def share(part: int, whole: int) -> dict[str, float | None]:
    """A share with its 95 % interval (Wilson 1927); None without any rows."""
    if not whole:
        return {"value": None, "low": None, "high": None}
    interval = stats.binomtest(part, whole).proportion_ci(_LEVEL, method="wilson")
    return {"value": part / whole, "low": float(interval.low), "high": float(interval.high)}


def _cost(folder: Path, language: str, *, asked: int, engine: bool) -> dict[str, Any]:
    """Requests, tokens and seconds of the pilot; the time is None where answers came from the store."""
    usage: Counter[str] = Counter()
    for record in read_records(folder):
        if record["language"] == language:
            usage.update(record["usage"])
            usage["seconds"] += record["seconds"]
    from_store = engine and asked < _MOSTLY_ASKED * usage["requests"]
    return {
        "requests": usage["requests"],
        "prompt_tokens": usage["prompt_tokens"],
        "completion_tokens": usage["completion_tokens"],
        "seconds": None if from_store else round(usage["seconds"], 3),
    }


def _stored(completions: Path) -> int:
    with CompletionStore(completions) as store:
        return len(store)
