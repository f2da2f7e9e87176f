"""One estimator on one fold: fit, predict, score; and the tables of all such results.

A result is a dict that JSON can hold: :func:`evaluate_fold` makes it, or :func:`make_failure` where
the estimator raises, and :func:`tabulate_results` reads it.
"""

from contextlib import contextmanager
from functools import partial
from traceback import format_exception_only

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from skall.cache.shared_time import SHARED_TIME
from skall.classifier import CNNClassifier
from skall.comparison.costs import FitCosts, measure_latency
from skall.comparison.estimators import get_final_estimator, get_search, list_readers
from skall.environment.private_names import select_rows
from skall.metrics import compute_metrics
from skall.metrics.predictions import spread_columns
from skall.routing import fit_with_groups

_KEY = ["estimator", "repeat", "fold"]
# The columns of each table, of the history the first of them.
COLUMNS = {
    "scores": [*_KEY, "metric", "value"],
    "best_params": [*_KEY, "parameter", "value"],
    "history": [*_KEY, "epoch"],
    "failures": [*_KEY, "error"],
    "unlearnt": [*_KEY, "label"],
    "resources": [*_KEY, "fit_seconds", "shared_seconds", "predict_ms", "peak_memory"],
    "folds": ["repeat", "fold", "n_train", "n_test"],
    "samples": ["sample", "file", "height", "width", "group", "y_true"],
}


