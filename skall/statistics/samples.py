"""Tests and intervals over samples that were each predicted once."""

import warnings

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binom, binomtest, norm, rankdata

from skall.metrics.outcome import list_folds
from skall.statistics.held_out import list_classes, read_outcome, select_first_repeat
from skall.statistics.significance import PairedResult, check_level, standardise


def mcnemar_test(
    correct_a: ArrayLike,
    correct_b: ArrayLike,
    *,
    mid_p: bool = True,
    confidence_level: float = 0.95,
) -> PairedResult:
    """McNemar's test of two estimators' accuracies on the same samples [1]_.

    Only samples that one estimator has right and the other wrong count. Samples are taken as
    independent, and the training of the estimators as given: another training set could give
    another answer.

    Parameters
    ----------
    correct_a, correct_b : array-like of bool, shape (n_samples,)
        Whether each estimator has the sample right.
    mid_p : bool, default=True
        The mid-p version [2]_, nearly as safe as the exact one and far less conservative; False for
        the exact conditional test.
    confidence_level : float, default=0.95

    Returns
    -------
    PairedResult
        `statistic` is the number of samples that only the first estimator has right; the interval
        is Bonett and Price's [3]_, whose centre is shrunk a little towards 0.

    Raises
    ------
    ValueError
        If the two are not of one length, or empty.

    References
    ----------
    .. [1] McNemar, "Note on the sampling error of the difference between correlated proportions or
       percentages", Psychometrika 12, 1947, doi 10.1007/BF02295996.
    .. [2] Fagerland, Lydersen & Laake, "The McNemar test for binary matched-pairs data: mid-p and
       asymptotic are better than exact conditional", BMC Medical Research Methodology 13, 2013,
       doi 10.1186/1471-2288-13-91.
    .. [3] Bonett & Price, "Adjusted Wald confidence interval for a difference of binomial
       proportions based on paired data", Journal of Educational and Behavioral Statistics 37, 2012,
       doi 10.3102/1076998611411915.

    Examples
    --------
    >>> a = [True] * 18 + [False] * 2
    >>> b = [True] * 11 + [False] * 7 + [True] + [False]
    >>> print(f"{mcnemar_test(a, b).p_value:.3f}")
    0.039
    """
    check_level(confidence_level, "confidence_level")
    a, b = np.asarray(correct_a, dtype=bool), np.asarray(correct_b, dtype=bool)
    if a.shape != b.shape or a.ndim != 1 or not len(a):
        raise ValueError(f"both need one value per sample, got shapes {a.shape} and {b.shape}")
    n, only_a, only_b = len(a), int((a & ~b).sum()), int((b & ~a).sum())
    discordant = only_a + only_b
    p_value = binomtest(only_a, discordant).pvalue if discordant else 1.0
    if mid_p and discordant:
        # A tie's exact value was cut off at 1: only half the probability is too much [2].
        point = binom.pmf(only_a, discordant, 0.5)
        p_value -= point if only_a != only_b else point / 2
    shares = (np.array([only_a, only_b]) + 1) / (n + 2)
    centre = shares[0] - shares[1]
    half = norm.isf((1 - confidence_level) / 2) * np.sqrt((shares.sum() - centre**2) / (n + 2))
    ends = np.clip([centre - half, centre + half], -1, 1)
    return PairedResult((only_a - only_b) / n, *map(float, (*ends, only_a, p_value)))


