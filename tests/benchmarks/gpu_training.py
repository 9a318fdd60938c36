"""What only a GPU can show, run by ``launch/gpu_check.sh``: are the Mamba kernels right, and how fast is training?

First a small hybrid in float32: kernels against the PyTorch path, packed rows against separate ones, in logits and in
gradients. Then LoRA on the 9B with random weights (speed does not ask what the weights are) through TRL's trainer, on
packed rows of several lengths. Every figure is written as soon as it is there.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from datasets import Dataset
from peft import LoraConfig
from tabulate import tabulate
from torch import Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    NemotronHConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    TrainerCallback,
)
from trl import SFTConfig, SFTTrainer

from launch.errors import exit_cleanly
from launch.files import write_whole
from launch.hybrid import has_mamba_kernels, prepare_hybrid
from launch.recipe import parse_recipe

# nvidia/NVIDIA-Nemotron-Nano-9B-v2, config.json.
_PATTERN_9B = "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-"
_BLOCKS = {"M": "linear_attention", "*": "full_attention", "-": "mlp"}
_SIZES: dict[str, dict[str, Any]] = {
    "9b": {
        "layers": _PATTERN_9B, "hidden_size": 4480, "intermediate_size": 15680, "num_attention_heads": 40,
        "num_key_value_heads": 8, "head_dim": 128, "mamba_num_heads": 128, "mamba_head_dim": 80, "ssm_state_size": 128,
        "n_groups": 8, "conv_kernel": 4, "chunk_size": 128, "vocab_size": 131072, "max_position_embeddings": 131072,
    },
    "tiny": {
        "layers": "M-M*-M-", "hidden_size": 128, "intermediate_size": 256, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 32, "mamba_num_heads": 8, "mamba_head_dim": 32, "ssm_state_size": 32,
        "n_groups": 2, "conv_kernel": 4, "chunk_size": 32, "vocab_size": 512, "max_position_embeddings": 131072,
    },
}  # fmt: skip
_TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "in_proj", "up_proj", "down_proj"]
# Dense bfloat16 FLOP/s of the data sheets, without sparsity.
_PEAK = {"H200": 989e12, "H100 PCIe": 756e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "B200": 2250e12}
_DOCUMENTS = 4  # in a packed row


@dataclass
class Benchmark:
    """What is measured, and where it is written.

    Args:
        output_dir: the folder of gpu_check.json and gpu_check.md.
        model: 9b, or tiny to try the program itself.
        lengths: tokens of a packed row.
        steps: optimizer steps that count, of one row each; two before them do not.
        lora_r: rank of the adapters.
        built_in_s: how long building the kernels took, to be written down.
    """

    output_dir: str = "runs/gpu_check"
    model: Literal["9b", "tiny"] = "9b"
    lengths: list[int] = field(default_factory=lambda: [4096, 16384])
    steps: int = 6
    lora_r: int = 16
    built_in_s: float | None = None


def new_model(size: str, *, device: str, dtype: torch.dtype) -> PreTrainedModel:
    """A ``nemotron_h`` with random weights, corrected as the product corrects every one."""
    values = dict(_SIZES[size])
    config = NemotronHConfig(layers_block_type=[_BLOCKS[block] for block in values.pop("layers")], **values)
    with torch.device(device):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=dtype)
    return prepare_hybrid(model)


def check_kernels() -> dict[str, float]:
    """The largest differences in float32: of the kernels from the PyTorch path, of packed rows from separate ones."""
    torch.manual_seed(0)
    reference = new_model("tiny", device="cpu", dtype=torch.float32)
    on_gpu = new_model("tiny", device="cuda", dtype=torch.float32)
    on_gpu.load_state_dict(reference.state_dict())
    lengths = (70, 33, 129, 5)
    documents = [torch.randint(5, 512, (1, length)) for length in lengths]
    packed = torch.cat(documents, 1)
    positions = torch.cat([torch.arange(length) for length in lengths])[None]
    numbers = torch.cat([torch.full((length,), n, dtype=torch.int32) for n, length in enumerate(lengths)])[None]
    inside = {"position_ids": positions, "seq_idx": numbers, "use_cache": False}
    alone = {"use_cache": False}
    separate_cpu = _run(reference, [(document, alone) for document in documents])
    separate_gpu = _run(on_gpu, [(document, alone) for document in documents])
    packed_gpu = _run(on_gpu, [(packed, inside)])
    return {
        "kernels − PyTorch, logits": _distance(separate_gpu[0], separate_cpu[0]),
        "kernels − PyTorch, gradients": _distance(separate_gpu[1], separate_cpu[1]),
        "packed − separate, logits": _distance(packed_gpu[0], separate_gpu[0]),
        "packed − separate, gradients": _distance(packed_gpu[1], separate_gpu[1]),
    }


def _run(model: nn.Module, rows: list[tuple[Tensor, dict[str, Any]]]) -> tuple[Tensor, Tensor]:
    """Logits of all rows, one after the other, and all gradients of the mean of their squares."""
    model.zero_grad()
    device = next(model.parameters()).device
    logits = []
    for tokens, options in rows:
        moved = {key: value.to(device) if isinstance(value, Tensor) else value for key, value in options.items()}
        logits.append(model(input_ids=tokens.to(device), **moved).logits[0])
    together = torch.cat(logits)
    together.square().mean().backward()
    gradients = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    return together.detach().cpu(), gradients.cpu()


def _distance(one: Tensor, other: Tensor) -> float:
    """The largest difference, as a share of the largest value."""
    return float((one - other).abs().max() / other.abs().max())


class Clock(TrainerCallback):
    """Seconds of every optimizer step, the device's work included."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._started = 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Start, when the device has nothing left to do."""
        self._started = _now()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Stop, likewise."""
        self.seconds.append(_now() - self._started)


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def measure(benchmark: Benchmark, length: int) -> dict[str, Any]:
    """LoRA on packed rows of ``length`` tokens with TRL's trainer, gradient checkpointing on, one row a step."""
    cuda = torch.cuda.is_available()
    model = new_model(benchmark.model, device="cuda" if cuda else "cpu", dtype=torch.bfloat16)
    size = _SIZES[benchmark.model]
    documents = _DOCUMENTS * (benchmark.steps + 2)
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(5, size["vocab_size"], (documents, length // _DOCUMENTS), generator=generator).tolist()
    clock = Clock()
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir=f"{benchmark.output_dir}/trainer",
            max_length=length,
            packing=True,
            per_device_train_batch_size=1,
            max_steps=benchmark.steps + 2,
            activation_checkpointing=True,
            bf16=cuda,
            use_cpu=not cuda,
            save_strategy="no",
            report_to="none",
            logging_steps=1,
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_dict({"input_ids": tokens}),
        processing_class=_no_tokenizer(),
        peft_config=LoraConfig(r=benchmark.lora_r, lora_alpha=32, target_modules=_TARGETS, task_type="CAUSAL_LM"),
        callbacks=[clock],
    )
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    trainer.train()
    seconds = sorted(clock.seconds[2:])
    median = seconds[len(seconds) // 2]
    found: dict[str, Any] = {
        "tokens of a row": length,
        "s a step": median,
        "fastest and slowest step, s": [seconds[0], seconds[-1]],
        "tokens/s": length / median,
        "model TFLOP a token": flops_a_token(model, size, length // _DOCUMENTS) / 1e12,
        "loss": [entry["loss"] for entry in trainer.state.log_history if "loss" in entry],
    }
    peak = _peak_flops()
    if peak is not None:
        found["MFU %"] = 100 * found["tokens/s"] * found["model TFLOP a token"] * 1e12 / peak
    if cuda:
        found["peak memory, GB"] = torch.cuda.max_memory_allocated() / 1e9
    return found


def flops_a_token(model: nn.Module, size: dict[str, Any], document: int) -> float:
    """Floating point operations of one training step with frozen weights, for each token; recomputing counts nothing.

    Forward: 2 for each weight of a linear layer; 2 × document × width for the scores and the sums of an attention
    layer (half of the square, causal); for a Mamba-2 layer the four products of the chunked scan (Dao and Gu, 2024,
    section 6) and the convolution. Backward: as much again for frozen weights, twice for what has none.
    """
    linear = sum(m.weight.numel() for name, m in model.named_modules() if _is_base_linear(name, m))
    heads = size["num_attention_heads"] * size["head_dim"]
    inner, state, groups = size["mamba_num_heads"] * size["mamba_head_dim"], size["ssm_state_size"], size["n_groups"]
    chunk = size["chunk_size"]
    scan = 2 * chunk * state * groups + 2 * chunk * inner + 4 * state * inner
    convolution = 2 * size["conv_kernel"] * (inner + 2 * groups * state)
    kinds = size["layers"]
    mixing = kinds.count("*") * 2 * document * heads + kinds.count("M") * (scan + convolution)
    return 2 * (2 * linear) + 3 * mixing


def _is_base_linear(name: str, module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) and ".lora_" not in name


def _peak_flops() -> float | None:
    if not torch.cuda.is_available():
        return None
    name = torch.cuda.get_device_name()
    return next((peak for known, peak in _PEAK.items() if known in name), None)


def _no_tokenizer() -> PreTrainedTokenizerFast:
    """Rows come as tokens; the trainer only asks how to pad."""
    from tokenizers import Tokenizer, models

    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"<pad>": 0, "</s>": 1}, unk_token="<pad>")),
        pad_token="<pad>",
        eos_token="</s>",
    )


