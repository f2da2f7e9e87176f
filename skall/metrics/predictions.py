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

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skall.metrics.formulas import check_scoring_names, evaluate
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


def spread_columns(scores, known, classes):
    """Columns in the order of `classes`, whatever an estimator's own are.

    Parameters
    ----------
    scores : array-like of shape (n_samples, n_known) or (n_samples,)
        Probabilities or decision values. Without columns: decision values of two known classes,
        larger for the second.
    known : array-like of shape (n_known,)
        The estimator's ``classes_``, in any order.
    classes : array-like of shape (n_classes,)
        All labels.

    Returns
    -------
    ndarray of float64, shape (n_samples, n_classes)
        0 for a class that is not known.

    Raises
    ------
    ValueError
        If a known class is not one of all, or there are not as many columns as known classes.

    Examples
    --------
    >>> spread_columns([[0.9, 0.1]], ["c", "a"], ["a", "b", "c"]).tolist()
    [[0.1, 0.0, 0.9]]
    """
    scores, known = np.asarray(scores, dtype=float), np.asarray(known)
    if scores.ndim == 1:
        scores = np.column_stack([-scores, scores] if len(known) == 2 else [scores])
    if scores.shape[1] != len(known):
        raise ValueError(
            f"there are {scores.shape[1]} columns of scores for the {len(known)} classes "
            f"{known.tolist()} in classes_"
        )
    matches = known[:, None] == np.asarray(classes)
    if not matches.any(axis=1).all():
        raise ValueError(
            f"classes_ of the estimator holds {known[~matches.any(axis=1)].tolist()[0]!r}, which "
            f"is not one of the labels {np.asarray(classes).tolist()}"
        )
    columns = np.zeros((len(scores), len(classes)))
    columns[:, matches.argmax(axis=1)] = scores
    return columns
