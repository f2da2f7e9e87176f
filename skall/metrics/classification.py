"""Metrics of predicted labels and of probabilities.

Each is a ``function(weighted)`` that gives one value for each set of weights. Over several folds,
most count the samples of all. The balanced accuracy and the mcc compare samples of different
classes, and count pairs of samples of one fold, see
:meth:`~skall.metrics.outcome.WeightedOutcome.split`.
"""

from collections.abc import Callable

import numpy as np

from skall.metrics.outcome import divide

N_CALIBRATION_BINS = 15


def _accuracy(weighted):
    tp, _, fn, _ = weighted.counts
    return divide(tp.sum(axis=1), (tp + fn).sum(axis=1))


def _balanced_accuracy(weighted):
    # Of each pair of samples of two classes, how many of both are right; of a single fold that is
    # the mean of the classes' recalls.
    k = weighted.outcome.n_classes
    right, pairs = np.zeros((2, len(weighted.weights), k, k))
    for fold in weighted.split():
        tp, _, fn, _ = fold.counts
        sizes = tp + fn
        first_right = tp[:, :, None] * sizes[:, None, :]
        right += (first_right + first_right.transpose(0, 2, 1)) / 2
        pairs += sizes[:, :, None] * sizes[:, None, :]
    return divide(right, pairs)[:, *np.triu_indices(k, 1)].mean(axis=1)


def _precision(weighted):
    tp, fp, _, _ = weighted.counts
    # 0 for a class that is there and never predicted: leaving it out would reward that.
    return _need_all(weighted, weighted.summarise(np.nan_to_num(divide(tp, tp + fp))))


def _recall(weighted):
    tp, _, fn, _ = weighted.counts
    return weighted.summarise(divide(tp, tp + fn))


def _specificity(weighted):
    _, fp, _, tn = weighted.counts
    values = weighted.summarise(divide(tn, tn + fp))
    return _need_all(weighted, values) if weighted.outcome.positive is None else values


def _f1(weighted):
    tp, fp, fn, _ = weighted.counts
    return _need_all(weighted, weighted.summarise(divide(2 * tp, 2 * tp + fp + fn)))


def _mcc(weighted):
    covariance, of_truth, of_predicted = np.zeros((3, len(weighted.weights)))
    for fold in weighted.split():
        tp, fp, fn, _ = fold.counts
        truth, predicted = tp + fn, tp + fp
        n = truth.sum(axis=1)
        covariance += tp.sum(axis=1) * n - (truth * predicted).sum(axis=1)
        of_truth += n**2 - (truth**2).sum(axis=1)
        of_predicted += n**2 - (predicted**2).sum(axis=1)
    # 0 where one class alone is predicted, which says nothing of the truth.
    # Weights that are no whole numbers leave a rest of rounding, which may be below 0.
    spread = np.sqrt(np.maximum(of_truth * of_predicted, 0))
    values = np.nan_to_num(divide(covariance, spread))
    return _need_all(weighted, np.where(of_truth > 0, values, np.nan))


def _need_all(weighted, values):
    """Values (n_sets,), NaN where a class has no true samples."""
    tp, _, fn, _ = weighted.counts
    return np.where((tp + fn > 0).all(axis=1), values, np.nan)


FROM_LABELS: dict[str, Callable] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "precision": _precision,
    "recall": _recall,
    "specificity": _specificity,
    "f1": _f1,
    "mcc": _mcc,
}


def _brier(weighted):
    outcome = weighted.outcome
    errors = np.eye(outcome.n_classes)[outcome.truth] - outcome.proba
    # With two classes the second column repeats the first: half the sum is the classical score.
    return weighted.average(np.sum(errors**2, axis=1)) / (2 if outcome.n_classes == 2 else 1)


def _log_loss(weighted):
    outcome = weighted.outcome
    of_truth = outcome.proba[np.arange(len(outcome.truth)), outcome.truth]
    return weighted.average(-np.log(np.clip(of_truth, np.finfo(float).eps, None)))


def _ece(weighted):
    outcome, units, weights = weighted.outcome, weighted.units, weighted.weights
    confidence = outcome.proba.max(axis=1)
    surplus = (outcome.proba.argmax(axis=1) == outcome.truth) - confidence
    bins = np.clip(np.ceil(confidence * N_CALIBRATION_BINS).astype(int) - 1, 0, None)
    n_units = weights.shape[1]
    cells = units * N_CALIBRATION_BINS + bins
    gaps = np.bincount(cells, surplus, n_units * N_CALIBRATION_BINS).reshape(n_units, -1)
    sizes = weights @ np.bincount(units, minlength=n_units)
    return divide(np.abs(weights @ gaps).sum(axis=1), sizes)


FROM_PROBA: dict[str, Callable] = {"brier": _brier, "log_loss": _log_loss, "ece": _ece}
