"""Stratified folds with every class in every part, where there are such folds."""

import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.utils import resample

from skall.validation.groups import check_groups

# Seeds that are tried at most, and groups that are assigned to folds in all of them together:
# scikit-learn takes about a millisecond for each group.
MOST_SEEDS = 20
MOST_GROUPS = 4000


class Split(NamedTuple):
    """Folds, and how they were made.

    Attributes
    ----------
    pairs : list of (train, test)
        Positions.
    seed : int or None
        The seed of the splitter; None for folds that the user gave.
    by_group : bool
        Whether the folds are stratified by the number of groups instead of samples.
    """

    pairs: list
    seed: int | None = None
    by_group: bool = False


def make_split(y, groups, k, seed):
    """Make stratified folds with every class in every part, where such folds are found.

    :class:`~sklearn.model_selection.StratifiedGroupKFold` assigns groups one by one and never
    revises an assignment, so a part may lack a class although other folds would not; its seed
    decides only the order of similar groups. If its folds lack a class in some part, the following
    seeds are tried. If none of them works, the folds are those of one sample for each group and
    class, which balance the number of groups instead of samples.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels.
    groups : ndarray of shape (n_samples,) or None
        Groups; without them the folds are those of
        :class:`~sklearn.model_selection.StratifiedKFold`.
    k : int
        Number of folds.
    seed : int
        The first seed.

    Returns
    -------
    split : Split
        The folds; those of `seed` itself where every attempt leaves a part without a class.

    Raises
    ------
    ValueError
        If there are fewer groups than folds, or fewer samples of every class.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.array([0] * 7 + [1, 1])
    >>> [y[test].tolist() for _, test in make_split(y, None, 2, seed=0).pairs]
    [[0, 0, 0, 0, 1], [0, 0, 0, 1]]
    """
    found = None if groups is None else _split_groups(y, groups, k, seed)
    if found:
        return found
    splitter = StratifiedKFold if groups is None else StratifiedGroupKFold
    return Split(_split(splitter(k, shuffle=True, random_state=seed), y, groups), seed)


