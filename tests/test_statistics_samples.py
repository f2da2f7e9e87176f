"""Intervals and tests over samples, against published and independently computed numbers."""

import numpy as np
import pytest

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
