"""One estimator on one fold: fit, predict, score. What the workers of a comparison run."""

import time
from contextlib import contextmanager

import numpy as np
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import has_fit_parameter
from threadpoolctl import threadpool_limits

from skall.comparison.record import write_json
from skall.metrics import compute_metrics


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


def evaluate_fold(
    name, estimator, *, X, y, groups, fold, classes, pos_label, scoring, n_threads, path=None
):
    """Train a clone of the estimator on one part and measure it on the other.

    Parameters
    ----------
    name : str
        What messages call the estimator.
    estimator : classifier
        Not changed.
    X, y, groups
        All samples, their labels, and their groups or None.
    fold : Fold
    classes : ndarray of shape (n_classes,)
        All labels, sorted.
    pos_label : label or None
    scoring : tuple of str
    n_threads : int
    path : path-like, optional
        JSON file that the result is written to.

    Returns
    -------
    dict
        ``scores`` by metric, ``proba`` as rows in the order of `classes` or None, ``seconds`` of
        ``fit`` and ``predict``, and ``history`` by column where the estimator has one.

    Raises
    ------
    Exception
        What the estimator raises, with a note that names it and the fold.
    """
    estimator = clone(estimator)
    try:
        with thread_count(n_threads):
            started = time.perf_counter()
            estimator.fit(
                _safe_indexing(X, fold.train),
                y[fold.train],
                **_select_fit_params(estimator, groups, fold.train),
            )
            fitted = time.perf_counter()
            labels, proba, decision = _respond(
                estimator, _safe_indexing(X, fold.test), classes, pos_label
            )
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
    except Exception as exc:
        exc.add_note(f"raised by the estimator {name!r} in {fold.title}")
        raise
    result = {
        "scores": scores,
        "proba": None if proba is None else proba.astype(float).tolist(),
        "seconds": seconds,
    }
    if hasattr(estimator, "history_frame_"):
        result["history"] = estimator.history_frame_.to_dict("list")
    if path is not None:
        write_json(path, result)
    return result


def _select_fit_params(estimator, groups, train):
    """Keyword arguments that bring the training samples' groups to where `fit` uses them.

    A search needs them for its inner splits, a pipeline for its last step. After a step that
    resamples they would belong to other samples.
    """
    if groups is None:
        return {}
    if has_fit_parameter(estimator, "groups") or isinstance(
        estimator, (GridSearchCV, RandomizedSearchCV)
    ):
        return {"groups": groups[train]}
    if isinstance(estimator, Pipeline):
        *before, (name, last) = estimator.steps
        if not any(hasattr(step, "fit_resample") for _, step in before):
            inner = _select_fit_params(last, groups, train)
            return {f"{name}__{key}": value for key, value in inner.items()}
    return {}


def _respond(estimator, X, classes, pos_label):
    """Labels; probabilities in the order of `classes`; without those, what to rank by."""
    labels = estimator.predict(X)
    columns = np.argmax(np.asarray(classes)[:, None] == estimator.classes_, axis=1)
    if hasattr(estimator, "predict_proba"):
        return labels, np.asarray(estimator.predict_proba(X))[:, columns], None
    if not hasattr(estimator, "decision_function"):
        return labels, None, None
    decision = np.asarray(estimator.decision_function(X))
    if decision.ndim == 2:
        return labels, None, decision[:, columns]
    return labels, None, decision if estimator.classes_[1] == pos_label else -decision
