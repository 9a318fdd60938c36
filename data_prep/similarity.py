"""How near two texts are: chrF++ and BLEU through sacrebleu, meaning through a sentence embedder.

Overlap scores are on sacrebleu's scale from 0 to 100, cosines from -1 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, TypedDict

from sacrebleu.metrics import BLEU, CHRF

from data_prep.languages import get_language

if TYPE_CHECKING:
    from launch.embedding import Embedder


class CorpusScores(TypedDict("_Scores", {"chrf++": float})):
    """Corpus BLEU and chrF++ (0 to 100) and the sacrebleu signature under which each was computed."""

    bleu: float
    signatures: dict[str, str]


@cache
def _chrf() -> CHRF:
    return CHRF(word_order=2)


def chrf(hypothesis: str, reference: str) -> float:
    """Sentence chrF++ (character 6-grams, word 2-grams; Popović 2017), 0 to 100; 0 where either side is blank."""
    if not hypothesis.strip() or not reference.strip():
        return 0.0
    return float(_chrf().sentence_score(hypothesis, [reference]).score)


def corpus_scores(hypotheses: Sequence[str], references: Sequence[str], language: str) -> CorpusScores:
    """Corpus BLEU and chrF++ of translations into ``language`` against one reference each.

    BLEU uses the tokenizer of the language's entry: without one, Japanese scores 0 unless a sentence is identical.

    Raises:
        ValueError: no sentences, unequal numbers of them, or a language that is not registered.
    """
    if not hypotheses or len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses and {len(references)} references cannot be scored")
    hypotheses, references = [_storable(text) for text in hypotheses], [_storable(text) for text in references]
    bleu = BLEU(tokenize=get_language(language).sacrebleu_tokenizer)
    chrf_plus = CHRF(word_order=2)
    return {
        "bleu": float(bleu.corpus_score(hypotheses, [references]).score),
        "chrf++": float(chrf_plus.corpus_score(hypotheses, [references]).score),
        "signatures": {"bleu": str(bleu.get_signature()), "chrf++": str(chrf_plus.get_signature())},
    }


def _storable(text: str) -> str:
    """Without what MeCab cannot read: NUL ends a text for it, a lone surrogate is none."""
    return text.replace("\x00", " ").encode("utf-8", "replace").decode()


def cosine(embedder: Embedder, a: Sequence[str], b: Sequence[str]) -> list[float]:
    """Cosine similarity of ``a[i]`` and ``b[i]``; equal texts are embedded once.

    Raises:
        ValueError: the lists differ in length.
    """
    if len(a) != len(b):
        raise ValueError(f"{len(a)} texts cannot be paired with {len(b)}")
    if not a:
        return []
    position = {text: index for index, text in enumerate(dict.fromkeys([*a, *b]))}
    vectors = embedder.encode(list(position))
    return [float(vectors[position[left]] @ vectors[position[right]]) for left, right in zip(a, b, strict=True)]
