"""The splits of a comparison: the samples that train and test in each fold, checked for classes."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import pandas as pd

from skall.model_selection.splitting import (
    Split,
    count_members,
    find_largest,
    list_missing,
    make_split,
)
from skall.statistics.sentences import count_nouns, list_words

# The largest cv that is suggested where the user has not given a number.
MOST_ADVISED = 10


@dataclass(frozen=True)
class Fold:
    """One split.

    Attributes
    ----------
    repeat, fold : int
    seed : int
        The repeat's, which networks take.
    train, test : ndarray of int
        Positions of samples.
    split_seed : int or None
        The seed that the folds of the repeat were made from; None where they were given.
    by_group : bool
        Whether the folds balance numbers of groups instead of samples, see
        :func:`skall.model_selection.splitting.make_split`.
    """

    repeat: int
    fold: int
    seed: int
    train: np.ndarray
    test: np.ndarray
    split_seed: int | None
    by_group: bool

    @property
    def title(self):
        """Its name in messages."""
        return f"repeat {self.repeat}, fold {self.fold}"


class MissingClassError(ValueError):
    """Folds in which a class cannot be learnt or tested.

    Parameters
    ----------
    finding : str
        What is wrong.
    largest : int or None
        The largest cv that was found to have every class in every part.
    allowable : bool
        Whether ``allow_missing_classes=True`` goes on.
    """

    def __init__(self, finding, largest, allowable):
        self.finding = finding
        self.largest = largest
        self.allowable = allowable
        super().__init__(self.advise(f"cv={largest}", "allow_missing_classes=True"))

    def advise(self, cv, option):
        """The message, with the spelling of its remedies.

        Parameters
        ----------
        cv : str
            How the largest cv is written.
        option : str
            The option that allows missing classes.

        Returns
        -------
        str
        """
        if self.largest is None:
            remedy = (
                "No cv was found that has every class in every part, for which each class needs "
                "two patients at least, or without groups two samples: collect more of the rare "
                "class, or leave it out."
            )
        else:
            remedy = f"The largest that has every class in every part is {cv}."
        if self.allowable:
            remedy += f" {option} goes on with these folds and leaves out what cannot be measured."
        return f"{self.finding} {remedy}"


def derive_seed(seed, repeat):
    """The seed of a repeat: `seed` itself for the first, so that plain scikit-learn can redo it."""
    if repeat == 0:
        return seed
    return int(np.random.SeedSequence([seed, repeat]).generate_state(1)[0])


def make_folds(y, groups=None, *, cv=10, repeats=1, seed=0, allow_missing_classes=False):
    """Folds that all estimators of a comparison share.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels.
    groups : ndarray of shape (n_samples,), optional
        Samples of one group stay together.
    cv : int, splitter or iterable of (train, test)
        An integer means the folds of :func:`skall.model_selection.splitting.make_split`: those of
        :class:`~sklearn.model_selection.StratifiedKFold`, shuffled, or with groups of
        :class:`~sklearn.model_selection.StratifiedGroupKFold` where these have every class.
    repeats : int, default=1
        Number of repetitions with other folds; only with an integer `cv`.
    seed : int
        See :func:`derive_seed`.
    allow_missing_classes : bool, default=False
        Whether test parts may lack classes, and training parts all but two.

    Returns
    -------
    list of Fold

    Raises
    ------
    MissingClassError
        If a part lacks a class that it must have.
    ValueError
        If `cv` cannot split these samples.
    TypeError
        If `cv` is none of the three.

    Examples
    --------
    >>> import numpy as np
    >>> folds = make_folds(np.array([0, 1] * 6), cv=3)
    >>> [fold.title for fold in folds]
    ['repeat 0, fold 0', 'repeat 0, fold 1', 'repeat 0, fold 2']
    """
    if not isinstance(repeats, Integral) or repeats < 1:
        raise ValueError(f"repeats must be an integer of at least 1, got {repeats!r}")
    seeds = [derive_seed(seed, repeat) for repeat in range(repeats)]
    if isinstance(cv, Integral) and not isinstance(cv, bool):
        if cv < 2:
            raise ValueError(f"cv must be at least 2, got {cv}")
        try:
            splits = [make_split(y, groups, cv, each) for each in seeds]
        except ValueError as exc:
            largest = find_largest(y, groups, cv - 1, seeds)
            raise MissingClassError(f"cv={cv} is not possible: {exc}", largest, False) from exc
    elif repeats > 1:
        raise ValueError(
            f"repeats={repeats} needs an integer cv, got cv={cv!r}; a splitter can repeat itself, "
            "as sklearn.model_selection.RepeatedStratifiedKFold does"
        )
    else:
        splits = [Split(_split(cv, y, groups))]
    folds = [
        Fold(repeat, number, seeds[repeat], train, test, split.seed, split.by_group)
        for repeat, split in enumerate(splits)
        for number, (train, test) in enumerate(split.pairs)
    ]
    for fold in folds:
        if np.intersect1d(fold.train, fold.test).size:
            raise ValueError(f"{fold.title} tests samples that it has trained on; correct the cv")
    _check_classes(folds, y, groups, cv, seeds, allow_missing_classes)
    return folds


def _split(cv, y, groups):
    """Pairs of position arrays from a splitter or an iterable."""
    if hasattr(cv, "split") and not isinstance(cv, str):
        with warnings.catch_warnings():
            # scikit-learn warns of every splitter that ignores groups, describe_leakage only where
            # a group is on both sides.
            warnings.filterwarnings("ignore", "The groups parameter is ignored")
            cv = list(cv.split(np.zeros((len(y), 1)), y, groups))
    elif isinstance(cv, str) or not isinstance(cv, Iterable):
        raise TypeError(
            f"cv must be an integer, a scikit-learn splitter or an iterable of (train, test) "
            f"positions, got {cv!r}"
        )
    try:
        pairs = [(train, test) for train, test in cv]
    except (TypeError, ValueError) as exc:
        raise TypeError("cv must give pairs (train, test) of positions") from exc
    pairs = [(_check_rows(train, len(y)), _check_rows(test, len(y))) for train, test in pairs]
    if not pairs:
        raise ValueError("cv gives no folds")
    return pairs


def _check_rows(rows, n_samples):
    """Positions or a mask as an array of positions."""
    rows = np.asarray(rows)
    rows = np.flatnonzero(rows) if rows.dtype == bool else rows
    if len(rows) == 0:
        raise ValueError("cv gives a fold without samples")
    if rows.min() < 0 or rows.max() >= n_samples:
        raise ValueError(f"cv gives positions outside 0 ... {n_samples - 1}")
    return rows


def _list_missing_classes(folds, y):
    """(part, fold, label) of each class that a training or test part lacks."""
    return [
        (part, fold, label)
        for fold in folds
        for part, rows in (("training", fold.train), ("test", fold.test))
        for label in list_missing(y, rows)
    ]


def _check_classes(folds, y, groups, cv, seeds, allowed):
    """Raise where a class cannot be learnt or tested."""
    untested = list_missing(y, np.concatenate([fold.test for fold in folds]))
    if untested:
        raise ValueError(
            f"the class {untested[0]!r} is in no test part, so that nothing can be measured of it: "
            "leave its samples out, or choose another cv"
        )
    missing = _list_missing_classes(folds, y)
    single = [entry for entry in missing if len(np.unique(y[entry[1].train])) < 2]
    if not missing or (allowed and not single):
        return
    part, fold, label = (single or missing)[0]
    n_holders = count_members(y, groups)[label]
    holders = count_nouns(n_holders, "sample" if groups is None else "patient")
    n_folds = len({fold.title for _, fold, _ in missing})
    finding = (
        f"the {part} part of {fold.title} has no sample of the class {label!r}, which {holders} "
        f"ha{'s' if n_holders == 1 else 've'}; {n_folds} of {len(folds)} folds lack a class."
    )
    if single:
        finding += " Nothing can be learnt from a single class."
    most = cv - 1 if isinstance(cv, Integral) else MOST_ADVISED
    raise MissingClassError(finding, find_largest(y, groups, most, seeds), not single)


def list_leaking_groups(folds, groups):
    """The groups that are on both sides of a split."""
    codes, names = pd.factorize(groups)
    shared = [np.intersect1d(codes[fold.train], codes[fold.test]) for fold in folds]
    return names[np.unique(np.concatenate(shared))].tolist()


def describe_folds(folds, y):
    """Sentences on folds that lack a class, or are not those that the seeds of repeats give."""
    missing, parts = _list_missing_classes(folds, y), []
    for name in ("training", "test"):
        found = [(fold.title, label) for part, fold, label in missing if part == name]
        if found:
            n_parts = len({title for title, _ in found})
            first, label = found[0]
            parts.append(f"{n_parts} of {len(folds)} {name} parts (as {first}: {label!r})")
    # The consequences for estimators and metrics are flagged with the results.
    notes = [f"A class is missing, as was allowed, from {list_words(parts)}."] if parts else []
    repeats, same = {}, {}
    for fold in folds:
        repeats.setdefault(fold.repeat, []).append(fold)
    for repeat, members in repeats.items():
        notes += _describe_seed(members[0])
        tests = frozenset(frozenset(fold.test.tolist()) for fold in members)
        same.setdefault(tests, []).append(repeat)
    notes += [
        f"Repeats {', '.join(map(str, equal))} have the same folds, because groups of such "
        "sizes can be split in one way only: they differ by the seeds of the networks alone, and "
        "intervals and tests, which take them for other folds, are too sure."
        for equal in same.values()
        if len(equal) > 1
    ]
    return notes


def _describe_seed(fold):
    """What is unusual about the seed of a repeat's folds."""
    if fold.by_group:
        return [
            f"The folds of repeat {fold.repeat} are alike in their numbers of patients rather than "
            f"of samples: by samples no seed that was tried, from {fold.seed} on, has every "
            "class in every part. They are those of StratifiedGroupKFold with the seed "
            f"{fold.split_seed} for one sample of each patient and class."
        ]
    if fold.split_seed not in (None, fold.seed):
        return [
            f"The folds of repeat {fold.repeat} are made from the seed {fold.split_seed}, the "
            f"first from {fold.seed} on that has every class in every part; networks keep "
            f"{fold.seed}."
        ]
    return []
