"""prepare_hybrid: packed documents do not see each other, the time step has the config's limits, padding is unseen."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM, NemotronHConfig, NemotronHForCausalLM

import launch.hybrid
from launch.errors import InputError
from launch.hybrid import ensure_packed_rows, prepare_hybrid

VOCABULARY = 97


def tiny_hybrid(pattern: str = "M-M*-M-", seed: int = 0, **changes: object) -> NemotronHForCausalLM:
    torch.manual_seed(seed)
    config = NemotronHConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        hybrid_override_pattern=pattern,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        intermediate_size=48,
        ssm_state_size=8,
        mamba_num_heads=4,
        mamba_head_dim=16,
        n_groups=2,
        chunk_size=8,
        **changes,
    )
    model = NemotronHForCausalLM(config)
    with torch.no_grad():  # larger weights than at initialisation, so that a leak cannot hide
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(8)
    return model


def documents(lengths: list[int], seed: int = 1) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(VOCABULARY, (1, n), generator=generator) for n in lengths]


def pack(parts: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    lengths = torch.tensor([part.shape[1] for part in parts])
    return {
        "input_ids": torch.cat(parts, dim=1),
        "position_ids": torch.cat([torch.arange(n) for n in lengths.tolist()])[None],
        "seq_idx": torch.repeat_interleave(torch.arange(len(parts), dtype=torch.int32), lengths)[None],
    }


@pytest.mark.parametrize("training", [True, False])
@settings(max_examples=15, deadline=None)
@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=6), seed=st.integers(0, 3))
def test_packed_logits_are_those_of_each_document_alone(training: bool, lengths: list[int], seed: int) -> None:
    model = prepare_hybrid(tiny_hybrid(seed=seed)).train(training)
    parts = documents(lengths, seed)
    with torch.no_grad():
        alone = torch.cat([model(part, use_cache=False).logits for part in parts], dim=1)
        packed = model(**pack(parts), use_cache=False).logits
    torch.testing.assert_close(packed, alone, atol=1e-5, rtol=1e-5)


def test_packed_gradients_are_the_sum_over_the_documents() -> None:
    parts = documents([5, 21, 1, 12])
    separate, packed = prepare_hybrid(tiny_hybrid()).train(), prepare_hybrid(tiny_hybrid()).train()
    for part in parts:
        separate(part, use_cache=False).logits.float().logsumexp(-1).sum().backward()
    packed(**pack(parts), use_cache=False).logits.float().logsumexp(-1).sum().backward()
    for (name, a), b in zip(separate.named_parameters(), packed.parameters(), strict=True):
        assert a.grad is not None, name
        torch.testing.assert_close(a.grad, b.grad, atol=1e-4, rtol=1e-4, msg=name)


def test_rows_of_a_packed_batch_do_not_touch() -> None:
    model = prepare_hybrid(tiny_hybrid()).eval()
    rows = [documents([4, 9, 3], seed=2), documents([10, 6], seed=3)]
    batch = {key: torch.cat([pack(parts)[key] for parts in rows]) for key in ("input_ids", "position_ids", "seq_idx")}
    with torch.no_grad():
        together = model(**batch, use_cache=False).logits
        for index, parts in enumerate(rows):
            alone = torch.cat([model(part, use_cache=False).logits for part in parts], dim=1)
            torch.testing.assert_close(together[index : index + 1], alone, atol=1e-5, rtol=1e-5)


def test_restarting_positions_and_a_forgotten_cache_switch_do_not_leak() -> None:
    model = prepare_hybrid(tiny_hybrid()).eval()
    parts = documents([7, 11])
    packed = pack(parts)
    with torch.no_grad():
        alone = torch.cat([model(part, use_cache=False).logits for part in parts], dim=1)
        guarded = model(packed["input_ids"], position_ids=packed["position_ids"]).logits
    torch.testing.assert_close(guarded, alone, atol=1e-5, rtol=1e-5)


def test_the_stock_model_does_leak() -> None:
    """What the guard is for: without it the same call mixes the documents (or the library refuses it)."""
    model = tiny_hybrid().eval()
    parts = documents([7, 11])
    packed = pack(parts)
    with torch.no_grad():
        alone = torch.cat([model(part, use_cache=False).logits for part in parts], dim=1)
        stock = model(packed["input_ids"], position_ids=packed["position_ids"]).logits
    assert (stock - alone).abs().max() > 1e-3


@pytest.mark.parametrize("limits", [(0.0, float("inf")), (0.01, 0.2)])
def test_time_step_limits_come_from_the_config(limits: tuple[float, float]) -> None:
    model = prepare_hybrid(tiny_hybrid(time_step_limit=limits))
    assert {block.mixer.time_step_limit for block in model.model.layers if hasattr(block.mixer, "dt_bias")} == {limits}


def test_generation_step_by_step_equals_one_pass_where_time_steps_are_tiny() -> None:
    """The scan clamps the time step, the recurrent step does not: they agree within the config's limits."""
    model = tiny_hybrid(time_step_min=0.5)
    with torch.no_grad():
        for block in model.model.layers:
            if hasattr(block.mixer, "dt_bias"):
                block.mixer.dt_bias.fill_(-6.0)
    prepare_hybrid(model).eval()
    tokens = documents([12])[0]
    with torch.no_grad():
        one_pass = model(tokens, use_cache=False).logits
        cache, steps = None, []
        for position in range(tokens.shape[1]):
            output = model(tokens[:, position : position + 1], past_key_values=cache, use_cache=True)
            cache = output.past_key_values
            steps.append(output.logits)
    torch.testing.assert_close(torch.cat(steps, dim=1), one_pass, atol=1e-4, rtol=1e-4)


