"""The statistics equal those of other packages, where these have them."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import friedmanchisquare

from skall.statistics import (
    adjust_holm,
    auc_interval,
    bayesian_t_test,
    corrected_t_test,
    friedman_test,
    mcnemar_test,
    nemenyi_p_values,
    proportion_interval,
)

RNG = np.random.default_rng(0)
CLOSE = {"rtol": 1e-9, "atol": 1e-12}


def test_holm():
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    for n in (1, 2, 7, 40):
        p_values = RNG.uniform(size=n) ** 3
        expected = multitest.multipletests(p_values, method="holm")[1]
        np.testing.assert_allclose(adjust_holm(p_values), expected, **CLOSE)


@pytest.mark.parametrize(("method", "theirs"), [("exact", "beta"), ("wilson", "wilson")])
def test_proportions(method, theirs):
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    for successes, trials in [(0, 9), (9, 9), (3, 10), (517, 600)]:
        expected = proportion.proportion_confint(successes, trials, alpha=0.1, method=theirs)
        got = proportion_interval(successes, trials, method=method, confidence_level=0.9)
        np.testing.assert_allclose(got, expected, rtol=1e-7, atol=1e-9)


def test_mcnemar():
    tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    for _ in range(5):
        a, b = RNG.uniform(size=(2, 80)) < [[0.8], [0.7]]
        table = pd.crosstab(a, b)
        expected = tables.mcnemar(table, exact=True).pvalue
        assert mcnemar_test(a, b, mid_p=False).p_value == pytest.approx(expected, rel=1e-9)


def test_friedman_and_nemenyi():
    posthocs = pytest.importorskip("scikit_posthocs")
    values = RNG.normal(size=(12, 5)) + 0.4 * np.arange(5)
    result = friedman_test(values)
    expected = friedmanchisquare(*values.T)
    np.testing.assert_allclose(result[:2], expected)
    p_values = nemenyi_p_values(result.mean_ranks, 12).sort_index().sort_index(axis=1)
    expected = posthocs.posthoc_nemenyi_friedman(values)
    np.testing.assert_allclose(p_values, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("repeats", [1, 3])
def test_correlated_t(repeats):
    with warnings.catch_warnings():
        # Of the packages that it imports.
        warnings.simplefilter("ignore")
        baycomp = pytest.importorskip("baycomp")
    a, b = RNG.normal(0.9, 0.02, size=(2, 10 * repeats))
    # Their left is where the first is better.
    left, rope, right = baycomp.CorrelatedTTest.probs(a, b, rope=0.01, runs=repeats)
    ours = bayesian_t_test(a, b, test_ratio=1 / 9, rope=0.01)
    np.testing.assert_allclose([ours.p_above, ours.p_rope, ours.p_below], [left, rope, right])
    # The test is the same distribution without the region.
    left, right = baycomp.CorrelatedTTest.probs(a, b, runs=repeats)
    tested = corrected_t_test(a, b, test_ratio=1 / 9).p_value
    np.testing.assert_allclose(tested, 2 * min(left, right))


def test_delong():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        delong = pytest.importorskip("confidenceinterval.delong")
    truth = RNG.uniform(size=150) < 0.4
    scores = np.round(RNG.normal(size=150) + truth, 1)
    area, variance = delong.delong_roc_variance(truth.astype(float), scores)
    low, high = auc_interval(truth, scores)
    np.testing.assert_allclose((low + high) / 2, area)
    np.testing.assert_allclose((high - low) / 2, 1.959963984540054 * np.sqrt(variance))
