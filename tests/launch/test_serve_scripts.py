"""The scripts of ``launch/serve`` as a user runs them; programs that say what they got stand for the servers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BASE = ["--mamba-ssm-cache-dtype", "float32", "--enable-prefix-caching"]


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Programs in place of the real ones: each prints a line an argument; the export writes a folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("transformers", "vllm", "other-vllm"):
        (folder / name).write_text(f'#!/bin/sh\nprintf "%s\\n" {name} "$@"\n')
    (folder / "python").write_text('#!/bin/sh\n[ "$1 $2" = "-m launch.export" ] && mkdir "$4" && echo exported\n')
    for program in folder.iterdir():
        program.chmod(0o755)
    return folder


def run(script: str, programs: Path, *arguments: str, status: int = 0, **environment: str) -> list[str]:
    path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = [str(ROOT / "launch" / "serve" / script), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=programs.parent, env={**os.environ, "PATH": path, **environment}
    )
    assert done.returncode == status, done.stderr
    return (done.stdout if status == 0 else done.stderr).splitlines()


def checkpoint(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")


def test_transformers_serves_an_export_that_is_made_once(programs: Path, tmp_path: Path) -> None:
    checkpoint(tmp_path / "runs" / "nano fr")
    served = ["transformers", "serve", "runs/nano fr-served", "--port", "8001"]
    first = run("transformers.sh", programs, "runs/nano fr/", "--port", "8001")
    assert (first[0], first[2:]) == ("exported", served)
    again = run("transformers.sh", programs, "runs/nano fr", "--port", "8001")
    assert again[1:] == served
    os.utime(tmp_path / "runs" / "nano fr-served", (1, 1))
    assert "is older than" in run("transformers.sh", programs, "runs/nano fr", status=2)[0]


def test_vllm_serves_a_checkpoint_under_the_name_of_its_folder(programs: Path, tmp_path: Path) -> None:
    checkpoint(tmp_path / "runs" / "nano-fr")
    expected = ["serve", "runs/nano-fr", *BASE, "--served-model-name", "nano-fr", "--port", "8001"]
    assert run("vllm.sh", programs, "runs/nano-fr", "--port", "8001")[1:] == ["vllm", *expected]
    other = run("vllm.sh", programs, "runs/nano-fr", "--port", "8001", VLLM="other-vllm")
    assert other[1:] == ["other-vllm", *expected]
    hub = run("vllm.sh", programs, "org/name")
    assert hub[1:] == ["vllm", "serve", "org/name", *BASE, "--served-model-name", "name"]


def test_vllm_serves_an_adapter_beside_its_base_with_the_adapters_template(programs: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "runs" / "fr"
    adapter.mkdir(parents=True)
    content = {"base_model_name_or_path": "nvidia/base model", "r": 16, "rank_pattern": {"in_proj": 24}}
    (adapter / "adapter_config.json").write_text(json.dumps(content))
    expected = ["vllm", "serve", "nvidia/base model", *BASE, "--enable-lora", "--max-lora-rank", "32"]
    expected += ["--lora-modules", "fr=runs/fr"]
    assert run("vllm.sh", programs, "runs/fr")[1:] == expected
    (adapter / "chat_template.jinja").write_text("template")
    assert run("vllm.sh", programs, "runs/fr")[1:] == [*expected, "--chat-template", "runs/fr/chat_template.jinja"]


@pytest.mark.parametrize("script", ["transformers.sh", "vllm.sh"])
def test_wrong_use_is_one_sentence(script: str, programs: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert run(script, programs, status=2)[0].startswith(f"usage: launch/serve/{script} CHECKPOINT")
    place = "nowhere" if script == "transformers.sh" else "empty"
    message = run(script, programs, place, status=2)
    assert len(message) == 1
    assert "name a checkpoint" in message[0]
