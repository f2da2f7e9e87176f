"""What is to be known of samples and folds before their numbers are trusted."""

from pathlib import PurePath

import numpy as np
import pandas as pd

from skall.comparison.classes import list_lacking
from skall.comparison.copies import find_copies
from skall.comparison.folds import list_parted
from skall.datasets.cnmc_names import ORIGINAL
from skall.statistics.sentences import list_words

# How many pairs of copies a sentence names.
MOST_NAMED = 3


def list_cautions(folds, X, y, groups, images):
    """Sentences on what weakens a comparison, found before anything is trained.

    Parameters
    ----------
    folds : list of Fold
    X, y, groups
        The samples, their labels, and their groups or None.
    images : Images or None
        X, where it holds images.

    Returns
    -------
    list of str
        On folds without a class, folds of another seed, groups on both sides of a split, patients
        in the names of files that no groups tell, and copies of images.
    """
    return [
        *_describe_lacking(folds, y),
        *_describe_seeds(folds),
        *_describe_parted(folds, groups),
        *_describe_unused(images, groups),
        *_describe_copies(folds, X, y, groups, images),
    ]


def _describe_lacking(folds, y):
    lacking, parts = list_lacking(folds, y), []
    for part in ("training", "test"):
        found = [(fold.title, label) for name, fold, label in lacking if name == part]
        if found:
            titles = {title for title, _ in found}
            parts.append(
                f"{len(titles)} of {len(folds)} {part} parts (as {found[0][0]}: {found[0][1]!r})"
            )
    # What that does to estimators and metrics is told of the results.
    return [f"A class is missing, as was allowed, from {list_words(parts)}."] if parts else []


def _describe_seeds(folds):
    """Where folds are not those of the repeat's seed, or not other than those of another repeat."""
    repeats = {}
    for fold in folds:
        repeats.setdefault(fold.repeat, []).append(fold)
    notes, parts = [], {}
    for repeat, members in repeats.items():
        first = members[0]
        if first.by_group:
            notes.append(
                f"The folds of repeat {repeat} are alike in their numbers of patients rather than "
                f"of samples: by samples no seed that was tried, from {first.seed} on, has every "
                "class in every part. They are those of StratifiedGroupKFold with the seed "
                f"{first.split_seed} for one sample of each patient and class."
            )
        elif first.split_seed not in (None, first.seed):
            notes.append(
                f"The folds of repeat {repeat} are dealt from the seed {first.split_seed}, the "
                f"first from {first.seed} on that has every class in every part; networks keep "
                f"{first.seed}."
            )
        tests = frozenset(frozenset(fold.test.tolist()) for fold in members)
        parts.setdefault(tests, []).append(repeat)
    for same in parts.values():
        if len(same) > 1:
            notes.append(
                f"Repeats {', '.join(map(str, same))} have the same folds, because groups of such "
                "sizes are dealt in one way: they differ by the seeds of the networks alone, and "
                "intervals and tests, which take them for other folds, are too sure."
            )
    return notes


def _describe_parted(folds, groups):
    parted = [] if groups is None else list_parted(folds, groups)
    if not parted:
        return []
    return [
        f"cv has {len(parted)} of {len(pd.unique(groups))} groups, as {parted[0]!r}, on both sides "
        "of a split: scores are too good where samples of a group are alike; an integer cv, or "
        "StratifiedGroupKFold, keeps them together."
    ]


def _describe_unused(images, groups):
    """Patients that the names of files tell, but nothing keeps together."""
    paths = getattr(images, "paths", []) if groups is None else []
    matches = [ORIGINAL.fullmatch(PurePath(path).stem) for path in paths]
    subjects = [match["subject"].casefold() for match in matches if match]
    if not 1 < len(set(subjects)) < len(subjects):
        return []
    return [
        f"The names of {len(subjects)} files tell {len(set(subjects))} patients (C-NMC), but there "
        "are no groups: a patient on both sides of a split makes scores too good; pass groups=, as "
        "skall.datasets.load_cells returns them."
    ]


def _describe_copies(folds, X, y, groups, images):
    """Exact copies that are parted: among patients or by the folds, and those of two classes."""
    copies = find_copies(X, images)
    describe = images.describe if images is not None else "row {}".format
    if groups is not None:
        parted = [rows for rows in copies if len(pd.unique(groups[rows])) > 1]
        where = "under different patients"
    else:
        parted = [rows for rows in copies if _are_on_both_sides(rows, folds)]
        where = "on both sides of a split"
    contrary = [rows for rows in copies if len(pd.unique(y[rows])) > 1]
    notes = []
    for found, text, harm in (
        (parted, where, "scores are too good where one trains and the other tests"),
        (contrary, "with different labels", "at most one of them is right"),
    ):
        if found:
            pairs = [" = ".join(map(describe, rows[:2])) for rows in found[:MOST_NAMED]]
            listed = "; ".join(pairs) + ("; ..." if len(found) > MOST_NAMED else "")
            n_images = sum(map(len, found))
            notes.append(
                f"{n_images} images are exact copies {text}, as {listed}: {harm}. Keep one of each."
            )
    return notes


def _are_on_both_sides(rows, folds):
    return any(np.isin(rows, f.train).any() and np.isin(rows, f.test).any() for f in folds)
