"""scikit-learn's own checks, on flattened images: none fails, none is skipped."""

import pytest
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator

from skall import CNNFeatures, ImagePreprocessor, get_estimator

NAME = "timm/test_resnet"


def make_classifier():
    return get_estimator(
        NAME, weights=None, image_size=32, max_epochs=8, lr=1e-2, random_state=0
    )


def make_features():
    return CNNFeatures(NAME, weights=None, image_size=32, random_state=0)


def make_preprocessor():
    return ImagePreprocessor(size=8)


# The least numbers of checks there are for each: fewer means that some vanished unseen.
ESTIMATORS = {make_classifier: 60, make_features: 45, make_preprocessor: 45}


def list_checks():
    for make in ESTIMATORS:
        for number, (_, check) in enumerate(estimator_checks_generator(make())):
            name = getattr(check, "func", check).__name__
            yield pytest.param(make, number, id=f"{make.__name__}-{name}-{number}")
