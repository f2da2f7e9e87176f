"""What a classifier could go by instead of the cell: colour, size, border and area of an image."""

import numpy as np

from skall.images.formats import UnreadableImageError
from skall.images.inputs import as_images
from skall.images.rows import FlatImages
from skall.images.transformer import ImageTransformer
from skall.parameters import check_values, one_of
from skall.preprocessing.foreground import SEARCH_SIDE, find_cell, is_black

CHANNELS = ("red", "green", "blue")
# Width of the frame, as a share of the shorter side.
FRAME = 0.1


def _measure_colour(picture):
    means = np.asarray(picture).mean(axis=(0, 1)) / 255
    return {f"{channel}_mean": mean for channel, mean in zip(CHANNELS, means, strict=True)}


def _measure_size(picture):
    width, height = picture.size
    return {"height": height, "width": width, "aspect": width / height}


def _measure_border(picture):
    pixels = np.asarray(picture)
    depth = max(1, round(FRAME * min(picture.size)))
    frame = np.ones(pixels.shape[:2], dtype=bool)
    frame[depth:-depth, depth:-depth] = False
    values = pixels[frame] / 255
    moments = {"mean": values.mean(axis=0), "std": values.std(axis=0)}
    return {
        f"border_{channel}_{name}": value
        for name, row in moments.items()
        for channel, value in zip(CHANNELS, row, strict=True)
    }


def _measure_foreground(picture):
    small = picture.copy()
    small.thumbnail((SEARCH_SIDE, SEARCH_SIDE))
    pixels = np.asarray(small)
    cell = find_cell(pixels)
    return {
        "cell_share": 0.0 if cell is None else cell.mean(),
        "shown_share": 1 - is_black(pixels).mean(),
    }


SHORTCUTS = {
    "mean colour": _measure_colour,
    "image size": _measure_size,
    "border only": _measure_border,
    "foreground area": _measure_foreground,
}
VALUES = {"kind": (one_of(*SHORTCUTS), f"one of {', '.join(map(repr, SHORTCUTS))}")}


class ShortcutFeatures(ImageTransformer):
    """Turn images into the few numbers of a shortcut, to see how far it alone goes.

    Where a simple classifier of these does nearly as well as a network, the network may have
    learnt the stain, the camera or the way in which cells were cut out, and not the cell [1]_.
    Stateless: each image is measured by itself.

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
    >>> from skall.shortcuts import ShortcutFeatures
    >>> cells = make_blood_cells(4, n_patients=2, image_size=32, random_state=0)
    >>> features = ShortcutFeatures("image size")
    >>> features.fit_transform(cells.data)[0].tolist()
    [32.0, 32.0, 1.0]
    >>> features.get_feature_names_out().tolist()
    ['height', 'width', 'aspect']
    """

    _values = VALUES

    def __init__(self, kind="mean colour", memory="auto"):
        self.kind = kind
        self.memory = memory

    def _make(self, picture):
        return np.array(list(SHORTCUTS[self.kind](picture).values()), dtype=float)

    def get_feature_names_out(self, input_features=None):
        """Names of the features, as ``red_mean`` or ``height``.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray of str
        """
        check_values(self, self._values)
        blank = as_images(np.zeros((1, 8, 8), np.uint8)).open(0)
        return np.array(list(SHORTCUTS[self.kind](blank)), dtype=object)


def find_images(X):
    """The images that X holds, where its rows can only be images.

    Parameters
    ----------
    X : array-like

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
        images = as_images(X)
    except UnreadableImageError:
        raise
    except (ValueError, TypeError, OSError):
        return None
    return None if isinstance(images, FlatImages) else images
