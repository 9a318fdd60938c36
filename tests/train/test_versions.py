"""The version window: what is outside is refused before anything is loaded, with the reason of that bound."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from launch.errors import InputError
from train.versions import WINDOWS, check_versions

ROOT = Path(__file__).parents[2]


def with_version(package: str, other: str | None) -> None:
    """Look at what is installed, but for one package."""

    def installed(name: str) -> str:
        if name == package:
            if other is None:
                raise PackageNotFoundError(name)
            return other
        return version(name)

    check_versions(installed)


def test_what_is_installed_is_right() -> None:
    check_versions()


@pytest.mark.parametrize(
    ("package", "other", "reason"),
    [
        ("transformers", "4.57.1", "no nemotron_h of its own"),
        ("transformers", "5.5.0", "draw dt_bias and out_proj of a hybrid anew"),
        ("transformers", "5.8.0", "set seq_idx to None"),
        ("transformers", "5.14.2", "set seq_idx to None"),
        ("transformers", "5.18.0", "drop seq_idx in silence"),
        ("transformers", "5.20.0.dev0", "drop seq_idx in silence"),
        ("transformers", "5.24.0", "tried with 5.20 to 5.23 only"),
        ("trl", "1.15.3", "sends no seq_idx"),
        ("trl", "1.17.0", "tried with 1.16 only"),
        ("peft", "0.20.0", "adapters on out_proj and conv1d"),
        ("mamba-ssm", "2.2.6.post3", "does not keep the documents of a packed row apart"),
    ],
)
def test_another_version_is_refused_with_its_reason(package: str, other: str, reason: str) -> None:
    with pytest.raises(InputError, match=rf"^{package} {other} is installed, training needs .*{reason}.*pip install"):
        with_version(package, other)


@pytest.mark.parametrize(
    ("package", "other"),
    [("transformers", "5.20.0"), ("transformers", "5.23.9"), ("trl", "1.16.1"), ("mamba-ssm", "2.3.0+cu13torch2.13")],
)
def test_the_window_holds_its_bounds(package: str, other: str) -> None:
    with_version(package, other)


def test_kernels_may_be_missing_but_trl_may_not() -> None:
    with_version("mamba-ssm", None)
    with pytest.raises(InputError, match=r"trl is not installed; install it with: pip install 'trl>=1.16,<1.17'"):
        with_version("trl", None)


def test_the_project_installs_what_the_window_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    stated = [*project["dependencies"], *project["optional-dependencies"]["mamba"]]
    specifiers = {Requirement(line).name: Requirement(line).specifier for line in stated}
    for window in WINDOWS:
        assert specifiers[window.package] == Requirement(window.specifier).specifier


def test_the_command_stops_before_it_loads_anything(tmp_path: Path) -> None:
    """A transformers without what launch/hybrid.py imports would otherwise end in a traceback."""
    metadata = tmp_path / "transformers-5.12.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: transformers\nVersion: 5.12.0\n")
    done = subprocess.run(
        [sys.executable, "train/sft.py", "--config", "recipes/sft/tiny_nemotron_h.yaml"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: transformers 5.12.0 is installed, training needs transformers>=5.20,<5.24")
    assert len(done.stderr.splitlines()) == 1
