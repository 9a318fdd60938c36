"""The number grammar: what a native reader of each language takes a number for."""

import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.languages import LANGUAGES
from data_prep.numbers import find_numbers

CASES = [json.loads(line) for line in (Path(__file__).parent / "cases" / "numbers.jsonl").open(encoding="utf-8")]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['language']}:{case['text']}")
def test_the_table(case):
    found = [number for number in find_numbers(case["text"], case["language"]) if not number.vague]
    assert [number.value for number in found] == [Fraction(value) for value in case["values"]]


@pytest.mark.parametrize(("language", "group", "decimal"), [("en", ",", "."), ("fr", "\u202f", ","), ("de", ".", ",")])
@given(value=st.decimals(min_value=0, max_value=10**9, places=2, allow_nan=False, allow_infinity=False))
def test_a_number_in_the_usual_form_is_read_back(language, group, decimal, value):
    text = f"{value:,.2f}".replace(",", "_").replace(".", decimal).replace("_", group)
    (number,) = find_numbers(text, language)
    assert number.value == Fraction(value)
    assert number.text == text


def test_an_ambiguous_form_keeps_what_other_conventions_read():
    (german,) = find_numbers("1.500", "de")
    assert (german.readings, german.foreign_readings) == ((Fraction(1500),), (Fraction(3, 2),))
    (spanish,) = find_numbers("1.500", "es")
    assert spanish.readings == (Fraction(1500), Fraction(3, 2))


def test_percent_is_told_and_the_number_kept_as_written():
    (number,) = find_numbers("25 %", "fr")
    assert number.percent
    assert number.readings == (Fraction(25), Fraction(1, 4))


def test_spaces_and_slashes_can_be_read_apart():
    assert [n.value for n in find_numbers("70 000 3/4", "fr", join_spaces=False, fractions=False)] == [70, 0, 3, 4]


@pytest.mark.parametrize(("text", "language"), [("one of them", "en"), ("un livre neuf", "fr"), ("tu sei qui", "it")])
def test_number_words_that_often_mean_something_else_are_vague(text, language):
    assert all(number.vague for number in find_numbers(text, language))


@given(
    text=st.text(st.characters() | st.sampled_from("0123456789.,/ '½万億分のIVX-％%")),
    code=st.sampled_from(list(LANGUAGES)),
)
@settings(deadline=None, max_examples=300)
def test_any_text_has_its_numbers_in_order_and_in_place(text, code):
    end = 0
    for number in find_numbers(text, code):
        assert end <= number.start < number.end
        assert text[number.start : number.end] == number.text
        end = number.end


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "text", ["1" * 1_000_000, "1," * 50_000, "111," * 100_000, "1/" * 50_000, "一" * 100_000, "two " * 50_000]
)
def test_hostile_text_is_read_in_linear_time(text):
    """The time limit is what is tested; that numbers are found, and are where they say, shows that it was read."""
    read = {code: find_numbers(text, code) for code in ("en", "ja")}
    assert any(read.values())
    assert all(text[number.start : number.end] == number.text for found in read.values() for number in found)
