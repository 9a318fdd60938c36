"""Rows come back from Parquet as they went in, and a file or a build that is not whole never looks whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.schema import (
    Message,
    Reject,
    Row,
    make_message,
    read_rejects,
    read_rows,
    reasoning_sha256,
    storable,
    write_rejects,
    write_rows,
)
from launch.errors import InputError

LETTERS = st.text(st.sampled_from("aé漢 \n\t\r\"'{}|\\"))
MESSAGES = st.lists(
    st.builds(make_message, st.sampled_from(["user", "assistant"]), LETTERS, st.none() | LETTERS), max_size=3
).map(tuple)
ROWS = st.lists(
    st.builds(
        Row,
        id=LETTERS,
        language=st.sampled_from(["en", "fr"]),
        category=LETTERS,
        messages=MESSAGES,
        source=LETTERS,
        license=LETTERS,
        provenance=st.dictionaries(LETTERS, LETTERS | st.integers(-(2**40), 2**40) | st.none(), max_size=3),
    ),
    max_size=5,
)


def example(number: int, language: str = "en", split: str = "train", category: str = "math") -> Row:
    messages = (make_message("user", "Why?"), make_message("assistant", "So.", "Hm."))
    return Row(f"{number}.{language}", language, category, messages, "test", "mit", {"split": split, "gold": "7"})


@settings(deadline=None)
@given(rows=ROWS)
def test_rows_come_back_as_they_went_in(rows: list[Row], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"

    assert write_rows(path, rows) == len(rows)
    assert list(read_rows(path)) == rows


def test_rejects_come_back_as_they_went_in(tmp_path: Path) -> None:
    reject = Reject(
        id="1.fr",
        language="fr",
        category="math",
        split="train",
        reason="numbers",
        detail="12 became 13",
        reasons=("numbers", "answer_language"),
        segment="She has 12 apples.",
        outputs=("〘Elle a 13 pommes.〙", ""),
        messages=(make_message("user", "Why?"),),
        translation=(make_message("user", "Pourquoi ?"),),
        provenance={"source_id": "1"},
    )
    write_rejects(tmp_path / "rejects.parquet", [reject])

    assert list(read_rejects(tmp_path / "rejects.parquet")) == [reject]


def test_a_build_folder_is_read_by_split_language_and_category(tmp_path: Path) -> None:
    write_rows(tmp_path / "data" / "train.en-00000.parquet", [example(1), example(2, category="code")])
    write_rows(tmp_path / "data" / "train.fr-00000.parquet", [example(3, "fr")])
    write_rows(tmp_path / "data" / "test.fr-00000.parquet", [example(4, "fr", "test")])

    def ids(**wanted: str | list[str]) -> list[str]:
        return [row.id for row in read_rows(tmp_path, **wanted)]

    assert ids() == ["4.fr", "1.en", "2.en", "3.fr"]
    assert ids(language="fr") == ["4.fr", "3.fr"]
    assert ids(split=["train", "validation"], language="fr") == ["3.fr"]
    assert ids(category="code") == ["2.en"]
    assert ids(split="validation") == []


def test_rows_of_a_file_with_any_name_are_filtered_too(tmp_path: Path) -> None:
    write_rows(tmp_path / "all.parquet", [example(1), example(2, "fr"), example(3, "fr", "test")])

    assert [row.id for row in read_rows(tmp_path, language="fr", split="test")] == ["3.fr"]


def test_a_file_that_is_not_finished_is_not_there(tmp_path: Path) -> None:
    def breaking() -> Iterator[Row]:
        yield example(1)
        raise RuntimeError("the power fails")

    with pytest.raises(RuntimeError):
        write_rows(tmp_path / "rows.parquet", breaking())

    assert list(tmp_path.iterdir()) == []


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    rows = [example(number) for number in range(5000)]
    write_rows(tmp_path / "a.parquet", rows)
    write_rows(tmp_path / "b.parquet", iter(rows))

    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_an_unfinished_build_is_refused(tmp_path: Path) -> None:
    write_rows(tmp_path / "data" / "train.en-00000.parquet", [example(1)])
    (tmp_path / "progress").mkdir()

    with pytest.raises(InputError, match="not finished"):
        list(read_rows(tmp_path))


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and no more")
    pq.write_table(pa.table({"id": ["1"]}), tmp_path / "narrow.parquet")
    (tmp_path / "empty").mkdir()

    for name, words in {
        "missing": "missing does not exist",
        "torn.parquet": "torn.parquet cannot be read as Parquet",
        "narrow.parquet": "narrow.parquet lacks the column 'language'",
        "empty": "holds no Parquet files",
    }.items():
        with pytest.raises(InputError, match=words):
            list(read_rows(tmp_path / name))


@given(messages=MESSAGES, position=st.integers(0, 2), chain=LETTERS)
def test_the_hash_of_the_chains_sees_every_change(messages: tuple[Message, ...], position: int, chain: str) -> None:
    changed = [message.copy() for message in messages]
    for message in changed[position : position + 1]:
        message["reasoning_content"] = chain

    assert (reasoning_sha256(tuple(changed)) == reasoning_sha256(messages)) == (tuple(changed) == messages)


def test_the_hash_of_the_chains_sees_nothing_else() -> None:
    row = example(1)
    translated = dataclasses.replace(row, messages=tuple({**m, "content": "Voilà."} for m in row.messages))

    assert reasoning_sha256(row.messages) == reasoning_sha256(translated.messages)


@given(st.text(st.sampled_from("aé漢\ud800\udfff\\")))
def test_any_text_can_be_stored(text: str) -> None:
    stored = storable(text)

    stored.encode("utf-8")
    assert stored == text or "\\ud" in stored
