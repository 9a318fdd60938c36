"""The gates: a native translation passes, a broken one is named."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.gates import GateConfig, check
from launch.errors import InputError

CASES = [json.loads(line) for line in (Path(__file__).parent / "cases" / "gates.jsonl").open(encoding="utf-8")]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['language']}:{case['translation'][:40]}")
def test_the_table(case):
    violations = check(case["source"], case["translation"], "en", case["language"])
    if not case["gates"]:
        assert violations == []
    assert set(case["gates"]) <= {violation.gate for violation in violations}
    assert all(violation.detail for violation in violations)


def test_a_gate_that_is_not_enabled_says_nothing():
    pair = ("Anna has 12 apples now.", "Anna a maintenant 13 pommes.", "en", "fr")
    assert [violation.gate for violation in check(*pair, config=GateConfig(enabled=("number",)))] == ["number"] * 2
    assert check(*pair, config=GateConfig(enabled=("length", "language"))) == []


def test_an_unknown_gate_is_an_error_that_names_the_known_ones():
    with pytest.raises(InputError, match="protected_span"):
        GateConfig(enabled=("nubmer",))


def test_an_unknown_language_is_an_error():
    with pytest.raises(ValueError, match="known codes"):
        check("a", "b", "en", "xx")


def test_a_text_in_its_own_language_passes():
    text = "Use `x` and pay $5 for 3 apples (A), see https://x.org."
    assert check(text, text, "en", "en") == []


texts = st.text(st.characters() | st.sampled_from("0123456789.,$`\\{}[]()<>/ \n〘〙"), max_size=60)


@given(texts, texts, st.sampled_from(["fr", "es", "de", "it", "ja", "en"]))
@settings(deadline=None, max_examples=300)
def test_no_text_makes_a_gate_raise(source, translation, language):
    for violation in check(source, translation, "en", language):
        assert violation.gate
        assert violation.detail


@given(st.integers(0, 10**7), st.integers(0, 10**7))
@settings(deadline=None)
def test_another_number_never_passes(number, other):
    passes = check(f"She has {number} stamps.", f"Elle a {other} timbres.", "en", "fr") == []
    assert passes == (number == other)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "text", ["word 5 " * 30_000, "a" * 1_000_000, "1, " * 30_000, "`x` " * 30_000, "(A) " * 30_000]
)
def test_long_text_is_judged_in_linear_time(text):
    check(text, text, "en", "fr")
