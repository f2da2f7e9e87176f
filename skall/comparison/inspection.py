"""The images of a comparison, looked at before anything is trained."""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
from sklearn.base import clone

from skall.cache.memory import get_store
from skall.comparison.caching import list_readers
from skall.features.shortcuts import SHORTCUTS, measure_shortcuts
from skall.images.depth import DepthWarning
from skall.images.formats import UnreadableImageError

# Names of files that a message lists.
MOST_NAMED = 3
MOST_LOOKED_AT = 32


def share_depth(candidates, depth=None):
    """Give one depth to all estimators that read images.

    Parameters
    ----------
    candidates : dict of str to classifier
    depth : int, optional
        As in :func:`skall.compare`.

    Returns
    -------
    candidates : dict of str to classifier
        Copies, where one has changed.
    depth : int or None
        That of the comparison itself: of its baselines, checks and pages.
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


def describe_depth(images):
    """Whether images are dark because nothing says how many bits their samples use.

    Parameters
    ----------
    images : Images or None

    Returns
    -------
    list of str
        A sentence, or none. Some of the images are looked at.
    """
    if images is None:
        return []
    rows = range(0, len(images), -(-len(images) // MOST_LOOKED_AT))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DepthWarning)
        for row in rows:
            # Damaged ones are for others to find.
            with suppress(UnreadableImageError):
                if images.is_deep(row):
                    images.open(row)
    return [str(found.message) for found in caught if found.category is DepthWarning]


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
