"""Only what is language is translated; the rest of a row, and its chain, is the source byte for byte."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.adapters import Origin, adapt
from data_prep.schema import Message, Reject, Row, make_message
from data_prep.translate import join_parts, take_apart, translate_documents
from data_prep.translators import Attempt, Unit
from launch.errors import InputError

PIECES = st.sampled_from(
    [
        "Anna has 12 apples.",
        "`run(x)`",
        "$x^2$",
        "\n",
        "\r\n",
        "\n\n",
        "```python\n",
        "```\n",
        "- ",
        "> ",
        "| a | b |",
        "https://x.org/a b",
        " ",
        "\t",
        "〘",
        "〙",
        "<b>",
        "<think>",
        "{name}",
        "\\[",
        "\\]",
        "$5",
        "漢字。",
        "# ",
        "\x0b",
    ]
)
TEXTS = st.lists(PIECES, max_size=12).map("".join)


class Identity:
    """Gives every unit back."""

    name = "identity"
    attempts = 1

    def translate(self, units: Sequence[Unit], source: str, target: str, attempt: int) -> list[Attempt]:
        return [Attempt(unit.text, unit.text) for unit in units]

    def close(self) -> None:
        pass


class Scripted(Identity):
    """Gives the next of its answers to every unit, attempt by attempt."""

    def __init__(self, *answers: str | None) -> None:
        self.answers = answers
        self.attempts = len(answers)
        self.asked: list[list[str]] = []

    def translate(self, units: Sequence[Unit], source: str, target: str, attempt: int) -> list[Attempt]:
        self.asked.append([unit.text for unit in units])
        answer = self.answers[attempt]
        reason = "" if answer is not None else "brackets"
        return [Attempt(f"raw {attempt}", answer, reason, "it broke" if reason else "") for _ in units]


def row(*messages: Message) -> Row:
    turns = [{**message} for message in messages]
    result = adapt({"uuid": "r", "messages": turns}, "messages", Origin("test", 0, "train", "en"))
    assert isinstance(result, Row), result
    return result


QUESTION = "How many apples does Anna have now that she has bought some more at the market?"
ANSWER = "Anna now has a lot of apples in her basket, and she is very happy."


@given(content=TEXTS)
def test_the_parts_of_a_turn_make_the_turn(content: str) -> None:
    source = Row("r.en", "en", "chat", (make_message("user", content),), "test", "mit", {})
    document = take_apart(source)

    assert join_parts(document.turns[0], (unit.text for unit in document.units)) == content


@settings(deadline=None)
@given(prompt=TEXTS, answer=TEXTS, chain=st.none() | TEXTS)
def test_a_translator_that_returns_its_input_gives_back_the_document(
    prompt: str, answer: str, chain: str | None
) -> None:
    messages = (make_message("user", prompt), make_message("assistant", answer, chain))
    source = Row("r.en", "en", "chat", messages, "test", "mit", {"source_id": "r", "split": "train"})

    result = translate_documents([take_apart(source)], Identity(), "fr", Counter())[0]

    # The gates may well call it an untranslated copy; what the translator gave stands in the reject then.
    assert (result.messages if isinstance(result, Row) else result.translation) == messages


def test_the_chain_and_the_switch_of_the_thinking_mode_stay() -> None:
    source = row(
        make_message("system", "detailed thinking on"),
        make_message("user", QUESTION),
        make_message("assistant", ANSWER, "She has many apples.\nAnd so on."),
    )
    translator = Scripted("Anna a beaucoup de pommes dans son panier, et elle en est très heureuse, non ?")

    result = translate_documents([take_apart(source)], translator, "fr", Counter())[0]

    assert isinstance(result, Row), result
    assert translator.asked == [[QUESTION, ANSWER]]
    assert result.id == "r.fr"
    assert result.language == "fr"
    assert result.messages[0]["content"] == "detailed thinking on"
    assert result.messages[2]["reasoning_content"] == "She has many apples.\nAnd so on."
    assert result.provenance == {**source.provenance, "translator": "identity"}


def test_equal_segments_are_translated_once() -> None:
    source = row(make_message("user", QUESTION), make_message("assistant", ANSWER))
    translator = Scripted("Oui, et elle en a même beaucoup.")
    usage: Counter[str] = Counter()

    translate_documents([take_apart(source)] * 3, translator, "fr", usage)

    assert translator.asked == [[QUESTION, ANSWER]]
    assert usage["segments"] == usage["requests"] == 2


def test_only_what_failed_is_asked_again_and_every_output_is_kept() -> None:
    class Stubborn(Scripted):
        def translate(self, units: Sequence[Unit], source: str, target: str, attempt: int) -> list[Attempt]:
            failed = super().translate(units, source, target, attempt)
            good = Attempt("raw", "Anna a beaucoup de pommes dans son panier, et elle en est très heureuse.")
            return [good if unit.text == ANSWER else bad for unit, bad in zip(units, failed, strict=True)]

    source = row(make_message("user", QUESTION), make_message("assistant", ANSWER))
    translator = Stubborn(None, None, None)

    result = translate_documents([take_apart(source)], translator, "fr", Counter())[0]

    assert isinstance(result, Reject)
    assert translator.asked == [[QUESTION, ANSWER], [QUESTION], [QUESTION]]
    assert (result.reason, result.detail, result.segment) == ("brackets", "it broke", QUESTION)
    assert result.outputs == ("raw 0", "raw 1", "raw 2")
    assert result.messages == source.messages


def test_a_text_in_another_language_is_rejected_as_a_whole() -> None:
    source = row(make_message("user", QUESTION), make_message("assistant", ANSWER))
    spanish = "Ana tiene ahora muchas manzanas en su cesta, y está muy contenta con ellas."

    result = translate_documents([take_apart(source)], Scripted(spanish), "fr", Counter())[0]

    assert isinstance(result, Reject)
    assert result.translation[1]["content"] == spanish
    assert any("language" in reason for reason in result.reasons)


def test_model_output_that_no_file_can_hold_is_rejected() -> None:
    source = row(make_message("user", QUESTION), make_message("assistant", ANSWER))

    result = translate_documents([take_apart(source)], Scripted("Oui \ud800"), "fr", Counter())[0]

    assert isinstance(result, Reject)
    assert result.reason == "invalid_unicode"
    repr(result).encode("utf-8")


def test_a_translator_that_is_down_stops_the_build_instead_of_costing_rows() -> None:
    class Down(Identity):
        def translate(self, units: Sequence[Unit], source: str, target: str, attempt: int) -> list[Attempt]:
            return [Attempt("", None, "engine_error", "connection refused", error=True) for _ in units]

    source = row(make_message("user", QUESTION), make_message("assistant", ANSWER))

    with pytest.raises(InputError, match=r"failed on 2 of 2 segments \(connection refused\)"):
        translate_documents([take_apart(source)], Down(), "fr", Counter())
