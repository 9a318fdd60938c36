"""What another grader makes of generations that were scored before: which verdicts changed, and what each answer was.

    python tests/benchmarks/rescored.py R [R …] [--list FILE] [--changed_only]

R is a folder of ``python -m eval run``. Nothing in it is written: its generations are graded again as they stand and
compared with its ``scores/``. The table has a line a task and language; FILE gets every answer with both verdicts for
people to read. ``python -m eval score R`` then makes the new scores those of the folder.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markdown_tables import percent, table

from eval.folder import Generation, read_generations, read_run, read_scores
from eval.score import score_answer
from launch.thinking import split_thinking

SHOWN = 600  # characters of the end of an answer


@dataclass(frozen=True)
class Rescored:
    """A generation with its score before and now."""

    generation: Generation
    before: dict[str, Any]
    now: dict[str, Any]

    @property
    def changed(self) -> bool:
        """The verdict, what was taken for the answer, or how it was found is another one."""
        return any(self.before.get(key) != self.now.get(key) for key in ("correct", "extracted", "method"))

    def shown(self, run: str) -> str:
        """The end of the answer and both verdicts, for people."""
        answer = split_thinking(self.generation.completion, self.generation.opened_by_prompt).answer or ""
        lines = [f"## {run} {self.generation.task} {self.generation.id}, gold {self.generation.gold}"]
        for name, score in (("before", self.before), ("now", self.now)):
            verdict = "right" if score["correct"] else "wrong"
            lines.append(f"{name}: {verdict}, {score['method']}, {json.dumps(score['extracted'], ensure_ascii=False)}")
        return "\n".join([*lines, f"finished: {self.generation.finish_reason}", "", answer[-SHOWN:], ""])


def rescored(folder: Path) -> dict[tuple[str, str], list[Rescored]]:
    """Every answer of the reasoning tasks of a folder, by task and language."""
    run = read_run(folder)
    found = {}
    for name, entry in run.tasks.items():
        if entry.task.kind != "reasoning":
            continue
        for language in entry.items:
            generations = read_generations(folder, run, name, language)
            scores = read_scores(folder, run, name, language)
            found[name, language] = [
                Rescored(generation, score, score_answer(generation, entry.task))
                for generation, score in zip(generations, scores, strict=True)
            ]
    return found


def main() -> None:
    """Grade again and print what changed."""
    parser = argparse.ArgumentParser(description="What another grader makes of generations that were scored before.")
    parser.add_argument("folders", type=Path, nargs="+", metavar="R")
    parser.add_argument("--list", type=Path, metavar="FILE", help="write every answer with both verdicts")
    parser.add_argument("--changed_only", action="store_true", help="list only what changed")
    arguments = parser.parse_args()
    rows = [["run, task, language", "right before", "right now", "verdicts", "answers", "ways of finding", "of"]]
    listed, methods = [], {"before": Counter[str](), "now": Counter[str]()}
    for folder in arguments.folders:
        for (task, language), answers in rescored(folder).items():
            rows.append(
                [
                    f"{folder.name}, {task}, {language}",
                    percent(sum(a.before["correct"] for a in answers), len(answers)),
                    percent(sum(a.now["correct"] for a in answers), len(answers)),
                    *(str(sum(a.before[k] != a.now[k] for a in answers)) for k in ("correct", "extracted", "method")),
                    str(len(answers)),
                ]
            )
            methods["before"].update(a.before["method"] for a in answers)
            methods["now"].update(a.now["method"] for a in answers)
            listed += [a.shown(folder.name) for a in answers if a.changed or not arguments.changed_only]
    print(f"{table(rows)}\n\nThe three counts are of what changed.\n")
    names = list(dict.fromkeys([*methods["before"], *methods["now"]]))
    print(table([["found by", *names], *([when, *(str(by[name]) for name in names)] for when, by in methods.items())]))
    if arguments.list is not None:
        arguments.list.write_text("\n".join(listed), encoding="utf-8")


if __name__ == "__main__":
    main()
