"""The engine hf on real, tiny models: random ones of nemotron_h (hybrid), llama and gemma3 (sliding window)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma3TextConfig,
    LlamaConfig,
    NemotronHConfig,
    PreTrainedTokenizerFast,
)

from launch.engines import Adapter, Completion, EngineConfig, Request, Sampling, open_engine
from launch.engines.decoding import Decoder, Row, choose_tokens
from launch.errors import InputError
from launch.hybrid import prepare_hybrid

TEMPLATE = (
    "{% if messages[0].content == 'bad' %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% for m in messages %}<s>{{ m.role }}\n{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{{ '<think></think>' if no_think else '<think>\n' }}{% endif %}"
)
SHAPES = {
    "nemotron_h": NemotronHConfig(
        vocab_size=300,
        hidden_size=32,
        layers_block_type=["linear_attention", "mlp", "full_attention", "linear_attention"],
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        intermediate_size=64,
        ssm_state_size=8,
        mamba_num_heads=4,
        mamba_head_dim=16,
        n_groups=2,
        chunk_size=8,
        max_position_embeddings=512,
        initializer_range=0.3,
        eos_token_id=2,
        pad_token_id=0,
        bos_token_id=1,
    ),
    "gemma3": Gemma3TextConfig(
        vocab_size=300,
        hidden_size=32,
        num_hidden_layers=3,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        sliding_window=16,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        intermediate_size=64,
        max_position_embeddings=512,
        initializer_range=0.3,
        eos_token_id=2,
        pad_token_id=0,
        bos_token_id=1,
    ),
    "llama": LlamaConfig(
        vocab_size=300,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=64,
        max_position_embeddings=512,
        initializer_range=0.3,
        eos_token_id=2,
        pad_token_id=0,
        bos_token_id=1,
    ),
}


def save_tokenizer(folder: Path) -> None:
    """One token a byte, four special tokens; the tags of the chain are special too, the hardest case."""
    specials = ["<pad>", "<s>", "</s>", "<think>", "</think>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(specials + alphabet)}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(specials)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>")
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)


def save_model(folder: Path, kind: str, seed: int = 0, **changes: Any) -> Path:
    torch.manual_seed(seed)
    config = type(SHAPES[kind]).from_dict(SHAPES[kind].to_dict() | changes)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    save_tokenizer(folder)
    return folder


@pytest.fixture(scope="module", params=sorted(SHAPES))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("models") / request.param, request.param)


@pytest.fixture(scope="module")
def hybrid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("models") / "hybrid", "nemotron_h")


def engine(folder: Path, **values: Any) -> Any:
    return open_engine(EngineConfig(model=str(folder), device="cpu", **values))


def answers(engine: Any, requests: list[Request]) -> list[Completion]:
    found = {completion.key: completion for completion in engine.generate(iter(requests))}
    return [found[request.key(engine.identity)] for request in requests]


def prompts(count: int, **sampling: Any) -> list[Request]:
    """Prompts of many lengths, in no order, and a different number of new tokens each."""
    return [
        Request(
            prompt=f"{number}: " + "once upon a time " * (number * 7 % 5),
            sampling=Sampling(max_new_tokens=3 + number * 5 % 11, **sampling),
        )
        for number in range(count)
    ]


def references(folder: Path, requests: list[Request]) -> list[list[int]]:
    """What transformers' own ``generate`` gives for each prompt alone (greedy)."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = prepare_hybrid(AutoModelForCausalLM.from_pretrained(folder).eval())
    tokens = []
    for request in requests:
        ids = torch.tensor([tokenizer(request.prompt)["input_ids"]])
        new = request.sampling.max_new_tokens
        out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, do_sample=False)
        tokens.append([token for token in out[0, ids.shape[1] :].tolist() if token != 2])
    return tokens


