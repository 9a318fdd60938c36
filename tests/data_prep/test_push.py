"""A finished build goes to the hub, private unless asked; all else is one sentence that does not tell the token.

The hub is a server on loopback that answers as the real one does, to the real client in a process of its own.
"""

from __future__ import annotations

import base64
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from data_prep.build import run_build
from data_prep.config import BuildConfig
from data_prep.sources import SourceConfig
from data_prep.translators import TranslatorConfig

ROOT = Path(__file__).parents[2]
CASES = Path(__file__).parent / "cases"
SECRET = "hf_thisIsTheTokenThatNobodyMaySee"
OLD = ["data/train.fr-00007.parquet", "data/keep.txt", "README.md"]


@dataclass
class Hub:
    """What the server was told; ``private`` and ``files`` are of the data set that is there already, if one is."""

    private: bool | None = None
    files: list[str] = field(default_factory=list)
    refuse: bool = False
    created: list[dict[str, Any]] = field(default_factory=list)
    uploaded: dict[str, bytes] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    commits: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    address: str = ""


class Handler(http.server.BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.hub.tokens.add(self.headers.get("Authorization", ""))
        if self.hub.refuse:
            return self.refusal()
        siblings = [{"rfilename": name} for name in self.hub.files]
        tree = [{"type": "file", "path": name, "size": 1, "oid": "0" * 40} for name in self.hub.files]
        if "/tree/" in self.path:
            return self.answer(200, tree)
        known = {"id": "me/rows", "sha": "0" * 40, "private": self.hub.private, "siblings": siblings}
        return self.answer(200, {**known, "tags": [], "downloads": 0, "likes": 0, "disabled": False, "gated": False})

    def do_POST(self) -> None:
        self.hub.tokens.add(self.headers.get("Authorization", ""))
        body = self.body()
        if self.hub.refuse:
            return self.refusal()
        if self.path.endswith("/api/repos/create"):
            return self.create(json.loads(body))
        if self.path.endswith("/api/validate-yaml"):
            return self.answer(200, {"errors": [], "warnings": []})
        if "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            files = [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]
            return self.answer(200, {"files": files})
        return self.commit([json.loads(line) for line in body.splitlines()])

    def refusal(self) -> None:
        sentence = f"Invalid credentials: {self.headers['Authorization']}"
        self.answer(403, {"error": sentence}, {"X-Error-Message": sentence})

    def create(self, wanted: dict[str, Any]) -> None:
        self.hub.created.append(wanted)
        url = f"{self.hub.address}/datasets/me/rows"
        if self.hub.private is not None:
            return self.answer(409, {"error": "exists", "url": url})
        self.hub.private = wanted.get("private", wanted.get("visibility") == "private")
        return self.answer(200, {"url": url, "name": "me/rows"})

    def commit(self, lines: list[dict[str, Any]]) -> None:
        self.hub.commits.append(lines[0]["value"]["summary"])
        for line in lines[1:]:
            if line["key"] == "file":
                self.hub.uploaded[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            else:
                self.hub.deleted.append(line["value"]["path"])
        url = f"{self.hub.address}/datasets/me/rows/commit/{'1' * 40}"
        self.answer(200, {"success": True, "commitOid": "1" * 40, "commitUrl": url, "hookOutput": ""})

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content = b""
        while size := int(self.rfile.readline().strip(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def answer(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[Hub]:
    state = Hub()
    handler = type("BoundHandler", (Handler,), {"hub": state})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        state.address = f"http://127.0.0.1:{server.server_address[1]}"
        yield state
        server.shutdown()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("build") / "D"
    run_build(
        BuildConfig(
            output_dir=str(folder),
            source=SourceConfig(kind="jsonl", path=str(CASES / "rows.jsonl")),
            translator=TranslatorConfig(memory=[str(CASES / "memory.jsonl")]),
            target_languages=["fr", "de"],
        )
    )
    return folder


def push(folder: Path, address: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    variables |= {"HF_ENDPOINT": address, "HF_TOKEN": SECRET, "HF_HUB_DISABLE_TELEMETRY": "1", **environment}
    done = subprocess.run(
        [sys.executable, "-m", "data_prep", "push", str(folder), "--repo", "me/rows", *arguments],
        env=variables,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert SECRET not in done.stdout + done.stderr
    return done


def test_rows_card_and_manifest_go_to_a_private_data_set(finished: Path, hub: Hub) -> None:
    done = push(finished, hub.address)

    assert done.returncode == 0, done.stderr
    [created] = hub.created
    assert (created["type"], created["name"]) == ("dataset", "rows")
    assert hub.private is True
    assert hub.tokens == {f"Bearer {SECRET}"}
    rows = {f"data/{path.name}": path.read_bytes() for path in (finished / "data").iterdir()}
    assert {name: content for name, content in hub.uploaded.items() if name.startswith("data/")} == rows
    assert set(hub.uploaded) == {*rows, "README.md", "manifest.json"}
    assert hub.uploaded["manifest.json"] == (finished / "manifest.json").read_bytes()
    assert 'load_dataset("me/rows", ' in hub.uploaded["README.md"].decode()
    assert hub.commits == ["Rows", "Card and manifest"]
    assert done.stdout.startswith(f"pushed: {hub.address}/datasets/me/rows   {len(rows) + 2} files, private")


def test_rejects_and_the_public_only_when_asked(finished: Path, hub: Hub) -> None:
    done = push(finished, hub.address, "--public", "--rejects")

    assert done.returncode == 0, done.stderr
    assert hub.private is False
    assert {name for name in hub.uploaded if name.startswith("rejects/")} == {
        f"rejects/{path.name}" for path in (finished / "rejects").iterdir()
    }
    assert "public" in done.stdout


def test_an_earlier_build_is_replaced(finished: Path, hub: Hub) -> None:
    hub.private, hub.files = True, OLD

    assert push(finished, hub.address).returncode == 0
    assert hub.deleted == ["data/train.fr-00007.parquet"]


def refused(done: subprocess.CompletedProcess[str], words: str) -> None:
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_public_data_set_gets_nothing_unless_asked(finished: Path, hub: Hub) -> None:
    hub.private = False

    refused(push(finished, hub.address), "the data set 'me/rows' is public; give --public")
    assert hub.uploaded == {}


def test_what_the_hub_objects_to_is_said_without_the_token(finished: Path, hub: Hub) -> None:
    hub.refuse = True

    done = push(finished, hub.address)

    refused(done, "'me/rows' cannot be pushed to the hub: ")
    assert "***" in done.stderr


def test_without_a_token_or_a_network_nothing_is_sent(finished: Path, hub: Hub) -> None:
    refused(push(finished, hub.address, HF_TOKEN=""), "the environment variable HF_TOKEN is not set")
    refused(push(finished, hub.address, HF_HUB_OFFLINE="1"), "offline mode is enabled")
    refused(push(finished, "http://127.0.0.1:9"), "'me/rows' cannot be pushed to the hub: ")
    refused(push(finished, hub.address, "--repo", "a/b/c"), "'a/b/c' cannot be pushed to the hub: ")
    assert hub.tokens == set()


def test_an_unfinished_or_changed_build_is_not_pushed(finished: Path, hub: Hub, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(finished, tmp_path / "D")
    path = next((tmp_path / "D" / "data").iterdir())
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    refused(push(tmp_path / "D", hub.address), f"{path} is not the file of its manifest")
    path.unlink()
    refused(push(tmp_path / "D", hub.address), f"{path} cannot be read")
    (tmp_path / "D" / "manifest.json").unlink()
    refused(push(tmp_path / "D", hub.address), "is not finished; run its build command again")
    refused(push(tmp_path / "nowhere", hub.address), "holds no manifest.json")
    assert hub.tokens == set()
