"""Engines: prompts in, completions out, nothing lost."""

from __future__ import annotations

from launch.engines.base import Completion, Engine, Request, Sampling
from launch.engines.config import EngineConfig
from launch.engines.identity import Adapter

__all__ = ["Adapter", "Completion", "Engine", "EngineConfig", "Request", "Sampling", "open_engine"]


def open_engine(config: EngineConfig) -> Engine:
    """The engine a recipe asks for. A model in process is loaded when the first request arrives.

    Raises:
        InputError: the model is not there, a key is missing, or a value makes no sense.
    """
    if config.kind == "openai_server":
        from launch.engines.openai_server import OpenAIServerEngine

        return OpenAIServerEngine(config)
    if config.kind == "vllm_offline":
        from launch.engines.vllm_offline import VllmEngine

        return VllmEngine(config)
    from launch.engines.hf import HfEngine  # imports torch and transformers

    return HfEngine(config)
