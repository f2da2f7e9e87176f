"""Targets, weights and groups: what comes with the images."""

import numpy as np
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets

from skall.validation.labels import read_labels


def check_targets(estimator, y, n_samples, classes=None):
    """Class indices of y.

    Parameters
    ----------
    estimator : estimator
        Named in messages.
    y : array-like, shape (n_samples,)
        Labels of any one type.
    n_samples : int
    classes : ndarray, optional
        The classes that y may hold; by default those that it does hold.

    Returns
    -------
    classes : ndarray, shape (n_classes,)
    codes : ndarray of int, shape (n_samples,)
    """
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None; fit "
            "needs the class of each image"
        )
    shape = np.asarray(y, dtype=object).shape
    if len(shape) == 2 and shape[1] > 1:
        raise ValueError(
            f"y should be a 1d array, got an array of shape {shape} instead: an image has one "
            "label here. MultiOutputClassifier fits a network for each column (ClassifierChain "
            "cannot, because it adds labels to the images); of columns of 0 and 1, one a class, "
            "y.argmax(axis=1) makes labels"
        )
    # validate_data, given y alone, forgets the names of X's columns.
    y = read_labels(y)
    assert_all_finite(y, input_name="y")
    if len(y) != n_samples:
        raise ValueError(f"X has {n_samples} rows and y {len(y)}; each image needs one label")
    try:
        found, codes = np.unique(y, return_inverse=True)
    except TypeError as exc:
        kinds = sorted({type(label).__name__ for label in y})
        raise TypeError(f"y mixes labels of types {' and '.join(kinds)}; use one type") from exc
    check_classification_targets(y)
    if classes is None:
        return found, codes
    unknown = np.setdiff1d(found, classes)
    if unknown.size:
        raise ValueError(
            f"y holds {unknown.tolist()}, which are not among the classes {classes.tolist()}; "
            "the first partial_fit takes them all as `classes`"
        )
    return classes, np.searchsorted(classes, y)


def check_sample_weight(sample_weight, n_samples):
    """Weights as float64 ``(n_samples,)``, or None.

    Raises
    ------
    ValueError
        Where they are not one finite number of at least 0 a row, or all 0.
    """
    if sample_weight is None:
        return None
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.shape != (n_samples,):
        raise ValueError(
            f"sample_weight has shape {weights.shape}; it must be ({n_samples},), one a row"
        )
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if bad.size:
        raise ValueError(
            f"sample_weight of row {bad[0]} is {weights[bad[0]]}; weights are finite numbers of "
            "at least 0"
        )
    if not weights.any():
        raise ValueError("every sample_weight is zero; at least one row must weigh something")
    return weights


def weigh_classes(class_weight, classes, codes, sample_weight=None):
    """Weight of each class in the loss.

    Parameters
    ----------
    class_weight : None, "balanced" or dict
        ``"balanced"`` is inverse to the classes' share of the rows' weight, as in scikit-learn;
        a class that the dict does not name weighs 1.
    classes : ndarray, shape (n_classes,)
    codes : ndarray of int, shape (n_samples,)
    sample_weight : ndarray of float, optional

    Returns
    -------
    ndarray of float, shape (n_classes,), or None
    """
    if class_weight is None:
        return None
    if isinstance(class_weight, str):
        count = np.bincount(codes, sample_weight, minlength=len(classes))
        return count.sum() / (len(classes) * np.maximum(count, np.finfo(float).tiny))
    unknown = [label for label in class_weight if label not in classes]
    if unknown:
        raise ValueError(
            f"class_weight names {unknown}, which are not among the classes {classes.tolist()}"
        )
    weights = np.array([class_weight.get(label, 1.0) for label in classes.tolist()], dtype=float)
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
        raise ValueError(
            f"class_weight={class_weight}: weights are numbers of at least 0, not all 0"
        )
    return weights
