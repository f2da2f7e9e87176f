"""Intervals around the metrics of estimators, and tests between estimators.

Everything takes plain arrays, or tables of scores and predictions as
:class:`skall.comparison.Comparison` holds them.
"""

from skall.statistics.bootstrap import bootstrap_intervals
from skall.statistics.folds import (
    average_test_ratio,
    bayesian_t_test,
    corrected_t_interval,
    corrected_t_test,
    five_by_two_f_test,
    five_by_two_t_test,
    variance_components,
)
from skall.statistics.intervals import proportion_interval, proportion_intervals
from skall.statistics.jackknife import HeldOut
from skall.statistics.pairs import METHODS, test_estimators
from skall.statistics.patients import find_detectable, patient_t_interval, patient_t_test
from skall.statistics.ranks import friedman_test, nemenyi_p_values
from skall.statistics.samples import auc_interval, delong_test, mcnemar_test
from skall.statistics.sentences import summarise_differences
from skall.statistics.significance import adjust_holm

__all__ = [
    "METHODS",
    "HeldOut",
    "adjust_holm",
    "auc_interval",
    "average_test_ratio",
    "bayesian_t_test",
    "bootstrap_intervals",
    "corrected_t_interval",
    "corrected_t_test",
    "delong_test",
    "find_detectable",
    "five_by_two_f_test",
    "five_by_two_t_test",
    "friedman_test",
    "mcnemar_test",
    "nemenyi_p_values",
    "patient_t_interval",
    "patient_t_test",
    "proportion_interval",
    "proportion_intervals",
    "summarise_differences",
    "test_estimators",
    "variance_components",
]
