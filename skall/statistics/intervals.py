"""Intervals beside the metrics of a comparison."""

import numpy as np
import pandas as pd

from skall.metrics import LOWER_IS_BETTER
from skall.statistics.bootstrap import bootstrap_intervals
from skall.statistics.folds import corrected_t_interval
from skall.statistics.held_out import choose_metric, choose_names, tabulate_folds
from skall.statistics.left_out import HeldOut
from skall.statistics.patients import patient_t_interval
from skall.statistics.proportions import proportion_intervals

INTERVALS = {
    "patient_t": "t interval over patients",
    "corrected_t": "corrected t interval over folds",
    "bootstrap": "bootstrap interval over samples or groups",
    "exact": "exact interval of a proportion of samples",
    "wilson": "Wilson's interval of a proportion of samples",
}


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
