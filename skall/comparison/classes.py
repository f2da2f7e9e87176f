"""Classes that parts of folds lack."""

from numbers import Integral

import numpy as np

from skall.model_selection.splitting import count_holders, find_largest, list_missing
from skall.statistics.sentences import count_nouns

# How many folds are advised at most to who has not asked for a number.
MOST_ADVISED = 10


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
        """The message.

        Parameters
        ----------
        cv : str
            How the largest cv is written.
        option : str
            What allows that classes are missing.

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


def list_lacking(folds, y):
    """The classes that parts of folds lack.

    Parameters
    ----------
    folds : list of Fold
    y : ndarray of shape (n_samples,)

    Returns
    -------
    list of (part, Fold, label)
        `part` is "training" or "test".
    """
    return [
        (part, fold, label)
        for fold in folds
        for part, rows in (("training", fold.train), ("test", fold.test))
        for label in list_missing(y, rows)
    ]


def check_classes(folds, y, groups, cv, seeds, allowed):
    """Raise where a class cannot be learnt or tested.

    Parameters
    ----------
    folds : list of Fold
    y, groups : ndarray of shape (n_samples,)
        All labels, and all groups or None.
    cv : int, splitter or iterable
        What gave the folds.
    seeds : list of int
        Of the repeats.
    allowed : bool
        Whether a test part may lack a class, and a training part one that is not the last but one.

    Raises
    ------
    MissingClassError
        Where a part lacks a class that it must have.
    ValueError
        Where a class is in no test part at all.
    """
    never = list_missing(y, np.concatenate([fold.test for fold in folds]))
    if never:
        raise ValueError(
            f"the class {never[0]!r} is in no test part, so that nothing can be measured of it: "
            "leave its samples out, or choose another cv"
        )
    lacking = list_lacking(folds, y)
    hopeless = [lack for lack in lacking if len(np.unique(y[lack[1].train])) < 2]
    if not lacking or (allowed and not hopeless):
        return
    part, fold, label = (hopeless or lacking)[0]
    n_holders = count_holders(y, groups)[label]
    holders = count_nouns(n_holders, "sample" if groups is None else "patient")
    n_folds = len({lack[1].title for lack in lacking})
    finding = (
        f"the {part} part of {fold.title} has no sample of the class {label!r}, which {holders} "
        f"hold{'s' if n_holders == 1 else ''}; {n_folds} of {len(folds)} folds lack a class."
    )
    if hopeless:
        finding += " Nothing can be learnt from a single class."
    most = cv - 1 if isinstance(cv, Integral) else MOST_ADVISED
    raise MissingClassError(finding, find_largest(y, groups, most, seeds), not hopeless)
