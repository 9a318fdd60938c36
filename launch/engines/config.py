"""Which model answers, and how it is reached: the ``engine`` part of every recipe that asks a model something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass
class EngineConfig:
    """An engine and the model behind it.

    Args:
        kind: ``hf`` runs the model in this process with transformers; ``openai_server`` asks a server that speaks the
            OpenAI protocol (vLLM, SGLang, ``transformers serve``, llama.cpp); ``vllm_offline`` runs it in this process
            with vLLM. What is said of ``hf`` below holds for ``vllm_offline`` too, but for ``device`` and
            ``batch_size``.
        model: hub name or local folder (``hf``; a folder that holds only a LoRA adapter brings its base model along),
            or the name under which the server knows the model (``openai_server``).
        revision: branch, tag or commit of a hub model. For a server it only enters the key of every request: change
            it when other weights are served under the same name.
        adapter: ``hf`` only: hub name or folder of a LoRA adapter to put on the model.
        dtype: ``hf`` only: ``auto`` (as stored), ``float32``, ``bfloat16`` or ``float16``.
        device: ``hf`` only: ``cpu``, ``cuda``, ``cuda:1``, or ``auto`` to spread over all GPUs; default: the GPU if
            there is one, else the CPU.
        batch_size: ``hf`` only: the most prompts decoded together; halved when memory runs out.
        chat_template: ``hf``, and ``openai_server`` with ``tokenizer``: path of a Jinja chat template in place of the
            tokenizer's own.
        trust_remote_code: ``hf`` only: run Python code that comes with the model.
        tokenizer: ``openai_server`` only: hub name or folder of the served model's tokenizer. It tells whether the
            chat template opens the chain (needed where the server returns chain and answer in one text), and renders
            requests with a thinking budget, since the server has to continue a chain that was cut.
        tensor_parallel_size: ``vllm_offline`` only: over how many GPUs each layer is spread.
        max_model_len: ``vllm_offline`` only: the longest prompt and completion together; default: the model's own.
        gpu_memory_utilization: ``vllm_offline`` only: the share of each GPU's memory that vLLM takes.
        max_lora_rank: ``vllm_offline`` only: the largest rank of the adapters; needed where there are any.
        base_url: ``openai_server`` only: address up to and including ``/v1``.
        api_key_env: ``openai_server`` only: name of the environment variable that holds the key.
        concurrency: ``openai_server`` only: the most requests in flight; how many of them pay off is found out.
        timeout_s: ``openai_server`` only: the longest one attempt may take, in seconds.
        max_retries: ``openai_server`` only: how often a request is repeated after 429, 5xx, a timeout or a broken
            connection.
        deadline_s: ``openai_server`` only: the longest a request may take with all its attempts, in seconds.
    """

    kind: Literal["hf", "openai_server", "vllm_offline"] = "hf"
    model: str = ""
    revision: str | None = None
    adapter: str | None = None
    dtype: str = "auto"
    device: str | None = None
    batch_size: int = 32
    chat_template: str | None = None
    trust_remote_code: bool = False
    tokenizer: str | None = None
    tensor_parallel_size: int = 1
    max_model_len: int | None = None
    gpu_memory_utilization: float = 0.92
    max_lora_rank: int | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    concurrency: int = 512
    timeout_s: float = 120.0
    max_retries: int = 10
    deadline_s: float = 900.0
