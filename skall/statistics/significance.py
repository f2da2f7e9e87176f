"""Results of tests of two estimators, and what the tests share."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class PairedResult(NamedTuple):
    """A test of two estimators; what the test does not give is NaN.

    Attributes
    ----------
    difference : float
        The first estimator's value minus the second one's.
    low, high : float
        Ends of the difference's confidence interval.
    statistic, p_value : float
        `p_value` is two-sided.
    """

    difference: float
    low: float
    high: float
    statistic: float
    p_value: float


class BayesianResult(NamedTuple):
    """What is believed about two estimators after seeing their folds.

    Attributes
    ----------
    difference : float
        Posterior mean of the first estimator's value minus the second one's.
    low, high : float
        Ends of its credible interval.
    p_above, p_rope, p_below : float
        Probabilities that the difference is above, inside and below the region of practical
        equivalence; they add up to 1.
    """

    difference: float
    low: float
    high: float
    p_above: float
    p_rope: float
    p_below: float


def standardise(difference, error):
    """The difference in units of its standard error: 0 for no difference, whatever the error.

    Parameters
    ----------
    difference, error : float

    Returns
    -------
    float
        Infinite where folds differ by one and the same amount, so that the error is 0.
    """
    if difference == 0:
        return 0.0
    return float(difference / error) if error > 0 else float(np.copysign(np.inf, difference))


def check_level(value, what):
    """Raise where a probability is not between 0 and 1.

    Parameters
    ----------
    value : float
    what : str
        Name of the parameter.
    """
    if not 0 < value < 1:
        raise ValueError(f"{what} must lie between 0 and 1, as 0.05 does; got {value!r}")


def subtract(values_a, values_b):
    """Differences between two estimators; those of rounding count as none.

    Parameters
    ----------
    values_a, values_b : array-like of one shape

    Returns
    -------
    ndarray
    """
    a, b = np.asarray(values_a, dtype=float), np.asarray(values_b, dtype=float)
    if a.shape != b.shape:
        raise ValueError(f"both estimators need values of the same folds, got {a.shape}, {b.shape}")
    if a.size < 2:
        raise ValueError(f"a test over folds needs two folds or more, got {a.size}")
    if np.isnan(a).any() or np.isnan(b).any():
        raise ValueError("a value is NaN: leave the fold out for both estimators")
    # Sums in another order differ in the last bits, and a variance of 1e-32 proves nothing.
    return np.where(np.isclose(a, b, rtol=0, atol=1e-12), 0, a - b)


def adjust_holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """P-values adjusted for their number by Holm's step-down method [1]_.

    Parameters
    ----------
    p_values : array-like of shape (n_tests,)
        NaN counts as no test and stays.

    Returns
    -------
    ndarray of shape (n_tests,)

    References
    ----------
    .. [1] Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
       Statistics 6, 1979.

    Examples
    --------
    >>> adjust_holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p_values = np.array(p_values, dtype=float)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    p_values[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1)
    return p_values
