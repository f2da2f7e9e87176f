"""What X may be: the one place that decides what a user's images are."""

import os
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike
from PIL import Image
from scipy.sparse import issparse
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data
from torch.utils.data import Dataset

from skall.images.pixels import check_pixels, raise_unscaled
from skall.images.rows import ArrayImages, FileImages, FlatImages, PictureImages

# Images as users have them; what :func:`as_images` takes of it, it says itself.
ImagesLike: TypeAlias = ArrayLike | Sequence[str | os.PathLike | Image.Image | np.ndarray]

# Of 7 bits.
LARGEST_UNSCALED = 127


def check_images(estimator: Any, X: ImagesLike, *, reset: bool) -> Any:
    """The images of X, with their feature names and number checked against the fit.

    Parameters
    ----------
    estimator : estimator
        With the parameters ``image_shape`` and ``depth`` where it has them.
    X : array-like
        As in :func:`as_images`.
    reset : bool
        True in `fit`: the estimator's ``n_features_in_`` and ``feature_names_in_`` are set.

    Returns
    -------
    Images
    """
    if not reset:
        _check_names(estimator, X, reset=False)
    shape, depth = (getattr(estimator, name, None) for name in ("image_shape", "depth"))
    images = as_images(X, shape, depth)
    if reset:
        # Last, so that a fit that fails leaves the estimator as it was.
        _check_names(estimator, X, reset=True)
        estimator.n_features_in_ = images.n_features
    elif images.n_features != estimator.n_features_in_:
        raise ValueError(
            f"X has {images.n_features} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input (paths and pictures count as 1)"
        )
    return images


def _check_names(estimator, X, *, reset):
    validate_data(estimator, X, reset=reset, skip_check_array=True, ensure_2d=False)


def as_images(
    X: ImagesLike, image_shape: Sequence[int] | None = None, depth: int | None = None
) -> Any:
    """The rows of X as images.

    Parameters
    ----------
    X : array-like
        One of: paths of image files of :data:`skall.images.formats.FORMATS`, ``(n,)`` or
        ``(n, 1)``, as a list, array, Series or one-column DataFrame; a list or object array of
        PIL images, or of arrays ``(h, w)`` or ``(h, w, 3)``; an array ``(n, h, w)`` or
        ``(n, h, w, 3)`` of uint8 or of floats in [0, 1]; rows of numbers ``(n, h * w)`` or
        ``(n, h * w * 3)``, of uint8 or with 1 as white.
    image_shape : tuple of 2 or 3 ints, optional
        Height, width (and channels) of the images that rows of numbers hold.
    depth : int, optional
        Bits that files and PIL images of more than 8 bits use; by default what the file says, see
        :func:`skall.images.depth.find_white`.

    Returns
    -------
    Images

    Raises
    ------
    ValueError, TypeError, FileNotFoundError
        Where X is none of these; the message names the row or the file.
    """
    if isinstance(X, (str, bytes, os.PathLike, Image.Image)):
        raise TypeError(f"X is one image, {X!r}; put it in a list, [X], to make it one row")
    if isinstance(X, Dataset):
        raise TypeError(
            f"X is a data set of torch, {type(X).__name__}, which may change its images each time "
            "it is read; pass its images and its labels: X=[pair[0] for pair in dataset], as "
            "paths, PIL images or arrays (height, width, 3), and y=[pair[1] for pair in dataset]; "
            "of an ImageFolder X=[path for path, _ in dataset.samples] and y=dataset.targets. "
            "skall augments by the parameter augment"
        )
    if issparse(X):
        raise TypeError("Sparse input is not supported; pass X.toarray()")
    rows = _as_rows(X)
    if rows.ndim == 0:
        raise TypeError(
            f"X is {X!r:.60}, no rows of images; pass a list or array of paths or pictures, or an "
            "array (n, height, width, 3)"
        )
    if len(rows) == 0:
        raise ValueError(
            f"Found array with 0 sample(s) (shape={rows.shape}) while a minimum of 1 is required: "
            "X holds no images"
        )
    if rows.dtype.kind in "OUST" and rows.ndim in (1, 2) and rows.size:
        kind = _image_kind(rows)
        if kind == "paths":
            return FileImages(rows.ravel(), depth)
        if kind is not None:
            return PictureImages(rows.ravel(), depth)
    if rows.ndim > 2:
        _check_stack(rows)
        return ArrayImages(rows)
    numbers = check_array(rows, dtype="numeric", ensure_all_finite=False)
    _check_finite(numbers)
    images = FlatImages(numbers, image_shape)
    # After the shape, which tells of columns that are no pixels and make floats of uint8.
    _check_scale(numbers)
    return images


