"""A small build folder, and a model server on loopback whose models answer in known ways."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import Page, sync_playwright

from data_prep.schema import Row, make_message, write_rows

PROBLEMS = yaml.safe_load((Path(__file__).parent / "cases" / "word_problems.yaml").read_text(encoding="utf-8"))
LANGUAGES = list(PROBLEMS["languages"])
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def problem_rows(language: str, split: str = "test", numbers: list[list[int]] | None = None) -> list[Row]:
    """The rows of one language, one a pair of numbers."""
    wording = PROBLEMS["languages"][language]
    rows = []
    for number, (a, b) in enumerate(PROBLEMS["numbers"] if numbers is None else numbers):
        values = {"a": a, "b": b, "total": a + b}
        rows.append(
            Row(
                id=f"{split}-{number:02d}.{language}",
                language=language,
                category="math",
                messages=(
                    make_message("user", wording["prompt"].format(**values)),
                    make_message("assistant", wording["answer"].format(**values), PROBLEMS["chain"].format(**values)),
                ),
                source="apples",
                license="CC0-1.0",
                provenance={
                    "source_id": f"{split}-{number:02d}",
                    "split": split,
                    "gold": str(a + b),
                    "template": "add",
                },
            )
        )
    return rows


def write_build(folder: Path, *, numbers: list[list[int]] | None = None) -> Path:
    """A finished build with a test split in all languages, and a chat row that has no gold."""
    for language in LANGUAGES:
        rows = problem_rows(language, numbers=numbers)
        write_rows(folder / "data" / f"test.{language}-00000.parquet", rows)
    (folder / "manifest.json").write_text(json.dumps({"rows": len(rows) * len(LANGUAGES)}), encoding="utf-8")
    return folder


@pytest.fixture
def make_build() -> Callable[..., Path]:
    return write_build


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_build(tmp_path_factory.mktemp("build"))


@dataclass
class ModelServer:
    """A server with models that answer in known ways; ``asked`` lists what reached it.

    ``right`` knows everything; ``half`` gets odd totals wrong; ``english`` always answers in English; ``endless``
    never closes its chain; ``broken`` refuses every request; ``hostile`` answers with markup.
    """

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    refuse_after: int | None = None
    delay_s: float = 0.0

    def answer(self, request: dict[str, Any]) -> tuple[str, str]:
        text = request["messages"][-1]["content"]
        a, b = (int(number) for number in re.findall(r"\d+", text)[:2])
        translated = re.match(r"Translate into (\w+):", text)
        if translated:
            target = {"French": "fr", "German": "de", "Japanese": "ja"}[translated[1]]
            return PROBLEMS["languages"][target]["prompt"].format(a=a, b=b), "stop"
        language = next(
            code for code in LANGUAGES if re.search({"en": "has", "fr": "pommes", "de": "hat", "ja": "は"}[code], text)
        )
        total = a + b
        model = request["model"]
        if model == "half" and total % 2:
            total += 1
        chain = PROBLEMS["chain"].format(a=a, b=b, total=total)
        wording = PROBLEMS["languages"]["en" if model == "english" else language]["answer"]
        if model == "endless":
            return f"<think>\n{chain}", "length"
        if model == "hostile":
            return f"<think>{chain}</think></script><script>document.title = 'owned'</script><b>{total}</b>", "stop"
        return f"<think>\n{chain}\n</think>\n\n{wording.format(total=total)}", "stop"


@pytest.fixture(scope="session")
def model_server() -> Iterator[ModelServer]:
    state, counting = ModelServer(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with counting:
                state.asked.append(request)
                number = len(state.asked)
            time.sleep(state.delay_s)
            refused = request["model"] == "broken" or (state.refuse_after is not None and number > state.refuse_after)
            if refused:
                body: dict[str, Any] = {"error": "out of order"}
                status = 400
            else:
                text, reason = state.answer(request)
                choice = {"message": {"role": "assistant", "content": text}, "finish_reason": reason}
                body = {"choices": [choice], "usage": {"prompt_tokens": 20, "completion_tokens": len(text) // 4}}
                status = 200
            payload = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        state.url = f"http://127.0.0.1:{httpd.server_address[1]}/v1"
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield state
        httpd.shutdown()
        thread.join()


@pytest.fixture
def server(model_server: ModelServer) -> ModelServer:
    """The model server as if nothing had been asked of it."""
    model_server.asked.clear()
    model_server.refuse_after, model_server.delay_s = None, 0.0
    return model_server


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory, build: Path, model_server: ModelServer) -> Path:
    """A recipe with a reasoning and a translation task in all languages of the small build; task files beside it."""
    folder = tmp_path_factory.mktemp("recipe")
    tasks = {
        "apples": {"kind": "reasoning", "title": "Apples", "languages": LANGUAGES},
        "apples_translated": {"kind": "translation", "title": "Apples, translated", "languages": LANGUAGES[1:]},
    }
    for name, task in tasks.items():
        content: dict[str, Any] = {
            "name": name,
            **task,
            "rows": {"format": "build", "split": "test", "category": "math"},
        }
        if task["kind"] == "translation":
            content |= {"prompt": {"user": "Translate into {{ language_name }}:\n{{ text }}"}, "thinking": False}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    recipe = {
        "tasks": [str(folder / f"{name}.yaml") for name in tasks],
        "data": str(build),
        "engine": {"kind": "openai_server", "base_url": model_server.url, "concurrency": 4, "max_retries": 0},
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return path


@pytest.fixture
def open_page() -> Callable[[Path], AbstractContextManager[Page]]:
    """Opens a file in a real browser; any error on the page fails the test."""

    @contextmanager
    def opened(path: Path) -> Iterator[Page]:
        chromium = next(filter(None, map(shutil.which, BROWSERS)), None)
        if chromium is None and os.environ.get("CI"):
            pytest.fail("these tests look at pages in a real browser: install chromium")
        if chromium is None:
            pytest.skip("looks at a page in a real browser: install chromium")
        problems: list[str] = []
        # Started only now: while it runs, no other event loop can run in this thread.
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page()
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
            page.goto(path.resolve().as_uri())
            yield page
            browser.close()
        assert problems == []

    return opened


@pytest.fixture
def evaluate(recipe: Path, server: ModelServer, tmp_path: Path) -> Callable[..., Path]:
    """Run the program on the small recipe, in a folder of this test's own; returns the folder of the results."""

    def run(model: str, *overrides: str) -> Path:
        return _evaluated(recipe, model, tmp_path / "runs" / model, *overrides)

    return run


@pytest.fixture(scope="session")
def finished(
    recipe: Path, model_server: ModelServer, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """The finished evaluation of a model, run once for all tests that only read it."""
    folder, done = tmp_path_factory.mktemp("finished"), set()

    def run(model: str) -> Path:
        if model not in done:
            model_server.refuse_after, model_server.delay_s = None, 0.0
            _evaluated(recipe, model, folder / model)
            done.add(model)
        return folder / model

    return run


def _evaluated(recipe: Path, model: str, folder: Path, *overrides: str) -> Path:
    from eval.__main__ import main

    main(["run", "--config", str(recipe), "--model", model, "--output_dir", str(folder), *overrides])
    return folder
