"""What a hybrid Mamba-2/attention model (``nemotron_h``) needs after loading, for training and for generation alike.

Three corrections, all on the model object itself: the limits of the time step come from the config, packed rows keep
their documents apart also where the CUDA kernels are missing, and a packed row is never read with a cache. Whether
they hold on the model and the kernels at hand can be tried out.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from transformers.masking_utils import find_packed_sequence_indices
from transformers.models.nemotron_h.modeling_nemotron_h import NemotronHMamba2Mixer, NemotronHModel

from launch.errors import InputError

Model = TypeVar("Model", bound=nn.Module)
# Marks a model whose packed rows are guarded already.
_GUARDED = "_polythink_guards_packed_rows"
# Of the largest logit, on a CPU. On GPUs the kernels multiply with 10-bit mantissas (TF32) and in another order.
_TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}


def prepare_hybrid(model: Model) -> Model:
    """Correct a loaded model in place and return it; a model without Mamba-2 mixers is left as it is.

    Afterwards a packed row (``position_ids`` that restart, ``seq_idx``, ``use_cache=False``) gives for every document
    the logits of that document alone. Calling it twice changes nothing more.
    """
    for module in model.modules():
        if isinstance(module, NemotronHMamba2Mixer):
            # transformers 5.15-5.23 clamps dt to (time_step_min, inf) in the scan and not at all in the recurrent
            # step of generation; the checkpoint was trained with config.time_step_limit.
            lower, upper = module.config.time_step_limit
            module.time_step_limit = (float(lower), float(upper))
            module.__class__ = PackedMamba2Mixer
        elif isinstance(module, NemotronHModel) and not hasattr(module, _GUARDED):
            module.register_forward_pre_hook(_guard_packed_rows, with_kwargs=True)
            setattr(module, _GUARDED, True)
    return model


def has_mamba_kernels() -> bool:
    """Whether the packages with the fused CUDA kernels are installed (they are used for CUDA tensors only)."""
    return find_spec("mamba_ssm") is not None and find_spec("causal_conv1d") is not None


def has_mamba_blocks(model: nn.Module) -> bool:
    """Whether the model is a hybrid, prepared or not."""
    return any(isinstance(module, NemotronHMamba2Mixer) for module in model.modules())


def ensure_packed_rows(model: nn.Module) -> str:
    """Try a packed row on the prepared model where it is; if the CUDA kernels get it wrong, go on without them in it.

    Any model can be tried, also one that ``prepare_hybrid`` has nothing for (other hybrids, attention alone).

    Returns:
        One sentence on what is in force.

    Raises:
        InputError: the model refuses a packed row, or its documents are not kept apart with the exact path either.
    """
    mixers = [module for module in model.modules() if isinstance(module, PackedMamba2Mixer)]
    weight: Any = _embeddings(model).weight
    tolerance = _TOLERANCE.get(weight.dtype, 5e-2) * (1 if weight.device.type == "cpu" else 10)
    by_kernels = bool(mixers) and mixers[0].hands_on_seq_idx(weight.device)
    difference = _packed_row_difference(model, mixers)
    if by_kernels and not difference <= tolerance:
        for mixer in mixers:
            mixer.trusts_kernels = False
        with_kernels, difference = difference, _packed_row_difference(model, mixers)
        if difference <= tolerance:
            return (
                f"warning: with the installed kernels packed logits differ from separate ones by {with_kernels:.1e} "
                f"of the largest; packed rows are taken apart in front of them instead, where it is {difference:.1e}"
            )
    if difference == float("inf"):
        raise InputError(
            "packed rows: the model refuses a packed row as it is installed here; set training.packing to false, or "
            "install the kernels that it asks for (mamba-ssm, causal-conv1d)"
        )
    if not difference <= tolerance:
        raise InputError(
            f"packed rows mix their documents: packed logits differ from separate ones by {difference:.1e} of the "
            f"largest logit ({tolerance:.0e} would be rounding); set training.packing to false, or look at the "
            "weights and at the installed versions of transformers, mamba-ssm and causal-conv1d"
        )
    means = "CUDA kernels" if by_kernels else "PyTorch path" if mixers else "model's own code"
    return f"packed rows: documents are kept apart by the {means} (packed - separate logits: {difference:.1e})"


def _embeddings(model: Any) -> nn.Module:
    """Its dtype is that of the activations; under 4-bit weights that of a linear layer would not be."""
    embeddings: nn.Module = model.get_input_embeddings()
    return embeddings


def _packed_row_difference(model: nn.Module, mixers: list[PackedMamba2Mixer]) -> float:
    """Largest difference between packed and separate logits, as a share of the largest logit; infinite on an error.

    Two documents, the second of which begins inside a chunk of the scan and ends in the next one. The mixers run as in
    training, where the fused kernel is; dropout is off.
    """
    config: Any = model.config
    chunk = mixers[0].chunk_size if mixers else 16
    lengths = (chunk // 2 + 3, chunk + 5)
    generator = torch.Generator().manual_seed(0)
    weight: Any = _embeddings(model).weight
    device = weight.device
    tokens = torch.randint(config.get_text_config().vocab_size, (1, sum(lengths)), generator=generator).to(device)
    packed = {
        "position_ids": torch.cat([torch.arange(n) for n in lengths])[None].to(device),
        "seq_idx": torch.repeat_interleave(torch.arange(2, dtype=torch.int32), torch.tensor(lengths))[None].to(device),
    }
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    for mixer in mixers:
        mixer.training = True
    try:
        with torch.no_grad():
            apart = [model(part, use_cache=False).logits for part in tokens.split(lengths, dim=1)]
            together = model(tokens, use_cache=False, **packed).logits
    except Exception:  # whatever a kernel that does not fit may raise
        return float("inf")
    finally:
        for module, training in modes:
            module.training = training
    expected = torch.cat(apart, dim=1).float()
    return float((together.float() - expected).abs().max() / expected.abs().max())


class PackedMamba2Mixer(NemotronHMamba2Mixer):
    """The stock mixer, which also keeps packed documents apart without kernels.

    The PyTorch scan of transformers knows no document boundaries. So a packed row is taken apart into a batch of
    right-padded documents, goes through the stock forward (causal: the padding after a document cannot reach it), and
    is put together again. Weights, names and the path without ``seq_idx`` are untouched.
    """

    # Off once the kernels were seen to mix documents.
    trusts_kernels = True

    def hands_on_seq_idx(self, device: torch.device) -> bool:
        """Whether the kernels keep the documents apart, instead of this class."""
        return self.trusts_kernels and device.type == "cuda" and has_mamba_kernels()

    def forward(
        self, hidden_states: Tensor, cache_params: Any = None, attention_mask: Tensor | None = None, **kwargs: Any
    ) -> Tensor:
        """``hidden_states`` (batch, length, hidden); ``seq_idx`` (batch, length), equal within a document."""
        seq_idx = kwargs.get("seq_idx")
        if seq_idx is None or self.hands_on_seq_idx(hidden_states.device):
            return super().forward(hidden_states, cache_params, attention_mask, **kwargs)
        if attention_mask is not None:
            seq_idx = 2 * seq_idx + attention_mask.to(seq_idx.dtype)  # padding is a document of its own
        document, position = _document_and_position(seq_idx)
        count, longest = int(document[-1]) + 1, int(position.max()) + 1
        apart = hidden_states.new_zeros(count, longest, hidden_states.shape[-1])
        apart = apart.index_put((document, position), hidden_states.flatten(0, 1))
        kwargs = {key: value for key, value in kwargs.items() if key != "seq_idx"}
        return super().forward(apart, None, None, **kwargs)[document, position].view_as(hidden_states)


def _document_and_position(seq_idx: Tensor) -> tuple[Tensor, Tensor]:
    """For every token of the flattened batch: the number of its document, and where in the document it stands."""
    starts = torch.ones_like(seq_idx, dtype=torch.bool)
    starts[:, 1:] = seq_idx[:, 1:] != seq_idx[:, :-1]
    document = starts.flatten().cumsum(0) - 1
    tokens = torch.arange(document.numel(), device=seq_idx.device)
    return document, tokens - tokens[starts.flatten()][document]


def _guard_packed_rows(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Derive ``seq_idx`` where only the positions restart, and switch the cache off: with it attention leaks."""
    packed = kwargs.get("seq_idx") is not None
    positions = kwargs.get("position_ids")
    no_cache_yet = kwargs.get("past_key_values") is None
    if not packed and positions is not None and no_cache_yet and kwargs.get("attention_mask") is None:
        documents = find_packed_sequence_indices(positions)
        if documents is not None:
            kwargs["seq_idx"] = documents.to(torch.int32)
            packed = True
    if packed and no_cache_yet:
        kwargs["use_cache"] = False
    return args, kwargs
