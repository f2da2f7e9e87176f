"""Contrast: histograms flattened or stretched."""

import numpy as np
from PIL import Image, ImageOps

from skall.environment.extras import import_extra
from skall.preprocessing.colour import from_lab, to_lab
from skall.preprocessing.foreground import is_black

CLIP_LIMIT = 0.01
TILES = 8


def equalize_locally(picture):
    """An RGB image with the histogram of its lightness flattened tile by tile (CLAHE).

    Of 8 x 8 tiles, with scikit-image's clip limit of 0.01. The colour, a* and b* of CIELAB, stays
    as far as sRGB has it, and so does black.

    Parameters
    ----------
    picture : PIL.Image.Image
        Of mode RGB.

    Returns
    -------
    PIL.Image.Image

    Raises
    ------
    ImportError
        Without scikit-image.

    References
    ----------
    Zuiderveld, K. (1994). Contrast limited adaptive histogram equalization. In P. S. Heckbert
    (Ed.), Graphics Gems IV (pp. 474-485). Academic Press.
    """
    exposure = import_extra("skimage.exposure", "imaging", "contrast='clahe'")
    pixels = np.asarray(picture)
    lab = to_lab(pixels)
    lightness = lab[:, :, 0] / 100
    if np.ptp(lightness) == 0:
        return picture
    tile = [max(1, length // TILES) for length in lightness.shape]
    lab[:, :, 0] = 100 * exposure.equalize_adapthist(lightness, tile, clip_limit=CLIP_LIMIT)
    return Image.fromarray(np.where(is_black(pixels)[:, :, None], pixels, from_lab(lab)))


CONTRASTS = {
    None: None,
    "clahe": equalize_locally,
    "equalize": ImageOps.equalize,
    "autocontrast": ImageOps.autocontrast,
}
