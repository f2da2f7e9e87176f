"""Images: rows of files, pictures, arrays or numbers that are read as RGB."""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from math import isqrt

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate

from skall.cache.store import make_key
from skall.images.depth import Whites, is_deep
from skall.images.formats import UnreadableImageError, check_format, read_picture
from skall.images.pixels import (
    check_pages,
    check_pixels,
    convert_to_rgb,
    digest,
    draft,
    measure_upright,
    picture_from_array,
    resize_picture,
)

# Rows that are longer by so few numbers than those of a square of at least so many pixels a side
# have columns that are none.
MOST_ADDED = 9
LEAST_SIDE = 16


class Images:
    """Rows of X that are images.

    Subclasses give ``__len__``, ``open`` (a row as an RGB PIL image, whole unless it is said what
    square it is going to be shrunk to) and ``_digest`` (bytes that rows with equal pixels share).
    """

    n_features = 1

    def __init__(self):
        self._digests = {}

    def describe(self, row):
        """What the row is called in messages."""
        return f"row {row}"

    def identity(self, row):
        """Bytes that equal rows share."""
        return self.fingerprint(row)

    def fingerprint(self, row):
        """Bytes that change when the pixels of the row change."""
        if row not in self._digests:
            self._digests[row] = self._digest(row)
        return self._digests[row]

    def measure(self, row):
        """Height and width of the row's image in pixels."""
        return self.open_measured(row)[1]

    def open_measured(self, row, shrink_to=None):
        """A row as ``open`` gives it, and height and width of the whole image in pixels."""
        picture = self.open(row, shrink_to)
        return picture, picture.size[::-1]

    def is_deep(self, row):
        """Whether the row's image has more than 8 bits a sample."""
        return False

    def read(self, row, size, store):
        """One row as a uint8 array ``(size, size, 3)``, through the store."""

        def make():
            return np.asarray(resize_picture(self.open(row, shrink_to=size), size))

        return store.get_or_make(make_key(self.fingerprint(row), size), make, cheap=True)

    def read_batch(self, rows, size, store):
        """Several rows as a uint8 tensor ``(n, 3, size, size)`` in channels-last memory."""
        if len(rows) > 1 and isinstance(self, FileImages):
            with ThreadPoolExecutor(min(len(rows), os.cpu_count() or 1)) as pool:
                arrays = list(pool.map(lambda row: self.read(row, size, store), rows))
        else:
            arrays = [self.read(row, size, store) for row in rows]
        return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2)


class FileImages(Images):
    """Images given by the paths of their files.

    Parameters
    ----------
    paths : iterable of path-like
    depth : int, optional
        Bits that samples of more than 8 bits use, see :func:`skall.images.depth.find_white`.
    """

    def __init__(self, paths, depth=None):
        super().__init__()
        self.whites = Whites(depth)
        self.paths = [str(os.fsdecode(path)) for path in paths]
        folder = next(filter(os.path.isdir, self.paths), None)
        if folder is not None:
            raise ValueError(
                f"row {self.paths.index(folder)}, {folder!r}, is a folder, not an image file; "
                "skall.datasets.load_cells reads folders of images"
            )
        missing = [path for path in self.paths if not os.path.isfile(path)]
        if missing:
            raise FileNotFoundError(
                f"{len(missing)} of {len(self.paths)} image files do not exist, first of them "
                f"{', '.join(map(repr, missing[:3]))}; paths are taken relative to {os.getcwd()!r}"
            )

    def __len__(self):
        return len(self.paths)

    def describe(self, row):
        # Not the row: within a fold, numbers are not those of the user's X.
        return f"file {self.paths[row]!r}"

    def identity(self, row):
        return os.fsencode(self.paths[row])

    def fingerprint(self, row):
        path = os.path.abspath(self.paths[row])
        status = os.stat(path)
        depth = "" if self.whites.depth is None else f"|{self.whites.depth} bits"
        return os.fsencode(f"{path}|{status.st_size}|{status.st_mtime_ns}{depth}")

    def open(self, row, shrink_to=None):
        return self.open_measured(row, shrink_to)[0]

    def open_measured(self, row, shrink_to=None):
        def read(picture):
            fraction = 1 if shrink_to is None else draft(picture, shrink_to)
            check_pages(picture)
            upright = convert_to_rgb(picture, self.whites)
            return upright, tuple(fraction * length for length in upright.size[::-1])

        return read_picture(self.paths[row], read)

    def measure(self, row):
        # The head of the file tells; nothing is decoded.
        return read_picture(self.paths[row], measure_upright)

    def is_deep(self, row):
        return read_picture(self.paths[row], is_deep)


