"""LoRA adapters on one model in memory: loaded when a request first names them, one in force at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from launch.engines.identity import Adapter
from launch.errors import InputError

LOAD_ERRORS = (OSError, ValueError, RuntimeError, KeyError, TypeError, ImportError, AttributeError, SafetensorError)
_DEFAULT = "default"


class Adapters:
    """The adapters of ``model``, which peft changes in place; ``default`` is in force for requests that name none.

    Raises:
        InputError: an adapter cannot be loaded or does not fit the model.
    """

    def __init__(self, model: Any, default: str | None) -> None:
        self._model = model
        self._adapted: Any = None  # peft's wrapper, from the first adapter on
        self._names: dict[Adapter, str] = {}
        self._has_default = default is not None
        self.active: Adapter | None = None
        if default is not None:
            self._load(default, _DEFAULT)

    def use(self, adapter: Adapter | None) -> None:
        """Put ``adapter`` in force for what the model reads from now on; None: the default, or none."""
        if adapter == self.active:
            return
        if adapter is None:
            if self._has_default:
                self._adapted.set_adapter(_DEFAULT)
            else:
                self._adapted.base_model.disable_adapter_layers()
        else:
            if adapter not in self._names:
                name = f"request{len(self._names)}"
                self._load(adapter.path, name)
                self._names[adapter] = name
            self._adapted.base_model.enable_adapter_layers()
            self._adapted.set_adapter(self._names[adapter])
        self._model.eval()
        self.active = adapter

    def _load(self, path: str, name: str) -> None:
        from peft import PeftModel

        try:
            if self._adapted is None:
                self._adapted = PeftModel.from_pretrained(self._model, path, adapter_name=name)
            else:
                self._adapted.load_adapter(path, adapter_name=name)
        except LOAD_ERRORS as error:
            raise InputError(cannot_load("adapter", path, error)) from error


def cannot_load(what: str, name: str, error: Exception) -> str:
    """One sentence about a model, tokenizer or adapter that does not load."""
    reason = " ".join(str(error).split())[:300]
    place = "" if Path(name).is_dir() else " (no local folder of that name, and the hub did not give it)"
    return f"the {what} '{name}' cannot be loaded{place}: {reason}"
