"""A client in a process of its own: ``faults_client.py ENGINE PROMPTS STORE`` answers prompts into a store.

``ENGINE`` is an engine's configuration as JSON, ``PROMPTS`` a JSON list in a file. A completion's key is printed as
soon as ``complete`` gives it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from launch.engines import EngineConfig, Request, open_engine
from launch.engines.store import CompletionStore, complete
from launch.errors import exit_cleanly


def main(argv: Sequence[str]) -> None:
    """Answer all prompts; what the store holds is not asked."""
    engine = open_engine(EngineConfig(**json.loads(argv[0])))
    prompts = json.loads(Path(argv[1]).read_text(encoding="utf-8"))
    with CompletionStore(argv[2]) as store:
        for completion in complete(engine, (Request(prompt=prompt) for prompt in prompts), store):
            print(completion.key, flush=True)
            if completion.error is not None:
                print(completion.error, file=sys.stderr)


if __name__ == "__main__":
    exit_cleanly(main)
