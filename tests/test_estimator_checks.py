"""scikit-learn's own checks, on flattened images: none fails, none is skipped."""

from unittest import SkipTest

import pytest
from sklearn.base import clone
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from skall import (
    CNNFeatures,
    HandcraftedFeatures,
    ImagePreprocessor,
    StainNormalizer,
    get_estimator,
)

NAME = "timm/test_resnet"
CLASSIFIER = get_estimator(NAME, weights=None, image_size=32, max_epochs=8, lr=1e-2, random_state=0)
FEATURES = CNNFeatures(NAME, weights=None, image_size=32, random_state=0)
PREPROCESSOR = ImagePreprocessor(size=8)
NORMALIZER = StainNormalizer(size=8)
HANDCRAFTED = HandcraftedFeatures(image_size=8)
ESTIMATORS = [CLASSIFIER, FEATURES, PREPROCESSOR, NORMALIZER, HANDCRAFTED]

# scikit-learn runs these on its own estimators, but its generator leaves them out.
NAME_CHECKS = ("check_dataframe_column_names_consistency", "check_n_features_in_after_fitting")
OUTPUT_CHECKS = (
    "check_get_feature_names_out_error",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_global_output_transform_pandas",
)


def run_check(check, *args):
    """Run a check; one that is skipped has checked nothing."""
    try:
        check(*args)
    except SkipTest as exc:
        pytest.fail(f"the check was skipped: {exc}")


@parametrize_with_checks(ESTIMATORS)
def test_estimator_check(estimator, check):
    run_check(check, estimator)


@pytest.mark.parametrize("check", NAME_CHECKS)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_check_of_names(estimator, check):
    run_check(getattr(estimator_checks, check), type(estimator).__name__, clone(estimator))


# The pandas checks fit a DataFrame and transform an array, and the reverse, on purpose.
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        *((FEATURES, check) for check in OUTPUT_CHECKS),
        # The first asks for an error before fit, but a stateless transformer knows its names.
        *((HANDCRAFTED, check) for check in OUTPUT_CHECKS[1:]),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_check_of_output(estimator, check):
    run_check(getattr(estimator_checks, check), type(estimator).__name__, clone(estimator))


@pytest.mark.parametrize(
    ("estimator", "at_least"),
    [(CLASSIFIER, 60), (FEATURES, 44), (PREPROCESSOR, 43), (NORMALIZER, 43), (HANDCRAFTED, 43)],
)
def test_no_check_has_vanished(estimator, at_least):
    """A tag can take checks away unseen."""
    assert len(list(estimator_checks_generator(estimator))) >= at_least
