"""What a classifier could go by instead of the cell: colour, size, border and area of an image."""

import os
from itertools import chain
from typing import Literal

import joblib
import numpy as np
from numpy.typing import NDArray

from skall.cache.store import make_key
from skall.images.formats import UnreadableImageError
from skall.images.inputs import as_images
from skall.images.rows import FlatImages
from skall.preprocessing.foreground import find_cell, is_black
from skall.preprocessing.transformer import ImageTransformer
from skall.validation.constraints import IMAGE_VALUES, check_values, one_of

CHANNELS = ("red", "green", "blue")
SHORTCUTS = {
    "mean colour": tuple(f"{channel}_mean" for channel in CHANNELS),
    "image size": ("height", "width", "aspect"),
    "border only": tuple(f"border_{c}_{moment}" for moment in ("mean", "std") for c in CHANNELS),
    "foreground area": ("cell_share", "shown_share"),
}
"""The features of each shortcut."""
# Width of the frame, as a share of the shorter side.
FRAME = 0.1
# Pixels of the longer side that the cell's area is measured in. On C-NMC's and PBC's images its AUC
# differs from that of 256 pixels by 0.0012 at most, in a third of the time.
SIDE = 128


def measure_shortcuts(images, row, store):
    """All shortcuts of an image, from one reading of it, through the store.

    Parameters
    ----------
    images : Images
    row : int
    store : Store
        Of small arrays.

    Returns
    -------
    ndarray of float64, shape (14,)
        The values of :data:`SHORTCUTS`, in its order.
    """
    key = make_key(images.fingerprint(row), "shortcuts")
    return store.get_or_make(key, lambda: _measure(images, row, SHORTCUTS))


def _measure(images, row, kinds):
    # A large JPEG is decoded at a fraction, which changes no value by more than 0.001.
    picture, size = images.open_measured(row, shrink_to=SIDE)
    return np.concatenate([_MEASURES[kind](picture, size) for kind in kinds])


def _measure_colour(picture, size):
    means, _ = _summarise(_count_values(picture))
    return means


def _measure_size(picture, size):
    height, width = size
    return height, width, width / height


def _measure_border(picture, size):
    counts = _count_values(picture)
    depth = max(1, round(FRAME * min(picture.size)))
    right, lower = (length - depth for length in picture.size)
    if right > depth and lower > depth:
        counts = counts - _count_values(picture.crop((depth, depth, right, lower)))
    return np.concatenate(_summarise(counts))


def _measure_foreground(picture, size):
    pixels = np.asarray(picture.reduce(max(1, -(-max(picture.size) // SIDE))))
    cell = find_cell(pixels)
    return 0.0 if cell is None else cell.mean(), 1 - is_black(pixels).mean()


_MEASURES = {
    "mean colour": _measure_colour,
    "image size": _measure_size,
    "border only": _measure_border,
    "foreground area": _measure_foreground,
}


def _count_values(picture):
    """How often each channel has each value, as ``(3, 256)``."""
    return np.array(picture.histogram()).reshape(3, 256)


def _summarise(counts):
    """Mean and standard deviation of each channel, in [0, 1]."""
    levels = np.arange(256) / 255
    n_pixels = counts[0].sum()
    means = counts @ levels / n_pixels
    variances = (counts * (levels - means[:, None]) ** 2).sum(axis=1) / n_pixels
    return means, np.sqrt(variances)


VALUES = IMAGE_VALUES | {
    "kind": (one_of(*SHORTCUTS), f"one of {', '.join(map(repr, SHORTCUTS))}"),
}


class ShortcutFeatures(ImageTransformer):
    """Turn images into the few numbers of a shortcut, to see how far it alone goes.

    Where a simple classifier of these does nearly as well as a network, the network may have
    learnt the stain, the camera or the way in which cells were cut out, and not the cell [1]_.
    Stateless: each image is measured by itself, once for all kinds.

    Parameters
    ----------
    kind : {"mean colour", "image size", "border only", "foreground area"}, default="mean colour"
        ``"mean colour"``: the mean of red, green and blue, in [0, 1]. ``"image size"``: height and
        width in pixels, as the image is given, and width divided by height. ``"border only"``:
        mean and standard deviation of each channel, in [0, 1], in a frame as wide as a tenth of
        the shorter side. ``"foreground area"``: the share of the image that is the cell, 0 where
        none stands out, and the share that is not black, as around cells cut out.
    memory : {"auto", None}, path or joblib.Memory, default="auto"
        ``"auto"`` keeps the numbers in this process, 1 GB at most; a
        folder keeps them on disk, for other processes and runs too; None keeps nothing.
    depth : int, optional
        Bits of a sample that are used, where files have more than 8: 12 for a camera of 12 bits
        whose files have 16, 8 for floats from 0 to 255. By default what the file says, see
        :func:`skall.images.depth.find_white`, else all 16 bits, or floats from 0 to 1.

    Attributes
    ----------
    n_features_in_ : int
        Numbers in a row of flattened X; 1 where a row is a path or an image.

    References
    ----------
    .. [1] Geirhos, R., Jacobsen, J.-H., Michaelis, C., et al. (2020). Shortcut learning in deep
       neural networks. Nature Machine Intelligence 2, 665-673.
       https://doi.org/10.1038/s42256-020-00257-z

    Examples
    --------
    >>> from skall.datasets import make_blood_cells
    >>> from skall.features.shortcuts import ShortcutFeatures
    >>> cells = make_blood_cells(4, n_patients=2, image_size=32, random_state=0)
    >>> features = ShortcutFeatures("image size")
    >>> features.fit_transform(cells.data)[0].tolist()
    [32.0, 32.0, 1.0]
    >>> features.get_feature_names_out().tolist()
    ['height', 'width', 'aspect']
    """

    _values = VALUES

    def __init__(
        self,
        kind: Literal[
            "mean colour", "image size", "border only", "foreground area"
        ] = "mean colour",
        memory: str | os.PathLike | joblib.Memory | None = "auto",
        depth: int | None = None,
    ) -> None:
        self.kind = kind
        self.memory = memory
        self.depth = depth

    def _read(self, images, row, store):
        if store.is_closed:
            return _measure(images, row, [self.kind])
        values = measure_shortcuts(images, row, store)
        return values[[name in SHORTCUTS[self.kind] for name in chain(*SHORTCUTS.values())]]

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Names of the features, as ``red_mean`` or ``height``.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray of str
        """
        check_values(self, self._values)
        return np.array(SHORTCUTS[self.kind], dtype=object)


def find_images(X, depth=None):
    """The images that X holds, where its rows can only be images.

    Parameters
    ----------
    X : array-like
    depth : int, optional
        As in :class:`ShortcutFeatures`.

    Returns
    -------
    Images or None
        None for rows of numbers, which may be images or not, and for everything that no
        estimator of skall takes, as paths of files that do not exist.

    Raises
    ------
    UnreadableImageError
        For PIL images whose decoding may start another program.

    Examples
    --------
    >>> len(find_images(np.zeros((5, 8, 8), np.uint8)))
    5
    >>> find_images(np.zeros((5, 64))) is None
    True
    """
    try:
        images = as_images(X, depth=depth)
    except UnreadableImageError:
        raise
    except (ValueError, TypeError, OSError):
        return None
    return None if isinstance(images, FlatImages) else images
