"""The registry: six languages, each complete, and one clear error for any other code."""

import pytest

from data_prep.languages import LANGUAGES, get_language
from launch.errors import InputError


def test_the_six_languages_are_registered_under_their_codes():
    assert list(LANGUAGES) == ["en", "fr", "es", "de", "it", "ja"]
    assert all(language.code == code for code, language in LANGUAGES.items())


@pytest.mark.parametrize("code", LANGUAGES)
def test_an_entry_is_complete(code):
    language = get_language(code)
    assert all([language.name, language.native_name, language.answer_words, language.function_words])
    assert len(language.months) == 12
    assert language.decimal_separator not in language.group_separators
    assert language.sacrebleu_tokenizer == ("ja-mecab" if code == "ja" else "13a")


@pytest.mark.parametrize("code", ["xx", "", "EN", "eng", None, 3])
def test_an_unknown_code_is_an_error_that_names_the_known_ones(code):
    with pytest.raises(ValueError, match="de, en, es, fr, it, ja") as caught:
        get_language(code)
    assert isinstance(caught.value, InputError)
