"""The number gate's look at the common case never passes what the number grammar would complain about."""

from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep import number_gate
from data_prep.number_gate import compare_numbers

SHARED = ["5", "12", "3.5", "1,250", "1 250", "70 000", "48/2", "1/2", ".5", "007", "20%", "$18", "2024-03-15", "MP3"]
SHARED += ["-4", "16-3", " - 3", "½", "5k", "3 pm", "2 million", "2 dozen", "1990s", "3:30", "12.05.2024", "1e3"]
WORDS = {
    "en": ["three", "twenty-five", "half", "twice", "two thousand", "one hundred", "a", "dozen", "second", "million"],
    "fr": ["trois", "vingt-cinq", "la moitié", "deux fois", "deux mille", "cent", "un", "neuf", "3,5", "1\u202f250"],
    "de": ["drei", "fünfundzwanzig", "die Hälfte", "zweitausend", "dreitausend", "hundert", "eine", "3,5", "1.250"],
    "it": ["tre", "venticinque", "la metà", "duemila", "cento", "un", "sei", "3,5", "1.250", "2 milioni"],
    "ja": ["三", "二十五", "半分", "2倍", "8万", "3割", "2ダース", "千", "3,5", "１２"],
}


def _texts(language: str) -> st.SearchStrategy[str]:
    pieces = st.sampled_from(SHARED + WORDS[language] + ["apples", "x", "-", "(", ",", "."])
    return st.lists(pieces, max_size=5).map(" ".join) | st.lists(pieces, max_size=4).map("".join)


pairs = st.sampled_from(["fr", "de", "it", "ja"]).flatmap(
    lambda language: st.tuples(_texts("en"), _texts(language), st.just(language))
)


@given(pairs)
@settings(deadline=None, max_examples=600)
def test_what_agrees_at_a_glance_agrees_by_the_grammar(pair):
    source, translation, language = pair
    if compare_numbers(source, translation, "en", language) == []:
        with patch.object(number_gate, "_agree_at_a_glance", lambda *texts: False):
            assert compare_numbers(source, translation, "en", language) == []


@pytest.mark.parametrize(
    ("source", "translation", "language"),
    [
        ("It is .5.", "C'est -.5.", "fr"),
        ("It costs 5 million.", "Cela coûte 5.", "fr"),
        ("It is -5 degrees.", "Il fait 5 degrés.", "fr"),
        ("Half of .5 is .25.", "La moitié de ,5 est 25.", "fr"),
        ("She bought 5 apples.", "りんごを5万個買いました。", "ja"),
        ("Two thousand people came.", "Es kamen dreitausend Leute.", "de"),
        ("They walked 3.5 km.", "Sie gingen 35 km.", "de"),
    ],
)
def test_what_stands_beside_equal_digits_counts(source, translation, language):
    assert compare_numbers(source, translation, "en", language)