def test_greedy_completions_are_those_of_generate_whatever_the_batch(folder: Path) -> None:
    requests = prompts(14)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    completions = answers(engine(folder, batch_size=4), requests)
    for request, completion, expected in zip(requests, completions, references(folder, requests), strict=True):
        hidden = {0, 1, 2}
        assert completion.text == tokenizer.decode([token for token in expected if token not in hidden])
        assert completion.completion_tokens == len(expected)
        assert completion.prompt_tokens == len(tokenizer(request.prompt)["input_ids"])
        assert completion.finish_reason == ("length" if len(expected) == request.sampling.max_new_tokens else "stop")


@pytest.mark.parametrize("window", [16, 400])
@pytest.mark.parametrize("kind", sorted(SHAPES))
def test_prompts_that_begin_alike_are_answered_as_if_alone(kind: str, window: int, tmp_path: Path) -> None:
    """Some wait while the batch is full, so that the shared beginning is used again by those that join."""
    save_model(tmp_path, kind, **({"sliding_window": window} if kind == "gemma3" else {}))
    requests = [replace(request, prompt="The instructions are the same for all. " * 2 + str(request.prompt))
                for request in prompts(11)]  # fmt: skip
    completions = answers(engine(tmp_path, batch_size=4), requests)
    assert [completion.completion_tokens for completion in completions] == [
        len(expected) for expected in references(tmp_path, requests)
    ]
    alone = engine(tmp_path, batch_size=1)
    assert completions == [answers(alone, [request])[0] for request in requests]


@pytest.mark.parametrize("kind", sorted(SHAPES))
def test_likelihood_of_an_answer_is_that_of_its_tokens_after_the_prompt(kind: str, tmp_path: Path) -> None:
    save_model(tmp_path, kind)
    question = ({"role": "user", "content": "6 * 7?"},)
    asked = Request(
        messages=question, template_kwargs={"no_think": True}, answer={"role": "assistant", "content": "42"}
    )
    # The template's `<think></think>` of the prompt is not in the rendered answer, so these two cannot be compared.
    other = replace(asked, template_kwargs={"no_think": False})
    plain = Request(messages=question, sampling=Sampling(max_new_tokens=3))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    tokenizer.chat_template = TEMPLATE.replace("{{ '<think></think>' if no_think else '<think>\n' }}", "{{ '' }}")
    (tmp_path / "own.jinja").write_text(tokenizer.chat_template)
    loaded = engine(tmp_path, chat_template=str(tmp_path / "own.jinja"))
    measured, generated = answers(loaded, [asked, plain])
    assert generated.logprob is None
    assert generated.completion_tokens > 0

    prompt = tokenizer("<s>user\n6 * 7?</s><s>assistant\n")["input_ids"]
    answer = tokenizer("42</s>")["input_ids"]
    model = prepare_hybrid(AutoModelForCausalLM.from_pretrained(tmp_path).eval())
    with torch.no_grad():
        logprobs = model(torch.tensor([prompt + answer])).logits[0].log_softmax(-1)
    expected = sum(logprobs[len(prompt) - 1 + n, token].item() for n, token in enumerate(answer))
    assert measured.logprob == pytest.approx(expected, abs=1e-4)
    assert (measured.text, measured.finish_reason, measured.completion_tokens) == ("", "stop", len(answer))

    refused = answers(engine(tmp_path), [other])[0]
    assert refused.finish_reason == "error"
    assert "in another way" in (refused.error or "")


