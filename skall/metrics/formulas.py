"""Metrics by their names: of one set of predictions, or of many resamples of it."""

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from fractions import Fraction
from functools import partial
from typing import NamedTuple

import numpy as np

from skall.metrics.classification import FROM_LABELS, FROM_PROBA
from skall.metrics.outcome import WeightedOutcome, weigh_once
from skall.metrics.ranking import FROM_RANKING, find_sensitivity, measure_ranking

METRICS = (*FROM_LABELS, *FROM_RANKING, *FROM_PROBA)
LOWER_IS_BETTER = frozenset(FROM_PROBA)
# One of the names of a family without end: any percentage may stand there.
SENSITIVITY_EXAMPLE = "sensitivity_at_95_specificity"
# Other names of the metrics.
SYNONYMS = {
    **{"sensitivity": "recall", "tpr": "recall", "tnr": "specificity", "ppv": "precision"},
    **{"auc": "roc_auc", "auroc": "roc_auc", "mse": "brier", "ap": "average_precision"},
}
# Metrics as the field writes them.
NAMES = {
    "balanced_accuracy": "balanced accuracy",
    "f1": "F1",
    "mcc": "MCC",
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "brier": "Brier score",
    "log_loss": "log loss",
    "ece": "ECE",
}


class Formula(NamedTuple):
    """How a metric is computed.

    ``function(weighted)`` gives its values (n_sets,) of a :class:`WeightedOutcome`; ``needs`` is
    the field of :class:`Outcome` that it must not find empty: ``"predicted"``, ``"ranking"`` or
    ``"proba"``.
    """

    function: Callable
    needs: str


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
    if name in FROM_LABELS:
        return Formula(FROM_LABELS[name], "predicted")
    if name in FROM_PROBA:
        return Formula(FROM_PROBA[name], "proba")
    add_up, specificity = FROM_RANKING.get(name), read_fixed_specificity(name)
    if specificity is not None:
        add_up = find_sensitivity(specificity)
    if add_up is not None:
        return Formula(partial(measure_ranking, add_up=add_up), "ranking")
    near = [SYNONYMS[name]] if name in SYNONYMS else []
    near += get_close_matches(str(name), (*METRICS, SENSITIVITY_EXAMPLE), n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ValueError(
        f"unknown metric {name!r}; {hint}Known: {', '.join(METRICS)}; and "
        f"{SENSITIVITY_EXAMPLE}, with any percentage"
    )


def check_scoring_names(scoring: str | Iterable[str] | None = None) -> tuple[str, ...]:
    """Metric names as a tuple, in the order given; all of :data:`METRICS` for None.

    Parameters
    ----------
    scoring : str, iterable of str or None, default=None
        Names of :data:`METRICS`, and ``sensitivity_at_<p>_specificity`` with a whole or decimal
        percentage, 0 < p < 100.

    Returns
    -------
    tuple of str

    Raises
    ------
    ValueError
        For a name that is no metric; the message says which one is near. For a percentage that
        cannot be read.

    Examples
    --------
    >>> check_scoring_names(["f1", "sensitivity_at_95_specificity"])
    ('f1', 'sensitivity_at_95_specificity')
    """
    names = METRICS if scoring is None else (scoring,) if isinstance(scoring, str) else scoring
    names = tuple(dict.fromkeys(names))
    for name in names:
        find_formula(name)
    if not names:
        raise ValueError(f"scoring is empty; known metrics: {', '.join(METRICS)}")
    return names


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


def evaluate(names, outcome):
    """Metrics of an outcome.

    Parameters
    ----------
    names : iterable of str
        See :func:`skall.metrics.check_scoring_names`.
    outcome : Outcome

    Returns
    -------
    dict of str to float
        NaN where what a metric is computed from is missing, or does not determine it.
    """
    return dict(zip(names, _evaluate(names, weigh_once(outcome))[0].tolist(), strict=True))


def evaluate_weighted(names, outcome, units, weights):
    """Metrics under each set of weights: those of samples repeated as often as it says.

    Parameters
    ----------
    names : iterable of str
    outcome : Outcome
        Of n samples.
    units : ndarray of shape (n,)
        Column of `weights` for each sample.
    weights : ndarray of shape (n_sets, n_units)
        0 or more; of whole numbers, none is rounded.

    Returns
    -------
    ndarray of shape (n_sets, n_metrics)
        NaN as in :func:`evaluate`.
    """
    present, units = np.unique(units, return_inverse=True)
    return _evaluate(names, WeightedOutcome(outcome, units, weights[:, present]))


def _evaluate(names, weighted):
    values = np.full((len(weighted.weights), len(names)), np.nan)
    for column, (function, needs) in enumerate(map(find_formula, names)):
        if getattr(weighted.outcome, needs) is not None:
            values[:, column] = function(weighted)
    return values


def describe_metric(metric):
    """A metric's name as the field writes it.

    Parameters
    ----------
    metric : str

    Returns
    -------
    str

    Examples
    --------
    >>> describe_metric("roc_auc"), describe_metric("sensitivity_at_95_specificity")
    ('ROC AUC', 'sensitivity at 95 % specificity')
    """
    words = metric.replace("_", " ").split()
    if words[-1] == "specificity" and len(words) == 4:
        words.insert(3, "%")
    return NAMES.get(metric, " ".join(words))
