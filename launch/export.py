"""``python -m launch.export CHECKPOINT FOLDER``: a checkpoint that any server answers from as the engine ``hf`` does.

What only this product knows of a checkpoint is written into the files that every server reads: an adapter is merged,
and tokenizer, configuration and sampling defaults say what ``hf`` sees to by itself. Nothing of it changes the model.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from launch.engines.config import EngineConfig
from launch.engines.identity import base_and_adapter, read_template
from launch.errors import InputError, exit_cleanly
from launch.merging import load_merged
from launch.thinking import CLOSE, OPEN

# Not 0: transformers takes its logarithm where a model is made anew. As a bound from below it is none.
_NO_LOWER_BOUND = 1e-30


def export(config: EngineConfig, folder: Path) -> None:
    """Write the model of ``config`` (with its adapter, dtype and chat template) to ``folder``, whole or not at all.

    - An adapter is merged into its base model; the tokenizer and the template come from the adapter's folder.
    - The tags of the chain become ordinary tokens where they are special ones: servers leave special tokens out of
      the text, and with them the end of the chain.
    - A hybrid's time steps keep the limits of its configuration, which transformers 5.23 does not read.
    - ``generation_config.json`` holds the tokens that end a text and else only what changes nothing: a request's
      temperature counts, all tokens may be drawn.

    Raises:
        InputError: the folder is there already or cannot be written, there is no such model, it lacks weights, or its
            time steps have an upper limit, which no server applies.
    """
    if folder.exists():
        raise InputError(f"{folder} is there already; remove it, or name another folder")
    tokenizer, model = _load(config)
    _free_time_steps(model.config)
    model.generation_config = _plain_generation(model, tokenizer)
    partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    try:
        partial.mkdir(parents=True)
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        show_tags(partial)
        os.replace(partial, folder)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _load(config: EngineConfig) -> tuple[Any, Any]:
    """Tokenizer, with its template, and model, with the adapter merged into it."""
    template = read_template(config.chat_template)
    name, adapter = base_and_adapter(config)
    tokenizer, model = load_merged(name, adapter, dtype=config.dtype, trust_remote_code=config.trust_remote_code)
    if template is not None:
        tokenizer.chat_template = template
    return tokenizer, model


def _free_time_steps(config: Any) -> None:
    """Make the limits that transformers 5.15-5.23 applies in the scan, (time_step_min, inf), those of the model."""
    limits = getattr(config.get_text_config(), "time_step_limit", None)
    if limits is None:
        return
    lower, upper = (float(limit) for limit in limits)
    if math.isfinite(upper):
        raise InputError(f"the model limits its time steps to {upper:g}, which no server does; use the engine hf")
    config.get_text_config().time_step_min = max(lower, _NO_LOWER_BOUND)


def _plain_generation(model: Any, tokenizer: Any) -> Any:
    """The tokens that end a text, as ``hf`` knows them, and no preferences in drawing.

    transformers serve takes a request's temperature for nothing unless ``do_sample`` is set, and draws from the 50
    likeliest tokens unless ``top_k`` is; penalties of a checkpoint would apply to greedy decoding as well.
    """
    from transformers import GenerationConfig

    old = model.generation_config
    of_model = old.eos_token_id if old is not None else None
    ends = [*(of_model if isinstance(of_model, list) else [of_model]), tokenizer.eos_token_id]
    return GenerationConfig(
        do_sample=True,
        top_k=0,
        eos_token_id=sorted({token for token in ends if isinstance(token, int)}) or None,
        bos_token_id=tokenizer.bos_token_id,
        pad_token_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id,
    )


def show_tags(folder: Path) -> None:
    """Make ``<think>`` and ``</think>`` ordinary tokens of the tokenizer in ``folder``, with the ids they have.

    As Qwen 3 has them. They are tokenized as before, and text keeps them when special tokens are left out.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        return
    content = json.loads(path.read_text(encoding="utf-8"))
    tags = [token for token in content.get("added_tokens") or [] if token["content"] in (OPEN, CLOSE)]
    for token in tags:
        token["special"] = False
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2), encoding="utf-8")
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    for name in ("extra_special_tokens", "additional_special_tokens"):
        if isinstance(settings.get(name), list):
            settings[name] = [token for token in settings[name] if token not in (OPEN, CLOSE)]
    for token in (settings.get("added_tokens_decoder") or {}).values():
        token["special"] = token["special"] and token["content"] not in (OPEN, CLOSE)
    path.write_text(json.dumps(settings, ensure_ascii=False, indent=2), encoding="utf-8")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see python -m launch.export --help")


def main(argv: Sequence[str]) -> None:
    """Export the checkpoint that is named."""
    parser = _Parser(
        prog="python -m launch.export",
        description="Write a checkpoint that any server answers from as the engine hf does; see launch/serve.md.",
    )
    parser.add_argument("checkpoint", help="folder or hub name of a model, or of a LoRA adapter that names its base")
    parser.add_argument("folder", type=Path, help="where the exported checkpoint goes; must not be there yet")
    parser.add_argument("--adapter", help="folder or hub name of a LoRA adapter to merge into the checkpoint")
    parser.add_argument("--chat_template", help="path of a Jinja chat template in place of the tokenizer's own")
    parser.add_argument("--dtype", default="auto", choices=["auto", "float32", "bfloat16", "float16"])
    parser.add_argument("--trust_remote_code", action="store_true", help="run Python code that comes with the model")
    options = parser.parse_args(list(argv))
    config = EngineConfig(
        model=options.checkpoint,
        adapter=options.adapter,
        chat_template=options.chat_template,
        dtype=options.dtype,
        trust_remote_code=options.trust_remote_code,
    )
    export(config, options.folder)
    print(f"{options.folder}: serve this folder", flush=True)


if __name__ == "__main__":
    exit_cleanly(main)
