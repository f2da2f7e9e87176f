"""ImagePreprocessor: each image changed by itself."""

import os
from functools import partial
from typing import Literal

import joblib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from skall.cache.memory import get_store
from skall.cache.shared_time import SHARED_TIME
from skall.cache.store import make_key
from skall.images.inputs import ImagesLike
from skall.images.pixels import RESIZES, resize_picture
from skall.preprocessing.colour import CONTRASTS, balance_grey_world
from skall.preprocessing.foreground import crop_to_cell
from skall.preprocessing.transformer import ImageTransformer
from skall.validation.constraints import IMAGE_VALUES, integer, one_of

COLORS = {None: None, "grey_world": balance_grey_world}
CROPS = {None: None, "cell": crop_to_cell}
SIZE_VALUES = IMAGE_VALUES | {
    "size": (integer(1), "a number of pixels, at least 1,"),
    "resize": (one_of(*RESIZES), f"one of {', '.join(map(repr, RESIZES))}"),
}
VALUES = SIZE_VALUES | {
    parameter: (one_of(*choices), f"one of {', '.join(map(repr, choices))}")
    for parameter, choices in {"contrast": CONTRASTS, "color": COLORS, "crop": CROPS}.items()
}


class ImagePreprocessor(ImageTransformer):
    """Turn images of any kind into one array of RGB images of one size.

    Stateless: each image is changed by itself, so nothing passes from training to test images.
    An image is cut first, then resized, then balanced in colour, then changed in contrast.

    Parameters
    ----------
    size : int, default=224
        Height and width of the images made, in pixels.
    resize : {"stretch", "pad", "crop"}, default="stretch"
        Change the aspect ratio; keep it and fill with black; keep it and cut the longer side.
    contrast : {None, "clahe", "equalize", "autocontrast"}, default=None
        ``"clahe"`` equalises the lightness (L* of CIELAB) tile by tile with limited contrast [1]_
        and needs ``pip install 'skall[imaging]'``; ``"equalize"`` flattens the histogram of each
        channel, and ``"autocontrast"`` stretches each to the whole range.
    memory : {"auto", None}, path or joblib.Memory, default="auto"
        ``"auto"`` keeps the images made in this process, 1 GB at most; a
        folder keeps them on disk, for other processes and runs too; None keeps nothing.
    color : {None, "grey_world"}, default=None
        ``"grey_world"`` multiplies each channel so that the mean colour is grey [2]_, which takes
        out the colour of the light. Black does not count. Where all but the cell is black, the
        mean is the cell's own and its stain is lost: :class:`StainNormalizer` suits those.
    crop : {None, "cell"}, default=None
        ``"cell"`` cuts a square about the stained cell, with a quarter of the cell's length left
        on each side. The cell is the largest and most central region that is saturated and
        absorbs red light, by Otsu's threshold [3]_; where none stands out the image stays whole.
        All cells become equally large: their size is lost, which may be a shortcut or a sign.
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
    .. [1] Zuiderveld, K. (1994). Contrast limited adaptive histogram equalization. In P. S.
       Heckbert (Ed.), Graphics Gems IV (pp. 474-485). Academic Press.
    .. [2] Buchsbaum, G. (1980). A spatial processor model for object colour perception. Journal
       of the Franklin Institute 310, 1-26. https://doi.org/10.1016/0016-0032(80)90058-7
    .. [3] Otsu, N. (1979). A threshold selection method from gray-level histograms. IEEE
       Transactions on Systems, Man, and Cybernetics 9, 62-66.
       https://doi.org/10.1109/TSMC.1979.4310076

    Examples
    --------
    >>> from skall import ImagePreprocessor
    >>> from skall.datasets import make_blood_cells
    >>> cells = make_blood_cells(4, n_patients=2, image_size=64, random_state=0)
    >>> preprocessor = ImagePreprocessor(size=32, color="grey_world", crop="cell")
    >>> images = preprocessor.fit_transform(cells.data)
    >>> images.shape, images.dtype
    ((4, 32, 32, 3), dtype('uint8'))
    """

    _values = VALUES

    def __init__(
        self,
        size: int = 224,
        resize: Literal["stretch", "pad", "crop"] = "stretch",
        contrast: Literal["clahe", "equalize", "autocontrast"] | None = None,
        memory: str | os.PathLike | joblib.Memory | None = "auto",
        *,
        color: Literal["grey_world"] | None = None,
        crop: Literal["cell"] | None = None,
        depth: int | None = None,
    ) -> None:
        self.size = size
        self.resize = resize
        self.contrast = contrast
        self.memory = memory
        self.color = color
        self.crop = crop
        self.depth = depth

    def transform(self, X: ImagesLike) -> NDArray[np.uint8]:
        """Make the images.

        Parameters
        ----------
        X : array-like
            Images, as :meth:`CNNClassifier.fit` takes them. Rows of numbers are cut to [0, 1].

        Returns
        -------
        ndarray of uint8, shape (n, size, size, 3)

        Raises
        ------
        ImportError
            For ``contrast="clahe"`` without scikit-image.
        """
        return prepare_images(
            self._open(X),
            get_store(self.memory),
            **{"size": self.size, "resize": self.resize, "crop": self.crop},
            **{"color": self.color, "contrast": self.contrast},
        )


@SHARED_TIME.running()
def prepare_images(images, store, *, size, resize="stretch", crop=None, color=None, contrast=None):
    """Images made as :class:`ImagePreprocessor` says, through the store.

    Parameters
    ----------
    images : Images
    store : Store
    size, resize, crop, color, contrast
        As for :class:`ImagePreprocessor`.

    Returns
    -------
    ndarray of uint8, shape (n, size, size, 3)
    """

    def make(row):
        # A cut needs all the pixels, and equalising would widen the least difference.
        picture = images.open(row, shrink_to=None if crop or contrast else size)
        if crop:
            picture = CROPS[crop](picture)
        picture = resize_picture(picture, size, resize)
        if color:
            picture = Image.fromarray(COLORS[color](np.asarray(picture)))
        return np.asarray(CONTRASTS[contrast](picture) if contrast else picture)

    made = np.empty((len(images), size, size, 3), np.uint8)
    for row in range(len(images)):
        key = make_key(images.fingerprint(row), "prepared", size, resize, crop, color, contrast)
        made[row] = store.get_or_make(key, partial(make, row), cheap=True)
    return made
