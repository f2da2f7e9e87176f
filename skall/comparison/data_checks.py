"""Checks of the samples before anything is trained: unreadable images, leakage, copies, depth."""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import blake2b, file_digest
from pathlib import PurePath

import numpy as np
import pandas as pd
from sklearn.base import clone

from skall.cache.memory import get_store
from skall.comparison.estimators import list_readers
from skall.comparison.splits import list_leaking_groups
from skall.datasets.cnmc import ORIGINAL
from skall.features.shortcuts import SHORTCUTS, measure_shortcuts
from skall.images.depth import DepthWarning
from skall.images.formats import UnreadableImageError
from skall.images.pixels import digest
from skall.images.rows import FileImages

# Files, or pairs of copies, that a message names.
MOST_NAMED = 3
# Images that are decoded to find out whether a depth is missing.
MOST_DEPTH_CHECKS = 32
# Rows of fewer numbers are taken for measurements, which may well be equal, and not for images.
LEAST_NUMBERS = 64
# Bytes from the middle of a file, which differ between most files of equal size.
PROBE = 4096


def share_depth(candidates, depth=None):
    """Copies of the candidates with the same depth wherever images are read, and that depth.

    The depth is that of the call or, without one, that of all readers that have any.
    """
    given = {part.depth for model in candidates.values() for part in list_readers(model)}
    given.discard(None)
    if depth is None and len(given) == 1:
        depth = given.pop()
    if depth is None:
        return candidates, None
    candidates = {name: clone(model) for name, model in candidates.items()}
    for model in candidates.values():
        for part in list_readers(model):
            if part.depth is None:
                part.set_params(depth=depth)
    return candidates, depth


def measure_images(images, n_samples, candidates):
    """Height and width of every image in pixels, from the headers of the files.

    NaN without images, and for files that only the user's own estimators can read. Raises
    UnreadableImageError if an estimator of skall would not be able to read an image.
    """
    if images is None:
        return np.full((n_samples, 2), np.nan)
    sizes, errors = _map_rows(images, images.measure)
    if errors and _reads_images(candidates, all_foreign=len(errors) == n_samples):
        _raise_unreadable(errors, n_samples)
    return np.array([(np.nan, np.nan) if size is None else size for size in sizes], dtype=float)


def check_pixels(images, sizes, candidates, memory):
    """Decode every image that an estimator of skall would, so that a damaged one is found now.

    With baselines of shortcuts, these are measured in the same pass, and stored in the cache
    `memory`. Raises UnreadableImageError if an image is damaged.
    """
    if images is None or not _reads_images(candidates, all_foreign=np.isnan(sizes).all()):
        return
    if candidates.keys() & SHORTCUTS.keys():
        store = get_store(memory, small=True)
        _, errors = _map_rows(images, lambda row: measure_shortcuts(images, row, store))
    else:
        # A JPEG that is decoded at an eighth of its size is read to its end all the same.
        _, errors = _map_rows(images, lambda row: images.open(row, shrink_to=1) and None)
    if errors:
        _raise_unreadable(errors, len(images))


def _reads_images(candidates, all_foreign):
    """Whether estimators of skall read X themselves, and not what a user's reader makes of it."""
    readers = any(list_readers(candidate) for candidate in candidates.values())
    return readers and not (all_foreign and not candidates.keys() & SHORTCUTS.keys())


def _map_rows(images, function):
    """The result for each row, None where it fails, and the errors."""

    def attempt(row):
        try:
            return function(row), None
        except UnreadableImageError as exc:
            return None, exc

    # Decoders release the interpreter's lock.
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        results = list(pool.map(attempt, range(len(images))))
    return [result for result, _ in results], [error for _, error in results if error]


def _raise_unreadable(errors, n_images):
    """Raise the only error, or one that names the first of several."""
    first = errors[0]
    if len(errors) == 1:
        raise first
    rest = "".join(f"\n  {error}" for error in errors[1:MOST_NAMED])
    more = "\n  ..." if len(errors) > MOST_NAMED else ""
    raise UnreadableImageError(
        f"{len(errors)} of {n_images} images cannot be read:\n  {first}{rest}{more}"
    ) from first


