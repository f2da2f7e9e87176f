"""Bootstrap intervals that draw patients, not images."""

from collections.abc import Iterable
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import norm

from skall.metrics import check_scoring_names
from skall.metrics.formulas import evaluate_weighted
from skall.statistics.held_out import list_classes, number_units, read_outcome
from skall.statistics.significance import check_level

METHODS = ("percentile", "bca")
# Numbers in the largest temporary array: 32 MB.
CHUNK = 4_000_000


def bootstrap_intervals(
    predictions: pd.DataFrame,
    metrics: str | Iterable[str] | None = None,
    *,
    pos_label: object = None,
    n_resamples: int = 2000,
    method: Literal["percentile", "bca"] = "percentile",
    confidence_level: float = 0.95,
    pooled: bool = False,
    random_state: int | np.random.Generator | None = None,
) -> pd.DataFrame:
    """Intervals of every metric from resampled patients: the cluster bootstrap [1]_ [2]_.

    Groups are drawn with replacement, and all rows of a group go along: its samples, in every fold
    and repeat. Samples of unknown group are drawn by themselves. Every estimator gets the same
    draws. The estimators are not trained anew: the intervals speak of other patients, not of other
    training sets, as :func:`corrected_t_interval` does.

    Parameters
    ----------
    predictions : DataFrame
        As :attr:`skall.comparison.Comparison.predictions_`. Labels are column ``y_pred`` where
        there is one, else the likeliest classes.
    metrics : str or iterable of str, optional
        Names, see :func:`skall.metrics.check_scoring_names`; all of :data:`skall.metrics.METRICS`
        by default.
    pos_label : label, optional
        The positive class of two, see :func:`skall.metrics.resolve_pos_label`.
    n_resamples : int, default=2000
        The ends of a 95 % interval then vary by some hundredths of its width with the seed.
    method : {"percentile", "bca"}, default="percentile"
        ``"bca"`` corrects for bias and skewness [2]_, and needs as many more evaluations as there
        are groups. Where that correction does not exist, the percentiles stand.
    confidence_level : float, default=0.95
    pooled : bool, default=False
        False: metrics are computed in each fold and averaged, as the tables of a comparison are;
        True: computed over all of a repeat's predictions and averaged over the repeats, which is
        steadier where folds are small. Only samples of one fold are compared with each other: for
        roc_auc, balanced_accuracy and mcc folds count by their pairs, for average_precision and the
        sensitivity at a fixed specificity by their positive samples; see
        :meth:`skall.metrics.outcome.WeightedOutcome.split`.
    random_state : int, numpy.random.Generator or None, default=None

    Returns
    -------
    DataFrame
        Columns ``estimator, metric, value, low, high``. A fold where a metric is NaN is left out of
        the mean, a resample where it is NaN out of the interval. NaN for metrics of probabilities
        of estimators without them; the ends also for metrics that need a class of a single group,
        which all resamples share that determine them. The ece grows where samples repeat, so that
        its interval may lie above its value. Where no resample differs, as with everything right,
        the interval has no width and says nothing; :func:`proportion_intervals` does.

    Raises
    ------
    ValueError
        If there are fewer than two groups, or for an unknown metric or method.

    References
    ----------
    .. [1] Field & Welsh, "Bootstrapping clustered data", Journal of the Royal Statistical Society B
       69, 2007, doi 10.1111/j.1467-9868.2007.00593.x.
    .. [2] Efron, "Better bootstrap confidence intervals", Journal of the American Statistical
       Association 82, 1987, doi 10.1080/01621459.1987.10478410.

    Examples
    --------
    >>> import pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> p = pd.DataFrame({"estimator": "net", "repeat": 0, "fold": 0, "sample": range(60),
    ...                   "group": np.arange(60) // 3, "y_true": np.arange(60) // 3 % 2})
    >>> p["proba_1"] = (p["y_true"] + rng.uniform(size=60)) / 2
    >>> p["proba_0"] = 1 - p["proba_1"]
    >>> bootstrap_intervals(p, ["brier"], random_state=0).round(3)
      estimator metric  value    low   high
    0       net  brier  0.081  0.065  0.097
    """
    check_level(confidence_level, "confidence_level")
    if method not in METHODS:
        raise ValueError(f"method must be 'percentile' or 'bca', got {method!r}")
    if n_resamples < 1:
        raise ValueError(f"n_resamples must be 1 or more, got {n_resamples!r}")
    metrics = check_scoring_names(metrics)
    classes, columns = list_classes(predictions)
    units = number_units(predictions)
    n_units = units.max() + 1
    if n_units < 2:
        raise ValueError("all samples are of one group: there is nothing to resample")
    rng = np.random.default_rng(random_state)
    keys = ["repeat"] if pooled else ["repeat", "fold"]
    parts = {
        name: [
            (read_outcome(part, classes, columns, pos_label), part["unit"].to_numpy())
            for _, part in rows.groupby(keys)
        ]
        for name, rows in predictions.assign(unit=units).groupby("estimator", sort=False)
    }
    values = _evaluate(metrics, parts, [np.ones((1, n_units), dtype=int)])
    of_class = pd.Series(units).groupby(predictions["y_true"].to_numpy())
    alone = of_class.first()[of_class.nunique() == 1].unique()
    without_alone = _evaluate(metrics, parts, [_leave_out(n_units, alone)])
    chunk = max(1, CHUNK // max(n_units, *(len(u) for folds in parts.values() for _, u in folds)))
    drawn = _evaluate(metrics, parts, _draw(rng, n_units, n_resamples, chunk))
    each = (_leave_out(n_units, block) for block in _cut(np.arange(n_units), chunk))
    left_out = _evaluate(metrics, parts, each) if method == "bca" else None
    rows = []
    for name in parts:
        for column, metric in enumerate(metrics):
            value = values[name][0, column]
            without = None if left_out is None else left_out[name][:, column]
            ends = _find_ends(value, drawn[name][:, column], without, confidence_level)
            ends = (np.nan, np.nan) if np.isnan(without_alone[name][:, column]).any() else ends
            rows.append((name, metric, value, *ends))
    return pd.DataFrame(rows, columns=["estimator", "metric", "value", "low", "high"])


def _draw(rng, n_units, n_resamples, chunk):
    """Blocks of how often each unit is drawn: (up to chunk, n_units)."""
    for start in range(0, n_resamples, chunk):
        size = min(chunk, n_resamples - start)
        yield rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=size)


