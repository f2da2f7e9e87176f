"""Intervals of proportions: so many right out of so many."""

from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from skall.metrics.outcome import weigh_once
from skall.statistics.held_out import list_classes, read_outcome
from skall.statistics.result import check_level

METHODS = ("exact", "wilson")


def proportion_interval(
    successes: int,
    trials: int,
    *,
    method: Literal["exact", "wilson"] = "exact",
    confidence_level: float = 0.95,
) -> tuple[float, float]:
    """Confidence interval of a proportion.

    Parameters
    ----------
    successes, trials : int
    method : {"exact", "wilson"}, default="exact"
        ``"exact"``: Clopper and Pearson's [1]_, never covers less than it says. ``"wilson"``:
        Wilson's score interval, shorter and right on average [2]_.
    confidence_level : float, default=0.95

    Returns
    -------
    low, high : float
        NaN for 0 trials.

    Raises
    ------
    ValueError
        If `method` is another, `confidence_level` is not between 0 and 1, or `successes` exceeds
        `trials`.

    References
    ----------
    .. [1] Clopper & Pearson, "The use of confidence or fiducial limits illustrated in the case of
       the binomial", Biometrika 26, 1934, doi 10.1093/biomet/26.4.404.
    .. [2] Brown, Cai & DasGupta, "Interval estimation for a binomial proportion", Statistical
       Science 16, 2001, doi 10.1214/ss/1009213286.

    Examples
    --------
    >>> low, high = proportion_interval(22, 22)
    >>> print(f"{100 * low:.1f} to {100 * high:.1f} %")
    84.6 to 100.0 %
    """
    check_level(confidence_level, "confidence_level")
    if method not in METHODS:
        raise ValueError(f"method must be 'exact' or 'wilson', got {method!r}")
    if not 0 <= successes <= trials:
        raise ValueError(f"successes must lie between 0 and trials={trials}, got {successes}")
    if trials == 0:
        return np.nan, np.nan
    interval = binomtest(int(successes), int(trials)).proportion_ci(confidence_level, method)
    return float(interval.low), float(interval.high)


def proportion_intervals(
    predictions: pd.DataFrame,
    *,
    pos_label: object = None,
    method: Literal["exact", "wilson"] = "exact",
    confidence_level: float = 0.95,
) -> pd.DataFrame:
    """Intervals of the metrics that are proportions of samples, for each estimator.

    Accuracy; with two classes recall, specificity and precision too. Samples count as independent:
    where a patient has several, :func:`bootstrap_intervals` is the honest choice.

    Parameters
    ----------
    predictions : DataFrame
        As :attr:`skall.comparison.Comparison.predictions_`. Labels are column ``y_pred`` where
        there is one, else the likeliest classes; estimators with neither are left out.
    pos_label : label, optional
        The positive class of two, see :func:`skall.metrics.resolve_pos_label`.
    method, confidence_level
        See :func:`proportion_interval`.

    Returns
    -------
    DataFrame
        Columns ``estimator, metric, successes, trials, value, low, high``. The counts are pooled
        over the folds. Repeats add no samples: with several, the counts are their rounded means.

    Examples
    --------
    >>> import pandas as pd
    >>> p = pd.DataFrame({"estimator": "net", "repeat": 0, "fold": 0, "sample": [0, 1, 2, 3],
    ...                   "y_true": [0, 0, 1, 1], "proba_0": [0.9, 0.8, 0.3, 0.6]})
    >>> p["proba_1"] = 1 - p["proba_0"]
    >>> proportion_intervals(p).round(2)[["metric", "successes", "trials", "low", "high"]]
            metric  successes  trials   low  high
    0     accuracy          3       4  0.19  0.99
    1       recall          1       2  0.01  0.99
    2  specificity          2       2  0.16  1.00
    3    precision          1       1  0.03  1.00
    """
    classes, columns = list_classes(predictions)
    rows = []
    for name, part in predictions.groupby("estimator", sort=False):
        outcome = read_outcome(part, classes, columns, pos_label)
        if outcome.predicted is None:
            continue
        # Of repeats, and of splitters that repeat themselves.
        n_times = len(part) / part["sample"].nunique()
        for metric, counts in _count(outcome).items():
            successes, trials = (round(count / n_times) for count in counts)
            ends = proportion_interval(
                successes, trials, method=method, confidence_level=confidence_level
            )
            value = successes / trials if trials else np.nan
            rows.append((name, metric, successes, trials, value, *ends))
    columns = ["estimator", "metric", "successes", "trials", "value", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def _count(outcome):
    """Successes and trials by metric."""
    counts = {"accuracy": ((outcome.truth == outcome.predicted).sum(), len(outcome.truth))}
    if outcome.positive is not None:
        counts_by_class = weigh_once(outcome).counts
        tp, fp, fn, tn = (of_classes[0, outcome.positive] for of_classes in counts_by_class)
        counts["recall"] = (tp, tp + fn)
        counts["specificity"] = (tn, tn + fp)
        counts["precision"] = (tp, tp + fp)
    return counts
