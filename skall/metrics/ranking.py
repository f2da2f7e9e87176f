"""Metrics of the order that scores put samples in, within each fold.

Each is a mean of something over samples or pairs of samples that looks at no other fold (see
:meth:`~skall.metrics.outcome.WeightedOutcome.split`):

- roc_auc over pairs of a positive and another sample of one fold: the share in the right order;
- average_precision over positive samples: the precision in its fold at the threshold that lets it
  in;
- the sensitivity at a fixed specificity over positive samples: whether it lies above the threshold
  that its fold's other samples set. With ten others, 95 % and 99 % are the same threshold.

So the value of several folds is the mean of the folds' values with their numbers of pairs, or of
positive samples, as weights. A fold where either side is missing has no pairs and does not count.
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
    # A NaN would pass for a score below every other.
    assert_all_finite(weighted.outcome.ranking, input_name="y_score")
    k, positive = weighted.outcome.n_classes, weighted.outcome.positive
    totals, sizes = np.zeros((2, len(weighted.weights), k))
    for fold in weighted.split():
        for c in range(k) if positive is None else [positive]:
            scores = fold.outcome.ranking[:, c]
            order = np.argsort(-scores, kind="stable")
            # Equal scores share a threshold.
            is_last = np.diff(scores[order], append=np.nan) != 0
            drawn = fold.weights[:, fold.units[order]]
            tp = np.cumsum(drawn * (fold.outcome.truth[order] == c), axis=1)[:, is_last]
            fp = np.cumsum(drawn, axis=1)[:, is_last] - tp
            if tp.shape[1]:
                total, size = add_up(tp, fp)
                two_sided = (tp[:, -1] > 0) & (fp[:, -1] > 0)
                totals[:, c] += np.where(two_sided, total, 0)
                sizes[:, c] += np.where(two_sided, size, 0)
    return weighted.summarise(divide(totals, sizes))


def _roc_auc(tp, fp):
    new_fp, before = np.diff(fp, axis=1, prepend=0), np.pad(tp, ((0, 0), (1, 0)))[:, :-1]
    # Of a positive sample and another with the same score, half is in the right order.
    return np.einsum("ij,ij->i", new_fp, tp + before) / 2, tp[:, -1] * fp[:, -1]


def _average_precision(tp, fp):
    precision = np.nan_to_num(divide(tp, tp + fp))
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
