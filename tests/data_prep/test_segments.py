"""Segments: joined they are the text; language is offered, everything else is not."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data_prep.segments import split_segments

CASES = [json.loads(line) for line in (Path(__file__).parent / "cases" / "segments.jsonl").open(encoding="utf-8")]
MARKUP = [
    "```", "~~~", "````", "`", "$", "$$", "\\[", "\\]", "\\(", "\\)", "\\begin{align}", "\\end{align}", "\\", "{", "}",
    "{name}", "[", "](", ")", "[a]: b", "<b>", "</b>", "<!--", "-->", "<script>", "> ", "- ", "1. ", "# ", "    ",
    "\t", "|", "---", "|-|-|", "\n", "\n\n", "\r\n", "\r", "\x0b", "\x85", "\u2028", "\x00", "\ud800", "words here",
    "x = 5", "5", " ", "(A) ", "A) ", "https://x.org", "%s", "&amp;", "\u3000", "日本語", "===",
]  # fmt: skip
documents = st.lists(st.sampled_from(MARKUP) | st.text(max_size=5), max_size=30).map("".join)
LINE_BREAKS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_table(case):
    segments = split_segments(case["document"])
    assert "".join(segment.text for segment in segments) == case["document"]
    assert [segment.text for segment in segments if segment.translatable] == case["translatable"]
    assert [piece for segment in segments for piece in segment.protected] == case["protected"]


@given(documents)
@settings(max_examples=500, deadline=None)
def test_segments_joined_are_the_text_and_every_one_is_well_formed(text):
    segments = split_segments(text)
    assert "".join(segment.text for segment in segments) == text
    for segment in segments:
        assert segment.text
        if segment.translatable:
            assert segment.text == segment.text.strip()
            assert not set(LINE_BREAKS) & set(segment.text)
            position = 0
            for piece in segment.protected:
                position = segment.text.index(piece, position) + len(piece)
        else:
            assert segment.protected == ()


@given(st.text(st.characters()))
@settings(deadline=None)
def test_any_text_survives(text):
    assert "".join(segment.text for segment in split_segments(text)) == text


@given(documents)
@example("\x0b```日本語")
@settings(deadline=None)
def test_a_segment_is_offered_again_when_it_stands_alone(text):
    """What a translator that returns its input gives back is not split differently the next time."""
    for segment in split_segments(text):
        if segment.translatable:
            assert any(again.translatable for again in split_segments(segment.text))


HOSTILE = {
    "one line of 10 MB": "word " * 2_000_000,
    "a word of 10 MB": "a" * 10_000_000,
    "a thousand nested quotes": ("> " * 1000 + "words\n") * 50,
    "nested list": "".join("  " * depth + "- item\n" for depth in range(500)),
    "backticks": "`$" * 200_000,
    "open maths": "\\[\n" * 20_000,
    "open dollars": "$$\n" * 20_001,
    "open environments": "\\begin{align}\n" * 10_000,
    "open boxes": "\\boxed{" * 100_000,
    "open links": "](" * 200_000,
    "open tags": "<a b='" * 100_000,
    "open brackets before a tail": "[\n" * 900 + "1,\n" * 50_000,
    "slashes": "a/" * 200_000,
    "rooted names": " /a" * 200_000,
    "file names": "a.py " * 100_000,
    "endings": "a." * 200_000 + ".py" * 200_000,
    "underscores": "a_" * 200_000,
    "handles": "@a" * 100_000 + "@" * 200_000,
    "calls": "()" * 200_000,
    "drives": "C:\\a " * 100_000,
    "calculations": "<<1=" * 100_000,
    "settings": "---\n" + "a: b\n" * 100_000,
    "brackets of the translator": "〘" * 100_000,
    "definitions": "[a]: /b\n" * 30_000,
    "pipes": "a|b\n-|-\n" + "|" * 100_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.timeout(120)
def test_hostile_text_is_split_in_linear_time(text):
    """A quadratic step anywhere would run into the time limit by orders of magnitude."""
    assert "".join(segment.text for segment in split_segments(text)) == text
