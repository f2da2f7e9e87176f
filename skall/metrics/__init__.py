"""The metrics of a comparison, for plain scikit-learn too."""

from skall.metrics.formulas import LOWER_IS_BETTER, METRICS, check_scoring_names
from skall.metrics.predictions import compute_metrics, resolve_pos_label
from skall.metrics.scorers import scorers

__all__ = [
    "LOWER_IS_BETTER",
    "METRICS",
    "check_scoring_names",
    "compute_metrics",
    "resolve_pos_label",
    "scorers",
]
