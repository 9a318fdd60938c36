"""Process checks on chains: what they find, and that they fall when a chain is spoiled."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.arithmetic import Equation, find_equations, operands_given, readable
from eval.reasoning import consistent, flips, repetition, score_reasoning, switched
from launch.thinking import Thinking, split_thinking

FOLDER = Path(__file__).parent / "cases"


def _cases(name: str) -> list[Any]:
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    return [pytest.param(case, id=case["note"]) for case in map(json.loads, lines)]


def equations(chain: str) -> list[Equation]:
    return find_equations(readable(chain))


@pytest.mark.parametrize("case", _cases("equations.jsonl"))
def test_equations_that_can_be_checked_are_checked(case: dict[str, Any]) -> None:
    found = equations(case["chain"])
    assert (len(found), sum(equation.holds for equation in found)) == (case["found"], case["right"]), found


@pytest.mark.parametrize("case", _cases("contracts.jsonl"))
def test_chain_and_answer_are_held_to_their_languages_apart(case: dict[str, Any]) -> None:
    score = score_reasoning(Thinking("closed", case["reasoning"], case["answer"]), case["language"])
    assert (score.chain_verdict, score.answer_verdict) == (case["chain"], case["answered"])


def test_the_recipe_may_ask_for_other_languages() -> None:
    thinking = Thinking("closed", "Anna commence avec 5 pommes et en reçoit 7 de plus.", "Anna now has 12 apples.")
    score = score_reasoning(thinking, "fr", chain_language="fr", answer_language="en")
    assert (score.chain_verdict, score.answer_verdict) == ("as_expected", "as_expected")


def test_one_sentence_in_another_language_shows_in_the_share() -> None:
    french = "Anna achète cinq pommes au marché. Elle en donne deux à son frère. Il lui en reste donc trois. "
    assert switched(french, "fr") == 0
    assert switched(french + "She is very happy with her apples.", "fr") == pytest.approx(1 / 4)
    assert switched("12 + 5 = 17", "fr") is None


def test_an_unclosed_chain_has_no_answer_to_judge() -> None:
    score = score_reasoning(split_thinking("<think>Anna has 5 apples and gets 7 more.", False), "fr")
    assert score.state == "unclosed"
    assert not score.closed
    assert (score.answer_verdict, score.consistent, score.answer_switched) == ("undetermined", None, None)


def test_no_chain_has_nothing_to_check() -> None:
    score = score_reasoning(split_thinking("Anna a maintenant 12 pommes.", False), "fr")
    assert (score.state, score.closed, score.chain_characters) == ("none", False, 0)
    assert (score.repetition, score.consistent, score.equations, score.chain_switched) == (None, None, 0, None)
    assert score.answer_verdict == "as_expected"


@pytest.mark.parametrize(
    ("chain", "answer", "language", "verdict"),
    [
        ("5 + 7 = 12", "Anna a maintenant 12 pommes.", "fr", True),
        ("5 + 7 = 12", "Anna a maintenant 13 pommes.", "fr", False),
        ("3 * 0.5 = 1.5", "Il faut 1,5 litre.", "fr", True),
        ("70 * 1000 = 70,000", "Das sind 70.000 Euro.", "de", True),
        ("70 * 1000 = 70,000", "答えは7万円です。", "ja", True),
        ("5 + 7 = 12\nThe answer is 12.", "12", "en", True),
        ("6 / 12 = .5 hour, which is 30 minutes.", "It takes 30 minutes.", "en", True),
        ("2 * 50 = $100\n3 * 30 = $90\nSo the most is $100.", "She can earn $100.", "en", True),
        ("2 * 50 = $100\n3 * 30 = $90\nSo the most is $100.", "She can earn $190.", "en", False),
        ("She thinks about it.", "12", "en", None),
        ("5 + 7 = 12", "She has them.", "en", None),
    ],
)
def test_the_answer_follows_from_the_chain(chain: str, answer: str, language: str, verdict: bool | None) -> None:
    assert consistent(chain, answer, "en", language) is verdict


def operands(chain: str, question: str, language: str = "en") -> tuple[int, int]:
    text = readable(chain)
    found = find_equations(text)
    return operands_given(found, text, "en", question, language), sum(len(equation.operands) for equation in found)


@pytest.mark.parametrize(
    ("chain", "question", "language", "expected"),
    [
        ("5 + 8 = 13\n13 - 3 = 10", "Anna has 5 apples, buys 8 and gives 3 away.", "en", (4, 4)),
        ("13 - 3 = 10\n5 + 8 = 13", "Anna has 5 apples, buys 8 and gives 3 away.", "en", (3, 4)),
        ("13 - 3 = 10", "Anna has 5 apples, buys 8 and gives 3 away.", "en", (1, 2)),
        ("5 + 8 = 13 - 3 = 10", "Anna has 5 apples, buys 8 and gives 3 away.", "en", (3, 3)),
        ("They are 13 by now.\n13 - 3 = 10", "Anna gives 3 away.", "en", (2, 2)),
        ("4 * 3 = 12", "Anna has thrice as many as the four of them.", "en", (2, 2)),
        ("80000 * 1.5 = 120000", "La valeur de 80 000 $ augmente de 50 %.", "fr", (2, 2)),
        ("80 * 150 = 12000", "La valeur de 80 000 $ augmente de 150 %.", "fr", (1, 2)),
        ("80000 + 50000 = 130000", "8万ドルで購入し、5万ドルかけて修繕しました。", "ja", (2, 2)),
        ("3 / 5 * 400 = 240", "3/5 of the 400 files are old.", "en", (3, 3)),
        ("32 / 2 = 16", "The budget is $32 million.", "en", (2, 2)),
        ("0.8 * 50 = 40", "A coat of $50 is 20% off.", "en", (2, 2)),
        ("7 * 24 = 168", "How many hours has a week?", "en", (2, 2)),
        ("She thinks about it.", "Anna has 5 apples.", "en", (0, 0)),
    ],
)
def test_what_is_calculated_with_comes_from_the_question_or_from_before(
    chain: str, question: str, language: str, expected: tuple[int, int]
) -> None:
    assert operands(chain, question, language) == expected


def test_repetition_is_none_or_nearly_all() -> None:
    chain = "Anna starts with 5 apples. She then buys 7 more at the market.\nThat makes 5 + 7 = 12 apples in all."
    assert repetition(chain) == 0
    assert repetition("\n".join([chain] * 10)) > 0.85
    assert repetition("まず5個あります。次に7個買います。合計で12個です。" * 10) > 0.85


def test_flips_count_what_is_taken_back() -> None:
    assert flips("5 + 7 = 13. Wait, that is 12. No, it is 12 indeed.") == 2
    assert flips("There is no doubt that 5 + 7 = 12.") == 0


def _chains(n: int) -> list[tuple[str, str]]:
    generator = random.Random(0)
    made = []
    for _ in range(n):
        a, b, c = (generator.randint(2, 40) for _ in range(3))
        lines = (
            f"She starts with {a} marbles and gets {b} more.",
            f"{a} + {b} = {a + b}",
            f"Then she gives {c} of them away.",
            f"{a + b} - {c} = {a + b - c}",
        )
        made.append(("\n".join(lines), f"She has {a + b - c} marbles left."))
    return made


def _auc(good: list[float], bad: list[float]) -> float:
    """Probability that a sound chain scores above a spoiled one, ties counting half."""
    pairs = [(g > b) + 0.5 * (g == b) for g in good for b in bad]
    return sum(pairs) / len(pairs)


def _wrong_digit(chain: str, generator: random.Random) -> str:
    before, _, result = chain.partition(" = ")
    number, newline, rest = result.partition("\n")
    return f"{before} = {int(number) + generator.randint(1, 9)}{newline}{rest}"


def test_spoiled_chains_score_below_sound_ones() -> None:
    generator = random.Random(1)
    chains = _chains(60)

    def holding(chain: str) -> float:
        found = equations(chain)
        return sum(equation.holds for equation in found) / len(found)

    sound = [holding(chain) for chain, _ in chains]
    assert _auc(sound, [holding(_wrong_digit(chain, generator)) for chain, _ in chains]) > 0.95
    follows = [float(consistent(chain, answer, "en", "en") or 0) for chain, answer in chains]
    dropped = [float(consistent(chain.rsplit("\n", 2)[0], answer, "en", "en") or 0) for chain, answer in chains]
    assert _auc(follows, dropped) > 0.95
    looped = [-repetition("\n".join([chain] * 4)) for chain, _ in chains]
    assert _auc([-repetition(chain) for chain, _ in chains], looped) > 0.95


def test_a_line_that_is_missing_or_comes_too_early_shows_in_the_numbers_used() -> None:
    def known(lines: list[str], question: str) -> float:
        part, whole = operands("\n".join(lines), question)
        return part / whole

    whole, swapped, shortened = [], [], []
    for chain, _ in _chains(60):
        lines = chain.splitlines()
        question = f"{lines[0]} {lines[2]} How many are left?"
        sums = [lines[1], lines[3]]
        whole.append(known(sums, question))
        swapped.append(known(sums[::-1], question))
        shortened.append(known(sums[1:], question))
    assert set(whole) == {1.0}
    assert _auc(whole, swapped) > 0.9, "unless the sum is a number that the question has too"
    assert _auc(whole, shortened) > 0.9


@given(st.text(max_size=200), st.text(max_size=60), st.sampled_from(["en", "fr", "ja"]))
@settings(max_examples=150, deadline=None)
def test_no_text_makes_it_raise(chain: str, answer: str, language: str) -> None:
    score = score_reasoning(Thinking("closed", chain, answer), language)
    assert 0 <= score.equations_right <= score.equations
    assert 0 <= score.operands_given <= score.operands
    assert score.repetition is None or 0 <= score.repetition < 1


@pytest.mark.parametrize("piece", ["111 ", "1+", "1 + 1 = ", "1=", "(", "2 cups of ", "**", "\n", "- ", "no, "])
@pytest.mark.timeout(60)
def test_a_long_chain_is_scored(piece: str) -> None:
    assert score_reasoning(Thinking("closed", piece * 200_000, "12"), "en").chain_characters == len(piece) * 200_000
