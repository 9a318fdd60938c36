"""Records of the public data sets, as they really are, made into rows; what cannot be read becomes a named reject.

Kinds: ``messages`` (chat records: Nemotron v1 and v2, and plain ones), ``llama_nemotron`` (``input``/``output``),
``gsm8k`` (worked solution and ``####`` answer), ``question_answer`` (MGSM: a problem and its number).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from data_prep.schema import Message, Reject, Row, make_message, reasoning_sha256, storable
from launch.thinking import split_thinking

RecordFormat = Literal["messages", "llama_nemotron", "gsm8k", "question_answer"]
# Columns without which no record of that kind can be read.
REQUIRED_COLUMNS: dict[RecordFormat, tuple[str, ...]] = {
    "messages": ("messages",),
    "llama_nemotron": ("input", "output"),
    "gsm8k": ("question", "answer"),
    "question_answer": ("question", "answer"),
}
# Columns that are read when they are there; whatever else a shard carries (``metadata``) is left alone.
OPTIONAL_COLUMNS = ("id", "uuid", "license", "generator", "version", "category", "reasoning", "system_prompt")
_ROLES = ("system", "user", "assistant")
_CALCULATOR_MARK = re.compile(r"<<[^<>\n]*>>")
_RECORD_CHARACTERS = 20_000


@dataclass(frozen=True)
class Origin:
    """Where a record stands, and what holds for it where it says nothing itself.

    ``number`` counts the records of the source from 0; it makes the id of records that have none.
    """

    source: str
    number: int
    split: str
    language: str
    category: str = "unknown"
    license: str = "unknown"


class _Unusable(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def adapt(record: Mapping[str, Any], kind: RecordFormat, origin: Origin) -> Row | Reject:
    """Read one record. A reject's ``reason`` is one of the names in this module; nothing is ever raised for a record.

    The chain of every assistant turn is parted from its answer, both stripped, and the hash of all chains is kept in
    ``provenance["reasoning_sha256"]``.
    """
    try:
        parts = {"gsm8k": _gsm8k, "question_answer": _question_answer, "llama_nemotron": _llama_nemotron}
        messages, extra = parts.get(kind, _chat)(record)
        _check_turns(messages)
    except _Unusable as error:
        return reject_record(record, origin, error.reason, str(error))
    provenance = {
        **{key: record[key] for key in ("generator", "version", "reasoning") if _is_text(record.get(key))},
        **extra,
        "source_id": _source_id(record, origin),
        "split": origin.split,
        "source_language": origin.language,
        "reasoning_sha256": reasoning_sha256(messages),
    }
    return Row(
        id=f"{provenance['source_id']}.{origin.language}",
        language=origin.language,
        category=_text_or(record.get("category"), origin.category),
        messages=messages,
        source=origin.source,
        license=_text_or(record.get("license"), origin.license),
        provenance=provenance,
    )


def reject_record(record: Any, origin: Origin, reason: str, detail: str) -> Reject:
    """The reject for a record that could not be read; it keeps the beginning of the record as JSON."""
    fields = record if isinstance(record, Mapping) else {}
    source_id = _source_id(fields, origin)
    return Reject(
        id=f"{source_id}.{origin.language}",
        language=origin.language,
        category=_text_or(fields.get("category"), origin.category),
        split=origin.split,
        reason=reason,
        detail=storable(detail),
        reasons=(reason,),
        record=json.dumps(record, default=str, sort_keys=True)[:_RECORD_CHARACTERS],
        source=origin.source,
        license=_text_or(fields.get("license"), origin.license),
        provenance={"source_id": source_id, "split": origin.split, "source_language": origin.language},
    )


def _chat(record: Mapping[str, Any]) -> tuple[tuple[Message, ...], dict[str, Any]]:
    turns = record.get("messages")
    if isinstance(turns, str):
        turns = _parsed(turns)
    if not isinstance(turns, list) or not turns:
        raise _Unusable("no_messages", "'messages' is not a list of turns")
    return tuple(_message(turn, record.get("reasoning")) for turn in turns), {}


def _llama_nemotron(record: Mapping[str, Any]) -> tuple[tuple[Message, ...], dict[str, Any]]:
    turns = record.get("input")
    if isinstance(turns, str):
        turns = [{"role": "user", "content": turns}]
    if not isinstance(turns, list) or not turns:
        raise _Unusable("no_messages", "'input' is not a list of turns")
    system = record.get("system_prompt")
    if _is_text(system) and not any(isinstance(turn, Mapping) and turn.get("role") == "system" for turn in turns):
        turns = [{"role": "system", "content": system}, *turns]
    turns = [*turns, {"role": "assistant", "content": record.get("output")}]
    return tuple(_message(turn, record.get("reasoning")) for turn in turns), {}


def _gsm8k(record: Mapping[str, Any]) -> tuple[tuple[Message, ...], dict[str, Any]]:
    question, answer = (_content(record.get("question"), "question"), _content(record.get("answer"), "answer"))
    solution, mark, final = answer.rpartition("####")
    if not mark or not final.strip():
        raise _Unusable("no_final_answer", "the answer has no '####' line")
    chain = _CALCULATOR_MARK.sub("", solution).strip()
    messages = (make_message("user", question), make_message("assistant", final.strip(), chain))
    return messages, {"gold": final.strip().replace(",", "")}


def _question_answer(record: Mapping[str, Any]) -> tuple[tuple[Message, ...], dict[str, Any]]:
    question, answer = (_content(record.get("question"), "question"), _content(record.get("answer"), "answer"))
    return (make_message("user", question), make_message("assistant", answer.strip())), {"gold": answer.strip()}


def _message(turn: Any, mode: Any) -> Message:
    if not isinstance(turn, Mapping) or turn.get("role") not in _ROLES:
        role = turn.get("role") if isinstance(turn, Mapping) else turn
        raise _Unusable("unknown_role", f"a turn has the role {str(role)[:40]!r}; system, user and assistant are read")
    if turn.get("tool_calls"):
        raise _Unusable("tool_calls", "a turn calls tools, which are not translated")
    role = turn["role"]
    content = _content(turn.get("content"), role)
    if role != "assistant":
        return make_message(role, content)
    chain = turn.get("reasoning_content")
    if chain is not None:
        chain = _content(chain, "reasoning_content")
        if "<think>" in content or "</think>" in content:
            raise _Unusable("two_thoughts", "a turn has both reasoning_content and <think> in its content")
        return make_message(role, content.strip(), chain.strip())
    return _part(content, mode)


def _part(content: str, mode: Any) -> Message:
    """Part an assistant turn into chain and answer."""
    before, tag, _ = content.partition("<think>")
    if tag and before.strip() and "</think>" not in before:
        raise _Unusable("text_before_thinking", "a turn has <think> in the middle of its text")
    thinking = split_thinking(content, opened_by_prompt=False)
    # Without an opening tag only the flag says that what stands before </think> was thought, not prose about tags.
    if thinking.state == "orphan_close" and mode != "on":
        raise _Unusable("unopened_thinking", "a turn has </think> without <think>")
    if thinking.state == "unclosed" or thinking.answer is None:
        raise _Unusable("unclosed_thinking", "a turn opens <think> and never closes it")
    if "<think>" in thinking.answer or "</think>" in thinking.answer:
        raise _Unusable("two_thoughts", "a turn has another <think> or </think> after its chain")
    if "<think>" in (thinking.reasoning or ""):
        raise _Unusable("two_thoughts", "a chain holds another <think>")
    return make_message("assistant", thinking.answer, thinking.reasoning)


def _check_turns(messages: tuple[Message, ...]) -> None:
    turns = [message for message in messages if message["role"] != "system"]
    if not any(message["role"] == "assistant" for message in turns):
        raise _Unusable("no_assistant_turn", "there is no assistant turn")
    if not any(message["role"] == "user" for message in turns):
        raise _Unusable("no_user_turn", "there is no user turn")
    if messages[-1]["role"] != "assistant":
        raise _Unusable("unanswered", "the last turn is not the assistant's")
    for message in turns:
        if not message["content"].strip():
            reason = "empty_answer" if message["role"] == "assistant" else "empty_prompt"
            raise _Unusable(reason, f"a turn of the {message['role']} is empty")
        if message["role"] == "user" and message["content"].strip() == "-":
            raise _Unusable("placeholder_prompt", "a user turn is the placeholder '-'")


def _content(value: Any, name: str) -> str:
    if value is None:
        raise _Unusable("null_content", f"the {name} is null")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _Unusable("content_not_text", f"the {name} is {type(value).__name__}, not text")
    text = str(value)
    if "\x00" in text:
        raise _Unusable("control_characters", f"the {name} holds NUL bytes")
    if storable(text) != text:
        raise _Unusable("invalid_unicode", f"the {name} holds lone surrogates")
    return text


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _source_id(record: Mapping[str, Any], origin: Origin) -> str:
    for key in ("uuid", "id"):
        value = record.get(key)
        if _is_text(value) or (isinstance(value, int) and not isinstance(value, bool)):
            return storable(str(value).strip())
    return f"{origin.source}-{origin.number:08d}"


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _text_or(value: Any, default: str) -> str:
    return storable(value.strip()) if _is_text(value) else default
