"""What preparing the data did, counted: nothing is left out without a reason and a name."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from datasets import Dataset

from train.row_checks import FAULTS

# So many rows are named in messages and reports; examples.parquet has them all.
NAMED = 5


def make_report(train: Dataset, evaluation: Mapping[str, Dataset], rows: Mapping[str, int]) -> dict[str, Any]:
    """The report on the examples of a run, JSON-able.

    Args:
        train: the drawn training examples, columns as in ``EXAMPLE_FEATURES``.
        evaluation: the evaluation examples by language.
        rows: drawn training rows by language.
    """
    modes = {mode for part in (train, *evaluation.values()) for mode in part.unique("thinking")}
    return {
        "rows": dict(rows),
        "examples": len(train),
        "tokens": sum(train["tokens"]),
        "learned_tokens": sum(train["learned_tokens"]),
        "cut_by_max_length": sum(train["cut_by_max_length"]),
        "left_out": _left_out(train),
        "transforms": _transforms(train),
        "thinking": sorted(modes),
        "evaluation": {
            language: {
                "examples": len(part),
                "cut_by_max_length": sum(part["cut_by_max_length"]),
                "left_out": _left_out(part),
            }
            for language, part in evaluation.items()
        },
    }


def bad_rows_message(train: Dataset, max_bad_share: float) -> str | None:
    """One sentence if more of the training examples are bad than allowed, or all of them; None otherwise."""
    left_out = _left_out(train)
    bad = sum(of_reason["count"] for of_reason in left_out.values())
    if not len(train):
        return "data: no rows were drawn; see data.rows and data.languages"
    if bad < len(train) and bad / len(train) <= max_bad_share:
        return None
    reason, most = max(left_out.items(), key=lambda item: item[1]["count"])
    first = most["rows"][0]
    return (
        f"data: {bad} of {len(train)} training examples cannot be trained on, more than data.max_bad_share "
        f"({max_bad_share}) allows: {_counted(left_out)}; for example row {first['id']}: {first['detail']} ({reason})"
    )


def describe(report: Mapping[str, Any]) -> Iterator[str]:
    """The report in lines for the terminal: what was left out, cut, and done to chains. Nothing done, no line."""
    bad = sum(of_reason["count"] for of_reason in report["left_out"].values())
    if bad:
        yield f"left out: {bad} of {report['examples']} training examples"
        yield from _named(report["left_out"])
    for language, part in report["evaluation"].items():
        if part["left_out"]:
            yield f"left out of the evaluation in {language}: {_counted(part['left_out'])}"
            yield from _named(part["left_out"])
    if report["cut_by_max_length"]:
        yield (
            f"cut by max_length: {report['cut_by_max_length']} of {report['examples']} training examples lose the end "
            "of what is learned"
        )
    kinds: Counter[str] = Counter()
    for categories in report["transforms"].values():
        for of_category in categories.values():
            kinds.update(of_category)
    done = {kind: kinds[kind] for kind in ("stripped", "cut", "cut_short", "cut_no_line_end") if kinds[kind]}
    if done:
        words = {
            "stripped": "stripped",
            "cut": "cut short",
            "cut_short": "chosen for a cut but short already",
            "cut_no_line_end": "chosen for a cut but without the end of a line in reach",
        }
        chosen = ", ".join(f"{count} {words[kind]}" for kind, count in done.items())
        yield f"chains: {chosen}, of {report['examples']} training examples"


def _left_out(examples: Dataset) -> dict[str, dict[str, Any]]:
    """Reason → how many, and the first of them by id."""
    found: dict[str, dict[str, Any]] = {}
    faulty = [i for i, fault in enumerate(examples["fault"]) if fault is not None]
    for line in examples.select_columns(["id", "turns", "fault", "detail"]).select(faulty):
        of_reason = found.setdefault(line["fault"], {"count": 0, "meaning": FAULTS[line["fault"]], "rows": []})
        of_reason["count"] += 1
        if len(of_reason["rows"]) < NAMED:
            of_reason["rows"].append({"id": line["id"], "turns": line["turns"], "detail": line["detail"]})
    return found


def _transforms(examples: Dataset) -> dict[str, dict[str, dict[str, int]]]:
    """Language → category → what was done → how many examples."""
    counts: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    columns = (examples["language"], examples["category"], examples["transform"])
    for language, category, kind in zip(*columns, strict=True):
        counts[language][category][kind] += 1
    return {
        language: {category: dict(sorted(kinds.items())) for category, kinds in sorted(categories.items())}
        for language, categories in sorted(counts.items())
    }


def _counted(left_out: Mapping[str, Any]) -> str:
    return ", ".join(f"{of_reason['count']} {reason}" for reason, of_reason in left_out.items())


def _named(left_out: Mapping[str, Any]) -> Iterator[str]:
    for reason, of_reason in left_out.items():
        ids = ", ".join(line["id"] for line in of_reason["rows"])
        more = ", …" if of_reason["count"] > len(of_reason["rows"]) else ""
        yield f"  {of_reason['count']} {reason} ({of_reason['meaning']}): {ids}{more}"
