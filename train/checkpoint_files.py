"""Checkpoints on disk: written whole or not at all, which one a run goes on from, and what a run may be gone on with.

A checkpoint is whole when it is sealed: ``COMPLETE``, written last, lists every file of every process and its size.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from safetensors import SafetensorError, safe_open

from launch.errors import InputError
from launch.files import write_whole

RUN_FILE = "run.json"
# No suffix: a model's fingerprint (launch.engines.identity) reads every .json beside the weights.
SEAL_FILE = "COMPLETE"
_CHECKPOINT_NAME = re.compile(r"checkpoint-(\d+)")
# What torch and safetensors say where Python would say OSError.
_WRITE_ERRORS = re.compile(
    r"No space left|quota exceeded|File too large|Input/output error|"
    r"PytorchStreamWriter|inline_container|iostream error|file write failed",
    re.I,
)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# With less than this free, a write that failed without a reason failed for want of space.
_NEXT_TO_NOTHING_BYTES = 2**20


@dataclass(frozen=True)
class ResumePoint:
    """Where a run goes on.

    Args:
        checkpoint: the newest whole checkpoint; None: from the beginning.
        torn: newer ones that are not whole, name → what is wrong with them.
    """

    checkpoint: Path | None
    torn: dict[str, str]

    def describe(self) -> str | None:
        """One line for the user; None where there is nothing to say."""
        passed = ", ".join(f"{name} ({reason})" for name, reason in self.torn.items())
        start = f"going on from {self.checkpoint}" if self.checkpoint else "starting from the beginning"
        if passed:
            return f"{start}; passed over, not whole: {passed}"
        return start if self.checkpoint else None


def find_resume_point(output_dir: Path) -> ResumePoint:
    """The newest whole checkpoint in ``output_dir``; those that were torn while they were written are passed over."""
    torn: dict[str, str] = {}
    for checkpoint in reversed(_checkpoints(output_dir)):
        reason = why_torn(checkpoint)
        if reason is None:
            return ResumePoint(checkpoint, torn)
        torn[checkpoint.name] = reason
    return ResumePoint(None, torn)


def agree_on_resume_point(output_dir: Path, processes: int, asked: Any = None) -> ResumePoint:
    """``find_resume_point`` as the first process sees it, the same for all; a collective call.

    Raises:
        InputError: something else was asked for (the Trainer's option), the checkpoint holds nothing to go on with,
            or it was written by another number of processes, which would read the data in another order.
    """
    if asked:
        raise InputError(
            "training.resume_from_checkpoint is not needed: the same command goes on from the last whole checkpoint "
            "in training.output_dir; to start a new run from a checkpoint name it in model.name_or_path"
        )
    found: list[Any] = [find_resume_point(output_dir) if PartialState().is_main_process else None]
    if processes > 1:
        broadcast_object_list(found)
    point: ResumePoint = found[0]
    if point.checkpoint is not None:
        seal = _read_seal(point.checkpoint)
        if not seal["resumable"]:
            raise InputError(
                f"{point.checkpoint} holds weights only (training.save_only_model), so the run cannot go on from it; "
                "start a new one from it with model.name_or_path, or start over with --overwrite true"
            )
        if seal["processes"] != processes:
            raise InputError(
                f"{point.checkpoint} was written by {seal['processes']} processes and this run has {processes}, which "
                f"would read the data in another order; start it with --num_processes {seal['processes']}"
            )
    return point


def seal(checkpoint: Path, *, processes: int, resumable: bool = True) -> None:
    """Mark a checkpoint as whole, once every process has written its part.

    Args:
        checkpoint: the folder.
        processes: how many processes wrote it.
        resumable: optimizer and random states are in it.

    Raises:
        OSError: a file did not reach the disk; network file systems say only here that they are full.
    """
    files = sorted(path for path in checkpoint.rglob("*") if path.is_file() and path.name != SEAL_FILE)
    for path in files:
        with path.open("rb") as file:
            os.fsync(file.fileno())
    sizes = {path.relative_to(checkpoint).as_posix(): path.stat().st_size for path in files}
    content = {"processes": processes, "resumable": resumable, "files": sizes}
    write_whole(checkpoint / SEAL_FILE, json.dumps(content, indent=1))


def why_torn(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint, in a few words; None: it is whole.

    A file that was changed but can be read is not torn: loading it will say what it lacks.
    """
    try:
        sizes: dict[str, int] = _read_seal(checkpoint)["files"]
    except FileNotFoundError:
        return "it was not written to its end"
    except (OSError, ValueError, KeyError, TypeError):
        return f"{SEAL_FILE} cannot be read"
    for name, size in sizes.items():
        path = checkpoint / name
        if not path.is_file():
            return f"{name} is missing"
        if (path.stat().st_size != size and path.suffix not in _READABLE) or not _is_readable(path):
            return f"{name} is damaged: {path.stat().st_size:,} of {size:,} bytes"
    return None


def remove_old_checkpoints(output_dir: Path, limit: int | None, best: str | None) -> None:
    """Keep the newest ``limit`` whole checkpoints and the best one; remove what saves that were cut off have left.

    To be called when a new checkpoint is sealed, never before: until then the one before it is all there is.
    """
    whole = []
    for checkpoint in _checkpoints(output_dir):
        if not (checkpoint / SEAL_FILE).is_file():
            shutil.rmtree(checkpoint, ignore_errors=True)
        elif why_torn(checkpoint) is None:
            whole.append(checkpoint)
    if limit is None or limit <= 0:
        return
    for checkpoint in whole[:-limit]:
        if best is None or checkpoint.name != Path(best).name:
            # The seal first: a removal that is cut off leaves nothing that looks whole.
            (checkpoint / SEAL_FILE).unlink(missing_ok=True)
            shutil.rmtree(checkpoint, ignore_errors=True)


@contextmanager
def writing(folder: Path, output_dir: Path) -> Iterator[None]:
    """Around the writing of ``folder``: when that fails, what was written is removed again.

    Raises:
        InputError: the disk is full or cannot be written; the message names the last good checkpoint.
    """
    try:
        yield
    except Exception as error:
        reason = _why_not_written(error, output_dir)
        shutil.rmtree(folder, ignore_errors=True)
        if reason is None:
            raise
        last = find_resume_point(output_dir).checkpoint
        good = f"the last good checkpoint is {last}" if last else "there is no checkpoint yet"
        raise InputError(
            f"{folder} cannot be written: {reason}; {good}; make room, then the same command goes on from there"
        ) from error


def check_same_run(output_dir: Path, run: dict[str, Any]) -> None:
    """Compare ``run`` (recipe and data hash, flat) with the one that ``output_dir`` was started with, and keep it.

    Raises:
        InputError: they differ; the message names the keys.
    """
    path = output_dir / RUN_FILE
    run = json.loads(json.dumps(run))  # as it will be read again: tuples are lists
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        changed = sorted(key for key in before.keys() | run.keys() if before.get(key) != run.get(key))
        if changed:
            key = changed[0]
            raise InputError(
                f"{output_dir} holds a run with another recipe ({key}: {before.get(key)!r}, now {run.get(key)!r}"
                f"{f'; {len(changed) - 1} more keys differ' if len(changed) > 1 else ''}); "
                "choose another training.output_dir, or start over with --overwrite true"
            )
        return
    write_whole(path, json.dumps(run, indent=2, sort_keys=True))


def forget_run(output_dir: Path) -> None:
    """Remove what a run wrote to ``output_dir``: for starting over. A folder that is no run is not touched."""
    if (output_dir / RUN_FILE).is_file():
        shutil.rmtree(output_dir)


def _checkpoints(output_dir: Path) -> list[Path]:
    """Folders with a checkpoint's name, oldest step first."""
    named = [(int(match[1]), path) for path in output_dir.glob("checkpoint-*") if (match := _step_of(path))]
    return [path for _, path in sorted(named)]


def _step_of(path: Path) -> re.Match[str] | None:
    return _CHECKPOINT_NAME.fullmatch(path.name)


def _read_seal(checkpoint: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((checkpoint / SEAL_FILE).read_text(encoding="utf-8"))
    return content


def _reads_json(path: Path) -> bool:
    json.loads(path.read_text(encoding="utf-8"))
    return True


def _reads_safetensors(path: Path) -> bool:
    # Opening checks that the file is as long as its header says.
    with safe_open(path, framework="pt"):
        return True


# torch.save writes zip archives, whose directory stands at the end.
_READABLE = {
    ".json": _reads_json,
    ".safetensors": _reads_safetensors,
    ".pt": zipfile.is_zipfile,
    ".pth": zipfile.is_zipfile,
    ".bin": zipfile.is_zipfile,
}


def _is_readable(path: Path) -> bool:
    reads = _READABLE.get(path.suffix)
    try:
        return reads is None or reads(path)
    except (OSError, ValueError, SafetensorError):
        return False


def _why_not_written(error: BaseException | None, output_dir: Path) -> str | None:
    """Why a save failed, if it is the disk; None for every other error."""
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            return "the disk is full" if error.errno in _FULL else os.strerror(error.errno)
        if match := _WRITE_ERRORS.search(str(error)):
            full = "no space" in match[0].lower() or shutil.disk_usage(output_dir).free < _NEXT_TO_NOTHING_BYTES
            return "the disk is full" if full else " ".join(str(error).split())[:200]
        error = error.__cause__ or error.__context__
    return None
