"""Metrics that have no value in some folds: where, and why."""

import numpy as np

from skall.metrics.names import describe_metric
from skall.statistics.sentences import capitalize, count_nouns, list_words

# Folds that a sentence names one by one.
MOST_NAMED = 6


def describe_missing(comparison):
    """Say in which folds metrics could not be computed, and why.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    list of str
        None where every metric has a value in every fold, but for folds that failed and for
        estimators that :func:`describe_silent` names.
    """
    scores, silent = comparison.scores_, _find_silent(comparison.predictions_)
    missing = scores[scores["value"].isna() & ~scores["estimator"].isin(silent)]
    missing = missing[~_find_failed(comparison, missing)]
    causes = _find_absent_classes(comparison.predictions_)
    found = {}
    for (name, metric), rows in missing.groupby(["estimator", "metric"], sort=False):
        folds = list(zip(rows["repeat"], rows["fold"], strict=True))
        for absent in dict.fromkeys(causes.get(fold, ()) for fold in folds):
            there = tuple(fold for fold in folds if causes.get(fold, ()) == absent)
            found.setdefault((absent, there), {}).setdefault(name, []).append(metric)
    return [
        sentence
        for place, by_name in found.items()
        for sentence in _describe_folds(*place, by_name, scores)
    ]


def describe_silent(comparison):
    """Say which metrics have no value because an estimator gives no probabilities.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    list of str
    """
    scores = comparison.scores_
    scores = scores[~_find_failed(comparison, scores)]
    found = {}
    for name in sorted(_find_silent(comparison.predictions_)):
        values = scores[scores["estimator"] == name].groupby("metric", sort=False)["value"]
        without = tuple(metric for metric, known in values.count().items() if not known)
        if without:
            found.setdefault(without, []).append(name)
    return [
        f"{_list_metrics(metrics)} could not be computed for {list_words(names)}, which "
        f"{'gives' if len(names) == 1 else 'give'} no probabilities."
        for metrics, names in found.items()
    ]


def _find_failed(comparison, scores):
    """Whether each row of scores is of a fold in which its estimator failed."""
    keys = ["estimator", "repeat", "fold"]
    failures = getattr(comparison, "failures_", None)
    failed = set() if failures is None else {*failures[keys].itertuples(index=False, name=None)}
    rows = scores[keys].itertuples(index=False, name=None)
    return np.array([row in failed for row in rows], dtype=bool)


def _find_absent_classes(predictions):
    """By (repeat, fold) the classes that its test part does not hold, where there are such."""
    classes = sorted(predictions["y_true"].unique())
    tested = predictions.groupby(["repeat", "fold"])["y_true"].unique()
    absent = {fold: tuple(c for c in classes if c not in {*held}) for fold, held in tested.items()}
    return {fold: labels for fold, labels in absent.items() if labels}


def _find_silent(predictions):
    """Estimators without any probability."""
    known = predictions.filter(like="proba_").notna().all(axis=1)
    known = known.groupby(predictions["estimator"]).any()
    return {*known.index[~known]}


def _count_folds(scores):
    return len(scores[["repeat", "fold"]].drop_duplicates())


def _describe_folds(absent, folds, found, scores):
    """Sentences for metrics by estimator that are missing in some folds for one reason."""
    everybody = {*scores["estimator"]}
    place = _name_folds(folds, scores)
    if absent:
        hold = "which holds" if len(folds) == 1 else "which hold"
        place += f", {hold} no cell of class {' or '.join(map(str, absent))}"
    by_metrics = {}
    for name, metrics in found.items():
        by_metrics.setdefault(tuple(metrics), []).append(name)
    # What is missing for all of them needs no names.
    return [
        f"{_list_metrics(metrics)} could not be computed "
        + ("" if {*names} == everybody else f"for {list_words(names)} ")
        + f"{place}."
        for metrics, names in by_metrics.items()
    ]


def _name_folds(folds, scores):
    total = _count_folds(scores)
    if scores["repeat"].nunique() == 1 and len(folds) <= MOST_NAMED:
        numbers = list_words(fold for _, fold in folds)
        return f"in fold{'' if len(folds) == 1 else 's'} {numbers} of {total}"
    repeat, fold = folds[0]
    return f"in {count_nouns(len(folds), 'fold')} of {total}, as fold {fold} of repeat {repeat}"


def _list_metrics(metrics):
    return capitalize(list_words(describe_metric(metric) for metric in metrics))
