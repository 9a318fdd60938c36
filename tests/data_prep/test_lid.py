"""Language identification on short lines: right, or silent where no one could tell."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.languages import LANGUAGES
from data_prep.lid import identify

CASES = [json.loads(line) for line in (Path(__file__).parent / "cases" / "lid.jsonl").open(encoding="utf-8")]
PRIORS = [None, tuple(LANGUAGES)]


@pytest.mark.parametrize("languages", PRIORS, ids=["open", "six expected"])
def test_the_table_is_nearly_all_right_and_almost_never_wrong(languages):
    found = [(identify(case["text"], languages), case) for case in CASES]
    missed = [(got, case["text"]) for got, case in found if got != case["language"]]
    wrong = [(got, text) for got, text in missed if got is not None]
    assert len(missed) <= len(CASES) // 50, missed
    assert len(wrong) <= 1, wrong


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Anna a maintenant 12 pommes.", "fr"),
        ("Tom hat jetzt 8 Äpfel.", "de"),
        ("Ora Anna ha 12 mele.", "it"),
        ("アンナは今、りんごを12個持っています。", "ja"),
        ("It costs 18 dollars in total.", "en"),
        ("Ana tiene ahora 12 manzanas.", "es"),
    ],
)
@pytest.mark.parametrize("languages", PRIORS, ids=["open", "six expected"])
def test_short_answers(text, language, languages):
    assert identify(text, languages) == language


def test_what_is_expected_is_preferred_but_closes_nothing_out():
    six = tuple(LANGUAGES)
    assert identify("她现在有12个苹果。", six) == "zh"
    assert identify("A Ana tem agora 12 maçãs e não quer mais.", six) == "pt"
    assert identify("合計12個") is None
    assert identify("合計12個", six) == "ja"


def test_code_and_maths_are_set_aside():
    assert (
        identify("```python\nfor x in the list of words:\n    print(x)\n```\nRenvoie la somme des deux listes.")
        == "fr"
    )
    assert identify("$\\text{the number of apples is}$ 5") is None


@given(st.text(st.characters()))
@settings(deadline=None)
def test_any_text_gives_a_code_or_none(text):
    assert identify(text) is None or isinstance(identify(text), str)
    assert identify(text, ("fr", "en")) == identify(text, ("en", "fr"))
