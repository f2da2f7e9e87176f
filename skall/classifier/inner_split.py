"""The split inside `fit`: which training rows are held out to watch the training."""

import warnings

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold
from skorch.dataset import ValidSplit
from torch.utils.data import Subset


def hold_out(learned, fraction, seed):
    """Split the training rows, stratified by class and with groups kept whole.

    Parameters
    ----------
    learned : TrainingRows
    fraction : float
        Share of the rows to hold out, met as closely as the groups allow.
    seed : int

    Returns
    -------
    train, valid : ndarray of int
        Numbers of the rows in `learned`; both parts hold every class.

    Raises
    ------
    ValueError
        Where no such split exists.
    """
    if learned.by_group:
        return _split_groups(learned, fraction, seed)
    # Without groups, the units are images with their copies.
    units, first = np.unique(learned.groups, return_index=True)
    generator = np.random.RandomState(seed)
    held = []
    for label in np.unique(learned.targets):
        members = units[learned.targets[first] == label]
        if len(members) < 2:
            raise ValueError(_explain(learned, "images"))
        # Not by scikit-learn, which gives a part none of a class that is rare enough.
        n_held = min(max(1, round(fraction * len(members))), len(members) - 1)
        held.extend(generator.permutation(members)[:n_held])
    return _part(np.isin(learned.groups, held))


def _split_groups(learned, fraction, seed):
    labels = np.unique(learned.targets)
    largest = max(2, round(1 / min(fraction, 1 - fraction)))
    for n_splits in range(min(largest, len(np.unique(learned.groups))), 1, -1):
        splitter = StratifiedGroupKFold(n_splits, shuffle=True, random_state=seed)
        with warnings.catch_warnings():
            # Classes with fewer rows than folds are looked for below.
            warnings.simplefilter("ignore", UserWarning)
            try:
                folds = list(splitter.split(learned.rows, learned.targets, learned.groups))
            except ValueError:
                continue
        masks = [np.isin(np.arange(len(learned)), test) for _, test in folds]
        masks = [mask if fraction <= 0.5 else ~mask for mask in masks]
        usable = [
            mask
            for mask in masks
            if all(len(np.unique(learned.targets[part])) == len(labels) for part in (mask, ~mask))
        ]
        if usable:
            return _part(min(usable, key=lambda mask: _distance(mask, learned.targets, fraction)))
    raise ValueError(_explain(learned, "groups"))


def _distance(mask, targets, fraction):
    """How far a part is from holding this share of each class."""
    sizes = np.bincount(targets)
    shares = np.bincount(targets[mask], minlength=len(sizes)) / np.maximum(sizes, 1)
    return np.abs(shares - fraction)[sizes > 0].sum()


def _part(held):
    return np.flatnonzero(~held), np.flatnonzero(held)


def _explain(learned, kind):
    counts = [
        len(np.unique(learned.groups[learned.targets == code]))
        for code in np.unique(learned.targets)
    ]
    return (
        f"early_stopping=True holds out a part of the training {kind} and needs every class in "
        f"both parts, which is not possible: the classes have {', '.join(map(str, counts))} "
        f"{kind}. Use early_stopping=False, or give more {kind} of the rare class"
    )


def split_by_user(train_split, learned):
    """What skorch's splitter makes of the training rows.

    Parameters
    ----------
    train_split : callable
        :class:`skorch.dataset.ValidSplit`, which gets the groups, or another of skorch's.
    learned : TrainingRows

    Returns
    -------
    train : ndarray of int
        Numbers of the rows in `learned`.
    valid : ndarray of int or Dataset
        The same, or a data set of the user's own.

    Raises
    ------
    ValueError
        Where it parts rows that belong together.
    """
    if isinstance(train_split, ValidSplit):
        # Not through skorch, which gives some of scikit-learn's splitters no classes.
        splitter = train_split.check_cv(learned.targets)
        with warnings.catch_warnings():
            # Splitters that know no groups say so; what they part is looked for below.
            warnings.filterwarnings("ignore", message=".*groups", category=UserWarning)
            pairs = splitter.split(np.arange(len(learned)), learned.targets, learned.groups)
            train, valid = next(iter(pairs))
    else:
        train, valid = train_split(learned, learned.targets)
        train = np.asarray(train.indices) if isinstance(train, Subset) else np.arange(len(learned))
        if not isinstance(valid, Subset):
            return train, valid
        valid = np.asarray(valid.indices)
    parted = np.intersect1d(learned.groups[train], learned.groups[valid])
    if parted.size:
        kind = "groups" if learned.by_group else "images with copies"
        raise ValueError(
            f"train_split has rows of {parted.size} {kind} on both sides; use early_stopping=True "
            "or train_split=ValidSplit(StratifiedGroupKFold(5)), which keep them together"
        )
    return train, valid
