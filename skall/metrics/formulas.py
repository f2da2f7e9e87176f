"""Formulas: one value from the true and the predicted classes of one fold, by its name."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from functools import partial
from typing import NamedTuple

import numpy as np
from sklearn.metrics import average_precision_score, matthews_corrcoef, roc_auc_score
from sklearn.utils import assert_all_finite

N_CALIBRATION_BINS = 15
# One of the names of a family without end: any percentage may stand there.
SENSITIVITY_EXAMPLE = "sensitivity_at_95_specificity"


@dataclass(frozen=True)
class Outcome:
    """What the metrics of one fold are computed from; classes are numbered 0 ... k - 1.

    ``truth`` and ``predicted`` are (n,) integers, ``proba`` and ``ranking`` (n, k) floats or None;
    ``positive`` is a class, or None where the average over all of them is meant.
    """

    truth: np.ndarray
    predicted: np.ndarray | None
    proba: np.ndarray | None
    ranking: np.ndarray | None
    positive: int | None
    n_classes: int

    def count(self):
        """True positives, false positives, false negatives, true negatives: (k,) each."""
        k = self.n_classes
        table = np.bincount(self.truth * k + self.predicted, minlength=k * k).reshape(k, k)
        tp = np.diag(table)
        fp, fn = table.sum(axis=0) - tp, table.sum(axis=1) - tp
        return tp, fp, fn, len(self.truth) - tp - fp - fn

    def summarise(self, values):
        """The positive class's value, or the mean over the classes whose value is not NaN."""
        if self.positive is not None:
            return values[self.positive]
        known = values[~np.isnan(values)]
        return known.mean() if len(known) else np.nan

    def summarise_one_vs_rest(self, function):
        """``function(is_class, score)`` of the classes, NaN where only one side has samples."""
        values = np.full(self.n_classes, np.nan)
        for k in range(self.n_classes) if self.positive is None else [self.positive]:
            is_class = self.truth == k
            if is_class.any() and not is_class.all():
                values[k] = function(is_class, self.ranking[:, k])
        return self.summarise(values)


def _divide(numerator, denominator):
    """Elementwise quotient, NaN where the denominator is 0."""
    quotient = np.full(len(numerator), np.nan)
    return np.divide(numerator, denominator, out=quotient, where=denominator > 0)


def _accuracy(outcome):
    return np.mean(outcome.truth == outcome.predicted)


def _balanced_accuracy(outcome):
    tp, _, fn, _ = outcome.count()
    return np.nanmean(_divide(tp, tp + fn))


def _precision(outcome):
    tp, fp, fn, _ = outcome.count()
    return outcome.summarise(np.where(tp + fn > 0, tp / np.maximum(tp + fp, 1), np.nan))


def _recall(outcome):
    tp, _, fn, _ = outcome.count()
    return outcome.summarise(_divide(tp, tp + fn))


def _specificity(outcome):
    _, fp, _, tn = outcome.count()
    return outcome.summarise(_divide(tn, tn + fp))


def _f1(outcome):
    tp, fp, fn, _ = outcome.count()
    return outcome.summarise(np.where(tp + fn > 0, _divide(2 * tp, 2 * tp + fp + fn), np.nan))


def _mcc(outcome):
    if len(np.unique(outcome.truth)) < 2:
        return np.nan
    return matthews_corrcoef(outcome.truth, outcome.predicted)


def _roc_auc(outcome):
    return outcome.summarise_one_vs_rest(roc_auc_score)


def _average_precision(outcome):
    return outcome.summarise_one_vs_rest(average_precision_score)


def _sensitivity(outcome, specificity):
    def measure(is_class, score):
        # As roc_auc_score does; a NaN would pass for a score below the threshold.
        assert_all_finite(score, input_name="y_score")
        others = np.sort(score[~is_class])[::-1]
        # Exact: in floats, (1 - 0.9) * 10 false positives would be 0, not 1.
        n_allowed = int(len(others) * (1 - specificity))
        # The best threshold is the lowest one above the first sample that must be a true negative.
        return np.mean(score[is_class] > others[n_allowed])

    return outcome.summarise_one_vs_rest(measure)


