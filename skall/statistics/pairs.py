"""Tests between all pairs of estimators of a comparison."""

from collections.abc import Iterable
from itertools import combinations, product

import numpy as np
import pandas as pd

from skall.metrics import LOWER_IS_BETTER
from skall.statistics.folds import (
    bayesian_t_test,
    corrected_t_test,
    five_by_two_f_test,
    five_by_two_t_test,
)
from skall.statistics.held_out import choose_metric, pivot_folds
from skall.statistics.jackknife import HeldOut
from skall.statistics.patients import find_detectable, patient_t_test
from skall.statistics.ranks import friedman_test, nemenyi_p_values
from skall.statistics.samples import compare_samples
from skall.statistics.significance import PairedResult, adjust_holm, check_level

METHODS = {
    "patient_t": "t-test over patients",
    "corrected_t": "corrected resampled t-test",
    "5x2cv_t": "5x2cv paired t-test",
    "5x2cv_f": "combined 5x2cv F-test",
    "mcnemar": "McNemar's mid-p test",
    "delong": "DeLong's test",
    "nemenyi": "Friedman's test with Nemenyi's post hoc test",
    "bayesian_t": "Bayesian correlated t-test",
}
# What the tests over samples are about; those over folds take any metric.
METRIC_OF = {"mcnemar": "accuracy", "delong": "roc_auc"}
FIVE_BY_TWO = {"5x2cv_t": five_by_two_t_test, "5x2cv_f": five_by_two_f_test}
NO_DIFFERENCE = "no difference shown"
EQUIVALENT = "practically equivalent"
UNDECIDED = "cannot be decided"


