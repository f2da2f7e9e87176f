"""Intervals and tests over samples, against published and independently computed numbers."""

import numpy as np
import pytest
from scipy import stats

from skall.statistics import auc_interval, delong_test, mcnemar_test, proportion_interval

# Albumin, total protein, K-G score and outcome of the 43 patients of DeLong et al. (1988) with all
# three, as printed in SAS/STAT's example "Comparing Receiver Operating Characteristic Curves".
OVARIAN = """
    3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0
    1.6 5.6 5 1  3.8 5.7 5 1  3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1
    4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0  4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1
    3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1  3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1  4.3 6.5 4 1
    3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1
    3.5 6.2 5 1  2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1
    3.6 6.6 5 1
"""
OVARIAN_TABLE = np.array(OVARIAN.split(), dtype=float).reshape(-1, 4)
ALBUMIN, PROTEIN, K_G = OVARIAN_TABLE[:, 0], OVARIAN_TABLE[:, 1], 10 - OVARIAN_TABLE[:, 2]
OUTCOME = OVARIAN_TABLE[:, 3] == 1


@pytest.mark.parametrize(
    ("successes", "trials", "method", "low", "high"),
    [
        (22, 22, "exact", 0.8456, 1),  # statsmodels 0.15, proportion_confint(method="beta")
        (81, 263, "exact", 0.2527, 0.3676),  # Newcombe 1998, table I; statsmodels agrees
        (0, 20, "exact", 0, 0.1684),
        (22, 22, "wilson", 0.8513, 1),  # statsmodels 0.15, proportion_confint(method="wilson")
        (81, 263, "wilson", 0.2553, 0.3662),  # Newcombe 1998, table I; statsmodels agrees
        (18, 20, "wilson", 0.6990, 0.9721),
    ],
)
def test_proportions(successes, trials, method, low, high):
    got = proportion_interval(successes, trials, method=method)
    assert got == pytest.approx((low, high), abs=6e-5)


def test_proportions_of_nothing_and_bad_input():
    assert np.isnan(proportion_interval(0, 0)).all()
    with pytest.raises(ValueError, match="between 0 and trials=3"):
        proportion_interval(4, 3)
    with pytest.raises(ValueError, match="'exact' or 'wilson'"):
        proportion_interval(1, 3, method="wald")
    with pytest.raises(ValueError, match="between 0 and 1"):
        proportion_interval(1, 3, confidence_level=95)


def answer(both, only_a, only_b, neither):
    """Which samples two estimators have right."""
    a = [True] * (both + only_a) + [False] * (only_b + neither)
    return a, [True] * both + [False] * only_a + [True] * only_b + [False] * neither


@pytest.mark.parametrize(
    ("table", "exact", "mid_p"),
    [
        # Fagerland, Lydersen & Laake 2013, the study of Bentur et al.
        ((1, 1, 7, 12), 0.0703, 0.0391),
        # The same paper, the study of Cavo et al.; statsmodels 0.15 has the exact 0.05247879.
        ((59, 6, 16, 80), 0.0525, 0.0347),
        ((5, 0, 0, 5), 1, 1),
        # A tie: 1 - P(n12) / 2, in the same paper.
        ((5, 2, 2, 5), 1, 1 - 0.375 / 2),
    ],
)
def test_mcnemar(table, exact, mid_p):
    a, b = answer(*table)
    assert mcnemar_test(a, b, mid_p=False).p_value == pytest.approx(exact, abs=5e-5)
    assert mcnemar_test(a, b).p_value == pytest.approx(mid_p, abs=5e-5)
    assert mcnemar_test(b, a).p_value == mcnemar_test(a, b).p_value
    assert mcnemar_test(a, b).difference == pytest.approx(np.mean(a) - np.mean(b))


