"""Friedman's test with Nemenyi's comparison of all pairs."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import friedmanchisquare, rankdata, studentized_range

from skall.statistics.significance import check_level


class FriedmanResult(NamedTuple):
    """Friedman's test, and what a critical-difference diagram draws.

    Attributes
    ----------
    statistic, p_value : float
        Of the hypothesis that all estimators are alike.
    mean_ranks : Series
        By estimator, the best first; 1 is the best rank, ties share theirs.
    critical_difference : float
        Estimators whose mean ranks differ by more are different, by Nemenyi's test.
    groups : list of tuple of str
        The largest sets of estimators that are not different, to be joined by bars. An estimator
        may be in several, or in none.
    """

    statistic: float
    p_value: float
    mean_ranks: pd.Series
    critical_difference: float
    groups: list


def friedman_test(
    values: pd.DataFrame | ArrayLike, *, higher_is_better: bool = True, alpha: float = 0.05
) -> FriedmanResult:
    """Friedman's test, and Nemenyi's critical difference [1]_.

    The blocks should be independent, as data sets are. Folds of one data set share training
    samples, so that over folds the test finds differences too easily:
    :func:`corrected_t_test` corrects for that, this test does not.

    Parameters
    ----------
    values : DataFrame or array-like of shape (n_blocks, n_estimators)
        A metric, one row per fold or data set, one column per estimator.
    higher_is_better : bool, default=True
    alpha : float, default=0.05

    Returns
    -------
    FriedmanResult

    Raises
    ------
    ValueError
        If there are fewer than three estimators or two blocks, or a value is NaN.

    References
    ----------
    .. [1] Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7, 2006.

    Examples
    --------
    >>> import pandas as pd
    >>> values = pd.DataFrame({"a": [0.9, 0.8, 0.9, 0.7], "b": [0.8, 0.7, 0.8, 0.6],
    ...                        "c": [0.7, 0.6, 0.7, 0.5]})
    >>> result = friedman_test(values)
    >>> result.mean_ranks.to_dict(), result.groups
    ({'a': 1.0, 'b': 2.0, 'c': 3.0}, [('a', 'b'), ('b', 'c')])
    """
    check_level(alpha, "alpha")
    table = (
        values if isinstance(values, pd.DataFrame) else pd.DataFrame(np.asarray(values))
    ).astype(float)
    n_blocks, n_estimators = table.shape
    if n_estimators < 3 or n_blocks < 2:
        raise ValueError(
            "Friedman's test needs three estimators and two folds or more, got "
            f"{n_estimators} and {n_blocks}"
        )
    if table.isna().any(axis=None):
        raise ValueError("a value is NaN: leave the fold out for all estimators")
    # Sums in another order differ in the last bits: that is a tie.
    rounded = table.round(12).to_numpy()
    ranks = rankdata(-rounded if higher_is_better else rounded, axis=1)
    # scipy divides by the ties' share, which is 0 where everything is tied.
    tied = (ranks == ranks[0, 0]).all()
    test = (0.0, 1.0) if tied else friedmanchisquare(*ranks.T)
    mean_ranks = pd.Series(ranks.mean(axis=0), index=table.columns).sort_values(kind="stable")
    quantile = studentized_range.isf(alpha, n_estimators, np.inf)
    difference = float(quantile * _error(n_estimators, n_blocks))
    statistic, p_value = map(float, test)
    return FriedmanResult(statistic, p_value, mean_ranks, difference, _join(mean_ranks, difference))


def nemenyi_p_values(mean_ranks: pd.Series, n_blocks: int) -> pd.DataFrame:
    """Nemenyi's p-values of all pairs of estimators, adjusted for their number [1]_.

    Parameters
    ----------
    mean_ranks : Series
        By estimator, from :func:`friedman_test`.
    n_blocks : int
        Number of folds or data sets that were ranked.

    Returns
    -------
    DataFrame
        Symmetric, one row and one column per estimator.

    References
    ----------
    .. [1] Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7, 2006.

    Examples
    --------
    >>> import pandas as pd
    >>> p = nemenyi_p_values(pd.Series({"a": 1.0, "b": 2.0, "c": 3.0}), n_blocks=4)
    >>> print(f"{p.loc['a', 'c']:.3f}")
    0.013
    """
    ranks = mean_ranks.to_numpy()
    distances = np.abs(ranks[:, None] - ranks) / _error(len(ranks), n_blocks)
    p_values = np.minimum(studentized_range.sf(distances, len(ranks), np.inf), 1)
    return pd.DataFrame(p_values, index=mean_ranks.index, columns=mean_ranks.index)


def _error(n_estimators, n_blocks):
    """Standard error of a mean rank, as the studentised range counts it."""
    return np.sqrt(n_estimators * (n_estimators + 1) / (12 * n_blocks))


def _join(mean_ranks, critical_difference):
    """The longest runs of sorted estimators within the critical difference."""
    names, ranks = mean_ranks.index.tolist(), mean_ranks.to_numpy()
    ends = np.searchsorted(ranks, ranks + critical_difference, side="right")
    runs = [(start, end) for start, end in enumerate(ends) if end - start > 1]
    longest = [run for i, run in enumerate(runs) if i == 0 or run[1] > runs[i - 1][1]]
    return [tuple(names[start:end]) for start, end in longest]