def test_a_chat_template_of_ones_own_is_another_model(hybrid: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.jinja"
    own.write_text("{{ messages[0].content }}")
    assert engine(hybrid, chat_template=str(own)).identity != engine(hybrid).identity
    with pytest.raises(InputError, match=r"chat_template .* cannot be read"):
        engine(hybrid, chat_template=str(tmp_path / "none.jinja"))


def test_a_shared_beginning_is_read_once(tmp_path: Path) -> None:
    save_model(tmp_path, "llama")
    loaded = engine(tmp_path, batch_size=2)
    requests = [Request(prompt="b" * 100 + str(n), sampling=Sampling(max_new_tokens=2)) for n in range(10)]
    decoder, read = loaded._load(), []
    forward = decoder._model.forward
    decoder._model.forward = lambda **inputs: (read.append(inputs["input_ids"].numel()), forward(**inputs))[1]
    assert len(answers(loaded, requests)) == 10
    assert sum(read) < 200


def test_sampled_completions_do_not_depend_on_their_batch(folder: Path) -> None:
    requests = prompts(9, temperature=0.8, top_p=0.9, seed=3)
    together = answers(engine(folder, batch_size=5), requests)
    single = engine(folder, batch_size=1)
    alone = [answers(single, [request])[0] for request in requests]
    assert together == alone


def test_another_seed_and_another_attempt_are_other_draws(hybrid: Path) -> None:
    def draw(loaded: Any, *, seed: int = 0, attempt: int = 0) -> str:
        sampling = Sampling(temperature=1.0, max_new_tokens=16, seed=seed)
        return answers(loaded, [Request(prompt="Once", sampling=sampling, attempt=attempt)])[0].text

    one, other = engine(hybrid), engine(hybrid)
    assert draw(one) == draw(one) == draw(other)
    assert len({draw(one), draw(one, seed=1), draw(one, attempt=1)}) == 3


def test_nucleus_holds_the_fewest_likeliest_tokens_that_reach_top_p() -> None:
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log().repeat(400, 1)

    def drawn(top_p: float, temperature: float = 1.0) -> list[int]:
        rows = [Row(n, [], 1, frozenset(), temperature, top_p, seed=n) for n in range(len(logits))]
        return choose_tokens(logits, rows).tolist()

    assert set(drawn(0.0)) == {0}
    assert set(drawn(0.5)) == {0}
    assert set(drawn(0.6)) == {0, 1}
    assert set(drawn(1.0)) == {0, 1, 2, 3}
    assert drawn(1.0).count(0) == pytest.approx(200, abs=40)
    assert set(drawn(1.0, temperature=1e-6)) == {0}


def test_stop_string_ends_the_completion_and_is_not_part_of_it(folder: Path) -> None:
    free = Request(prompt="Tell me", sampling=Sampling(max_new_tokens=30))
    text = answers(engine(folder), [free])[0].text
    stop = text[4:7]
    cut = Request(prompt="Tell me", sampling=Sampling(max_new_tokens=30, stop=("never this one", stop)))
    completion = answers(engine(folder), [cut])[0]
    assert completion.text == text[: text.index(stop)]
    assert completion.finish_reason == "stop"
    assert completion.completion_tokens < 30


def test_stop_string_that_is_a_token_also_ends_within_a_longer_token(tmp_path: Path) -> None:
    """As in Gemma's vocabulary, where one and several line breaks are tokens of their own."""
    save_model(tmp_path, "llama")
    text = answers(engine(tmp_path), [Request(prompt="Tell me", sampling=Sampling(max_new_tokens=30))])[0].text
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    tokenizer.add_tokens([text[4]])
    tokenizer.save_pretrained(tmp_path)
    cut = Request(prompt="Tell me", sampling=Sampling(max_new_tokens=30, stop=(text[4],)))
    completion = answers(engine(tmp_path), [cut])[0]
    assert completion.text == text[: text.index(text[4])]
    assert completion.finish_reason == "stop"


def test_end_of_text_token_means_stop(hybrid: Path, tmp_path: Path) -> None:
    ids = AutoTokenizer.from_pretrained(hybrid)("Tell me")["input_ids"]
    request = Request(prompt="Tell me", sampling=Sampling(max_new_tokens=12))
    tokens = references(hybrid, [request])[0]
    end = tokens[5]
    shutil.copytree(hybrid, tmp_path / "model")
    (tmp_path / "model" / "generation_config.json").write_text(json.dumps({"eos_token_id": [end, 2]}))
    completion = answers(engine(tmp_path / "model"), [request])[0]
    assert completion.finish_reason == "stop"
    assert completion.completion_tokens == tokens.index(end)
    assert completion.prompt_tokens == len(ids)


def test_special_tokens_are_removed_and_the_tags_of_the_chain_are_kept(hybrid: Path) -> None:
    loaded = engine(hybrid)
    list(loaded.generate([Request(prompt="load", sampling=Sampling(max_new_tokens=1))]))
    ids = loaded._tokenizer("<s>a<think>b</think>c</s>")["input_ids"]
    assert loaded._text(ids) == "a<think>b</think>c"


def test_prompt_that_ends_with_an_open_chain_is_marked(hybrid: Path) -> None:
    message = ({"role": "user", "content": "What is 2 + 2?"},)
    sampling = Sampling(max_new_tokens=2)
    requests = [
        Request(messages=message, sampling=sampling),
        Request(messages=message, sampling=sampling, template_kwargs={"no_think": True}),
        Request(prompt="Hm. <think>\n", sampling=sampling),
        Request(prompt="What does <think> mean?", sampling=sampling),
    ]
    completions = answers(engine(hybrid), requests)
    assert [completion.opened_by_prompt for completion in completions] == [True, False, True, False]
    rendered = "<s>user\nWhat is 2 + 2?</s><s>assistant\n<think>\n"
    assert completions[0].prompt_tokens == len(AutoTokenizer.from_pretrained(hybrid)(rendered)["input_ids"])


def thoughts(count: int, budget: int | None = None, **sampling: Any) -> list[Request]:
    """Prompts that open a chain, of many lengths."""
    return [
        Request(
            prompt=f"{'why ' * (number % 5)}{number}<think>\n", thinking_budget=budget, sampling=Sampling(**sampling)
        )
        for number in range(count)
    ]


def test_chain_over_its_budget_is_closed_and_the_answer_goes_on_from_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launch.engines.budget.GRACE_TOKENS", 6)
    requests = thoughts(7, budget=10, max_new_tokens=40)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    completions = answers(engine(folder, batch_size=3), requests)
    cut = 0
    for request, completion, free in zip(
        requests, completions, references(folder, [replace(r, thinking_budget=None) for r in requests]), strict=True
    ):
        if completion.thinking_cut != "abrupt":
            continue
        cut += 1
        closing = tokenizer("\n</think>")["input_ids"]
        prompt = [*tokenizer(request.prompt)["input_ids"], *free[:16], *closing]
        model = prepare_hybrid(AutoModelForCausalLM.from_pretrained(folder).eval())
        ids = torch.tensor([prompt])
        room = 40 - 16 - len(closing)
        out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=room, do_sample=False)
        expected = [token for token in out[0, len(prompt) :].tolist() if token != 2]
        text = tokenizer.decode([token for token in [*free[:16], *closing, *expected] if token > 2])
        assert completion.text == text
        assert completion.completion_tokens == 16 + len(expected)
        assert completion.prompt_tokens == len(tokenizer(request.prompt)["input_ids"])
    assert cut, "without a cut chain this test shows nothing"


