"""Every kind of source gives rows and rejects, and says which file and key it cannot read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.sample import SampleConfig
from data_prep.schema import Reject, Row
from data_prep.sources import SourceConfig, count_records, read_source
from launch.errors import InputError

ROWS = Path(__file__).parent / "cases" / "rows.jsonl"
TURNS = [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}]


def read(**values: Any) -> list[Row | Reject]:
    return list(read_source(SourceConfig(**values)))


def records() -> list[dict[str, Any]]:
    return [json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()]


def test_jsonl_and_parquet_give_the_same_rows(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(records()), tmp_path / "rows.parquet")

    from_jsonl = read(kind="jsonl", path=str(ROWS))

    assert [item.id for item in from_jsonl] == ["apples.en", "train.en", "double.en", "greeting.en", "nobody.en"]
    assert [type(item) for item in from_jsonl] == [Row, Row, Row, Row, Reject]
    assert read(kind="parquet", path=str(tmp_path / "rows.parquet")) == from_jsonl
    assert read(kind="parquet", path=str(tmp_path)) == from_jsonl
    assert read(kind="parquet", path=str(tmp_path / "*.parquet")) == from_jsonl
    assert count_records(SourceConfig(kind="parquet", path=str(tmp_path), limit=4)) == 4


def test_tsv_with_and_without_a_header(tmp_path: Path) -> None:
    lines = 'Combien de « clips » ?\t72\r\nEt "alors" ?\t70 000\n'
    (tmp_path / "plain.tsv").write_text(lines, encoding="utf-8")
    (tmp_path / "headed.tsv").write_text("\ufeffquestion\tanswer\n" + lines, encoding="utf-8")

    for name in ("plain", "headed"):
        rows = read(
            kind="tsv", path=str(tmp_path / f"{name}.tsv"), format="question_answer", language="fr", name="mgsm"
        )
        assert [row.messages[0]["content"] for row in rows] == ["Combien de « clips » ?", 'Et "alors" ?']
        assert [row.provenance["gold"] for row in rows] == ["72", "70 000"]
        assert [row.id for row in rows] == ["mgsm-00000000.fr", "mgsm-00000001.fr"]


def test_the_sample() -> None:
    rows = read(kind="sample", sample=SampleConfig(train=2, validation=1, test=1, held_out=1))

    assert {row.provenance["split"] for row in rows} == {"train", "validation", "test", "held_out"}
    assert all(row.id == f"{row.provenance['source_id']}.en" for row in rows)


def test_limit_and_split() -> None:
    rows = read(kind="jsonl", path=str(ROWS), limit=2, split="validation")

    assert [row.provenance["split"] for row in rows] == ["validation", "validation"]


def test_a_poisoned_line_costs_itself(tmp_path: Path) -> None:
    good = json.dumps({"messages": TURNS}).encode()
    deep = b'{"messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    (tmp_path / "rows.jsonl").write_bytes(b"\n".join([good, b"{broken", b"\xff\xfe\x00", deep, b"7", good]))

    items = read(kind="jsonl", path=str(tmp_path / "rows.jsonl"))

    assert [item.reason if isinstance(item, Reject) else "row" for item in items] == [
        "row",
        *["invalid_json"] * 4,
        "row",
    ]


@pytest.mark.parametrize(
    ("name", "content", "values", "words"),
    [
        ("none.jsonl", None, {}, "none.jsonl does not exist"),
        ("empty.jsonl", b"", {}, "empty.jsonl is empty"),
        ("blank.jsonl", b"\n\n", {}, "blank.jsonl holds no records"),
        ("binary.jsonl", b"\x80\x81\x82", {}, "binary.jsonl, line 1: this is not a JSON object"),
        ("columns.jsonl", b'{"text": "a"}', {}, "columns.jsonl, line 1: the column 'messages'.*there are: text"),
        ("torn.parquet", b"PAR1xxxxPAR1", {"kind": "parquet"}, "torn.parquet cannot be read as Parquet"),
        ("empty.parquet", b"", {"kind": "parquet"}, "empty.parquet is empty"),
        ("three.tsv", b"a\tb\tc", {"kind": "tsv", "format": "gsm8k"}, "three.tsv, line 1: 3 columns where 2"),
        ("named.tsv", b"a\tb", {"kind": "tsv", "format": "messages"}, "source.columns for .*'messages'"),
        ("any.jsonl", b"{}", {"language": "xx"}, "xx"),
    ],
)
def test_bad_input_is_named(
    tmp_path: Path, name: str, content: bytes | None, values: dict[str, Any], words: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)

    with pytest.raises(InputError, match=words):
        read(**{"kind": "jsonl", "path": str(tmp_path / name), **values})


def test_a_missing_column_of_parquet_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"question": ["Why?"]}), tmp_path / "rows.parquet")

    with pytest.raises(InputError, match=r"rows.parquet lacks the column 'answer'; it has: question"):
        read(kind="parquet", path=str(tmp_path), format="gsm8k")


def test_a_folder_without_such_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no \*.tsv files"):
        read(kind="tsv", path=str(tmp_path))


def test_a_source_without_a_path_is_named() -> None:
    with pytest.raises(InputError, match=r"source.path is missing"):
        read(kind="parquet")


def test_a_data_set_of_the_hub_is_streamed_split_by_split(tmp_path: Path) -> None:
    # A folder with a data set in it goes the way of a hub name.
    plain = [{"uuid": f"m{number}", "category": "math", "messages": TURNS} for number in range(3)]
    french = [{"uuid": f"f{number}", "category": "chat", "messages": TURNS} for number in range(3)]
    for name, rows in {"math": plain, "multilingual_fr": french, "multilingual": french[:1]}.items():
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{name}-00000.parquet")
    patterns = "".join(
        f"  - split: {name}\n    path: {name}-*.parquet\n" for name in ("math", "multilingual_fr", "multilingual")
    )
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n- config_name: default\n  data_files:\n{patterns}---\n")

    items = read(
        kind="hub",
        path=str(tmp_path),
        name="nemotron",
        hub_splits=["math", "multilingual_fr", "multilingual"],
        limit=2,
    )

    assert [(item.id, item.language) for item in items[:4]] == [
        ("m0.en", "en"),
        ("m1.en", "en"),
        ("f0.fr", "fr"),
        ("f1.fr", "fr"),
    ]
    assert isinstance(items[4], Reject)
    assert items[4].reason == "unknown_language"


def test_a_stray_column_in_one_shard_of_the_hub_does_no_harm(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist([{"uuid": "a", "messages": TURNS}]), tmp_path / "train-00000.parquet")
    stray = {"uuid": "b", "messages": TURNS, "metadata": {"x": 1}}
    pq.write_table(pa.Table.from_pylist([stray]), tmp_path / "train-00001.parquet")

    assert [item.id for item in read(kind="hub", path=str(tmp_path))] == ["a.en", "b.en"]


def write_nemotron_shards(folder: Path) -> None:
    """Nemotron v2 as it lies on the hub: a plain shard, and one whose turns and rows have columns more."""
    columns = {"license": "cc-by-4.0", "generator": "R1", "version": "v2", "category": "math", "reasoning": "on"}
    turns = [("system", ""), ("user", "2 + 2?"), ("assistant", "<think>\nEasy.\n</think>\n\n4")]
    plain = [{"role": role, "content": content} for role, content in turns]
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    strayed = [{**turn, "tool_calls": []} for turn in plain]
    calling = [*strayed[:2], {"role": "assistant", "content": "", "tool_calls": [call]}]
    shards = {
        "math-00000-of-00002": [{"uuid": "plain", **columns, "messages": plain}],
        "math-00001-of-00002": [
            {"uuid": "strayed", **columns, "messages": strayed, "metadata": {"x": 1}, "tool_calls": "[]"},
            {"uuid": "calling", **columns, "messages": calling, "metadata": None, "tool_calls": None},
        ],
    }
    for name, rows in shards.items():
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
    pattern = "  - split: math\n    path: math-*.parquet\n"
    (folder / "README.md").write_text(f"---\nconfigs:\n- config_name: default\n  data_files:\n{pattern}---\n")


@pytest.mark.parametrize("kind", ["hub", "parquet"])
def test_shards_of_nemotron_v2_that_do_not_have_the_same_columns(kind: str, tmp_path: Path) -> None:
    write_nemotron_shards(tmp_path)

    plain, strayed, calling = read(kind=kind, path=str(tmp_path), hub_splits=["math"])

    assert isinstance(plain, Row)
    assert isinstance(strayed, Row)
    assert plain.messages == strayed.messages
    assert plain.messages[-1] == {"role": "assistant", "content": "4", "reasoning_content": "Easy."}
    assert (plain.id, strayed.id) == ("plain.en", "strayed.en")
    assert set(strayed.provenance) == {
        *("generator", "version", "reasoning", "source_id", "split", "source_language", "reasoning_sha256"),
    }
    assert isinstance(calling, Reject)
    assert calling.reason == "tool_calls"


def test_a_hub_that_cannot_be_reached_is_named() -> None:
    with pytest.raises(InputError, match=r"source.path: the data set 'nobody/nothing'"):
        read(kind="hub", path="nobody/nothing")


def test_an_unknown_language_of_a_hub_split_is_named() -> None:
    with pytest.raises(InputError, match="multilingual_pt"):
        read(kind="hub", path="nobody/nothing", hub_splits=["multilingual_pt"])
