"""Recipes: YAML files whose keys are the fields of a dataclass, every one of them overridable on the command line.

``parse_recipe(BuildConfig, argv, prog="…")`` reads ``--config recipe.yaml`` and then ``--any.nested.key value``. The
work is jsonargparse's; here stands only what it lacks: an unknown key is answered with the nearest known one, and
every error is a single sentence.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar, get_args, get_origin, get_type_hints

import yaml
from jsonargparse import ArgumentParser

from launch.errors import InputError

Config = TypeVar("Config")


class _Parser(ArgumentParser):
    """An ArgumentParser whose errors are raised instead of printed with the usage."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        raise InputError(" ".join(str(message).split())) from ex


def parse_recipe(
    config_class: type[Config], argv: Sequence[str], *, prog: str, description: str | None = None
) -> Config:
    """Read a recipe and its overrides into ``config_class`` (a dataclass, nested ones allowed).

    Raises:
        InputError: unknown key (the nearest known one is named), wrong type, unreadable YAML, missing file.
        SystemExit: ``--help`` and ``--print_config``, with status 0.
    """
    recipe = _recipe_of(argv)
    if recipe is not None:
        _check_keys(_load_yaml(recipe), config_class, where=str(recipe))
    for argument in argv:
        _check_option(argument, config_class)
    parser = _Parser(prog=prog, description=description)
    parser.add_argument("--config", action="config", help="the recipe, a YAML file")
    parser.add_class_arguments(config_class, None)
    try:
        values = parser.instantiate(parser.parse_args(list(argv)))
        return config_class(**{f.name: values[f.name] for f in dataclasses.fields(config_class) if f.init})  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise InputError(
                f"{recipe}: {error}" if recipe and str(recipe) not in str(error) else str(error)
            ) from None
        raise InputError(f"{recipe or prog}: {error}") from error


def load_recipe(config_class: type[Config], path: Path) -> Config:
    """Read a YAML file that takes no overrides (a task, a language list) into ``config_class``, as parse_recipe does.

    Raises:
        InputError: as in parse_recipe.
    """
    return parse_recipe(config_class, ["--config", str(path)], prog=path.name)


def recipe_hash(config: Any) -> str:
    """Sixteen hex digits over all values of a recipe dataclass, for "is this still the same run?"."""
    content = json.dumps(dataclasses.asdict(config), sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _recipe_of(argv: Sequence[str]) -> Path | None:
    for position, argument in enumerate(argv):
        if argument == "--config" and position + 1 < len(argv):
            return Path(argv[position + 1])
        if argument.startswith("--config="):
            return Path(argument.removeprefix("--config="))
    return None


def _load_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the recipe {path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    except yaml.YAMLError as error:
        raise InputError(f"the recipe {path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise InputError(f"the recipe {path} holds no keys; it should be a YAML mapping")
    return content


def _nested_class(hint: Any) -> type | None:
    """The dataclass behind a type hint: itself, in ``X | None``, or as the element of a list."""
    for candidate in (hint, *get_args(hint), *(inner for arg in get_args(hint) for inner in get_args(arg))):
        if isinstance(candidate, type) and dataclasses.is_dataclass(candidate) and get_origin(hint) is not dict:
            return candidate
    return None


def _check_keys(values: dict[str, Any], config_class: type, *, where: str, prefix: str = "") -> None:
    hints = get_type_hints(config_class)
    known = [f.name for f in dataclasses.fields(config_class) if f.init]
    for key, value in values.items():
        if key not in known:
            raise InputError(f"{where}: unknown key '{prefix}{key}'{_nearest(str(key), known, prefix)}")
        nested = _nested_class(hints[key])
        if nested is None:
            continue
        for element in value if isinstance(value, list) else [value]:
            if isinstance(element, dict):
                _check_keys(element, nested, where=where, prefix=f"{prefix}{key}.")


def _check_option(argument: str, config_class: type) -> None:
    match = re.match(r"--([A-Za-z_][\w.]*)", argument)
    if match is None or match[1] in ("config", "help", "print_config"):
        return
    current: Any = config_class
    parts = match[1].split(".")
    for depth, part in enumerate(parts):
        if current is None or part == "help":  # inside a dict or behind --group.help
            return
        known = [f.name for f in dataclasses.fields(current) if f.init]
        if part not in known:
            prefix = "".join(f"{p}." for p in parts[:depth])
            raise InputError(f"unknown option '--{match[1]}'{_nearest(part, known, '--' + prefix)}")
        current = _nested_class(get_type_hints(current)[part])


def _nearest(key: str, known: Sequence[str], prefix: str) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"; did you mean '{prefix}{close[0]}'?" if close else f"; known keys: {', '.join(sorted(known))}"
