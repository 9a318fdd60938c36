"""What a training recipe may say: the model, the data, LoRA or not, and every field of TRL's ``SFTConfig``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from trl import SFTConfig

from launch.errors import InputError


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
        target_modules: which modules get one: null or "auto" for the preset of the architecture (every linear layer
            that can be adapted), a list of names, one regular expression over whole module paths, or "all-linear"
            (refused for models with Mamba blocks).
    """

    r: int = 16
    alpha: int = 32
    dropout: float = 0.0
    target_modules: list[str] | str | None = None


@dataclass
class TransformOverride:
    """Other shares for the rows of a language, of a category, or of both.

    Args:
        language: ISO 639-1 code; every language if nothing is said.
        category: as in the rows; every category if nothing is said.
        strip_share: instead of ``data.transforms.strip_share``; the same if nothing is said.
        cut_share: instead of ``data.transforms.cut_share``; the same if nothing is said.
    """

    language: str | None = None
    category: str | None = None
    strip_share: float | None = None
    cut_share: float | None = None

    def __post_init__(self) -> None:
        if self.language is None and self.category is None:
            raise InputError("data.transforms.overrides: an entry names neither a language nor a category")


@dataclass
class TransformsConfig:
    """What is done to the chains of some rows, so that the model also answers without thinking or after little of it.

    Args:
        strip_share: share of the rows with a chain that lose it and are rendered with thinking off; 0.1 for Nemotron
            Nano 2.
        cut_share: share of the rows with a chain whose chain is cut short, the answer kept; 0.05 for Nemotron Nano 2.
        cut_tokens: fewest and most tokens that are left of such a chain; it ends at the end of a line. A chain that is
            shorter already is left whole.
        mask_forced_close: do not learn the </think> after a cut chain: the model then learns to answer after a thought
            that was ended for it, not to end it there itself.
        overrides: other shares by language and category; of several that fit a row the last one decides.
        seed: with a row's id it decides what happens to the row.
    """

    strip_share: float = 0.0
    cut_share: float = 0.0
    cut_tokens: tuple[int, int] = (1000, 2000)
    mask_forced_close: bool = False
    overrides: list[TransformOverride] = field(default_factory=list)
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.cut_tokens[0] <= self.cut_tokens[1]:
            raise InputError(
                f"data.transforms.cut_tokens is {list(self.cut_tokens)}; it should be the fewest and the most tokens "
                "left of a cut chain, for example [1000, 2000]"
            )
        for language, category in [(None, None), *((o.language, o.category) for o in self.overrides)]:
            strip, cut = self.shares(language, category)
            if min(strip, cut) < 0 or strip + cut > 1:
                where = " ".join(filter(None, (language, category)))
                raise InputError(
                    f"data.transforms{f' ({where})' if where else ''}: strip_share {strip} and cut_share {cut} should "
                    "be at least 0 and together at most 1"
                )

    def shares(self, language: str | None, category: str | None) -> tuple[float, float]:
        """Share of stripped and of cut chains among the rows of a language and category."""
        strip, cut = self.strip_share, self.cut_share
        for override in self.overrides:
            if override.language in (None, language) and override.category in (None, category):
                strip = strip if override.strip_share is None else override.strip_share
                cut = cut if override.cut_share is None else override.cut_share
        return strip, cut


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
        transforms: chains that are stripped or cut short, see there.
        unpacked_categories: categories whose rows get a sequence of their own even where the others are packed, as
            Nemotron Nano 2 was trained on its tool data.
        max_bad_share: share of the rows that may be left out because something is wrong with them (they are counted by
            reason and named by id); more end the run before it starts. 0: a single bad row ends it.
        eval_rows: evaluation rows a language.
        seed: seed of the draw.
    """

    build: str = ""
    train_split: str = "train"
    eval_split: str = "validation"
    languages: dict[str, float] = field(default_factory=dict)
    rows: int | None = None
    translation_share: float = 0.0
    transforms: TransformsConfig = field(default_factory=TransformsConfig)
    unpacked_categories: list[str] = field(default_factory=list)
    max_bad_share: float = 0.1
    eval_rows: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.build:
            raise InputError("data.build is missing: the folder that `python -m data_prep build` wrote")
        if not 0 <= self.translation_share < 1:
            raise InputError(f"data.translation_share is {self.translation_share}; it should be from 0 to below 1")
        if not 0 <= self.max_bad_share <= 1:
            raise InputError(f"data.max_bad_share is {self.max_bad_share}; it should be from 0 to 1")
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
        _check_data_settings(self.training)
        if self.model.quantization is not None and self.lora is None:
            raise InputError(
                f"model.quantization: weights in {self.model.quantization} cannot be trained themselves; "
                "give the run adapters (lora) or leave quantization out"
            )


def _check_data_settings(training: SFTConfig) -> None:
    """Refuse what would train on something else than whole conversations of which the assistant's turns are learned.

    Raises:
        InputError: names the key, and what to do instead.
    """
    packing = training.packing or bool(training.eval_packing)
    if packing and training.packing_strategy == "wrapped":
        raise InputError(
            "training.packing_strategy: 'wrapped' cuts the stream of tokens anywhere and keeps no boundaries, so that "
            "every document would go on in the state of the one before it; use 'bfd'"
        )
    if packing and training.max_length is None:
        raise InputError("training.packing needs training.max_length, the tokens of a packed row")
    if training.truncation_mode not in ("keep_start", "keep_end"):
        raise InputError(
            f"training.truncation_mode is '{training.truncation_mode}'; it should be keep_start or keep_end"
        )
    instead = {
        "assistant_only_loss": "leave it out: of every row the assistant's turns alone are learned, without it",
        "chat_template_path": "use model.chat_template",
        "dataset_kwargs": "leave it out: the rows are tokenised before the trainer sees them",
    }
    for key, remedy in instead.items():
        if getattr(training, key):
            raise InputError(f"training.{key} has no place here; {remedy}")