def test_interval_of_mcnemar():
    # By hand from Bonett and Price's formula: (2 - 8) / 23 -+ 1.96 sqrt((10/23 - (6/23)^2) / 23).
    result = mcnemar_test(*answer(1, 1, 7, 12))
    assert (result.low, result.high) == pytest.approx((-0.5084, -0.0134), abs=1e-4)
    with pytest.raises(ValueError, match="one value per sample"):
        mcnemar_test([], [])


@pytest.mark.parametrize(
    ("scores", "low", "high"),
    # The Wald limits in the output of the SAS example.
    [(ALBUMIN, 0.5549, 0.9182), (K_G, 0.5243, 0.9273), (PROTEIN, 0.4518, 0.8439)],
)
def test_interval_of_an_area(scores, low, high):
    assert auc_interval(OUTCOME, scores) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("scores", "difference", "low", "high", "chi2", "p_value"),
    # "ROC Contrast Estimation and Testing Results by Row" of the SAS example.
    [
        (ALBUMIN, 0.0108, -0.1761, 0.1976, 0.0127, 0.9102),
        (PROTEIN, -0.0780, -0.2830, 0.1271, 0.5554, 0.4561),
    ],
)
def test_delong(scores, difference, low, high, chi2, p_value):
    result = delong_test(OUTCOME, scores, K_G)
    assert result[:3] == pytest.approx((difference, low, high), abs=5e-5)
    assert result.statistic**2 == pytest.approx(chi2, abs=5e-5)
    assert result.p_value == pytest.approx(p_value, abs=5e-5)


def test_copies_in_a_group_add_nothing_to_delong():
    single = delong_test(OUTCOME, ALBUMIN, PROTEIN)
    patients = np.arange(len(OUTCOME))
    assert delong_test(OUTCOME, ALBUMIN, PROTEIN, patients) == pytest.approx(single)
    copies = [np.tile(column, 3) for column in (OUTCOME, ALBUMIN, PROTEIN, patients)]
    assert delong_test(*copies) == pytest.approx(single)
    assert delong_test(*copies[:3]).p_value < single.p_value


def test_delong_in_groups_of_both_classes_has_the_spread_of_new_groups():
    rng = np.random.default_rng(0)
    y = np.tile([False, True, True], 40)
    groups = np.repeat(np.arange(40), 3)
    low, high, estimates = [], [], []
    for _ in range(300):
        effect = rng.normal(size=40)[groups]
        a = y + effect + rng.normal(size=120)
        result = delong_test(y, a, rng.normal(size=120), groups)
        estimates.append(result.difference)
        low.append(result.low)
        high.append(result.high)
    half_width = 1.96 * np.std(estimates)
    assert np.mean(np.subtract(high, low)) / 2 == pytest.approx(half_width, rel=0.1)


def test_one_fold_is_no_fold():
    folds = np.zeros(len(OUTCOME))
    expected = delong_test(OUTCOME, ALBUMIN, PROTEIN)
    assert delong_test(OUTCOME, ALBUMIN, PROTEIN, None, folds) == pytest.approx(expected)


def draw_folds(rng, n_patients=60, n_folds=5, n_cells=8, effect=1.0):
    """Cells of patients of one class each, dealt to folds whose estimators have own scales."""
    patients = np.repeat(np.arange(n_patients), n_cells)
    folds = patients % n_folds
    # From a sixth to five sixths of a fold's patients are of the class.
    place = np.arange(n_patients) // n_folds
    y = (place < np.linspace(2, 10, n_folds)[np.arange(n_patients) % n_folds])[patients]
    scores = 1.5 * y + effect * rng.normal(size=n_patients)[patients] + rng.normal(size=len(y))
    # As a training part with few of the class has them: lower where the fold holds many.
    return y, scores - 0.5 * folds, patients, folds


