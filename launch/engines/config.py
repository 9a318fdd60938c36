"""Which model answers, and how it is reached: the ``engine`` part of every recipe that asks a model something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass
class EngineConfig:
    """An engine and the model behind it.

    Args:
        kind: ``hf`` runs the model in this process with transformers; ``openai_server`` asks a server that speaks the
            OpenAI protocol (vLLM, SGLang, ``transformers serve``, llama.cpp).
        model: hub name or local folder (``hf``; a folder that holds only a LoRA adapter brings its base model along),
            or the name under which the server knows the model (``openai_server``).
        revision: branch, tag or commit of a hub model. For a server it only enters the key of every request: change
            it when other weights are served under the same name.
        adapter: ``hf`` only: hub name or folder of a LoRA adapter to put on the model.
        dtype: ``hf`` only: ``auto`` (as stored), ``float32``, ``bfloat16`` or ``float16``.
        device: ``hf`` only: ``cpu``, ``cuda``, ``cuda:1``, or ``auto`` to spread over all GPUs; default: the GPU if
            there is one, else the CPU.
        batch_size: ``hf`` only: the most prompts decoded together; halved when memory runs out.
        chat_template: ``hf`` only: path of a Jinja chat template in place of the tokenizer's own.
        trust_remote_code: ``hf`` only: run Python code that comes with the model.
        base_url: ``openai_server`` only: address up to and including ``/v1``.
        api_key_env: ``openai_server`` only: name of the environment variable that holds the key.
        concurrency: ``openai_server`` only: the most requests in flight.
        timeout_s: ``openai_server`` only: the longest one attempt may take, in seconds.
        max_retries: ``openai_server`` only: how often a request is repeated after 429, 5xx, a timeout or a broken
            connection.
        deadline_s: ``openai_server`` only: the longest a request may take with all its attempts, in seconds.
    """

    kind: Literal["hf", "openai_server"] = "hf"
    model: str = ""
    revision: str | None = None
    adapter: str | None = None
    dtype: str = "auto"
    device: str | None = None
    batch_size: int = 32
    chat_template: str | None = None
    trust_remote_code: bool = False
    base_url: str | None = None
    api_key_env: str | None = None
    concurrency: int = 32
    timeout_s: float = 120.0
    max_retries: int = 10
    deadline_s: float = 900.0
