"""Recipes: YAML into dataclasses, every key overridable, every mistake one sentence that says where and what."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from launch.engines import EngineConfig
from launch.errors import InputError
from launch.recipe import parse_recipe, recipe_hash


@dataclass
class Source:
    """Where rows come from.

    Args:
        path: a file.
        weight: its share.
    """

    path: str
    weight: float = 1.0


@dataclass
class Config:
    """A recipe with a field of every shape that recipes use."""

    engine: EngineConfig = field(default_factory=EngineConfig)
    sources: list[Source] = field(default_factory=list)
    languages: list[str] = field(default_factory=lambda: ["fr", "ja"])
    options: dict[str, Any] = field(default_factory=dict)
    mode: Literal["train", "test"] = "train"
    learning_rate: float = 1e-4
    steps: int = 10
    shuffle: bool = True
    output_dir: str | None = None
    judge: EngineConfig | None = None


def parse(tmp_path: Path, text: str, *argv: str) -> Config:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(text, encoding="utf-8")
    return parse_recipe(Config, ["--config", str(recipe), *argv], prog="test")


def refuse(tmp_path: Path, text: str, *argv: str) -> str:
    with pytest.raises(InputError) as caught:
        parse(tmp_path, text, *argv)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_recipe_becomes_a_dataclass(tmp_path: Path) -> None:
    config = parse(
        tmp_path,
        """
        engine: {kind: openai_server, model: tiny, base_url: "http://localhost:8000/v1", concurrency: 64}
        sources: [{path: a.jsonl, weight: 0.5}, {path: b.jsonl}]
        languages: [de]
        options: {any: {thing: 1}}
        mode: test
        learning_rate: 1e-5
        shuffle: false
        """,
    )
    assert config == Config(
        engine=EngineConfig("openai_server", "tiny", base_url="http://localhost:8000/v1", concurrency=64),
        sources=[Source("a.jsonl", 0.5), Source("b.jsonl")],
        languages=["de"],
        options={"any": {"thing": 1}},
        mode="test",
        learning_rate=1e-5,
        shuffle=False,
    )
    assert isinstance(config.engine, EngineConfig)
    assert isinstance(config.sources[0], Source)


def test_without_a_recipe_the_defaults_hold() -> None:
    assert parse_recipe(Config, [], prog="test") == Config()


@pytest.mark.parametrize(
    ("argv", "path", "value"),
    [
        (["--steps", "3"], "steps", 3),
        (["--steps=3"], "steps", 3),
        (["--learning_rate", "3e-4"], "learning_rate", 3e-4),
        (["--shuffle", "false"], "shuffle", False),
        (["--shuffle", "true"], "shuffle", True),
        (["--mode", "test"], "mode", "test"),
        (["--output_dir", "runs/a b"], "output_dir", "runs/a b"),
        (["--output_dir", "null"], "output_dir", None),
        (["--languages", "[it, es]"], "languages", ["it", "es"]),
        (["--engine.model", "other"], "engine.model", "other"),
        (["--engine.batch_size=4", "--engine.dtype", "float32"], "engine.batch_size", 4),
        (["--judge.model", "big"], "judge.model", "big"),
        (["--options.depth", "2"], "options", {"depth": 2}),
    ],
)
def test_every_key_can_be_overridden(tmp_path: Path, argv: list[str], path: str, value: Any) -> None:
    found: Any = parse(tmp_path, "{steps: 5, engine: {model: small, batch_size: 2}}", *argv)
    for name in path.split("."):
        found = getattr(found, name)
    assert found == value


def test_override_leaves_its_neighbours_alone(tmp_path: Path) -> None:
    config = parse(tmp_path, "{steps: 5, engine: {model: small, batch_size: 2}}", "--engine.model", "big")
    assert (config.steps, config.engine.model, config.engine.batch_size) == (5, "big", 2)


@pytest.mark.parametrize(
    ("text", "argv", "parts"),
    [
        ("lerning_rate: 1", [], ["recipe.yaml", "unknown key 'lerning_rate'", "did you mean 'learning_rate'?"]),
        ("engine: {modle: x}", [], ["recipe.yaml", "'engine.modle'", "did you mean 'engine.model'?"]),
        ("sources: [{path: a, wieght: 1}]", [], ["recipe.yaml", "'sources.wieght'", "'sources.weight'?"]),
        ("judge: {batchsize: 1}", [], ["recipe.yaml", "'judge.batchsize'", "'judge.batch_size'?"]),
        ("zzz: 1", [], ["unknown key 'zzz'", "known keys: engine, judge, languages"]),
        ("1: 1", [], ["recipe.yaml", "unknown key '1'"]),
        ("engine: {class_path: os.system}", [], ["unknown key 'engine.class_path'"]),
        ("steps: 1", ["--stepz", "3"], ["unknown option '--stepz'", "did you mean '--steps'?"]),
        ("steps: 1", ["--engine.modle", "x"], ["unknown option '--engine.modle'", "'--engine.model'?"]),
        ("steps: 1", ["--engine.modle=x"], ["unknown option '--engine.modle'", "'--engine.model'?"]),
        ("steps: many", [], ["recipe.yaml", "steps", "many"]),
        ("steps: 1.5", [], ["recipe.yaml", "steps"]),
        ("engine: {batch_size: [1]}", [], ["recipe.yaml", "batch_size"]),
        ("engine: {kind: magic}", [], ["recipe.yaml", "kind", "magic"]),
        ("engine: tiny", [], ["recipe.yaml", "engine"]),
        ("mode: sing", [], ["recipe.yaml", "mode", "sing"]),
        ("sources: [{weight: 1}]", [], ["recipe.yaml", "path"]),
        ("steps: 1", ["--steps", "x"], ["steps", "x"]),
        ("steps: 1", ["stray"], ["stray"]),
        ("steps: 1", ["--steps"], ["steps"]),
        ("", [], ["recipe.yaml", "holds no keys"]),
        ("- a\n- b", [], ["recipe.yaml", "mapping"]),
        ("just words", [], ["recipe.yaml", "mapping"]),
        ("a: [1", [], ["recipe.yaml", "not valid YAML"]),
        ("a: 1\n\tb: 2", [], ["recipe.yaml", "not valid YAML"]),
        ("steps: !!python/object/apply:os.getpid []", [], ["recipe.yaml", "not valid YAML"]),
    ],
)
def test_mistake_is_one_sentence_that_says_where(tmp_path: Path, text: str, argv: list[str], parts: list[str]) -> None:
    message = refuse(tmp_path, text, *argv)
    for part in parts:
        assert part in message


def test_recipe_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00steps")
    for name in ("missing.yaml", "binary.yaml", "."):
        with pytest.raises(InputError, match=r"the recipe .* cannot be read") as caught:
            parse_recipe(Config, ["--config", str(tmp_path / name)], prog="test")
        assert str(tmp_path) in str(caught.value)
    with pytest.raises(InputError, match=r"the recipe .*missing.yaml cannot be read"):
        parse_recipe(Config, [f"--config={tmp_path / 'missing.yaml'}"], prog="test")


def test_parsed_recipe_written_again_is_the_same_recipe(tmp_path: Path) -> None:
    config = parse(tmp_path, "{steps: 5, engine: {model: small}, sources: [{path: a}]}")
    assert parse(tmp_path, yaml.safe_dump(dataclasses.asdict(config))) == config


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Z")), max_size=20))
@example("1e100")
@example("null")
@example("[1, 2]")
@example("{a: 1}")
def test_quoted_text_stays_text(tmp_path_factory: pytest.TempPathFactory, model: str) -> None:
    recipe = yaml.safe_dump({"engine": {"model": model}}, allow_unicode=True, default_style='"')
    assert parse(tmp_path_factory.mktemp("recipe"), recipe).engine.model == model


def test_hash_follows_every_value() -> None:
    changed = [
        Config(steps=11),
        Config(engine=EngineConfig(model="x")),
        Config(sources=[Source("a")]),
        Config(sources=[Source("a", 2.0)]),
        Config(options={"a": 1}),
    ]
    hashes = [recipe_hash(config) for config in (Config(), *changed)]
    assert len(set(hashes)) == len(hashes)
    assert recipe_hash(Config()) == hashes[0]
    assert recipe_hash(Config(options={"a": 1, "b": 2})) == recipe_hash(Config(options={"b": 2, "a": 1}))
    assert all(len(found) == 16 and int(found, 16) >= 0 for found in hashes)


PROGRAM = """
from collections.abc import Sequence
from dataclasses import dataclass
from launch.errors import exit_cleanly
from launch.recipe import parse_recipe

@dataclass
class Small:
    '''A small recipe.

    Args:
        steps: how many steps to take.
    '''
    steps: int = 3

def main(argv: Sequence[str]) -> None:
    print("steps", parse_recipe(Small, argv, prog="small").steps)
    if "9" in argv:
        raise KeyboardInterrupt

exit_cleanly(main)
"""


@pytest.mark.parametrize(
    ("argv", "status", "output", "error"),
    [
        ([], 0, "steps 3", ""),
        (["--help"], 0, "how many steps to take", ""),
        (["--stps", "1"], 2, "", "error: unknown option '--stps'; did you mean '--steps'?\n"),
        (["--steps", "9"], 130, "steps 9", "interrupted: "),
    ],
)
def test_program_ends_with_a_status(argv: list[str], status: int, output: str, error: str) -> None:
    result = subprocess.run([sys.executable, "-c", PROGRAM, *argv], capture_output=True, text=True, check=False)
    assert result.returncode == status, result.stderr
    assert output in result.stdout
    assert result.stderr.startswith(error)
    assert result.stderr.count("\n") <= 1
