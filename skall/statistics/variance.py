"""Spread between folds, apart from spread between repeats."""

import numpy as np
import pandas as pd


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
