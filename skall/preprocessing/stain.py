"""StainNormalizer: images brought to the stain of the training images."""

import os
from typing import Literal, Self

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skall.cache.memory import get_store
from skall.images.inputs import ImagesLike, check_images
from skall.preprocessing.colour import from_lab, to_lab
from skall.preprocessing.foreground import is_black
from skall.preprocessing.preprocessor import SIZE_VALUES, prepare_images
from skall.validation.constraints import check_values

# More would turn the noise of a nearly uniform image into colours.
LARGEST_GAIN = 4


class StainNormalizer(TransformerMixin, BaseEstimator):
    """Bring the colours of images to those of the training images, after Reinhard et al. [1]_.

    The mean and the standard deviation of each channel of CIELAB become those of the reference:
    the median of the training images' means and standard deviations. The paper uses l-alpha-beta,
    whose logarithms are unstable in the dark; CIELAB is alike in what it separates. Black pixels,
    as around cells that are cut out, neither count nor change. Deviations grow fourfold at most.

    In a pipeline within cross-validation the reference comes from the training fold only.

    Parameters
    ----------
    size : int, default=224
        Height and width of the images made, in pixels.
    resize : {"stretch", "pad", "crop"}, default="stretch"
        As for :class:`ImagePreprocessor`.
    memory : {"auto", None}, path or joblib.Memory, default="auto"
        ``"auto"`` keeps the resized images in this process, 1 GB at most; a
        folder keeps them on disk, for other processes and runs too; None keeps nothing.
    depth : int, optional
        Bits of a sample that are used, where files have more than 8: 12 for a camera of 12 bits
        whose files have 16, 8 for floats from 0 to 255. By default what the file says, see
        :func:`skall.images.depth.find_white`, else all 16 bits, or floats from 0 to 1.

    Attributes
    ----------
    mean_, std_ : ndarray of float64, shape (3,)
        The reference: mean and standard deviation of L*, a* and b*.
    n_features_in_ : int
        Numbers in a row of flattened X; 1 where a row is a path or an image.

    References
    ----------
    .. [1] Reinhard, E., Ashikhmin, M., Gooch, B., & Shirley, P. (2001). Color transfer between
       images. IEEE Computer Graphics and Applications 21(5), 34-41.
       https://doi.org/10.1109/38.946629

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from skall import CNNClassifier
    >>> from skall.datasets import make_blood_cells
    >>> from skall.preprocessing import StainNormalizer
    >>> cells = make_blood_cells(8, n_patients=4, image_size=32, random_state=0)
    >>> net = CNNClassifier("timm/test_resnet", weights=None, image_size=32, max_epochs=1)
    >>> model = make_pipeline(StainNormalizer(size=32), net).fit(cells.data, cells.target)
    >>> model[0].mean_.shape
    (3,)
    """

    mean_: NDArray[np.float64]
    std_: NDArray[np.float64]

    def __init__(
        self,
        size: int = 224,
        resize: Literal["stretch", "pad", "crop"] = "stretch",
        memory: str | os.PathLike | joblib.Memory | None = "auto",
        depth: int | None = None,
    ) -> None:
        self.size = size
        self.resize = resize
        self.memory = memory
        self.depth = depth

    def fit(self, X: ImagesLike, y: object = None) -> Self:
        """Learn the reference.

        Parameters
        ----------
        X : array-like
            Training images, as :meth:`CNNClassifier.fit` takes them.
        y : ignored

        Returns
        -------
        StainNormalizer
        """
        check_values(self, SIZE_VALUES)
        images = self._prepare(check_images(self, X, reset=True))
        statistics = [measure_stain(to_lab(pixels), ~is_black(pixels)) for pixels in images]
        self.mean_, self.std_ = np.median(statistics, axis=0)
        return self

    def transform(self, X: ImagesLike) -> NDArray[np.uint8]:
        """Bring images to the reference.

        Parameters
        ----------
        X : array-like
            Images, as :meth:`CNNClassifier.fit` takes them. Rows of numbers are cut to [0, 1].

        Returns
        -------
        ndarray of uint8, shape (n, size, size, 3)
        """
        check_is_fitted(self)
        images = self._prepare(check_images(self, X, reset=False))
        for pixels in images:
            shown = ~is_black(pixels)
            lab = to_lab(pixels)
            mean, std = measure_stain(lab, shown)
            gain = np.minimum(self.std_ / np.maximum(std, 1e-6), LARGEST_GAIN)
            pixels[shown] = from_lab((lab[shown] - mean) * gain + self.mean_)
        return images

    def _prepare(self, images):
        return prepare_images(images, get_store(self.memory), size=self.size, resize=self.resize)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags


def measure_stain(lab, shown):
    """Mean and standard deviation of each channel over the pixels that are shown.

    Parameters
    ----------
    lab : ndarray of float, shape (h, w, 3)
    shown : ndarray of bool, shape (h, w)
        The whole image counts where none is.

    Returns
    -------
    ndarray of float64, shape (2, 3)
    """
    values = lab[shown] if shown.any() else lab.reshape(-1, 3)
    return np.array([values.mean(axis=0), values.std(axis=0)])
