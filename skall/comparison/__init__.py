"""Cross-validation of several estimators over the same folds, and what it found."""

from skall.comparison.cross_validation import compare
from skall.comparison.results import Comparison

__all__ = ["Comparison", "compare"]
