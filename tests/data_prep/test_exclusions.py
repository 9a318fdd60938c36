"""What of a table of losses is beside NVIDIA's figures: broken contracts of every form, and nothing else."""

from __future__ import annotations

import pytest

from data_prep.exclusions import Counts, Losses, Tally, exclusion_table


@pytest.mark.parametrize(
    ("rejected", "share"),
    [
        ({"brackets": Tally(1, 100)}, 0.1),
        ({"json": Tally(1, 150)}, 0.15),
        ({"brackets": Tally(1, 100), "json": Tally(1, 150), "number": Tally(2, 50)}, 0.25),
        ({"number": Tally(1, 100), "language": Tally(1, 100)}, 0.0),
        ({}, 0.0),
    ],
)
def test_the_format_share_is_that_of_broken_brackets_and_broken_json(rejected: dict[str, Tally], share: float) -> None:
    lost = sum(tally.bytes for tally in rejected.values())
    counts: Counts = {("fr", "code"): Losses(Tally(6, 1000 - lost), rejected)}

    (line,) = exclusion_table(counts)

    assert line["format_bytes_share"] == share
    assert line["nvidia_format_bytes_share"] == 0.1101
