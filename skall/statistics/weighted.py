"""Metrics of weighted samples, for thousands of sets of weights at once.

A resample of patients is a set of weights: how often each was drawn. Sums over samples become
products of matrices, and nothing is sorted more than once. The values equal those of
:func:`skall.metrics.compute_metrics` on samples repeated as often as their weight says.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from skall.metrics.formulas import N_CALIBRATION_BINS, evaluate, read_fixed_specificity


def evaluate_weighted(names, outcome, units, weights):
    """Metrics under each set of weights.

    Parameters
    ----------
    names : iterable of str
        Metrics, see :func:`skall.metrics.check_scoring_names`.
    outcome : Outcome
        Of n samples.
    units : ndarray of shape (n,)
        Column of `weights` for each sample.
    weights : ndarray of shape (n_sets, n_units)
        Whole numbers.

    Returns
    -------
    ndarray of shape (n_sets, n_metrics)
        NaN where what a metric is computed from is missing.
    """
    present, units = np.unique(units, return_inverse=True)
    weights = weights[:, present]
    values = np.full((len(weights), len(names)), np.nan)
    tables = None
    if outcome.predicted is not None and any(name in FROM_TABLE for name in names):
        tables = _tabulate(outcome, units, weights)
    for column, name in enumerate(names):
        if name in FROM_TABLE:
            if tables is not None:
                values[:, column] = FROM_TABLE[name](outcome, *tables)
        elif name in FROM_ROWS:
            if outcome.proba is not None:
                values[:, column] = FROM_ROWS[name](outcome, units, weights)
        elif (function := _find_order(name)) is not None:
            if outcome.ranking is not None:
                values[:, column] = _rank(function, outcome, units, weights)
        else:
            values[:, column] = _repeat(name, outcome, units, weights)
    return values


def _repeat(name, outcome, units, weights):
    """Any other metric, one set of weights after the other."""

    def take(array, rows):
        return None if array is None else array[rows]

    values = np.full(len(weights), np.nan)
    for i, counts in enumerate(weights):
        rows = np.repeat(np.arange(len(units)), counts[units])
        if len(rows):
            fields = ("truth", "predicted", "proba", "ranking")
            taken = {field: take(getattr(outcome, field), rows) for field in fields}
            values[i] = evaluate(name, replace(outcome, **taken))
    return values


def _divide(numerator, denominator):
    """Elementwise quotient, NaN where the denominator is 0."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    quotient = np.full(numerator.shape, np.nan)
    return np.divide(numerator, denominator, out=quotient, where=denominator > 0)


def _average(values):
    """Means over classes (n_sets, k), of those that are not NaN."""
    known = ~np.isnan(values)
    return _divide(np.where(known, values, 0).sum(axis=1), known.sum(axis=1))


def _summarise(outcome, values):
    """The positive class's column of (n_sets, k), or the mean over the classes."""
    return _average(values) if outcome.positive is None else values[:, outcome.positive]


def _tabulate(outcome, units, weights):
    """True positives, false positives, false negatives, true negatives: (n_sets, k) each."""
    k = outcome.n_classes
    cells = units * k * k + outcome.truth * k + outcome.predicted
    counts = np.bincount(cells, minlength=weights.shape[1] * k * k).reshape(-1, k * k)
    tables = (weights.astype(float) @ counts).reshape(-1, k, k)
    tp = np.diagonal(tables, axis1=1, axis2=2)
    fp, fn = tables.sum(axis=1) - tp, tables.sum(axis=2) - tp
    return tp, fp, fn, tables.sum(axis=(1, 2))[:, None] - tp - fp - fn


def _accuracy(outcome, tp, fp, fn, tn):
    return _divide(tp.sum(axis=1), (tp + fn).sum(axis=1))


def _balanced_accuracy(outcome, tp, fp, fn, tn):
    return _average(_divide(tp, tp + fn))


def _precision(outcome, tp, fp, fn, tn):
    values = tp / np.maximum(tp + fp, 1)
    return _summarise(outcome, np.where(tp + fn > 0, values, np.nan))


def _recall(outcome, tp, fp, fn, tn):
    return _summarise(outcome, _divide(tp, tp + fn))


def _specificity(outcome, tp, fp, fn, tn):
    return _summarise(outcome, _divide(tn, tn + fp))


def _f1(outcome, tp, fp, fn, tn):
    values = _divide(2 * tp, 2 * tp + fp + fn)
    return _summarise(outcome, np.where(tp + fn > 0, values, np.nan))


