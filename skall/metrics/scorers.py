"""The metrics as scorers of scikit-learn."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from skall.environment.private_names import BaseScorer
from skall.metrics.classification import FROM_LABELS
from skall.metrics.formulas import check_scoring_names, find_formula
from skall.metrics.predictions import compute_metrics, resolve_pos_label, spread_columns


def _score_labels(y_true, y_pred, name, pos_label):
    """A metric of predicted labels alone, which is what a search for a threshold asks for."""
    if find_formula(name).needs != "predicted":
        raise ValueError(
            f"{name} is computed from probabilities and does not depend on a threshold; choose "
            f"among {', '.join(FROM_LABELS)}"
        )
    classes = np.union1d(y_true, y_pred)
    value = np.nan
    if len(classes) > 1:
        value = compute_metrics(y_true, y_pred, None, classes, pos_label, scoring=[name])[name]
    if np.isnan(value):
        # The search would take the first threshold, whatever it is.
        raise ValueError(
            f"{name} is not determined by labels of the class {np.unique(y_true).tolist()[0]!r} "
            "alone: search for the threshold with folds that all hold both classes"
        )
    return value


class _MetricScorer(BaseScorer):
    """One metric as ``scorer(estimator, X, y)``, for fitted classifiers."""

    def __init__(self, name, pos_label):
        # Every classifier has at least the last of these methods: a metric that needs another one
        # is NaN, where scikit-learn would refuse to compute any.
        methods = ("predict_proba", "decision_function", "predict")
        kwargs = {"name": name, "pos_label": pos_label}
        super().__init__(_score_labels, sign=1, kwargs=kwargs, response_method=methods)
        self.name, self.pos_label = name, pos_label

    def _score(self, method_caller, estimator, X, y_true):
        name, pos_label = self.name, self.pos_label
        # The training part, or the test part, may lack a class that the other has.
        classes = np.union1d(estimator.classes_, y_true)
        if len(classes) == 1 and pos_label is not None:
            classes = np.union1d(classes, pos_label)
        pos_label = resolve_pos_label(classes, pos_label)

        def respond(method):
            return _respond(method_caller, estimator, method, X, len(y_true), pos_label)

        labels = proba = decision = None
        if find_formula(name).needs == "predicted":
            labels = method_caller(estimator, "predict", X)
        elif hasattr(estimator, "predict_proba"):
            proba = spread_columns(respond("predict_proba"), estimator.classes_, classes)
        elif hasattr(estimator, "decision_function"):
            decision = spread_columns(respond("decision_function"), estimator.classes_, classes)
        values = compute_metrics(
            y_true, labels, proba, classes, pos_label, decision=decision, scoring=[name]
        )
        return values[name]


def _respond(method_caller, estimator, method, X, n_samples, pos_label):
    """Probabilities or decision values as columns in the order of the estimator's classes."""
    known = estimator.classes_.tolist()
    if len(known) == 1:
        # Which scikit-learn's scorers refuse to ask.
        return np.ones((n_samples, 1))
    requested = pos_label if pos_label in known else known[-1]
    scores = method_caller(estimator, method, X, pos_label=requested)
    if scores.ndim == 2:
        return scores
    others = 1 - scores if method == "predict_proba" else -scores
    return np.column_stack([scores, others] if requested == known[0] else [others, scores])


def scorers(
    pos_label: object = None, scoring: str | Iterable[str] | None = None
) -> dict[str, Callable[[Any, Any, Any], float]]:
    """The metrics of :func:`skall.compare` for ``scoring=`` of scikit-learn's tools.

    Each estimator predicts labels once per fold and probabilities once, however
    many metrics there are.

    Parameters
    ----------
    pos_label : label, optional
        The positive class of two, see :func:`resolve_pos_label`. Two classes that need it and do
        not get it are an error when the scorer is called. The classes are those that the estimator
        has learnt and those of the samples; one that it has not learnt has the probability 0.
    scoring : str or iterable of str, optional
        Names of the metrics, see :func:`check_scoring_names`; all of :data:`METRICS` by default.

    Returns
    -------
    dict of str to callable
        ``scorer(estimator, X, y)`` by name. The values have the sign they are published with: a
        search that maximises brier, log_loss or ece would find the worst candidate.

    Raises
    ------
    ValueError
        For a name that is no metric.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import cross_validate
    >>> X, y = make_classification(random_state=0)
    >>> scores = cross_validate(LogisticRegression(), X, y, scoring=scorers(), cv=3)
    >>> bool(scores["test_roc_auc"].mean() > 0.9)
    True
    >>> list(scorers(scoring=["roc_auc", "sensitivity_at_95_specificity"]))
    ['roc_auc', 'sensitivity_at_95_specificity']
    """
    return {name: _MetricScorer(name, pos_label) for name in check_scoring_names(scoring)}
