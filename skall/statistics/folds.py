"""Intervals and tests from the scores of folds, which share most of their training samples."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from skall.statistics.result import BayesianResult, PairedResult, check_level, standardise, subtract


def average_test_ratio(folds: pd.DataFrame) -> float | None:
    """Number of test samples over that of training samples, the mean over the folds.

    Parameters
    ----------
    folds : DataFrame
        Columns ``n_train`` and ``n_test``, as :attr:`skall.comparison.Comparison.folds_`.

    Returns
    -------
    float or None
        None without folds.

    Examples
    --------
    >>> import pandas as pd
    >>> average_test_ratio(pd.DataFrame({"n_train": [80, 75], "n_test": [20, 25]})).__round__(4)
    0.2917
    """
    return float((folds["n_test"] / folds["n_train"]).mean()) if len(folds) else None


def corrected_t_interval(
    values: ArrayLike, test_ratio: float, *, confidence_level: float = 0.95
) -> tuple[float, float]:
    """Confidence interval of a mean over folds, corrected for overlapping training parts [1]_.

    The plain interval takes folds as independent and is too narrow: the variance of the mean is
    not ``s^2 / n``, but about ``(1 / n + n_test / n_train) s^2``. It speaks of other training and
    test parts of the same size from the same source of samples.

    Parameters
    ----------
    values : array-like of shape (n_folds,)
        A metric's value in each fold, of all repeats. NaN is left out.
    test_ratio : float
        Number of test samples over number of training samples; 1 / (k - 1) for k folds. Where it
        differs from fold to fold, the mean.
    confidence_level : float, default=0.95

    Returns
    -------
    low, high : float
        NaN with fewer than two values. They may lie outside the range of the metric.

    Raises
    ------
    ValueError
        If `test_ratio` is not above 0, or `confidence_level` not between 0 and 1.

    References
    ----------
    .. [1] Nadeau & Bengio, "Inference for the generalization error", Machine Learning 52, 2003,
       doi 10.1023/A:1024068626366.

    Examples
    --------
    >>> low, high = corrected_t_interval([0.90, 0.94, 0.92, 0.96, 0.88], test_ratio=1 / 4)
    >>> print(f"{low:.3f} to {high:.3f}")
    0.861 to 0.979
    """
    check_level(confidence_level, "confidence_level")
    known = np.asarray(values, dtype=float)
    known = known[~np.isnan(known)]
    if len(known) < 2:
        return np.nan, np.nan
    half = _error(known, test_ratio) * stats.t.isf((1 - confidence_level) / 2, len(known) - 1)
    return float(known.mean() - half), float(known.mean() + half)


def corrected_t_test(
    values_a: ArrayLike, values_b: ArrayLike, test_ratio: float, *, confidence_level: float = 0.95
) -> PairedResult:
    """Corrected resampled t-test of two estimators over the same folds [1]_.

    With repeated cross-validation all folds of all repeats go in [2]_.

    Parameters
    ----------
    values_a, values_b : array-like of shape (n_folds,)
        A metric's values in the same folds.
    test_ratio : float
        Number of test samples over number of training samples; 1 / (k - 1) for k folds. Where it
        differs from fold to fold, the mean.
    confidence_level : float, default=0.95

    Returns
    -------
    PairedResult
        With n_folds - 1 degrees of freedom. Equal values give p = 1.

    Raises
    ------
    ValueError
        If there are fewer than two folds, a value is NaN, or `test_ratio` is not above 0.

    References
    ----------
    .. [1] Nadeau & Bengio, "Inference for the generalization error", Machine Learning 52, 2003,
       doi 10.1023/A:1024068626366.
    .. [2] Bouckaert & Frank, "Evaluating the replicability of significance tests for comparing
       learning algorithms", PAKDD 2004, doi 10.1007/978-3-540-24775-3_3.

    Examples
    --------
    >>> result = corrected_t_test([0.90, 0.94, 0.92], [0.85, 0.92, 0.89], test_ratio=1 / 2)
    >>> print(f"{result.difference:.3f}, p = {result.p_value:.3f}")
    0.033, p = 0.139
    """
    check_level(confidence_level, "confidence_level")
    differences = subtract(values_a, values_b)
    mean, error = differences.mean(), _error(differences, test_ratio)
    freedom = len(differences) - 1
    statistic = standardise(mean, error)
    half = error * stats.t.isf((1 - confidence_level) / 2, freedom)
    p_value = 2 * stats.t.sf(abs(statistic), freedom)
    return PairedResult(*map(float, (mean, mean - half, mean + half, statistic, p_value)))


def bayesian_t_test(
    values_a: ArrayLike,
    values_b: ArrayLike,
    test_ratio: float,
    *,
    rope: float = 0.01,
    confidence_level: float = 0.95,
) -> BayesianResult:
    """Bayesian correlated t-test with a region of practical equivalence [1]_ [2]_.

    The posterior of the mean difference is a Student distribution whose scale carries the same
    correction as :func:`corrected_t_test`.

    Parameters
    ----------
    values_a, values_b : array-like of shape (n_folds,)
        A metric's values in the same folds, of all repeats.
    test_ratio : float
        Number of test samples over number of training samples; 1 / (k - 1) for k folds. Where it
        differs from fold to fold, the mean.
    rope : float, default=0.01
        Differences from ``-rope`` to ``rope`` are of no practical importance.
    confidence_level : float, default=0.95
        Probability of the credible interval.

    Returns
    -------
    BayesianResult

    Raises
    ------
    ValueError
        As :func:`corrected_t_test`, or if `rope` is negative.

    References
    ----------
    .. [1] Corani & Benavoli, "A Bayesian approach for comparing cross-validated algorithms on
       multiple data sets", Machine Learning 100, 2015, doi 10.1007/s10994-015-5486-z.
    .. [2] Benavoli et al., "Time for a change: a tutorial for comparing multiple classifiers
       through Bayesian analysis", JMLR 18(77), 2017.

    Examples
    --------
    >>> result = bayesian_t_test([0.90, 0.94, 0.92], [0.85, 0.92, 0.89], test_ratio=1 / 2)
    >>> print(f"{result.p_above:.2f} {result.p_rope:.2f} {result.p_below:.2f}")
    0.88 0.07 0.04
    """
    check_level(confidence_level, "confidence_level")
    if not rope >= 0:
        raise ValueError(f"rope must be 0 or a positive difference, got {rope!r}")
    differences = subtract(values_a, values_b)
    mean, error = differences.mean(), _error(differences, test_ratio)
    freedom = len(differences) - 1
    # Standardised ends: the distribution itself does not exist where the error is 0.
    above = stats.t.sf(_reach(rope - mean, error), freedom)
    below = stats.t.cdf(_reach(-rope - mean, error), freedom)
    half = error * stats.t.isf((1 - confidence_level) / 2, freedom)
    numbers = (mean, mean - half, mean + half, above, max(0, 1 - above - below), below)
    return BayesianResult(*map(float, numbers))


def _reach(distance, error):
    """How many errors away the end of the region is; a mean on the end lies inside the region."""
    if error > 0:
        return distance / error
    return np.copysign(np.inf, distance)


def _error(values, test_ratio):
    """Corrected standard error of the mean."""
    if not test_ratio > 0:
        raise ValueError(
            f"test_ratio must be above 0: test samples over training samples; got {test_ratio!r}"
        )
    return np.sqrt(values.var(ddof=1) * (1 / len(values) + test_ratio))
