"""A finished build on the Hugging Face hub: rows, card and manifest of it, as a data set that is private unless asked.

The token comes from the environment variable ``HF_TOKEN`` and nowhere else, and stands in no message.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from data_prep.manifest import MANIFEST, read_manifest
from launch.errors import InputError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

TOKEN = "HF_TOKEN"
_CARD = "README.md"
# Files of a commit: the hub takes many small commits more readily than one of thousands of files.
_FILES_A_COMMIT = 50


class Pushed(NamedTuple):
    """Where a build went."""

    address: str
    files: int
    private: bool


def push_build(folder: Path, repo: str, *, public: bool = False, rejects: bool = False) -> Pushed:
    """Upload a build; a data set that is there already gets the build in the place of the one it holds.

    Card and manifest go last: where it was interrupted, the hub holds no finished build yet, and the same command goes
    on. Files of an earlier build that this one lacks are removed, so that no pattern of the card matches them.

    Args:
        folder: the output folder of a finished build.
        repo: the data set's name, ``USER/NAME``.
        public: anyone may read it. Without it a public data set of that name is refused.
        rejects: upload the rows that were left out as well.

    Raises:
        InputError: no finished build, a file that is not the one in its manifest, no token, a name that cannot be one,
            or whatever the hub objects to.
    """
    manifest = read_manifest(folder)
    files = [file for file in manifest["files"] if rejects or not file["path"].startswith("rejects/")]
    _check_files(folder, files)
    token = os.environ.get(TOKEN, "").strip()
    if not token:
        raise InputError(f"the environment variable {TOKEN} is not set; make a token with write access at the hub")
    from huggingface_hub import HfApi  # slow, and nothing else needs it

    with _hub_errors(repo, token):
        api = HfApi(token=token)
        created = api.create_repo(repo, repo_type="dataset", private=not public, exist_ok=True)
        name = created.repo_id
        private = bool(api.dataset_info(name).private)
        if not private and not public:
            raise InputError(f"the data set '{name}' is public; give --public, or another --repo for a private one")
        _upload(api, name, folder, [str(file["path"]) for file in files])
    return Pushed(str(created), len(files) + 2, private)


def _upload(api: HfApi, repo: str, folder: Path, paths: list[str]) -> None:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    def add(path: str, content: Path | bytes) -> Any:
        return CommitOperationAdd(path, content if isinstance(content, bytes) else str(content))

    present = api.list_repo_files(repo, repo_type="dataset")
    obsolete = [path for path in present if re.fullmatch(r"(data|rejects)/.*\.parquet", path) and path not in paths]
    for start in range(0, len(paths), _FILES_A_COMMIT):
        rows = [add(path, folder / path) for path in paths[start : start + _FILES_A_COMMIT]]
        api.create_commit(repo, rows, commit_message="Rows", repo_type="dataset")
    last = [
        add(_CARD, card_for(folder, repo).encode()),
        add(MANIFEST, folder / MANIFEST),
        *(CommitOperationDelete(path) for path in obsolete),
    ]
    api.create_commit(repo, last, commit_message="Card and manifest", repo_type="dataset")


def card_for(folder: Path, repo: str) -> str:
    """The build's card, with the name under which the hub knows it in its example."""
    text = (folder / _CARD).read_text(encoding="utf-8")
    return re.sub(r'load_dataset\("[^"]*"', lambda match: f'load_dataset("{repo}"', text, count=1)


def _check_files(folder: Path, files: list[dict[str, Any]]) -> None:
    if not (folder / _CARD).is_file():
        raise InputError(f"{folder} holds no {_CARD}; run its build command again")
    for file in files:
        path = folder / file["path"]
        try:
            with path.open("rb") as opened:
                digest = hashlib.file_digest(opened, "sha256").hexdigest()
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror}); run its build command again") from error
        if digest != file["sha256"]:
            raise InputError(f"{path} is not the file of its manifest; remove it and run its build command again")


@contextmanager
def _hub_errors(repo: str, token: str) -> Iterator[None]:
    """Errors of the hub's client, which has no common class for them, as one sentence without the token."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        sentence = " ".join(str(error).split()).replace(token, "***")[:300]
        raise InputError(f"'{repo}' cannot be pushed to the hub: {sentence or type(error).__name__}") from None
