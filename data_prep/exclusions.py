"""What was lost and why: counts of a build by language, category and reason, beside NVIDIA's published figures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from data_prep.languages import LANGUAGES
from data_prep.schema import Reject, Row
from data_prep.translate import source_text

# Nemotron-Post-Training-Dataset-v2, data set card: share of the bytes discarded for breaking the bracket format.
NVIDIA_FORMAT_LOSS = {
    "de": {"code": 0.0228, "qa": 0.0111, "math": 0.0247},
    "es": {"code": 0.2614, "qa": 0.0515, "math": 0.0638},
    "fr": {"code": 0.1101, "qa": 0.0137, "math": 0.0196},
    "it": {"code": 0.0494, "qa": 0.0136, "math": 0.0075},
    "ja": {"code": 0.0768, "qa": 0.0251, "math": 0.0386},
}
# NVIDIA's table has three kinds of data; these of our categories are its question answering.
_QUESTION_ANSWERING = frozenset({"qa", "stem", "science", "chat"})
# The reasons that are the same loss as theirs: the completion breaks the contract, 〘〙 or, for whole documents, JSON.
FORMAT_REASONS = ("brackets", "json")


@dataclass
class Tally:
    """Rows, and the UTF-8 bytes of their source text (prompt and answer, without the chain)."""

    rows: int = 0
    bytes: int = 0

    def add(self, rows: int, size: int) -> None:
        """Count some more."""
        self.rows += rows
        self.bytes += size


@dataclass
class Losses:
    """What happened to the rows of one language and category."""

    kept: Tally = field(default_factory=Tally)
    rejected: dict[str, Tally] = field(default_factory=dict)

    @property
    def total(self) -> Tally:
        """Kept and rejected together."""
        tallies = [self.kept, *self.rejected.values()]
        return Tally(sum(tally.rows for tally in tallies), sum(tally.bytes for tally in tallies))


Counts = dict[tuple[str, str], Losses]


def count(counts: Counts, language: str, item: Row | Reject, source: Row | Reject) -> None:
    """Count what became of one source row in one language."""
    size = len((source_text(source.messages) or getattr(source, "record", "")).encode("utf-8"))
    losses = counts.setdefault((language, item.category), Losses())
    tally = losses.rejected.setdefault(item.reason, Tally()) if isinstance(item, Reject) else losses.kept
    tally.add(1, size)


def counts_to_json(counts: Counts) -> list[dict[str, Any]]:
    """Counts as plain records, sorted."""
    return [
        {
            "language": language,
            "category": category,
            "kept": vars(losses.kept),
            "rejected": {reason: vars(tally) for reason, tally in sorted(losses.rejected.items())},
        }
        for (language, category), losses in sorted(counts.items())
    ]


def add_json(counts: Counts, records: Iterable[dict[str, Any]]) -> None:
    """Add what :func:`counts_to_json` gave to other counts."""
    for record in records:
        losses = counts.setdefault((record["language"], record["category"]), Losses())
        losses.kept.add(record["kept"]["rows"], record["kept"]["bytes"])
        for reason, tally in record["rejected"].items():
            losses.rejected.setdefault(reason, Tally()).add(tally["rows"], tally["bytes"])


def exclusion_table(counts: Counts) -> list[dict[str, Any]]:
    """One record a language and category, in the order of the language registry: totals, shares lost, NVIDIA's figure.

    Shares are of that language and category; ``reasons`` holds rows, bytes and both shares, the commonest first, and
    ``format_bytes_share`` is that of all :data:`FORMAT_REASONS` together.
    """
    order = {code: position for position, code in enumerate(LANGUAGES)}
    table = []
    for (language, category), losses in sorted(counts.items(), key=lambda c: (order.get(c[0][0], 99), c[0])):
        total = losses.total
        reasons = {
            reason: {**vars(tally), **_shares(tally, total)}
            for reason, tally in sorted(losses.rejected.items(), key=lambda r: (-r[1].rows, r[0]))
        }
        lost = Tally(total.rows - losses.kept.rows, total.bytes - losses.kept.bytes)
        broken = Tally()
        for reason in FORMAT_REASONS:
            part = losses.rejected.get(reason, Tally())
            broken.add(part.rows, part.bytes)
        kind = "qa" if category in _QUESTION_ANSWERING else category
        table.append(
            {
                "language": language,
                "category": category,
                **vars(total),
                "kept_rows": losses.kept.rows,
                "kept_bytes": losses.kept.bytes,
                "lost": _shares(lost, total),
                "reasons": reasons,
                "format_bytes_share": _shares(broken, total)["bytes_share"],
                "nvidia_format_bytes_share": NVIDIA_FORMAT_LOSS.get(language, {}).get(kind),
            }
        )
    return table


def _shares(part: Tally, total: Tally) -> dict[str, float]:
    return {
        "rows_share": round(part.rows / total.rows, 6) if total.rows else 0.0,
        "bytes_share": round(part.bytes / total.bytes, 6) if total.bytes else 0.0,
    }
