"""One training script, run as it is, with the steps of its ``Trainer`` timed.

``timed_training.py RESULT SCRIPT [ARGUMENT …]``; SCRIPT is a file or a module's name. Every ``Trainer`` of the
process gets one more callback, so both scripts of a comparison are measured alike and neither is changed. RESULT is a
JSON file.
"""

from __future__ import annotations

import json
import runpy
import sys
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments, trainer


class StepTimes(TrainerCallback):
    """Wall clock and processor time of this process from the beginning of training on, and what was logged."""

    def __init__(self, result: Path) -> None:
        self._result = result
        self._times: list[tuple[float, float]] = []

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """The clock starts; what a script's own callbacks do here is inside."""
        self._note()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """One more step is done."""
        self._note()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Write down the seconds of every step, and its loss, gradient norm and tokens so far."""
        self._note()
        wall, cpu = ([round(value - values[0], 6) for value in values] for values in zip(*self._times, strict=True))
        steps = [entry for entry in state.log_history if "loss" in entry]
        logged = {key: [entry[key] for entry in steps] for key in ("loss", "grad_norm", "num_tokens")}
        self._result.write_text(json.dumps({"wall_s": wall, "cpu_s": cpu, **logged}), encoding="utf-8")

    def _note(self) -> None:
        self._times.append((time.perf_counter(), time.process_time()))


def main() -> None:
    """Run the script under its own name and arguments."""
    result, script, *arguments = sys.argv[1:]
    # The Trainer makes its callbacks out of this list, from classes as well as from objects.
    trainer.DEFAULT_CALLBACKS.append(StepTimes(Path(result)))
    sys.argv = [script, *arguments]
    if script.endswith(".py"):
        runpy.run_path(script, run_name="__main__")
    else:
        runpy.run_module(script, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
