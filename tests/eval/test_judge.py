"""The judge: which chains it reads, what becomes of its verdicts, and that no score changes because of it."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import Page

from eval.__main__ import main
from eval.folder import Generation
from eval.judge import RUBRICS, Rubric, load_rubric, unfit
from launch.errors import InputError

STEPS = load_rubric("steps")


@pytest.fixture(scope="module")
def judge() -> Iterator[str]:
    """The address of a judge that runs as a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("judge_server.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}"
        process.kill()


def asked_of(judge: str) -> list[str]:
    """The messages that reached the judge since it was started."""
    with urllib.request.urlopen(f"{judge}/log") as response:
        return list(json.load(response))


def judging(judge: str) -> list[str]:
    """The options that turn the judge on."""
    options = {"kind": "openai_server", "model": "careful", "base_url": f"{judge}/v1", "max_retries": "0"}
    return [word for key, value in options.items() for word in (f"--judge.engine.{key}", value)]


def report_of(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "report.json").read_text(encoding="utf-8")))


def generation(completion: str, **fields: Any) -> Generation:
    known: dict[str, Any] = dict.fromkeys(Generation.__dataclass_fields__) | {"completion": completion}
    return Generation(**known | {"finish_reason": "stop", "opened_by_prompt": False} | fields)


def test_without_a_judge_the_report_has_none(finished: Callable[[str], Path]) -> None:
    folder = finished("half")
    assert "judge" not in report_of(folder)
    assert not (folder / "judgements").exists()


def test_the_verdicts_stand_beside_the_scores_and_change_none(evaluate: Callable[..., Path], judge: str) -> None:
    folder = evaluate("half")
    without = report_of(folder)
    evaluate("half", *judging(judge))
    report = report_of(folder)
    judged = report.pop("judge")
    assert report == without, "accuracy and everything else is what it was"
    # 12 sums: that of 44 is refused, that of 42 rambled over, and of the ten others five are wrong.
    for language in ("en", "fr", "de", "ja"):
        assert judged["outcomes"]["apples"][language] == {"judged": 10, "unparseable": 1, "error": 1}
        shares = {name: found["value"] for name, found in judged["metrics"]["apples"][language].items()}
        assert shares == {"facts": 1.0, "steps": 0.5, "complete": 1.0}
        assert judged["metrics"]["apples"][language]["steps"]["n"] == 10
    assert judged["metrics"]["apples"]["average"]["steps"]["value"] == 0.5
    assert list(judged["metrics"]) == ["apples"], "a translation has no chain to judge"


def test_the_judge_reads_problem_and_chain_and_neither_answer_nor_gold(
    evaluate: Callable[..., Path], judge: str
) -> None:
    before = len(asked_of(judge))
    evaluate("right", "--languages", "[fr]", "--name", "read", *judging(judge))
    messages = asked_of(judge)[before:]
    assert len(messages) == 12
    first = next(message for message in messages if "5 + 7" in message)
    assert "Tom a 5 pommes et il en achète 7 de plus." in first
    assert "Tom starts with 5 apples.\n5 + 7 = 12" in first
    assert "Tom a maintenant" not in first


def test_what_was_asked_is_kept_with_its_hash(evaluate: Callable[..., Path], judge: str) -> None:
    stored = report_of(evaluate("half", *judging(judge)))["judge"]
    assert (stored["model"], stored["rubric"]) == ("careful", "steps")
    assert stored["criteria"] == STEPS.criteria
    assert stored["prompt"] == STEPS.prompt
    assert stored["prompt_sha256"] == STEPS.prompt_sha256
    other = Rubric(STEPS.criteria | {"facts": "Another question?"}, STEPS.prompt)
    assert other.prompt_sha256 != STEPS.prompt_sha256


def test_nothing_is_asked_twice_and_scoring_needs_no_judge(evaluate: Callable[..., Path], judge: str) -> None:
    folder = evaluate("right", *judging(judge))
    asked, report = len(asked_of(judge)), report_of(folder)
    evaluate("right", *judging(judge))
    assert len(asked_of(judge)) == asked + 4, "only the refused sum of 44, in four languages, is asked once more"
    (folder / "report.json").unlink()
    main(["score", str(folder)])
    assert report_of(folder) == report


