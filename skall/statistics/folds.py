"""Intervals and tests from the scores of folds, which share most of their training samples."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from skall.statistics.significance import (
    BayesianResult,
    PairedResult,
    check_level,
    standardise,
    subtract,
)


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


def variance_components(scores: pd.DataFrame) -> pd.DataFrame:
    """How far values spread between folds, and apart from that between repeats.

    Estimates of a one-way random-effects analysis of variance with the repeats as groups [1]_; with
    unequal numbers of folds, as where some are NaN, by its unbalanced formula.

    Parameters
    ----------
    scores : DataFrame
        Columns ``estimator, repeat, fold, metric, value``. NaN is left out.

    Returns
    -------
    DataFrame
        One row per estimator and metric, columns ``estimator, metric, mean, fold_std, repeat_std,
        repeat_mean_std``. `fold_std` is the standard deviation between folds of one repeat,
        `repeat_std` what a new seed and a new dealing of the folds add to that; 0 where the repeats
        differ less than their folds would have them differ, as is usual, because every repeat
        tests the same samples. `repeat_mean_std` is the plain standard deviation of the repeats'
        means: what another seed does to the reported number. Both are NaN for a single repeat.

    References
    ----------
    .. [1] Searle, Casella & McCulloch, "Variance Components", Wiley, 1992,
       doi 10.1002/9780470316856, chapter 3.

    Examples
    --------
    >>> import pandas as pd
    >>> scores = pd.DataFrame({"estimator": "net", "repeat": [0, 0, 1, 1], "fold": [0, 1, 0, 1],
    ...                        "metric": "f1", "value": [0.90, 0.92, 0.80, 0.82]})
    >>> variance_components(scores).round(3).drop(columns="estimator")
      metric  mean  fold_std  repeat_std  repeat_mean_std
    0     f1  0.86     0.014        0.07            0.071
    """
    rows = []
    for (name, metric), part in scores.groupby(["estimator", "metric"], sort=False):
        values = part.dropna(subset="value").groupby("repeat")["value"]
        rows.append((name, metric, part["value"].mean(), *_analyse(values)))
    columns = ["estimator", "metric", "mean", "fold_std", "repeat_std", "repeat_mean_std"]
    return pd.DataFrame(rows, columns=columns)


def _analyse(values):
    """Standard deviations of folds, of repeats, and of the repeats' means."""
    sizes, means = values.size().to_numpy(), values.mean().to_numpy()
    n, n_repeats = sizes.sum(), len(sizes)
    if n <= n_repeats:
        return np.nan, np.nan, means.std(ddof=1) if n_repeats > 1 else np.nan
    within = (values.var(ddof=0).to_numpy() * sizes).sum() / (n - n_repeats)
    if n_repeats < 2:
        return np.sqrt(within), np.nan, np.nan
    between = (sizes * (means - (sizes * means).sum() / n) ** 2).sum() / (n_repeats - 1)
    typical_size = (n - (sizes**2).sum() / n) / (n_repeats - 1)
    added = max(0.0, (between - within) / typical_size)
    return np.sqrt(within), np.sqrt(added), means.std(ddof=1)