def test_left_padding_with_its_mask_is_not_seen() -> None:
    model = prepare_hybrid(tiny_hybrid()).eval()
    short, long = documents([6, 15])
    padded = torch.cat([torch.zeros(1, 9, dtype=torch.long), short], dim=1)
    batch = torch.cat([padded, long])
    mask = torch.ones_like(batch)
    mask[0, :9] = 0
    with torch.no_grad():
        alone = model(short, use_cache=False).logits[0, -1]
        batched = model(batch, attention_mask=mask, use_cache=False).logits[0, -1]
    torch.testing.assert_close(batched, alone, atol=1e-4, rtol=1e-4)


def test_padding_in_a_packed_row_is_not_seen() -> None:
    """Without attention, whose mask would be a matter of its own: the state must not begin in the padding."""
    model = prepare_hybrid(tiny_hybrid("M-M-")).eval()
    parts = documents([7, 11])
    packed = pack(parts)
    padded = {key: torch.cat([value[:, :1].expand(1, 5), value], dim=1) for key, value in packed.items()}
    mask = torch.ones_like(padded["input_ids"])
    mask[0, :5] = 0
    with torch.no_grad():
        alone = torch.cat([model(part, use_cache=False).logits for part in parts], dim=1)
        together = model(**padded, attention_mask=mask, use_cache=False).logits[:, 5:]
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_weights_and_names_stay_and_a_second_call_changes_nothing() -> None:
    model = tiny_hybrid()
    before = copy.deepcopy(model.state_dict())
    prepared = prepare_hybrid(prepare_hybrid(model))
    assert prepared is model
    assert list(prepared.state_dict()) == list(before)
    assert len(model.model._forward_pre_hooks) == 1


def test_a_model_without_mamba_is_left_alone() -> None:
    model = LlamaForCausalLM(
        LlamaConfig(vocab_size=10, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2)
    )
    assert prepare_hybrid(model) is model
    assert not model.model._forward_pre_hooks


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_probe_finds_packed_rows_right(dtype: torch.dtype) -> None:
    model = prepare_hybrid(tiny_hybrid()).to(dtype).train()
    modes = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    assert "kept apart by the PyTorch path" in ensure_packed_rows(model)
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)


def pretend_kernels(monkeypatch: pytest.MonkeyPatch, *, leak: bool) -> None:
    """Hand ``seq_idx`` on as to kernels: the stock code refuses it, or it is dropped in silence, as old kernels do."""
    monkeypatch.setattr(launch.hybrid.PackedMamba2Mixer, "hands_on_seq_idx", lambda self, device: self.trusts_kernels)
    if leak:
        stock = launch.hybrid.NemotronHMamba2Mixer.forward
        monkeypatch.setattr(
            launch.hybrid.NemotronHMamba2Mixer,
            "forward",
            lambda self, *args, seq_idx=None, **kwargs: stock(self, *args, **kwargs),
        )


@pytest.mark.parametrize("leak", [True, False])
def test_kernels_that_are_wrong_give_way_to_the_exact_path(leak: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_kernels(monkeypatch, leak=leak)
    model = prepare_hybrid(tiny_hybrid()).train()
    assert ensure_packed_rows(model).startswith("warning: with the installed kernels packed logits differ")
    parts = documents([7, 11])
    with torch.no_grad():
        alone = torch.cat([model(part, use_cache=False).logits for part in parts], dim=1)
        packed = model(**pack(parts), use_cache=False).logits
    torch.testing.assert_close(packed, alone, atol=1e-5, rtol=1e-5)


def test_documents_that_nothing_keeps_apart_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch.hybrid, "_document_and_position", lambda s: (s.flatten() * 0, torch.arange(s.numel())))
    with pytest.raises(InputError, match=r"packed rows mix their documents: .* set training\.packing to false"):
        ensure_packed_rows(prepare_hybrid(tiny_hybrid()))