def describe_depth(images):
    """A sentence where images look dark because nothing tells how many bits their samples use."""
    if images is None:
        return []
    rows = range(0, len(images), -(-len(images) // MOST_DEPTH_CHECKS))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DepthWarning)
        for row in rows:
            # Damaged images are reported by check_pixels.
            with suppress(UnreadableImageError):
                if images.is_deep(row):
                    images.open(row)
    return [str(found.message) for found in caught if found.category is DepthWarning]


def describe_leakage(folds, X, y, groups, images):
    """Sentences on patients and copies of images that may make scores too good."""
    leaking = [] if groups is None else list_leaking_groups(folds, groups)
    notes = [] if groups is not None else _describe_patients_in_names(images)
    if leaking:
        notes.append(
            f"cv has {len(leaking)} of {len(pd.unique(groups))} groups, as {leaking[0]!r}, on both "
            "sides of a split: scores are too good where samples of a group are alike; an integer "
            "cv, or StratifiedGroupKFold, keeps them together."
        )
    return notes + _describe_copies(folds, X, y, groups, images)


def _describe_patients_in_names(images):
    """A sentence where the names of files tell patients, but there are no groups."""
    matches = [ORIGINAL.fullmatch(PurePath(path).stem) for path in getattr(images, "paths", [])]
    subjects = [match["subject"].casefold() for match in matches if match]
    if not 1 < len(set(subjects)) < len(subjects):
        return []
    return [
        f"The names of {len(subjects)} files tell {len(set(subjects))} patients (C-NMC), but there "
        "are no groups: a patient on both sides of a split makes scores too good; pass groups=, as "
        "skall.datasets.load_cells returns them."
    ]


def _describe_copies(folds, X, y, groups, images):
    """Sentences on copies of different patients (or on both sides of a split) or classes."""
    copies = find_copies(X, images)
    describe = images.describe if images is not None else "row {}".format
    if groups is not None:
        leaking = [rows for rows in copies if len(pd.unique(groups[rows])) > 1]
        where = "under different patients"
    else:
        leaking = [rows for rows in copies if _are_on_both_sides(rows, folds)]
        where = "on both sides of a split"
    contradictory = [rows for rows in copies if len(pd.unique(y[rows])) > 1]
    notes = []
    for found, text, harm in (
        (leaking, where, "scores are too good where one trains and the other tests"),
        (contradictory, "with different labels", "at most one of them is right"),
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


def find_copies(X, images):
    """Positions of samples that are the same to the last bit, in an array for each set of copies.

    Files are compared by their bytes, pictures and arrays of images by their pixels. Where X is
    not images, rows of 64 numbers or more are compared, and nothing in others.
    """
    if isinstance(images, FileImages):
        keys = (os.path.getsize, _read_middle, _hash_file)
        rows = range(len(images))
        return _group_equal(rows, *(lambda row, key=key: key(images.paths[row]) for key in keys))
    if images is not None:
        return _group_equal(range(len(images)), images.fingerprint)
    is_numeric = isinstance(X, np.ndarray) and X.dtype.kind in "biuf"
    if is_numeric and X.ndim > 1 and X[0].size >= LEAST_NUMBERS:
        return _group_equal(range(len(X)), lambda row: digest(X[row]))
    return []


def _group_equal(rows, key, *finer):
    """Rows of equal keys, which the next key, slower to compute, divides further."""
    alike = {}
    for row in rows:
        alike.setdefault(key(row), []).append(row)
    found = [np.array(members) for members in alike.values() if len(members) > 1]
    return [part for rows in found for part in _group_equal(rows, *finer)] if finer else found


def _read_middle(path):
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) // 2 - PROBE // 2))
        return file.read(PROBE)


def _hash_file(path):
    with open(path, "rb") as file:
        return file_digest(file, blake2b).digest()
