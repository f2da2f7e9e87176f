"""Hand-made features of cells: the classical alternative to a network's."""

import os

import joblib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from skall.environment.extras import import_extra
from skall.images.pixels import resize_picture
from skall.preprocessing.colour import to_lab
from skall.preprocessing.foreground import find_cell, find_threshold, is_black
from skall.preprocessing.transformer import ImageTransformer
from skall.validation.constraints import IMAGE_VALUES, integer

VALUES = IMAGE_VALUES | {"image_size": (integer(8), "a number of pixels, at least 8,")}

CHANNELS = ("red", "green", "blue", "hue", "saturation", "value", "L", "a", "b")
PERCENTILES = (10, 50, 90)
# Values that spread less are all the same but for rounding.
FLAT = 1e-6
# Weights of red, green and blue in the grey image (ITU-R BT.601).
LUMA = np.array([0.299, 0.587, 0.114])
GREY_LEVELS = 32
DISTANCES = (1, 3)
ANGLES = (0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)
PROPERTIES = ("contrast", "homogeneity", "energy", "correlation", "entropy")
# Radius and number of neighbours of local binary patterns; "uniform" ones make n + 2 kinds.
RINGS = ((1, 8), (2, 16))
# Hu's moments are polynomials of these degrees; their roots are all of one scale.
HU_DEGREES = np.array([1, 2, 2, 2, 4, 3, 4])
OUTLINE = ("area", "perimeter", "eccentricity", "solidity", "extent", "roundness")


