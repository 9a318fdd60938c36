"""What leaving out repeated rows costs: seconds and peak memory for so many short rows.

Run it as ``python tests/benchmarks/dedup.py [--rows 1000000] [--kind near]``. The rows are made up: a prompt of about
200 characters from a fixed vocabulary; a tenth of the rows are copies of earlier ones and a tenth differ from one by a
word.
"""

from __future__ import annotations

import argparse
import random
import resource
import time
from collections import Counter
from collections.abc import Iterator

from data_prep.dedup import DedupConfig, DuplicateIndex
from data_prep.schema import Row, make_message

_WORDS = 35


def made_up_rows(number: int, seed: int = 0) -> Iterator[tuple[str, Row]]:
    """What each row is (``new``, ``copy`` or ``changed``) and the row."""
    draw = random.Random(seed)
    vocabulary = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(3, 8))) for _ in range(20_000)]
    earlier: list[list[str]] = []
    for position in range(number):
        kind = {1: "copy", 2: "changed"}.get(position % 10, "new") if earlier else "new"
        if kind == "new":
            words = draw.choices(vocabulary, k=_WORDS)
            if len(earlier) < 1000:
                earlier.append(words)
        else:
            words = list(draw.choice(earlier))
            if kind == "changed":
                words[draw.randrange(_WORDS)] = draw.choice(vocabulary)
        turns = (make_message("user", " ".join(words)), make_message("assistant", "Yes."))
        yield kind, Row(f"row-{position}.en", "en", "chat", turns, "made up", "mit")


def main() -> None:
    """Print one line a tenth of the way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kind", choices=["exact", "near"], default="near")
    options = parser.parse_args()
    index = DuplicateIndex(DedupConfig(kind=options.kind))
    found: Counter[tuple[str, str]] = Counter()
    spent = 0.0
    for position, (kind, row) in enumerate(made_up_rows(options.rows), start=1):
        started = time.process_time()
        duplicate = index.find(row)
        spent += time.process_time() - started
        found[kind, duplicate.reason if duplicate else "kept"] += 1
        if position % max(1, options.rows // 10) == 0:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
            print(
                f"{position:>9} rows  {spent:8.1f} s  {spent / position * 1e6:6.0f} µs a row  {peak:6.0f} MiB",
                flush=True,
            )
    for (kind, verdict), rows in sorted(found.items()):
        print(f"{kind:>8} → {verdict:<14} {rows}")


if __name__ == "__main__":
    main()
