"""Tests over five repeats of two folds."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from skall.statistics.result import PairedResult, standardise, subtract


def five_by_two_t_test(values_a: ArrayLike, values_b: ArrayLike) -> PairedResult:
    """Dietterich's paired t-test over five repeats of two folds [1]_.

    Parameters
    ----------
    values_a, values_b : array-like of shape (5, 2)
        A metric's values by repeat and fold.

    Returns
    -------
    PairedResult
        With 5 degrees of freedom and no interval. The statistic uses the first fold's difference
        only, as published; `difference` is the mean of all ten.

    Raises
    ------
    ValueError
        If the shape is another one or a value is NaN.

    References
    ----------
    .. [1] Dietterich, "Approximate statistical tests for comparing supervised classification
       learning algorithms", Neural Computation 10, 1998, doi 10.1162/089976698300017197.

    Examples
    --------
    >>> a = [[0.91, 0.93], [0.90, 0.92], [0.94, 0.90], [0.92, 0.92], [0.93, 0.91]]
    >>> b = [[0.89, 0.92], [0.90, 0.91], [0.90, 0.91], [0.89, 0.92], [0.92, 0.90]]
    >>> print(f"{five_by_two_t_test(a, b).p_value:.2f}")
    0.34
    """
    differences, variances = _five_by_two(values_a, values_b)
    statistic = standardise(differences[0, 0], np.sqrt(variances.mean()))
    p_value = 2 * stats.t.sf(abs(statistic), 5)
    return PairedResult(float(differences.mean()), np.nan, np.nan, statistic, float(p_value))


def five_by_two_f_test(values_a: ArrayLike, values_b: ArrayLike) -> PairedResult:
    """Alpaydin's combined F-test over five repeats of two folds [1]_.

    It uses all ten differences where :func:`five_by_two_t_test` uses one, and is more powerful.

    Parameters
    ----------
    values_a, values_b : array-like of shape (5, 2)
        A metric's values by repeat and fold.

    Returns
    -------
    PairedResult
        With 10 and 5 degrees of freedom and no interval.

    Raises
    ------
    ValueError
        If the shape is another one or a value is NaN.

    References
    ----------
    .. [1] Alpaydin, "Combined 5 x 2 cv F test for comparing supervised classification learning
       algorithms", Neural Computation 11, 1999, doi 10.1162/089976699300016007.

    Examples
    --------
    >>> a = [[0.91, 0.93], [0.90, 0.92], [0.94, 0.90], [0.92, 0.92], [0.93, 0.91]]
    >>> b = [[0.89, 0.92], [0.90, 0.91], [0.90, 0.91], [0.89, 0.92], [0.92, 0.90]]
    >>> print(f"{five_by_two_f_test(a, b).p_value:.2f}")
    0.56
    """
    differences, variances = _five_by_two(values_a, values_b)
    statistic = standardise(np.sum(differences**2), 2 * variances.sum())
    p_value = stats.f.sf(statistic, 10, 5)
    return PairedResult(float(differences.mean()), np.nan, np.nan, statistic, float(p_value))


def _five_by_two(values_a, values_b):
    """Differences (5, 2) and their variances in each repeat (5,), as Dietterich defines them."""
    differences = subtract(values_a, values_b)
    if differences.shape != (5, 2):
        raise ValueError(
            f"the 5x2cv tests need 5 repeats of 2 folds, shape (5, 2); got {differences.shape}"
        )
    deviations = differences - differences.mean(axis=1, keepdims=True)
    return differences, np.sum(deviations**2, axis=1)
