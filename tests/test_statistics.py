"""Tests over folds and ranks, against published and independently computed numbers."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.datasets import make_moons
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
from sklearn.svm import SVC

from skall.statistics import (
    adjust_holm,
    bayesian_t_test,
    corrected_t_interval,
    corrected_t_test,
    five_by_two_f_test,
    five_by_two_t_test,
    friedman_test,
    nemenyi_p_values,
    variance_components,
)

A = np.array([0.90, 0.92, 0.88, 0.95, 0.91, 0.89, 0.93, 0.94, 0.90, 0.92])
B = np.array([0.89, 0.90, 0.88, 0.92, 0.92, 0.86, 0.93, 0.91, 0.90, 0.90])


def test_corrected_t_reproduces_the_example_of_scikit_learn():
    # "Statistical comparison of models using grid search" in scikit-learn's gallery prints a
    # corrected t of 0.750 and a one-sided p of 0.227.
    X, y = make_moons(noise=0.352, random_state=1, n_samples=100)
    cv = RepeatedStratifiedKFold(n_splits=10, n_repeats=10, random_state=0)
    rbf, linear = (
        cross_val_score(SVC(kernel=kernel, random_state=0), X, y, scoring="roc_auc", cv=cv)
        for kernel in ("rbf", "linear")
    )
    result = corrected_t_test(rbf, linear, test_ratio=1 / 9)
    assert result.statistic == pytest.approx(0.750, abs=5e-4)
    assert result.p_value / 2 == pytest.approx(0.227, abs=5e-4)
    # baycomp 1.0.3, CorrelatedTTest(rbf, linear, rope=0.01, runs=10).probs()
    posterior = bayesian_t_test(rbf, linear, 1 / 9, rope=0.01)
    assert posterior[3:] == pytest.approx((0.5, 0.43168246, 0.06831754), abs=1e-7)


@pytest.mark.parametrize(
    ("rope", "expected"),
    [
        # baycomp 1.0.3, two_on_single(A, B, rope)
        (0.01, (0.66376312, 0.33197254, 0.00426435)),
        (0, (0.95456937, 0, 0.04543063)),
    ],
)
def test_bayesian_t(rope, expected):
    result = bayesian_t_test(A, B, 1 / 9, rope=rope)
    assert result[3:] == pytest.approx(expected, abs=1e-7)
    swapped = bayesian_t_test(B, A, 1 / 9, rope=rope)
    assert swapped[3:] == pytest.approx(expected[::-1], abs=1e-7)


def test_posterior_and_corrected_t_share_their_scale():
    result = corrected_t_test(A, B, 1 / 9)
    # The posterior's mean, variance and degrees of freedom in baycomp 1.0.3.
    posterior = stats.t(9, 0.013, np.sqrt(4.7148148148148056e-05))
    assert (result.low, result.high) == pytest.approx(posterior.interval(0.95), abs=1e-12)
    assert result.p_value == pytest.approx(2 * 0.0454306258385041, abs=1e-12)
    assert corrected_t_interval(A - B, 1 / 9) == pytest.approx((result.low, result.high))


def test_corrected_t_is_wrong_less_often_than_the_plain_test():
    rng = np.random.default_rng(0)
    n_folds, n_draws = 10, 1000
    # Nadeau and Bengio's model: folds correlate by the share of samples that a fold tests.
    shared = rng.normal(size=(n_draws, 1)) * np.sqrt(1 / n_folds)
    draws = shared + rng.normal(size=(n_draws, n_folds)) * np.sqrt(1 - 1 / n_folds)
    corrected = [corrected_t_test(d, np.zeros(n_folds), 1 / 9).p_value < 0.05 for d in draws]
    plain = stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05
    assert 0.03 < np.mean(corrected) < 0.07
    assert np.mean(plain) > 0.13


@pytest.mark.parametrize("offset", [0, 1e-16])
def test_equal_values_are_no_difference(offset):
    result = corrected_t_test(A, A + offset, 1 / 9)
    assert result == (0, 0, 0, 0, 1)
    assert bayesian_t_test(A, A + offset, 1 / 9)[3:] == (0, 1, 0)
    pairs = A.reshape(5, 2)
    assert five_by_two_t_test(pairs, pairs + offset).p_value == 1
    assert five_by_two_f_test(pairs, pairs + offset).p_value == 1


def test_constant_difference_is_certain():
    a, b = np.full(4, 0.75), np.full(4, 0.5)
    assert corrected_t_test(a, b, 1 / 3) == (0.25, 0.25, 0.25, np.inf, 0)
    assert corrected_t_test(b, a, 1 / 3).statistic == -np.inf
    assert bayesian_t_test(a, b, 1 / 3)[3:] == (1, 0, 0)
    assert bayesian_t_test(a, b, 1 / 3, rope=0.25)[3:] == (0, 1, 0)


@pytest.mark.parametrize(
    ("a", "b", "ratio", "message"),
    [
        ([0.9], [0.8], 1, "two folds or more, got 1"),
        ([0.9, np.nan], [0.8, 0.7], 1, "NaN"),
        ([0.9, 0.8], [0.8], 1, "same folds"),
        ([0.9, 0.8], [0.8, 0.7], 0, "test_ratio must be above 0"),
    ],
)
@pytest.mark.parametrize("test", [corrected_t_test, bayesian_t_test])
def test_folds_that_cannot_be_tested(test, a, b, ratio, message):
    with pytest.raises(ValueError, match=message):
        test(a, b, ratio)


def test_interval_of_a_mean_leaves_out_nan():
    assert corrected_t_interval([*A, np.nan], 1 / 9) == corrected_t_interval(A, 1 / 9)
    assert np.isnan(corrected_t_interval([0.9], 1 / 9)).all()
    with pytest.raises(ValueError, match="rope"):
        bayesian_t_test(A, B, 1 / 9, rope=-0.01)


def test_five_by_two():
    # Accuracies of logistic regression and a tree on scikit-learn's breast cancer data, as
    # mlxtend 0.25 measured them in paired_ttest_5x2cv and combined_ftest_5x2cv (random_seed=1).
    a = [
        [0.9298245614035088, 0.9330985915492958],
        [0.9578947368421052, 0.926056338028169],
        [0.9649122807017544, 0.9190140845070423],
        [0.9157894736842105, 0.9612676056338029],
        [0.9438596491228071, 0.9366197183098591],
    ]
    b = [
        [0.8842105263157894, 0.926056338028169],
        [0.9192982456140351, 0.9225352112676056],
        [0.9263157894736842, 0.9295774647887324],
        [0.9333333333333333, 0.9119718309859155],
        [0.9298245614035088, 0.926056338028169],
    ]
    # What mlxtend printed.
    assert five_by_two_t_test(a, b)[3:] == pytest.approx((1.4710878871344055, 0.20123424045357857))
    assert five_by_two_f_test(a, b)[3:] == pytest.approx((0.861215549595565, 0.6084484592851507))
    assert five_by_two_t_test(a, b).difference == pytest.approx(np.mean(a) - np.mean(b))
    with pytest.raises(ValueError, match=r"5 repeats of 2 folds.*got \(10,\)"):
        five_by_two_t_test(A, B)


def test_holm():
    # statsmodels 0.15, multipletests(method="holm")
    got = adjust_holm([0.01, 0.04, 0.03, 0.005, 0.5, 0.03])
    assert got == pytest.approx([0.05, 0.12, 0.12, 0.03, 0.5, 0.12])
    assert adjust_holm([np.nan, 0.02, 0.03]).tolist()[1:] == [0.04, 0.04]


@pytest.mark.parametrize(
    ("alpha", "quantiles"),
    # Demšar 2006, table 5a: the critical values for 2 to 10 classifiers.
    [
        (0.05, [2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]),
        (0.10, [2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920]),
    ],
)
def test_critical_differences(alpha, quantiles):
    rng = np.random.default_rng(0)
    for k, quantile in enumerate(quantiles, start=3):
        got = friedman_test(rng.normal(size=(14, k)), alpha=alpha).critical_difference
        assert got == pytest.approx(quantile * np.sqrt(k * (k + 1) / (6 * 14)), abs=1e-3)


def test_friedman_and_nemenyi():
    values = pd.DataFrame(
        {
            "a": [0.763, 0.599, 0.954, 0.628, 0.882, 0.936, 0.661],
            "b": [0.768, 0.591, 0.971, 0.661, 0.888, 0.931, 0.668],
            "c": [0.771, 0.590, 0.968, 0.654, 0.886, 0.916, 0.609],
            "d": [0.798, 0.569, 0.967, 0.657, 0.898, 0.931, 0.685],
        }
    )
    result = friedman_test(values)
    # scipy 1.17, friedmanchisquare; scikit-posthocs 0.17, posthoc_nemenyi_friedman.
    assert result[:2] == pytest.approx((4.3043478260869605, 0.23042012716444765))
    assert result.mean_ranks.index.tolist() == ["b", "d", "a", "c"]
    assert result.mean_ranks.to_numpy() * 7 == pytest.approx([13.5, 14.5, 21, 21])
    p_values = nemenyi_p_values(result.mean_ranks, 7)
    got = [p_values.loc["a", "b"], p_values.loc["d", "a"], p_values.loc["b", "d"]]
    assert got == pytest.approx([0.406016, 0.533746, 0.996864], abs=1e-6)
    lower = friedman_test(-values, higher_is_better=False)
    pd.testing.assert_series_equal(lower.mean_ranks, result.mean_ranks)


def test_groups_of_the_critical_difference():
    # Ranks 1, 2, 3, 4 in every block; with 9 blocks the critical difference is 1.56.
    values = np.tile([0.9, 0.8, 0.7, 0.6], (9, 1))
    result = friedman_test(values)
    assert result.critical_difference == pytest.approx(1.5635, abs=1e-3)
    assert result.groups == [(0, 1), (1, 2), (2, 3)]
    assert friedman_test(values[:3]).groups == [(0, 1, 2), (1, 2, 3)]
    assert friedman_test(np.tile([0.9, 0.5, 0.4], (100, 1))).groups == []


def test_friedman_of_ties_and_bad_input():
    result = friedman_test(np.full((5, 3), 0.5))
    assert (result.statistic, result.p_value) == (0, 1)
    assert result.groups == [(0, 1, 2)]
    assert nemenyi_p_values(result.mean_ranks, 5).to_numpy() == pytest.approx(np.ones((3, 3)))
    with pytest.raises(ValueError, match="three estimators and two folds or more, got 2 and 5"):
        friedman_test(np.ones((5, 2)))
    with pytest.raises(ValueError, match="NaN"):
        friedman_test([[1, 2, np.nan], [1, 2, 3]])


def spread(*repeats):
    rows = [
        ("net", repeat, fold, "f1", value)
        for repeat, values in enumerate(repeats)
        for fold, value in enumerate(values)
    ]
    table = pd.DataFrame(rows, columns=["estimator", "repeat", "fold", "metric", "value"])
    return variance_components(table).iloc[0]


DYESTUFF = [
    [1545, 1440, 1440, 1520, 1580],
    [1540, 1555, 1490, 1560, 1495],
    [1595, 1550, 1605, 1510, 1560],
    [1445, 1440, 1595, 1465, 1545],
    [1595, 1630, 1515, 1635, 1625],
    [1520, 1455, 1450, 1480, 1445],
]


def test_variance_components():
    # Davies & Goldsmith's dyestuff data; the manual of R's lme4 has standard deviations of 42.00
    # between batches and 49.51 within, by REML, which equals this for equal sizes.
    row = spread(*DYESTUFF)
    assert (row["repeat_std"], row["fold_std"]) == pytest.approx((42.00, 49.51), abs=5e-3)
    means = [np.mean(batch) for batch in DYESTUFF]
    assert row["repeat_mean_std"] == pytest.approx(np.std(means, ddof=1))


def test_variance_components_at_their_limits():
    assert spread([1, 2, 3], [3, 2, 1])["repeat_std"] == 0
    single = spread([1, 2, 3])
    assert single["fold_std"] == 1
    assert single[["repeat_std", "repeat_mean_std"]].isna().all()
    holdouts = spread([1], [3])
    assert holdouts["repeat_mean_std"] == pytest.approx(np.sqrt(2))
    assert np.isnan(holdouts["fold_std"])
    assert spread([1, 2, 3, np.nan], [2, 3, 4])["fold_std"] == 1
