"""Scoring: generations in, one score an item and one estimate a metric out. No model is needed.

A metric observes every item as a sum and a count (a share of equations has many counts an item), or not at all. What
cannot be told is left out of a rate and counted in ``language_undetermined``; what is missing is not as expected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats as distributions

from data_prep.similarity import chrf
from eval.answers import grade
from eval.folder import Generation
from eval.reasoning import score_reasoning
from eval.stats import LEVEL, RESAMPLES, Estimate, bootstrap_sums, mean, proportion
from eval.tasks import Task
from eval.translation import TranslationScores, score_translations
from launch.embedding import Embedder
from launch.thinking import split_thinking

AVERAGE = "average"
HEADLINE = {"reasoning": "accuracy", "translation": "chrf++", "likelihood": "log_likelihood"}
PAIRED = {
    "reasoning": "correct",
    "translation": "chrf",
    "likelihood": "log_likelihood",
}  # the field of an item's score that runs are compared on

Scores = list[dict[str, Any]]
Observation = tuple[float, float] | None


@dataclass(frozen=True)
class Metric:
    """A metric of a reasoning or likelihood task.

    Args:
        name: its key in ``report.json``.
        title: its name for people.
        observe: sum and count of one item's score, or None where the item says nothing about it.
        share: the value lies between 0 and 1.
    """

    name: str
    title: str
    observe: Callable[[Mapping[str, Any]], Observation]
    share: bool = True


def both(first: bool | None, second: bool | None) -> bool | None:
    """Whether both hold, where None is "cannot be told": one that fails decides."""
    if first is False or second is False:
        return False
    return None if first is None or second is None else True


def score_answer(generation: Generation, task: Task) -> dict[str, Any]:
    """Score one generation of a reasoning task: grade, thinking state, languages and process checks.

    An unclosed chain is no answer; a request that ended in an error is a wrong answer and observed by nothing else.
    """
    score: dict[str, Any] = {**_identity(generation), "correct": False}
    if generation.finish_reason == "error":
        return score | {"method": "error", "state": "error", "extracted": None, "error": generation.error}
    thinking = split_thinking(generation.completion, generation.opened_by_prompt)
    target = generation.language if task.answer_language == "target" else task.answer_language
    process = asdict(
        score_reasoning(
            thinking,
            generation.language,
            question=generation.text,
            chain_language=task.chain_language,
            answer_language=target,
        )
    )
    method, extracted = "no_answer", None
    if thinking.answer:
        graded = grade(thinking.answer, generation.gold or "", target)
        score["correct"], method, extracted = (graded.correct, graded.method, graded.extracted)
    truncated = generation.finish_reason == "length"
    return {
        **score,
        "extracted": extracted,
        "method": method,
        **process,
        "finished": not truncated and thinking.state != "unclosed",
        "truncated": truncated,
        "chain_expected": _met(process["chain_verdict"], bool(thinking.reasoning)) if task.thinking else None,
        "answer_expected": _met(process["answer_verdict"], bool(thinking.answer)),
        "thinks": task.thinking,
        "budget_cut": None if task.thinking_budget is None else generation.thinking_cut is not None,
        "completion_tokens": generation.completion_tokens,
    }


def reasoning_metrics(chain_language: str) -> list[Metric]:
    """The metrics of a reasoning task whose chain is expected in ``chain_language``, the headline first."""
    suffix = "english" if chain_language == "en" else chain_language
    return [
        Metric("accuracy", "accuracy", lambda s: (float(s["correct"]), 1.0)),
        Metric(
            "accuracy_if_finished",
            "accuracy if finished",
            lambda s: _rate(s["correct"] if s.get("finished") else None),
        ),
        Metric("accuracy_and_language", "right and in the language", _right_in_language),
        Metric("closed_rate", "chain closed", lambda s: _rate(s.get("closed") if s.get("thinks") else None)),
        Metric("truncated_rate", "cut at the token limit", lambda s: _rate(s.get("truncated"))),
        Metric("budget_cut_rate", "chain cut at its budget", lambda s: _rate(s.get("budget_cut"))),
        Metric(f"chain_in_{suffix}", f"chain in {suffix.capitalize()}", lambda s: _rate(s.get("chain_expected"))),
        Metric("answer_in_language", "answer in the language", lambda s: _rate(s.get("answer_expected"))),
        Metric("both_in_language", "chain and answer as expected", lambda s: _rate(_contract(s))),
        Metric("language_undetermined", "language cannot be told", _undetermined),
        Metric(
            "mean_completion_tokens", "tokens a completion", lambda s: _value(s.get("completion_tokens")), share=False
        ),
        Metric("arithmetic_holds", "equations that hold", lambda s: _part(s, "equations_right", "equations")),
        Metric("operands_given", "numbers used that were given", lambda s: _part(s, "operands_given", "operands")),
        Metric("consistent", "answer follows from the chain", lambda s: _rate(s.get("consistent"))),
        Metric("repetition", "share of the chain repeated", lambda s: _value(s.get("repetition"))),
        Metric("flips", "times a chain takes back", lambda s: _value(s.get("flips")), share=False),
        Metric("chain_switched", "chain sentences in another language", lambda s: _value(s.get("chain_switched"))),
        Metric("answer_switched", "answer sentences in another language", lambda s: _value(s.get("answer_switched"))),
        Metric("chain_characters_if_right", "chain length when right", lambda s: _length(s, right=True), share=False),
        Metric("chain_characters_if_wrong", "chain length when wrong", lambda s: _length(s, right=False), share=False),
    ]


def estimate(metric: Metric, scores: Scores, *, seed: int = 0) -> Estimate:
    """The metric over one language: Wilson's interval for yes or no, else the bootstrap over whole problems."""
    observed = _observed(metric, scores)
    if all(count == 1 and value in (0.0, 1.0) for value, count, _ in observed) and metric.share:
        return proportion(int(sum(value for value, _, _ in observed)), len(observed))
    if all(count == 1 for _, count, _ in observed):
        return mean([v for v, _, _ in observed], clusters=[cluster for _, _, cluster in observed], seed=seed)
    values = [float(k < value) for value, count, _ in observed for k in range(int(count))]
    clusters = [cluster for _, count, cluster in observed for _ in range(int(count))]
    return mean(values, clusters=clusters, seed=seed)


