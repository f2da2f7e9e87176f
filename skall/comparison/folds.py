"""The folds of a comparison: which samples train and which are held out."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import pandas as pd

from skall.comparison.classes import MissingClassError, check_classes
from skall.model_selection.splitting import Dealing, deal, find_largest


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
        The seed that the folds of the repeat were dealt from; None where they were given.
    by_group : bool
        Whether they were dealt by numbers of groups, see
        :class:`skall.model_selection.splitting.Dealing`.
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


def make_folds(y, groups=None, *, cv=10, repeats=1, seed=0, allow_missing_classes=False):
    """Folds that every estimator of a comparison shares.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels.
    groups : ndarray of shape (n_samples,), optional
        Samples of one group stay together.
    cv : int, splitter or iterable of (train, test)
        An integer means the folds of :func:`skall.model_selection.splitting.deal`: those of
        :class:`~sklearn.model_selection.StratifiedKFold`, shuffled, or with groups of
        :class:`~sklearn.model_selection.StratifiedGroupKFold` where these have every class.
    repeats : int, default=1
        How often the samples are dealt anew; only with an integer `cv`.
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
        If a part lacks a class that it must hold.
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
            dealings = [deal(y, groups, cv, each) for each in seeds]
        except ValueError as exc:
            largest = find_largest(y, groups, cv - 1, seeds)
            raise MissingClassError(f"cv={cv} is not possible: {exc}", largest, False) from exc
    elif repeats > 1:
        raise ValueError(
            f"repeats={repeats} needs an integer cv, got cv={cv!r}; a splitter can repeat itself, "
            "as sklearn.model_selection.RepeatedStratifiedKFold does"
        )
    else:
        dealings = [Dealing(_split(cv, y, groups))]
    folds = [
        Fold(repeat, number, seeds[repeat], train, test, dealing.seed, dealing.by_group)
        for repeat, dealing in enumerate(dealings)
        for number, (train, test) in enumerate(dealing.pairs)
    ]
    for fold in folds:
        if np.intersect1d(fold.train, fold.test).size:
            raise ValueError(f"{fold.title} tests samples that it has trained on; correct the cv")
    check_classes(folds, y, groups, cv, seeds, allow_missing_classes)
    return folds


def _split(cv, y, groups):
    """Pairs of position arrays from a splitter or an iterable."""
    if hasattr(cv, "split") and not isinstance(cv, str):
        with warnings.catch_warnings():
            # scikit-learn warns of splitters that ignore groups; list_cautions, of the harm.
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
