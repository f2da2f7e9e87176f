"""Intervals beside the metrics of a comparison, and those of proportions."""

from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from skall.metrics import LOWER_IS_BETTER
from skall.metrics.outcome import weigh_once
from skall.statistics.bootstrap import bootstrap_intervals
from skall.statistics.folds import corrected_t_interval
from skall.statistics.held_out import (
    choose_metric,
    choose_names,
    list_classes,
    read_outcome,
    tabulate_folds,
)
from skall.statistics.jackknife import HeldOut
from skall.statistics.patients import patient_t_interval
from skall.statistics.significance import check_level

INTERVALS = {
    "patient_t": "t interval over patients",
    "corrected_t": "corrected t interval over folds",
    "bootstrap": "bootstrap interval over samples or groups",
    "exact": "exact interval of a proportion of samples",
    "wilson": "Wilson's interval of a proportion of samples",
}
PROPORTIONS = ("exact", "wilson")


def tabulate_intervals(
    scores,
    predictions,
    metrics=None,
    *,
    names=None,
    method=None,
    pos_label=None,
    test_ratio=None,
    held_out=None,
    confidence_level=0.95,
    n_resamples=2000,
    random_state=0,
):
    """Values of metrics with their intervals.

    Parameters
    ----------
    scores, predictions : DataFrame
        As :class:`skall.comparison.Comparison` holds them.
    metrics : str or iterable of str, optional
        All that were computed by default.
    names : str or iterable of str, optional
        Estimators; all by default.
    method : {"patient_t", "corrected_t", "bootstrap", "exact", "wilson"}, optional
        ``"patient_t"``, the default, speaks of other patients, to train and to test on
        (:func:`patient_t_interval`); where predictions do not hold what a metric is computed from,
        the default is ``"corrected_t"``. That speaks of other training and test parts
        (:func:`corrected_t_interval`), ``"bootstrap"`` of other patients to test on
        (:func:`bootstrap_intervals`); the other two of other samples, where the metric is a
        proportion of them (:func:`proportion_intervals`).
    pos_label : label, optional
        The positive class of two.
    test_ratio : float, optional
        Number of test samples over number of training samples, as
        :func:`skall.statistics.average_test_ratio` gives; ``"corrected_t"`` needs it.
    confidence_level : float, default=0.95
    n_resamples : int, default=2000
    random_state : int, numpy.random.Generator or None, default=0
        Both of the bootstrap.

    Returns
    -------
    DataFrame
        Columns ``estimator, metric, value, low, high``, the best estimator of the first metric
        first. `value` is the mean over the folds; for ``"exact"`` and ``"wilson"`` it is pooled
        over them. Ends are cut to the metric's range. NaN where there is no interval: with a
        single fold, for the bootstrap of estimators without probabilities, and for what is no
        proportion.

    Raises
    ------
    ValueError
        For an unknown metric, estimator or method, and for ``"corrected_t"`` without `test_ratio`.
    """
    if method not in (None, *INTERVALS):
        raise ValueError(
            f"unknown interval {method!r}; possible: {', '.join(map(repr, INTERVALS))}"
        )
    known = scores["metric"].unique()
    metrics = known if metrics is None else [metrics] if isinstance(metrics, str) else metrics
    metrics = [choose_metric(scores, metric) for metric in dict.fromkeys(metrics)]
    if not metrics:
        raise ValueError(f"metrics is empty; there are {', '.join(known)}")
    names = choose_names(scores, names)
    folds = {metric: tabulate_folds(scores, metric, names) for metric in metrics}
    names = folds[metrics[0]].columns.tolist()
    chosen = predictions[predictions["estimator"].isin(names)]
    options = {"pos_label": pos_label, "confidence_level": confidence_level}
    if method == "corrected_t":
        found = _span_folds(folds, test_ratio, confidence_level)
    elif method in (None, "patient_t"):
        if held_out is None:
            held_out = HeldOut(scores, chosen, pos_label, test_ratio)
        found = _span_patients(folds, held_out, confidence_level)
        if method is None and test_ratio is not None:
            over_folds = _span_folds(folds, test_ratio, confidence_level)
            found = found.where(found["known"], over_folds)
    elif method == "bootstrap":
        options |= {"n_resamples": n_resamples, "random_state": random_state}
        found = bootstrap_intervals(chosen, metrics, **options)
    else:
        found = proportion_intervals(chosen, method=method, **options)
    found = found.set_index(["estimator", "metric"])
    order = pd.MultiIndex.from_product([names, metrics], names=["estimator", "metric"])
    table = found.reindex(order)[["value", "low", "high"]].reset_index()
    means = pd.Series([folds[r.metric][r.estimator].mean() for r in table.itertuples()])
    table["value"] = table["value"].where(table["low"].notna(), means)
    lowest, highest = np.transpose([_find_range(metric) for metric in table["metric"]])
    table["low"], table["high"] = table["low"].clip(lowest), table["high"].clip(upper=highest)
    return table


def _span_patients(folds, held_out, confidence_level):
    """Intervals over patients, and whether the predictions are known that they need."""
    rows = []
    for metric, table in folds.items():
        for name, values in table.items():
            left_out, ends = held_out.leave_out(name, metric), (np.nan, np.nan)
            if left_out is not None:
                level = {"confidence_level": confidence_level}
                ends = patient_t_interval(values.mean(), left_out, **level)
            rows.append((name, metric, values.mean(), *ends, left_out is not None))
    columns = ["estimator", "metric", "value", "low", "high", "known"]
    return pd.DataFrame(rows, columns=columns)


def _span_folds(folds, test_ratio, confidence_level):
    """Corrected t intervals."""
    if test_ratio is None:
        raise ValueError(
            "method='corrected_t' needs test_ratio, the number of test samples over that of "
            "training samples, as average_test_ratio(comparison.folds_) gives"
        )
    rows = [
        (
            *(name, metric, values.mean()),
            *corrected_t_interval(values, test_ratio, confidence_level=confidence_level),
        )
        for metric, table in folds.items()
        for name, values in table.items()
    ]
    return pd.DataFrame(rows, columns=["estimator", "metric", "value", "low", "high"])


def _find_range(metric):
    """The least and the largest value that a metric can have."""
    if metric == "mcc":
        return -1.0, 1.0
    return 0.0, np.inf if metric in LOWER_IS_BETTER else 1.0


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
    if method not in PROPORTIONS:
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
