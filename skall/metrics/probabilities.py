"""Metrics of probabilities: ``function(weighted)`` gives one value for each set of weights."""

from collections.abc import Callable

import numpy as np

from skall.metrics.outcome import divide

N_CALIBRATION_BINS = 15


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
