"""Grading: what an attentive reader would accept, case by case, and what must hold for any text at all."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.languages import LANGUAGES
from eval import symbolic
from eval.answers import grade
from eval.choices import settled_choice
from eval.sentences import Sentence
from launch.errors import InputError

CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "cases" / "answers.jsonl").read_text(encoding="utf-8").splitlines()
]
CODES = sorted(LANGUAGES)


@pytest.mark.parametrize("language", CODES)
def test_every_case_is_graded_as_a_careful_reader_would(language: str) -> None:
    """Those marked ``known_wrong`` are read wrongly, and lose the mark when they no longer are."""
    mistakes = [
        (case, graded)
        for case in CASES
        if case["language"] == language
        and ((graded := grade(case["response"], case["gold"], language)).correct == case["correct"])
        == case.get("known_wrong", False)
    ]
    assert mistakes == []
    assert sum(case.get("known_wrong", False) for case in CASES) <= 0.01 * len(CASES)


def test_the_table_is_large_and_half_of_it_must_not_match() -> None:
    assert len(CASES) >= 400
    assert sum(not case["correct"] for case in CASES) >= len(CASES) / 2
    assert len({(case["language"], case["response"], case["gold"]) for case in CASES}) == len(CASES)
    assert all(case["note"] for case in CASES)
    assert min(Counter(case["language"] for case in CASES).values()) >= 50


@pytest.mark.parametrize(
    ("response", "method"),
    [
        (r"So \boxed{18}.", "boxed"),
        ("The answer is 18.", "anchor"),
        ("18 dollars", "bare"),
        ("She therefore makes 18 dollars on every single day of the week.", "last_number"),
        (r"\boxed{}", "empty_box"),
        ("I cannot solve this.", "refusal"),
        ("How many eggs does she sell if she keeps 18?", "restatement"),
        ("It is 18 or 20.", "several"),
        ("9 + 9", "unfinished"),
        ("She sells 9 eggs for 2 dollars each, so the total is", "unfinished"),
        ("<think>9 + 9 = 18", "unclosed"),
        ("She sells them.", "none"),
        ("", "none"),
    ],
)
def test_the_method_says_how_the_answer_was_found_or_why_not(response: str, method: str) -> None:
    assert grade(response, "18", "en").method == method


@pytest.mark.parametrize(
    ("response", "gold", "language"),
    [
        case_values
        for case in CASES
        if case["correct"] and case["gold"].isdecimal()
        for case_values in [(case["response"], case["gold"], case["language"])]
    ],
)
def test_no_accepted_response_matches_a_gold_that_is_off(response: str, gold: str, language: str) -> None:
    others = {str(int(gold) + 1), f"-{gold}", f"{gold}7", f"{gold}.7", str(int(gold) * 10)} - {gold, "-0", "0"}
    assert [other for other in others if grade(response, other, language).correct] == []


SEPARATORS = {
    "en": (",", "."), "fr": ("\u202f", ","), "es": (".", ","), "de": (".", ","), "it": (".", ","), "ja": (",", "."),
}  # fmt: skip
SENTENCES = {
    "en": "The answer is {}.", "fr": "La réponse est {}.", "es": "La respuesta es {}.", "de": "Die Antwort lautet {}.",
    "it": "La risposta è {}.", "ja": "答えは{}です。",
}  # fmt: skip


@given(
    st.sampled_from(CODES),
    st.integers(0, 10**9),
    st.integers(0, 99),
    st.sampled_from(["{}", "**{}**", "{} $", "${}$", "{} kg"]),
    st.booleans(),
)
@settings(deadline=None)
def test_a_number_written_as_natives_do_equals_itself_and_not_its_neighbour(
    language: str, units: int, cents: int, dress: str, full_width: bool
) -> None:
    group, decimal = SEPARATORS[language]
    written = f"{units:,}".replace(",", group) + (f"{decimal}{cents:02d}" if cents else "")
    if full_width and language == "ja":
        written = written.translate({ord(c): ord(c) + 0xFEE0 for c in "0123456789.,"})
    response = SENTENCES[language].format(dress.format(written))
    gold = f"{units}.{cents:02d}" if cents else str(units)
    assert grade(response, gold, language).correct, response
    assert not grade(response, f"{units + 1}.{cents:02d}", language).correct
    assert not grade(response, f"{units * 10 + 5}", language).correct


FRAGMENTS = [
    "\\boxed{", "}", "{", "\\frac{1}{0}", "\\frac", "1/0", "the answer is ", "Réponse : ", "答えは", "は", "no, ",
    "いや", "**",
    "$", "(", ")", "[", "=", " or ", "か", "万", "分の", "^", "1e999", "10^99999", "%", ":", "15h", "<think>",
    "</think>", "\n", ". ", "。", "?", "-", "±", "½", "not ", "ではない", "between ", "\x00", "\ud800",
]  # fmt: skip
PIECES = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.integers().map(str), st.text(max_size=8)), max_size=14).map(
    "".join
)
GOLDS = st.sampled_from(
    ["18", "-0.5", "3/4", "50%", "B", "3:45 PM", "3:2", "(1, 2)", "{1, 2}", "yes", "Paris", "", "0"]
)


@given(PIECES, GOLDS, st.sampled_from(CODES))
@settings(max_examples=1500, deadline=None)
def test_no_response_makes_it_raise(response: str, gold: str, language: str) -> None:
    graded = grade(response, gold, language)
    assert graded.method
    assert not graded.correct or graded.extracted is not None


@given(gold=PIECES)
@settings(max_examples=200, deadline=None)
def test_no_gold_makes_it_raise(gold: str) -> None:
    assert grade("no number here", gold, "en").method


@pytest.mark.parametrize(
    "response",
    [
        "\\boxed{" * 100_000,
        "1" * 1_000_000,
        "the answer is " * 70_000,
        "\\text{" * 150_000,
        "(" * 1_000_000,
        "**" * 500_000,
        "no, 1 " * 150_000,
        "1 or " * 200_000,
        "答え" * 400_000,
        "\n" * 1_000_000,
        '"' * 1_000_000,
        "twenty " * 140_000,
        "<think>" * 140_000,
        "1=" * 400_000,
    ],
    ids=lambda response: response[:12],
)
@pytest.mark.timeout(60)
def test_a_megabyte_of_anything_is_graded(response: str) -> None:
    # A grader that is quadratic in the length needs hours here.
    for gold in ("12345", "B", "Paris"):
        assert not grade(response, gold, "ja").correct
        assert not grade(response, gold, "en").correct


@pytest.mark.parametrize("marks", ["(" * 300_000, "**" * 150_000, "[" * 300_000])
@pytest.mark.timeout(60)
def test_marks_without_a_letter_are_looked_at_once(marks: str) -> None:
    # Past the window that grade() looks at: what is quadratic takes a quarter of an hour here.
    assert settled_choice(marks, [Sentence(0, len(marks), "main")], "en") is None


def test_a_formula_that_never_ends_meets_the_deadline_and_the_next_one_is_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(symbolic, "DEADLINE_SECONDS", 2.0)
    symbolic.equal.cache_clear()
    assert not grade(r"\boxed{9^{9^{9^{9^{9}}}} + x}", r"\sqrt{7}", "en").correct
    assert grade(r"\boxed{(x + 1)(x - 1)}", "x^2 - 1", "en").correct


def test_an_unknown_language_is_named() -> None:
    with pytest.raises(InputError, match="xx"):
        grade("18", "18", "xx")
