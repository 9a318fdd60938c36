"""Being told to stop: the step is finished, a checkpoint saved, and the exit status says that the run can go on.

| signal | who sends it | exit status |
| --- | --- | --- |
| SIGTERM | Slurm at preemption, Kubernetes, ``kill`` | 75 (``EX_TEMPFAIL``: try again) |
| SIGUSR1 | Slurm ahead of the time limit (``--signal=B:USR1@300``) | 75 |
| SIGINT | Ctrl-C | 130 |

All processes of a run agree after every step, so that one signal to one of them stops all after the same step.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from types import FrameType
from typing import Any

import torch
import torch.distributed
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

STOPPED = os.EX_TEMPFAIL
INTERRUPTED = 130
SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
# Ctrl-C reaches a worker twice, from the terminal and through the launcher; one that comes later is the user's second.
_SECOND_CTRL_C_SECONDS = 2.0
_PR_SET_PDEATHSIG = 1


class StopOnSignal(TrainerCallback):
    """Ends training after the step in which a signal came. ``install`` makes it listen, also before training.

    Before training and after it there is nothing to save: then the process ends at once, with the same status.

    Attributes:
        stopped_at: the step after which training was stopped, its checkpoint saved; None: it was not.
    """

    def __init__(self) -> None:
        self.stopped_at: int | None = None
        self._process = os.getpid()
        self._received: signal.Signals | None = None
        self._received_at = 0.0
        self._is_training = False
        self._group: Any = None

    def install(self) -> None:
        """Listen to the signals; a process that a launcher started is also told when the launcher dies."""
        for number in SIGNALS:
            signal.signal(number, self._handle)
        if "ACCELERATE_MIXED_PRECISION" in os.environ:
            _stop_with_the_launcher()

    @property
    def exit_status(self) -> int:
        """What the process ends with after it was stopped."""
        return INTERRUPTED if self._received == signal.SIGINT else STOPPED

    def describe(self) -> str:
        """One line on what happened and how to go on."""
        name = self._received.name if self._received else "signal"
        return f"stopped by {name} after step {self.stopped_at}, checkpoint saved; the same command goes on from there"

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """From here on a signal waits for the end of its step."""
        if args.world_size > 1 and torch.distributed.is_initialized():
            # On CPUs' side, so that no GPU is waited for; made here, while the launcher that keeps addresses lives.
            self._group = torch.distributed.new_group(backend="gloo")
        self._is_training = True

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Agree with the other processes, and stop."""
        self._stop_if_told(state, control)

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """A signal that came during an evaluation does not wait for a step more."""
        if self._is_training and state.global_step > 0:
            self._stop_if_told(state, control)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Everything is saved; a signal ends the process at once again."""
        self._is_training = False

    def _stop_if_told(self, state: TrainerState, control: TrainerControl) -> None:
        told = self._agreed()
        # After its last step a run is finished, not interrupted.
        if told is None or state.global_step >= state.max_steps:
            return
        self._received = told
        self.stopped_at = state.global_step
        control.should_save = True
        control.should_training_stop = True

    def _agreed(self) -> signal.Signals | None:
        number = int(self._received or 0)
        if self._group is not None:
            highest = torch.tensor(number)
            torch.distributed.all_reduce(highest, torch.distributed.ReduceOp.MAX, group=self._group)
            number = int(highest)
        return signal.Signals(number) if number else None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        received = signal.Signals(number)
        if os.getpid() != self._process:
            # A forked worker of a data loader: Slurm signals every process, and the worker's end would end the run.
            if received == signal.SIGTERM:
                os._exit(128 + number)
            return
        if self._is_training:
            self._wait_for_step(received)
        elif received == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            _say(f"stopped by {received.name}: nothing was lost; the same command goes on\n")
            raise SystemExit(STOPPED)

    def _wait_for_step(self, received: signal.Signals) -> None:
        if self._received is None:
            self._received, self._received_at = received, time.monotonic()
            if os.environ.get("RANK", "0") == "0":
                _say(f"{received.name}: finishing the step, then saving a checkpoint\n")
        elif received == signal.SIGINT and time.monotonic() - self._received_at > _SECOND_CTRL_C_SECONDS:
            raise KeyboardInterrupt


def _say(text: str) -> None:
    """Written past Python's buffers, which a signal may find half filled."""
    os.write(2, text.encode())


def _stop_with_the_launcher() -> None:
    """Ask Linux for a SIGTERM when the parent dies: ``kill`` on ``accelerate launch`` would else leave us running."""
    try:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    except (OSError, AttributeError):
        return