def test_areas_of_folds_are_not_ranked_against_each_other():
    y, scores, patients, folds = draw_folds(np.random.default_rng(0))
    areas, weights = [], []
    for fold in range(5):
        of_class, others = y & (folds == fold), ~y & (folds == fold)
        areas.append((scores[of_class][:, None] > scores[others]).mean())
        weights.append(of_class.sum() * others.sum())
    low, high = auc_interval(y, scores, patients, folds)
    assert (low + high) / 2 == pytest.approx(np.average(areas, weights=weights))
    # Another scale in each fold changes nothing.
    scales = np.exp(scores) * 10.0**folds - folds
    assert auc_interval(y, scales, patients, folds) == pytest.approx((low, high))
    pooled = auc_interval(y, scores, patients)
    assert sum(pooled) / 2 < (low + high) / 2 - 0.05


def test_area_of_a_dummy_over_folds_of_other_shares_is_a_half():
    y, _, patients, folds = draw_folds(np.random.default_rng(0))
    shares = np.array([1 - y[folds == fold].mean() for fold in range(5)])
    assert auc_interval(y, shares[folds], patients, folds) == (0.5, 0.5)
    assert auc_interval(y, shares[folds], patients)[1] < 0.4
    good = y + np.random.default_rng(1).normal(size=len(y))
    result = delong_test(y, good, shares[folds], patients, folds)
    low, high = auc_interval(y, good, patients, folds)
    assert result.difference == pytest.approx((low + high) / 2 - 0.5)


def test_folds_without_a_class_have_no_pairs():
    y, scores, patients, folds = draw_folds(np.random.default_rng(0))
    rows = ~((folds == 3) & y)
    kept = rows & (folds != 3)
    expected = auc_interval(y[kept], scores[kept], patients[kept], folds[kept])
    assert auc_interval(y[rows], scores[rows], patients[rows], folds[rows]) == expected
    with pytest.raises(ValueError, match="in folds that hold both, got 0"):
        auc_interval([0, 0, 1, 1], [1, 2, 3, 4], folds=[0, 0, 1, 1])


@pytest.mark.thorough
def test_interval_over_folds_has_the_spread_of_new_patients():
    rng = np.random.default_rng(0)
    n_draws = 400
    # Two scores of other patients differ by 1.5 and four deviations of variance 1.
    truth = stats.norm.cdf(1.5 / np.sqrt(4))
    estimates, widths, n_covered = [], [], 0
    for _ in range(n_draws):
        low, high = auc_interval(*draw_folds(rng))
        estimates.append((low + high) / 2)
        widths.append(high - low)
        n_covered += low <= truth <= high
    assert np.mean(estimates) == pytest.approx(truth, abs=4 * np.std(estimates) / n_draws**0.5)
    # A standard deviation of n draws has the relative error 1 / sqrt(2 n): 3 of them.
    bound = 3 / (2 * n_draws) ** 0.5
    assert np.mean(widths) / 2 == pytest.approx(1.96 * np.std(estimates), rel=bound)
    # The variance of some 30 patients a class: t instead of normal quantiles, and 3 errors more.
    expected = 1 - 2 * stats.t.sf(1.96, 29)
    assert n_covered / n_draws >= expected - 3 * (expected * (1 - expected) / n_draws) ** 0.5


def test_delong_at_its_limits():
    y = [0, 0, 1, 1]
    assert delong_test(y, [1, 2, 3, 4], [1, 2, 3, 9]) == (0, 0, 0, 0, 1)
    assert delong_test(y, [1, 2, 3, 4], [4, 3, 2, 1]).p_value == 0
    assert auc_interval(y, [1, 2, 3, 4]) == (1, 1)
    with pytest.raises(ValueError, match="NaN"):
        delong_test(y, [1, 2, 3, np.nan], [1, 2, 3, 4])
    with pytest.raises(ValueError, match="two samples or more with each class, got 1"):
        auc_interval([0, 0, 1], [1, 2, 3])
    with pytest.raises(ValueError, match="two groups or more with each class, got 1"):
        auc_interval(y, [1, 2, 3, 4], ["p", "q", "r", "r"])
