"""Colour and contrast of an image."""

import numpy as np
from PIL import Image, ImageOps

from skall.environment.extras import import_extra
from skall.preprocessing.foreground import is_black

# sRGB (IEC 61966-2-1) to the CIE's XYZ, each divided by that of the white D65.
XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
XYZ /= XYZ.sum(axis=1, keepdims=True)
# L* = 116 f(y) - 16, a* = 500 (f(x) - f(y)), b* = 200 (f(y) - f(z)).
LAB = np.array([[0, 116, 0], [500, -500, 0], [0, 200, -200]])
LAB_OFFSET = np.array([-16, 0, 0])
# Where CIE's f turns from a cube root to a straight line.
KNEE = 6 / 29


def to_lab(pixels):
    """RGB as CIELAB (1976, white D65).

    Parameters
    ----------
    pixels : ndarray of uint8, shape (..., 3)

    Returns
    -------
    ndarray of float64, shape (..., 3)
        L* in [0, 100], a* and b* in about [-100, 100].
    """
    values = np.arange(256) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    xyz = linear[pixels] @ XYZ.T
    f = np.where(xyz > KNEE**3, np.cbrt(xyz), xyz / (3 * KNEE**2) + 4 / 29)
    return f @ LAB.T + LAB_OFFSET


def from_lab(lab):
    """CIELAB as RGB; colours that sRGB does not have are cut to its range.

    Parameters
    ----------
    lab : ndarray of float, shape (..., 3)

    Returns
    -------
    ndarray of uint8, shape (..., 3)
    """
    f = (lab - LAB_OFFSET) @ np.linalg.inv(LAB).T
    xyz = np.where(f > KNEE, f**3, 3 * KNEE**2 * (f - 4 / 29))
    linear = np.clip(xyz @ np.linalg.inv(XYZ).T, 0, 1)
    values = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(255 * values).astype(np.uint8)


def balance_grey_world(pixels):
    """An image whose mean colour is grey, each channel multiplied by a constant.

    Black pixels, as padding or around a cell cut out, add nothing to any channel's sum, so that
    they neither count nor change.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)

    References
    ----------
    Buchsbaum, G. (1980). A spatial processor model for object colour perception. Journal of the
    Franklin Institute 310, 1-26. https://doi.org/10.1016/0016-0032(80)90058-7
    """
    means = pixels.mean(axis=(0, 1))
    gains = np.divide(means.mean(), means, out=np.ones(3), where=means > 0)
    return np.rint(np.minimum(pixels * gains, 255)).astype(np.uint8)


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