def delong_test(
    is_positive: ArrayLike,
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    groups: ArrayLike | None = None,
    folds: ArrayLike | None = None,
    *,
    confidence_level: float = 0.95,
) -> PairedResult:
    """DeLong's test of two estimators' areas under the ROC curve on the same samples [1]_ [2]_.

    Parameters
    ----------
    is_positive : array-like of bool, shape (n_samples,)
        Whether the sample is of the positive class.
    scores_a, scores_b : array-like of shape (n_samples,)
        Higher where the positive class is likelier.
    groups : array-like of shape (n_samples,), optional
        Samples of a group, as a patient's cells, are alike: the variance is then Obuchowski's [3]_,
        which equals DeLong's where every group has one sample.
    folds : array-like of shape (n_samples,), optional
        Which fold's estimator has given the scores. Scores of different folds have no common scale:
        only pairs of samples of one fold count, see
        :meth:`skall.metrics.outcome.WeightedOutcome.split`. The variance is that of the same sums
        over the samples (groups) of all folds [3]_, each of which counts as often as it stands in a
        pair; so it includes how far the folds' areas lie apart. A fold without either class has no
        pairs and does not count.
    confidence_level : float, default=0.95

    Returns
    -------
    PairedResult
        `statistic` is normal. Equal areas of variance 0 give p = 1.

    Raises
    ------
    ValueError
        If a score is NaN, or either class has fewer than two samples (groups, where given) in
        folds that hold both.

    References
    ----------
    .. [1] DeLong, DeLong & Clarke-Pearson, "Comparing the areas under two or more correlated
       receiver operating characteristic curves", Biometrics 44, 1988, doi 10.2307/2531595.
    .. [2] Sun & Xu, "Fast implementation of DeLong's algorithm", IEEE Signal Processing Letters 21,
       2014, doi 10.1109/LSP.2014.2337313.
    .. [3] Obuchowski, "Nonparametric analysis of clustered ROC curve data", Biometrics 53, 1997,
       doi 10.2307/2533958.

    Examples
    --------
    >>> y = [0, 0, 0, 1, 1, 1]
    >>> result = delong_test(y, [1, 2, 4, 3, 5, 6], [3, 1, 5, 2, 4, 6])
    >>> print(f"{result.difference:.3f}, p = {result.p_value:.2f}")
    0.222, p = 0.16
    """
    check_level(confidence_level, "confidence_level")
    areas, covariance = _measure_areas(is_positive, [scores_a, scores_b], groups, folds)
    difference = areas[0] - areas[1]
    difference = 0.0 if np.isclose(difference, 0, atol=1e-12) else difference
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    error = np.sqrt(max(variance, 0))
    statistic = standardise(difference, error)
    half = error * norm.isf((1 - confidence_level) / 2)
    ends = np.clip([difference - half, difference + half], -1, 1)
    return PairedResult(*map(float, (difference, *ends, statistic, 2 * norm.sf(abs(statistic)))))


def auc_interval(
    is_positive: ArrayLike,
    scores: ArrayLike,
    groups: ArrayLike | None = None,
    folds: ArrayLike | None = None,
    *,
    confidence_level: float = 0.95,
) -> tuple[float, float]:
    """Confidence interval of the area under the ROC curve, by DeLong's variance.

    Parameters
    ----------
    is_positive : array-like of bool, shape (n_samples,)
    scores : array-like of shape (n_samples,)
    groups, folds : array-like of shape (n_samples,), optional
        As for :func:`delong_test`.
    confidence_level : float, default=0.95

    Returns
    -------
    low, high : float
        Cut off at 0 and 1. An area of exactly 1 has an interval without width, which says nothing:
        the variance is estimated from misordered pairs, and there are none.

    Raises
    ------
    ValueError
        As :func:`delong_test`, where the references are.

    Examples
    --------
    >>> low, high = auc_interval([0, 0, 0, 0, 1, 1, 1, 1], [1, 2, 3, 6, 4, 5, 7, 8])
    >>> print(f"{low:.2f} to {high:.2f}")
    0.59 to 1.00
    """
    check_level(confidence_level, "confidence_level")
    areas, covariance = _measure_areas(is_positive, [scores], groups, folds)
    half = norm.isf((1 - confidence_level) / 2) * np.sqrt(covariance[0, 0])
    low, high = np.clip([areas[0] - half, areas[0] + half], 0, 1)
    return float(low), float(high)


def _measure_areas(is_positive, scores, groups, folds):
    """Areas (n_scores,) and their covariance matrix, from midranks within each fold."""
    positive = np.asarray(is_positive, dtype=bool)
    scores = np.asarray(scores, dtype=float)
    if scores.shape[1:] != positive.shape:
        raise ValueError(f"one score per sample is needed: {scores.shape[1:]}, {positive.shape}")
    if np.isnan(scores).any():
        raise ValueError("a score is NaN: areas need probabilities of both estimators")
    units = np.arange(len(positive)) if groups is None else np.asarray(groups)
    units = np.unique(units, return_inverse=True)[1]
    shares, n_pairs = _order_pairs(positive, scores, folds)
    p, n = positive & (n_pairs > 0), ~positive & (n_pairs > 0)
    n_positive, n_negative = len(np.unique(units[p])), len(np.unique(units[n]))
    smaller = min(n_positive, n_negative)
    if smaller < 2:
        raise ValueError(
            f"the variance of an area needs two {'samples' if groups is None else 'groups'} or "
            f"more with each class{'' if folds is None else ', in folds that hold both'}, got "
            f"{smaller}"
        )
    weights = n_pairs / n_pairs[p].sum()
    areas = shares[:, p] @ weights[p]
    deviations = (shares - areas[:, None]) * weights
    sums_p = _add_up(deviations[:, p], units[p], units.max() + 1)
    sums_n = _add_up(deviations[:, n], units[n], units.max() + 1)
    mixed = _multiply(sums_p, sums_n, len(np.unique(units[p | n])))
    covariance = _multiply(sums_p, sums_p, n_positive) + _multiply(sums_n, sums_n, n_negative)
    return areas, covariance + mixed + mixed.T


