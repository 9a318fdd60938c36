"""Batched decoding with a cache: token rows go in, the same rows come out as they finish, in any order.

``model.generate`` keeps a finished row in the batch until the last one is done and draws all rows from one random
stream. Here a finished row leaves, a waiting one takes its place, and every row has its own stream, so that what a
prompt gets does not depend on its neighbours (beyond the rounding of batched matrix products).
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache
from transformers.cache_utils import DummyLayer, DynamicLayer, DynamicSlidingWindowLayer, LinearAttentionLayer

# A batch is refilled when a quarter of it is free, and rid of finished rows when an eighth is finished: both cost a
# copy of the cache.
_REFILL_FRACTION = 4
_COMPACT_FRACTION = 8
# Prompts that begin alike (the same instructions, the same examples) share the reading of at least so many tokens.
_LEAST_SHARED = 32


@dataclass(eq=False)
class Row:
    """One prompt on its way: ``prompt`` and ``generated`` are token ids, the latter without the token that ended it.

    ``stopped`` is asked after every token whether the text has reached a stop string.
    """

    id: Any
    prompt: list[int]
    max_new_tokens: int
    end_tokens: frozenset[int]
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    stopped: Callable[[list[int]], bool] | None = None
    generated: list[int] = field(default_factory=list)
    finish_reason: Literal["stop", "length", "error"] | None = None
    error: str | None = None

    def accept(self, token: int) -> None:
        """Append a token and see whether the row is done."""
        if token in self.end_tokens:
            self.finish_reason = "stop"
            return
        self.generated.append(token)
        if self.stopped is not None and self.stopped(self.generated):
            self.finish_reason = "stop"
        elif len(self.generated) >= self.max_new_tokens:
            self.finish_reason = "length"

    def fail(self, reason: str) -> None:
        """End the row without a completion."""
        self.finish_reason, self.error = "error", reason


@dataclass
class _Batch:
    """Rows under way: the last token of each, its cache, a mask (n, width) and the next position (n, 1)."""

    rows: list[Row]
    cache: Any
    mask: Tensor
    positions: Tensor
    tokens: Tensor


class RoomyLayer(DynamicLayer):
    """Keys and values of one attention layer, with room to grow: the stock layer copies all of them at every token."""

    def __init__(self) -> None:
        super().__init__()
        self._rooms: dict[str, tuple[Tensor, Tensor]] = {}  # name → the room and the part of it that is in use

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Append keys and values (batch, heads, length, dimension); returns all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        self.keys = self._append("keys", key_states)
        self.values = self._append("values", value_states)
        return self.keys, self.values

    def _append(self, name: str, new: Tensor) -> Tensor:
        old: Tensor = getattr(self, name)
        length = old.shape[-2] if old.numel() else 0
        end = length + new.shape[-2]
        room, used = self._rooms.get(name, (old, None))
        # Another tensor stands there when rows have left or joined.
        if used is not old or end > room.shape[-2]:
            room = new.new_empty(*new.shape[:-2], end + max(32, end // 4), new.shape[-1])
            if length:
                room[..., :length, :] = old
        room[..., length:end, :] = new
        self._rooms[name] = (room, room[..., :end, :])
        return self._rooms[name][1]


@dataclass
class _Prefix:
    """The beginning of many prompts, read once: its tokens and its cache for a batch of one."""

    tokens: list[int]
    cache: Any


class Decoder:
    """Decodes rows with ``model``, at most ``batch_size`` at a time; that number is halved when memory runs out."""

    def __init__(self, model: Any, *, batch_size: int, pad_token_id: int) -> None:
        self.batch_size = batch_size
        self._model = model
        self._pad = pad_token_id
        self._prefix: _Prefix | None = None
        self._window = getattr(model.config.get_text_config(), "sliding_window", None)
        parameters = inspect.signature(getattr(model, "get_base_model", lambda: model)().forward).parameters
        self._takes_positions = "position_ids" in parameters
        self._takes_logits_to_keep = "logits_to_keep" in parameters

    def forget_prefix(self) -> None:
        """Another adapter reads the same prompts in another way: what was read is of no use."""
        self._prefix = None

    @torch.inference_mode()
    def _forward(self, tokens: Tensor, mask: Tensor, positions: Tensor, cache: Any) -> Tensor:
        """The logits (n, vocabulary) that follow ``tokens`` (n, length); fills the cache."""
        extra: dict[str, Any] = {"position_ids": positions} if self._takes_positions else {}
        if self._takes_logits_to_keep:
            extra["logits_to_keep"] = 1
        outputs = self._model(input_ids=tokens, attention_mask=mask, past_key_values=cache, use_cache=True, **extra)
        return outputs.logits[:, -1].float()

    def run(self, take: Callable[[int], list[Row]]) -> Iterator[Row]:
        """Decode what ``take(n)`` (at most n rows; none when there are no more) hands out; yield rows as they end."""
        batch: _Batch | None = None
        again: list[Row] = []  # rows to start anew after memory ran out
        while True:
            active = 0 if batch is None else len(batch.rows)
            free = self.batch_size - active
            if batch is None or (free * _REFILL_FRACTION >= self.batch_size and _knows_layers(batch.cache)):
                new = again[:free] or take(free)
                again = again[len(new) :] if again else []
                if not new and batch is None:
                    return
                if new:
                    batch, put_back = self._admit(batch, new)
                    again = put_back + again
                    yield from (row for row in new if row.finish_reason is not None)
                    batch = _compact(batch, always=True)
                    continue
            assert batch is not None
            going = [row for row in batch.rows if row.finish_reason is None]
            try:
                self._step(batch)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                batch, again = None, self._shrink(going) + again
            yield from (row for row in going if row.finish_reason is not None)
            if batch is not None:
                batch = _compact(batch)

    def _admit(self, batch: _Batch | None, new: list[Row]) -> tuple[_Batch | None, list[Row]]:
        """Read the prompts of ``new`` and put them into the batch; returns it and the rows to be tried again."""
        fresh: _Batch | None = None
        try:
            fresh = self._prefill(new)
            return (fresh if batch is None else _join(batch, fresh)), []
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        if batch is None:
            return None, self._shrink(new)
        if fresh is not None:  # memory ran out while the caches were put together: neither is whole any more
            return None, self._shrink([row for row in batch.rows if row.finish_reason is None] + new)
        self.batch_size = len(batch.rows)
        for row in new:
            _restart(row)
        return batch, new

    def _shrink(self, rows: list[Row]) -> list[Row]:
        """Halve the batch after memory ran out with these rows; returns those that can be tried again."""
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if len(rows) == 1:
            rows[0].fail(f"out of memory with a prompt of {len(rows[0].prompt)} tokens alone in the batch")
            return []
        self.batch_size = max(1, len(rows) // 2)
        for row in rows:
            _restart(row)
        return [row for row in rows if row.finish_reason is None]

    def _prefill(self, rows: list[Row]) -> _Batch:
        prefix = self._shared_prefix(rows)
        shared = 0 if prefix is None else len(prefix.tokens)
        cache = self._new_cache()
        if prefix is not None:
            cache = copy.deepcopy(prefix.cache)
            cache.batch_repeat_interleave(len(rows))
        width = max(len(row.prompt) for row in rows) - shared
        device = self._model.device
        padding = [width + shared - len(row.prompt) for row in rows]
        tokens = torch.tensor(
            [[self._pad] * gap + row.prompt[shared:] for gap, row in zip(padding, rows, strict=True)], device=device
        )
        mask = torch.tensor([[1] * shared + [0] * gap + [1] * (width - gap) for gap in padding], device=device)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, shared:]
        logits = self._forward(tokens, mask, positions, cache)
        batch = _Batch(rows, cache, mask, positions[:, -1:], tokens[:, -1:])
        self._accept(batch, logits)
        return batch

    def _new_cache(self) -> Any:
        """An empty cache. Sliding windows are kept by the mask alone, so that rows can join at any time."""
        cache = DynamicCache(config=self._model.config)
        cache.layers = [
            RoomyLayer() if type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) else layer
            for layer in cache.layers
        ]
        return cache

    def _shared_prefix(self, rows: list[Row]) -> _Prefix | None:
        """What all prompts begin with, if reading it once pays; kept for the rows that join later.

        Padding then stands between it and the rest of a prompt. A recurrent layer would not pass over that, and a
        sliding window would count it, so such models read every prompt whole.
        """
        longest = max(len(row.prompt) for row in rows) + max(row.max_new_tokens for row in rows)
        if self._window is not None and longest > self._window:
            return None
        if self._prefix is not None and all(_begins_with(row.prompt, self._prefix.tokens) for row in rows):
            return self._prefix
        first, last = min(row.prompt for row in rows), max(row.prompt for row in rows)
        least = min(len(row.prompt) for row in rows)
        shared = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), least)
        shared = min(shared, least - 1)  # every row has something left to read, whose logits give its first token
        cache = self._new_cache()
        if len(rows) < 2 or shared < _LEAST_SHARED or any(type(layer) is not RoomyLayer for layer in cache.layers):
            return None
        tokens = torch.tensor([first[:shared]], device=self._model.device)
        positions = torch.arange(shared, device=self._model.device)[None]
        self._forward(tokens, torch.ones_like(tokens), positions, cache)
        self._prefix = _Prefix(first[:shared], cache)
        return self._prefix

    def _step(self, batch: _Batch) -> None:
        self._accept(batch, self._forward(batch.tokens, batch.mask, batch.positions, batch.cache))

    def _accept(self, batch: _Batch, logits: Tensor) -> None:
        """Choose a token for every row and prepare the next step."""
        tokens = choose_tokens(logits, batch.rows)
        broken = logits.amax(-1).isnan().tolist()  # NaN wins every maximum
        for row, token, is_broken in zip(batch.rows, tokens.tolist(), broken, strict=True):
            if row.finish_reason is not None:
                continue
            if is_broken:
                row.fail("the model's output is not a number (NaN)")
            else:
                row.accept(token)
        batch.tokens = tokens[:, None]
        batch.mask = pad(batch.mask, (0, 1), value=1)
        batch.positions = batch.positions + 1


def choose_tokens(logits: Tensor, rows: list[Row]) -> Tensor:
    """The next token (n,) of every row from ``logits`` (n, vocabulary): the likeliest, or drawn from the nucleus.

    A draw depends on the row's seed and on how many tokens the row has, on nothing else.
    """
    tokens = logits.argmax(-1)
    drawn = [position for position, row in enumerate(rows) if row.temperature > 0]
    if not drawn:
        return tokens
    of = torch.tensor(drawn, device=logits.device)
    chosen = [rows[position] for position in drawn]
    temperature = logits.new_tensor([row.temperature for row in chosen])[:, None]
    top_p = logits.new_tensor([row.top_p for row in chosen])[:, None]
    uniform = logits.new_tensor([_uniform(row) for row in chosen])[:, None]
    scaled = logits[of]
    probabilities = ((scaled - scaled.amax(-1, keepdim=True)) / temperature).softmax(-1)
    probabilities, order = torch.sort(probabilities, dim=-1, descending=True, stable=True)
    # The nucleus: the fewest likeliest tokens whose mass reaches top_p (Holtzman et al. 2020, section 3.1).
    before = probabilities.cumsum(-1) - probabilities
    nucleus = probabilities.masked_fill((before >= top_p) & (before > 0), 0)
    cumulated = nucleus.cumsum(-1)
    index = torch.searchsorted(cumulated, uniform * cumulated[:, -1:], right=True)
    last = (nucleus > 0).sum(-1, keepdim=True) - 1
    tokens[of] = order.gather(-1, index.minimum(last).clamp(min=0))[:, 0]
    return tokens


def is_out_of_memory(error: BaseException) -> bool:
    """Whether PyTorch ran out of memory, on a GPU or (a plain RuntimeError) on the CPU."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _uniform(row: Row) -> float:
    seed = (row.seed * 1_000_003 + len(row.generated)) & (2**63 - 1)
    return float(torch.rand((), generator=torch.Generator().manual_seed(seed)))


