"""The engine ``hf`` against lm-eval's ``hf`` backend: the same prompts, model, batch size and number of new tokens.

Every measurement is a process of its own: neither finds caches, compiled kernels or memory that an earlier one left,
and loading and a first small batch are over when the clock starts. Pairs follow each other at once, in an order drawn
for each, so that what else the machine does meets both; the ratio of a pair is what is averaged.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate
from tqdm import tqdm

from eval.stats import compare_paired
from launch.errors import InputError, exit_cleanly
from launch.files import write_whole
from launch.recipe import parse_recipe

HERE = Path(__file__).parent
BACKENDS = ("ours", "lm_eval")
PACKAGES = ("lm-eval", "transformers", "torch")
MEASURES = {"wall clock": "wall_s", "CPU time": "cpu_s"}


@dataclass
class Benchmark:
    """What is answered, how, how often.

    Args:
        model: folder of the model, such as SmolLM2-135M-Instruct.
        questions: JSON Lines with ``question`` and ``answer``, such as GSM8K.
        output: the JSON file to write.
        prompts: how many questions are asked.
        few_shot: so many solved questions, the shortest of the file, stand in front of each. They are the same in all
            prompts, and the product reads what all begin with once; 0 shows the rest of the difference.
        max_new_tokens: so many tokens are written for each, no fewer: the end token is put out of the way.
        end_token: a token that the model never writes; it takes the place of the end token, in both backends.
        batch_size: the most prompts decoded together.
        pairs: how often both are measured.
        seed: decides who is first in each pair.
    """

    model: str = ""
    questions: str = ""
    output: str = "runs/benchmarks/hf_engine.json"
    prompts: int = 200
    few_shot: int = 2
    max_new_tokens: int = 32
    end_token: str = "<empty_output>"
    batch_size: int = 32
    pairs: int = 10
    seed: int = 0


def read_prompts(benchmark: Benchmark) -> list[str]:
    """Questions with solved ones in front of them, as lm-eval's GSM8K task writes them.

    Raises:
        InputError: the file cannot be read or holds too few questions.
    """
    try:
        lines = Path(benchmark.questions).read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines if line.strip()]
        shots = sorted(rows, key=lambda row: len(row["question"]) + len(row["answer"]))[: benchmark.few_shot]
        solved = "".join(f"Question: {row['question']}\nAnswer: {row['answer']}\n\n" for row in shots)
        asked = [row["question"] for row in rows if row not in shots][: benchmark.prompts]
        prompts = [f"{solved}Question: {question}\nAnswer:" for question in asked]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"questions '{benchmark.questions}' must be JSON Lines with 'question' and 'answer': {error}"
        ) from error
    if len(prompts) < benchmark.prompts:
        raise InputError(f"{benchmark.questions} holds {len(rows)} questions, too few for {benchmark.prompts} prompts")
    return prompts


def without_end(model: Path, end_token: str, folder: Path) -> None:
    """Make ``folder`` the same model with another end token; the weights are linked.

    Raises:
        InputError: there is no such model folder, or its tokenizer does not know the token.
    """
    try:
        tokenizer = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))
        ids = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
        changed = {
            "config.json": {"eos_token_id": ids[end_token]},
            "generation_config.json": {"eos_token_id": ids[end_token]},
            "tokenizer_config.json": {"eos_token": end_token},
        }
        for path in model.iterdir():
            if path.name in changed:
                content = json.loads(path.read_text(encoding="utf-8")) | changed[path.name]
                (folder / path.name).write_text(json.dumps(content), encoding="utf-8")
            else:
                (folder / path.name).symlink_to(path.resolve())
    except OSError as error:
        raise InputError(f"model '{model}' must be a folder with a model and a tokenizer.json: {error}") from error
    except KeyError as error:
        raise InputError(f"the tokenizer of {model} has no added token {error}; name one in 'end_token'") from error


def measure(backend: str, benchmark: Benchmark, model: Path, prompts: Path, result: Path) -> dict[str, Any]:
    """One measurement in a process of its own, and what was answered.

    Raises:
        RuntimeError: the backend failed.
    """
    arguments = [backend, model, prompts, result, benchmark.batch_size, benchmark.max_new_tokens]
    command = [sys.executable, str(HERE / "hf_backends.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"HF_HUB_OFFLINE": "1"})
    if done.returncode != 0:
        raise RuntimeError(f"{backend} ended with status {done.returncode}: {done.stderr[-2000:]}")
    measured: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return measured


def summary(runs: Sequence[dict[str, Any]]) -> str:
    """A Markdown table of both backends, and under it the ratio of their times and how alike their texts are."""
    of = {name: [run for run in runs if run["backend"] == name] for name in BACKENDS}
    rows = [
        {
            "backend": name,
            "seconds": _spread([run["wall_s"] for run in of[name]]),
            "CPU seconds": _spread([run["cpu_s"] for run in of[name]]),
            "new tokens/s": f"{np.mean([run['new_tokens'] / run['wall_s'] for run in of[name]]):.1f}",
            "new tokens": ", ".join(sorted({str(run["new_tokens"]) for run in of[name]})),
            "prompt tokens": ", ".join(sorted({str(run["prompt_tokens"]) for run in of[name]})),
            "runs": len(of[name]),
        }
        for name in BACKENDS
    ]
    lines = [tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True), ""]
    pairs = list(zip(of["ours"], of["lm_eval"], strict=True))
    if len(pairs) > 1:
        lines += [f"ours ÷ lm_eval, {name}: {_ratio(pairs, measured)}" for name, measured in MEASURES.items()]
    if any(first["new_tokens"] != second["new_tokens"] for first, second in pairs):
        lines.append("NOT COMPARABLE: the backends wrote different numbers of tokens")
    same = [sum(a == b for a, b in zip(x["texts"], y["texts"], strict=True)) for x, y in pairs]
    lines.append(f"identical texts: {min(same)} to {max(same)} of {len(pairs[0][0]['texts'])}")
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):.1f} ({min(values):.1f}–{max(values):.1f})"


def _ratio(pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]], measured: str) -> str:
    """Geometric mean of the pairs' ratios with its 95 % interval: a paired t interval of their logarithms."""
    ours, others = (np.log([run[measured] for run in side]).tolist() for side in zip(*pairs, strict=True))
    found = compare_paired(ours, others)
    ratio, low, high = np.exp([found.difference, found.low, found.high])
    return f"{ratio:.3f} [{low:.3f}, {high:.3f}] over {found.n} pairs (95 %; p = {found.p_value:.3g}, sign flips)"


