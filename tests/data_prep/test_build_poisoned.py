"""A row that nobody should have written costs itself: the rows around it come out as they would without it."""

from __future__ import annotations

import json
from pathlib import Path

from data_prep.build import run_build
from data_prep.config import BuildConfig
from data_prep.schema import Reject, Row, read_rejects, read_rows
from data_prep.sources import SourceConfig
from data_prep.translators import TranslatorConfig

TRANSLATOR = ["sed", "s/Anna has/Anna a/;s/How many apples/Combien de pommes/;s/are there/y a-t-il ici/"]
TRANSLATOR[1] += ";s/She has/Elle a/;s/apples/pommes dans le panier/"
QUESTION, ANSWER = "Anna has {} apples. How many apples are there?", "<think>\nCount.\n</think>\n\nShe has {} apples."

# What comes of each: the reason why it is rejected before anything is translated, or None.
POISONED: dict[str, tuple[str | None, str, str]] = {
    "a line of 10 MB": ("too_long", "Anna has 5 apples. " * 550_000, ANSWER),
    "NUL": ("control_characters", "Anna has 5\x00 apples.", ANSWER),
    "half a surrogate pair": ("invalid_unicode", "Anna has 5 \ud800 apples.", ANSWER),
    "half a pair in a chain": ("invalid_unicode", QUESTION, "<think>\n\udfff\n</think>\n\nShe has 5 apples."),
    "two chains": ("two_thoughts", QUESTION, "<think>\na\n</think><think>\nb\n</think>\n\nShe has 5 apples."),
    "an open chain": ("unclosed_thinking", QUESTION, "<think>\nShe has 5 apples."),
    "the delimiter": (None, "Anna has 〘5 apples〙 and one 〘.", "<think>\n〘\n</think>\n\nShe has 〘5〙 apples."),
    "quotes in quotes": (None, "> " * 5000 + "Anna has 5 apples.", ANSWER),
    "an open fence": (None, "~~~~\n```\nAnna has 5 apples.", ANSWER),
    "a terminal's codes": (None, "Anna has \x1b[31m5 apples\x07\u2028.", ANSWER),
}
LINES = [b"\x00\x00", b"[]", b"{", b"[" * 100_000, b'{"messages": "\xff"}', b'{"messages": [{"role": ["user"]}]}']


def _line(name: str, question: str, answer: str) -> bytes:
    texts = {"user": question, "assistant": answer}
    turns = [{"role": role, "content": text.replace("{}", "5")} for role, text in texts.items()]
    return json.dumps({"uuid": name, "messages": turns}).encode()


def _build(folder: Path, lines: list[bytes]) -> tuple[dict[str, Row], dict[str, Reject]]:
    folder.mkdir()
    (folder / "rows.jsonl").write_bytes(b"\n".join(lines))
    source = SourceConfig(kind="jsonl", path=str(folder / "rows.jsonl"))
    translator = TranslatorConfig(kind="command", command=TRANSLATOR)
    run_build(BuildConfig(output_dir=str(folder / "D"), source=source, translator=translator, target_languages=["fr"]))
    rejects = list(read_rejects(folder / "D"))
    return {row.id: row for row in read_rows(folder / "D")}, {reject.id: reject for reject in rejects}


def test_a_poisoned_row_costs_itself_and_no_other(tmp_path: Path) -> None:
    good = [_line(f"good-{index}", QUESTION.replace("{}", str(index)), ANSWER) for index in range(20)]
    poisoned = [_line(name, question, answer) for name, (_, question, answer) in POISONED.items()]
    mixed = [line for pair in zip(good, poisoned + LINES, strict=False) for line in pair] + good[16:]

    alone, _ = _build(tmp_path / "alone", good)
    rows, rejects = _build(tmp_path / "mixed", mixed)

    assert len(alone) == 40, "each in English and in French"
    for name, row in alone.items():
        found = rows.pop(name)
        assert (found.messages, found.language) == (row.messages, row.language)
    reasons = {f"{name}.en": reason for name, (reason, _, _) in POISONED.items() if reason}
    assert {name: rejects.pop(name).reason for name in reasons} == reasons
    kept = {
        f"{name}.{language}" for name, (reason, _, _) in POISONED.items() if not reason for language in ("en", "fr")
    }
    assert rows.keys() <= kept <= rows.keys() | rejects.keys()
    assert len(rejects.keys() - kept) == len(LINES), "each of the other lines, and nothing else"