def test_estimators(
    scores: pd.DataFrame,
    predictions: pd.DataFrame | None,
    *,
    metric: str | None = None,
    method: str | None = None,
    references: Iterable[str] | None = None,
    pos_label: object = None,
    test_ratio: float | None = None,
    held_out: HeldOut | None = None,
    rope: float | None = None,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Test every pair of estimators, with p-values adjusted for the number of pairs.

    Parameters
    ----------
    scores : DataFrame
        Columns ``estimator, repeat, fold, metric, value``. All pairs of its estimators are tested:
        pass only the rows of those that are in question, because each pair more costs power. A
        fold where no estimator has a value, because it lacks a class, is left out.
    predictions : DataFrame or None
        As :attr:`skall.comparison.Comparison.predictions_`; None will do for a test over folds.
    metric : str, optional
        By default ``"accuracy"`` for McNemar's test and ``"roc_auc"`` for DeLong's, which take no
        other, else ``"balanced_accuracy"``, or the first one where that was not computed.
    method : {"patient_t", "corrected_t", "5x2cv_t", "5x2cv_f", "mcnemar", "delong", "nemenyi", \
"bayesian_t"}, optional
        See :func:`patient_t_test`, :func:`corrected_t_test`, :func:`five_by_two_t_test`,
        :func:`five_by_two_f_test`, :func:`mcnemar_test`, :func:`delong_test`,
        :func:`friedman_test`, :func:`bayesian_t_test`. By default ``"patient_t"``, or
        ``"corrected_t"`` where the predictions do not hold what the metric is computed from.
        McNemar's and DeLong's use the predictions of the first repeat; DeLong's ranks only samples
        of one fold against each other, and allows for groups where they are known.
    references : iterable of str, optional
        Test only pairs of one of these and one of the others: every network against the baselines,
        say, without the pairs among either.
    pos_label : label, optional
        The positive class of two, for tests that use predictions.
    test_ratio : float, optional
        Number of test samples over number of training samples, the mean over the folds where that
        differs; ``"corrected_t"`` and ``"bayesian_t"`` need it.
    held_out : HeldOut, optional
        Of these scores and predictions, where it is kept; made anew by default.
    rope : float, optional
        Half the width of the Bayesian test's region of practical equivalence; 0.01 by default.
    alpha : float, default=0.05
        A difference is shown where `p_adjusted` is below. For the Bayesian test, where a
        probability is above ``1 - alpha``.

    Returns
    -------
    DataFrame
        One row per pair, columns ``estimator_a, estimator_b, metric, method, difference, low, high,
        statistic, p_value, p_adjusted, conclusion``. `difference` is a's value minus b's, its
        interval of level ``1 - alpha`` not adjusted for the number of pairs. `p_adjusted` is Holm's
        [1]_. For ``"nemenyi"`` the numbers are of mean ranks (1 is best) with the critical
        difference around them, `p_value` is adjusted by itself, and `p_adjusted` not below
        Friedman's. For ``"bayesian_t"`` there are no p-values but columns ``p_a_above,
        p_equivalent, p_b_above`` with probabilities of the higher value.

        For ``"patient_t"`` there are columns more: ``detectable``, the smallest true difference
        that would be shown in four of five comparisons of this size (before the adjustment);
        ``unit``, ``"patient"`` or, where these are not known, ``"cell"``; and ``fewest`` and
        ``rarest``, how many of them the class has that has fewest, and which it is.
        Where these are so few that exchanging all their predictions could not give a p-value below
        `alpha`, and nothing is shown, the conclusion is ``"cannot be decided"``; with three or
        fewer there is no p-value.

    Raises
    ------
    ValueError
        If the method is unknown, does not suit the metric, the folds or the number of classes, if
        there are too few estimators or folds, only some have a value in a fold, or what is needed
        was not stored. Each message says what to do.

    Warns
    -----
    UserWarning
        If McNemar's test is requested for groups of several samples, which it takes as independent.

    References
    ----------
    .. [1] Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
       Statistics 6, 1979.

    Examples
    --------
    >>> import pandas as pd
    >>> scores = pd.DataFrame({"estimator": ["a"] * 5 + ["b"] * 5, "repeat": 0,
    ...                        "fold": [*range(5)] * 2, "metric": "accuracy",
    ...                        "value": [0.9, 0.92, 0.91, 0.93, 0.9, 0.8, 0.83, 0.8, 0.84, 0.79]})
    >>> tests = test_estimators(scores, None, test_ratio=1 / 4)
    >>> tests.loc[0, "conclusion"]
    'a is better than b'
    """
    check_level(alpha, "alpha")
    names = scores["estimator"].unique().tolist()
    if len(names) < 2:
        raise ValueError(f"a test needs two estimators or more, got {names}")
    if method not in (None, *METHODS):
        raise ValueError(f"unknown method {method!r}; possible: {', '.join(METHODS)}")
    if rope is not None and method != "bayesian_t":
        raise ValueError(f"rope belongs to method='bayesian_t' and has no part in {method!r}")
    metric = _choose_metric(scores, metric, method)
    pairs = _list_pairs(names, references)
    if method in (None, "patient_t"):
        if held_out is None and predictions is not None:
            held_out = HeldOut(scores, predictions, pos_label, test_ratio)
        lacking = _find_lacking(held_out, names, metric)
        if lacking and method:
            raise ValueError(
                f"{METHODS[method]} needs predictions from which {metric} can be computed, which "
                f"{', '.join(map(repr, lacking))} lacks: choose method='corrected_t'"
            )
        method = "corrected_t" if lacking else "patient_t"
    if method in METRIC_OF:
        level = {"confidence_level": 1 - alpha}
        results = compare_samples(predictions, pairs, method, pos_label=pos_label, **level)
    else:
        folds = _tabulate(scores, metric, names, method)
        if method == "patient_t":
            results = _test_patients(folds, pairs, held_out, metric, alpha)
        elif method == "nemenyi":
            results = _test_ranks(folds, pairs, metric, alpha)
        elif method in FIVE_BY_TWO:
            results = _test_five_by_two(folds, pairs, FIVE_BY_TWO[method])
        else:
            results = _test_folds(folds, pairs, method, test_ratio, rope, alpha)
    table = pd.DataFrame(pairs, columns=["estimator_a", "estimator_b"])
    table = table.assign(metric=metric, method=method).join(pd.DataFrame(results))
    return _conclude(table, alpha)


# A test of estimators, not one that pytest should run where it is imported.
test_estimators.__test__ = False  # type: ignore[attr-defined]


def _list_pairs(names, references):
    if references is None:
        return list(combinations(names, 2))
    references = list(references)
    unknown = [name for name in references if name not in names]
    pairs = list(product([name for name in names if name not in references], references))
    if unknown or not pairs:
        raise ValueError(
            f"references must be some, but not all, of the estimators {names}; got {references}"
        )
    return pairs


def _conclude(table, alpha):
    """The table with adjusted p-values, conclusions, and its columns in order."""
    if "p_rope" in table:
        table[["statistic", "p_value"]] = np.nan
    if "p_adjusted" not in table:
        table["p_adjusted"] = adjust_holm(table["p_value"])
    table["conclusion"] = [_say(row, alpha) for row in table.itertuples()]
    table = table.rename(
        columns={"p_above": "p_a_above", "p_rope": "p_equivalent", "p_below": "p_b_above"}
    )
    order = ["difference", "low", "high", "statistic", "p_value", "p_adjusted", "conclusion"]
    front = ["estimator_a", "estimator_b", "metric", "method", *order]
    return table[front + [column for column in table if column not in front]]


def _choose_metric(scores, metric, method):
    if method in METRIC_OF:
        if metric not in (None, METRIC_OF[method]):
            raise ValueError(
                f"{METHODS[method]} is about {METRIC_OF[method]}, not {metric}: choose a method "
                "over folds, as 'corrected_t'"
            )
        return METRIC_OF[method]
    return choose_metric(scores, metric)


def _tabulate(scores, metric, names, method):
    """Values by (repeat, fold) and estimator, or an error where only some have one."""
    folds = pivot_folds(scores, metric, names)
    missing = folds.isna()
    if missing.any(axis=None):
        repeat, fold, name = missing.stack().idxmax()
        raise ValueError(
            f"{metric} of {name!r} is NaN in {missing.sum(axis=None)} places, the first is repeat "
            f"{repeat}, fold {fold}: choose another metric, fewer folds, or leave {name!r} out"
        )
    if not len(folds):
        raise ValueError(f"{metric} has no value in any fold")
    if len(folds) < 2 and method != "patient_t":
        where = (
            ""
            if len(folds) == scores.groupby(["repeat", "fold"]).ngroups
            else f" in which {metric} has a value: the others lack a class"
        )
        raise ValueError(
            f"a test over folds needs two folds or more, got {len(folds)}{where}: methods "
            "'patient_t', 'mcnemar' and 'delong' compare estimators on one test part"
        )
    return folds


def _find_lacking(held_out, names, metric):
    """Estimators whose predictions do not give the metric."""
    if held_out is None:
        return names
    return [name for name in names if held_out.leave_out(name, metric) is None]


def _test_patients(folds, pairs, held_out, metric, alpha):
    means, results = folds.mean(), []
    for a, b in pairs:
        left_out = held_out.leave_out(a, metric) - held_out.leave_out(b, metric)
        result = patient_t_test(means[a] - means[b], left_out, confidence_level=1 - alpha)
        results.append(
            result._asdict()
            | {"detectable": find_detectable(left_out, alpha)}
            | {key: getattr(left_out.patients, key) for key in ("unit", "fewest", "rarest")}
        )
    return results


def _test_folds(folds, pairs, method, test_ratio, rope, alpha):
    if test_ratio is None:
        raise ValueError(
            f"method={method!r} needs test_ratio, the number of test samples over that of training "
            "samples, as average_test_ratio(comparison.folds_) gives"
        )
    parameters = {"test_ratio": test_ratio, "confidence_level": 1 - alpha}
    if method == "corrected_t":
        return [corrected_t_test(folds[a], folds[b], **parameters) for a, b in pairs]
    parameters["rope"] = 0.01 if rope is None else rope
    return [bayesian_t_test(folds[a], folds[b], **parameters) for a, b in pairs]


def _test_five_by_two(folds, pairs, test):
    sizes = folds.groupby(level="repeat").size().tolist()
    if sizes != [2] * 5:
        raise ValueError(
            f"the 5x2cv tests need 5 repeats of 2 folds, as cv=2, repeats=5 gives; there are "
            f"{len(sizes)} repeats of {', '.join(map(str, sorted(set(sizes))))} folds"
        )
    values = {name: folds[name].to_numpy().reshape(5, 2) for name in folds}
    return [test(values[a], values[b]) for a, b in pairs]


def _test_ranks(folds, pairs, metric, alpha):
    """Nemenyi's pairs, none of them different where Friedman's test finds nothing."""
    friedman = friedman_test(folds, higher_is_better=metric not in LOWER_IS_BETTER, alpha=alpha)
    p_values = nemenyi_p_values(friedman.mean_ranks, len(folds))
    results = []
    for a, b in pairs:
        distance = friedman.mean_ranks[a] - friedman.mean_ranks[b]
        margin = friedman.critical_difference
        p_value = float(p_values.loc[a, b])
        result = PairedResult(distance, distance - margin, distance + margin, distance, p_value)
        results.append(result._asdict() | {"p_adjusted": max(p_value, friedman.p_value)})
    return results


def _say(row, alpha):
    """Which of the two is better, in words."""
    if row.method == "bayesian_t":
        if row.p_rope > 1 - alpha:
            return EQUIVALENT
        shown = max(row.p_above, row.p_below) > 1 - alpha
    else:
        shown = row.p_adjusted < alpha
    if not shown:
        # The least p-value of exchanging two estimators' predictions of n patients.
        few = row.method == "patient_t" and 0.5 ** (row.fewest - 1) >= alpha
        return UNDECIDED if few else NO_DIFFERENCE
    lower_wins = row.method == "nemenyi" or row.metric in LOWER_IS_BETTER
    a_wins = (row.difference < 0) == lower_wins
    better, worse = (row.estimator_a, row.estimator_b)[:: 1 if a_wins else -1]
    return f"{better} is better than {worse}"