class PictureImages(Images):
    """PIL images, or arrays that may differ in size; parameters as for files."""

    def __init__(self, pictures, depth=None):
        super().__init__()
        self.whites = Whites(depth)
        self.pictures = list(pictures)
        for row, picture in enumerate(self.pictures):
            if isinstance(picture, Image.Image):
                check_format(picture, f"row {row}")
                continue
            if picture.size == 0 or (picture.ndim == 3 and picture.shape[2] not in (1, 3)):
                raise ValueError(
                    f"row {row} has shape {picture.shape}; an image is (height, width) or "
                    "(height, width, 3)"
                )
            check_pixels(picture, f"row {row}")

    def __len__(self):
        return len(self.pictures)

    def _digest(self, row):
        return digest(np.asarray(self.open(row)))

    def open(self, row, shrink_to=None):
        picture = self.pictures[row]
        if not isinstance(picture, Image.Image):
            return picture_from_array(picture)
        try:
            return convert_to_rgb(picture, self.whites)
        except Exception as exc:
            reason = str(exc) or type(exc).__name__
            raise UnreadableImageError(
                f"{self.describe(row)} cannot be read as an image: {reason}"
            ) from exc

    def is_deep(self, row):
        picture = self.pictures[row]
        return isinstance(picture, Image.Image) and is_deep(picture)


class ArrayImages(Images):
    """An array of images ``(n, h, w)`` or ``(n, h, w, 3)``, uint8 or float in [0, 1]."""

    def __init__(self, array):
        super().__init__()
        self.array = array

    def __len__(self):
        return len(self.array)

    def _digest(self, row):
        return digest(self.array[row])

    def open(self, row, shrink_to=None):
        return picture_from_array(self.array[row])

    def measure(self, row):
        return self.array.shape[1:3]

    def read(self, row, size, store):
        if self.array.dtype == np.uint8 and self.array.shape[1:] == (size, size, 3):
            return self.array[row]
        return super().read(row, size, store)


class FlatImages(Images):
    """Images given as rows of numbers, which stay what they are: floats are not rounded.

    uint8 is scaled to [0, 1]; other numbers are taken as they stand, with 1 as white. Where pixels
    are made of them they are cut to [0, 1].
    """

    def __init__(self, array, image_shape=None):
        super().__init__()
        self.array = array
        self.n_features = array.shape[1]
        self.shape = infer_image_shape(array.shape[1], image_shape)

    def __len__(self):
        return len(self.array)

    def _digest(self, row):
        # Rows of the same numbers are other images in another shape.
        return digest(self.array[row]) + str(self.shape).encode()

    def _scale(self, rows):
        values = self.array[rows].reshape(-1, *self.shape)
        return values / 255.0 if values.dtype == np.uint8 else values

    def open(self, row, shrink_to=None):
        values = np.clip(self._scale([row])[0], 0, 1)
        return picture_from_array(values)

    def read_batch(self, rows, size, store):
        """Several rows as a float32 tensor ``(n, 3, size, size)``."""
        values = torch.from_numpy(np.ascontiguousarray(self._scale(rows), dtype=np.float32))
        values = values.permute(0, 3, 1, 2)
        if values.shape[-2:] != (size, size):
            values = interpolate(
                values, (size, size), mode="bilinear", antialias=True, align_corners=False
            )
        return values.expand(-1, 3, -1, -1)


def infer_image_shape(n_features, image_shape=None):
    """Height, width and channels of images that are given as rows of numbers.

    Parameters
    ----------
    n_features : int
        Numbers in a row.
    image_shape : tuple of 2 or 3 ints, optional
        ``(height, width)`` or ``(height, width, channels)``, with 1 or 3 channels. By default a
        grey square, else an RGB square, else a strip one pixel high.

    Returns
    -------
    tuple of 3 ints

    Raises
    ------
    ValueError
        Where the shape does not hold ``n_features`` numbers.

    Examples
    --------
    >>> infer_image_shape(64), infer_image_shape(192), infer_image_shape(10)
    ((8, 8, 1), (8, 8, 3), (1, 10, 1))
    """
    if image_shape is not None:
        shape = tuple(image_shape) if len(image_shape) == 3 else (*image_shape, 1)
        if len(shape) != 3 or shape[2] not in (1, 3) or np.prod(shape) != n_features:
            raise ValueError(
                f"image_shape={image_shape} does not fit rows of {n_features} numbers; it is "
                "(height, width) or (height, width, channels) with 1 or 3 channels, and their "
                "product is the length of a row, to which StackingClassifier(passthrough=True) and "
                "ClassifierChain add columns that are no pixels"
            )
        return shape
    if (square := _find_square(n_features)) is not None:
        return square
    for more in range(1, MOST_ADDED + 1):
        square = _find_square(n_features - more)
        if square is not None and square[0] >= LEAST_SIDE:
            warnings.warn(
                f"rows of {n_features} numbers are read as images one pixel high, though without "
                f"{more} of them they would be {square[0]} x {square[1]} pixels. "
                "StackingClassifier(passthrough=True) and ClassifierChain add columns that are no "
                "pixels: use passthrough=False, and MultiOutputClassifier for several labels an "
                f"image; image_shape=(1, {n_features}) says that it is meant",
                stacklevel=2,
            )
            break
    return (1, n_features, 1)


def _find_square(n_numbers):
    """The shape of a grey or else an RGB square of so many numbers; None if they fill none."""
    for channels in (1, 3):
        side = isqrt(max(0, n_numbers) // channels)
        if side * side * channels == n_numbers:
            return (side, side, channels)
    return None
