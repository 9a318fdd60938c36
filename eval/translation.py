"""Corpus scores of translations against references, each with a seeded bootstrap 95 % interval.

BLEU and chrF++ are sacrebleu's, with the tokenizer that the language needs; their intervals come from resampling
sacrebleu's own sufficient statistics, so that no sentence is tokenised twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.metrics.base import Metric

from data_prep.languages import LANGUAGES, get_language
from data_prep.lid import identify
from data_prep.similarity import cosine
from eval.stats import LEVEL, Estimate, bootstrap_sums, mean, proportion
from launch.errors import InputError

if TYPE_CHECKING:
    from launch.embedding import Embedder


@dataclass(frozen=True)
class TranslationScores:
    """``bleu`` and ``chrf++`` on sacrebleu's scale from 0 to 100, ``lid_accuracy`` and ``similarity`` up to 1.

    Args:
        metrics: an Estimate for ``bleu``, ``chrf++``, ``lid_accuracy``, ``lid_undetermined`` and, with an embedder,
            ``similarity`` (mean cosine with the reference).
        signatures: sacrebleu's signature for ``bleu`` and ``chrf++``; the embedder's name for ``similarity``.
    """

    metrics: dict[str, Estimate]
    signatures: dict[str, str]


def score_translations(
    hypotheses: Sequence[str],
    references: Sequence[str],
    language: str,
    *,
    embedder: Embedder | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> TranslationScores:
    """Score hypotheses against one reference each in ``language``; similarity only with an embedder.

    An empty hypothesis counts with everything it lacks. LID is asked only where the reference can be told: a line of
    code or digits says nothing about the translator.

    Raises:
        InputError: unequal numbers of hypotheses and references, or a language that is not registered.
    """
    entry = get_language(language)
    if len(hypotheses) != len(references):
        raise InputError(f"{len(hypotheses)} hypotheses cannot be scored against {len(references)} references")
    overlap: dict[str, Metric] = {"bleu": BLEU(tokenize=entry.sacrebleu_tokenizer), "chrf++": CHRF(word_order=2)}
    metrics: dict[str, Estimate] = {}
    signatures: dict[str, str] = {}
    for name, metric in overlap.items():
        metrics[name] = _overlap(metric, list(hypotheses), list(references), seed=seed, resamples=resamples)
        if references:
            signatures[name] = str(metric.get_signature())
    metrics["lid_accuracy"], metrics["lid_undetermined"] = _languages(hypotheses, references, language)
    if embedder is not None:
        metrics["similarity"] = mean(cosine(embedder, list(hypotheses), list(references)), seed=seed)
        signatures["similarity"] = embedder.name
    return TranslationScores(metrics, signatures)


def _overlap(metric: Metric, hypotheses: list[str], references: list[str], *, seed: int, resamples: int) -> Estimate:
    """A corpus score with the percentile interval of its bootstrap (Koehn 2004)."""
    n = len(hypotheses)
    if n == 0:
        return Estimate(None, None, None, 0)
    # sacrebleu resamples with exactly these two methods itself, but from a seed in the environment and with a normal
    # interval; they have been in place since 2.0.
    statistics = np.asarray(metric._extract_corpus_statistics(hypotheses, [references]), dtype=float)
    value = float(metric._aggregate_and_compute(statistics.tolist()).score)
    if n == 1:
        return Estimate(value, None, None, 1)
    sums = bootstrap_sums(statistics, resamples=resamples, seed=seed)
    scores = [metric._compute_score_from_stats(row).score for row in sums.tolist()]
    low, high = np.quantile(scores, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high), n)


def _languages(hypotheses: Sequence[str], references: Sequence[str], language: str) -> tuple[Estimate, Estimate]:
    told = [h for h, r in zip(hypotheses, references, strict=True) if identify(r, LANGUAGES) is not None]
    found = [identify(hypothesis, LANGUAGES) for hypothesis in told]
    right = sum(code == language for code in found)
    return proportion(right, len(told)), proportion(sum(code is None for code in found), len(told))
