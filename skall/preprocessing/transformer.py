"""Transformers that change or measure each image by itself."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from skall.cache.memory import get_store
from skall.cache.shared_time import SHARED_TIME
from skall.cache.store import make_key
from skall.images.inputs import ImagesLike, as_images, check_images
from skall.validation.constraints import check_values


class ImageTransformer(TransformerMixin, BaseEstimator):
    """A stateless transformer of images.

    Subclasses have the parameters ``memory`` and ``depth``, and give ``_values``, what their
    parameters may be (see :func:`skall.validation.constraints.check_values`), and
    ``_make(picture)``, the array of one RGB PIL image.
    """

    _values: dict[str, Any]
    memory: Any
    depth: int | None

    def fit(self, X: ImagesLike, y: object = None) -> Self:
        """Check the images and parameters; there is nothing to learn.

        Parameters
        ----------
        X : array-like
            Images, as :meth:`CNNClassifier.fit` takes them.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For a parameter that is not possible.
        """
        check_values(self, self._values)
        check_images(self, X, reset=True)
        return self

    def _open(self, X):
        """The images of X, which need not have been fitted to."""
        check_values(self, self._values)
        fitted = hasattr(self, "n_features_in_")
        return check_images(self, X, reset=False) if fitted else as_images(X, depth=self.depth)

    @SHARED_TIME.running()
    def transform(self, X: ImagesLike) -> NDArray[Any]:
        """Measure images.

        Parameters
        ----------
        X : array-like
            Images, as :meth:`CNNClassifier.fit` takes them. Rows of numbers are cut to [0, 1].

        Returns
        -------
        ndarray of float64, shape (n, n_features)
        """
        images, store = self._open(X), get_store(self.memory, small=True)
        return np.stack([self._read(images, row, store) for row in range(len(images))])

    def _read(self, images, row, store):
        """The array of one image, through the store."""
        settings = {name: value for name, value in self.get_params().items() if name != "memory"}
        key = make_key(images.fingerprint(row), type(self).__qualname__, settings)
        return store.get_or_make(key, lambda: self._make(images.open(row)))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []
        return tags
