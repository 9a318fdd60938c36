"""Line, block or document: what is asked for differs, what comes out is made and judged in the same way."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.build import run_build
from data_prep.config import BuildConfig, build_hash, flat_recipe
from data_prep.documents import take_apart, units_of
from data_prep.failures import failed_parts
from data_prep.gates import GateConfig
from data_prep.llm import EngineTranslator, read_completion, translation_request
from data_prep.memory import memory_table, read_memory
from data_prep.schema import Reject, Row, make_message, read_rejects, read_rows
from data_prep.sources import SourceConfig
from data_prep.translate import translate_documents
from data_prep.translators import Attempt, Granularity, TranslatorConfig, Unit, open_translator
from launch.engines import EngineConfig
from launch.engines.base import Completion, Request
from launch.errors import InputError
from launch.recipe import parse_recipe

CASES = Path(__file__).parent / "cases"
RECIPES = Path(__file__).parents[2] / "recipes" / "data"
BLOCKS = yaml.safe_load((CASES / "blocks.yaml").read_text(encoding="utf-8"))
GRANULARITIES: tuple[Granularity, ...] = get_args(Granularity)
PIECES = [
    *(
        "Anna has 12 apples.",
        "Ben has none.",
        "`run(x)`",
        "$x^2$",
        "\n",
        "\r\n",
        "\n\n",
        "```python\n",
        "```\n",
        "- ",
        "> ",
    ),
    *("| a b |", "|---|\n", " ", "\t", "〘", "<1>", "<b>", "# ", "\\[", "\\]", "\x0b", "12", "\u2028"),
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


def row(*contents: str, system: str | None = None) -> Row:
    messages = [] if system is None else [make_message("system", system)]
    messages += [make_message(("user", "assistant")[index % 2], content) for index, content in enumerate(contents)]
    provenance = {"source_id": "r", "split": "train", "source_language": "en"}
    return Row("r.en", "en", "chat", tuple(messages), "test", "mit", provenance)


def lines(unit: Unit) -> list[str]:
    return list(unit.parts or (unit.text,))


class Identity:
    """Gives every unit back, in the granularity that it is made with."""

    name, attempts = "identity", 1

    def __init__(self, granularity: Granularity) -> None:
        self.granularity, self.context_characters = granularity, 50

    def translate(self, units: Sequence[Unit], source: str, target: str, attempt: int) -> list[Attempt]:
        return [Attempt(unit.text, unit.text, parts=unit.parts) for unit in units]

    def close(self) -> None:
        pass


@pytest.mark.parametrize("case", BLOCKS, ids=lambda case: case["name"])
def test_a_text_is_asked_for_in_blocks(case: dict[str, Any]) -> None:
    assert [lines(unit) for unit in units_of(take_apart(row(case["text"])), "block", 100)] == case["blocks"]


def test_a_block_knows_what_stands_before_it_and_no_more_than_it_should() -> None:
    source = row("Who has a cat?", "# Answer:\n\nAnna has one.\n\n1. She is sure.", system="detailed thinking on")

    contexts = {unit.text: unit.context for unit in units_of(take_apart(source), "block", 100)}

    assert contexts == {
        "Who has a cat?": "",
        "Answer:": "Who has a cat?",
        "Anna has one.": "Who has a cat?\n\n# Answer:",
        "She is sure.": "Who has a cat?\n\n# Answer:\n\nAnna has one.",
    }
    short = [unit.context for unit in units_of(take_apart(source), "block", 16)]
    assert short == ["", "Who has a cat?", "cat?\n\n# Answer:", "Anna has one."], "cut where a word begins"
    assert not any(unit.context for unit in units_of(take_apart(source), "block", 0))


def test_a_long_list_is_asked_for_in_several_pieces() -> None:
    items = [f"- The basket number {number} holds a lot of apples and pears." for number in range(200)]

    units = units_of(take_apart(row("\n".join(items))), "block", 500)

    assert [line for unit in units for line in lines(unit)] == [item.removeprefix("- ") for item in items]
    assert max(len(unit.text) for unit in units) < 2100
    assert len(units) < 10
    assert all(0 < len(unit.context) <= 500 for unit in units[1:])


def test_a_document_is_all_its_turns() -> None:
    source = row("Who has a cat?\nAnd who has a dog?", "Anna.\n\n```\ncode\n```\n\n42", system="/no_think")
    (unit,) = units_of(take_apart(source), "document", 100)
    assert lines(unit) == ["Who has a cat?", "And who has a dog?", "Anna."]
    assert units_of(take_apart(row("42", "$x$")), "document", 100) == []


@settings(deadline=None)
@given(prompt=TEXTS, answer=TEXTS, granularity=st.sampled_from(GRANULARITIES))
def test_segments_stand_in_units_once_and_in_order_and_join_to_the_document(
    prompt: str, answer: str, granularity: Granularity
) -> None:
    source = row(prompt, answer)
    document = take_apart(source)

    units = units_of(document, granularity, 50)
    result = translate_documents([document], Identity(granularity), "fr", Counter())[0]

    assert [line for unit in units for line in lines(unit)] == [segment.text for segment in document.units]
    assert [span for unit in units for span in unit.protected] == [s for d in document.units for s in d.protected]
    assert (result.messages if isinstance(result, Row) else result.translation) == source.messages


# Prompts


def config_of(granularity: Granularity, **values: Any) -> TranslatorConfig:
    return TranslatorConfig(kind="engine", granularity=granularity, **values)


def turns(request: Request) -> list[str]:
    assert request.messages is not None
    return [turn["content"] for turn in request.messages]


FEW_SHOT = {"fr": [["No.", "Non."], ["Yes.", "Oui."]]}
TWO = Unit("See `x`.\nStop.", ("`x`",), "It is\nlate 〘now〙.", ("See `x`.", "Stop."))


def test_a_block_is_one_line_with_marks_after_its_context() -> None:
    first, second = (translation_request(config_of("block", few_shot=FEW_SHOT), TWO, "en", "fr", n) for n in (0, 1))

    assert turns(first)[1:] == [
        "Context:\n–\n\nText:\n〘<1> No. <2> Yes.〙",
        "〘<1> Non. <2> Oui.〙",
        "Context:\nNo.\n\nText:\n〘Yes.〙",
        "〘Oui.〙",
        "Context:\nIt is\nlate [now].\n\nText:\n〘<1> See `x`. <2> Stop.〙",
    ]
    assert "from English into French" in turns(first)[0]
    assert "<1>, <2> and so on" in turns(first)[0]
    assert "Every mark" in turns(second)[0]
    assert "letter by letter: `x`" in turns(second)[0]
    assert (first.sampling.temperature, second.sampling.temperature) == (0.0, 0.7)
    assert first.sampling.seed != second.sampling.seed


def test_a_document_is_json_in_and_out() -> None:
    unit = Unit("See `\\x`.\nStop.", ("`\\x`",), "", ("See `\\x`.", "Stop."))
    first, second = (
        translation_request(config_of("document", few_shot=FEW_SHOT), unit, "en", "fr", n) for n in (0, 1)
    )

    assert turns(first)[1:] == [
        '{"1": "No.", "2": "Yes."}',
        '{"1": "Non.", "2": "Oui."}',
        '{"1": "Yes."}',
        '{"1": "Oui."}',
        '{"1": "See `\\\\x`.", "2": "Stop."}',
    ]
    assert "〘" not in turns(second)[0]
    assert "exactly one JSON object" in turns(second)[0]
    assert "letter by letter: `\\\\x`" in turns(second)[0], "as it stands in JSON"


@pytest.mark.parametrize(
    ("granularity", "prompt"),
    [
        (
            "line",
            "English: 〘No.〙\nFrench: 〘Non.〙\n\nEnglish: 〘Yes.〙\nFrench: 〘Oui.〙\n\nEnglish: 〘Hm.〙\nFrench:",
        ),
        (
            "block",
            "Context: –\nEnglish: 〘<1> No. <2> Yes.〙\nFrench: 〘<1> Non. <2> Oui.〙\n\n"
            "Context: No.\nEnglish: 〘Yes.〙\nFrench: 〘Oui.〙\n\nContext: It is late.\nEnglish: 〘Hm.〙\nFrench:",
        ),
        (
            "document",
            'English: {"1": "No.", "2": "Yes."}\nFrench: {"1": "Non.", "2": "Oui."}\n\n'
            'English: {"1": "Yes."}\nFrench: {"1": "Oui."}\n\nEnglish: {"1": "Hm."}\nFrench:',
        ),
    ],
)
def test_a_base_model_sees_the_examples_in_the_form_of_the_granularity(granularity: Granularity, prompt: str) -> None:
    config = config_of(granularity, prompt_style="plain", few_shot=FEW_SHOT)
    unit = Unit("Hm.", ("Hm.",), "It is\nlate.")

    first, second = (translation_request(config, unit, "en", "fr", attempt) for attempt in (0, 1))

    assert first.prompt == prompt
    assert first.sampling.stop == ("\n",)
    assert second.prompt is not None
    assert second.prompt.startswith("An earlier answer to this could not be used.")
    assert "letter by letter: Hm." in second.prompt
    assert second.prompt.endswith(prompt)
    assert first.sampling.seed != second.sampling.seed


@pytest.mark.parametrize("style", ["chat", "plain"])
@pytest.mark.parametrize("few_shot", [{}, {"fr": [["No.", "Non."]]}, FEW_SHOT], ids=["none", "one", "two"])
def test_no_granularity_takes_the_answers_of_another(style: Any, few_shot: dict[str, list[list[str]]]) -> None:
    keys = {
        translation_request(
            config_of(granularity, prompt_style=style, few_shot=few_shot), Unit("Yes."), "en", "fr", attempt
        ).key("m")
        for granularity in GRANULARITIES
        for attempt in (0, 1)
    }
    assert len(keys) == 6


def test_marks_and_brackets_in_the_source_are_told_apart_from_those_of_the_contract() -> None:
    texts = ("Press <1> or 〘a〙.", "Then ⟦b⟧.")
    unit = Unit("\n".join(texts), (), "", texts)
    asked = turns(translation_request(config_of("block"), unit, "en", "fr", 0))

    assert "⟦1⟧, ⟦2⟧ and so on" in asked[0]
    assert asked[1].endswith("〘⟦1⟧ Press <1> or ⸨a⸩. ⟦2⟧ Then ⟦b⟧.〙")
    answer = read_completion(unit, Completion("", asked[1].split("Text:\n")[1], "stop"), "block")
    assert answer.parts == texts


@pytest.mark.parametrize(
    ("granularity", "text", "finish_reason", "reason", "detail"),
    [
        ("block", "〘<1> Voyez `x`. <2> Stop.〙", "stop", "", ""),
        ("block", "〘<1> Voyez `x`. <2> Stop.〙", "length", "brackets", "finish_reason"),
        ("block", "<1> Voyez `x`. <2> Stop.", "stop", "brackets", "missing"),
        ("block", "〘<1> Voyez `x`.〙〘<2> Stop.〙", "stop", "brackets", "several"),
        ("block", "〘<1> Voyez `x`.\n<2> Stop.〙", "stop", "brackets", "line_break"),
        ("block", "〘Voyez `x`. Stop.〙", "stop", "brackets", "parts"),
        ("document", '{"1": "Voyez `x`.", "2": "Stop."}', "stop", "", ""),
        ("document", '<think>Hm.</think>{"1": "Voyez `x`.", "2": "Stop."}', "stop", "", ""),
        ("document", '<think>{"1": "Voyez `x`.", "2": "Stop."}', "stop", "json", "the model did not stop thinking"),
        ("document", '{"1": "Voyez `x`.", "2": "Stop."}', "length", "json", "finish_reason"),
        ("document", '〘{"1": "Voyez `x`.", "2": "Stop."}〙', "stop", "json", "parts"),
        ("document", "", "error", "engine_error", "the engine failed"),
    ],
)  # fmt: skip
def test_a_completion_counts_only_under_its_contract(
    granularity: Granularity, text: str, finish_reason: Any, reason: str, detail: str
) -> None:
    answer = read_completion(TWO, Completion("", text, finish_reason), granularity)

    assert (answer.reason, answer.detail.split(":")[0], answer.output) == (reason, detail, text)
    assert answer.parts == (() if reason else ("Voyez `x`.", "Stop."))
    assert (answer.text is None) == bool(reason)


# Recipes


def test_builds_from_before_there_was_a_choice_stay_what_they_were() -> None:
    hashes = {
        name: build_hash(parse_recipe(BuildConfig, ["--config", str(RECIPES / f"{name}.yaml")], prog="build"))
        for name in ("real_cpu", "nemotron_v2", "sample")
    }
    assert hashes == {
        "real_cpu": "b6a937dcf5d57b3c",
        "nemotron_v2": "3f7122a42df5bcfb",
        "sample": "b1b0e85710a7b968",
    }
    assert build_hash(BuildConfig()) == "052d2bbce26c79a8"
    assert not [key for key in flat_recipe(BuildConfig()) if "granularity" in key or "context" in key]
    others = [BuildConfig(translator=TranslatorConfig(granularity=granularity)) for granularity in GRANULARITIES]
    assert len({build_hash(other) for other in others}) == 3


def test_completions_from_before_there_was_a_choice_are_found_again() -> None:
    unit = Unit("See `x` in 〘brackets〙.", ("`x`",))
    few_shot = {"fr": [["No.", "Non."]]}
    chat, plain = (config_of("line", prompt_style=style, few_shot=few_shot) for style in ("chat", "plain"))  # type: ignore[arg-type]

    keys = [
        translation_request(config, unit, "en", "fr", n).key("m") for config, n in ((chat, 0), (chat, 1), (plain, 0))
    ]

    assert keys == [
        "740f04c42b7ab6a85c454718a885f91ab96b12521812cc4e3438528571e99221",
        "6c3322f723f6ab1db0e26a9c2804378548a9a168da84a112ee392b49ad5c0a5b",
        "3bbdb392eaff310a146746ec48203765a4a859f60ab9ab34476647a99174e3ab",
    ]


@pytest.mark.parametrize("kind", ["memory", "command"])
@pytest.mark.parametrize("granularity", ["block", "document"])
def test_what_cannot_take_more_than_a_line_says_so(kind: Any, granularity: Any, tmp_path: Path) -> None:
    config = TranslatorConfig(
        kind=kind, granularity=granularity, command=["cat"], memory=[str(CASES / "memory.jsonl")]
    )
    with pytest.raises(
        InputError, match=rf"'{granularity}' needs a language model .* '{kind}' translates line by line"
    ):
        open_translator(config, tmp_path, None)


def test_an_unknown_granularity_is_named(tmp_path: Path) -> None:
    config = config_of("page")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"translator.granularity is 'page'.* one of line, block, document"):
        EngineTranslator(config, None, None)  # type: ignore[arg-type]


# Builds


class Model:
    """A model that knows the memory line by line and answers in the form that it is asked in.

    What it does not know it gives back. Where ``breaks`` says so, it breaks the contract, at every attempt.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.known = memory_table(read_memory(CASES / "memory.jsonl"))["en", "fr"]
        self.breaks = ""

    def __call__(self, turns: list[dict[str, Any]]) -> str:
        content = turns[-1]["content"]
        self.asked.append(content)
        broken = bool(self.breaks) and self.breaks in content
        if content.startswith("{"):
            texts = {key: self.known.get(text, text) for key, text in json.loads(content).items()}
            return json.dumps(texts | {"note": "done"} if broken else texts, ensure_ascii=False)
        text = content.partition("Text:\n")[2] or content
        marked = re.split(r"(<\d+> )", text.strip("〘〙"))
        answer = "".join(self.known.get(piece.strip(), piece) + " " if piece else "" for piece in marked)
        answer = re.sub(r"(<\d+>)\s+", r"\1 ", answer).strip()
        return f"〘{answer}" if broken else f"〘{answer}〙"


