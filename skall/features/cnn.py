"""Features of a backbone as a scikit-learn transformer."""

import os
from collections.abc import Sequence
from typing import Literal, Self

import joblib
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skall.backbones.registry import get_backbone
from skall.cache.memory import get_store
from skall.cache.shared_time import SHARED_TIME
from skall.environment.randomness import draw_seed, seeded
from skall.features.extraction import extract_features, identify_extractor
from skall.images.inputs import ImagesLike, check_images
from skall.network.device import Stay, resolve_device
from skall.network.precision import choose_numerics
from skall.network.trunk import build_extractor, measure_features
from skall.persistence.pickling import PackedState
from skall.validation.constraints import NETWORK_VALUES, check_values, one_of

VALUES = NETWORK_VALUES | {"pooling": (one_of("avg", "flatten"), "'avg' or 'flatten'")}


class CNNFeatures(PackedState, TransformerMixin, BaseEstimator):
    """Compute the features of images with a backbone, for any scikit-learn classifier.

    Parameters
    ----------
    backbone : str, default="resnet18"
        A name of :func:`~skall.list_backbones` or ``"timm/<model>"``.
    weights : {"imagenet", None} or path, default="imagenet"
        As for :class:`CNNClassifier`.
    pooling : {"avg", "flatten"}, default="avg"
        Mean over the places of the feature map, ``c`` features; or the whole map,
        ``c * h' * w'``.
    image_size : int, optional
        Height and width, in pixels, that images are resized to; by default the backbone's own.
    image_shape : tuple of 2 or 3 ints, optional
        Height, width (and channels) of images given as rows of numbers.
    memory : {"auto", None}, path or joblib.Memory, default="auto"
        ``"auto"`` caches the features in this process, 1 GB at most; a folder caches them on disk,
        for other processes and runs too; None does not cache.
    device : str or torch.device, default="auto"
        ``"auto"``: CUDA, then MPS, then the CPU.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        As for :class:`CNNClassifier`.
    random_state : int, RandomState instance or None, default=None
        Seeds the weights where ``weights`` is None.
    depth : int, optional
        Significant bits of a sample, for files with more than 8: 12 for a 12-bit camera whose files
        have 16 bits, 8 for floats from 0 to 255. By default the depth that the file states, see
        :func:`skall.images.depth.find_white`, else all 16 bits, or floats from 0 to 1.

    Attributes
    ----------
    extractor_ : skall.network.trunk.FeatureExtractor
    feature_shape_ : tuple of int
        ``(c,)``, or ``(c * h' * w',)`` where the map is flattened.
    image_size_ : int
    n_features_in_ : int
        Numbers in a row of flattened X; 1 where a row is a path or an image.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skall import CNNFeatures
    >>> from skall.datasets import make_blood_cells
    >>> cells = make_blood_cells(24, n_patients=4, image_size=64, random_state=0)
    >>> features = CNNFeatures("timm/test_resnet", weights=None, image_size=64, random_state=0)
    >>> hybrid = make_pipeline(features, LogisticRegression(max_iter=1000))
    >>> hybrid.fit(cells.data, cells.target).predict(cells.data[:2]).shape
    (2,)
    """

    _packed_names = ("extractor_",)

    def __init__(
        self,
        backbone: str = "resnet18",
        weights: str | os.PathLike | None = "imagenet",
        pooling: Literal["avg", "flatten"] = "avg",
        image_size: int | None = None,
        image_shape: Sequence[int] | None = None,
        memory: str | os.PathLike | joblib.Memory | None = "auto",
        device: str | torch.device = "auto",
        precision: Literal["auto", "float32", "bfloat16"] = "auto",
        random_state: int | np.random.RandomState | None = None,
        depth: int | None = None,
    ) -> None:
        self.backbone = backbone
        self.weights = weights
        self.pooling = pooling
        self.image_size = image_size
        self.image_shape = image_shape
        self.memory = memory
        self.device = device
        self.precision = precision
        self.random_state = random_state
        self.depth = depth

    @SHARED_TIME.running()
    def fit(self, X: ImagesLike, y: object = None) -> Self:
        """Load the trunk; the images are only checked.

        Parameters
        ----------
        X : array-like
            Images, as :meth:`CNNClassifier.fit` takes them.
        y : ignored

        Returns
        -------
        self : CNNFeatures
        """
        check_values(self, VALUES)
        check_images(self, X, reset=True)
        self.image_size_ = self.image_size or get_backbone(self.backbone).input_size
        with seeded(draw_seed(self.random_state)):
            self.extractor_ = build_extractor(
                self.backbone, self.weights, self.pooling, frozen=True
            )
            self.extractor_.requires_grad_(False)
            self._stay = Stay()
            self.feature_shape_ = measure_features(self.extractor_, self.backbone, self.image_size_)
        return self

    @SHARED_TIME.running()
    def transform(self, X: ImagesLike) -> NDArray[np.float32]:
        """Compute the features of images.

        Parameters
        ----------
        X : array-like
            Images, as :meth:`CNNClassifier.fit` takes them.

        Returns
        -------
        features : ndarray of float32, shape (n, n_features)
        """
        check_is_fitted(self, "extractor_")
        images = check_images(self, X, reset=False)
        device = resolve_device(self.device)
        self.extractor_.numerics = choose_numerics(self.precision, self.backbone, device)
        with self._stay.visit(self.extractor_, device):
            features = extract_features(
                self.extractor_,
                images,
                range(len(images)),
                self.image_size_,
                store=get_store(self.memory),
                key=identify_extractor(
                    self.extractor_, self.backbone, self.weights, self.random_state
                ),
            )
        return features.numpy()

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Name the features by the backbone and a number.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        names : ndarray of str
        """
        check_is_fitted(self, "extractor_")
        names = [f"{self.backbone}_{number}" for number in range(self.feature_shape_[0])]
        return np.array(names, dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags
