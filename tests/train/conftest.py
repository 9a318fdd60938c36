"""A small build of the sample for every test of training."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.build import run_build
from data_prep.config import BuildConfig
from data_prep.sample import SampleConfig
from data_prep.sources import SourceConfig


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample, built small: every language, four rows a template."""
    folder = tmp_path_factory.mktemp("build") / "data"
    source = SourceConfig(kind="sample", sample=SampleConfig(train=4, validation=1, test=1, held_out=1))
    run_build(BuildConfig(output_dir=str(folder), source=source))
    return folder
