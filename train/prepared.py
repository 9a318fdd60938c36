"""Prepared data on disk: tokenised, masked and packed once, found again by a hash of everything that decides it.

A folder ``<key>`` holds ``train/`` and ``evaluation/<language>/`` (Arrow), ``examples.parquet`` (one line for every
drawn example: what was done to it, how long it is, why it was left out) and ``prepared.json`` (the report, and the
size of every file). It appears under its name only when it is whole; one that was damaged later is not used.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from datasets import Dataset, load_from_disk
from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

import data_prep.languages
import data_prep.schema
import launch.thinking
from launch.errors import InputError
from launch.files import write_whole
from train import examples, mixture, prepare, prepared_report, rendering, row_checks, transforms
from train.config import TrainConfig
from train.examples import Encoder
from train.mixture import Draw, count_by_language
from train.model import check_chat_template
from train.prepare import RunData
from train.prepared_report import bad_rows_message, describe, make_report
from train.rendering import end_of_turn_ids
from train.row_checks import find_markers

REPORT_FILE = "prepared.json"
DATA_FILE = "data.json"  # the same, in the folder of the run
EXAMPLES_FILE = "examples.parquet"
# Keys of TRL's configuration that decide which tokens are trained, and in which sequences.
_TRAINING_KEYS = (
    "max_length",
    "truncation_mode",
    "packing",
    "packing_strategy",
    "eval_packing",
    "completion_only_loss",
    "shuffle_dataset",
    "seed",
    "eos_token",
)
_PACKAGES = ("datasets", "jinja2", "tokenizers", "transformers", "trl")
# A change of this code is a change of the result.
_CODE = (
    data_prep.languages,
    data_prep.schema,
    launch.thinking,
    examples,
    mixture,
    prepare,
    prepared_report,
    rendering,
    row_checks,
    transforms,
)


def prepared_root(config: TrainConfig) -> Path:
    """The folder that all runs beside this one share: ``prepared`` next to its output folder."""
    return Path(config.training.output_dir or "").absolute().parent / "prepared"


def find_or_prepare(
    config: TrainConfig,
    tokenizer: PreTrainedTokenizerBase,
    name_or_path: str,
    say: Callable[[str], None] | None = None,
) -> RunData:
    """The prepared data of a run: what is there already, or else made now.

    Args:
        config: the recipe.
        tokenizer: of the model, with the chat template in force.
        name_or_path: where the model is; its generation config may name more tokens that end a turn.
        say: prints one line; None: nothing is said (processes beside the first).

    Raises:
        InputError: the build or its languages, the template, or more bad rows than the recipe allows.
    """
    say = say or (lambda line: None)
    ends = end_of_turn_ids(tokenizer, name_or_path, config.model.revision, config.training.eos_token)
    identity = describe_data(config, tokenizer, ends)
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:20]
    folder = prepared_root(config) / key
    problem = what_is_torn(folder) if folder.exists() else None
    if folder.exists() and problem is None:
        say(f"prepared data: found in {folder}; nothing is tokenised again")
        return _read(folder)
    if problem:
        say(f"prepared data: {folder} is not whole ({problem}); it is made again")
        shutil.rmtree(folder, ignore_errors=True)
    unfinished = folder.with_name(f".{key}.{socket.gethostname()}.{os.getpid()}.unfinished")
    _remove_abandoned(folder.parent)
    try:
        _write(unfinished, config, tokenizer, name_or_path, ends, identity)
        if what_is_torn(folder) is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.replace(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    say(f"prepared data: made in {folder}")
    return _read(folder)


def show_data(data: RunData, output_dir: Path) -> None:
    """Print what was left out, cut and done to chains, and keep the report with the run (``data.json``)."""
    for line in describe(data.report):
        print(line)
    kept = {key: value for key, value in data.report.items() if key != "files"}
    write_whole(output_dir / DATA_FILE, json.dumps({"prepared": str(data.folder), **kept}, indent=1))


def describe_data(
    config: TrainConfig, tokenizer: PreTrainedTokenizerBase, end_of_turn: frozenset[int]
) -> dict[str, Any]:
    """Everything that decides the prepared data, JSON-able."""
    data = asdict(config.data)
    manifest = prepare.finished_manifest(config.data)
    files = [
        file
        for split in (config.data.train_split, config.data.eval_split)
        for of_language in prepare.split_files(config.data, split).values()
        for file in of_language
    ]
    return {
        "build": _sha256(manifest.read_bytes()),
        "files": {file.name: file.stat().st_size for file in files},
        "data": {key: value for key, value in data.items() if key not in ("build", "max_bad_share")},
        "training": {key: getattr(config.training, key) for key in _TRAINING_KEYS},
        "tokenizer": _tokenizer_sha256(tokenizer),
        "chat_template": tokenizer.chat_template,
        "end_of_turn": sorted(end_of_turn),
        "packages": {package: version(package) for package in _PACKAGES},
        "code": _sha256(*(Path(str(module.__file__)).read_bytes() for module in _CODE)),
    }


def what_is_torn(folder: Path) -> str | None:
    """Why a folder of prepared data cannot be used; None: it is whole."""
    try:
        report = json.loads((folder / REPORT_FILE).read_text(encoding="utf-8"))
        for name, size in report["files"].items():
            if (folder / name).stat().st_size != size:
                return f"{name} has another size than it was written with"
    except OSError as error:
        return f"{Path(str(error.filename)).name} cannot be read"
    except (ValueError, KeyError, AttributeError):
        return f"{REPORT_FILE} is no report"
    return None


def _write(
    folder: Path,
    config: TrainConfig,
    tokenizer: PreTrainedTokenizerBase,
    name_or_path: str,
    end_of_turn: frozenset[int],
    identity: dict[str, Any],
) -> None:
    data, training = config.data, config.training
    work = folder / "work"
    work.mkdir(parents=True)
    try:
        markers = find_markers(tokenizer, end_of_turn)
    except TemplateError as error:
        raise InputError(
            f"the chat template of '{name_or_path}' cannot be rendered: {error}; name another with model.chat_template"
        ) from error
    rows = prepare.rows_by_language(data, data.train_split, work)
    draws = prepare.draw_rows(data, rows)
    learn_prompt = training.completion_only_loss is False

    def encoder(packing: bool, transformed: bool) -> Encoder:
        overflow = training.truncation_mode
        if packing:
            overflow = "split" if training.packing_strategy == "bfd_split" else "keep_start"
        chains = data.transforms if transformed else None
        return Encoder(tokenizer, markers, chains, training.max_length, overflow, learn_prompt)  # type: ignore[arg-type]

    def write_sequences(encoded: Dataset, packing: bool, target: Path) -> None:
        good = encoded.select([i for i, fault in enumerate(encoded["fault"]) if fault is None])
        sequences = prepare.to_sequences(good, training, packing=packing, unpacked_categories=data.unpacked_categories)
        sequences.save_to_disk(str(target))

    processes = training.dataset_num_proc
    train = prepare.encode_draws(draws, rows, encoder(training.packing, True), work, "train", processes)
    evaluation = {}
    eval_packing = training.packing if training.eval_packing is None else training.eval_packing
    for language, of_language in sorted(prepare.rows_by_language(data, data.eval_split, work).items()):
        if not data.languages or language in data.languages:
            some = {language: prepare.some_rows(of_language, data.eval_rows, data.seed)}
            plain = [Draw(language, index) for index in range(len(some[language]))]
            evaluation[language] = prepare.encode_draws(
                plain, some, encoder(eval_packing, False), work, f"evaluation-{language}", processes
            )
    report = make_report(train, evaluation, count_by_language(draws))
    message = bad_rows_message(train, data.max_bad_share)
    if message:
        # What is wrong with every row is more likely wrong with the template, and that has a message of its own.
        check_chat_template(tokenizer, name_or_path, {bool(mode) for mode in train.unique("thinking")})
        raise InputError(message)
    write_sequences(train, training.packing, folder / "train")
    for language, encoded in evaluation.items():
        write_sequences(encoded, eval_packing, folder / "evaluation" / language)
    train.remove_columns(["input_ids", "labels"]).to_parquet(str(folder / EXAMPLES_FILE))
    shutil.rmtree(work)
    files = {
        str(path.relative_to(folder)): path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()
    }
    write_whole(folder / REPORT_FILE, json.dumps({**report, "decided_by": identity, "files": files}, indent=1))


def _read(folder: Path) -> RunData:
    report = json.loads((folder / REPORT_FILE).read_text(encoding="utf-8"))
    evaluation = {language: load_from_disk(str(folder / "evaluation" / language)) for language in report["evaluation"]}
    modes = {bool(mode) for mode in report["thinking"]}
    train: Any = load_from_disk(str(folder / "train"))
    return RunData(train, evaluation, report["rows"], modes, report, folder)


def _remove_abandoned(root: Path) -> None:
    """Remove what processes of this machine left that are no more."""
    for path in root.glob(f".*.{socket.gethostname()}.*.unfinished"):
        process = path.name.split(".")[-2]
        if process.isdecimal() and not _is_running(int(process)):
            shutil.rmtree(path, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _tokenizer_sha256(tokenizer: PreTrainedTokenizerBase) -> str:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    content = backend.to_str() if backend is not None else json.dumps(tokenizer.get_vocab(), sort_keys=True)
    special = json.dumps(tokenizer.special_tokens_map, sort_keys=True, default=str)
    return _sha256(type(tokenizer).__name__.encode(), content.encode(), special.encode())


def _sha256(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    return digest.hexdigest()