def _write(folder: Path, record: dict[str, Any]) -> None:
    write_whole(folder / "gpu_check.json", json.dumps(record, indent=1, ensure_ascii=False))
    training = [{key: run[key] for key in run if not isinstance(run[key], list)} for run in record["training"]]
    tables = [
        record["device"] + ", " + ", ".join(f"{name} {found}" for name, found in record["versions"].items()),
        tabulate(list(record["kernels"].items()), headers=["largest difference, relative", ""], tablefmt="github"),
        tabulate(training, headers="keys", tablefmt="github", floatfmt=".4g"),
    ]
    write_whole(folder / "gpu_check.md", "\n\n".join(tables) + "\n")


def main(argv: Sequence[str]) -> None:
    """Check, measure, write."""
    benchmark = parse_recipe(Benchmark, argv, prog="tests/benchmarks/gpu_training.py", description=__doc__)
    folder = Path(benchmark.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    cuda = torch.cuda.is_available()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    record: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if cuda else "no GPU",
        "versions": {name: version(name) for name in ("torch", "transformers", "trl", "peft")},
        "mamba kernels": has_mamba_kernels(),
        "built_in_s": benchmark.built_in_s,
        "benchmark": asdict(benchmark),
        "kernels": check_kernels() if cuda else {},
        "training": [],
    }
    _write(folder, record)
    print(json.dumps(record, indent=1, ensure_ascii=False), flush=True)
    for length in benchmark.lengths:
        try:
            record["training"].append(measure(benchmark, length))
        except torch.OutOfMemoryError as error:
            record["training"].append({"tokens of a row": length, "failure": str(error).splitlines()[0]})
        _write(folder, record)
        print(json.dumps(record["training"][-1], ensure_ascii=False), flush=True)
        gc.collect()
        if cuda:
            torch.cuda.empty_cache()
    if any(value > 1e-4 for value in record["kernels"].values()):
        print(
            "the kernels and the PyTorch path, or packed and separate rows, differ by more than 1e-4", file=sys.stderr
        )
        raise SystemExit(1)


if __name__ == "__main__":
    exit_cleanly(main)
