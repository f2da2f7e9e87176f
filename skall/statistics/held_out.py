"""Held-out predictions of a table as arrays."""

import numpy as np
import pandas as pd

from skall.metrics import LOWER_IS_BETTER, resolve_pos_label
from skall.metrics.outcome import Outcome
from skall.metrics.predictions import fill_columns


def list_classes(predictions):
    """The classes, and their columns of probabilities.

    Parameters
    ----------
    predictions : DataFrame
        As :attr:`skall.comparison.Comparison.predictions_`.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        Sorted.
    columns : list of str

    Raises
    ------
    ValueError
        If the columns of probabilities are not those of the classes in ``y_true``.
    """
    classes = np.unique(predictions["y_true"].to_numpy())
    columns = [f"proba_{label}" for label in classes.tolist()]
    found = [column for column in predictions if str(column).startswith("proba_")]
    if set(found) != set(columns):
        raise ValueError(
            f"the classes in y_true are {classes.tolist()}, but the probabilities are of {found}: "
            "every class needs one column and one sample or more"
        )
    return classes, columns


def read_outcome(part, classes, columns, pos_label):
    """What metrics are computed from, for rows of one estimator.

    Parameters
    ----------
    part : DataFrame
        Of one or several folds, columns ``repeat, fold`` and as
        :attr:`skall.comparison.Comparison.predictions_`. Its labels are column ``y_pred`` where
        there is one, else the likeliest classes.
    classes, columns
        From :func:`list_classes`.
    pos_label : label or None

    Returns
    -------
    Outcome
        Without labels or probabilities where they were not stored. Its ``folds`` keep metrics of
        pairs of samples within each fold.
    """
    pos_label = resolve_pos_label(classes, pos_label)
    proba = part[columns].to_numpy(dtype=float)
    proba = None if np.isnan(proba).any() else proba
    positive = None if pos_label is None else int(np.flatnonzero(classes == pos_label)[0])
    if "y_pred" in part and part["y_pred"].notna().all():
        predicted = np.searchsorted(classes, part["y_pred"].to_numpy())
    else:
        predicted = None if proba is None else proba.argmax(axis=1)
    # As compute_metrics does: 1 - 0.7 is not 0.3, and may fall into another bin of the ece.
    proba = None if proba is None else fill_columns(proba, positive)
    return Outcome(
        truth=np.searchsorted(classes, part["y_true"].to_numpy()),
        predicted=predicted,
        proba=proba,
        ranking=proba,
        positive=positive,
        n_classes=len(classes),
        folds=part.groupby(["repeat", "fold"]).ngroup().to_numpy(),
    )


def number_units(predictions):
    """The independent unit of each row: its group where that is known, else its sample.

    Parameters
    ----------
    predictions : DataFrame
        Columns ``sample`` and, where groups are known, ``group``.

    Returns
    -------
    ndarray of shape (n_rows,)
        0 ... n_units - 1; a sample is the same unit in every repeat and for every estimator.
    """
    samples, _ = pd.factorize(predictions["sample"])
    if "group" not in predictions:
        return samples
    groups, names = pd.factorize(predictions["group"])
    units = np.where(groups >= 0, groups, len(names) + samples)
    return np.unique(units, return_inverse=True)[1]


def select_first_repeat(predictions, name):
    """One prediction per sample: an estimator's rows of the first repeat, ordered by sample.

    Parameters
    ----------
    predictions : DataFrame
    name : str

    Returns
    -------
    DataFrame

    Raises
    ------
    ValueError
        If the estimator is not there, or a sample was tested more than once in a repeat.
    """
    rows = predictions[predictions["estimator"] == name]
    if not len(rows):
        raise ValueError(f"there are no predictions of the estimator {name!r}")
    rows = rows[rows["repeat"] == rows["repeat"].min()].sort_values("sample", kind="stable")
    if rows["sample"].duplicated().any():
        raise ValueError(
            "the folds test some samples more than once; a test over samples needs folds that "
            "test each of them once, as those of an integer cv do"
        )
    return rows.reset_index(drop=True)


def choose_metric(scores, metric=None):
    """A metric that was computed; by default balanced_accuracy, else the first with a value.

    Parameters
    ----------
    scores : DataFrame
        Columns ``estimator, repeat, fold, metric, value``.
    metric : str, optional

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If it was not computed.
    """
    known = scores["metric"].unique().tolist()
    if metric is None:
        # Folds of one class each, as those of single patients, determine few of them.
        valued = scores["metric"][scores["value"].notna()].unique().tolist() or known
        return "balanced_accuracy" if "balanced_accuracy" in valued else valued[0]
    if metric not in known:
        raise ValueError(f"the metric {metric!r} was not computed; there are {', '.join(known)}")
    return metric


def choose_names(table, names=None):
    """Names of estimators, checked.

    Parameters
    ----------
    table : DataFrame
        With a column ``estimator``.
    names : str or iterable of str, optional
        All by default.

    Returns
    -------
    list of str

    Raises
    ------
    ValueError
        For an estimator that is not there, or none at all.
    """
    known = table["estimator"].unique().tolist()
    names = known if names is None else [names] if isinstance(names, str) else list(names)
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        found = f"there is no estimator {unknown[0]!r}" if unknown else "names is empty"
        raise ValueError(f"{found}; there are {', '.join(map(repr, known))}")
    return list(dict.fromkeys(names))


def pivot_folds(scores, metric, names):
    """Values of a metric by (repeat, fold) and estimator, of the folds that determine it.

    A fold without a class has no value for anybody, and is left out. Where only some have none, as
    estimators without probabilities or one that failed there, theirs is NaN.

    Parameters
    ----------
    scores : DataFrame
    metric : str
    names : list of str

    Returns
    -------
    DataFrame
        Columns in the order of `names`; without rows in which no estimator has a value.
    """
    rows = scores[(scores["metric"] == metric) & scores["estimator"].isin(names)]
    folds = rows.pivot(index=["repeat", "fold"], columns="estimator", values="value")
    return folds.reindex(columns=names).dropna(how="all")


def tabulate_folds(scores, metric, names):
    """Values of a metric as :func:`pivot_folds` gives them, the best mean first.

    Parameters
    ----------
    scores : DataFrame
    metric : str
    names : list of str

    Returns
    -------
    DataFrame
        Estimators without any value come last.
    """
    folds = pivot_folds(scores, metric, names)
    lower_wins = metric in LOWER_IS_BETTER
    return folds[folds.mean().sort_values(ascending=lower_wins, kind="stable").index]