def _order_pairs(positive, scores, folds):
    """Of each sample's pairs with the other class of its fold the share in the right order.

    Returns shares (n_scores, n_samples) and the numbers of pairs (n_samples,).
    """
    shares, n_pairs = np.zeros(scores.shape), np.zeros(len(positive))
    folds = None if folds is None else np.unique(folds, return_inverse=True)[1]
    for rows in list_folds(folds, len(positive)):
        p = positive[rows]
        if p.any() and not p.all():
            inside = scores[:, rows]
            ranks, n_positive, n_others = rankdata(inside, axis=1), p.sum(), (~p).sum()
            above = ranks[:, p] - rankdata(inside[:, p], axis=1)
            shares[:, rows[p]] = above / n_others
            above = ranks[:, ~p] - rankdata(inside[:, ~p], axis=1)
            shares[:, rows[~p]] = 1 - above / n_positive
            n_pairs[rows] = np.where(p, n_others, n_positive)
    return shares, n_pairs


def _add_up(deviations, units, n_units):
    """Sums of each score's deviations by unit: (n_scores, n_units)."""
    return np.stack([np.bincount(units, row, n_units) for row in deviations])


def _multiply(a, b, n_units):
    """Sums of products over units, with the correction for the mean."""
    return a @ b.T * n_units / (n_units - 1)


def compare_samples(predictions, pairs, method, *, pos_label=None, confidence_level=0.95):
    """McNemar's or DeLong's test of pairs of estimators on stored predictions.

    Parameters
    ----------
    predictions : DataFrame
        As :attr:`skall.comparison.Comparison.predictions_`; the first repeat is used.
    pairs : list of (str, str)
    method : {"mcnemar", "delong"}
    pos_label : label or None
        The positive class of two, for DeLong's test.
    confidence_level : float, default=0.95

    Returns
    -------
    list of PairedResult

    Raises
    ------
    ValueError
        If the predictions do not allow the test.

    Warns
    -----
    UserWarning
        If McNemar's test is requested for groups of several samples.
    """
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    classes, columns = list_classes(predictions)
    if method == "delong" and len(classes) > 2:
        raise ValueError(
            f"DeLong's test compares ROC curves of two classes, here are {len(classes)}: choose "
            "method='corrected_t', metric='roc_auc'"
        )
    rows = {name: select_first_repeat(predictions, name) for name in names}
    first = rows[names[0]]
    if any(not part["sample"].equals(first["sample"]) for part in rows.values()):
        raise ValueError("the estimators were not tested on the same samples")
    if method == "delong" and any(not part["fold"].equals(first["fold"]) for part in rows.values()):
        raise ValueError("the estimators were not tested in the same folds")
    groups = first["group"] if "group" in first and first["group"].notna().all() else None
    # Right and wrong labels need no positive class, which two classes would require.
    pos_label = pos_label if method == "delong" else classes[0]
    outcomes = {
        name: read_outcome(part, classes, columns, pos_label) for name, part in rows.items()
    }
    missing = "proba" if method == "delong" else "predicted"
    without = [name for name, outcome in outcomes.items() if getattr(outcome, missing) is None]
    if without:
        raise ValueError(
            f"{', '.join(map(repr, without))}: no probabilities were stored, because it has no "
            "predict_proba or failed in a fold; leave it out, or choose a method over folds, as "
            "'corrected_t'"
        )
    if method == "mcnemar":
        _warn_of_groups(groups)
        right = {name: o.truth == o.predicted for name, o in outcomes.items()}
        level = {"confidence_level": confidence_level}
        return [mcnemar_test(right[a], right[b], **level) for a, b in pairs]
    shared = outcomes[names[0]]
    truth = shared.truth == shared.positive
    score = {name: outcome.proba[:, shared.positive] for name, outcome in outcomes.items()}
    options = {"groups": groups, "folds": shared.folds, "confidence_level": confidence_level}
    return [delong_test(truth, score[a], score[b], **options) for a, b in pairs]


def _warn_of_groups(groups):
    if groups is not None and groups.nunique() < len(groups):
        warnings.warn(
            f"McNemar's test takes the {len(groups)} samples of {groups.nunique()} groups as "
            "independent: its p-values are too small; method='corrected_t' over folds that keep "
            "groups together does not do that",
            stacklevel=4,
        )
