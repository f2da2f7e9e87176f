"""One estimator on one fold: fit, predict, score. What the workers of a comparison run."""

import sys
import time
from contextlib import contextmanager

import numpy as np
import torch
from sklearn.utils import _safe_indexing
from threadpoolctl import threadpool_limits

from skall.classifier import CNNClassifier
from skall.comparison.parts import find_last, find_search
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
        ``fit`` and ``predict``, ``peak_memory`` (see :func:`measure_peak_memory`), and where
        they are there ``unlearnt``, the labels that the estimator has not learnt, whose
        probability is 0, ``history`` by column, ``best_params``, which a search has chosen, and
        the number of its ``trials``.
    """
    with thread_count(n_threads):
        started = time.perf_counter()
        fit_with_groups(
            estimator,
            _safe_indexing(X, fold.train),
            y[fold.train],
            None if groups is None else groups[fold.train],
        )
        fitted = time.perf_counter()
        labels, proba, decision = _respond(estimator, _safe_indexing(X, fold.test), classes)
        seconds = {"fit": fitted - started, "predict": time.perf_counter() - fitted}
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
        "seconds": seconds,
        "peak_memory": measure_peak_memory(),
    }
    unlearnt = np.setdiff1d(classes, estimator.classes_)
    if len(unlearnt):
        result["unlearnt"] = unlearnt.tolist()
    network = find_last(estimator)
    if hasattr(network, "history_frame_"):
        result["history"] = network.history_frame_.to_dict("list")
    search = find_search(estimator)
    if search is not None:
        chosen = search.best_params_.items()
        result["best_params"] = {parameter: _make_plain(value) for parameter, value in chosen}
        result["trials"] = _count_trials(search)
    return result


def measure_peak_memory():
    """The most memory that this process has held since it began.

    Returns
    -------
    int or None
        Bytes of the resident set; None on Windows.

    Examples
    --------
    >>> from skall.comparison.evaluation import measure_peak_memory
    >>> peak = measure_peak_memory()
    >>> peak is None or peak > 1_000_000
    True
    """
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts bytes, every other system KiB.
    return peak if sys.platform == "darwin" else peak * 1024


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
    if getattr(type(find_last(estimator)), "predict", None) is CNNClassifier.predict:
        # Whose labels are the likeliest classes: its images go through the network once.
        proba = np.asarray(estimator.predict_proba(X))
        labels = estimator.classes_[proba.argmax(axis=1)]
    else:
        proba, labels = None, estimator.predict(X)
    known = estimator.classes_
    if proba is None and hasattr(estimator, "predict_proba"):
        proba = np.asarray(estimator.predict_proba(X))
    if proba is not None:
        return labels, spread_columns(proba, known, classes), None
    if not hasattr(estimator, "decision_function"):
        return labels, None, None
    return labels, None, spread_columns(estimator.decision_function(X), known, classes)
