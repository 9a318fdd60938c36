"""Rows to examples in tokens: transformed, rendered, checked, truncated; with each one's fault, if it has one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from datasets import Features, List, Value
from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from data_prep.schema import Row
from train.config import TransformsConfig
from train.rendering import (
    NOT_LEARNED,
    Encoding,
    Example,
    encode,
    join_turns,
    render,
    to_examples,
    to_translation_example,
)
from train.row_checks import Markers, RowFault, check_encoding, check_texts
from train.transforms import transform_row

TOKENS = List(Value("int32"))
# One line for every example that was drawn, whether it is trained on or left out.
EXAMPLE_FEATURES = Features(
    {
        "id": Value("string"),
        "turns": List(Value("int32")),  # positions of the messages that are learned
        "language": Value("string"),
        "category": Value("string"),
        "transform": Value("string"),
        "thinking": Value("bool"),
        "tokens": Value("int32"),
        "learned_tokens": Value("int32"),
        "cut_by_max_length": Value("bool"),
        "fault": Value("string"),
        "detail": Value("string"),
        "input_ids": TOKENS,
        "labels": TOKENS,
    }
)


@dataclass(frozen=True)
class Encoder:
    """Rows to examples in tokens; what of recipe and model decides them.

    Args:
        tokenizer: of the model, with the template in force.
        markers: its special tokens.
        transforms: what is done to chains; None: nothing (evaluation rows).
        max_length: tokens of an example at most; None: any number.
        overflow: what becomes of a longer example: it loses its end, its beginning, or stays for the packing to split.
        learn_prompt: everything is learned, not the assistant's turns alone.
    """

    tokenizer: PreTrainedTokenizerBase
    markers: Markers
    transforms: TransformsConfig | None
    max_length: int | None
    overflow: Literal["keep_start", "keep_end", "split"] = "keep_start"
    learn_prompt: bool = False

    def row(self, row: Row) -> list[dict[str, Any]]:
        """The examples of a row: one, if all its turns can be learned in one, or else one a turn."""
        transforms, cut_turns, kind = self.transforms, frozenset[int](), "none"
        if transforms is not None:
            transformed = transform_row(row, transforms, transforms.seed, self._count_tokens)
            row, kind, cut_turns = transformed.row, transformed.kind, transformed.cut_turns
        try:
            examples = to_examples(row)
        except ValueError:
            return [self._line(row, kind, [], fault=RowFault("no_answer"))]
        mask = cut_turns if transforms is not None and transforms.mask_forced_close else frozenset[int]()
        return self._examples(row, kind, examples, mask)

    def translation(self, source: Row, row: Row) -> list[dict[str, Any]]:
        """The translation exercise of a row."""
        return self._examples(row, "translation", [to_translation_example(source, row)], frozenset())

    def _examples(
        self, row: Row, kind: str, examples: Sequence[Example], mask_close: frozenset[int]
    ) -> list[dict[str, Any]]:
        encodings: list[Encoding | RowFault] = []
        for example in examples:
            try:
                encodings.append(self._checked(example, mask_close=len(example["prompt"]) in mask_close))
            except RowFault as fault:
                encodings.append(fault)
        turns = [len(example["prompt"]) for example in examples]
        whole = [encoding for encoding in encodings if isinstance(encoding, Encoding)]
        joined = join_turns(whole) if len(whole) == len(examples) else None
        thinking = examples[-1]["chat_template_kwargs"]["enable_thinking"]
        if joined is not None:
            return [self._line(row, kind, turns, joined, thinking=thinking)]
        return [
            self._line(
                row,
                kind,
                [turn],
                encoding if isinstance(encoding, Encoding) else None,
                encoding if isinstance(encoding, RowFault) else None,
                thinking=example["chat_template_kwargs"]["enable_thinking"],
            )
            for turn, encoding, example in zip(turns, encodings, examples, strict=True)
        ]

    def _checked(self, example: Example, *, mask_close: bool) -> Encoding:
        thinking = example["chat_template_kwargs"]["enable_thinking"]
        check_texts(example, self.markers)
        try:
            encoding = encode(example, self.tokenizer, learn_prompt=self.learn_prompt, mask_close=mask_close)
            check_encoding(
                example, encoding, self.markers, lambda turns: render(self.tokenizer, turns, thinking=thinking)
            )
        except TemplateError as error:
            raise RowFault("template", f"the chat template refuses it: {error}") from error
        return encoding

    def _line(
        self,
        row: Row,
        kind: str,
        turns: list[int],
        encoding: Encoding | None = None,
        fault: RowFault | None = None,
        *,
        thinking: bool = False,
    ) -> dict[str, Any]:
        input_ids, labels, is_cut = ([], [], False) if encoding is None else self._truncated(encoding)
        learned = _learned(labels)
        if encoding is not None and learned == 0:
            fault = RowFault("nothing_to_learn", f"max_length {self.max_length} leaves nothing of the answer")
            input_ids, labels, is_cut = [], [], False
        return {
            "id": row.id,
            "turns": turns,
            "language": row.language,
            "category": row.category,
            "transform": kind,
            "thinking": thinking,
            "tokens": len(input_ids),
            "learned_tokens": learned,
            "cut_by_max_length": is_cut,
            "fault": fault and fault.reason,
            "detail": fault and fault.detail,
            "input_ids": input_ids,
            "labels": labels,
        }

    def _truncated(self, encoding: Encoding) -> tuple[list[int], list[int], bool]:
        length = len(encoding.input_ids)
        if self.max_length is None or length <= self.max_length:
            return encoding.input_ids, encoding.labels, False
        if self.overflow == "split":
            return encoding.input_ids, encoding.labels, True
        kept = slice(length - self.max_length, length) if self.overflow == "keep_end" else slice(self.max_length)
        labels = encoding.labels[kept]
        return encoding.input_ids[kept], labels, _learned(labels) < encoding.learned

    def _count_tokens(self, text: str) -> int:
        return len(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def _learned(labels: Sequence[int]) -> int:
    return sum(label != NOT_LEARNED for label in labels)
