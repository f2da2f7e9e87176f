"""Images brought to one size and contrast before they are classified."""

import numpy as np
from PIL import ImageOps
from sklearn.base import BaseEstimator, TransformerMixin

from skall.cache import get_store
from skall.images.inputs import as_images, check_images
from skall.images.pixels import RESIZES, resize_picture

CONTRASTS = {None: None, "equalize": ImageOps.equalize, "autocontrast": ImageOps.autocontrast}


class ImagePreprocessor(TransformerMixin, BaseEstimator):
    """Turn images of any kind into one array of RGB images of one size.

    Stateless: each image is changed by itself, so nothing passes from training to test images.

    Parameters
    ----------
    size : int, default=224
        Height and width of the images made, in pixels.
    resize : {"stretch", "pad", "crop"}, default="stretch"
        Change the aspect ratio; keep it and fill with black; keep it and cut the longer side.
    contrast : {None, "equalize", "autocontrast"}, default=None
        Flatten the histogram of each channel, or stretch each to the whole range, after resizing.
        ``"clahe"`` is not implemented yet.
    memory : {"auto", None}, default="auto"
        ``"auto"`` keeps the images made in this process, 1 GB at most; None keeps nothing.

    Attributes
    ----------
    n_features_in_ : int
        Numbers in a row of flattened X; 1 where a row is a path or an image.

    Examples
    --------
    >>> from skall import ImagePreprocessor
    >>> from skall.datasets import make_blood_cells
    >>> cells = make_blood_cells(4, n_patients=2, image_size=64, random_state=0)
    >>> images = ImagePreprocessor(size=32, contrast="autocontrast").fit_transform(cells.data)
    >>> images.shape, images.dtype
    ((4, 32, 32, 3), dtype('uint8'))
    """

    def __init__(self, size=224, resize="stretch", contrast=None, memory="auto"):
        self.size = size
        self.resize = resize
        self.contrast = contrast
        self.memory = memory

    def fit(self, X, y=None):
        """Check the images and parameters; there is nothing to learn.

        Parameters
        ----------
        X : array-like
            Images, as :meth:`CNNClassifier.fit` takes them.
        y : ignored

        Returns
        -------
        ImagePreprocessor
        """
        self._check_parameters()
        check_images(self, X, reset=True)
        return self

    def transform(self, X):
        """Make the images.

        Parameters
        ----------
        X : array-like
            Images, as :meth:`CNNClassifier.fit` takes them. Rows of numbers are cut to [0, 1].

        Returns
        -------
        ndarray of uint8, shape (n, size, size, 3)
        """
        self._check_parameters()
        fitted = hasattr(self, "n_features_in_")
        images = check_images(self, X, reset=False) if fitted else as_images(X)
        store = get_store(self.memory)
        return np.stack([self._make(images, row, store) for row in range(len(images))])

    def _make(self, images, row, store):
        settings = f"|{self.size}|{self.resize}|{self.contrast}".encode()
        key = images.fingerprint(row) + settings
        array = store.get(key)
        if array is None:
            picture = resize_picture(images.open(row), self.size, self.resize)
            change = CONTRASTS[self.contrast]
            array = np.asarray(change(picture) if change else picture)
            store.put(key, array)
        return array

    def _check_parameters(self):
        if isinstance(self.size, bool) or not isinstance(self.size, (int, np.integer)):
            raise TypeError(f"size must be a number of pixels; got {self.size!r}")
        if self.size < 1:
            raise ValueError(f"size must be at least 1 pixel; got {self.size}")
        if self.resize not in RESIZES:
            raise ValueError(f"resize must be one of {', '.join(RESIZES)}; got {self.resize!r}")
        if self.contrast == "clahe":
            raise NotImplementedError("contrast='clahe' is not implemented yet")
        if self.contrast not in list(CONTRASTS):
            raise ValueError(
                f"contrast must be one of {', '.join(map(str, CONTRASTS))}; got {self.contrast!r}"
            )
        get_store(self.memory)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []
        return tags
