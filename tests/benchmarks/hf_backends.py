"""One backend that runs a model in this process: it answers the prompts once, timed after loading and a first batch.

``hf_backends.py BACKEND MODEL PROMPTS RESULT BATCH_SIZE MAX_NEW_TOKENS``; PROMPTS and RESULT are JSON files. Both
backends decode greedily in float32 on the CPU.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Short and unlike the prompts, so that no backend has read anything of these before the clock starts.
_FIRST = ["Rain fell all night.", "Three birds sat on the old wooden fence near the river."]
_FIRST_TOKENS = 4


@dataclass
class Answers:
    """What came back, in the order of the prompts, and how many tokens were read and written."""

    texts: list[str]
    prompt_tokens: int
    new_tokens: int


Answer = Callable[[list[str], int], Answers]


def ours(model: str, batch_size: int) -> Answer:
    """The product's engine ``hf``, every completion written to a store."""
    from launch.engines import EngineConfig, Request, Sampling, open_engine
    from launch.engines.store import CompletionStore, complete

    engine = open_engine(EngineConfig(kind="hf", model=model, dtype="float32", device="cpu", batch_size=batch_size))

    def answer(prompts: list[str], max_new_tokens: int) -> Answers:
        sampling = Sampling(max_new_tokens=max_new_tokens)
        requests = [Request(prompt=prompt, sampling=sampling) for prompt in prompts]
        with tempfile.TemporaryDirectory() as folder, CompletionStore(folder) as store:
            found = {completion.key: completion for completion in complete(engine, requests, store)}
        completions = [found[request.key(engine.identity)] for request in requests]
        errors = [completion.error for completion in completions if completion.error is not None]
        if errors:
            raise RuntimeError(errors[0])
        return Answers(
            [completion.text for completion in completions],
            sum(completion.prompt_tokens for completion in completions),
            sum(completion.completion_tokens for completion in completions),
        )

    return answer


def lm_eval(model: str, batch_size: int) -> Answer:
    """The backend ``hf`` of EleutherAI's lm-evaluation-harness, as its tasks call it for generation."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    backend = HFLM(pretrained=model, dtype="float32", device="cpu", batch_size=batch_size)
    counts = {"read": 0, "written": 0}
    generate = backend._model_generate

    def counted(context: Any, *args: Any, **kwargs: Any) -> Any:
        tokens = generate(context, *args, **kwargs)
        ended = (tokens[:, context.shape[1] :] == backend.tokenizer.eos_token_id).cumsum(-1) > 0
        counts["read"] += int(kwargs["attention_mask"].sum())
        counts["written"] += int((~ended).sum())
        return tokens

    backend._model_generate = counted

    def answer(prompts: list[str], max_new_tokens: int) -> Answers:
        settings = {"until": [], "do_sample": False, "max_gen_toks": max_new_tokens}
        instances = [Instance("generate_until", {}, (prompt, settings), place) for place, prompt in enumerate(prompts)]
        counts.update(read=0, written=0)
        texts = backend.generate_until(instances, disable_tqdm=True)
        return Answers(texts, counts["read"], counts["written"])

    return answer


BACKENDS = {"ours": ours, "lm_eval": lm_eval}


def main() -> None:
    """Time one backend and write what it took and answered."""
    name, model, prompts_at, result_at, batch_size, max_new_tokens = sys.argv[1:]
    prompts: list[str] = json.loads(Path(prompts_at).read_text(encoding="utf-8"))
    answer = BACKENDS[name](model, int(batch_size))
    answer(_FIRST, _FIRST_TOKENS)
    wall, cpu = time.perf_counter(), time.process_time()
    answers = answer(prompts, int(max_new_tokens))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu

    import torch

    result = {"wall_s": wall, "cpu_s": cpu, "threads": torch.get_num_threads(), **vars(answers)}
    Path(result_at).write_text(json.dumps(result, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
