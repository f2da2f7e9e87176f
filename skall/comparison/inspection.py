"""The images of a comparison, looked at before anything is trained."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from skall.cache import get_store
from skall.comparison.caching import list_readers
from skall.images.formats import UnreadableImageError
from skall.shortcuts import SHORTCUTS, measure_shortcuts

# Names of files that a message lists.
MOST_NAMED = 3


def measure_images(images, n_samples, candidates):
    """Height and width of every image, from the heads of the files.

    Parameters
    ----------
    images : Images or None
    n_samples : int
    candidates : dict of str to classifier

    Returns
    -------
    ndarray of float, shape (n_samples, 2)
        In pixels; NaN without images, and for files that estimators of the user's read themselves.

    Raises
    ------
    UnreadableImageError
        If an estimator of skall would not be able to read an image.
    """
    if images is None:
        return np.full((n_samples, 2), np.nan)
    sizes, errors = _try_each(images, images.measure)
    if errors and _need_images(candidates, all_foreign=len(errors) == n_samples):
        _raise(errors, n_samples)
    return np.array([(np.nan, np.nan) if size is None else size for size in sizes], dtype=float)


def check_pixels(images, sizes, candidates, memory):
    """Decode every image that an estimator of skall would, so that a damaged one is found now.

    Where shortcuts are compared, this is the one reading that all of them are measured in.

    Parameters
    ----------
    images : Images or None
    sizes : ndarray, shape (n_samples, 2)
        From :func:`measure_images`.
    candidates : dict of str to classifier
    memory : "auto" or path-like
        Where the shortcuts are kept.

    Raises
    ------
    UnreadableImageError
        If one is damaged.
    """
    if images is None or not _need_images(candidates, all_foreign=np.isnan(sizes).all()):
        return
    if candidates.keys() & SHORTCUTS.keys():
        store = get_store(memory, small=True)
        _, errors = _try_each(images, lambda row: measure_shortcuts(images, row, store))
    else:
        # A JPEG at an eighth of its size is read to its end all the same.
        _, errors = _try_each(images, lambda row: images.open(row, shrink_to=1) and None)
    if errors:
        _raise(errors, len(images))


def _need_images(candidates, all_foreign):
    """Whether estimators of skall read X: not where they come after a reader of the user's."""
    readers = any(list_readers(candidate) for candidate in candidates.values())
    return readers and not (all_foreign and not candidates.keys() & SHORTCUTS.keys())


def _try_each(images, take):
    """What each row gives, None where it fails, and the errors."""

    def attempt(row):
        try:
            return take(row), None
        except UnreadableImageError as exc:
            return None, exc

    # Decoders leave the interpreter to other threads.
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        results = list(pool.map(attempt, range(len(images))))
    return [result for result, _ in results], [error for _, error in results if error]


def _raise(errors, n_images):
    first = errors[0]
    if len(errors) == 1:
        raise first
    rest = "".join(f"\n  {error}" for error in errors[1:MOST_NAMED])
    more = "\n  ..." if len(errors) > MOST_NAMED else ""
    raise UnreadableImageError(
        f"{len(errors)} of {n_images} images cannot be read:\n  {first}{rest}{more}"
    ) from first
