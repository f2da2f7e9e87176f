"""What a network is trained on: rows with copies merged, targets, weights and groups."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets

from skall.validation.labels import read_labels

# Beyond this mean number of copies, weights enter the loss instead: an epoch must end.
MOST_COPIES = 100


@dataclass
class TrainingRows:
    """What is trained on: rows of X in an order that does not depend on theirs.

    Attributes
    ----------
    rows : ndarray of int
        Rows of X; a row of whole-number weight k occurs k times.
    targets : ndarray of int64
        Index of each row's class.
    weights : ndarray of float64 or None
        Weight of each row in the loss, of mean 1; None where all are equal.
    groups : ndarray of int
        Rows that must not be parted by an inner split.
    copies : ndarray of int
        0 for the first copy of a row, 1 for the second, and so on.
    by_group : bool
        Whether the groups are the user's; else they only keep the copies of an image together.
    """

    rows: np.ndarray
    targets: np.ndarray
    weights: np.ndarray | None
    groups: np.ndarray
    copies: np.ndarray
    by_group: bool

    def __len__(self):
        return len(self.rows)

    def take(self, items):
        """Some of the rows.

        Parameters
        ----------
        items : ndarray of int
        """
        weights = None if self.weights is None else self.weights[items]
        parts = (array[items] for array in (self.rows, self.targets))
        return TrainingRows(*parts, weights, self.groups[items], self.copies[items], self.by_group)


def gather_rows(images, targets, sample_weight=None, groups=None, class_weight=None):
    """Merge the copies of an image, so that weight k equals k copies in any order.

    Rows with the same image and class become one, in the order of the images' identities, with
    their weights summed. Whole-number weights expand to copies; others weigh the loss.

    Parameters
    ----------
    images : Images
        n rows.
    targets : ndarray of int, shape (n,)
        Index of each row's class.
    sample_weight : ndarray of float, shape (n,), optional
        Rows of weight 0 are left out.
    groups : ndarray, shape (n,), optional
        Copies of an image that lie in two groups join them.
    class_weight : ndarray of float, shape (n_classes,), optional
        Weight of each class in the loss.

    Returns
    -------
    TrainingRows
    """
    weight = np.ones(len(targets)) if sample_weight is None else sample_weight
    kept = np.flatnonzero(weight > 0)
    identities = np.array([images.identity(row) for row in kept], dtype=object)
    _, image_codes = np.unique(identities, return_inverse=True)
    pairs = np.stack([image_codes, targets[kept]], axis=1)
    _, first, unit = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
    total = np.bincount(unit, weight[kept])
    group = _join_groups(image_codes, image_codes if groups is None else groups[kept].astype(str))

    rows, group = kept[first], group[first]
    copy = np.zeros(len(rows), dtype=int)
    if np.array_equal(total, np.rint(total)) and total.sum() <= MOST_COPIES * len(total):
        copies = total.astype(int)
        rows, group = np.repeat(rows, copies), np.repeat(group, copies)
        copy = np.concatenate([np.arange(count) for count in copies])
        total = np.ones(len(rows))
    if class_weight is not None:
        total = total * class_weight[targets[rows]]
    weights = None if np.ptp(total) == 0 else total / total.mean()
    by_group = groups is not None
    return TrainingRows(rows, targets[rows].astype(np.int64), weights, group, copy, by_group)


def _join_groups(image_codes, groups):
    """Number of the component, linked by shared images, that each row's group lies in."""
    _, group_codes = np.unique(groups, return_inverse=True)
    n_images = image_codes.max() + 1
    n_nodes = n_images + group_codes.max() + 1
    links = (np.ones(len(groups)), (image_codes, n_images + group_codes))
    _, component = connected_components(coo_array(links, shape=(n_nodes, n_nodes)), directed=False)
    return component[image_codes]


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