class HandcraftedFeatures(ImageTransformer):
    """Turn images into named features of colour, texture and shape, for any classifier.

    Stateless: each image is measured by itself. Colour and texture are those of the cell, or of
    the whole image but for black where no cell stands out; shapes are then 0. Nothing is NaN.

    - Colour: mean, standard deviation, skewness and the 10th, 50th and 90th percentile of each
      channel of RGB, HSV and CIELAB. Hue is turned by half a circle, so that it breaks at cyan,
      which blood stains do not have, and not at red.
    - Texture of the grey image: contrast, homogeneity, energy, correlation and entropy of the
      grey-level co-occurrence matrix [1]_ of 32 levels at distances of 1 and 3 pixels, mean over
      four directions; the histograms of uniform local binary patterns [2]_ of 8 neighbours at 1
      pixel and 16 at 2.
    - Shape of the cell and of its nucleus, the part that Otsu's threshold [3]_ calls darker in
      red: area (as a share of the image's), perimeter (as a multiple of the image's side),
      eccentricity, solidity, extent, roundness ``4 pi area / perimeter ** 2``, and Hu's seven
      moments [4]_, of each the root of its degree with its sign; the nucleus's share of the cell.

    Parameters
    ----------
    image_size : int, default=128
        Height and width, in pixels, that images are brought to before they are measured.
    memory : {"auto", None}, path or joblib.Memory, default="auto"
        ``"auto"`` keeps the features in this process, 1 GB at most; a
        folder keeps them on disk, for other processes and runs too; None keeps nothing.
    depth : int, optional
        Bits of a sample that are used, where files have more than 8: 12 for a camera of 12 bits
        whose files have 16, 8 for floats from 0 to 255. By default what the file says, see
        :func:`skall.images.depth.find_white`, else all 16 bits, or floats from 0 to 1.

    Attributes
    ----------
    n_features_in_ : int
        Numbers in a row of flattened X; 1 where a row is a path or an image.

    Notes
    -----
    Needs scikit-image: ``pip install 'skall[imaging]'``.

    References
    ----------
    .. [1] Haralick, R. M., Shanmugam, K., & Dinstein, I. (1973). Textural features for image
       classification. IEEE Transactions on Systems, Man, and Cybernetics SMC-3, 610-621.
       https://doi.org/10.1109/TSMC.1973.4309314
    .. [2] Ojala, T., Pietikäinen, M., & Mäenpää, T. (2002). Multiresolution gray-scale and
       rotation invariant texture classification with local binary patterns. IEEE Transactions on
       Pattern Analysis and Machine Intelligence 24, 971-987.
       https://doi.org/10.1109/TPAMI.2002.1017623
    .. [3] Otsu, N. (1979). A threshold selection method from gray-level histograms. IEEE
       Transactions on Systems, Man, and Cybernetics 9, 62-66.
       https://doi.org/10.1109/TSMC.1979.4310076
    .. [4] Hu, M.-K. (1962). Visual pattern recognition by moment invariants. IRE Transactions on
       Information Theory 8, 179-187. https://doi.org/10.1109/TIT.1962.1057692

    Examples
    --------
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from skall import HandcraftedFeatures
    >>> from skall.datasets import make_blood_cells
    >>> cells = make_blood_cells(24, n_patients=4, image_size=64, random_state=0)
    >>> features = HandcraftedFeatures(image_size=64).set_output(transform="pandas")
    >>> table = features.fit_transform(cells.data)
    >>> table[["red_mean", "glcm_contrast_1", "cell_area"]].shape
    (24, 3)
    >>> model = make_pipeline(features, RandomForestClassifier(random_state=0))
    >>> model.fit(cells.data, cells.target).predict(cells.data[:2]).shape
    (2,)
    """

    _values = VALUES

    def __init__(
        self,
        image_size: int = 128,
        memory: str | os.PathLike | joblib.Memory | None = "auto",
        depth: int | None = None,
    ) -> None:
        self.image_size = image_size
        self.memory = memory
        self.depth = depth

    def _make(self, picture):
        pixels = np.asarray(resize_picture(picture, self.image_size))
        return np.array(list(measure_cell(pixels).values()))

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Names of the features, as ``red_mean``, ``lbp_1_0`` or ``cell_area``.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray of str
        """
        blank = np.zeros((8, 8, 3), np.uint8)
        return np.array(list(measure_cell(blank)), dtype=object)


def measure_cell(pixels):
    """The features of one image by name.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)

    Returns
    -------
    dict of str to float
    """
    cell = find_cell(pixels)
    shown = ~is_black(pixels) if cell is None else cell
    if not shown.any():
        shown = np.ones_like(shown)
    nucleus = None if cell is None else _find_nucleus(pixels, cell)
    grey = np.rint(pixels @ LUMA).astype(np.uint8)
    return {
        **_measure_colour(pixels[shown]),
        **_measure_cooccurrence(grey, shown),
        **_measure_patterns(grey, shown),
        **_measure_shape("cell", cell),
        **_measure_shape("nucleus", nucleus),
        "nucleus_share": 0.0 if cell is None else nucleus.sum() / cell.sum(),
    }


def _find_nucleus(pixels, cell):
    """The largest part of the cell that lets less red light through than the rest."""
    red = ndimage.uniform_filter(pixels[:, :, 0] / 255, 3)
    # At least the darkest pixel, where the cell is all alike.
    threshold = max(find_threshold(red[cell]), red[cell].min())
    regions, n_regions = ndimage.label(cell & (red <= threshold))
    areas = np.bincount(regions.ravel(), minlength=n_regions + 1)[1:]
    return ndimage.binary_fill_holes(regions == 1 + np.argmax(areas)) & cell


def _measure_colour(colours):
    """Moments and percentiles of colours ``(n, 3)`` of uint8."""
    color = import_extra("skimage.color", "imaging", "HandcraftedFeatures")
    hsv = color.rgb2hsv(colours)
    hsv[:, 0] = (hsv[:, 0] + 0.5) % 1
    values = np.hstack([colours / 255, hsv, to_lab(colours)])
    means, stds = values.mean(axis=0), values.std(axis=0)
    cubes = ((values - means) ** 3).mean(axis=0)
    skewness = np.divide(cubes, stds**3, out=np.zeros_like(cubes), where=stds > FLAT)
    percentiles = np.percentile(values, PERCENTILES, axis=0)
    names = ("mean", "std", "skewness", *(f"p{percent}" for percent in PERCENTILES))
    rows = (means, stds, skewness, *percentiles)
    return {
        f"{channel}_{name}": value
        for name, row in zip(names, rows, strict=True)
        for channel, value in zip(CHANNELS, row, strict=True)
    }


def _measure_cooccurrence(grey, shown):
    """Haralick's features of the pairs of pixels that both are shown."""
    feature = import_extra("skimage.feature", "imaging", "HandcraftedFeatures")
    # Level 0 is what is not shown; its pairs are left out.
    levels = np.where(shown, 1 + grey // (256 // GREY_LEVELS), 0).astype(np.uint8)
    pairs = feature.graycomatrix(levels, DISTANCES, ANGLES, GREY_LEVELS + 1, symmetric=True)
    pairs = pairs[1:, 1:].astype(float)
    return {
        f"glcm_{name}_{distance}": value
        for name in PROPERTIES
        for distance, value in zip(
            DISTANCES, feature.graycoprops(pairs, name).mean(axis=1), strict=True
        )
    }


def _measure_patterns(grey, shown):
    """Shares of the uniform local binary patterns."""
    feature = import_extra("skimage.feature", "imaging", "HandcraftedFeatures")
    shares = {}
    for radius, n_neighbours in RINGS:
        patterns = feature.local_binary_pattern(grey, n_neighbours, radius, method="uniform")
        counts = np.bincount(patterns[shown].astype(int), minlength=n_neighbours + 2)
        for kind, share in enumerate(counts / counts.sum()):
            shares[f"lbp_{radius}_{kind}"] = share
    return shares


def _measure_shape(name, mask):
    """The outline of a region; zeros where there is none."""
    if mask is None:
        values = np.zeros(len(OUTLINE) + len(HU_DEGREES))
    else:
        measure = import_extra("skimage.measure", "imaging", "HandcraftedFeatures")
        (region,) = measure.regionprops(mask.astype(np.uint8))
        perimeter = region.perimeter
        roundness = 4 * np.pi * region.area / perimeter**2 if perimeter else 0.0
        hu = region.moments_hu
        values = [
            *(region.area / mask.size, perimeter / max(mask.shape)),
            *(region.eccentricity, region.solidity, region.extent, roundness),
            *(np.sign(hu) * np.abs(hu) ** (1 / HU_DEGREES)),
        ]
    names = [*OUTLINE, *(f"hu{number}" for number in range(1, len(HU_DEGREES) + 1))]
    return {f"{name}_{key}": float(value) for key, value in zip(names, values, strict=True)}
