"""How good the translations of a build are, apart for what its gates kept and what they dropped: are they worth it?

A finished build and human references come in; ``translations.json``, ``translations.jsonl`` and ``translations.html``
go out. No model is needed but the embedder, where one is asked for.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from tqdm import tqdm

from data_prep.languages import LANGUAGES
from data_prep.manifest import MANIFEST, read_manifest
from data_prep.similarity import cosine
from eval.folder import write_json, write_lines, write_text
from eval.generate import package_versions
from eval.references import DROPPED, KEPT, Translation, match_translations, read_references
from eval.report import SCORING_PACKAGES
from eval.stats import LEVEL, RESAMPLES, mean
from eval.translation import score_translations
from eval.translations_page import render_translations
from launch.embedding import Embedder, open_embedder

TRANSLATIONS_REPORT = "translations.json"
TRANSLATIONS_LINES = "translations.jsonl"
TRANSLATIONS_PAGE = "translations.html"
GROUPS = {KEPT: (KEPT,), DROPPED: (DROPPED,), "all": (KEPT, DROPPED)}


def score_build(
    build: Path, references: Path, output_dir: Path, *, embedder_name: str | None = None, seed: int = 0
) -> dict[str, Any]:
    """Score the translations of a finished build and write the three files; returns what ``translations.json`` holds.

    Raises:
        InputError: no finished build or no source rows in it, references that are missing or not aligned, no row that
            has one, an embedder that cannot be loaded, a folder that cannot be written.
    """
    manifest = read_manifest(build)
    human = read_references(references)
    matched = match_translations(build, manifest, human)
    embedder = open_embedder(embedder_name) if embedder_name else None
    known = dict.fromkeys([*LANGUAGES, *matched.left_out])
    report: dict[str, Any] = {
        "build": {
            "folder": str(build),
            "manifest_sha256": hashlib.sha256((build / MANIFEST).read_bytes()).hexdigest(),
        },
        "translators": list(matched.translators),
        "references": {"folder": str(references), "sha256": human.files},
        "embedder": embedder_name,
        "seed": seed,
        "package_versions": package_versions(SCORING_PACKAGES),
        "metrics": {},
        "kept_minus_dropped": {},
        "auc": {},
        "quartiles": {},
        "reasons": {},
        "left_out": {code: dict(matched.left_out[code]) for code in known if code in matched.left_out},
        "sacrebleu_signatures": {},
    }
    languages = [code for code in LANGUAGES if any(row.language == code for row in matched.translations)]
    for language in tqdm(languages, desc="scoring", unit="language"):
        rows = [row for row in matched.translations if row.language == language]
        for part, content in score_language(rows, language, embedder=embedder, seed=seed).items():
            report[part][language] = content
    page = render_translations(report, matched.translations)
    write_lines(output_dir / TRANSLATIONS_LINES, (asdict(row) for row in matched.translations))
    write_text(output_dir / TRANSLATIONS_PAGE, page)
    write_json(output_dir / TRANSLATIONS_REPORT, report)
    return report


def score_language(
    rows: Sequence[Translation], language: str, *, embedder: Embedder | None = None, seed: int = 0
) -> dict[str, Any]:
    """What the report says about the rows of one language, by the name of its part.

    ``metrics`` are corpus scores and the mean sentence chrF++ of each group; ``reasons`` the mean sentence chrF++ of
    the rows that each reason was given for, a row with two reasons in both; ``quartiles`` are of sentence chrF++.
    """
    # Embedding is by far the longest part, so it is done once for all groups.
    hypotheses, references = [row.hypothesis for row in rows], [row.reference for row in rows]
    near = None if embedder is None else cosine(embedder, hypotheses, references)
    metrics: dict[str, Any] = {}
    chrfs: dict[str, list[float]] = {}
    signatures: dict[str, str] = {}
    for name, of_groups in GROUPS.items():
        members = [position for position, row in enumerate(rows) if row.group in of_groups]
        chrfs[name] = [rows[i].chrf for i in members]
        scored = score_translations(
            [hypotheses[i] for i in members], [references[i] for i in members], language, seed=seed
        )
        estimates = {"sentence_chrf++": mean(chrfs[name], seed=seed), **scored.metrics}
        if near is not None:
            estimates["similarity"] = mean([near[i] for i in members], seed=seed)
        metrics[name] = {metric: estimate.as_dict() for metric, estimate in estimates.items()}
        signatures |= scored.signatures
    reasons = Counter(reason for row in rows for reason in row.reasons)
    return {
        "metrics": metrics,
        "sacrebleu_signatures": signatures,
        "kept_minus_dropped": difference_of_means(chrfs[KEPT], chrfs[DROPPED], seed=seed),
        "auc": auc(chrfs[KEPT], chrfs[DROPPED]),
        "quartiles": {name: quartiles(values) for name, values in chrfs.items()},
        "reasons": {
            reason: mean([row.chrf for row in rows if reason in row.reasons], seed=seed).as_dict()
            for reason, _ in reasons.most_common()
        },
    }


def difference_of_means(kept: Sequence[float], dropped: Sequence[float], *, seed: int = 0) -> dict[str, Any]:
    """Mean of kept minus mean of dropped, which are different items, with a two-sample percentile bootstrap interval.

    The percentiles are widened for small samples as in :func:`eval.stats.mean`, by the size of the smaller one. No
    value where either is empty, no interval where either has a single item.
    """
    result: dict[str, Any] = {"value": None, "low": None, "high": None, "n_kept": len(kept), "n_dropped": len(dropped)}
    smaller = min(len(kept), len(dropped))
    if smaller > 0:
        result["value"] = float(np.mean(kept) - np.mean(dropped))
    if smaller < 2:
        return result
    tail = stats.norm.cdf(np.sqrt(smaller / (smaller - 1)) * stats.t.ppf((1 - LEVEL) / 2, smaller - 1))
    drawn = stats.bootstrap(
        (kept, dropped),
        lambda a, b, axis: a.mean(axis) - b.mean(axis),
        n_resamples=RESAMPLES,
        batch=100,
        confidence_level=1 - 2 * tail,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return result | {"low": float(drawn.confidence_interval.low), "high": float(drawn.confidence_interval.high)}


def auc(kept: Sequence[float], dropped: Sequence[float]) -> dict[str, Any]:
    """Probability that a kept item scores higher than a dropped one, ties counting half: U / (n·m) (Mann & Whitney).

    0.5 where the gates drop blindly, 1 where every kept item is better than every dropped one; None where either group
    is empty.
    """
    pairs = len(kept) * len(dropped)
    value = float(stats.mannwhitneyu(kept, dropped).statistic / pairs) if pairs else None
    return {"value": value, "n_kept": len(kept), "n_dropped": len(dropped)}


def quartiles(values: Sequence[float]) -> list[float] | None:
    """First quartile, median and third quartile; None of nothing."""
    return [float(value) for value in np.quantile(values, (0.25, 0.5, 0.75))] if len(values) else None
