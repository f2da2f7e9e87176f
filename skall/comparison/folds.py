"""The folds of a comparison: which samples train and which are held out."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral
from pathlib import PurePath

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from skall.datasets.cnmc_names import ORIGINAL


@dataclass(frozen=True)
class Fold:
    """One split: `train` and `test` are positions of samples, `seed` the repeat's."""

    repeat: int
    fold: int
    seed: int
    train: np.ndarray
    test: np.ndarray

    @property
    def title(self):
        """What messages call it."""
        return f"repeat {self.repeat}, fold {self.fold}"


def derive_seed(seed, repeat):
    """The seed of a repeat: `seed` itself for the first, so that plain scikit-learn can redo it.

    Parameters
    ----------
    seed : int
    repeat : int
        From 0.

    Returns
    -------
    int
        For the later repeats ``numpy.random.SeedSequence([seed, repeat]).generate_state(1)[0]``.
    """
    if repeat == 0:
        return seed
    return int(np.random.SeedSequence([seed, repeat]).generate_state(1)[0])


def make_folds(y, groups=None, *, cv=10, repeats=1, seed=0):
    """Folds that every estimator of a comparison shares.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels.
    groups : ndarray of shape (n_samples,), optional
        Samples of one group stay together.
    cv : int, splitter or iterable of (train, test)
        An integer means :class:`~sklearn.model_selection.StratifiedKFold`, with groups
        :class:`~sklearn.model_selection.StratifiedGroupKFold`, shuffled.
    repeats : int, default=1
        How often the samples are dealt anew; only with an integer `cv`.
    seed : int
        See :func:`derive_seed`.

    Returns
    -------
    list of Fold

    Raises
    ------
    ValueError
        If a training part would lack a class, or `cv` cannot split these samples.
    TypeError
        If `cv` is none of the three.

    Warns
    -----
    UserWarning
        If a test part lacks a class, or `cv` has a group on both sides of a split.

    Examples
    --------
    >>> import numpy as np
    >>> folds = make_folds(np.array([0, 1] * 6), cv=3)
    >>> [fold.title for fold in folds]
    ['repeat 0, fold 0', 'repeat 0, fold 1', 'repeat 0, fold 2']
    """
    if not isinstance(repeats, Integral) or repeats < 1:
        raise ValueError(f"repeats must be an integer of at least 1, got {repeats!r}")
    if isinstance(cv, Integral) and not isinstance(cv, bool):
        dealt = [_deal(y, groups, cv, derive_seed(seed, repeat)) for repeat in range(repeats)]
    elif repeats > 1:
        raise ValueError(
            f"repeats={repeats} needs an integer cv, got cv={cv!r}; a splitter can repeat itself, "
            "as sklearn.model_selection.RepeatedStratifiedKFold does"
        )
    else:
        dealt = [_split(cv, y, groups)]
    folds = [
        Fold(repeat, number, derive_seed(seed, repeat), train, test)
        for repeat, pairs in enumerate(dealt)
        for number, (train, test) in enumerate(pairs)
    ]
    _check_classes(folds, y, groups, cv)
    _check_groups(folds, groups)
    return folds


def _deal(y, groups, k, seed):
    """Stratified folds, or an error that says how many are possible."""
    if k < 2:
        raise ValueError(f"cv must be at least 2, got {k}")
    try:
        with warnings.catch_warnings():
            # scikit-learn warns of classes smaller than k; _check_classes says it with a remedy.
            warnings.simplefilter("ignore", UserWarning)
            splitter = StratifiedKFold if groups is None else StratifiedGroupKFold
            return _split(splitter(n_splits=k, shuffle=True, random_state=seed), y, groups)
    except ValueError as exc:
        raise ValueError(f"cv={k} is not possible: {exc} {_advise(y, groups, k, seed)}") from exc


def _split(cv, y, groups):
    """Pairs of position arrays from a splitter or an iterable."""
    if hasattr(cv, "split") and not isinstance(cv, str):
        with warnings.catch_warnings():
            # scikit-learn warns of splitters that ignore groups; _check_groups, of the harm.
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
    pairs = [(_positions(train, len(y)), _positions(test, len(y))) for train, test in pairs]
    if not pairs:
        raise ValueError("cv gives no folds")
    return pairs