def _cut(array, size):
    """Blocks of up to so many."""
    return [array[start : start + size] for start in range(0, len(array), size)]


def _leave_out(n_units, chosen):
    """Weights (n_chosen, n_units) that each leave one unit out."""
    weights = np.ones((len(chosen), n_units), dtype=int)
    weights[np.arange(len(chosen)), chosen] = 0
    return weights


def _evaluate(metrics, parts, blocks):
    """Means over the folds by estimator: (n_sets, n_metrics)."""
    values = {name: [] for name in parts}
    for weights in blocks:
        for name, folds in parts.items():
            by_fold = np.stack([evaluate_weighted(metrics, *fold, weights) for fold in folds])
            known = ~np.isnan(by_fold)
            totals = np.where(known, by_fold, 0).sum(axis=0)
            n_known = known.sum(axis=0)
            means = np.where(n_known > 0, totals / np.maximum(n_known, 1), np.nan)
            values[name].append(means)
    return {name: np.concatenate(blocks) for name, blocks in values.items()}


def _find_ends(value, drawn, left_out, confidence_level):
    """Low and high end of one metric's interval."""
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn) or np.isnan(value):
        return np.nan, np.nan
    shares = np.array([1 - confidence_level, 1 + confidence_level]) / 2
    if left_out is not None:
        shares = _correct(shares, value, drawn, left_out[~np.isnan(left_out)])
    return tuple(np.quantile(drawn, shares).tolist())


def _correct(shares, value, drawn, left_out):
    """Quantiles that the BCa interval ends at; the plain ones where it does not exist."""
    # Rounding may part values that are equal but for the order of their sums.
    below = np.mean(drawn < value - 1e-12) + np.mean(np.abs(drawn - value) <= 1e-12) / 2
    deviations = left_out.mean() - left_out if len(left_out) else np.zeros(1)
    spread = np.sum(deviations**2)
    if not 0 < below < 1 or spread < 1e-24:
        return shares
    acceleration = np.sum(deviations**3) / (6 * spread**1.5)
    bias = norm.ppf(below)
    reach = bias + norm.ppf(shares)
    return norm.cdf(bias + reach / (1 - acceleration * reach))
