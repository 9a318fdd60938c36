"""What a build leaves besides its rows: the progress records of its shards, and the manifest made of them."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from data_prep.config import BuildConfig, build_hash, flat_recipe
from data_prep.decontamination import read_prompts
from data_prep.exclusions import Counts, add_json, exclusion_table
from data_prep.schema import PROGRESS_FOLDER
from launch.errors import InputError
from launch.files import write_whole

MANIFEST = "manifest.json"
_OURS = ("data", "rejects", MANIFEST, "README.md", "run.json")
_PACKAGES = ("datasets", "fasttext-predict", "lxml", "markdown-it-py", "pyarrow", "torch", "transformers")


def write_json(path: Path, content: Any) -> None:
    """Write JSON; the file appears under its name only when it is whole."""
    write_whole(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def read_manifest(output_dir: Path) -> dict[str, Any]:
    """The manifest of a finished build.

    Raises:
        InputError: there is no build, or it is not finished.
    """
    path = output_dir / MANIFEST
    if not path.is_file():
        state = (
            "is not finished; run its build command again" if (output_dir / PROGRESS_FOLDER).is_dir() else "is none"
        )
        raise InputError(f"{output_dir} holds no {MANIFEST}: the build there {state}")
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return manifest
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error


def record_path(output_dir: Path, split: str, language: str, index: int) -> Path:
    """Where the progress record of a shard in one language stands."""
    return output_dir / PROGRESS_FOLDER / f"{split}.{language}-{index:05d}.json"


def is_done(output_dir: Path, record: Path) -> bool:
    """Whether a shard is finished: its record is there, and so are the files that it names, with their sizes."""
    try:
        files = json.loads(record.read_text(encoding="utf-8"))["files"]
        return all((output_dir / file["path"]).stat().st_size == file["bytes"] for file in files)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def file_record(output_dir: Path, path: Path, rows: int) -> dict[str, Any]:
    """What the manifest says about a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    name = path.relative_to(output_dir).as_posix()
    return {"path": name, "rows": rows, "bytes": path.stat().st_size, "sha256": digest}


def check_folder(config: BuildConfig, contents: dict[str, str]) -> bool:
    """Whether the folder holds a finished build of this very recipe; writes nothing.

    ``contents`` tells versions of the input files apart, by path.

    Raises:
        InputError: a build of another recipe, naming what changed, or files of something else.
    """
    folder = Path(config.output_dir)
    path = folder / PROGRESS_FOLDER / "recipe.json"
    if folder.exists() and not folder.is_dir():
        raise InputError(f"output_dir: {folder} is a file")
    if not path.is_file():
        present = [name for name in _OURS if (folder / name).exists()]
        if present:
            raise InputError(f"output_dir: {folder} holds other files ({', '.join(present)}); name another folder")
        return False
    records = _record_paths(folder)
    if config.overwrite or not records:
        return False
    _compare(json.loads(path.read_text(encoding="utf-8")), _recipe(config, contents), folder)
    return (folder / MANIFEST).is_file() and all(is_done(folder, record) for record in records)


def start(config: BuildConfig, contents: dict[str, str]) -> None:
    """Make the folder ready for :func:`check_folder`'s verdict: what is to be overwritten goes, the recipe stands."""
    folder = Path(config.output_dir)
    if config.overwrite:
        _clear(folder)
    (folder / MANIFEST).unlink(missing_ok=True)
    if not (folder / PROGRESS_FOLDER / "recipe.json").is_file():
        # Records without a recipe are what a kill left of an earlier start over.
        shutil.rmtree(folder / PROGRESS_FOLDER, ignore_errors=True)
    write_json(folder / PROGRESS_FOLDER / "recipe.json", _recipe(config, contents))


def make_manifest(config: BuildConfig) -> dict[str, Any]:
    """Everything there is to say about a build whose shards are all finished, except how long it took."""
    folder = Path(config.output_dir)
    counts: Counts = {}
    files: list[dict[str, Any]] = []
    licenses: Counter[str] = Counter()
    sources: Counter[str] = Counter()
    for record in read_records(folder):
        add_json(counts, record["counts"])
        files += record["files"]
        licenses.update(record["licenses"])
        sources.update(record["sources"])
    data = [file for file in files if file["path"].startswith("data/")]
    return {
        "recipe": flat_recipe(config),
        "recipe_hash": build_hash(config),
        "code": code_version(),
        "packages": {"python": platform.python_version(), **_versions(config)},
        "rows": sum(file["rows"] for file in data),
        "rejects": sum(file["rows"] for file in files) - sum(file["rows"] for file in data),
        "rows_by_split": dict(sorted(_rows_by(data, 0).items())),
        "rows_by_language": dict(sorted(_rows_by(data, 1).items())),
        "licenses": dict(sorted(licenses.items())),
        "sources": dict(sorted(sources.items())),
        **_evaluation_prompts(config),
        "exclusion": exclusion_table(counts),
        "files": sorted(files, key=lambda file: str(file["path"])),
    }


def _evaluation_prompts(config: BuildConfig) -> dict[str, Any]:
    """Which prompts the build was searched for, where it was."""
    path = config.decontamination.prompts
    if path is None:
        return {}
    prompts = read_prompts(path)
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    tasks = Counter(prompt.name.split("/")[0] for prompt in prompts)
    known = {"path": path, "sha256": digest, "prompts": len(prompts), "tasks": dict(sorted(tasks.items()))}
    return {"evaluation_prompts": known}


def read_records(folder: Path) -> Iterator[dict[str, Any]]:
    """The progress records of all shards, in order."""
    for path in _record_paths(folder):
        yield json.loads(path.read_text(encoding="utf-8"))


def code_version() -> dict[str, Any]:
    """The commit that this code is checked out from, and whether it was changed since; empty outside of git."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True)
        status = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"commit": commit.stdout.strip(), "changed": bool(status.stdout.strip())}


def _record_paths(folder: Path) -> list[Path]:
    return sorted((folder / PROGRESS_FOLDER).glob("*.*-*.json"))


def _recipe(config: BuildConfig, contents: dict[str, str]) -> dict[str, Any]:
    """What has to stay the same for a build to go on, as it comes back from JSON."""
    recipe = {**flat_recipe(config), **{f"the content of {name}": content for name, content in contents.items()}}
    same: dict[str, Any] = json.loads(json.dumps(recipe))
    return same


def _compare(before: dict[str, Any], now: dict[str, Any], folder: Path) -> None:
    changed = [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]
    if changed:
        shown = [
            key if key.startswith("the content of ") else f"{key}: {_short(before.get(key))} → {_short(now.get(key))}"
            for key in changed[:3]
        ]
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise InputError(
            f"the build in {folder} was started from another recipe ({'; '.join(shown)}{more}); "
            f"name another output_dir, or give --overwrite true to start over"
        )


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"


def _clear(folder: Path) -> None:
    """Remove a build but for its completions; the manifest goes first, so that no remainder ever looks whole."""
    (folder / MANIFEST).unlink(missing_ok=True)
    for name in ("data", "rejects"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("README.md", "run.json"):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / PROGRESS_FOLDER, ignore_errors=True)


def _rows_by(files: list[dict[str, Any]], position: int) -> Counter[str]:
    rows: Counter[str] = Counter()
    for file in files:
        split, language = Path(file["path"]).name.split("-")[0].split(".")
        rows[(split, language)[position]] += file["rows"]
    return rows


def _versions(config: BuildConfig) -> dict[str, str]:
    versions = {}
    # Another version of it may find other near duplicates.
    for name in (*_PACKAGES, *(["rensa"] if config.dedup.kind == "near" else [])):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