def macro_average(metric: Metric, scores: Mapping[str, Scores], *, seed: int = 0) -> Estimate:
    """Mean of the languages' values, each with the same weight.

    The interval is a percentile bootstrap over problems, each drawn with all its languages at once, because the same
    problem is asked in every language; widened for few problems as ``eval.stats.mean`` does.
    """
    observed = {language: _observed(metric, rows) for language, rows in scores.items()}
    observed = {language: rows for language, rows in observed.items() if rows}
    if not observed:
        return Estimate(None, None, None, 0)
    n = sum(len(rows) for rows in observed.values())
    numbers: dict[str, int] = {}
    for rows in observed.values():
        for _, _, cluster in rows:
            numbers.setdefault(cluster, len(numbers))
    table = np.zeros((len(numbers), 2 * len(observed)))
    for column, rows in enumerate(observed.values()):
        for value, count, cluster in rows:
            table[numbers[cluster], 2 * column : 2 * column + 2] += (value, count)
    value = float(np.mean(table[:, 0::2].sum(0) / table[:, 1::2].sum(0)))
    units = len(numbers)
    if units < 2:
        return Estimate(value, None, None, n)
    drawn = bootstrap_sums(table, resamples=RESAMPLES, seed=seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        averages = np.nanmean(drawn[:, 0::2] / drawn[:, 1::2], axis=1)
    averages = averages[np.isfinite(averages)]
    tail = distributions.norm.cdf(np.sqrt(units / (units - 1)) * distributions.t.ppf((1 - LEVEL) / 2, units - 1))
    low, high = np.quantile(averages, [tail, 1 - tail])
    if low == high:  # every draw is the same, as when all are right, yet nothing is so certain
        return average_of_estimates([estimate(metric, scores[language], seed=seed) for language in observed])
    return Estimate(value, float(low), float(high), n)


def score_translation(
    generations: Sequence[Generation], language: str, *, embedder: Embedder | None, seed: int
) -> tuple[Scores, TranslationScores]:
    """Score one language of a translation task: every item's sentence chrF++, and the corpus scores.

    No answer (an unclosed chain, an error) is an empty translation.
    """
    scores: Scores = []
    for generation in generations:
        failed = generation.finish_reason == "error"
        thinking = split_thinking(generation.completion, generation.opened_by_prompt)
        hypothesis = "" if failed else thinking.answer or ""
        scores.append(
            {
                **_identity(generation),
                "hypothesis": hypothesis,
                "chrf": chrf(hypothesis, generation.reference or ""),
                "state": "error" if failed else thinking.state,
                "truncated": None if failed else generation.finish_reason == "length",
                "completion_tokens": None if failed else generation.completion_tokens,
            }
        )
    corpus = score_translations(
        [score["hypothesis"] for score in scores],
        [generation.reference or "" for generation in generations],
        language,
        embedder=embedder,
        seed=seed,
    )
    return scores, corpus


TRANSLATION_EXTRAS = [
    Metric("truncated_rate", "cut at the token limit", lambda s: _rate(s.get("truncated"))),
    Metric("mean_completion_tokens", "tokens a completion", lambda s: _value(s.get("completion_tokens")), share=False),
]


def score_likelihood(generation: Generation) -> dict[str, Any]:
    """Score one item of a likelihood task: nats a token, None where the model could not say."""
    known = generation.logprob is not None and generation.completion_tokens > 0
    return {
        **_identity(generation),
        "log_likelihood": (generation.logprob or 0.0) / generation.completion_tokens if known else None,
        "state": "measured" if known else "error",
        "completion_tokens": generation.completion_tokens,
    }


# Every row counts the same, however long its answer. Runs are ranked by the first, since more of it is better.
LIKELIHOOD_METRICS = [
    Metric("log_likelihood", "log-likelihood a token", lambda s: _value(s["log_likelihood"]), share=False),
    Metric("loss", "loss (nats a token)", lambda s: _negative(s["log_likelihood"]), share=False),
    Metric("mean_answer_tokens", "tokens an answer", lambda s: _value(s["completion_tokens"]), share=False),
]


def average_of_estimates(estimates: Sequence[Estimate]) -> Estimate:
    """Macro average of the languages' estimates, with the mean of their bounds as its interval.

    That is as wide as if all languages erred together, and so never too narrow, whatever they share.
    """
    known = [e for e in estimates if e.value is not None]
    if not known:
        return Estimate(None, None, None, 0)
    lows, highs = ([e.low for e in known if e.low is not None], [e.high for e in known if e.high is not None])
    whole = len(lows) == len(highs) == len(known)
    return Estimate(
        float(np.mean([e.value for e in known if e.value is not None])),
        float(np.mean(lows)) if whole else None,
        float(np.mean(highs)) if whole else None,
        sum(e.n for e in known),
    )


def _identity(generation: Generation) -> dict[str, str]:
    return {"id": generation.id, "cluster": generation.cluster, "item": generation.item_sha256}


def _met(verdict: str, present: bool) -> bool | None:
    if not present or verdict == "other":
        return False
    return True if verdict == "as_expected" else None


def _observed(metric: Metric, scores: Scores) -> list[tuple[float, float, str]]:
    seen = ((metric.observe(score), str(score["cluster"])) for score in scores)
    return [(*observation, cluster) for observation, cluster in seen if observation is not None]


def _rate(value: bool | None) -> Observation:
    return None if value is None else (float(value), 1.0)


def _value(value: float | None) -> Observation:
    return None if value is None else (float(value), 1.0)


def _negative(value: float | None) -> Observation:
    return None if value is None else (-value, 1.0)


def _contract(score: Mapping[str, Any]) -> bool | None:
    if score["state"] == "error":
        return None
    answer: bool | None = score["answer_expected"]
    return both(score["chain_expected"], answer) if score["thinks"] else answer


def _right_in_language(score: Mapping[str, Any]) -> Observation:
    if not score["correct"]:
        return (0.0, 1.0)
    return _rate(score["answer_expected"])


def _undetermined(score: Mapping[str, Any]) -> Observation:
    return None if score["state"] == "error" else (float(_contract(score) is None), 1.0)


def _part(score: Mapping[str, Any], part: str, whole: str) -> Observation:
    return (float(score[part]), float(score[whole])) if score.get(whole) else None


def _length(score: Mapping[str, Any], *, right: bool) -> Observation:
    if score["state"] == "error" or score["correct"] is not right:
        return None
    return _value(score["chain_characters"])
