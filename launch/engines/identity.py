"""What a model is, for the key of a request: a hub name and revision, or a folder and a fingerprint of its files."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from launch.engines.config import EngineConfig
from launch.errors import InputError

_WHOLE_FILE_BYTES = 64 * 2**20
_SAMPLES, _SAMPLE_BYTES = 32, 2**18


def base_and_adapter(config: EngineConfig) -> tuple[str, str | None]:
    """Name or folder of the model and of the adapter; a model folder that holds only an adapter names its base.

    Raises:
        InputError: a folder is not there or is not what it should be.
    """
    folder = local_folder(config.model, "model")
    adapter = config.adapter
    if adapter:
        _adapter_folder(adapter)
    if folder is None or (folder / "config.json").is_file():
        return config.model, adapter
    if adapter or not (folder / "adapter_config.json").is_file():
        raise InputError(f"the model folder {config.model} holds no config.json; is it a checkpoint?")
    try:
        base = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise InputError(f"{folder / 'adapter_config.json'} does not name the base model of the adapter") from error
    local_folder(str(base), f"base model of the adapter {config.model}: the model")
    return str(base), config.model


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter that a request is answered with: where it is, and what it is (see ``identity_of``)."""

    path: str
    identity: str

    @classmethod
    def at(cls, name: str) -> Adapter:
        """The adapter in a folder or under a hub name, as it is now.

        Raises:
            InputError: the folder is not there or holds no adapter.
        """
        _adapter_folder(name)
        return cls(name, identity_of(name, None))


def _adapter_folder(name: str) -> None:
    """Refuse a folder that is not there or holds no adapter, without reading its weights."""
    folder = local_folder(name, "adapter")
    if folder is not None and not (folder / "adapter_config.json").is_file():
        raise InputError(f"the adapter folder {name} holds no adapter_config.json")


def read_template(path: str | None) -> str | None:
    """The chat template in a file; None for none.

    Raises:
        InputError: it cannot be read.
    """
    if path is None:
        return None
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"the engine's chat_template {path} cannot be read: {reason}") from error


def template_identity(template: str) -> str:
    """A chat template in place of the tokenizer's own, as it stands in an engine's identity."""
    return f"template={hashlib.sha256(template.encode()).hexdigest()[:16]}"


def local_folder(name: str, what: str) -> Path | None:
    """The local folder of that name; None for a name on the hub.

    Raises:
        InputError: it looks like a path, and nothing or a file is there; ``what`` says what it should be.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    is_path = path.is_absolute() or name.startswith((".", "~")) or name.endswith(os.sep) or name.count("/") != 1
    if path.exists() or (is_path and "/" in name):
        raise InputError(f"the {what} folder {name} does not exist" if not path.exists() else f"{name} is no folder")
    return None


def identity_of(name: str, revision: str | None) -> str:
    """A model's or an adapter's name in a key: it follows the content of a folder, not its place."""
    path = Path(name).expanduser()
    if path.is_dir():
        return f"{path.resolve().name}#{fingerprint(path)}"
    return f"{name}@{revision or 'main'}"


def fingerprint(folder: Path) -> str:
    """Sixteen hex digits over a model folder: every file that shapes answers, by name, size and content.

    Of a file over 64 MiB, samples spread over it are read: training changes every tensor, so they change too.
    """
    digest = hashlib.sha256()
    shaping = (".json", ".jinja", ".safetensors", ".bin", ".model", ".txt", ".py", ".gguf")
    state = ("trainer_state.json", "optimizer.bin", "scheduler.bin", "training_args.bin")
    for path in sorted(folder.iterdir()):
        if not path.is_file() or path.suffix not in shaping or path.name in state:
            continue
        size = path.stat().st_size
        digest.update(f"{path.name}\0{size}\0".encode())
        with path.open("rb") as file:
            if size <= _WHOLE_FILE_BYTES:
                digest.update(hashlib.file_digest(file, "sha256").digest())
                continue
            for sample in range(_SAMPLES):
                file.seek(sample * (size - _SAMPLE_BYTES) // (_SAMPLES - 1))
                digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:16]
