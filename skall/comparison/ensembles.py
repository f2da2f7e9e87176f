"""Ensembles of a comparison's estimators, from their stored held-out probabilities."""

import numpy as np
import pandas as pd
from scipy.special import logit
from sklearn.linear_model import LogisticRegression

from skall.metrics import compute_metrics
from skall.statistics.held_out import list_classes

# Probabilities of 0 and 1 have no log-odds.
SMALLEST = 1e-6


def check_members(predictions, names):
    """Raise where the named estimators do not make an ensemble.

    Parameters
    ----------
    predictions : DataFrame
        As :attr:`skall.comparison.Comparison.predictions_`.
    names : list of str
    """
    known = predictions["estimator"].unique().tolist()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"there is no estimator {unknown[0]!r}; there are {known}")
    if len(names) < 2 or len(set(names)) < len(names):
        raise ValueError(f"an ensemble needs two members or more, each once; got {names}")
    probabilities = predictions[list_classes(predictions)[1]]
    missing = predictions["estimator"][probabilities.isna().any(axis=1)].unique()
    without = [name for name in names if name in missing]
    if without:
        raise ValueError(
            f"{', '.join(map(repr, without))}: no probabilities were stored, because it has no "
            "predict_proba; leave it out of `names`"
        )


def vote(predictions, names):
    """The mean of the members' probabilities, for every sample.

    Parameters
    ----------
    predictions : DataFrame
    names : list of str

    Returns
    -------
    DataFrame
        Rows of the first member with the ensemble's probabilities.
    """
    rows, probabilities = _align(predictions, names)
    rows[list_classes(rows)[1]] = probabilities.mean(axis=0)
    return rows


def stack(predictions, names):
    """Probabilities of a logistic regression on the members', fitted without the fold itself.

    Parameters
    ----------
    predictions : DataFrame
    names : list of str

    Returns
    -------
    DataFrame
        Rows of the first member with the ensemble's probabilities.

    Raises
    ------
    ValueError
        If the other folds do not hold every class.
    """
    rows, probabilities = _align(predictions, names)
    columns = list_classes(rows)[1]
    # Those of the first class follow from the others.
    odds = logit(probabilities.clip(SMALLEST, 1 - SMALLEST)[:, :, 1:])
    features = np.concatenate(odds, axis=1)
    labels = rows["y_true"].to_numpy()
    for (repeat, fold), part in rows.groupby(["repeat", "fold"]):
        tested = rows.index.isin(part.index)
        others = (rows["repeat"] == repeat) & ~rows["sample"].isin(part["sample"])
        if part["group"].notna().any():
            others &= ~rows["group"].isin(part["group"])
        missing = np.setdiff1d(labels, labels[others]).tolist()
        if missing:
            raise ValueError(
                f"the folds beside repeat {repeat}, fold {fold} hold no sample of the class "
                f"{missing[0]!r} to learn from: stacking needs several folds with every class"
            )
        model = LogisticRegression(max_iter=1000).fit(features[others], labels[others])
        rows.loc[tested, columns] = model.predict_proba(features[tested])
    return rows


def measure(predictions, metrics, pos_label):
    """Scores of one estimator's predictions, fold by fold.

    Parameters
    ----------
    predictions : DataFrame
    metrics : iterable of str
    pos_label : label or None

    Returns
    -------
    DataFrame
        As :attr:`skall.comparison.Comparison.scores_`.
    """
    classes, columns = list_classes(predictions)
    rows = []
    for key, part in predictions.groupby(["estimator", "repeat", "fold"], sort=False):
        proba = part[columns].to_numpy()
        labels = classes[proba.argmax(axis=1)]
        values = compute_metrics(
            part["y_true"].to_numpy(), labels, proba, classes, pos_label, scoring=metrics
        )
        rows += [(*key, metric, value) for metric, value in values.items()]
    return pd.DataFrame(rows, columns=["estimator", "repeat", "fold", "metric", "value"])


def _align(predictions, names):
    """Rows of the first member, and all members' probabilities (n_members, n_rows, n_classes)."""
    keys = ["repeat", "fold", "sample"]
    columns = list_classes(predictions)[1]
    parts = [predictions[predictions["estimator"] == name] for name in names]
    rows = parts[0].reset_index(drop=True)
    order = pd.MultiIndex.from_frame(rows[keys])
    aligned = [part.set_index(keys)[columns].loc[order].to_numpy() for part in parts]
    return rows, np.stack(aligned)
