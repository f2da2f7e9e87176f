"""Weights and groups on their way through scikit-learn to `fit`."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.model_selection import GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline

from skall import CNNClassifier, ImagePreprocessor
from skall.datasets import make_blood_cells

CELLS = make_blood_cells(18, n_patients=6, image_size=16, random_state=0)
WEIGHTS = np.arange(18) % 3 + 1.0


class Recorder(CNNClassifier):
    """Keeps what `fit` was given."""

    def __init__(self, backbone="timm/test_resnet", *, weights=None, image_size=16, max_epochs=1):
        super().__init__(
            backbone, weights=weights, image_size=image_size, max_epochs=max_epochs, random_state=0
        )

    def fit(self, X, y, sample_weight=None, groups=None):
        self.given_ = sample_weight, groups
        return super().fit(X, y, sample_weight=sample_weight, groups=groups)


def check(results):
    """Each fold's fit got the weights and groups of its own rows."""
    for estimator, rows in zip(results["estimator"], results["indices"]["train"], strict=True):
        net = estimator[-1] if hasattr(estimator, "steps") else estimator
        np.testing.assert_array_equal(net.given_[0], WEIGHTS[rows])
        np.testing.assert_array_equal(net.given_[1], CELLS.groups[rows])


def run(estimator, **options):
    return cross_validate(
        estimator,
        *(CELLS.data, CELLS.target),
        cv=GroupKFold(3),
        return_estimator=True,
        return_indices=True,
        error_score="raise",
        **options,
    )


def test_routing_off():
    passed = {"sample_weight": WEIGHTS, "groups": CELLS.groups}
    check(run(Recorder(), groups=CELLS.groups, params=passed))


def test_routing_off_through_a_pipeline():
    pipeline = make_pipeline(ImagePreprocessor(16), Recorder())
    passed = {"recorder__sample_weight": WEIGHTS, "recorder__groups": CELLS.groups}
    check(run(pipeline, groups=CELLS.groups, params=passed))


@pytest.mark.parametrize("piped", [False, True])
def test_routing_on(piped):
    with config_context(enable_metadata_routing=True):
        net = Recorder().set_fit_request(sample_weight=True, groups=True)
        net.set_score_request(sample_weight=True)
        estimator = make_pipeline(ImagePreprocessor(16), net) if piped else net
        check(run(estimator, params={"sample_weight": WEIGHTS, "groups": CELLS.groups}))


def test_routing_on_without_a_request_is_an_error():
    with (
        config_context(enable_metadata_routing=True),
        pytest.raises(ValueError, match=r"sample_weight.* not .*requested"),
    ):
        run(Recorder(), params={"sample_weight": WEIGHTS, "groups": CELLS.groups})


def test_groups_of_any_type():
    net = CNNClassifier("timm/test_resnet", weights=None, image_size=16, max_epochs=1)
    net.set_params(random_state=0)
    plain = net.fit(CELLS.data, CELLS.target).predict_proba(CELLS.data)
    for groups in (CELLS.groups, CELLS.groups.tolist(), np.arange(18), np.arange(18) / 2):
        net.fit(CELLS.data, CELLS.target, groups=groups)
        # Without an inner split the groups change nothing.
        np.testing.assert_array_equal(net.predict_proba(CELLS.data), plain)