def _positions(rows, n_samples):
    rows = np.asarray(rows)
    rows = np.flatnonzero(rows) if rows.dtype == bool else rows
    if len(rows) == 0:
        raise ValueError("cv gives a fold without samples")
    if rows.min() < 0 or rows.max() >= n_samples:
        raise ValueError(f"cv gives positions outside 0 ... {n_samples - 1}")
    return rows


def _advise(y, groups, k, seed):
    """A sentence with the largest number of folds, below k, whose parts hold every class."""
    members = np.arange(len(y)) if groups is None else groups
    scarcest = min(len(np.unique(members[y == label])) for label in np.unique(y))
    for fewer in range(min(k - 1, scarcest), 1, -1):
        pairs = _deal(y, groups, fewer, seed)
        if not any(_list_missing(y, part) for pair in pairs for part in pair):
            return f"The largest cv that has every class in every part is {fewer}."
    return "No smaller cv has every class in every part: collect more of the rare class."


def _list_missing(y, rows):
    return np.setdiff1d(y, y[rows]).tolist()


def _check_classes(folds, y, groups, cv):
    """Raise where a class cannot be learnt; warn where it cannot be tested."""

    def advise(fold):
        return _advise(y, groups, cv, fold.seed) if isinstance(cv, Integral) else ""

    for fold in folds:
        if np.intersect1d(fold.train, fold.test).size:
            raise ValueError(f"{fold.title} tests samples that it has trained on; mend the cv")
        missing = _list_missing(y, fold.train)
        if missing:
            raise ValueError(
                f"the training part of {fold.title} has no sample of the class {missing[0]!r}. "
                f"{advise(fold)}".rstrip()
            )
    never = np.setdiff1d(y, y[np.concatenate([fold.test for fold in folds])])
    if len(never):
        raise ValueError(
            f"the class {never.tolist()[0]!r} is in no test part, so that nothing can be measured "
            "of it: leave its samples out, or choose another cv"
        )
    untested = [fold for fold in folds if _list_missing(y, fold.test)]
    if untested:
        missing = _list_missing(y, untested[0].test)
        warnings.warn(
            f"{len(untested)} of {len(folds)} test parts lack a class ({untested[0].title}: "
            f"{missing[0]!r}): what cannot be measured there is NaN, and means leave it out. "
            f"{advise(untested[0])}".rstrip(),
            stacklevel=6,
        )


def list_parted(folds, groups):
    """The groups that are on both sides of a split.

    Parameters
    ----------
    folds : list of Fold
    groups : ndarray of shape (n_samples,)

    Returns
    -------
    list
    """
    codes, names = pd.factorize(groups)
    shared = [np.intersect1d(codes[fold.train], codes[fold.test]) for fold in folds]
    return names[np.unique(np.concatenate(shared))].tolist()


def _check_groups(folds, groups):
    """Warn where a splitter of the user's parts a group."""
    parted = [] if groups is None else list_parted(folds, groups)
    if parted:
        warnings.warn(
            f"cv has {len(parted)} of {len(pd.unique(groups))} groups, as {parted[0]!r}, on both "
            "sides of a split: scores are too good where samples of a group are alike; an integer "
            "cv, or StratifiedGroupKFold, keeps them together",
            stacklevel=6,
        )


def warn_of_unused_patients(images):
    """Warn where the names of files tell the patients, but nothing keeps them together.

    Parameters
    ----------
    images : Images or None
        What is compared on, without groups.
    """
    stems = [PurePath(path).stem for path in getattr(images, "paths", [])]
    subjects = [match["subject"].casefold() for match in map(ORIGINAL.fullmatch, stems) if match]
    if 1 < len(set(subjects)) < len(subjects):
        warnings.warn(
            f"the names of {len(subjects)} files tell {len(set(subjects))} patients (C-NMC), but "
            "there are no groups: a patient on both sides of a split makes scores too good; pass "
            "groups=, as skall.datasets.load_cells returns them",
            stacklevel=5,
        )
