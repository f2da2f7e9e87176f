"""What metrics are computed from."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True)
class Outcome:
    """True and predicted classes of some samples; classes are numbered 0 ... k - 1.

    ``truth`` and ``predicted`` are (n,) integers, ``proba`` and ``ranking`` (n, k) floats; all but
    ``truth`` may be None. ``positive`` is a class, or None where the average over all of them is
    meant. ``folds`` (n,) tells apart samples that were predicted by different fitted estimators,
    which are not compared with each other, see :meth:`WeightedOutcome.split`; None where one
    estimator has predicted all.
    """

    truth: np.ndarray
    predicted: np.ndarray | None
    proba: np.ndarray | None
    ranking: np.ndarray | None
    positive: int | None
    n_classes: int
    folds: np.ndarray | None = None

    def take(self, rows):
        """The outcome of some of the samples, all of one fold."""
        fields = {name: getattr(self, name) for name in ("truth", "predicted", "proba", "ranking")}
        taken = {name: None if array is None else array[rows] for name, array in fields.items()}
        return replace(self, **taken, folds=None)


class Counts(NamedTuple):
    """Samples of each class against the rest, under each set of weights: (n_sets, k) each."""

    tp: np.ndarray
    fp: np.ndarray
    fn: np.ndarray
    tn: np.ndarray


@dataclass(frozen=True, eq=False)
class WeightedOutcome:
    """An outcome whose samples count several times, or not at all.

    A resample of patients is a set of weights: how often each was drawn. Sums over samples become
    products of matrices, and nothing is sorted more than once for all sets.

    ``units`` (n,) is the column of ``weights`` (n_sets, n_units), 0 or more, for each sample.
    """

    outcome: Outcome
    units: np.ndarray
    weights: np.ndarray

    @cached_property
    def counts(self):
        """Of true and false positives and negatives, by the predicted labels."""
        k = self.outcome.n_classes
        cells = self.units * k * k + self.outcome.truth * k + self.outcome.predicted
        tables = np.bincount(cells, minlength=self.weights.shape[1] * k * k).reshape(-1, k * k)
        tables = (self.weights.astype(float) @ tables).reshape(-1, k, k)
        tp = np.diagonal(tables, axis1=1, axis2=2)
        fp, fn = tables.sum(axis=1) - tp, tables.sum(axis=2) - tp
        return Counts(tp, fp, fn, tables.sum(axis=(1, 2))[:, None] - tp - fp - fn)

    def split(self):
        """The outcomes of the folds, for metrics of pairs of samples.

        Estimators of different folds have learnt from different shares of the classes: one whose
        fold holds more of a class has seen less of it, so that its scores for that class are lower
        and it is named less often. Across folds, the area of a constant classifier lies far below
        0.5 [1]_ [2]_, and so do its balanced accuracy and mcc lie below chance.

        Returns
        -------
        list of WeightedOutcome
            With the same sets of weights.

        References
        ----------
        .. [1] Airola, A., Pahikkala, T., Waegeman, W., De Baets, B., & Salakoski, T. (2011). An
           experimental comparison of cross-validation techniques for estimating the area under the
           ROC curve. Computational Statistics & Data Analysis 55, 1828-1844. doi
           10.1016/j.csda.2010.11.018.
        .. [2] Forman, G., & Scholz, M. (2010). Apples-to-apples in cross-validation studies:
           pitfalls in classifier performance measurement. ACM SIGKDD Explorations 12, 49-57. doi
           10.1145/1882471.1882479.
        """
        if self.outcome.folds is None:
            return [self]
        return [
            WeightedOutcome(self.outcome.take(rows), self.units[rows], self.weights)
            for rows in list_folds(self.outcome.folds, len(self.units))
        ]

    def average(self, values):
        """Weighted means (n_sets,) of one number per sample; NaN without samples."""
        n_units = self.weights.shape[1]
        sizes = self.weights @ np.bincount(self.units, minlength=n_units)
        return divide(self.weights @ np.bincount(self.units, values, n_units), sizes)

    def summarise(self, values):
        """Of (n_sets, k) the positive class's column, or the mean; NaN where any class is."""
        positive = self.outcome.positive
        return values.mean(axis=1) if positive is None else values[:, positive]


def weigh_once(outcome):
    """An outcome whose samples all count once.

    Parameters
    ----------
    outcome : Outcome

    Returns
    -------
    WeightedOutcome
        With a single set of weights.
    """
    units = np.zeros(len(outcome.truth), dtype=int)
    return WeightedOutcome(outcome, units, np.ones((1, 1), dtype=int))


def list_folds(folds, n_samples):
    """The rows of each fold.

    Parameters
    ----------
    folds : ndarray of int, shape (n_samples,), or None
        None: all are of one.
    n_samples : int

    Returns
    -------
    list of ndarray of int
    """
    folds = np.zeros(n_samples, dtype=int) if folds is None else np.asarray(folds)
    order = np.argsort(folds, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(folds[order])) + 1)


def divide(numerator, denominator):
    """Elementwise quotient, NaN where the denominator is 0.

    Parameters
    ----------
    numerator, denominator : array-like that broadcast to one shape

    Returns
    -------
    ndarray of float
    """
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    quotient = np.full(numerator.shape, np.nan)
    return np.divide(numerator, denominator, out=quotient, where=denominator > 0)