@pytest.fixture
def answering() -> Model:
    return Model()


@pytest.fixture
def model(
    answering: Model, serving: Callable[[Model], AbstractContextManager[EngineConfig]]
) -> Iterator[EngineConfig]:
    with serving(answering) as engine:
        yield engine


def config(folder: Path, engine: EngineConfig, granularity: Granularity, **values: Any) -> BuildConfig:
    return BuildConfig(
        output_dir=str(folder),
        source=SourceConfig(kind="jsonl", path=str(CASES / "rows.jsonl")),
        translator=config_of(granularity, engine=engine, attempts=2),
        target_languages=["fr"],
        **values,
    )


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for part in ("data", "rejects")
        for path in (folder / part).iterdir()
    }


def test_all_granularities_give_the_same_rows_where_the_translations_are_the_same(
    tmp_path: Path, model: EngineConfig, answering: Model
) -> None:
    built = {}
    asked = {}
    for granularity in GRANULARITIES:
        answering.asked.clear()
        run_build(config(tmp_path / granularity, model, granularity))
        asked[granularity] = len(answering.asked)
        built[granularity] = files(tmp_path / granularity)

    assert built["line"] == built["block"] == built["document"]
    assert len(list(read_rows(tmp_path / "line", language="fr"))) == 4
    assert asked["document"] == 4 < asked["line"]