def _brier(outcome):
    errors = np.eye(outcome.n_classes)[outcome.truth] - outcome.proba
    # With two classes the second column repeats the first: half the sum is the classical score.
    return np.mean(np.sum(errors**2, axis=1)) / (2 if outcome.n_classes == 2 else 1)


def _log_loss(outcome):
    of_truth = outcome.proba[np.arange(len(outcome.truth)), outcome.truth]
    return -np.mean(np.log(np.clip(of_truth, np.finfo(float).eps, None)))


def _ece(outcome):
    confidence = outcome.proba.max(axis=1)
    correct = outcome.proba.argmax(axis=1) == outcome.truth
    bins = np.clip(np.ceil(confidence * N_CALIBRATION_BINS).astype(int) - 1, 0, None)
    return np.abs(np.bincount(bins, correct - confidence)).sum() / len(bins)


FROM_LABELS: dict[str, Callable] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "precision": _precision,
    "recall": _recall,
    "specificity": _specificity,
    "f1": _f1,
    "mcc": _mcc,
}
FROM_RANKING: dict[str, Callable] = {"roc_auc": _roc_auc, "average_precision": _average_precision}
FROM_PROBA: dict[str, Callable] = {"brier": _brier, "log_loss": _log_loss, "ece": _ece}
METRICS = (*FROM_LABELS, *FROM_RANKING, *FROM_PROBA)
LOWER_IS_BETTER = frozenset(FROM_PROBA)


class Formula(NamedTuple):
    """How a metric is computed.

    ``function(outcome)`` gives its value; ``needs`` is the field of :class:`Outcome` that it must
    not find empty: ``"predicted"``, ``"ranking"`` or ``"proba"``.
    """

    function: Callable
    needs: str


# What others call them.
SYNONYMS = {
    **{"sensitivity": "recall", "tpr": "recall", "tnr": "specificity", "ppv": "precision"},
    **{"auc": "roc_auc", "auroc": "roc_auc", "mse": "brier", "ap": "average_precision"},
}


def find_formula(name):
    """The formula of any metric, by its name.

    Parameters
    ----------
    name : str
        One of :data:`METRICS`, or ``sensitivity_at_<p>_specificity``.

    Returns
    -------
    Formula

    Raises
    ------
    ValueError
        For a name that is no metric; the message says which one is near.
    """
    families = (("predicted", FROM_LABELS), ("ranking", FROM_RANKING), ("proba", FROM_PROBA))
    for needs, family in families:
        if name in family:
            return Formula(family[name], needs)
    specificity = read_fixed_specificity(name)
    if specificity is not None:
        return Formula(partial(_sensitivity, specificity=specificity), "ranking")
    near = [SYNONYMS[name]] if name in SYNONYMS else []
    near += get_close_matches(str(name), (*METRICS, SENSITIVITY_EXAMPLE), n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ValueError(
        f"unknown metric {name!r}; {hint}Known: {', '.join(METRICS)}; and "
        f"{SENSITIVITY_EXAMPLE}, with any percentage"
    )


def read_fixed_specificity(name):
    """The specificity in ``sensitivity_at_<p>_specificity``.

    Parameters
    ----------
    name : str

    Returns
    -------
    fractions.Fraction or None
        Of the samples, exactly as written; None for other metrics.

    Raises
    ------
    ValueError
        If the name begins like that and goes on otherwise, or the percentage is 100 or above, or
        below 1, which would be a share.

    Examples
    --------
    >>> read_fixed_specificity("sensitivity_at_99.5_specificity")
    Fraction(199, 200)
    >>> read_fixed_specificity("specificity")
    """
    if not str(name).startswith("sensitivity_at_"):
        return None
    match = re.fullmatch(r"sensitivity_at_([0-9]{1,2}(?:\.[0-9]+)?)_specificity", str(name))
    specificity = Fraction(match[1]) / 100 if match else 0
    if specificity < Fraction(1, 100):
        raise ValueError(
            f"cannot read the metric {name!r}: sensitivity_at_<p>_specificity takes a percentage "
            f"from 1 to below 100, as {SENSITIVITY_EXAMPLE} or sensitivity_at_99.5_specificity"
        )
    return specificity


def evaluate(name, outcome):
    """One metric as a float; NaN where what it is computed from is missing."""
    function, needs = find_formula(name)
    return float(np.nan if getattr(outcome, needs) is None else function(outcome))
