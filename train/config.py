"""What a training recipe may say: the model, the data, LoRA or not, and every field of TRL's ``SFTConfig``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from trl import SFTConfig

from launch.errors import InputError

# Everything in a hybrid block that LoRA can reach: out_proj and conv1d are handed to the fused kernels as raw weights,
# so an adapter there would never be trained.
HYBRID_LORA_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "in_proj", "up_proj", "down_proj")


@dataclass
class ModelConfig:
    """The model to fine-tune: an existing one by name or path, or a new one from its configuration.

    Args:
        name_or_path: hub name or local folder of the checkpoint to start from.
        revision: branch, tag or commit on the hub.
        architecture: instead of name_or_path: the configuration of a new, randomly initialised model
            (model_type and its fields); a tokenizer is then trained on the training rows.
        tokenizer_vocab_size: entries of the new tokenizer, with architecture only.
        chat_template: path of a Jinja chat template that replaces the tokenizer's own; a new tokenizer
            gets train/templates/nemotron.jinja if nothing is said.
        dtype: float32, bfloat16 or auto (as in the checkpoint).
        quantization: nf4 keeps the frozen weights under LoRA adapters in 4 bits (QLoRA, Dettmers et al. 2023, with
            double quantization) and computes in bfloat16, or in float32 if dtype says so; needs bitsandbytes.
        attn_implementation: sdpa, flash_attention_2, eager …; the library's choice if nothing is said.
        trust_remote_code: run Python code that comes with the checkpoint.
    """

    name_or_path: str | None = None
    revision: str | None = None
    architecture: dict[str, Any] | None = None
    tokenizer_vocab_size: int = 4096
    chat_template: str | None = None
    dtype: str = "auto"
    quantization: Literal["nf4"] | None = None
    attn_implementation: str | None = None
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        if (self.name_or_path is None) == (self.architecture is None):
            raise InputError("model: give either name_or_path (an existing model) or architecture (a new one)")


@dataclass
class LoraConfig:
    """Low-rank adapters instead of a full fine-tune.

    Args:
        r: rank.
        alpha: scaling numerator; the update is scaled by alpha / r.
        dropout: dropout in front of the adapters.
        target_modules: names of the modules that get one.
    """

    r: int = 16
    alpha: int = 32
    dropout: float = 0.0
    target_modules: list[str] = field(default_factory=lambda: list(HYBRID_LORA_TARGETS))


@dataclass
class DataConfig:
    """The rows to train on: a folder that ``python -m data_prep build`` made, and how it is mixed.

    Args:
        build: the build's output folder.
        train_split: split the training rows come from.
        eval_split: split the per-language evaluation losses are taken on.
        languages: weight of each language in the mixture, for example {en: 1, fr: 2}; a language that is not
            named is left out. Without it every language of the build is in, by its number of rows.
        rows: training rows to draw in all. More than there are means several passes, each in a new order;
            without it every row of the chosen languages is drawn once.
        translation_share: share of the rows that are replaced by translation exercises ("Translate into French:
            …", thinking off), made from the English row and its translation.
        eval_rows: evaluation rows a language.
        seed: seed of the draw.
    """

    build: str = ""
    train_split: str = "train"
    eval_split: str = "validation"
    languages: dict[str, float] = field(default_factory=dict)
    rows: int | None = None
    translation_share: float = 0.0
    eval_rows: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.build:
            raise InputError("data.build is missing: the folder that `python -m data_prep build` wrote")
        if not 0 <= self.translation_share < 1:
            raise InputError(f"data.translation_share is {self.translation_share}; it should be from 0 to below 1")
        bad = [code for code, weight in self.languages.items() if weight <= 0]
        if bad:
            raise InputError(f"data.languages: the weight of '{bad[0]}' should be above 0 (leave it out to drop it)")


@dataclass
class TrainConfig:
    """A fine-tuning run.

    Args:
        model: the model to start from.
        data: the rows to train on.
        training: every field of TRL's SFTConfig (output_dir, learning_rate, max_steps, packing …).
        lora: adapters; null is a full fine-tune.
        dry_run: load, draw and render everything, show it, and stop before the first step.
        overwrite: forget the checkpoints in output_dir and start over.
    """

    model: ModelConfig
    data: DataConfig
    training: SFTConfig
    lora: LoraConfig | None = None
    dry_run: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.model.quantization is not None and self.lora is None:
            raise InputError(
                f"model.quantization: weights in {self.model.quantization} cannot be trained themselves; "
                "give the run adapters (lora) or leave quantization out"
            )