def test_changing_a_gate_asks_nothing_and_changing_the_granularity_asks_everything(
    tmp_path: Path, model: EngineConfig, answering: Model
) -> None:
    folder = tmp_path / "D"
    for granularity in GRANULARITIES:
        answering.asked.clear()
        run_build(config(folder, model, granularity, overwrite=True))
        first = len(answering.asked)
        run_build(config(folder, model, granularity, overwrite=True, gates=GateConfig(enabled=("number",))))
        assert first > 0
        assert len(answering.asked) == first, granularity

    expected = files(folder)
    (folder / "manifest.json").unlink()
    run_build(config(folder, dataclasses.replace(model, base_url="http://127.0.0.1:9/v1"), "document",
                     gates=GateConfig(enabled=("number",)), overwrite=True))  # fmt: skip
    assert files(folder) == expected, "every answer is in the store; nobody had to be asked"


@pytest.mark.parametrize(
    ("granularity", "reason", "segments"),
    [
        ("line", "brackets", 1),
        ("block", "brackets", 1),
        ("document", "json", 4),
    ],
)
def test_an_answer_without_its_form_is_asked_for_again_and_then_kept_with_the_reject(
    tmp_path: Path, model: EngineConfig, answering: Model, granularity: Granularity, reason: str, segments: int
) -> None:
    answering.breaks = "castle"
    run_build(config(tmp_path / "D", model, granularity))

    rejects = [reject for reject in read_rejects(tmp_path / "D") if reject.language == "fr"]
    reject = next(reject for reject in rejects if reject.id == "greeting.fr")
    (part, *_) = failed_parts(reject)
    assert reject.reason == reason
    assert len(part.segments) == segments
    assert part.given == part.segments, "nothing of a broken answer is used"
    assert len(part.outputs) == 2
    assert reject.outputs == part.outputs
    assert (
        sum("castle" in question for question in answering.asked if "Text:\n" not in question) >= 2
        or granularity == "block"
    )


