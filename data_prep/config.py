"""The recipe of a build, and what of it decides whether a started build may go on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

from data_prep.chains import ChainMode
from data_prep.decontamination import DecontaminationConfig, check_decontamination
from data_prep.dedup import DedupConfig, check_dedup
from data_prep.gates import GateConfig
from data_prep.languages import get_language
from data_prep.sources import SourceConfig
from data_prep.translators import TranslatorConfig
from launch.errors import InputError

# Values that change how a build runs and not what comes out of it; a build may go on with others.
_OPERATIONAL = frozenset(
    {
        "output_dir",
        "overwrite",
        "pilot",
        "pilot_language",
        "translator.timeout_s",
        *(
            f"translator.engine.{name}"
            for name in (
                "base_url",
                "api_key_env",
                "batch_size",
                "concurrency",
                "device",
                "timeout_s",
                "tensor_parallel_size",
                "gpu_memory_utilization",
                "max_retries",
                "deadline_s",
            )
        ),
    }
)

# Values that recipes did not have from the beginning: with their defaults they leave the hash of a build as it was.
_LATER: dict[str, Any] = {
    "chain": "keep",
    **{f"dedup.{key}": value for key, value in dataclasses.asdict(DedupConfig()).items()},
    **{f"decontamination.{key}": value for key, value in dataclasses.asdict(DecontaminationConfig()).items()},
    "translator.granularity": TranslatorConfig.granularity,
    "translator.context_characters": TranslatorConfig.context_characters,
    "translator.block_instructions": TranslatorConfig.block_instructions,
    "translator.document_instructions": TranslatorConfig.document_instructions,
    "translator.adapters": {},
    "translator.engine.tokenizer": None,
    "translator.engine.max_model_len": None,
    "translator.engine.max_lora_rank": None,
}


@dataclass
class BuildConfig:
    """A build: rows of a source, translated into languages, in a folder.

    Args:
        output_dir: where everything is written.
        source: what is read.
        translator: how it is translated.
        gates: what a translated segment has to pass.
        dedup: which rows of the source repeat another one and are left out.
        decontamination: which rows hold a prompt of an evaluation and are left out.
        chain: what becomes of the chain of thought: ``keep``: it stays as it is, byte for byte; ``translate``: in
            translated rows it is translated as well, through the same contract and gates; ``drop``: no row has one.
        target_languages: ISO 639-1 codes; a row is not translated into its own language.
        keep_source: write the rows as they came as well.
        validation_share: share of the rows of the split ``train`` that go to the split ``validation``, drawn by
            the hash of their ids.
        shard_rows: source rows a shard: what is held in memory, and what is done again after a kill at most.
        max_characters: rows with more text to translate than this are rejected.
        seed: of every draw in the build.
        pretty_name: title of the data set card.
        overwrite: start over, even where the folder holds a build of another recipe; stored completions are kept.
        pilot: instead of the build, draw so many rows of each category, translate them into one language in
            ``output_dir/pilot``, and say what the build would come to; its completions serve the build as well.
        pilot_language: that language; the first of ``target_languages`` when it is left out.
    """

    output_dir: str = ""
    source: SourceConfig = field(default_factory=SourceConfig)
    translator: TranslatorConfig = field(default_factory=TranslatorConfig)
    gates: GateConfig = field(default_factory=GateConfig)
    dedup: DedupConfig = field(default_factory=DedupConfig)
    decontamination: DecontaminationConfig = field(default_factory=DecontaminationConfig)
    chain: ChainMode = "keep"
    target_languages: list[str] = field(default_factory=lambda: ["fr", "es", "de", "it", "ja"])
    keep_source: bool = True
    validation_share: float = 0.0
    shard_rows: int = 2000
    max_characters: int = 100_000
    seed: int = 0
    pretty_name: str = "Multilingual reasoning data"
    overwrite: bool = False
    pilot: int | None = None
    pilot_language: str | None = None


def check_config(config: BuildConfig) -> None:
    """Refuse values that cannot work, before anything is written.

    Raises:
        InputError: it names the key.
    """
    if not config.output_dir:
        raise InputError("output_dir is missing; give a folder with --output_dir")
    for position, code in enumerate(config.target_languages):
        try:
            get_language(code)
        except ValueError as error:
            raise InputError(f"target_languages[{position}]: {error}") from error
    if len(set(config.target_languages)) != len(config.target_languages):
        raise InputError("target_languages names a language twice")
    if not config.target_languages and not config.keep_source:
        raise InputError("target_languages is empty and keep_source is false; there is nothing to build")
    for key in ("shard_rows", "max_characters"):
        if getattr(config, key) < 1:
            raise InputError(f"{key} is {getattr(config, key)}; it has to be 1 or more")
    if not 0 <= config.validation_share < 1:
        raise InputError(f"validation_share is {config.validation_share}; it has to be at least 0 and less than 1")
    if config.source.limit is not None and config.source.limit < 1:
        raise InputError(f"source.limit is {config.source.limit}; it has to be 1 or more")
    check_split(config.source.split)
    check_dedup(config.dedup)
    check_decontamination(config.decontamination)
    _check_pilot(config)


def _check_pilot(config: BuildConfig) -> None:
    if config.pilot is not None and config.pilot < 1:
        raise InputError(f"pilot is {config.pilot}; it has to be 1 or more")
    if config.pilot is not None and not config.target_languages:
        raise InputError("target_languages is empty; a pilot translates into one of them")
    if config.pilot_language is not None and config.pilot_language not in config.target_languages:
        raise InputError(
            f"pilot_language is '{config.pilot_language}'; it has to be one of target_languages "
            f"({', '.join(config.target_languages) or 'none'})"
        )


def check_split(split: str) -> None:
    """Refuse names of splits that cannot be part of a file name."""
    if not re.fullmatch(r"[A-Za-z0-9_]{1,40}", split):
        raise InputError(f"the split name {split!r} cannot be used; letters, digits and underscores are allowed")


def build_hash(config: BuildConfig) -> str:
    """Sixteen hex digits over everything that decides what comes out."""
    content = json.dumps(flat_recipe(config), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def flat_recipe(config: BuildConfig) -> dict[str, Any]:
    """Every value that decides what comes out, by its dotted name."""
    flat: dict[str, Any] = {}

    def collect(values: dict[str, Any], prefix: str) -> None:
        for key, value in values.items():
            if isinstance(value, dict) and value and prefix + key != "translator.few_shot":
                collect(value, f"{prefix}{key}.")
            elif prefix + key not in _OPERATIONAL and not (prefix + key in _LATER and value == _LATER[prefix + key]):
                flat[prefix + key] = list(value) if isinstance(value, tuple) else value

    collect(dataclasses.asdict(config), "")
    return flat