def _mcc(outcome, tp, fp, fn, tn):
    truth, predicted = tp + fn, tp + fp
    n = truth.sum(axis=1)
    covariance = tp.sum(axis=1) * n - (truth * predicted).sum(axis=1)
    spread = (n**2 - (truth**2).sum(axis=1)) * (n**2 - (predicted**2).sum(axis=1))
    values = np.nan_to_num(_divide(covariance, np.sqrt(spread)))
    return np.where((truth > 0).sum(axis=1) > 1, values, np.nan)


def _mean(row_values, units, weights):
    """Weighted mean of one number per sample."""
    n_units = weights.shape[1]
    totals = np.bincount(units, row_values, n_units)
    return _divide(weights @ totals, weights @ np.bincount(units, minlength=n_units))


def _brier(outcome, units, weights):
    errors = np.eye(outcome.n_classes)[outcome.truth] - outcome.proba
    return _mean(np.sum(errors**2, axis=1), units, weights) / (2 if outcome.n_classes == 2 else 1)


def _log_loss(outcome, units, weights):
    of_truth = outcome.proba[np.arange(len(outcome.truth)), outcome.truth]
    return _mean(-np.log(np.clip(of_truth, np.finfo(float).eps, None)), units, weights)


def _ece(outcome, units, weights):
    confidence = outcome.proba.max(axis=1)
    surplus = (outcome.proba.argmax(axis=1) == outcome.truth) - confidence
    bins = np.clip(np.ceil(confidence * N_CALIBRATION_BINS).astype(int) - 1, 0, None)
    n_units = weights.shape[1]
    cells = units * N_CALIBRATION_BINS + bins
    gaps = np.bincount(cells, surplus, n_units * N_CALIBRATION_BINS).reshape(n_units, -1)
    sizes = weights @ np.bincount(units, minlength=n_units)
    return _divide(np.abs(weights @ gaps).sum(axis=1), sizes)


def _rank(function, outcome, units, weights):
    """A metric of the order that scores put samples in, per class against the rest."""
    values = np.full((len(weights), outcome.n_classes), np.nan)
    for k in range(outcome.n_classes) if outcome.positive is None else [outcome.positive]:
        order = np.argsort(-outcome.ranking[:, k], kind="stable")
        is_last = np.append(np.diff(outcome.ranking[order, k]) != 0, True)
        drawn = weights[:, units[order]]
        tp = np.cumsum(drawn * (outcome.truth[order] == k), axis=1)[:, is_last]
        fp = np.cumsum(drawn, axis=1)[:, is_last] - tp
        one_sided = (tp[:, -1] == 0) | (fp[:, -1] == 0)
        values[:, k] = np.where(one_sided, np.nan, function(tp, fp))
    return _summarise(outcome, values)


def _roc_auc(tp, fp):
    new_fp, before = np.diff(fp, axis=1, prepend=0), np.pad(tp, ((0, 0), (1, 0)))[:, :-1]
    area = np.einsum("ij,ij->i", new_fp, tp + before) / 2
    return _divide(area, tp[:, -1] * fp[:, -1])


def _average_precision(tp, fp):
    precision = tp / np.maximum(tp + fp, 1)
    area = np.einsum("ij,ij->i", np.diff(tp, axis=1, prepend=0), precision)
    return _divide(area, tp[:, -1])


def _sensitivity(tp, fp, specificity):
    # The quotient of two counts, not 1 - fp / n: like the share that it is held against, it is
    # rounded once, so that 19 of 20 are no less than 95 %.
    is_allowed = _divide(fp[:, -1:] - fp, fp[:, -1:]) >= float(specificity)
    # 0 where none is: a threshold above every score.
    return _divide(np.where(is_allowed, tp, 0).max(axis=1), tp[:, -1])


def _find_order(name):
    """What a metric is of the cumulative true and false positives; None for other metrics."""
    specificity = read_fixed_specificity(name)
    if specificity is not None:
        return partial(_sensitivity, specificity=specificity)
    return FROM_ORDER.get(name)


FROM_TABLE: dict[str, Callable] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "precision": _precision,
    "recall": _recall,
    "specificity": _specificity,
    "f1": _f1,
    "mcc": _mcc,
}
FROM_ROWS: dict[str, Callable] = {"brier": _brier, "log_loss": _log_loss, "ece": _ece}
FROM_ORDER: dict[str, Callable] = {"roc_auc": _roc_auc, "average_precision": _average_precision}
