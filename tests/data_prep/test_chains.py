"""The chain stays the source's byte for byte; it is translated or dropped only where the recipe says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.build import run_build
from data_prep.chains import ChainMode, chains_as_turns, drop_chains, turns_as_chains
from data_prep.config import BuildConfig
from data_prep.schema import Message, Reject, Row, make_message, read_rejects, read_rows, reasoning_sha256
from data_prep.sources import SourceConfig
from data_prep.translators import TranslatorConfig

CASES = Path(__file__).parent / "cases"
CHAIN = "She had five apples and bought seven more.\n\n$5 + 7 = 12$\n\nSo there are 12 apples in the basket."
FRENCH_CHAIN = (
    "Elle avait cinq pommes et en a acheté sept de plus.\n\n$5 + 7 = 12$\n\nIl y a donc 12 pommes dans le panier."
)
PAIRS = {
    "How many apples are there in the basket?": "Combien de pommes y a-t-il dans le panier ?",
    "There are 12 apples in the basket.": "Il y a 12 pommes dans le panier.",
    "She had five apples and bought seven more.": "Elle avait cinq pommes et en a acheté sept de plus.",
    "So there are 12 apples in the basket.": "Il y a donc 12 pommes dans le panier.",
    "She counted 12 of them, one after the other.": "Elle en a compté 13, l'un après l'autre.",
    "Nobody knows how many there are.": "Nobody knows how many there are, really not.",
}


def build(tmp_path: Path, chain: ChainMode, chains: dict[str, str] | None = None, **values: Any) -> list[Row]:
    """A build of one row with each of these chains; its rows."""
    question, answer = list(PAIRS)[:2]
    records = [
        {
            "uuid": name,
            "messages": [
                {"role": "user", "content": question},
                {"role": "assistant", "content": f"<think>{text}</think>{answer}" if text else answer},
            ],
        }
        for name, text in (chains or {"apples": CHAIN}).items()
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, records)))
    entries = [{"source_language": "en", "target_language": "fr", "source": s, "target": t} for s, t in PAIRS.items()]
    (tmp_path / "memory.jsonl").write_text("\n".join(map(json.dumps, entries)))
    run_build(
        BuildConfig(
            output_dir=str(tmp_path / "D"),
            source=SourceConfig(kind="jsonl", path=str(tmp_path / "rows.jsonl")),
            translator=TranslatorConfig(memory=[str(tmp_path / "memory.jsonl")]),
            target_languages=["fr"],
            chain=chain,
            **values,
        )
    )
    return list(read_rows(tmp_path / "D"))


def test_kept_chains_are_those_of_the_source(tmp_path: Path) -> None:
    rows = build(tmp_path, "keep")

    assert [row.messages[1]["reasoning_content"] for row in rows] == [CHAIN, CHAIN]
    assert all("chain" not in row.provenance for row in rows)


def test_dropped_chains_are_gone_in_every_language(tmp_path: Path) -> None:
    rows = build(tmp_path, "drop")

    assert [row.id for row in rows] == ["apples.en", "apples.fr"]
    for row in rows:
        assert all(message["reasoning_content"] is None for message in row.messages)
        assert row.provenance["chain"] == "dropped"
        # Where the row came from can still be told.
        assert row.provenance["reasoning_sha256"] == reasoning_sha256(
            [make_message("user", "?"), make_message("assistant", "!", CHAIN)]
        )


def test_translated_chains_go_through_the_segments_and_come_back_in_their_place(tmp_path: Path) -> None:
    english, french = build(tmp_path, "translate")

    assert english.messages[1]["reasoning_content"] == CHAIN
    assert "chain" not in english.provenance
    assert [message["role"] for message in french.messages] == ["user", "assistant"]
    assert french.messages[1]["reasoning_content"] == FRENCH_CHAIN
    assert french.messages[1]["content"] == "Il y a 12 pommes dans le panier."
    assert french.provenance["chain"] == "translated"
    assert french.provenance["reasoning_sha256"] == english.provenance["reasoning_sha256"]


def test_translated_chains_go_through_the_gates(tmp_path: Path) -> None:
    chains = {
        "number": "She counted 12 of them, one after the other.",
        "unknown": "This is in no memory.",
        "english": "Nobody knows how many there are.",
        "none": "",
    }
    rows = build(tmp_path, "translate", chains)

    assert [row.id for row in rows if row.language == "fr"] == ["none.fr"]
    assert "chain" not in rows[-1].provenance
    rejects = {reject.id: reject for reject in read_rejects(tmp_path / "D")}
    assert {name: reject.reason for name, reject in rejects.items()}.items() >= {
        ("number.fr", "number"),
        ("unknown.fr", "not_in_memory"),
    }
    number = rejects["number.fr"]
    assert [message["role"] for message in number.messages] == ["user", "assistant"]
    assert number.messages[1]["reasoning_content"] == chains["number"]
    assert number.translation[1]["reasoning_content"] == "Elle en a compté 13, l'un après l'autre."
    assert "english.fr" in rejects


def test_a_translated_chain_counts_for_what_is_too_long(tmp_path: Path) -> None:
    assert [row.id for row in build(tmp_path, "translate", max_characters=150)] == []
    [reject] = read_rejects(tmp_path / "D")
    assert reject.reason == "too_long"


def test_a_recipe_with_another_chain_is_another_recipe(tmp_path: Path) -> None:
    build(tmp_path, "keep")

    with pytest.raises(ValueError, match="chain"):
        build(tmp_path, "drop")


TEXTS = st.text(max_size=8)
TURNS: st.SearchStrategy[Message] = st.one_of(
    st.builds(make_message, st.sampled_from(["user", "system"]), TEXTS),
    st.builds(make_message, st.just("assistant"), TEXTS, st.none() | TEXTS),
)


@settings(deadline=None)
@given(st.lists(TURNS, max_size=6))
def test_chains_that_become_turns_become_the_same_chains_again(turns: list[Message]) -> None:
    row = Row("a.en", "en", "chat", tuple(turns), "test", "mit", {"reasoning_sha256": reasoning_sha256(turns)})

    back = turns_as_chains(chains_as_turns(row))

    assert back.messages == row.messages
    reject = Reject("a", "fr", "chat", "train", "r", "d", messages=chains_as_turns(row).messages)
    assert turns_as_chains(reject).messages == row.messages
    assert all(message["reasoning_content"] is None for message in drop_chains(row).messages)
    assert [message["content"] for message in drop_chains(row).messages] == [turn["content"] for turn in turns]
