"""What can be wrong with one row once it is rendered: every fault has a name, and the row is named with it.

A fault is found by looking at what would be trained, not at how the template is written: the text must stand in the
rendering unchanged, the completion must read back as the same chain and the same answer, its end must be learned.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from launch.thinking import CLOSE, OPEN, ends_open, split_thinking
from train.rendering import NOT_LEARNED, Encoding, Example, render

FLAGS = ("/think", "/no_think")
_HOLE = "\ue000{}\ue001"
_HOLES = re.compile("\ue000(\\d+)\ue001")

FAULTS = {
    "no_answer": "the conversation does not end with an assistant turn",
    "nothing_to_learn": "the answer is empty, or the prompt alone fills max_length",
    "special_token": "a text holds one of the tokens that mark turns in this model's layout",
    "double_think": "chain or answer begin with <think>, so that it would stand there twice",
    "misread_tags": "the rendered completion reads back as another chain or another answer",
    "thinking_flag": "the template takes /think or /no_think in a text for a switch: it deletes it or obeys it",
    "text_changed": "a text does not stand in the rendering as it is",
    "chain_lost": "the chain is not rendered",
    "prompt_boundary": "the prompt in training is not the prompt in generation",
    "bos_twice": "the token that begins a text stands there twice",
    "eos_not_trained": "the token that ends a turn is not learned at its end",
    "template": "the chat template refuses the conversation",
}


class RowFault(ValueError):
    """A row that should not be trained on: ``reason`` is a key of FAULTS, ``detail`` a sentence about this row."""

    def __init__(self, reason: str, detail: str | None = None) -> None:
        self.reason = reason
        self.detail = detail or FAULTS[reason]
        super().__init__(f"{reason}: {self.detail}")


@dataclass(frozen=True)
class Markers:
    """The special tokens of a layout.

    Args:
        texts: tokens that mark turns; in a text of the data they would be tokens, not text.
        end_of_turn: tokens that end a generated turn.
        bos: the token that begins a text.
    """

    texts: tuple[str, ...]
    end_of_turn: frozenset[int]
    bos: int | None


def find_markers(tokenizer: PreTrainedTokenizerBase, end_of_turn: frozenset[int]) -> Markers:
    """The special tokens that the template writes, and those that begin, end and pad a text."""
    turns = [{"role": role, "content": role} for role in ("user", "assistant")]
    shown = render(tokenizer, turns, thinking=False) + render(tokenizer, turns[:1], True, for_generation=True)
    # Added tokens that are special, and not only those that have a name (bos, eos, additional) in the tokenizer.
    added = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    special = {token for token in added.union(tokenizer.all_special_tokens) if token in shown}
    special |= {token for token in (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) if token}
    special |= {str(tokenizer.convert_ids_to_tokens(i)) for i in end_of_turn}
    return Markers(tuple(sorted(special)), end_of_turn, tokenizer.bos_token_id)


def check_texts(example: Example, markers: Markers) -> None:
    """What can be seen before rendering.

    Raises:
        RowFault: nothing_to_learn, special_token, double_think.
    """
    answer = example["completion"][0]
    if not answer["content"].strip():
        raise RowFault("nothing_to_learn", "the answer is empty")
    for number, turn in enumerate([*example["prompt"], answer]):
        for text in (turn["content"], turn.get("reasoning_content", "")):
            token = next((token for token in markers.texts if token in text), None)
            if token is not None:
                raise RowFault("special_token", f"message {number + 1} ({turn['role']}) holds {token}")
    for name, text in (("answer", answer["content"]), ("chain", answer.get("reasoning_content", ""))):
        if text.lstrip().startswith(OPEN):
            raise RowFault("double_think", f"the {name} begins with {OPEN}")


def check_encoding(
    example: Example, encoding: Encoding, markers: Markers, render_turns: Callable[[Sequence[dict[str, str]]], str]
) -> None:
    """What can be seen in the rendered, not yet truncated example.

    Args:
        example: prompt and completion.
        encoding: what became of it.
        markers: of the tokenizer that made it.
        render_turns: renders a whole conversation as the example was rendered.

    Raises:
        RowFault: the first thing that is wrong.
    """
    whole = encoding.prompt + encoding.completion if encoding.prompt_is_kept else encoding.completion
    _check_round_trip([*example["prompt"], *example["completion"]], whole, render_turns)
    if not encoding.prompt_is_kept:
        raise RowFault("prompt_boundary")
    answer = example["completion"][0]
    thinking = split_thinking(encoding.completion, ends_open(encoding.prompt))
    if ends_open(encoding.prompt) and not example["chat_template_kwargs"]["enable_thinking"]:
        raise RowFault("thinking_flag", "thinking is switched on by a text although the row has no chain")
    chain = answer.get("reasoning_content", "").strip()
    if (thinking.reasoning or "") != chain or not (thinking.answer or "").startswith(answer["content"].strip()):
        raise RowFault("misread_tags", f"read back, the completion is '{thinking.state}' with another chain or answer")
    if markers.bos is not None and encoding.input_ids[:2] == [markers.bos, markers.bos]:
        raise RowFault("bos_twice")
    _check_end(encoding, markers)


def _check_end(encoding: Encoding, markers: Markers) -> None:
    """The end of the turn is learned, and nothing but line breaks of the layout after it."""
    last = len(encoding.input_ids) - 1
    while last >= 0 and encoding.input_ids[last] not in markers.end_of_turn:
        last -= 1
    after = len(encoding.input_ids) - 1 - last
    # ChatML writes one line break after the token; more than that is text the model would learn to add.
    if last < 0 or encoding.labels[last] == NOT_LEARNED or after > 1 or not _ends_blank(encoding, after):
        raise RowFault("eos_not_trained")


def _ends_blank(encoding: Encoding, tokens: int) -> bool:
    return tokens == 0 or encoding.completion[-1:].isspace()


def _check_round_trip(
    turns: Sequence[dict[str, str]], whole: str, render_turns: Callable[[Sequence[dict[str, str]]], str]
) -> None:
    """Render the conversation with holes for its texts, and see that the texts in the holes give the rendering.

    A template may strip a text; whatever else it does to it shows, be it a deleted flag or a chain cut out. A system
    message of flags alone is the layout's own switch and stays.
    """
    texts: list[tuple[int, str, str]] = []  # number of the message, key, text
    with_holes = []
    for number, turn in enumerate(turns):
        with_hole = dict(turn)
        for key in ("content", "reasoning_content"):
            text = turn.get(key, "")
            switch = turn["role"] == "system" and all(word in FLAGS for word in text.split())
            if text.strip() and not switch:
                with_hole[key] = _HOLE.format(len(texts))
                texts.append((number, key, text))
        with_holes.append(with_hole)
    pieces = _HOLES.split(render_turns(with_holes))
    shown = {int(hole) for hole in pieces[1::2]}
    for hole, (number, key, _) in enumerate(texts):
        last = number == len(turns) - 1
        if hole not in shown and (key == "content" or last):
            raise _fault(turns, number, key)
    ends = {len(pieces[0])} if whole.startswith(pieces[0]) else set()
    hole = 0
    for place, literal in zip(pieces[1::2], pieces[2::2], strict=True):
        hole = int(place)
        text = texts[hole][2]
        ends = {end + len(t) for end in ends for t in {text, text.strip()} if whole.startswith(t, end)}
        ends = {end + len(literal) for end in ends if whole.startswith(literal, end)}
        if not ends:
            break
    if len(whole) not in ends:
        raise _fault(turns, *texts[hole][:2]) if texts else RowFault("text_changed")


def _fault(turns: Sequence[dict[str, str]], number: int, key: str) -> RowFault:
    flagged = [
        (position, flag)
        for position, turn in enumerate(turns)
        for flag in FLAGS
        if flag in turn["content"].replace(CLOSE, "") and (turn["role"] != "assistant" or position == number)
    ]
    if flagged:
        position, flag = next((f for f in flagged if f[0] == number), flagged[0])
        where = f"message {position + 1} ({turns[position]['role']}) holds {flag}"
        return RowFault("thinking_flag", f"{where}, which the template does not leave there as text")
    if key == "reasoning_content":
        return RowFault("chain_lost")
    role = turns[number]["role"]
    return RowFault("text_changed", f"message {number + 1} ({role}) does not stand in the rendering as it is")
