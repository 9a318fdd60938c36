"""The model a run starts from: loaded by name or path, or made new with a tokenizer of its own; hybrid-corrected."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    set_seed,
)

from launch.errors import InputError
from launch.hybrid import prepare_hybrid
from train.config import ModelConfig

DEFAULT_CHAT_TEMPLATE = Path(__file__).parent / "templates" / "nemotron.jinja"
PAD, BOS, EOS = "<pad>", "<s>", "<SPECIAL_12>"
SPECIAL_TOKENS = (PAD, BOS, "<SPECIAL_10>", "<SPECIAL_11>", EOS)
# Tokens of their own, but part of the text: a completion keeps them when special tokens are removed.
THINK_TOKENS = ("<think>", "</think>")
# Numbers up to three digits are one token, as in Llama 3; a leading space belongs to its word.
_PRETOKENS = Regex(r"\p{N}{1,3}| ?\p{L}+| ?[^\s\p{N}\p{L}]+|\s+")


def create_initial_checkpoint(config: ModelConfig, folder: Path, texts: Iterable[str], seed: int) -> Path:
    """Write the randomly initialised model and its tokenizer to ``folder``, whole or not at all; kept if it is there.

    Evaluating this folder says what the untrained model can do.
    """
    if folder.is_dir():
        return folder
    tokenizer = train_tokenizer(texts, config.tokenizer_vocab_size)
    set_seed(seed)
    architecture = dict(config.architecture or {})
    model_type = architecture.pop("model_type", None)
    try:
        model_config = AutoConfig.for_model(
            model_type,
            **architecture,
            vocab_size=len(tokenizer),
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
        # The class itself, since from_config shards the new model over processes that are not here under ZeRO-3.
        model_class: Any = MODEL_FOR_CAUSAL_LM_MAPPING[type(model_config)]
        model: PreTrainedModel = model_class(model_config)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"model.architecture: no model can be made of it: {error}") from error
    partial = folder.with_name(f"{folder.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    os.replace(partial, folder)
    return folder


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with the special tokens of the Nemotron chat layout.

    Args:
        texts: what to learn the merges from.
        vocab_size: entries at most, special tokens included.
    """
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(_PRETOKENS, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[*SPECIAL_TOKENS, *THINK_TOKENS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token=PAD, bos_token=BOS, eos_token=EOS, padding_side="right"
    )
    tokenizer.add_special_tokens({"additional_special_tokens": list(SPECIAL_TOKENS[2:4])})
    tokenizer.chat_template = DEFAULT_CHAT_TEMPLATE.read_text(encoding="utf-8")
    return tokenizer


def load_model(config: ModelConfig, name_or_path: str | Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load model and tokenizer, set the chat template, apply the hybrid corrections.

    Raises:
        InputError: there is no such model, or it has no chat template.
    """
    where = str(name_or_path)
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            where, revision=config.revision, trust_remote_code=config.trust_remote_code
        )
        model = AutoModelForCausalLM.from_pretrained(
            where,
            revision=config.revision,
            dtype=config.dtype,
            attn_implementation=config.attn_implementation,
            trust_remote_code=config.trust_remote_code,
        )
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"model.name_or_path: '{where}' cannot be loaded: {reason}") from error
    if config.chat_template:
        try:
            tokenizer.chat_template = Path(config.chat_template).read_text(encoding="utf-8")
        except OSError as error:
            raise InputError(f"model.chat_template: {config.chat_template}: {error.strerror}") from error
    if not tokenizer.chat_template:
        raise InputError(f"the tokenizer of '{where}' has no chat template; name one with model.chat_template")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return prepare_hybrid(model), tokenizer
