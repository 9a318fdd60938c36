"""``python -m train prepare --config recipes/sft/X.yaml``: tokenise, mask and pack once, without the model or a GPU.

``train/sft.py`` with the same recipe finds what was prepared; without it, it prepares the same itself.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from launch.recipe import parse_recipe


def main(argv: Sequence[str]) -> None:
    """Prepare the data of one recipe and print what was done.

    Raises:
        InputError: the recipe, the build or its rows cannot be used; the message says why.
    """
    from transformers import PreTrainedTokenizerBase

    from train.config import TrainConfig
    from train.model import train_tokenizer
    from train.prepare import build_texts
    from train.prepared import find_or_prepare
    from train.prepared_report import describe
    from train.rendering import load_tokenizer

    config = parse_recipe(TrainConfig, argv, prog="train prepare", description="Tokenise, mask and pack a build once.")
    model = config.model
    start = model.name_or_path or str(Path(config.training.output_dir or "") / "initial")
    tokenizer: PreTrainedTokenizerBase
    if model.architecture is not None:
        # As the run itself will make it; the run's folder is left alone.
        with tempfile.TemporaryDirectory() as folder:
            trained = train_tokenizer(build_texts(config.data, Path(folder)), model.tokenizer_vocab_size)
            trained.save_pretrained(folder)
            tokenizer = load_tokenizer(model, folder)
    else:
        tokenizer = load_tokenizer(model, start)
    data = find_or_prepare(config, tokenizer, start, print)
    report = data.report
    print(
        f"{sum(data.counts.values()):,} rows, {report['examples']:,} examples, {report['tokens']:,} tokens "
        f"({report['learned_tokens']:,} learned) in {len(data.train):,} sequences"
    )
    for line in describe(report):
        print(line)
