"""A model and its tokenizer as they will be saved: loaded by name or folder, an adapter checked and merged into it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from launch.engines.adapters import LOAD_ERRORS, cannot_load
from launch.errors import InputError, some_of

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def load_merged(
    name: str, adapter: str | None, *, dtype: str = "auto", trust_remote_code: bool = False
) -> tuple[Any, Any]:
    """Tokenizer and model of ``name``, with the LoRA adapter merged into its weights.

    One copy of the model is held in memory, beside the update of one layer at a time.

    Args:
        name: folder or hub name of the model.
        adapter: folder or hub name of the adapter; its tokenizer and chat template, if it brings them, are taken.
        dtype: auto is that of the checkpoint.
        trust_remote_code: run Python code that comes with the model.

    Raises:
        InputError: one of them cannot be loaded, the model lacks weights, it is quantized, or the adapter belongs to
            another model.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    tokenizer_at = adapter if adapter and Path(adapter, "tokenizer_config.json").is_file() else name
    shared: dict[str, Any] = {"trust_remote_code": trust_remote_code}
    try:
        tokenizer = AutoTokenizer.from_pretrained(tokenizer_at, **shared)
        config = AutoConfig.from_pretrained(name, **shared)
        if adapter and getattr(config, "quantization_config", None) is not None:
            raise InputError(
                f"{name} is quantized and an adapter cannot be merged into it; name the model it was made of"
            )
        loaded: Any = AutoModelForCausalLM.from_pretrained(name, dtype=dtype, output_loading_info=True, **shared)
    except InputError:
        raise
    except LOAD_ERRORS as error:
        raise InputError(cannot_load("model", name, error)) from error
    model, report = loaded
    if report["missing_keys"]:
        raise InputError(f"the weights in {name} lack {len(report['missing_keys'])} of the model's tensors")
    return tokenizer, merge_adapter(model, adapter, name) if adapter else model


def merge_adapter(model: Any, adapter: str, name: str) -> Any:
    """``model`` with the adapter added to its weights, which keep their dtype; ``name`` is the model's in messages.

    Raises:
        InputError: the adapter cannot be read, or was trained on a model with other modules or shapes.
    """
    from peft import PeftModel, get_peft_model_state_dict

    try:
        adapted = PeftModel.from_pretrained(model, adapter)
        wanted = {key: tuple(tensor.shape) for key, tensor in get_peft_model_state_dict(adapted).items()}
    except LOAD_ERRORS as error:
        if "size mismatch" in str(error) or "Target modules" in str(error):
            raise InputError(_another_base(adapter, name, " ".join(str(error).split())[:300])) from error
        raise InputError(cannot_load("adapter", adapter, error)) from error
    saved = _saved_shapes(adapter)
    # PEFT passes over names that it does not find, with a warning at most.
    wrong = sorted(key for key in wanted.keys() | saved.keys() if wanted.get(key) != saved.get(key))
    if saved and wrong:
        raise InputError(_another_base(adapter, name, f"only one of them has {some_of(wrong)}"))
    return adapted.merge_and_unload(safe_merge=True)


def base_of(adapter: Path) -> str:
    """Name or folder of the model that an adapter's configuration says it was trained on.

    Raises:
        InputError: it does not say.
    """
    try:
        base = json.loads((adapter / ADAPTER_CONFIG).read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise InputError(f"{adapter / ADAPTER_CONFIG} does not name the base model of the adapter") from error
    if not isinstance(base, str) or not base:
        raise InputError(f"{adapter / ADAPTER_CONFIG} does not name the base model of the adapter")
    return base


def _saved_shapes(adapter: str) -> dict[str, tuple[int, ...]]:
    """Name → shape of the tensors in a local adapter's file; empty where there is no such file here."""
    path = Path(adapter) / ADAPTER_WEIGHTS
    if not path.is_file():
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(cannot_load("adapter", adapter, error)) from error


def _another_base(adapter: str, name: str, reason: str) -> str:
    return f"the adapter {adapter} was trained on another model than {name}: {reason}"
