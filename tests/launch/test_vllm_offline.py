"""The engine vllm_offline against a stand-in for vLLM that takes only what vLLM 0.33 takes, and remembers it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from launch.engines import Adapter, Completion, EngineConfig, Request, Sampling, open_engine
from launch.errors import InputError

SPECIALS = ["<s>", "</s>", "</think>"]
END = 1


def char_tokenizer() -> PreTrainedTokenizerFast:
    """A token a character; the closing tag is special, the hardest case."""
    vocabulary = {token: number for number, token in enumerate([*SPECIALS, *map(chr, range(10, 127))])}
    backend = Tokenizer(models.BPE(vocabulary, []))
    backend.add_special_tokens(SPECIALS)
    backend.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>")
    fast.chat_template = "<s>{{ messages[0].content }}{{ '<think>\n' if enable_thinking }}"
    return fast


@dataclass
class SamplingParams:
    """Those of vllm.SamplingParams that the engine sets."""

    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int | None = 16
    stop: list[str] | None = None
    seed: int | None = None


@dataclass
class LoRARequest:
    lora_name: str
    lora_int_id: int
    lora_path: str = ""


@dataclass
class FakeVllm:
    """What reached vLLM. A model that continues ``chain|answer<think>`` like the servers of the other tests."""

    loaded: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, SamplingParams, LoRARequest | None]] = field(default_factory=list)
    calls: int = 0
    tokenizer: PreTrainedTokenizerFast = field(default_factory=char_tokenizer)

    def module(self) -> ModuleType:
        fake = self

        class LLM:
            def __init__(
                self, model: str, *, revision: str | None, dtype: str, trust_remote_code: bool,
                tensor_parallel_size: int, max_model_len: int | None, gpu_memory_utilization: float,
                enable_prefix_caching: bool, mamba_ssm_cache_dtype: str, enable_lora: bool = False,
                max_lora_rank: int = 16,
            ) -> None:  # fmt: skip
                fake.loaded.append({name: value for name, value in locals().items() if name not in ("self", "fake")})
                self.model_config = SimpleNamespace(max_model_len=max_model_len or 400)

            def get_tokenizer(self) -> PreTrainedTokenizerFast:
                return fake.tokenizer

            def generate(
                self, prompts: list[dict[str, list[int]]], sampling_params: list[SamplingParams], *,
                use_tqdm: bool = True, lora_request: list[LoRARequest | None],
            ) -> list[Any]:  # fmt: skip
                fake.calls += 1
                return [fake.answer(*asked) for asked in zip(prompts, sampling_params, lora_request, strict=True)]

        module = ModuleType("vllm")
        module.LLM, module.SamplingParams = LLM, SamplingParams  # type: ignore[attr-defined]
        return module

    def answer(self, prompt: dict[str, list[int]], sampling: SamplingParams, lora: LoRARequest | None) -> Any:
        text = self.tokenizer.decode(prompt["prompt_token_ids"])
        self.asked.append((text, sampling, lora))
        question, _, written = text.removeprefix("<s>").partition("<think>\n")
        chain, _, solution = question.partition("|")
        whole = chain.replace("/", "\n") + "</think>" + solution
        rest = whole.removeprefix(written) if whole.startswith(written) else solution
        ids = [*self.tokenizer(rest, add_special_tokens=False)["input_ids"], END]
        assert sampling.max_tokens is not None
        made = SimpleNamespace(
            token_ids=tuple(ids[: sampling.max_tokens]),
            finish_reason="length" if len(ids) > sampling.max_tokens else "stop",
            stop_reason=None,
        )
        return SimpleNamespace(outputs=[made])


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> FakeVllm:
    fake = FakeVllm()
    monkeypatch.setitem(sys.modules, "vllm", fake.module())
    lora = ModuleType("vllm.lora.request")
    lora.LoRARequest = LoRARequest  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vllm.lora.request", lora)
    return fake


def engine(**values: Any) -> Any:
    return open_engine(EngineConfig(kind="vllm_offline", **({"model": "org/model"} | values)))


def answers(engine: Any, *requests: Request) -> list[Completion]:
    found = {completion.key: completion for completion in engine.generate(requests)}
    assert len(found) == len(requests)
    return [found[request.key(engine.identity)] for request in requests]


def thinking(text: str, budget: int | None, most: int = 200) -> Request:
    return Request(
        messages=({"role": "user", "content": text},),
        sampling=Sampling(max_new_tokens=most),
        template_kwargs={"enable_thinking": True},
        thinking_budget=budget,
    )


def test_the_model_is_loaded_once_as_hybrid_models_need_it(vllm: FakeVllm) -> None:
    loaded = engine(revision="abc", dtype="bfloat16", tensor_parallel_size=2, max_model_len=300)
    assert vllm.loaded == [], "not before the first request"
    answers(loaded, Request(prompt="a|b"))
    answers(loaded, Request(prompt="c|d"))
    assert vllm.loaded == [
        {
            "model": "org/model",
            "revision": "abc",
            "dtype": "bfloat16",
            "trust_remote_code": False,
            "tensor_parallel_size": 2,
            "max_model_len": 300,
            "gpu_memory_utilization": 0.92,
            "enable_prefix_caching": True,
            "mamba_ssm_cache_dtype": "float32",
            "enable_lora": False,
            "max_lora_rank": 16,
        }
    ]
    assert loaded.identity == "vllm org/model@abc dtype=bfloat16"


def test_prompts_and_chats_are_answered_with_their_sampling(vllm: FakeVllm) -> None:
    sampling = Sampling(temperature=0.6, top_p=0.9, max_new_tokens=50, stop=("!",), seed=3)
    chat = replace(thinking("chain|4", None), sampling=sampling)
    found = answers(engine(), chat, replace(chat, attempt=1), Request(prompt="x|y<think>\n", sampling=sampling))
    assert (found[0].text, found[0].finish_reason, found[0].opened_by_prompt) == ("chain</think>4", "stop", True)
    assert (found[0].prompt_tokens, found[0].completion_tokens) == (len("chain|4<think>\n") + 1, 7)
    assert found[2].text == "x</think>y"
    assert vllm.calls == 1, "all at once, for vLLM to batch"
    assert vllm.asked[0][0] == "<s>chain|4<think>\n", "one first token, not two"
    given = vllm.asked[0][1]
    assert (given.temperature, given.top_p, given.max_tokens, given.stop) == (0.6, 0.9, 50, ["!"])
    assert given.seed != vllm.asked[1][1].seed, "another attempt is another draw"


@pytest.mark.parametrize(
    ("script", "budget", "most", "text", "finish", "cut", "tokens"),
    [
        ("a line of 23 characters//more|A", 20, 200, "a line of 23 characters\n</think>A", "stop", "newline", 25),
        ("x" * 70 + "|Answer", 20, 200, "x" * 50 + "\n</think>Answer", "stop", "abrupt", 56),
        ("x" * 70 + "|Answer", 20, 55, "x" * 50 + "\n</think>Ans", "length", "abrupt", 53),
        ("short|" + "Answer " * 10, 20, 200, "short</think>" + "Answer " * 10, "stop", None, 76),
        ("x" * 70 + "|Answer", 20, 50, "x" * 50, "length", None, 50),
    ],
)
def test_thinking_budget(
    vllm: FakeVllm, monkeypatch: pytest.MonkeyPatch, script: str, budget: int, most: int, text: str, finish: str,
    cut: str | None, tokens: int,
) -> None:  # fmt: skip
    for place in ("thinking", "engines.budget", "engines.vllm_offline"):
        monkeypatch.setattr(f"launch.{place}.GRACE_TOKENS", 30)
    found = answers(engine(), thinking(script, budget, most))[0]
    assert (found.text, found.finish_reason, found.thinking_cut) == (text, finish, cut)
    assert (found.completion_tokens, found.prompt_tokens) == (tokens, 1 + len(script) + len("<think>\n"))


def test_adapters_of_the_engine_and_of_single_requests(vllm: FakeVllm, tmp_path: Path) -> None:
    for name in ("all", "fr"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "adapter_config.json").write_text(f'{{"name": "{name}"}}')
    with pytest.raises(InputError, match="max_lora_rank"):
        engine(adapter=str(tmp_path / "all"))
    loaded = engine(adapter=str(tmp_path / "all"), max_lora_rank=32)
    french = Adapter.at(str(tmp_path / "fr"))
    answers(loaded, Request(prompt="a"), Request(prompt="b", adapter=french), Request(prompt="c", adapter=french))
    given = {prompt: lora for prompt, _, lora in vllm.asked}
    assert given["a"] is not None
    assert (given["a"].lora_path, given["a"].lora_int_id) == (str(tmp_path / "all"), 1)
    assert given["b"] is not None
    assert given["b"] is given["c"]
    assert (given["b"].lora_path, given["b"].lora_int_id) == (str(tmp_path / "fr"), 2)
    assert (vllm.loaded[0]["enable_lora"], vllm.loaded[0]["max_lora_rank"]) == (True, 32)
    without = answers(engine(), Request(prompt="b", adapter=french))[0]
    assert "max_lora_rank" in str(without.error)


def test_bad_request_becomes_an_error_completion_among_good_ones(vllm: FakeVllm) -> None:
    bad = [Request(prompt=""), Request(prompt="x" * 400), Request(prompt="y", sampling=Sampling(max_new_tokens=0))]
    likelihood = replace(thinking("a", None), answer={"role": "assistant", "content": "b"})
    found = answers(engine(), bad[0], Request(prompt="fine|"), *bad[1:], likelihood)
    assert [completion.finish_reason for completion in found] == ["error", "stop", "error", "error", "error"]
    assert "400 tokens" in str(found[2].error)
    assert "engine of kind hf" in str(found[4].error)


def test_vllm_that_is_not_installed_is_one_clear_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(InputError, match="needs vLLM, which cannot be imported here") as caught:
        engine()
    assert "launch/serve.md" in str(caught.value)
