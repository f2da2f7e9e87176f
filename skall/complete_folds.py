"""Folds whose parts hold every class, for searches inside a training part."""

import warnings

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.utils import resample

# How many ways to deal are tried: the group splitter goes by sizes, and often gives a part without
# a rare class where another order of the groups does not.
N_SEEDS = 20


class _Complete:
    """Deals as the class beside it, until every part holds every class."""

    def split(self, X, y, groups=None):
        """Pairs of training and test positions.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
        y : array-like of shape (n_samples,)
            Labels.
        groups : array-like of shape (n_samples,), optional

        Returns
        -------
        iterator of (ndarray, ndarray)

        Raises
        ------
        ValueError
            If there are no two folds whose parts hold every class.
        """
        y = np.asarray(y)
        labels = np.unique(y, return_inverse=True)[1]
        for n_splits in range(self.n_splits, 1, -1):
            for seed in range(N_SEEDS):
                pairs = self._deal(n_splits, self.random_state + seed, X, y, groups)
                parts = [part for pair in pairs for part in pair]
                if parts and all(len(np.unique(labels[p])) == labels.max() + 1 for p in parts):
                    return iter(pairs)
        grouped = self._kind is StratifiedGroupKFold
        units = np.asarray(groups) if grouped else np.arange(len(labels))
        scarcest, label = min((len(np.unique(units[y == c])), str(c)) for c in np.unique(y))
        raise ValueError(
            f"no two folds hold every class in each of their parts: there are {scarcest} "
            f"{'groups' if grouped else 'samples'} of the class {label!r}, and each part needs one"
        )

    def get_n_splits(self, X=None, y=None, groups=None):
        """How many folds :meth:`split` gives; the most that it can give where y is not known."""
        return self.n_splits if y is None else len(list(self.split(X, y, groups)))

    def _deal(self, n_splits, seed, X, y, groups):
        dealt = self._kind(n_splits, shuffle=True, random_state=seed)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "The least populated class", UserWarning)
                return list(dealt.split(X, y, groups))
        except ValueError:
            # Fewer samples or groups than folds.
            return []


class CompleteKFold(_Complete, StratifiedKFold):
    """:class:`~sklearn.model_selection.StratifiedKFold`, shuffled, with every class in every part.

    A test part without a class does not determine the balanced accuracy; scikit-learn would give
    the candidates that never find this class the best score there. Where `n_splits` folds cannot
    hold every class, fewer are made.

    Parameters
    ----------
    n_splits : int
        Folds at most.
    random_state : int
        The first seed of those tried.

    Examples
    --------
    >>> folds = CompleteKFold(3, random_state=0)
    >>> y = np.array([0] * 7 + [1, 1])
    >>> [y[test].tolist() for _, test in folds.split(y, y)]
    [[0, 0, 0, 0, 1], [0, 0, 0, 1]]
    """

    _kind = StratifiedKFold

    def __init__(self, n_splits, *, random_state):
        super().__init__(n_splits, shuffle=True, random_state=random_state)


class CompleteGroupKFold(_Complete, StratifiedGroupKFold):
    """:class:`~sklearn.model_selection.StratifiedGroupKFold` likewise.

    Parameters
    ----------
    n_splits : int
        Folds at most.
    random_state : int
        The first seed of those tried.
    """

    _kind = StratifiedGroupKFold

    def __init__(self, n_splits, *, random_state):
        super().__init__(n_splits, shuffle=True, random_state=random_state)


class ThinnedFolds:
    """Folds that train on a part of their samples, of every class alike.

    scikit-learn's own, for halving by samples, thins test parts too, down to some that lack a
    class.

    Parameters
    ----------
    folds : splitter
    fraction : float
        How much of each training part is kept.
    random_state : int
    """

    def __init__(self, folds, fraction, random_state):
        self.folds = folds
        self.fraction = fraction
        self.random_state = random_state

    def split(self, X, y, **params):
        """Pairs of training and test positions; see the splitter that it thins."""
        for train, test in self.folds.split(X, y, **params):
            kept = resample(
                train,
                replace=False,
                n_samples=int(self.fraction * len(train)),
                stratify=np.asarray(y)[train],
                random_state=self.random_state,
            )
            yield kept, test
