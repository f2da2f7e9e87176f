"""Folds whose parts hold every class, for searches inside a training part."""

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.utils import resample

from skall.model_selection.splitting import deal, find_largest, find_scarcest
from skall.validation.groups import check_groups


class _Complete:
    """Folds of :func:`~skall.model_selection.splitting.deal` with every class in every part."""

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
            If there are no two folds whose parts hold every class, or groups are missing.
        """
        y, groups = np.asarray(y), check_groups(groups, len(y)) if self._grouped else None
        if self._grouped and groups is None:
            raise ValueError("folds of whole groups need groups: pass them to fit, groups=...")
        n_splits = find_largest(y, groups, self.n_splits, [self.random_state])
        if n_splits is None:
            label, n_holders = find_scarcest(y, groups)
            raise ValueError(
                f"no two folds hold every class in each of their parts: there are {n_holders} "
                f"{'groups' if self._grouped else 'samples'} of the class {str(label)!r}, and each "
                "part needs one"
            )
        return iter(deal(y, groups, n_splits, self.random_state).pairs)

    def get_n_splits(self, X=None, y=None, groups=None):
        """How many folds :meth:`split` gives; the most that it can give where y is not known."""
        return self.n_splits if y is None else len(list(self.split(X, y, groups)))


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

    _grouped = False

    def __init__(self, n_splits, *, random_state):
        super().__init__(n_splits, shuffle=True, random_state=random_state)


class CompleteGroupKFold(_Complete, StratifiedGroupKFold):
    """:class:`~sklearn.model_selection.StratifiedGroupKFold` likewise.

    Parameters
    ----------
    n_splits : int
        Folds at most.
    random_state : int
        The first seed of those tried, see :func:`skall.model_selection.splitting.deal`.
    """

    _grouped = True

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
