"""The metrics of a comparison, the same for ``compare`` and for plain scikit-learn tools.

For two classes, every metric is the positive class's; for more, precision, recall, specificity, f1,
roc_auc, average_precision and the sensitivity at a fixed specificity are computed for each class
against the rest and averaged with equal weights (macro).

Beside the twelve that are computed unless others are named, there is the sensitivity at a fixed
specificity, for every percentage: ``sensitivity_at_95_specificity``,
``sensitivity_at_99.5_specificity``.

What a fold does not determine is NaN, so that a mean over folds leaves it out; see the table of
:func:`compute_metrics`. Nothing warns. Where every class is present, the values are those of
scikit-learn's functions with ``zero_division=0``.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skall.environment.private_names import BaseScorer
from skall.metrics.classification import FROM_LABELS
from skall.metrics.columns import spread_columns
from skall.metrics.formulas import METRICS, evaluate, find_formula
from skall.metrics.outcome import Outcome


def resolve_pos_label(classes: ArrayLike, pos_label: object = None) -> Any:
    """The positive class among two; None for more, where metrics are averaged.

    Parameters
    ----------
    classes : array-like of shape (n_classes,)
        The distinct labels.
    pos_label : label, optional
        The positive class. May be left out for the labels {0, 1}, {-1, 1} and {False, True}, where
        it is the larger one, and for more than two classes, where it has no part in the metrics.

    Returns
    -------
    label or None

    Raises
    ------
    ValueError
        If there are fewer than two classes, if `pos_label` isn't one of them, or if there are two
        and nothing says which is the positive one.

    Examples
    --------
    >>> resolve_pos_label(["ALL", "healthy"], "ALL")
    'ALL'
    >>> resolve_pos_label([0, 1])
    1
    """
    labels = np.asarray(classes).tolist()
    if len(labels) < 2:
        raise ValueError(f"classification needs two or more classes, got {labels}")
    if pos_label is not None and pos_label not in labels:
        raise ValueError(f"pos_label={pos_label!r} is not one of the classes {labels}")
    if len(labels) > 2:
        return None
    if pos_label is not None:
        return pos_label
    if set(labels) in ({0, 1}, {-1, 1}):
        return max(labels)
    raise ValueError(
        f"which of the two classes is the positive one (the disease)? Pass "
        f"pos_label={labels[0]!r} or pos_label={labels[1]!r}"
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


def compute_metrics(
    y_true: ArrayLike,
    y_pred: ArrayLike | None,
    proba: ArrayLike | None,
    classes: ArrayLike,
    pos_label: object = None,
    *,
    decision: ArrayLike | None = None,
    scoring: str | Iterable[str] | None = None,
) -> dict[str, float]:
    """Every metric of one set of predictions.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        True and predicted labels. `y_pred` may be None: its metrics are NaN then.
    proba : array-like of shape (n_samples, n_classes) or None
        Probabilities, in the order of `classes`; of two classes, only the positive class's column
        is used. None: brier, log_loss and ece are NaN.
    classes : array-like of shape (n_classes,)
        The classes that `proba` stands for.
    pos_label : label, optional
        The positive class, see :func:`resolve_pos_label`.
    decision : array-like of shape (n_samples,) or (n_samples, n_classes), optional
        Scores to rank by where there are no probabilities: larger means more like the positive
        class, or one column per class.
    scoring : iterable of str, optional
        Names of the metrics to compute, see :func:`check_scoring_names`; all of :data:`METRICS` by
        default.

    Returns
    -------
    dict of str to float
        brier is the mean squared error of the positive class's probability; for more than two
        classes, the sum of the squared errors of all classes [1]_ (from 0 to 2). log_loss is in
        nats, probabilities below 2.2e-16 count as that. ece is the expected calibration error of
        the likelier class's probability in 15 bins of equal width [2]_. mcc is the Matthews
        correlation coefficient. sensitivity_at_95_specificity is the largest share of the positive
        samples above a threshold that at least 95 % of the others are not above: a point of the
        empirical ROC curve, not interpolated; 0 where no such threshold finds any.

    Raises
    ------
    ValueError
        If a label is not one of `classes`, or as :func:`resolve_pos_label`.

    Notes
    -----
    A metric is NaN where the samples do not determine it, whatever was predicted; so it is for
    every classifier in the same folds, and means over the others can be compared. It depends on the
    true classes alone:

    ===================================  ==========================  ===========================
    metric                               two classes: needs samples  more classes: needs samples
    ===================================  ==========================  ===========================
    accuracy, brier, log_loss, ece       of either                   of any
    recall                               of the positive class       of every class
    specificity                          of the other class          of every class
    balanced_accuracy, precision, f1,    of both                     of every class
    mcc, roc_auc, average_precision,
    sensitivity_at_<p>_specificity
    ===================================  ==========================  ===========================

    A mean over those classes only that are there is another quantity: of samples of one class, the
    balanced accuracy would be 1 for whatever always names it. Likewise precision and f1 without
    samples of the other class: no prediction could be a false positive. The specificity of three
    classes or more needs all of them too: an absent class is not mistaken for any of the others.

    What depends on the classifier is a number. Of a class that is there and never predicted,
    precision and f1 are 0 (scikit-learn's ``zero_division=0``): NaN would take the fold in which
    the classifier fails out of its mean. The mcc is 0 where only one class is predicted.

    References
    ----------
    .. [1] Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather
       Review 78, 1950.
    .. [2] Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, arXiv:1706.04599.

    Examples
    --------
    >>> proba = [[0.8, 0.2], [0.4, 0.6], [0.1, 0.9]]
    >>> compute_metrics([0, 0, 1], [0, 1, 1], proba, [0, 1], scoring=["recall", "brier"])
    {'recall': 1.0, 'brier': 0.13666666666666666}
    """
    names = check_scoring_names(scoring)
    classes = np.asarray(classes)
    pos_label = resolve_pos_label(classes, pos_label)
    positive = None if pos_label is None else int(np.flatnonzero(classes == pos_label)[0])
    proba = None if proba is None else fill_columns(proba, positive)
    decision = None if decision is None else fill_columns(decision, positive)
    outcome = Outcome(
        truth=_number(y_true, classes, "y_true"),
        predicted=None if y_pred is None else _number(y_pred, classes, "y_pred"),
        proba=proba,
        ranking=decision if proba is None else proba,
        positive=positive,
        n_classes=len(classes),
    )
    return evaluate(names, outcome)


def _number(labels, classes, what):
    """Labels as positions in `classes`."""
    matches = np.asarray(labels)[:, None] == classes
    if not matches.any(axis=1).all():
        unknown = np.asarray(labels)[~matches.any(axis=1)].tolist()[0]
        raise ValueError(
            f"{what} holds the label {unknown!r}, which is not one of the classes "
            f"{classes.tolist()}: does every training fold hold every class?"
        )
    return matches.argmax(axis=1)


def fill_columns(scores, positive):
    """Scores as float64 (n, k); of two classes both columns from the positive one's.

    scikit-learn hands scorers the positive column only: starting from it makes ``compare`` and the
    scorers agree to the last bit.
    """
    scores = np.asarray(scores, dtype=float)
    if positive is None:
        return scores
    column = scores if scores.ndim == 1 else scores[:, positive]
    return np.column_stack([column, 1 - column] if positive == 0 else [1 - column, column])


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
    asked = pos_label if pos_label in known else known[-1]
    scores = method_caller(estimator, method, X, pos_label=asked)
    if scores.ndim == 2:
        return scores
    others = 1 - scores if method == "predict_proba" else -scores
    return np.column_stack([scores, others] if asked == known[0] else [others, scores])


def scorers(
    pos_label: object = None, scoring: str | Iterable[str] | None = None
) -> dict[str, Callable[[Any, Any, Any], float]]:
    """The metrics of :func:`skall.compare` for ``scoring=`` of scikit-learn's tools.

    Each estimator is asked once per fold for its labels and once for its probabilities, however
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