def test_chains_are_cut_where_the_rule_says_and_short_ones_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Near-uniform draws over bytes: line breaks and closing tags come now and then, at the same places as freely."""
    monkeypatch.setattr("launch.engines.budget.GRACE_TOKENS", 60)
    save_model(tmp_path, "llama")
    drawing = {"max_new_tokens": 120, "temperature": 50.0}
    loaded = engine(tmp_path, batch_size=1)  # in a batch, rounding decides between draws so close
    free = answers(loaded, thoughts(30, **drawing))
    completions = answers(loaded, thoughts(30, budget=40, **drawing))
    encode = loaded._tokenizer
    seen = set()
    for before, after in zip(free, completions, strict=True):
        seen.add(after.thinking_cut)
        if after.thinking_cut is None:
            assert replace(after, key=before.key) == before, "a budget that does not cut changes nothing"
            continue
        chain = after.text[: after.text.index("</think>")]
        if after.thinking_cut == "abrupt":
            chain = chain.removesuffix("\n")
            assert "\n" not in chain[-30:]
        else:
            assert chain.endswith("\n")
        assert before.text.startswith(chain.rstrip("\ufffd")), (
            "what is kept is what the model would have written without a budget"
        )
        assert after.completion_tokens <= 120
        assert len(encode(chain, add_special_tokens=False)["input_ids"]) >= 35
    assert seen == {None, "newline", "abrupt"}


def test_budget_that_leaves_no_room_for_an_answer_ends_at_the_length(hybrid: Path) -> None:
    completions = answers(engine(hybrid), thoughts(3, budget=10, max_new_tokens=11))
    assert {completion.thinking_cut for completion in completions} == {None}
    assert answers(engine(hybrid), thoughts(3, max_new_tokens=11)) == [
        replace(completion, key=request.key(engine(hybrid).identity))
        for completion, request in zip(completions, thoughts(3, max_new_tokens=11), strict=True)
    ]


def test_bad_request_becomes_an_error_completion_among_good_ones(hybrid: Path) -> None:
    good = Request(prompt="fine", sampling=Sampling(max_new_tokens=2))
    bad = [
        Request(messages=({"role": "user", "content": "bad"},)),
        Request(prompt=""),
        Request(prompt="x" * 600),
        Request(prompt="y", sampling=Sampling(max_new_tokens=0)),
    ]
    completions = answers(engine(hybrid, batch_size=1), [bad[0], bad[1], good, bad[2], bad[3]])
    assert [completion.finish_reason for completion in completions] == ["error", "error", "length", "error", "error"]
    assert "roles must alternate" in str(completions[0].error)
    assert "empty" in str(completions[1].error)
    assert "600 tokens" in str(completions[3].error)


def test_thousands_of_bad_requests_each_get_their_error(hybrid: Path) -> None:
    requests = (Request(messages=({"role": "user", "content": "bad"},), attempt=number) for number in range(1500))
    completions = list(engine(hybrid, batch_size=2).generate(requests))
    assert len({completion.key for completion in completions}) == 1500
    assert {completion.finish_reason for completion in completions} == {"error"}


def test_context_bounds_the_completion(hybrid: Path) -> None:
    completion = answers(engine(hybrid), [Request(prompt="x" * 508, sampling=Sampling(max_new_tokens=50))])[0]
    assert completion.completion_tokens <= 4
    assert completion.finish_reason in ("length", "stop")


def test_requests_are_read_ahead_only_within_a_window(hybrid: Path) -> None:
    read = 0

    def source() -> Iterator[Request]:
        nonlocal read
        for request in prompts(200):
            read += 1
            yield request

    completions = engine(hybrid, batch_size=2).generate(source())
    next(completions)
    assert read <= 2 * 2 * 16


@pytest.mark.parametrize(("limit", "found"), [(1, 1), (3, 2), (5, 4)])
def test_batch_is_halved_when_memory_runs_out(
    hybrid: Path, monkeypatch: pytest.MonkeyPatch, limit: int, found: int
) -> None:
    requests = prompts(12)
    expected = answers(engine(hybrid, batch_size=1), requests)
    forward = Decoder._forward
    sizes = []

    def scarce(self: Decoder, tokens: torch.Tensor, *rest: Any) -> torch.Tensor:
        if len(tokens) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        sizes.append(len(tokens))
        return forward(self, tokens, *rest)

    monkeypatch.setattr(Decoder, "_forward", scarce)
    assert answers(engine(hybrid, batch_size=8), requests) == expected
    assert max(sizes) == found


def test_memory_that_runs_out_while_decoding_loses_nothing(hybrid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = prompts(12)
    expected = answers(engine(hybrid, batch_size=1), requests)
    forward = Decoder._forward

    def scarce(self: Decoder, tokens: torch.Tensor, mask: torch.Tensor, *rest: Any) -> torch.Tensor:
        if tokens.shape[1] == 1 and mask.numel() > 150:  # a long cache of a large batch
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")
        return forward(self, tokens, mask, *rest)

    monkeypatch.setattr(Decoder, "_forward", scarce)
    assert answers(engine(hybrid, batch_size=8), requests) == expected


def test_prompt_too_large_for_memory_alone_is_an_error_of_its_own(
    hybrid: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = Decoder._forward

    def scarce(self: Decoder, tokens: torch.Tensor, *rest: Any) -> torch.Tensor:
        if tokens.shape[1] > 100:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, tokens, *rest)

    monkeypatch.setattr(Decoder, "_forward", scarce)
    requests = [*prompts(3), Request(prompt="x" * 200), *prompts(5, seed=1)[3:]]
    completions = answers(engine(hybrid, batch_size=8), requests)
    assert [completion.finish_reason == "error" for completion in completions] == [False] * 3 + [True] + [False] * 2
    assert "out of memory" in str(completions[3].error)


def test_model_with_broken_weights_is_an_error_not_a_text(hybrid: Path, tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(hybrid)
    model.lm_head.weight.data.fill_(float("nan"))
    model.save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    requests = [
        Request(prompt="a", sampling=Sampling(max_new_tokens=4)),
        Request(prompt="a", sampling=Sampling(max_new_tokens=4, temperature=1.0, top_p=0.9)),
    ]
    for completion in answers(engine(tmp_path), requests):
        assert completion.finish_reason == "error"
        assert "NaN" in str(completion.error)


def test_identity_follows_the_weights_not_the_place(hybrid: Path, tmp_path: Path) -> None:
    shutil.copytree(hybrid, tmp_path / "elsewhere" / hybrid.name)
    copy = tmp_path / "elsewhere" / hybrid.name
    assert engine(copy).identity == engine(hybrid).identity
    assert str(tmp_path) not in engine(copy).identity
    save_model(copy, "nemotron_h", seed=1)
    assert engine(copy).identity != engine(hybrid).identity
    assert engine(hybrid, dtype="bfloat16").identity != engine(hybrid).identity


@pytest.mark.parametrize("as_model", [True, False])
def test_adapter_changes_answers_and_identity(hybrid: Path, tmp_path: Path, as_model: bool) -> None:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    adapted = get_peft_model(
        AutoModelForCausalLM.from_pretrained(hybrid),
        LoraConfig(target_modules=["q_proj", "in_proj"], init_lora_weights=False, r=4),
    )
    adapted.save_pretrained(str(tmp_path))
    request = Request(prompt="Tell me", sampling=Sampling(max_new_tokens=12))
    plain = engine(hybrid)
    with_adapter = engine(tmp_path) if as_model else engine(hybrid, adapter=str(tmp_path))
    assert with_adapter.identity != plain.identity
    ids = torch.tensor([AutoTokenizer.from_pretrained(hybrid)("Tell me")["input_ids"]])
    prepare_hybrid(adapted.get_base_model())
    expected = adapted.eval().generate(input_ids=ids, max_new_tokens=12, do_sample=False)[0, ids.shape[1] :]
    completion = answers(with_adapter, [request])[0]
    assert completion.text == with_adapter._text(expected.tolist())
    assert completion.text != answers(plain, [request])[0].text


def save_adapter(folder: Path, model: Path, seed: int) -> Path:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    config = LoraConfig(target_modules=["q_proj", "v_proj", "in_proj"], init_lora_weights=False, r=4)
    get_peft_model(AutoModelForCausalLM.from_pretrained(model), config).save_pretrained(str(folder))
    return folder


def test_requests_with_adapters_of_their_own_are_answered_as_by_an_engine_with_that_adapter(
    hybrid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [save_adapter(tmp_path / name, hybrid, seed) for seed, name in enumerate(("fr", "de"), start=1)]
    plain = prompts(18)
    expected = {None: answers(engine(hybrid, batch_size=4), plain)}
    for place in places:
        expected[place] = answers(engine(hybrid, batch_size=4, adapter=str(place)), plain)
    assert len({completions[1].text for completions in expected.values()}) == 3, "each adapter answers in its own way"

    mixed = [
        (place, number, replace(request, adapter=None if place is None else Adapter.at(str(place))))
        for number, request in enumerate(plain)
        for place in (None, *places)
    ]
    loaded = engine(hybrid, batch_size=4)
    used: list[int] = []
    forward = Decoder._forward
    monkeypatch.setattr(Decoder, "_forward", lambda self, *rest: (used.append(len(rest[0])), forward(self, *rest))[1])
    for (place, number, request), completion in zip(
        mixed, answers(loaded, [request for _, _, request in mixed]), strict=True
    ):
        assert completion == replace(expected[place][number], key=request.key(loaded.identity))
    assert sum(used) / len(used) > 2.5, "requests of one adapter fill the batches although they come mixed"

    with_default = engine(hybrid, batch_size=4, adapter=str(places[0]))
    other = replace(plain[1], adapter=Adapter.at(str(places[1])))
    for _ in range(2):
        found = answers(with_default, [other, plain[1]])
        assert [completion.text for completion in found] == [expected[places[1]][1].text, expected[places[0]][1].text]


def test_adapter_enters_the_key_by_its_content(hybrid: Path, tmp_path: Path) -> None:
    place = save_adapter(tmp_path / "fr", hybrid, seed=1)
    shutil.copytree(place, tmp_path / "copy" / "fr")
    request = Request(prompt="a")
    key = replace(request, adapter=Adapter.at(str(place))).key("model")
    assert key != request.key("model")
    assert replace(request, adapter=Adapter.at(str(tmp_path / "copy" / "fr"))).key("model") == key
    save_adapter(place, hybrid, seed=2)
    assert replace(request, adapter=Adapter.at(str(place))).key("model") != key
    with pytest.raises(InputError, match=r"holds no adapter_config\.json"):
        Adapter.at(str(tmp_path))


def test_adapter_that_does_not_fit_the_model_is_named(hybrid: Path, tmp_path: Path) -> None:
    place = save_adapter(tmp_path / "fr", hybrid, seed=1)
    (place / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match=r"adapter '.*fr' cannot be loaded"):
        answers(engine(hybrid), [Request(prompt="a", adapter=Adapter.at(str(place)))])


def test_model_is_not_loaded_when_nothing_is_asked(hybrid: Path, tmp_path: Path) -> None:
    shutil.copytree(hybrid, tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"no weights at all")
    broken = engine(tmp_path / "model")
    assert list(broken.generate([])) == []
    with pytest.raises(InputError, match="cannot be loaded"):
        list(broken.generate(prompts(1)))


def test_checkpoint_with_missing_weights_is_refused(hybrid: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(hybrid, tmp_path / "model")
    at = tmp_path / "model" / "model.safetensors"
    weights = load_file(at)
    lost = next(name for name in weights if "q_proj" in name)
    save_file({name: tensor for name, tensor in weights.items() if name != lost}, at, {"format": "pt"})
    with pytest.raises(InputError, match=r"lack 1 of the model's tensors.*q_proj"):
        list(engine(tmp_path / "model").generate(prompts(1)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": ""}, "needs a model"),
        ({"model": "/nowhere/at/all"}, "/nowhere/at/all does not exist"),
        ({"model": "./nowhere"}, "./nowhere does not exist"),
        ({"model": "runs/x/checkpoint-5"}, "runs/x/checkpoint-5 does not exist"),
        ({"model": "EMPTY"}, "holds no config.json"),
        ({"model": "GOOD", "adapter": "/nowhere/adapter"}, "adapter folder /nowhere/adapter does not exist"),
        ({"model": "GOOD", "adapter": "EMPTY"}, "holds no adapter_config.json"),
        ({"model": "GOOD", "dtype": "int3"}, "unknown dtype 'int3'"),
        ({"model": "GOOD", "batch_size": 0}, "batch_size must be at least 1"),
    ],
)
def test_what_cannot_be_opened_is_named(hybrid: Path, tmp_path: Path, values: dict[str, Any], message: str) -> None:
    places = {"EMPTY": str(tmp_path), "GOOD": str(hybrid)}
    values = {key: places.get(value, value) for key, value in values.items()}
    with pytest.raises(InputError, match=message):
        open_engine(EngineConfig(**values))


def test_unknown_hub_name_is_named_when_it_is_asked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'nobody/no-such-model' cannot be loaded"):
        list(open_engine(EngineConfig(model="nobody/no-such-model", device="cpu")).generate(prompts(1)))
