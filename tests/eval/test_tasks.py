"""Tasks are data: what they hold is checked when they are read, and rows become the questions that they describe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from data_prep.languages import LANGUAGES
from data_prep.schema import Row, make_message, write_rows
from eval.items import data_sha256, task_items
from eval.tasks import TASK_FOLDER, RowFilter, Task, load_task
from launch.errors import InputError

SHIPPED = sorted(path.stem for path in TASK_FOLDER.glob("*.yaml"))
REASONING = {
    "name": "apples",
    "kind": "reasoning",
    "title": "Apples",
    "rows": {"format": "build", "split": "test"},
    "languages": ["en", "fr"],
}
TRANSLATION = REASONING | {"kind": "translation", "languages": ["fr", "de"]}


def task_file(folder: Path, **changes: Any) -> str:
    path = folder / "apples.yaml"
    path.write_text(yaml.safe_dump(REASONING | changes, allow_unicode=True), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_task_loads_and_has_the_name_of_its_file(name: str) -> None:
    assert load_task(name).name == name


def test_the_tasks_of_the_recipes_are_shipped() -> None:
    for recipe in (TASK_FOLDER.parent.parent / "recipes" / "eval").glob("*.yaml"):
        first_line = recipe.read_text(encoding="utf-8").partition("\n")[0]
        assert first_line.startswith(f"# python -m eval run --config recipes/eval/{recipe.name} ")
        assert set(yaml.safe_load(recipe.read_text(encoding="utf-8"))["tasks"]) <= set(SHIPPED)


def test_mgsm_is_instructed_in_the_language_of_the_question() -> None:
    task = load_task("mgsm")
    assert set(task.prompt.instructions) == set(task.languages)
    assert len(set(task.prompt.instructions.values())) == len(task.languages)
    for code, instruction in task.prompt.instructions.items():
        anchors = [word for word in LANGUAGES[code].answer_words if word in instruction.lower()]
        assert anchors, f"the instruction in {code} announces the answer with no word that the grader knows"


def test_an_unknown_task_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match="unknown task 'sample_mth'; did you mean 'sample_math'"):
        load_task("sample_mth")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"langauges": ["fr"]}, "unknown key 'langauges'; did you mean 'languages'"),
        ({"rows": {"format": "build", "splt": "test"}}, "unknown key 'rows.splt'; did you mean 'rows.split'"),
        ({"languages": ["fr", "xx"]}, "'?xx'?"),
        ({"languages": []}, "languages: name at least one"),
        ({"kind": "essay"}, "kind"),
        ({"limit_per_language": 0}, "limit_per_language: must be at least 1"),
        ({"thinking_budget": 0}, "thinking_budget: must be at least 1"),
        ({"thinking_budget": 9, "thinking": False}, "thinking_budget: only a task that generates with thinking"),
        ({"prompt": {"user": "{{ txt }}"}}, "'txt' is undefined"),
        ({"prompt": {"user": "{{ text"}}, "template cannot be filled"),
        ({"prompt": {"user": "{{ instruction }} {{ text }}", "instructions": {"en": "Answer."}}}, "language 'fr'"),
        ({"name": "../apples"}, "may hold only letters"),
        ({"kind": "translation"}, "languages other than English"),
    ],
)
def test_what_is_wrong_in_a_task_file_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_task(task_file(tmp_path, **changes))
    assert "apples.yaml" in str(caught.value)


def test_a_reasoning_item_is_the_user_turn_with_the_gold_of_its_row(tmp_path: Path, build: Path) -> None:
    found = task_items(load_task(task_file(tmp_path)), build)
    item = found.items["fr"][0]
    assert item.messages == ({"role": "user", "content": item.text},)
    assert item.text == "Tom a 5 pommes et il en achète 7 de plus. Combien de pommes Tom a-t-il maintenant ?"
    assert (item.gold, item.reference, item.cluster) == ("12", None, "test-00")
    assert [len(items) for items in found.items.values()] == [12, 12]


def test_a_translation_item_asks_for_the_english_turn_and_expects_the_other_languages_own(
    tmp_path: Path, build: Path
) -> None:
    task = load_task(
        task_file(tmp_path, **TRANSLATION, prompt={"user": "Translate into {{ language_name }}:\n{{ text }}"})
    )
    item = task_items(task, build).items["de"][1]
    assert item.text == "Tom has 3 apples and buys 4 more. How many apples does Tom have now?"
    assert item.messages == ({"role": "user", "content": f"Translate into German:\n{item.text}"},)
    assert item.reference == "Tom hat 3 Äpfel und kauft 4 weitere. Wie viele Äpfel hat Tom jetzt?"
    assert item.gold is None


def test_a_system_text_of_the_task_replaces_that_of_the_row(tmp_path: Path) -> None:
    messages = (make_message("system", "old"), make_message("user", "2 + 2?"), make_message("assistant", "4", "2+2=4"))
    row = Row("a.en", "en", "math", messages, "s", "CC0-1.0", {"gold": "4", "split": "test", "source_id": "a"})
    write_rows(tmp_path / "build" / "data" / "test.en-00000.parquet", [row])
    task = load_task(task_file(tmp_path, languages=["en"], prompt={"system": "Answer in {{ native_name }}."}))
    assert task_items(task, tmp_path / "build").items["en"][0].messages == (
        {"role": "system", "content": "Answer in English."},
        {"role": "user", "content": "2 + 2?"},
    )


def test_rows_that_cannot_be_asked_are_counted_with_a_reason(tmp_path: Path) -> None:
    turns = {
        "gold": ((make_message("user", "2 + 2?"), make_message("assistant", "4")), {"gold": "4"}),
        "no_gold": ((make_message("user", "Hello"), make_message("assistant", "Hi")), {}),
        "no_user": ((make_message("system", "Be kind."), make_message("assistant", "Hi")), {"gold": "4"}),
    }
    rows = [
        Row(f"{name}.en", "en", "math", messages, "s", "CC0-1.0", {"split": "test", **more})
        for name, (messages, more) in turns.items()
    ]
    write_rows(tmp_path / "build" / "data" / "test.en-00000.parquet", rows)
    found = task_items(load_task(task_file(tmp_path, languages=["en"])), tmp_path / "build")
    assert [item.id for item in found.items["en"]] == ["gold.en"]
    assert found.left_out["en"] == {"no gold answer": 1, "no user turn to ask": 1}


def test_a_limit_asks_the_same_problems_in_every_language_and_a_seed_chooses_them(tmp_path: Path, build: Path) -> None:
    task = load_task(task_file(tmp_path, languages=["en", "fr", "ja"], limit_per_language=5))

    def chosen(seed: int, limit: int | None = None) -> list[list[str]]:
        found = task_items(task, build, seed=seed, limit=limit).items
        return [[item.cluster for item in items] for items in found.values()]

    english, french, japanese = chosen(0)
    assert english == french == japanese
    assert len(english) == 5
    assert chosen(0) == chosen(0)
    assert any(chosen(seed) != chosen(0) for seed in range(1, 5))
    assert set(chosen(0, limit=3)[0]) < set(english), "a smaller limit asks a part of the same problems"


@pytest.mark.parametrize(
    ("changes", "languages", "message"),
    [
        ({}, ["it"], "task 'apples' has no language 'it'; it has en, fr"),
        ({}, ["xx"], "xx"),
        ({"rows": {"format": "build", "split": "validation"}}, None, "finds nothing to ask in 'en'"),
        ({"rows": {"format": "mgsm"}}, None, "mgsm_en.tsv cannot be read"),
    ],
)
def test_a_task_that_finds_nothing_says_so(
    tmp_path: Path, build: Path, changes: dict[str, Any], languages: list[str] | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        task_items(load_task(task_file(tmp_path, **changes)), build, languages=languages)


def test_a_language_without_rows_is_told_where_a_task_may_lack_some(
    tmp_path: Path, make_build: Callable[..., Path]
) -> None:
    folder = make_build(tmp_path / "build")
    (folder / "data" / "test.fr-00000.parquet").unlink()
    found = task_items(load_task(task_file(tmp_path, may_lack_languages=True)), folder)
    assert list(found.items) == ["en"]
    assert found.left_out["fr"] == {"no row passes the filters": 0}
    (folder / "data" / "test.en-00000.parquet").unlink()
    with pytest.raises(InputError, match="in any language"):
        task_items(load_task(task_file(tmp_path, may_lack_languages=True)), folder)


def test_a_translation_without_english_rows_says_how_to_get_them(
    tmp_path: Path, make_build: Callable[..., Path]
) -> None:
    folder = make_build(tmp_path / "build")
    (folder / "data" / "test.en-00000.parquet").unlink()
    with pytest.raises(InputError, match="keep_source: true"):
        task_items(load_task(task_file(tmp_path, **TRANSLATION)), folder)


def test_mgsm_files_are_read_as_they_are_published(tmp_path: Path) -> None:
    (tmp_path / "mgsm_en.tsv").write_text('"Why?" she asked. 2 + 2?\t4\nHow many?\t70,000\n', encoding="utf-8")
    items = task_items(load_task(task_file(tmp_path, rows={"format": "mgsm"}, languages=["en"])), tmp_path).items["en"]
    assert [(item.id, item.cluster, item.text, item.gold) for item in items] == [
        ("mgsm-001.en", "mgsm-001", '"Why?" she asked. 2 + 2?', "4"),
        ("mgsm-002.en", "mgsm-002", "How many?", "70000"),
    ]


@pytest.mark.parametrize("line", ["no tab", "one\ttwo\t3", "How many?\tmany"])
def test_a_broken_line_of_an_mgsm_file_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "mgsm_en.tsv").write_text(f"2 + 2?\t4\n{line}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"mgsm_en\.tsv, line 2: expected a question, a tab and a number"):
        task_items(load_task(task_file(tmp_path, rows={"format": "mgsm"}, languages=["en"])), tmp_path)


@given(text=st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1).filter(str.strip))
def test_the_text_of_a_row_reaches_the_model_unchanged_whatever_it_holds(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    folder = tmp_path_factory.mktemp("mgsm")
    (folder / "mgsm_en.tsv").write_text(f"{text} {{{{ 7 * 7 }}}} {{% x %}}\t4\n", encoding="utf-8")
    task = Task("apples", "reasoning", "Apples", RowFilter("mgsm"), ["en"])
    asked = task_items(task, folder).items["en"][0].messages[0]["content"]
    assert asked == f"{text} {{{{ 7 * 7 }}}} {{% x %}}".strip()


def test_another_manifest_is_another_data_folder(tmp_path: Path, make_build: Callable[..., Path]) -> None:
    task = load_task(task_file(tmp_path))
    folder = make_build(tmp_path / "build")
    before = data_sha256(task, folder)
    assert data_sha256(task, folder) == before
    (folder / "manifest.json").write_text("{}", encoding="utf-8")
    assert data_sha256(task, folder) != before