def _restart(row: Row) -> None:
    row.generated.clear()
    row.finish_reason = row.error = None


def _compact(batch: _Batch | None, *, always: bool = False) -> _Batch | None:
    """Take finished rows out of the batch, when there are enough of them to pay for the copy; None: no row is left."""
    if batch is None:
        return None
    keep = [position for position, row in enumerate(batch.rows) if row.finish_reason is None]
    finished = len(batch.rows) - len(keep)
    if not keep:
        return None
    if finished == 0 or (not always and finished * _COMPACT_FRACTION < len(batch.rows)):
        return batch
    of = torch.tensor(keep, device=batch.mask.device)
    batch.cache.reorder_cache(of)
    return _Batch(
        [batch.rows[position] for position in keep], batch.cache, batch.mask[of], batch.positions[of], batch.tokens[of]
    )


def _begins_with(prompt: list[int], prefix: list[int]) -> bool:
    return len(prompt) > len(prefix) and prompt[: len(prefix)] == prefix


def _knows_layers(cache: Any) -> bool:
    """Whether rows can join: the caches of full attention and recurrent layers can be put together."""
    return all(type(layer) in (RoomyLayer, LinearAttentionLayer, DummyLayer) for layer in cache.layers)


def _join(old: _Batch, new: _Batch) -> _Batch:
    """Both batches as one: caches padded on the left to the same width, columns that nobody needs cut off."""
    old_width, new_width = old.mask.shape[1], new.mask.shape[1]
    width = max(old_width, new_width)
    mask = torch.cat([pad(old.mask, (width - old_width, 0)), pad(new.mask, (width - new_width, 0))])
    unused = int(mask.any(0).int().argmax())
    for mine, other in zip(old.cache.layers, new.cache.layers, strict=True):
        if isinstance(mine, LinearAttentionLayer):
            for state in range(mine.number_of_states):
                for states in ("conv_states", "recurrent_states"):
                    if getattr(mine, f"is_{states}_initialized")[state]:
                        both = [getattr(layer, states)[state] for layer in (mine, other)]
                        getattr(mine, states)[state] = torch.cat(both)
        elif isinstance(mine, DynamicLayer) and mine.is_initialized:
            # The mask is one column wider than the cache: the token chosen last is not in it yet.
            for name in ("keys", "values"):
                both = [pad(getattr(mine, name), (0, 0, width - old_width, 0))]
                both += [pad(getattr(other, name), (0, 0, width - new_width, 0))]
                setattr(mine, name, torch.cat(both)[:, :, unused:])
    return _Batch(
        old.rows + new.rows,
        old.cache,
        mask[:, unused:],
        torch.cat([old.positions, new.positions]),
        torch.cat([old.tokens, new.tokens]),
    )