class Halting(Identity):
    """Answers in the wrong language for some lines, at every attempt, and says which attempt it was."""

    attempts = 2

    def translate(self, units: Sequence[Unit], source: str, target: str, attempt: int) -> list[Attempt]:
        answers = []
        for unit in units:
            texts = tuple(f"{line} {attempt}" if "apples" in line else "Oui, bien sûr." for line in lines(unit))
            answers.append(Attempt(f"raw {attempt}: {unit.text}", texts[0], parts=texts if unit.parts else ()))
        return answers


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_every_raw_output_of_every_failed_part_is_kept(granularity: Granularity) -> None:
    question, answer = "How many apples does Anna have?\nTell me, please.", "Anna has many apples.\n\nShe is glad."

    reject = translate_documents([take_apart(row(question, answer))], Halting(granularity), "fr", Counter())[0]

    assert isinstance(reject, Reject)
    parts = failed_parts(reject)
    wrong = [segment for part in parts for segment in part.segments]
    assert wrong == ["How many apples does Anna have?", "Anna has many apples."]
    assert [text for part in parts for text in part.given] == [f"{segment} 1" for segment in wrong]
    assert len(parts) == (1 if granularity == "document" else 2)
    asked = [
        unit.text for unit in units_of(take_apart(row(question, answer)), granularity, 50) if "apples" in unit.text
    ]
    assert [part.outputs for part in parts] == [(f"raw 0: {text}", f"raw 1: {text}") for text in asked]
    assert (reject.segment, reject.outputs) == ("\n".join(parts[0].segments), parts[0].outputs)
    assert "number" in reject.reasons