@contextmanager
def thread_count(n_threads):
    """Compute with this many threads while the context lasts.

    Sums depend on how they are divided among threads: results agree to the last bit only where
    the number is the same, and joblib gives its workers fewer than the parent has.
    """
    before = torch.get_num_threads()
    with threadpool_limits(n_threads):
        torch.set_num_threads(n_threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def evaluate_fold(estimator, *, X, y, groups, fold, classes, pos_label, scoring, n_threads):
    """Train an estimator on the training part of a fold and measure it on the test part.

    Parameters
    ----------
    estimator : classifier
        Is fitted.
    X, y, groups
        All samples, their labels, and their groups or None.
    fold : Fold
    classes : ndarray of shape (n_classes,)
        All labels, sorted.
    pos_label : label or None
    scoring : tuple of str
    n_threads : int

    Returns
    -------
    dict
        ``scores`` by metric, ``proba`` as rows in the order of `classes` or None, ``seconds`` of
        ``fit`` and ``shared``, ``predict_ms`` and ``peak_memory`` (see
        :func:`skall.comparison.costs.tabulate_budgets`), and where there are any ``unlearnt``, the
        labels that the training part lacks, whose probability is 0, ``history`` by column,
        ``best_params`` that a search has chosen, and the number of its ``trials``.

    Raises
    ------
    ValueError
        If probabilities are not finite: the likeliest class would be the first.
    """
    held_out = select_rows(X, fold.test)
    with thread_count(n_threads):
        shared = SHARED_TIME.seconds
        with FitCosts() as costs:
            fit_with_groups(
                estimator,
                select_rows(X, fold.train),
                y[fold.train],
                None if groups is None else groups[fold.train],
            )
        labels, proba, decision = _predict_all_classes(estimator, held_out, classes)
        shared = SHARED_TIME.seconds - shared
        depth = next((reader.depth for reader in list_readers(estimator) if reader.depth), None)
        latency = None
        if fold.repeat == fold.fold == 0:
            # Once: in every fold it would take as long as a frozen trunk over all images.
            latency = measure_latency(partial(_predict, estimator), held_out, depth)
        scores = compute_metrics(
            y[fold.test], labels, proba, classes, pos_label, decision=decision, scoring=scoring
        )
    result = {
        "scores": scores,
        "proba": None if proba is None else proba.astype(float).tolist(),
        "seconds": {"fit": costs.seconds, "shared": shared},
        "predict_ms": latency,
        "peak_memory": costs.peak_memory,
    }
    unlearnt = np.setdiff1d(classes, estimator.classes_)
    if len(unlearnt):
        result["unlearnt"] = unlearnt.tolist()
    network = get_final_estimator(estimator)
    if hasattr(network, "history_frame_"):
        result["history"] = network.history_frame_.to_dict("list")
    search = get_search(estimator)
    if search is not None:
        chosen = search.best_params_.items()
        result["best_params"] = {parameter: _make_plain(value) for parameter, value in chosen}
        result["trials"] = _count_trials(search)
    return result


def make_failure(exc, scoring):
    """The result of a fold in which an estimator raised."""
    return {
        "scores": dict.fromkeys(scoring, np.nan),
        "proba": None,
        "seconds": {"fit": np.nan, "shared": np.nan},
        "predict_ms": np.nan,
        "error": "".join(format_exception_only(exc)).strip(),
    }


def _make_plain(value):
    """A value as JSON holds it; of other Python objects the name."""
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return getattr(value, "__name__", repr(value))


def _count_trials(search):
    """The number of combinations of parameters that a search has tried."""
    if hasattr(search, "n_candidates_"):
        return search.n_candidates_[0]
    return search.n_trials_ if hasattr(search, "n_trials_") else len(search.cv_results_["params"])


def _predict_all_classes(estimator, X, classes):
    """Labels, probabilities and decision values, with columns for all classes."""
    labels, proba, decision = _predict(estimator, X)
    known = estimator.classes_
    if proba is not None and not np.isfinite(proba).all():
        raise ValueError(
            "its probabilities are not finite, as those of a training that has diverged: try a "
            "smaller learning rate"
        )
    proba = None if proba is None else spread_columns(proba, known, classes)
    return labels, proba, None if decision is None else spread_columns(decision, known, classes)


def _predict(estimator, X):
    """Labels; probabilities or None; without those, decision values or None."""
    if getattr(type(get_final_estimator(estimator)), "predict", None) is CNNClassifier.predict:
        # Its labels are the likeliest classes, so that one pass through the network is enough.
        proba = np.asarray(estimator.predict_proba(X))
        return estimator.classes_[proba.argmax(axis=1)], proba, None
    labels = estimator.predict(X)
    if hasattr(estimator, "predict_proba"):
        return labels, np.asarray(estimator.predict_proba(X)), None
    has_decision = hasattr(estimator, "decision_function")
    return labels, None, estimator.decision_function(X) if has_decision else None


def tabulate_results(results, y, groups, classes):
    """Attributes of :class:`skall.comparison.Comparison` from all (name, Fold, result)."""
    best_params = _tabulate("best_params", results, lambda r: r.get("best_params", {}).items())
    resources = _tabulate("resources", results, _list_resources)
    trials = {}
    for name, _, result in results:
        trials[name] = max(trials.get(name, 1), result.get("trials", 1))
    return {
        "scores_": _tabulate("scores", results, lambda r: r["scores"].items()),
        "predictions_": _tabulate_predictions(results, y, groups, classes),
        "best_params_": best_params.astype(dict(zip(_KEY, (str, int, int), strict=True))),
        "trials_": trials,
        "history_": _tabulate_histories(results),
        "failures_": _tabulate("failures", results, _list_errors),
        "unlearnt_": _tabulate("unlearnt", results, _list_unlearnt),
        "resources_": resources.astype(dict.fromkeys(COLUMNS["resources"][3:], float)),
    }


def _tabulate(table, results, list_rows):
    """A table with the rows that each result has."""
    rows = [
        (name, fold.repeat, fold.fold, *row)
        for name, fold, result in results
        for row in list_rows(result)
    ]
    # As objects: else whole numbers beside fractions would become fractions.
    dtype = object if table == "best_params" else None
    return pd.DataFrame(rows, columns=COLUMNS[table], dtype=dtype)


def _list_errors(result):
    return [(result["error"],)] if "error" in result else []


def _list_unlearnt(result):
    return [(label,) for label in result.get("unlearnt", ())]


def _list_resources(result):
    costs = (result.get("predict_ms"), result.get("peak_memory"))
    return [(result["seconds"]["fit"], result["seconds"]["shared"], *costs)]


def _tabulate_predictions(results, y, groups, classes):
    """The out-of-fold probabilities."""
    columns = [f"proba_{label}" for label in classes.tolist()]
    parts = []
    for name, fold, result in results:
        part = pd.DataFrame({"sample": fold.test})
        part.insert(0, "estimator", name)
        part.insert(1, "repeat", fold.repeat)
        part.insert(2, "fold", fold.fold)
        part["group"] = None if groups is None else groups[fold.test]
        part["y_true"] = y[fold.test]
        unknown = np.full((len(part), len(columns)), np.nan)
        part[columns] = unknown if result["proba"] is None else result["proba"]
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _tabulate_histories(results):
    """The epochs of all networks."""
    rows = [
        {"estimator": name, "repeat": fold.repeat, "fold": fold.fold}
        | dict(zip(result["history"], values, strict=True))
        for name, fold, result in results
        if "history" in result
        for values in zip(*result["history"].values(), strict=True)
    ]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=COLUMNS["history"])
