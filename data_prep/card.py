"""The data set card: ``README.md`` of a build, with the front matter from which the hub knows its configurations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from data_prep.config import BuildConfig
from data_prep.languages import LANGUAGES
from data_prep.pages import render_page
from launch.files import write_whole

_SPLITS = ("train", "validation", "test")


def write_card(folder: Path, manifest: dict[str, Any], config: BuildConfig) -> None:
    """Write the card of a build; it appears under its name only when it is whole."""
    languages = list(configurations(manifest))
    text = render_page(
        "card.md.jinja",
        front_matter=front_matter(manifest, config),
        manifest=manifest,
        config=config,
        repository=folder.resolve().name,
        languages=languages or [config.source.language],
        reasons=[
            {"language": line["language"], "category": line["category"], "reason": reason, **shares}
            for line in manifest["exclusion"]
            for reason, shares in line["reasons"].items()
        ],
    )
    write_whole(folder / "README.md", text + "\n")


def configurations(manifest: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Language → split → pattern of its files, in the order of the registry, from the files of the manifest."""
    found: dict[str, dict[str, str]] = {}
    for file in manifest["files"]:
        if file["path"].startswith("data/"):
            split, language = Path(file["path"]).name.split("-")[0].split(".")
            found.setdefault(language, {})[split] = f"data/{split}.{language}-*.parquet"
    return {
        language: {split: found[language][split] for split in _sorted(found[language], _SPLITS)}
        for language in _sorted(found, tuple(LANGUAGES))
    }


def front_matter(manifest: dict[str, Any], config: BuildConfig) -> str:
    """The YAML that heads the card."""
    splits = configurations(manifest)
    licenses = sorted({name.lower() for name in manifest["licenses"]})
    content = {
        "pretty_name": config.pretty_name,
        "language": list(splits),
        "license": licenses[0] if len(licenses) == 1 else licenses or "unknown",
        "task_categories": ["text-generation"],
        "tags": ["reasoning", "multilingual", "polythink"],
        "configs": [
            {
                "config_name": language,
                "data_files": [{"split": split, "path": pattern} for split, pattern in patterns.items()],
            }
            for language, patterns in splits.items()
        ],
    }
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False)


def _sorted(names: Iterable[str], order: Sequence[str]) -> list[str]:
    """The names in this order, others behind them by the alphabet."""
    return sorted(names, key=lambda name: (order.index(name) if name in order else len(order), name))
