"""`python -m data_prep` as a user runs it: what it prints, and exit status 2 with one sentence for bad input."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CASES = Path(__file__).parent / "cases"
MEMORY = ["--translator.memory", f"[{CASES / 'memory.jsonl'}]"]
ROWS = ["--source.kind", "jsonl", "--source.path", str(CASES / "rows.jsonl"), "--target_languages", "[fr,de]", *MEMORY]


def data_prep(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "COLUMNS": "120", **environment}
    return subprocess.run(
        [sys.executable, "-m", "data_prep", *arguments], env=variables, capture_output=True, text=True, cwd=ROOT
    )


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("build") / "D"
    return folder, data_prep("build", "--output_dir", str(folder), *ROWS)


def test_build_prints_the_exclusion_table(build: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, done = build

    assert done.returncode == 0, done.stderr
    assert f"{folder}: 10 rows, 3 rejected" in done.stdout.replace("\n", "")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "de math 2 277 bytes 1 50.00 % 54.15 % 0.00 % 2.47 %" in lines
    assert "de math number 1 150 bytes 50.00 % 54.15 %" in lines


def test_the_recipe_of_the_sample(tmp_path: Path) -> None:
    small = [f"--source.sample.{split}=1" for split in ("train", "validation", "test", "held_out")]
    done = data_prep("build", "--config", "recipes/data/sample.yaml", "--output_dir", str(tmp_path / "D"), *small)

    assert done.returncode == 0, done.stderr
    for name in ("data", "manifest.json", "README.md", "run.json"):
        assert (tmp_path / "D" / name).exists()


@pytest.mark.parametrize("recipe", sorted((ROOT / "recipes" / "data").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_says_how_it_is_run_and_can_be_read(recipe: Path) -> None:
    first = recipe.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith(f"# python -m data_prep build --config recipes/data/{recipe.name} --output_dir ")

    done = data_prep("build", "--config", str(recipe), "--print_config")
    assert done.returncode == 0, done.stderr
    assert "target_languages:" in done.stdout


def test_inspect_shows_rows_and_rejects(build: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    done = data_prep("inspect", str(build[0]), "--samples", "5")

    assert done.returncode == 0, done.stderr
    for text in (
        "Anna a maintenant 12 pommes dans son panier.",
        "train.de",
        "fährt 90 Kilometer",
        "no_assistant_turn",
    ):
        assert text in done.stdout


def test_inspect_filters(build: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    done = data_prep("inspect", str(build[0]), "--language", "de", "--reason", "number")

    assert "train.de" in done.stdout
    assert "apples.de" not in done.stdout
    assert "greeting.de" not in done.stdout


def test_inspect_writes_a_page(build: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    page = tmp_path / "pages" / "build.html"
    done = data_prep("inspect", str(build[0]), "--html", str(page), "--language", "de", "--limit", "1")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"page: {page}   2 of 4 rows, ")
    assert len(done.stdout.splitlines()) == 1
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_help_names_the_commands() -> None:
    done = data_prep("--help")

    assert done.returncode == 0
    assert "inspect D" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["biuld"], "no command 'biuld'; the commands are build, inspect and push"),
        (["build"], "output_dir is missing"),
        (["build", "--output_dir", "{D}", "--target_langauges", "[fr]"], "did you mean '--target_languages'"),
        (["build", "--output_dir", "{D}", "--source.kind", "xml"], "source.kind"),
        (["build", "--output_dir", "{D}", *ROWS, "--target_languages", "[xx]"], "xx"),
        (["build", "--output_dir", "{D}", *ROWS, "--source.path", "nowhere.jsonl"], "nowhere.jsonl does not exist"),
        (
            ["build", "--output_dir", "{D}", *ROWS, "--source.format", "gsm8k"],
            "rows.jsonl, line 1: the column 'question'",
        ),
        (
            ["build", "--output_dir", "{D}", *ROWS, "--translator.memory", "[nowhere.tmx]"],
            "nowhere.tmx cannot be read: No such file",
        ),
        (
            ["build", "--output_dir", "{D}", *ROWS, "--translator.kind", "command", "--translator.command", "[nope]"],
            "there is no program 'nope'",
        ),
        (["build", "--config", "nowhere.yaml"], "nowhere.yaml cannot be read"),
        (["inspect", "{D}"], "holds no manifest.json"),
        (["inspect"], "the following arguments are required: build"),
        (["inspect", "{D}", "--html", "{D}/page.html"], "holds no manifest.json"),
        (["inspect", "{D}", "--limit", "5"], "--limit says what a page carries; give --html FILE with it"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(tmp_path: Path, arguments: list[str], words: str) -> None:
    done = data_prep(*(argument.replace("{D}", str(tmp_path / "D")) for argument in arguments))

    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "D").exists()


class GatedHub(http.server.BaseHTTPRequestHandler):
    """Answers every request as the hub answers for a gated data set to someone who is not logged in."""

    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("X-Error-Code", "GatedRepo")
        self.send_header("X-Error-Message", "Access to dataset some/gated is restricted.")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_POST = do_GET

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def gated_hub() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), GatedHub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_gated_data_set_says_what_to_do(tmp_path: Path, gated_hub: str) -> None:
    source = ["--source.kind", "hub", "--source.path", "some/gated"]
    done = data_prep(
        "build",
        *("--output_dir", str(tmp_path / "D"), *source, *MEMORY, "--target_languages", "[fr]"),
        HF_ENDPOINT=gated_hub,
        HF_HUB_OFFLINE="0",
        HF_HOME=str(tmp_path / "home"),
    )

    assert done.returncode == 2
    assert "is gated; accept its terms at https://huggingface.co/datasets/some/gated" in done.stderr
