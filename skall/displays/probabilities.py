"""Held-out probabilities as the figures read them from a comparison."""

import numpy as np
import pandas as pd

from skall.metrics import resolve_pos_label
from skall.statistics.held_out import choose_names, list_classes, read_outcome


def list_with_probabilities(predictions, names):
    """Those of the names whose probabilities were stored, of one fold or more.

    Parameters
    ----------
    predictions : DataFrame
    names : iterable of str

    Returns
    -------
    list of str
    """
    complete = predictions.filter(like="proba_").notna().all(axis=1)
    known = complete.groupby(predictions["estimator"]).any()
    return [name for name in names if known[name]]


def list_informative(predictions, names):
    """Those of the names whose probabilities tell some samples of a fold from others.

    Parameters
    ----------
    predictions : DataFrame
    names : iterable of str

    Returns
    -------
    list of str
        Without a dummy, and without a shortcut that is the same for every image: curves and
        matrices of these say nothing.
    """
    columns = [column for column in predictions if str(column).startswith("proba_")]
    folds = predictions.groupby(["estimator", "repeat", "fold"])[columns]
    vary = (folds.max() > folds.min()).any(axis=1).groupby("estimator").any()
    return [name for name in list_with_probabilities(predictions, names) if vary[name]]


def choose_class(comparison, pos_label=None):
    """The class that stands against the others.

    Parameters
    ----------
    comparison : Comparison
    pos_label : label, optional
        By default the comparison's positive class.

    Returns
    -------
    label

    Raises
    ------
    ValueError
        If it is not one of the classes, or there are three or more and none was given.
    """
    classes, _ = list_classes(comparison.predictions_)
    label = comparison.pos_label_ if pos_label is None else pos_label
    if len(classes) > 2 and label is None:
        raise ValueError(
            f"pass pos_label, the class to be drawn against the others: one of {classes.tolist()}"
        )
    chosen = resolve_pos_label(classes, label)
    return label if chosen is None else chosen


def read_folds(predictions, names=None, pos_label=None):
    """True classes and probabilities of every fold that has probabilities.

    Parameters
    ----------
    predictions : DataFrame
        As :attr:`skall.comparison.Comparison.predictions_`.
    names : str or iterable of str, optional
        By default all; those without probabilities in any fold are left out.
    pos_label : label, optional
        The class whose column is to be taken as it stands.

    Returns
    -------
    folds : dict of str to dict of (int, int) to Outcome
        By estimator, and repeat and fold.
    left_out : list of str
        Estimators without probabilities.

    Raises
    ------
    ValueError
        If an estimator that was named, or every one, has no probabilities.
    """
    classes, columns = list_classes(predictions)
    pos_label = classes[0] if pos_label is None else pos_label
    chosen = choose_names(predictions, names)
    left_out = [n for n in chosen if n not in list_with_probabilities(predictions, chosen)]
    if left_out and (names is not None or len(left_out) == len(chosen)):
        raise ValueError(
            f"{', '.join(map(repr, left_out))}: no probabilities were stored, because it has no "
            "predict_proba or failed in every fold; leave it out of `names`"
        )
    folds = {
        name: {
            key: read_outcome(part, classes, columns, pos_label)
            for key, part in predictions[predictions["estimator"] == name].groupby(
                ["repeat", "fold"]
            )
            if part[columns].notna().all(axis=None)
        }
        for name in chosen
        if name not in left_out
    }
    return folds, left_out


def read_positives(comparison, names=None, pos_label=None):
    """Whether each sample is of a class, and that class's probability, fold by fold.

    Parameters
    ----------
    comparison : Comparison
    names : str or iterable of str, optional
    pos_label : label, optional

    Returns
    -------
    label : label
        The class.
    folds : dict of str to list of (ndarray of bool, ndarray of float)
        By estimator; arrays of shape (n_samples,).
    left_out : list of str

    Raises
    ------
    ValueError
        As :func:`choose_class` and :func:`read_folds`.
    """
    label = choose_class(comparison, pos_label)
    outcomes, left_out = read_folds(comparison.predictions_, names, label)
    classes, _ = list_classes(comparison.predictions_)
    column = int(np.flatnonzero(classes == label)[0])
    folds = {
        name: [(o.truth == column, o.proba[:, column]) for o in of_name.values()]
        for name, of_name in outcomes.items()
    }
    return label, folds, left_out


def summarise_folds(rows):
    """Mean and standard deviation of several folds' values; NaN is left out.

    Parameters
    ----------
    rows : array-like of shape (n_folds, n_points)

    Returns
    -------
    mean, std : ndarray of shape (n_points,)
        With n - 1 in the denominator; NaN where no fold, or for `std` less than two, have a value.
    """
    frame = pd.DataFrame(np.asarray(rows, dtype=float))
    return frame.mean().to_numpy(), frame.std().to_numpy()


def list_samples(comparison):
    """Every sample, or where they are not recorded each that was tested.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    DataFrame
        Columns as :attr:`skall.comparison.Comparison.samples_` without the file.
    """
    if len(comparison.samples_):
        return comparison.samples_
    tested = comparison.predictions_[["sample", "group", "y_true"]].drop_duplicates("sample")
    return tested.assign(height=np.nan, width=np.nan)
