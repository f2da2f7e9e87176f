"""Metrics of the order that scores put samples in, within each fold.

Scores of different folds come from different fitted estimators. Ranked together, they give an area
that is biased, mostly downwards: a fold with more positive samples is one that was trained on
fewer, so that all its scores are a little lower; a constant classifier then falls far below 0.5
[1]_ [2]_. Each metric here is a mean of something over samples or pairs of samples that looks at no
other fold:

- roc_auc over pairs of a positive and another sample of one fold: the share in the right order;
- average_precision over positive samples: the precision in its fold at the threshold that lets it
  in;
- the sensitivity at a fixed specificity over positive samples: whether it lies above the threshold
  that its fold's other samples set.

So the value of several folds is the mean of the folds' values with their numbers of pairs, or of
positive samples, as weights. A fold where either side is missing has no pairs and does not count.

References
----------
.. [1] Airola, A., Pahikkala, T., Waegeman, W., De Baets, B., & Salakoski, T. (2011). An
   experimental comparison of cross-validation techniques for estimating the area under the ROC
   curve. Computational Statistics & Data Analysis 55, 1828-1844. doi 10.1016/j.csda.2010.11.018.
.. [2] Forman, G., & Scholz, M. (2010). Apples-to-apples in cross-validation studies: pitfalls in
   classifier performance measurement. ACM SIGKDD Explorations 12, 49-57. doi
   10.1145/1882471.1882479.
"""

from collections.abc import Callable

import numpy as np
from sklearn.utils import assert_all_finite

from skall.metrics.outcome import divide


def measure_ranking(weighted, add_up):
    """A metric of the positive class against the rest, or the mean over the classes.

    Parameters
    ----------
    weighted : WeightedOutcome
    add_up : callable
        ``add_up(tp, fp)`` gives the metric's total of one fold and what it is to be divided by,
        (n_sets,) each, from the true and false positives above each threshold, (n_sets,
        n_thresholds) each, the last of which lets everything in.

    Returns
    -------
    ndarray of shape (n_sets,)
        NaN where no fold holds samples of the class and others.
    """
    outcome, weights = weighted.outcome, weighted.weights
    # A NaN would pass for a score below every other.
    assert_all_finite(outcome.ranking, input_name="y_score")
    totals = np.zeros((len(weights), outcome.n_classes))
    sizes = np.zeros_like(totals)
    classes = range(outcome.n_classes) if outcome.positive is None else [outcome.positive]
    for rows in list_folds(outcome.folds, len(outcome.truth)):
        for k in classes:
            order = rows[np.argsort(-outcome.ranking[rows, k], kind="stable")]
            is_last = np.append(np.diff(outcome.ranking[order, k]) != 0, True)
            drawn = weights[:, weighted.units[order]]
            tp = np.cumsum(drawn * (outcome.truth[order] == k), axis=1)[:, is_last]
            fp = np.cumsum(drawn, axis=1)[:, is_last] - tp
            total, size = add_up(tp, fp)
            two_sided = (tp[:, -1] > 0) & (fp[:, -1] > 0)
            totals[:, k] += np.where(two_sided, total, 0)
            sizes[:, k] += np.where(two_sided, size, 0)
    return weighted.summarise(divide(totals, sizes))


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
    if not n_samples:
        return []
    folds = np.zeros(n_samples, dtype=int) if folds is None else np.asarray(folds)
    order = np.argsort(folds, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(folds[order])) + 1)


def _roc_auc(tp, fp):
    new_fp, before = np.diff(fp, axis=1, prepend=0), np.pad(tp, ((0, 0), (1, 0)))[:, :-1]
    # Of a positive sample and another with the same score, half is in the right order.
    return np.einsum("ij,ij->i", new_fp, tp + before) / 2, tp[:, -1] * fp[:, -1]


def _average_precision(tp, fp):
    precision = tp / np.maximum(tp + fp, 1)
    return np.einsum("ij,ij->i", np.diff(tp, axis=1, prepend=0), precision), tp[:, -1]


def find_sensitivity(specificity):
    """The sensitivity at a specificity, for :func:`measure_ranking`.

    Parameters
    ----------
    specificity : fractions.Fraction

    Returns
    -------
    callable
    """

    def add_up(tp, fp):
        # The quotient of two counts, not 1 - fp / n: like the share that it is held against, it is
        # rounded once, so that 19 of 20 are no less than 95 %.
        is_allowed = divide(fp[:, -1:] - fp, fp[:, -1:]) >= float(specificity)
        # 0 where none is: a threshold above every score.
        return np.where(is_allowed, tp, 0).max(axis=1), tp[:, -1]

    return add_up


FROM_RANKING: dict[str, Callable] = {"roc_auc": _roc_auc, "average_precision": _average_precision}
