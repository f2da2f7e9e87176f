"""Folds that an estimator failed in, and classes that it has not learnt there."""

from traceback import format_exception_only

import numpy as np
import pandas as pd

from skall.statistics.sentences import list_words

# Of each estimator, in a sentence.
MOST_FOLDS = 5


def check_error_score(error_score):
    """Raise where it is neither ``"raise"`` nor NaN.

    Parameters
    ----------
    error_score : object
        As a user gave it.

    Examples
    --------
    >>> check_error_score(0)
    Traceback (most recent call last):
    ValueError: error_score must be 'raise' or numpy.nan, got 0: any other number would count as \
a measurement
    """
    is_nan = isinstance(error_score, float) and np.isnan(error_score)
    if not is_nan and error_score != "raise":
        raise ValueError(
            f"error_score must be 'raise' or numpy.nan, got {error_score!r}: any other number "
            "would count as a measurement"
        )


def make_failure(exc, scoring):
    """What stands in the place of a fold's result.

    Parameters
    ----------
    exc : Exception
    scoring : iterable of str

    Returns
    -------
    dict
        As of :func:`skall.comparison.evaluation.evaluate_fold`, with NaN for every number, and
        ``error``: the kind of the exception, its message and its notes.
    """
    return {
        "scores": dict.fromkeys(scoring, np.nan),
        "proba": None,
        "seconds": {"fit": np.nan, "shared": np.nan},
        "predict_ms": np.nan,
        "error": "".join(format_exception_only(exc)).strip(),
    }


def check_some_succeeded(failures, n_jobs):
    """Raise where nothing at all was measured.

    Parameters
    ----------
    failures : DataFrame
        As :attr:`skall.comparison.Comparison.failures_`.
    n_jobs : int
        The number of estimators times that of folds.
    """
    if len(failures) < n_jobs:
        return
    first = failures.iloc[0]
    raise RuntimeError(
        f"all the {n_jobs} fits failed, so that there is nothing to compare. The first, "
        f"{first['estimator']!r} in repeat {first['repeat']}, fold {first['fold']}: "
        f"{first['error']}. error_score='raise' stops there, with the traceback"
    )


def flag_failures(comparison):
    """Sentences that name the estimators that failed, where, and why.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    list of str
    """
    sentences = []
    for name, failed in comparison.failures_.groupby("estimator", sort=False):
        where, everywhere = _name_folds(failed, comparison.scores_)
        where += "" if everywhere else ", which its means leave out"
        # The first line says what it was; what else there is stands in failures_.
        errors = pd.unique(failed["error"].str.partition("\n")[0])
        more = f" (and {len(errors) - 1} other errors)" if len(errors) > 1 else ""
        sentences.append(f"{name} failed {where}: {errors[0].rstrip('.')}{more}.")
    return sentences


def flag_unlearnt(comparison):
    """Sentences that name the classes that estimators have not learnt, and where.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    list of str
        One for all estimators that lack a class in the same folds.
    """
    alike = {}
    for (label, name), lacking in comparison.unlearnt_.groupby(["label", "estimator"], sort=False):
        where, _ = _name_folds(lacking, comparison.scores_)
        alike.setdefault((label, where), []).append(name)
    return [
        f"The class {label} was not learnt {where} by {list_words(names)}: its probability is 0 "
        "there."
        for (label, where), names in alike.items()
    ]


def _name_folds(rows, scores):
    """Where rows of a table are, in words, and whether that is everywhere."""
    n_folds = len(scores[["repeat", "fold"]].drop_duplicates())
    if len(rows) == n_folds:
        return "in every fold", True
    folds = [f"repeat {row.repeat}, fold {row.fold}" for row in rows.itertuples()]
    listed = "; ".join(folds[:MOST_FOLDS]) + ("; ..." if len(folds) > MOST_FOLDS else "")
    return f"in {len(folds)} of {n_folds} folds ({listed})", False
