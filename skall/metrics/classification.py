"""Metrics of predicted labels: ``function(weighted)`` gives one value for each set of weights.

Over several folds, most count the samples of all. The balanced accuracy and the mcc set samples
against each other that are of different classes, and count pairs of samples of one fold, see
:meth:`~skall.metrics.outcome.WeightedOutcome.split`.
"""

from collections.abc import Callable

import numpy as np

from skall.metrics.outcome import divide


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
