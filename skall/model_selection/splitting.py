"""How samples are dealt into folds, with every class in every part."""

import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

# How many seeds are tried, and how many groups are dealt in all of them together: scikit-learn
# takes about a millisecond for each.
MOST_SEEDS = 20
MOST_GROUPS = 4000


class Dealing(NamedTuple):
    """Folds, and how they came about.

    Attributes
    ----------
    pairs : list of (train, test)
        Positions.
    seed : int or None
        Of the splitter; None for folds that were given.
    by_group : bool
        Whether groups were counted, and not samples.
    """

    pairs: list
    seed: int | None = None
    by_group: bool = False


def deal(y, groups, k, seed):
    """Stratified folds, with every class in every part where that is found.

    :class:`~sklearn.model_selection.StratifiedGroupKFold` deals groups one by one and takes nothing
    back, so that a part may lack a class though groups could be dealt otherwise; and its seed
    decides no more than the order of groups that are alike. Where its folds do not do, those of the
    first following seed are taken that do, and where none does its folds of one sample for each
    group and class, which are alike in their numbers of groups rather than of samples.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
    groups : ndarray of shape (n_samples,) or None
        Without them the folds are those of :class:`~sklearn.model_selection.StratifiedKFold`.
    k : int
        How many.
    seed : int

    Returns
    -------
    Dealing
        Of the seed itself where every way leaves a part without a class.

    Raises
    ------
    ValueError
        If there are not as many groups, or samples of any class, as folds.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.array([0] * 7 + [1, 1])
    >>> [y[test].tolist() for _, test in deal(y, None, 2, seed=0).pairs]
    [[0, 0, 0, 0, 1], [0, 0, 0, 1]]
    """
    found = None if groups is None else _deal_groups(y, groups, k, seed)
    if found:
        return found
    splitter = StratifiedKFold if groups is None else StratifiedGroupKFold
    return Dealing(_split(splitter(k, shuffle=True, random_state=seed), y, groups), seed)


def find_largest(y, groups, most, seeds):
    """The largest number of folds for which each seed has every class in every part.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
    groups : ndarray of shape (n_samples,) or None
    most : int
    seeds : iterable of int

    Returns
    -------
    int or None
        None where there is none that is found.
    """
    for k in range(min(most, find_scarcest(y, groups)[1]), 1, -1):
        dealings = [deal(y, groups, k, seed) for seed in seeds]
        if not any(list_missing(y, part) for d in dealings for pair in d.pairs for part in pair):
            return k
    return None


def _deal_groups(y, groups, k, seed):
    """Folds of whole groups with every class in every part, or None."""
    if find_scarcest(y, groups)[1] < k:
        return None
    groups, y = (np.unique(values, return_inverse=True)[1] for values in (groups, y))
    # One row for each group and class that it holds.
    members = np.unique(np.stack([groups, y], axis=1), axis=0)
    n_seeds = np.clip(MOST_GROUPS // (groups.max() + 1), 1, MOST_SEEDS)
    for by_group in (False, True):
        for later in range(n_seeds):
            splitter = StratifiedGroupKFold(k, shuffle=True, random_state=(seed + later) % 2**32)
            if by_group:
                held = [members[test, 0] for _, test in _split(splitter, *members.T[::-1])]
                masks = [np.isin(groups, part) for part in held]
                pairs = [(np.flatnonzero(~mask), np.flatnonzero(mask)) for mask in masks]
            else:
                pairs = _split(splitter, y, groups)
            if not any(list_missing(y, test) for _, test in pairs):
                return Dealing(pairs, splitter.random_state, by_group)
    return None


def _split(splitter, y, groups):
    with warnings.catch_warnings():
        # Of classes with fewer members than folds, which is looked at here.
        warnings.simplefilter("ignore", UserWarning)
        return list(splitter.split(y, y, groups))


def find_scarcest(y, groups=None):
    """The class that the fewest groups hold, or without groups the fewest samples, and how many.

    Parameters
    ----------
    y, groups : ndarray of shape (n_samples,)

    Returns
    -------
    label : label
    n_holders : int
    """
    holders = count_holders(y, groups)
    label = min(holders, key=holders.get)
    return label, holders[label]


def count_holders(y, groups=None):
    """How many groups hold each class; without groups, how many samples.

    Parameters
    ----------
    y, groups : ndarray of shape (n_samples,)

    Returns
    -------
    dict of label to int
    """
    members = np.arange(len(y)) if groups is None else groups
    return {label: len(pd.unique(members[y == label])) for label in np.unique(y).tolist()}


def list_missing(y, rows):
    """The classes of y that some rows of it lack.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
    rows : ndarray of int

    Returns
    -------
    list of labels
    """
    return np.setdiff1d(y, y[rows]).tolist()
