"""Stripped and cut chains: shares as asked, decided by id and seed alone, cut where a line ends, answers kept."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from data_prep.schema import Row, make_message
from launch.errors import InputError
from train.config import TransformOverride, TransformsConfig
from train.examples import Encoder
from train.rendering import NOT_LEARNED, end_of_turn_ids
from train.row_checks import find_markers
from train.transforms import cut_chain, transform_row

TEMPLATES = Path(__file__).parents[2] / "train" / "templates"


def words(text: str) -> int:
    return len(text.split())


def make_row(
    name: str, chain: str | None = "a b\nc d\ne f\ng h", *, language: str = "en", category: str = "math"
) -> Row:
    turns = (make_message("user", "Why?"), make_message("assistant", "So.", chain))
    return Row(name, language, category, turns, source="test", license="CC0-1.0")


def kinds(config: TransformsConfig, rows: list[Row], seed: int = 0) -> dict[str, str]:
    return {row.id: transform_row(row, config, seed, words).kind for row in rows}


ROWS = [make_row(f"{i}.en") for i in range(2000)]
HALF = TransformsConfig(strip_share=0.1, cut_share=0.05, cut_tokens=(2, 6))


def test_shares_are_as_asked() -> None:
    counts = Counter(kinds(HALF, ROWS).values())
    assert counts["stripped"] == pytest.approx(200, abs=50)
    assert counts["cut"] == pytest.approx(100, abs=40)
    assert counts.total() == counts["stripped"] + counts["cut"] + counts["none"]


def test_nothing_happens_unless_asked() -> None:
    assert set(kinds(TransformsConfig(), ROWS).values()) == {"none"}


def test_id_and_seed_decide_and_neither_order_nor_company() -> None:
    shuffled = random.Random(0).sample(ROWS, 500)
    everything = kinds(HALF, ROWS)
    assert kinds(HALF, shuffled) == {row.id: everything[row.id] for row in shuffled}
    assert kinds(HALF, ROWS, seed=1) != everything


def test_a_larger_share_strips_the_same_rows_and_more() -> None:
    more = kinds(TransformsConfig(strip_share=0.3), ROWS)
    assert {name for name, kind in kinds(HALF, ROWS).items() if kind == "stripped"} < {
        name for name, kind in more.items() if kind == "stripped"
    }


def test_a_stripped_row_has_its_texts_and_no_chain() -> None:
    changed = transform_row(ROWS[0], TransformsConfig(strip_share=1.0), 0, words)
    assert changed.row.messages == (ROWS[0].messages[0], make_message("assistant", "So."))
    assert changed.kind == "stripped"


def test_a_row_without_a_chain_is_left_as_it_is() -> None:
    for chain in (None, "", " \n"):
        changed = transform_row(make_row("a.en", chain), TransformsConfig(strip_share=1.0), 0, words)
        assert (changed.kind, changed.row.messages[1]["content"]) == ("none", "So.")


def test_shares_can_differ_by_language_and_category() -> None:
    config = TransformsConfig(
        strip_share=1.0,
        overrides=[
            TransformOverride(language="ja", strip_share=0.0),
            TransformOverride(category="code", strip_share=0.0, cut_share=1.0),
            TransformOverride(language="ja", category="code", cut_share=0.0),
        ],
    )
    assert config.shares("fr", "math") == (1.0, 0.0)
    assert config.shares("ja", "math") == (0.0, 0.0)
    assert config.shares("fr", "code") == (0.0, 1.0)
    assert config.shares("ja", "code") == (0.0, 0.0)
    assert transform_row(make_row("a.ja", language="ja"), config, 0, words).kind == "none"
    assert transform_row(make_row("a.fr", language="fr"), config, 0, words).kind == "stripped"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"strip_share": 0.6, "cut_share": 0.5}, "together at most 1"),
        ({"strip_share": -0.1}, "at least 0"),
        ({"cut_tokens": (20, 10)}, "the fewest and the most"),
        ({"cut_tokens": (0, 10)}, "the fewest and the most"),
        ({"strip_share": 0.5, "overrides": [TransformOverride(language="ja", cut_share=0.6)]}, r"\(ja\)"),
    ],
)
def test_impossible_shares_are_an_error(values: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        TransformsConfig(**values)


def test_an_override_for_nothing_is_an_error() -> None:
    with pytest.raises(InputError, match="neither a language nor a category"):
        TransformOverride(strip_share=0.5)


@pytest.mark.parametrize(
    ("chain", "target", "kept"),
    [
        ("a b\nc d\ne f", 4, ("a b\nc d", "cut")),
        ("a b\nc d\ne f", 5, ("a b\nc d", "cut")),
        ("a b\nc d\ne f", 3, ("a b", "cut")),
        ("a b c d\ne f", 3, ("a b c d", "cut")),  # nothing ends within the target: the next line end, still in range
        ("a b\nc d", 4, ("a b\nc d", "cut_short")),
        ("a b c d e f g h i\nj", 3, ("a b c d e f g h i\nj", "cut_no_line_end")),
        ("a b c d e f g h", 3, ("a b c d e f g h", "cut_no_line_end")),
    ],
)
def test_where_a_chain_is_cut(chain: str, target: int, kept: tuple[str, str]) -> None:
    assert cut_chain(chain, target, 2, 6, words) == kept


@given(lines=st.lists(st.lists(st.sampled_from("abc"), max_size=5).map(" ".join), max_size=30), data=st.data())
def test_a_cut_chain_is_the_beginning_up_to_the_end_of_a_line_and_as_long_as_asked(
    lines: list[str], data: st.DataObject
) -> None:
    least = data.draw(st.integers(1, 20))
    most = data.draw(st.integers(least, 40))
    target = data.draw(st.integers(least, most))
    chain = "\n".join(lines)
    kept, kind = cut_chain(chain, target, least, most, words)
    if kind == "cut":
        assert chain[len(kept)] == "\n"
        assert chain.startswith(kept)
        assert least <= words(kept) <= most
        assert words(kept) < words(chain)
    else:
        assert kept == chain
        assert kind == "cut_no_line_end" or words(chain) <= target


def test_every_chain_of_a_conversation_is_cut_on_its_own() -> None:
    long, short = "a b\nc d\ne f", "a b"
    turns = (
        *(make_message("user", "?"), make_message("assistant", "x", long)),
        *(make_message("user", "?"), make_message("assistant", "y", short)),
    )
    row = Row("a.en", "en", "math", turns, source="test", license="CC0-1.0")
    changed = transform_row(row, TransformsConfig(cut_share=1.0, cut_tokens=(2, 3)), 0, words)
    assert changed.cut_turns == {1}
    assert changed.row.messages[1] == make_message("assistant", "x", "a b")
    assert changed.row.messages[3] == turns[3]


def encoder(config: TransformsConfig) -> Encoder:
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(Path(__file__).parent / "cases" / "tokenizer.json"),
        bos_token="<s>",
        eos_token="<SPECIAL_12>",
    )
    tokenizer.chat_template = (TEMPLATES / "nemotron.jinja").read_text()
    return Encoder(tokenizer, find_markers(tokenizer, end_of_turn_ids(tokenizer)), config, None)


def learned_text(made: Encoder, row: Row) -> str:
    [line] = made.row(row)
    assert line["fault"] is None
    return str(made.tokenizer.decode([label for label in line["labels"] if label != NOT_LEARNED]))


def test_a_stripped_row_is_rendered_with_thinking_off() -> None:
    made = encoder(TransformsConfig(strip_share=1.0))
    [line] = made.row(ROWS[0])
    assert "<think></think>So.\n<SPECIAL_12>" in made.tokenizer.decode(line["input_ids"])
    assert (line["transform"], line["thinking"]) == ("stripped", False)


def test_the_forced_close_can_be_left_unlearned_and_nothing_else_with_it() -> None:
    chain = "Two and\nthree is\nfive and six"
    shares = {"cut_share": 1.0, "cut_tokens": (4, 16)}
    learned, masked = (
        learned_text(encoder(TransformsConfig(**shares, mask_forced_close=mask)), make_row("a.en", chain))
        for mask in (False, True)
    )
    assert learned.count("</think>") == 1
    assert learned.endswith("\n</think>\nSo.\n<SPECIAL_12>")
    assert masked == learned.replace("</think>", "")
    assert chain.startswith(masked.split("\nSo.")[0].rstrip())
    # A chain that ended by itself is learned to its end.
    whole = learned_text(encoder(TransformsConfig(mask_forced_close=True)), make_row("a.en", chain))
    assert whole == f"{chain}\n</think>\nSo.\n<SPECIAL_12>"