def _split_groups(y, groups, k, seed):
    """Make folds of whole groups with every class in every part; None if none are found."""
    if find_rarest(y, groups)[1] < k:
        return None
    groups, y = (np.unique(values, return_inverse=True)[1] for values in (groups, y))
    # One row for each group and class in it.
    members = np.unique(np.stack([groups, y], axis=1), axis=0)
    n_seeds = np.clip(MOST_GROUPS // (groups.max() + 1), 1, MOST_SEEDS)
    for by_group in (False, True):
        for later in range(n_seeds):
            splitter = StratifiedGroupKFold(k, shuffle=True, random_state=(seed + later) % 2**32)
            if by_group:
                tested = [members[test, 0] for _, test in _split(splitter, *members.T[::-1])]
                masks = [np.isin(groups, part) for part in tested]
                pairs = [(np.flatnonzero(~mask), np.flatnonzero(mask)) for mask in masks]
            else:
                pairs = _split(splitter, y, groups)
            if not any(list_missing(y, test) for _, test in pairs):
                return Split(pairs, splitter.random_state, by_group)
    return None


def _split(splitter, y, groups):
    with warnings.catch_warnings():
        # About classes with fewer members than folds, which is checked here.
        warnings.simplefilter("ignore", UserWarning)
        return list(splitter.split(y, y, groups))


def find_largest(y, groups, most, seeds):
    """Find the largest number of folds with every class in every part, for each of some seeds.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels.
    groups : ndarray of shape (n_samples,) or None
        Groups.
    most : int
        The largest number to try.
    seeds : iterable of int
        Seeds of the repeats.

    Returns
    -------
    k : int or None
        Number of folds; None if none is found.
    """
    for k in range(min(most, find_rarest(y, groups)[1]), 1, -1):
        splits = [make_split(y, groups, k, seed) for seed in seeds]
        if not any(list_missing(y, part) for s in splits for pair in s.pairs for part in pair):
            return k
    return None


def find_rarest(y, groups=None):
    """Find the class with the fewest groups, or without groups the fewest samples.

    Parameters
    ----------
    y, groups : ndarray of shape (n_samples,)
        Labels and groups.

    Returns
    -------
    label : label
        The class.
    count : int
        Number of its groups or samples.
    """
    counts = count_members(y, groups)
    label = min(counts, key=counts.get)
    return label, counts[label]


def count_members(y, groups=None):
    """Count the groups that have each class; without groups, the samples.

    Parameters
    ----------
    y, groups : ndarray of shape (n_samples,)
        Labels and groups.

    Returns
    -------
    counts : dict of label to int
        Number of groups or samples by class.
    """
    members = np.arange(len(y)) if groups is None else groups
    return {label: len(pd.unique(members[y == label])) for label in np.unique(y).tolist()}


def list_missing(y, rows):
    """List the classes of y that are missing among some rows.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels.
    rows : ndarray of int
        Positions.

    Returns
    -------
    labels : list of labels
        The missing classes.
    """
    return np.setdiff1d(y, y[rows]).tolist()


class _Complete:
    """Splits with :func:`make_split`, and fewer folds where a part would lack a class."""

    def split(self, X, y, groups=None):
        """Yield pairs of training and test positions.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, which are not read.
        y : array-like of shape (n_samples,)
            Labels.
        groups : array-like of shape (n_samples,), optional
            Groups.

        Returns
        -------
        pairs : iterator of (ndarray, ndarray)
            Training and test positions of each fold.

        Raises
        ------
        ValueError
            If no two folds have every class in both parts, or groups are missing.
        """
        y, groups = np.asarray(y), check_groups(groups, len(y)) if self._grouped else None
        if self._grouped and groups is None:
            raise ValueError("folds of whole groups need groups: pass them to fit, groups=...")
        n_splits = find_largest(y, groups, self.n_splits, [self.random_state])
        if n_splits is None:
            label, count = find_rarest(y, groups)
            raise ValueError(
                f"no two folds hold every class in each of their parts: there are {count} "
                f"{'groups' if self._grouped else 'samples'} of the class {str(label)!r}, and each "
                "part needs one"
            )
        return iter(make_split(y, groups, n_splits, self.random_state).pairs)

    def get_n_splits(self, X=None, y=None, groups=None):
        """Return the number of folds of :meth:`split`; the largest possible without y."""
        return self.n_splits if y is None else len(list(self.split(X, y, groups)))


class CompleteKFold(_Complete, StratifiedKFold):
    """:class:`~sklearn.model_selection.StratifiedKFold`, shuffled, with every class in every part.

    The balanced accuracy is not defined on a test part without some class; scikit-learn would give
    candidates that never predict this class the best score there. Fewer folds than `n_splits` are
    made if every class cannot be in every part otherwise.

    Parameters
    ----------
    n_splits : int
        Largest number of folds.
    random_state : int
        The first seed that is tried.

    Examples
    --------
    >>> folds = CompleteKFold(3, random_state=0)
    >>> y = np.array([0] * 7 + [1, 1])
    >>> [y[test].tolist() for _, test in folds.split(y, y)]
    [[0, 0, 0, 0, 1], [0, 0, 0, 1]]
    """

    _grouped = False

    def __init__(self, n_splits, *, random_state):
        super().__init__(n_splits, shuffle=True, random_state=random_state)


class CompleteGroupKFold(_Complete, StratifiedGroupKFold):
    """:class:`CompleteKFold` with whole groups in each part.

    Parameters
    ----------
    n_splits : int
        Largest number of folds.
    random_state : int
        The first seed that is tried, see :func:`make_split`.
    """

    _grouped = True

    def __init__(self, n_splits, *, random_state):
        super().__init__(n_splits, shuffle=True, random_state=random_state)


class ThinnedFolds:
    """Folds whose training parts are subsampled, stratified by class.

    scikit-learn's own subsampling, for halving by samples, also subsamples the test parts, some of
    which then lack a class.

    Parameters
    ----------
    folds : splitter
        The folds.
    fraction : float
        Share of each training part that is kept.
    random_state : int
        Seed of the subsampling.
    """

    def __init__(self, folds, fraction, random_state):
        self.folds = folds
        self.fraction = fraction
        self.random_state = random_state

    def split(self, X, y, **params):
        """Yield pairs of training and test positions."""
        for train, test in self.folds.split(X, y, **params):
            kept = resample(
                train,
                replace=False,
                n_samples=int(self.fraction * len(train)),
                stratify=np.asarray(y)[train],
                random_state=self.random_state,
            )
            yield kept, test
