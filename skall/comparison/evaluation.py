"""One estimator on one fold: fit, predict, score. What the workers of a comparison run."""

from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from skall.cache.shared_time import SHARED_TIME
from skall.classifier import CNNClassifier
from skall.comparison.costs import FitCosts, measure_latency
from skall.comparison.estimators import get_final_estimator, get_search, list_readers
from skall.environment.private_names import select_rows
from skall.metrics import compute_metrics
from skall.metrics.columns import spread_columns
from skall.routing import fit_with_groups


@contextmanager
def thread_count(n_threads):
    """Compute with this many threads for a while.

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
    """Train an estimator on one part and measure it on the other.

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
        :func:`skall.comparison.budgets.tabulate_budgets`), and where
        they are there ``unlearnt``, the labels that the estimator has not learnt, whose
        probability is 0, ``history`` by column, ``best_params``, which a search has chosen, and
        the number of its ``trials``.

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
        labels, proba, decision = _respond(estimator, held_out, classes)
        shared = SHARED_TIME.seconds - shared
        depth = next((part.depth for part in list_readers(estimator) if part.depth), None)
        latency = None
        if fold.repeat == fold.fold == 0:
            # Once: in every fold it would take as long as a frozen trunk over all images.
            latency = measure_latency(partial(_ask, estimator), held_out, depth)
        scores = compute_metrics(
            y[fold.test],
            labels,
            proba,
            classes,
            pos_label,
            decision=decision,
            scoring=scoring,
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


def _make_plain(value):
    """A value as JSON holds it; of a Python object, what names it."""
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return getattr(value, "__name__", repr(value))


def _count_trials(search):
    """How many combinations of parameters a search has tried."""
    if hasattr(search, "n_candidates_"):
        return search.n_candidates_[0]
    return search.n_trials_ if hasattr(search, "n_trials_") else len(search.cv_results_["params"])


def _respond(estimator, X, classes):
    """Labels; probabilities in the order of `classes`; without those, what to rank by."""
    labels, proba, decision = _ask(estimator, X)
    known = estimator.classes_
    if proba is not None and not np.isfinite(proba).all():
        raise ValueError(
            "its probabilities are not finite, as those of a training that has diverged: try a "
            "smaller learning rate"
        )
    proba = None if proba is None else spread_columns(proba, known, classes)
    return labels, proba, None if decision is None else spread_columns(decision, known, classes)


def _ask(estimator, X):
    """Labels; probabilities; without those, decision values; None for what there is not."""
    if getattr(type(get_final_estimator(estimator)), "predict", None) is CNNClassifier.predict:
        # Whose labels are the likeliest classes: its images go through the network once.
        proba = np.asarray(estimator.predict_proba(X))
        return estimator.classes_[proba.argmax(axis=1)], proba, None
    labels = estimator.predict(X)
    if hasattr(estimator, "predict_proba"):
        return labels, np.asarray(estimator.predict_proba(X)), None
    has_decision = hasattr(estimator, "decision_function")
    return labels, None, estimator.decision_function(X) if has_decision else None