def _as_rows(X):
    """X as an array, of objects where its rows are pictures or differ in size."""
    if isinstance(X, torch.Tensor):
        return X.detach().cpu().numpy()
    if not isinstance(X, (list, tuple)):
        return np.asarray(X)
    is_array = [isinstance(row, np.ndarray) and row.ndim > 1 for row in X]
    stackable = all(is_array) and len({row.shape for row in X}) == 1
    if not stackable and (
        any(is_array) or any(isinstance(row, (Image.Image, os.PathLike)) for row in X)
    ):
        return np.fromiter(X, dtype=object, count=len(X))
    return np.asarray(X)


def _image_kind(rows):
    """What the rows of an array of objects or strings are; None where they are numbers."""
    kinds = {}
    for place, value in enumerate(rows.ravel()):
        if isinstance(value, (str, bytes, os.PathLike)):
            kind = "paths"
        elif isinstance(value, Image.Image):
            kind = "PIL images"
        elif isinstance(value, np.ndarray) and value.ndim in (2, 3):
            kind = "arrays"
        else:
            kind = type(value).__name__
        kinds.setdefault(kind, place)
    if not kinds.keys() & {"paths", "PIL images", "arrays"}:
        return None
    if rows.ndim == 2 and rows.shape[1] > 1:
        if kinds.keys() - {"paths", "PIL images", "arrays"}:
            raise ValueError(
                f"X has {rows.shape[1]} columns, images beside numbers, and a network takes images "
                "alone. StackingClassifier(passthrough=True) and ClassifierChain put predictions "
                "beside the images: use passthrough=False, and MultiOutputClassifier for several "
                "labels an image"
            )
        raise ValueError(
            f"X has {rows.shape[1]} columns, but images are one column: pass only the column that "
            "holds them, X[['path']] for a DataFrame"
        )
    if len(kinds) > 1:
        found = " and ".join(f"{kind} (row {row})" for kind, row in kinds.items())
        raise ValueError(f"X mixes {found}; pass images of one kind")
    return kinds.popitem()[0]


def _check_stack(array):
    """Raise unless an array of 3 or more dimensions is a stack of grey or RGB images."""
    shape = array.shape
    if array.size == 0:
        raise ValueError(f"X has shape {shape}: its images hold no pixels")
    if array.ndim > 4:
        raise ValueError(
            f"X has shape {shape}; images are (n, height, width) or (n, height, width, 3)"
        )
    if array.ndim == 3 and shape[2] in (3, 4) and shape[1] > 4:
        raise ValueError(
            f"X has shape {shape}, which looks like one image; pass X[None] to make it one row"
        )
    if array.ndim == 4 and shape[3] not in (1, 3):
        if shape[1] in (1, 3):
            raise ValueError(
                f"X has shape {shape}, channels first; images are (n, height, width, 3): pass "
                "X.transpose(0, 2, 3, 1)"
            )
        remedy = "drop the alpha channel, X[..., :3]" if shape[3] == 4 else "choose three channels"
        raise ValueError(
            f"X has shape {shape}, images with {shape[3]} channels; they are (n, height, width) "
            f"or (n, height, width, 3): {remedy}"
        )
    check_pixels(array, "X")


def _check_finite(numbers):
    if np.issubdtype(numbers.dtype, np.floating) and not np.isfinite(numbers).all():
        row = np.flatnonzero(~np.isfinite(numbers).all(axis=1))[0]
        what = "NaN" if np.isnan(numbers[row]).any() else "infinity"
        raise ValueError(f"Input X contains {what} in row {row}; remove the row or fill it in")


def _check_scale(numbers):
    """Raise where rows of numbers are pixels of 8 or more bits, for which 1 would not be white.

    Rows may hold numbers of any range that a network learns from as they are, or that are cut to
    [0, 1]. Those that are never negative and go beyond 7 bits are pixels that were not scaled.
    """
    if numbers.dtype == np.uint8 or numbers.max() <= LARGEST_UNSCALED or numbers.min() < 0:
        return
    row = int(numbers.max(axis=1).argmax())
    raise_unscaled(f"row {row} of X", numbers[row].max())