def test_a_chain_that_changed_is_judged_no_more(evaluate: Callable[..., Path], judge: str) -> None:
    folder = evaluate("right", *judging(judge))
    path = folder / "generations" / "apples.fr.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace("5 + 7 = 12", "7 + 5 = 12"), encoding="utf-8")
    main(["score", str(folder)])
    outcomes = report_of(folder)["judge"]["outcomes"]["apples"]
    assert outcomes["fr"] == {"changed": 1, "judged": 9, "unparseable": 1, "error": 1}
    assert outcomes["de"] == {"judged": 10, "unparseable": 1, "error": 1}


def test_a_judge_that_is_gone_costs_no_score(
    evaluate: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = evaluate("right", *judging("http://127.0.0.1:9"))
    report = report_of(folder)
    assert report["metrics"]["apples"]["average"]["accuracy"]["value"] == 1
    assert report["judge"]["outcomes"]["apples"]["fr"] == {"error": 12}
    assert report["judge"]["metrics"]["apples"]["fr"]["steps"] == {"value": None, "low": None, "high": None, "n": 0}
    assert "the judge on the chains of apples: error: 48" in capsys.readouterr().out


def test_a_run_without_the_judge_forgets_it(evaluate: Callable[..., Path], judge: str) -> None:
    folder = evaluate("right", *judging(judge))
    evaluate("right")
    assert "judge" not in report_of(folder)


@pytest.mark.parametrize(
    ("completion", "fields", "reason"),
    [
        ("<think>Tom starts with five apples and buys seven.</think>12", {}, None),
        ("<think>Tom commence avec cinq pommes et en achète sept.</think>12", {}, "not_english"),
        ("<think>5 + 7 = 12</think>12", {}, "undetermined"),
        ("<think>Tom starts with five apples and buys", {}, "unclosed"),
        ("<think></think>12", {}, "no_chain"),
        ("Tom has 12 apples.", {}, "no_chain"),
        ("", {"finish_reason": "error"}, "no_chain"),
        ("Tom starts with five apples and buys seven.</think>12", {"opened_by_prompt": True}, None),
    ],
)
def test_only_closed_english_chains_are_judged(completion: str, fields: dict[str, Any], reason: str | None) -> None:
    assert unfit(generation(completion, **fields)) == reason


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("facts: yes\nsteps: no\ncomplete: yes", (True, False, True)),
        ("**Facts:** Yes\n* steps = YES\n3. `complete`: no, a line is missing", (True, True, False)),
        ("facts: yes\nsteps: no", None),
        ("facts: yes\nsteps: no\ncomplete: perhaps", None),
        ("facts: yes\nfacts: no\nsteps: no\ncomplete: yes", None),
        ("The steps: yes, they follow. The facts: yes. complete: yes", None),
        ("", None),
    ],
)
def test_a_verdict_says_yes_or_no_to_every_criterion_or_is_none(said: str, verdict: tuple[bool, ...] | None) -> None:
    found = STEPS.verdict(said)
    assert (found and tuple(found.values())) == verdict


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"criteria": {}, "prompt": "{{ question }} {{ chain }}"}, "name at least one"),
        ({"criteria": {"good": "Good?"}, "prompt": "{{ question }}"}, "does not show the chain"),
        ({"criteria": {"good": "Good?"}, "prompt": "{{ question }} {{ chian }}"}, "cannot be filled: 'chian'"),
        ({"criteria": {"good": "Good?"}, "promt": "x"}, "did you mean 'prompt'"),
    ],
)
def test_a_rubric_that_cannot_be_used_is_refused(tmp_path: Path, content: dict[str, Any], message: str) -> None:
    path = tmp_path / "rubric.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        load_rubric(str(path))


def test_a_mistake_in_the_judges_recipe_is_found_before_anything_is_asked(
    evaluate: Callable[..., Path], server: Any
) -> None:
    with pytest.raises(InputError, match="unknown rubric 'stepz'; known rubrics: steps"):
        evaluate("right", "--judge.rubric", "stepz", *judging("http://127.0.0.1:9"))
    assert server.asked == []
    assert sorted(path.stem for path in RUBRICS.glob("*.yaml")) == ["steps"]


def test_a_reader_sees_that_the_judge_is_no_part_of_accuracy(
    evaluate: Callable[..., Path], judge: str, open_page: Callable[[Path], AbstractContextManager[Page]]
) -> None:
    folder = evaluate("half", *judging(judge))
    with open_page(folder / "report.html") as page:
        section = page.locator("#judge").inner_text()
    assert "No part of accuracy" in section
    assert STEPS.prompt_sha256[:16] in section
    assert "unparseable" in section