def versions() -> dict[str, str]:
    """The versions of what is compared.

    Raises:
        InputError: a package is not installed.
    """
    try:
        return {package: version(package) for package in PACKAGES} | {"python": sys.version.split()[0]}
    except PackageNotFoundError as error:
        raise InputError(f"the package {error.name} is not installed; see {HERE / 'README.md'}") from error


def main(argv: Sequence[str]) -> None:
    """Measure all pairs, print the summary, write the JSON file (after every pair)."""
    benchmark = parse_recipe(Benchmark, argv, prog="tests/benchmarks/hf_engine.py", description=__doc__)
    found, prompts = versions(), read_prompts(benchmark)
    draw = random.Random(benchmark.seed)
    runs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        model, prompts_at, result = (Path(temporary, name) for name in ("model", "prompts.json", "result.json"))
        model.mkdir()
        without_end(Path(benchmark.model), benchmark.end_token, model)
        prompts_at.write_text(json.dumps(prompts), encoding="utf-8")
        for pair in tqdm(range(benchmark.pairs), unit="pair"):
            for backend in draw.sample(BACKENDS, 2):
                measured = measure(backend, benchmark, model, prompts_at, result)
                runs.append({"pair": pair, "backend": backend} | measured)
            record = {"benchmark": asdict(benchmark), "versions": found, "runs": runs}
            write_whole(Path(benchmark.output), json.dumps(record, indent=1, ensure_ascii=False))
    print(summary(runs))


if __name__ == "__main__":
    exit_cleanly(main)
