"""The model a run starts from: loaded by name or path, or made new with a tokenizer of its own; hybrid-corrected."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    set_seed,
)
from transformers.utils import is_bitsandbytes_available

from launch.errors import InputError
from launch.hybrid import prepare_hybrid
from launch.thinking import ends_open
from train.config import ModelConfig
from train.rendering import load_tokenizer

DEFAULT_CHAT_TEMPLATE = Path(__file__).parent / "templates" / "nemotron.jinja"
PAD, BOS, EOS = "<pad>", "<s>", "<SPECIAL_12>"
SPECIAL_TOKENS = (PAD, BOS, "<SPECIAL_10>", "<SPECIAL_11>", EOS)
# Tokens of their own, but part of the text: a completion keeps them when special tokens are removed.
THINK_TOKENS = ("<think>", "</think>")
# Linear layers that quantization leaves alone. The fused Mamba kernels take the weight of out_proj raw, and in 4 bits
# that is a packed array of another shape; the head decides the logits and is often tied to the embeddings.
NOT_QUANTIZED = ("out_proj", "lm_head")
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
        tokenizer_object=_show_think_tokens(bpe), pad_token=PAD, bos_token=BOS, eos_token=EOS, padding_side="right"
    )
    tokenizer.add_special_tokens({"additional_special_tokens": list(SPECIAL_TOKENS[2:4])})
    tokenizer.chat_template = DEFAULT_CHAT_TEMPLATE.read_text(encoding="utf-8")
    return tokenizer


def _show_think_tokens(bpe: Tokenizer) -> Tokenizer:
    """The same tokenizer, whose text keeps the tags of the chain: the trainer makes all it is given special."""
    content = json.loads(bpe.to_str())
    for token in content["added_tokens"]:
        token["special"] = token["content"] not in THINK_TOKENS
    return Tokenizer.from_str(json.dumps(content))


def load_model(
    config: ModelConfig, name_or_path: str | Path, modes: Collection[bool] = (True, False)
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load model and tokenizer, set the chat template, apply the hybrid corrections.

    Args:
        config: what of the recipe concerns the model.
        name_or_path: where it is.
        modes: the values of ``enable_thinking`` that the data has; the template must be right for these.

    Raises:
        InputError: there is no such model, it has no chat template or one that loses the chain, or bitsandbytes is
            missing.
    """
    where = str(name_or_path)
    source: dict[str, Any] = {"revision": config.revision, "trust_remote_code": config.trust_remote_code}
    quantization = quantization_config(config)
    try:
        # The tokenizer first: what is wrong with its template should not take the loading of the weights to show.
        tokenizer = load_tokenizer(config, where)
        check_chat_template(tokenizer, where, modes)
        model = AutoModelForCausalLM.from_pretrained(
            where,
            dtype=config.dtype,
            quantization_config=quantization,
            attn_implementation=config.attn_implementation,
            **source,
        )
    except InputError:
        raise
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"model.name_or_path: '{where}' cannot be loaded: {reason}") from error
    if quantization is not None:
        _keep_off_packed_cpu_path(model)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return prepare_hybrid(model), tokenizer


def quantization_config(config: ModelConfig) -> BitsAndBytesConfig | None:
    """How the frozen weights are quantized on loading; None: not at all.

    peft's ``prepare_model_for_kbit_training`` is left out on purpose: it casts everything that is not quantized to
    float32, which for a hybrid is embeddings, head and every out_proj (a quarter of the 9B), and with the embeddings
    the whole residual stream. What else it does is done by the trainer: freezing, gradient checkpointing, inputs that
    require gradients. RMSNorm and the scan compute in float32 anyway.

    Raises:
        InputError: bitsandbytes is not installed.
    """
    if config.quantization is None:
        return None
    if not is_bitsandbytes_available():
        raise InputError(
            "model.quantization needs bitsandbytes, which is not installed; install it with pip install -e '.[qlora]'"
        )
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=config.quantization,
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32 if config.dtype == "float32" else torch.bfloat16,
        llm_int8_skip_modules=list(NOT_QUANTIZED),
    )


def _keep_off_packed_cpu_path(model: nn.Module) -> None:
    """Have 4-bit layers pass by the path that bitsandbytes has for evaluation on CPUs with AVX512-BF16.

    It packs the weights at the first evaluation and leaves them so, and what is packed has no gradient (bitsandbytes
    0.50, ``nn.Linear4bit.forward``); it also takes no layer whose rows are not a multiple of 32.
    """
    import bitsandbytes  # not on every machine

    for module in model.modules():
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            module.support_avx512bf16_for_cpu = False


def check_chat_template(
    tokenizer: PreTrainedTokenizerBase, name: str, modes: Collection[bool] = (True, False)
) -> None:
    """Render one exchange as training does and see that the template keeps the chain and begins with the prompt.

    The template that Nemotron Nano 2 comes with fails: it renders ``content`` alone and does not know
    ``enable_thinking``, so that every chain would silently be missing from what is learned. Where no row has a chain
    it is right as it is.

    Args:
        tokenizer: with the template.
        name: of the model, for the message.
        modes: the values of ``enable_thinking`` that occur in the data; what does not occur is not asked for.

    Raises:
        InputError: the chain or the answer is lost, thinking cannot be switched off, or prompt and completion do not
            begin with the prompt.
    """
    question = {"role": "user", "content": "2 + 3?"}
    answer = {"role": "assistant", "content": "It is 5."}
    chain = "Two and three are five"
    remedy = "name another with model.chat_template (train/templates holds some)"
    turns = {True: {**answer, "reasoning_content": chain}, False: answer}
    for thinking, turn in ((mode, turns[mode]) for mode in (True, False) if mode in modes):
        flags: Any = {"tokenize": False, "enable_thinking": thinking}
        try:
            prompt = str(tokenizer.apply_chat_template([question], add_generation_prompt=True, **flags))
            whole = str(tokenizer.apply_chat_template([question, turn], **flags))
        except TemplateError as error:
            raise InputError(f"the chat template of '{name}' cannot be rendered: {error}; {remedy}") from error
        if answer["content"] not in whole or (thinking and chain not in whole):
            what = "the answer" if answer["content"] not in whole else "the chain (reasoning_content)"
            raise InputError(f"the chat template of '{name}' does not render {what}; {remedy}")
        if not thinking and ends_open(prompt):
            raise InputError(
                f"the chat template of '{name}' opens <think> although enable_thinking is false; {remedy}"
            )
        if not whole.startswith(prompt):
            raise InputError(
                f"the chat template of '{name}' renders the prompt differently once it is answered "
                f"(thinking {'on' if thinking else 'off'}), so training and generation would differ; {remedy}"
            )
