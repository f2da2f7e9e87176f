"""Formulas: one value from the true and the predicted classes of one fold."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score, matthews_corrcoef, roc_auc_score

N_CALIBRATION_BINS = 15


@dataclass(frozen=True)
class Outcome:
    """What the metrics of one fold are computed from; classes are numbered 0 ... k - 1.

    ``truth`` and ``predicted`` are (n,) integers, ``proba`` and ``ranking`` (n, k) floats or None;
    ``positive`` is a class, or None where the average over all of them is meant.
    """

    truth: np.ndarray
    predicted: np.ndarray | None
    proba: np.ndarray | None
    ranking: np.ndarray | None
    positive: int | None
    n_classes: int

    def count(self):
        """True positives, false positives, false negatives, true negatives: (k,) each."""
        k = self.n_classes
        table = np.bincount(self.truth * k + self.predicted, minlength=k * k).reshape(k, k)
        tp = np.diag(table)
        fp, fn = table.sum(axis=0) - tp, table.sum(axis=1) - tp
        return tp, fp, fn, len(self.truth) - tp - fp - fn

    def summarise(self, values):
        """The positive class's value, or the mean over the classes whose value is not NaN."""
        if self.positive is not None:
            return values[self.positive]
        known = values[~np.isnan(values)]
        return known.mean() if len(known) else np.nan

    def summarise_one_vs_rest(self, function):
        """``function(is_class, score)`` of the classes, NaN where only one side has samples."""
        values = np.full(self.n_classes, np.nan)
        for k in range(self.n_classes) if self.positive is None else [self.positive]:
            is_class = self.truth == k
            if is_class.any() and not is_class.all():
                values[k] = function(is_class, self.ranking[:, k])
        return self.summarise(values)


def _divide(numerator, denominator):
    """Elementwise quotient, NaN where the denominator is 0."""
    quotient = np.full(len(numerator), np.nan)
    return np.divide(numerator, denominator, out=quotient, where=denominator > 0)


def _accuracy(outcome):
    return np.mean(outcome.truth == outcome.predicted)


def _balanced_accuracy(outcome):
    tp, _, fn, _ = outcome.count()
    return np.nanmean(_divide(tp, tp + fn))


def _precision(outcome):
    tp, fp, fn, _ = outcome.count()
    return outcome.summarise(np.where(tp + fn > 0, tp / np.maximum(tp + fp, 1), np.nan))


def _recall(outcome):
    tp, _, fn, _ = outcome.count()
    return outcome.summarise(_divide(tp, tp + fn))


def _specificity(outcome):
    _, fp, _, tn = outcome.count()
    return outcome.summarise(_divide(tn, tn + fp))


def _f1(outcome):
    tp, fp, fn, _ = outcome.count()
    return outcome.summarise(np.where(tp + fn > 0, _divide(2 * tp, 2 * tp + fp + fn), np.nan))


def _mcc(outcome):
    if len(np.unique(outcome.truth)) < 2:
        return np.nan
    return matthews_corrcoef(outcome.truth, outcome.predicted)


def _roc_auc(outcome):
    return outcome.summarise_one_vs_rest(roc_auc_score)


def _average_precision(outcome):
    return outcome.summarise_one_vs_rest(average_precision_score)


def _brier(outcome):
    errors = np.eye(outcome.n_classes)[outcome.truth] - outcome.proba
    # With two classes the second column repeats the first: half the sum is the classical score.
    return np.mean(np.sum(errors**2, axis=1)) / (2 if outcome.n_classes == 2 else 1)


def _log_loss(outcome):
    of_truth = outcome.proba[np.arange(len(outcome.truth)), outcome.truth]
    return -np.mean(np.log(np.clip(of_truth, np.finfo(float).eps, None)))


def _ece(outcome):
    confidence = outcome.proba.max(axis=1)
    correct = outcome.proba.argmax(axis=1) == outcome.truth
    bins = np.clip(np.ceil(confidence * N_CALIBRATION_BINS).astype(int) - 1, 0, None)
    return np.abs(np.bincount(bins, correct - confidence)).sum() / len(bins)


FROM_LABELS: dict[str, Callable] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "precision": _precision,
    "recall": _recall,
    "specificity": _specificity,
    "f1": _f1,
    "mcc": _mcc,
}
FROM_RANKING: dict[str, Callable] = {"roc_auc": _roc_auc, "average_precision": _average_precision}
FROM_PROBA: dict[str, Callable] = {"brier": _brier, "log_loss": _log_loss, "ece": _ece}


def evaluate(name, outcome):
    """One metric as a float; NaN where what it is computed from is missing."""
    families = (
        (FROM_LABELS, outcome.predicted),
        (FROM_RANKING, outcome.ranking),
        (FROM_PROBA, outcome.proba),
    )
    family, needed = next((family, needed) for family, needed in families if name in family)
    return float(np.nan if needed is None else family[name](outcome))
