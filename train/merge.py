"""``python -m train merge``: an adapter and its base model become one checkpoint with the names that the hub has.

In goes the folder of an adapter (a run's ``final`` or ``checkpoint-N``), out comes a checkpoint that transformers and
vLLM load; a full fine-tune's checkpoint comes out without its training states. ``python -m launch.export`` changes
what servers would get wrong on top of it.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from launch.engines.identity import fingerprint, local_folder
from launch.errors import InputError
from launch.merging import ADAPTER_CONFIG, base_of, load_merged


def merge(
    checkpoint: str,
    output_dir: Path,
    *,
    base: str | None = None,
    any_base: bool = False,
    dtype: str = "auto",
    max_shard_size: str = "5GB",
    trust_remote_code: bool = False,
) -> None:
    """Write ``checkpoint``, merged into its base if it is an adapter, to ``output_dir``, whole or not at all.

    - Every tensor keeps the name that the hub has (``backbone.…`` for ``nemotron_h``) and the dtype of the base; an
      adapter that was trained on 4-bit weights (QLoRA) is merged into the unquantized ones.
    - Tokenizer and chat template are the adapter's, where it brings them; the generation config is the base's.

    Args:
        checkpoint: folder of an adapter or of a whole model.
        output_dir: must not be there yet.
        base: folder or hub name of the model that the adapter was trained on, where it has been moved.
        any_base: take ``base`` although it is not the model that the adapter names.
        dtype: auto, float32, bfloat16 or float16.
        max_shard_size: a larger model is spread over files of this size.
        trust_remote_code: run Python code that comes with the model.

    Raises:
        InputError: a folder is not what it should be, or the adapter was trained on another model.
    """
    from transformers import GenerationConfig

    if output_dir.exists():
        raise InputError(f"{output_dir} is there already; remove it, or name another folder")
    folder = local_folder(checkpoint, "checkpoint")
    if folder is None:
        raise InputError(f"{checkpoint} is no folder; name a run's final or checkpoint-N")
    model_name, adapter = _model_and_adapter(folder, base, any_base)
    tokenizer, model = load_merged(model_name, adapter, dtype=dtype, trust_remote_code=trust_remote_code)
    # Saving checks it, and not everything on the hub passes; it is copied as it is.
    generation, model.generation_config = model.generation_config, GenerationConfig()
    partial = output_dir.with_name(f".{output_dir.name}.partial-{os.getpid()}")
    try:
        partial.mkdir(parents=True)
        model.save_pretrained(partial, max_shard_size=max_shard_size)
        tokenizer.save_pretrained(partial)
        if generation is not None:
            (partial / "generation_config.json").write_text(generation.to_json_string(), encoding="utf-8")
        os.replace(partial, output_dir)
    except Exception as error:
        # safetensors and torch have errors of their own for a full disk.
        if isinstance(error, OSError) or "os error" in str(error):
            raise InputError(f"{output_dir} cannot be written: {error}") from error
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _model_and_adapter(folder: Path, base: str | None, any_base: bool) -> tuple[str, str | None]:
    """Name of the model, and of the adapter if the folder holds one."""
    if not (folder / ADAPTER_CONFIG).is_file():
        if not (folder / "config.json").is_file():
            raise InputError(f"{folder} holds neither {ADAPTER_CONFIG} nor config.json; is it a run's final folder?")
        if base is not None:
            raise InputError(f"{folder} is a whole model and no adapter; leave --base out")
        return str(folder), None
    named = base_of(folder)
    if base is None:
        local_folder(named, f"base model of the adapter {folder}, which --base can name: the model")
        return named, str(folder)
    if not any_base and not _is_same_model(named, base):
        raise InputError(
            f"the adapter {folder} was trained on {named}, not on {base}; "
            "if that is the same model under another name, say --any_base"
        )
    return base, str(folder)


def _is_same_model(named: str, given: str) -> bool:
    """By the last part of the name, or by the files where both are folders."""
    here, there = local_folder(given, "base model"), Path(named)
    if here is not None and there.is_dir():
        return fingerprint(here) == fingerprint(there)
    return Path(named).name == Path(given).name


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see python -m train merge --help")


def main(argv: Sequence[str]) -> None:
    """Merge the adapter that is named."""
    parser = _Parser(
        prog="python -m train merge",
        description="Merge a LoRA adapter into its base model: one checkpoint with the names that the hub has.",
    )
    parser.add_argument(
        "--adapter", "--checkpoint", dest="checkpoint", required=True, help="a run's final or checkpoint-N"
    )
    parser.add_argument("--output_dir", type=Path, required=True, help="where it goes; must not be there yet")
    parser.add_argument("--base", help="folder or hub name of the base model, if it is not where the adapter says")
    parser.add_argument("--any_base", action="store_true", help="take --base under whatever name")
    parser.add_argument("--dtype", default="auto", choices=["auto", "float32", "bfloat16", "float16"])
    parser.add_argument("--max_shard_size", default="5GB", help="a larger model is spread over files of this size")
    parser.add_argument("--trust_remote_code", action="store_true", help="run Python code that comes with the model")
    options = vars(parser.parse_args(list(argv)))
    merge(**options)
    print(f"{options['output_dir']}: written", flush=True)
