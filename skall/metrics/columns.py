"""Scores of the classes that an estimator has learnt, as columns of all classes: by label."""

import numpy as np


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
