"""The plan of the house: which room may import which, and that every recipe can be read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from data_prep.config import BuildConfig
from eval.config import EvalConfig
from launch.recipe import parse_recipe

ROOT = Path(__file__).parents[1]
ROOMS = ("launch", "data_prep", "train", "eval")
# A room may import itself and the rooms below it.
BELOW = {"launch": (), "data_prep": ("launch",), "train": ("launch", "data_prep"), "eval": ("launch", "data_prep")}
RECIPES = sorted((ROOT / "recipes").glob("*/*.yaml"))
COMMANDS = {
    "data": "# python -m data_prep build --config ",
    "eval": "# python -m eval run --config ",
    "sft": "# accelerate launch ",
}


def imported_modules(path: Path) -> set[str]:
    """Every module that a file imports, wherever in it: ``a.b`` for ``import a.b`` and for ``from a.b import c``."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("room", ROOMS)
def test_nothing_imports_upwards(room: str) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    allowed = {room, *BELOW[room]}
    for path in files:
        ours = {name.partition(".")[0] for name in imported_modules(path)} & set(ROOMS)
        assert ours <= allowed, f"{path.relative_to(ROOT)} imports {sorted(ours - allowed)}"


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_recipe_begins_with_its_run_command(recipe: Path) -> None:
    first_line = recipe.read_text(encoding="utf-8").splitlines()[0]
    assert first_line.startswith(COMMANDS[recipe.parent.name])
    assert f"--config {recipe.relative_to(ROOT)}" in first_line


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_recipe_holds_known_keys_of_the_right_type(recipe: Path) -> None:
    from train.config import TrainConfig

    config_class = {"data": BuildConfig, "eval": EvalConfig, "sft": TrainConfig}[recipe.parent.name]
    # transformers refuses bf16 where there is no GPU, unless the CPU is asked for.
    on_cpu = ["--training.use_cpu=true"] if config_class is TrainConfig else []
    assert isinstance(parse_recipe(config_class, ["--config", str(recipe), *on_cpu], prog="recipe"), config_class)
