"""The cache of a comparison: a folder that its folds, estimators and processes share."""

from contextlib import contextmanager

from skall.classifier import CNNClassifier
from skall.comparison.parts import find_last, list_parts
from skall.features.cnn import CNNFeatures
from skall.images.transformer import ImageTransformer
from skall.preprocessing import StainNormalizer

# scikit-learn's pipelines have a parameter `memory` too, of which "auto" is a folder.
KEEPERS = (CNNClassifier, CNNFeatures, ImageTransformer, StainNormalizer)


@contextmanager
def cached_in(folder, estimator):
    """Have an estimator keep in a folder, for a while, what it would keep in this process.

    Parameters
    ----------
    folder : path-like or None
        None changes nothing.
    estimator : estimator
        Unfitted. What it is or holds of skall's estimators is changed where its ``memory`` is
        ``"auto"``.
    """
    parts = [] if folder is None else _list_keepers(estimator)
    last = find_last(estimator)
    for part in parts:
        part.set_params(memory=str(folder))
    try:
        yield
    finally:
        if any(part is last for part in parts):
            # A search has fitted a copy of it.
            parts.append(find_last(estimator))
        for part in parts:
            part.set_params(memory="auto")


def list_readers(estimator):
    """The estimators of skall that an estimator is or holds, each once: they read images.

    Parameters
    ----------
    estimator : estimator

    Returns
    -------
    list of estimator
    """
    return list_parts(estimator, KEEPERS)


def _list_keepers(estimator):
    """Those that keep what they compute in this process."""
    return [
        part
        for part in list_readers(estimator)
        if isinstance(part.memory, str) and part.memory == "auto"
    ]
