"""Items: a task and a folder of rows in, one question an item out, with the right answer that it is scored against."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from data_prep.languages import get_language
from data_prep.schema import Row, read_rows
from eval.tasks import SOURCE_LANGUAGE, Task, question
from launch.errors import InputError


@dataclass(frozen=True)
class Item:
    """One question of a task in one language.

    Args:
        id: the row's id, unique within task and language.
        cluster: the problem behind it, equal in all languages; statistics resample whole problems.
        text: the bare question (or source text), without instruction.
        messages: what the model is asked, in the chat form.
        gold: the right answer (reasoning), as the data writes it.
        reference: the right translation (translation), or the answer whose likelihood is measured.
        answer: that answer as a turn in the chat form (likelihood).
        category: of the row; template: of the row, where the sample names it.
    """

    id: str
    cluster: str
    task: str
    language: str
    text: str
    messages: tuple[dict[str, Any], ...]
    gold: str | None
    reference: str | None
    category: str
    template: str | None
    answer: dict[str, Any] | None = None


@dataclass(frozen=True)
class TaskItems:
    """The items of one task by language, in the order of the rows, and what was left out: language → reason → rows."""

    items: dict[str, list[Item]]
    left_out: dict[str, dict[str, int]]


def task_items(
    task: Task, folder: Path, *, languages: Sequence[str] | None = None, limit: int | None = None, seed: int = 0
) -> TaskItems:
    """Read the task's items from a data folder.

    ``languages`` narrows the task's own list, ``limit`` replaces its ``limit_per_language``. Which problems a limit
    keeps depends on ``seed`` and on the problems alone, so that all languages are asked the same ones.

    Raises:
        InputError: a language that the task does not have, a folder or file that is missing or unreadable, or a
            language for which no item is left.
    """
    chosen = list(task.languages if languages is None else languages)
    for code in chosen:
        get_language(code)
        if code not in task.languages:
            raise InputError(f"task '{task.name}' has no language '{code}'; it has {', '.join(task.languages)}")
    if not folder.is_dir():
        raise InputError(f"the data folder {folder} of task '{task.name}' does not exist; name it with --data")
    limit = task.limit_per_language if limit is None else limit
    result = TaskItems({}, {})
    sources = _source_texts(task, folder) if task.kind == "translation" else {}
    for code in chosen:
        counted: Counter[str] = Counter()
        rows = mgsm_rows(folder, code) if task.rows.format == "mgsm" else _build_rows(task, folder, code)
        made = (_item(task, row, code, sources, counted) for row in rows)
        items = _limited([item for item in made if item is not None], limit, seed)
        if not items and task.may_lack_languages:
            result.left_out[code] = dict(counted) or {"no row passes the filters": 0}
            continue
        if not items:
            reasons = (
                "; ".join(f"{reason}: {count}" for reason, count in counted.items()) or "no row passes the filters"
            )
            raise InputError(
                f"task '{task.name}' finds nothing to ask in '{code}' in {folder} (split {task.rows.split or 'any'}, "
                f"category {task.rows.category or 'any'}): {reasons}"
            )
        result.items[code] = items
        result.left_out[code] = dict(counted)
    if not result.items:
        raise InputError(f"task '{task.name}' finds nothing to ask in any language in {folder}")
    return result


def data_sha256(task: Task, folder: Path) -> str:
    """SHA-256 (hex) that tells two data folders apart: a build's manifest, or the files of an MGSM folder."""
    manifest = folder / "manifest.json"
    files = [manifest] if manifest.is_file() else [folder / f"mgsm_{code}.tsv" for code in sorted(task.languages)]
    if task.rows.format == "build" and not manifest.is_file():
        files = sorted((folder / "data").glob("*.parquet"))
    digest = hashlib.sha256()
    for file in files:
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _build_rows(task: Task, folder: Path, language: str) -> Iterator[Row]:
    yield from read_rows(folder, split=task.rows.split, language=language, category=task.rows.category)


def mgsm_rows(folder: Path, language: str) -> Iterator[Row]:
    """Stream ``mgsm_<language>.tsv``: a question, a tab and its number a line, the same problem in each language.

    Raises:
        InputError: the file cannot be read, or a line is no question with a number.
    """
    path = folder / f"mgsm_{language}.tsv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for number, fields in enumerate(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE), start=1):
                gold = fields[1].strip().replace(",", "") if len(fields) == 2 else ""
                try:
                    Decimal(gold)
                except InvalidOperation:
                    raise InputError(f"{path}, line {number}: expected a question, a tab and a number") from None
                yield Row(
                    id=f"mgsm-{number:03d}.{language}",
                    language=language,
                    category="math",
                    messages=({"role": "user", "content": fields[0].strip(), "reasoning_content": None},),
                    source="mgsm",
                    license="CC-BY-4.0",
                    provenance={"source_id": f"mgsm-{number:03d}", "gold": gold},
                )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _turns(row: Row) -> list[dict[str, Any]]:
    """The turns before the last assistant turn, without chains; empty where no user turn ends them."""
    turns = list(row.messages)
    if turns and turns[-1]["role"] == "assistant":
        turns = turns[:-1]
    if not turns or turns[-1]["role"] != "user":
        return []
    return [{"role": turn["role"], "content": turn["content"]} for turn in turns]


def _source_texts(task: Task, folder: Path) -> dict[str, str]:
    """English user turn of every problem, by source id."""
    texts: dict[str, str] = {}
    for row in _build_rows(task, folder, SOURCE_LANGUAGE):
        question = _turns(row)
        if question:
            texts[_cluster(row)] = question[-1]["content"]
    if not texts:
        raise InputError(
            f"task '{task.name}' needs the English rows of split {task.rows.split or 'any'} in {folder}; build the "
            "data with keep_source: true"
        )
    return texts


def _cluster(row: Row) -> str:
    return str(row.provenance.get("source_id") or row.id.removesuffix(f".{row.language}"))


def _item(task: Task, row: Row, language: str, sources: dict[str, str], left_out: Counter[str]) -> Item | None:
    turns = _turns(row)
    gold = row.provenance.get("gold")
    text = turns[-1]["content"] if turns else ""
    reference = None
    if not turns:
        left_out["no user turn to ask"] += 1
        return None
    if task.kind == "reasoning" and (gold is None or not str(gold).strip()):
        left_out["no gold answer"] += 1
        return None
    if task.kind == "translation":
        if _cluster(row) not in sources:
            left_out["no English row"] += 1
            return None
        text, reference, gold = sources[_cluster(row)], text, None
        turns = [{"role": "user", "content": text}]
    answer = None
    if task.kind == "likelihood":
        answer = _answer(row, thinking=task.thinking)
        if answer is None:
            left_out["no answer" if row.messages[-1]["role"] == "user" else "no chain"] += 1
            return None
        reference = answer["content"]
    template = row.provenance.get("template")
    return Item(
        id=row.id,
        cluster=_cluster(row),
        task=task.name,
        language=language,
        text=text,
        messages=tuple(question(task, turns, language)),
        gold=None if gold is None else str(gold),
        reference=reference,
        category=row.category,
        template=None if template is None else str(template),
        answer=answer,
    )


def _answer(row: Row, *, thinking: bool) -> dict[str, Any] | None:
    """The row's last turn, with its chain if one is wanted, or its gold; None where it has not what is wanted."""
    turn, gold = row.messages[-1], row.provenance.get("gold")
    if turn["role"] == "assistant":
        chain = turn["reasoning_content"]
        if not thinking:
            return {"role": "assistant", "content": turn["content"]}
        return {"role": "assistant", "content": turn["content"], "reasoning_content": chain} if chain else None
    return {"role": "assistant", "content": str(gold)} if gold and not thinking else None


def _limited(items: list[Item], limit: int | None, seed: int) -> list[Item]:
    if limit is None or limit >= len(items):
        return items
    drawn = sorted(items, key=lambda item: hashlib.sha256(f"{seed}:{item.cluster}".encode()).digest())[:limit]
    kept = {item.id for item in drawn}
    return [item for item in items if item.id in kept]
