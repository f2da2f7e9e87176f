"""What other packages' tools do with a network: what works, and what is told where it cannot."""

import io
import pickle

import numpy as np
import pytest
import skops.io
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier
from torch.utils.data import TensorDataset

from skall import CNNClassifier, CNNFeatures, compare
from skall.datasets import make_blood_cells

CELLS = make_blood_cells(16, n_patients=4, image_size=16, random_state=0)
TWO = np.stack([CELLS.target == "ALL", np.arange(16) % 2 == 0], axis=1).astype(int)
FLAT = CELLS.data.reshape(16, -1)


def make_net(**params):
    params = {"weights": None, "image_size": 32, "max_epochs": 1, "random_state": 0} | params
    return CNNClassifier("timm/test_resnet", **params)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    for row, pixels in enumerate(CELLS.data):
        Image.fromarray(pixels).save(folder / f"{row}.png")
    return np.array([[str(folder / f"{row}.png")] for row in range(16)], dtype=object)


def dump_and_load(estimator):
    """What skops makes of an estimator: asked what it holds first, as its users do."""
    data = skops.io.dumps(estimator)
    return skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))


@pytest.mark.parametrize(
    "params",
    [
        {"trainable": "head"},
        {"early_stopping": True, "lr_schedule": "cosine", "validation_fraction": 0.3},
        {"ema_decay": 0.9, "class_weight": "balanced", "optimizer": torch.optim.SGD},
    ],
    ids=str,
)
def test_skops_keeps_a_network(params):
    net = make_net(**params).fit(CELLS.data, CELLS.target)
    same = dump_and_load(net)
    np.testing.assert_array_equal(same.predict_proba(CELLS.data), net.predict_proba(CELLS.data))
    assert same.get_params() == net.get_params()
    np.testing.assert_array_equal(same.classes_, net.classes_)
    assert same.history_frame_.equals(net.history_frame_)
    again, expected = (
        each.fit(CELLS.data, CELLS.target).predict_proba(CELLS.data) for each in (same, clone(net))
    )
    np.testing.assert_array_equal(again, expected)


def test_a_network_kept_by_skops_goes_on_training():
    net = make_net().partial_fit(CELLS.data, CELLS.target)
    same = dump_and_load(net)
    for each in (net, same):
        each.partial_fit(CELLS.data, CELLS.target)
    np.testing.assert_array_equal(same.predict_proba(CELLS.data), net.predict_proba(CELLS.data))


def test_skops_keeps_pipelines_and_what_is_not_fitted():
    features = CNNFeatures("timm/test_resnet", weights=None, image_size=32, random_state=0)
    pipeline = make_pipeline(features, LogisticRegression()).fit(CELLS.data, CELLS.target)
    same = dump_and_load(pipeline)
    expected = pipeline.predict_proba(CELLS.data)
    np.testing.assert_array_equal(same.predict_proba(CELLS.data), expected)
    assert dump_and_load(make_net(lr=0.3)).get_params() == make_net(lr=0.3).get_params()


class Doubled(torch.nn.Linear):
    """A head of the user's own, which pickle knows by its name alone."""

    def __init__(self, feature_shape, n_outputs):
        super().__init__(2 * int(np.prod(feature_shape)), n_outputs)

    def forward(self, features):
        features = features.flatten(1)
        return super().forward(torch.cat([features, features], dim=1))


def test_pickles_hold_modules_and_not_bytes_of_them():
    """So that cloudpickle can keep a head that is written in a notebook, whole."""
    net = make_net(head=Doubled).fit(CELLS.data, CELLS.target)
    names = []

    class Pickler(pickle.Pickler):
        def reducer_override(self, obj):
            names.append(type(obj).__name__)
            return NotImplemented

    file = io.BytesIO()
    Pickler(file).dump(net)
    assert "Doubled" in names
    same = pickle.loads(file.getvalue())
    np.testing.assert_array_equal(same.predict_proba(CELLS.data), net.predict_proba(CELLS.data))


def test_data_sets_of_torch_are_explained():
    dataset = TensorDataset(torch.rand(16, 3, 16, 16), torch.arange(16) % 2)
    net = make_net()
    with pytest.raises(TypeError, match=r"data set of torch, TensorDataset.*dataset\.samples"):
        net.fit(dataset, None)
    net.fit(CELLS.data, CELLS.target)
    for method in (net.predict, net.predict_proba, net.decision_function):
        with pytest.raises(TypeError, match="data set of torch, TensorDataset"):
            method(dataset)
    # As the message says.
    pictures = list(map(Image.fromarray, CELLS.data))
    found = make_net().fit(pictures, list(CELLS.target)).predict_proba(pictures)
    np.testing.assert_array_equal(found, net.predict_proba(CELLS.data))


def test_predictions_beside_images_are_explained(paths):
    stack = StackingClassifier(
        [("net", make_net())], final_estimator=make_net(), passthrough=True, cv=2
    )
    with pytest.raises(ValueError, match=r"images beside numbers.*passthrough=False"):
        stack.fit(paths, CELLS.target)
    with pytest.warns(UserWarning, match=r"without 1 of them they would be 16 x 16.*passthrough"):
        stack.fit(FLAT / 255, CELLS.target)
    # Beside probabilities, uint8 becomes float.
    with (
        pytest.warns(UserWarning, match="passthrough"),
        pytest.raises(ValueError, match=r"X / 255"),
    ):
        stack.fit(FLAT, CELLS.target)
    stack.set_params(final_estimator=LogisticRegression())
    piped = make_pipeline("passthrough", stack)
    with pytest.raises(ValueError, match=r"'piped': StackingClassifier\(passthrough=True\) hands"):
        compare({"piped": piped}, paths, CELLS.target, pos_label="ALL", cv=2, verbose=0)
    stack.set_params(passthrough=False)
    assert stack.fit(paths, CELLS.target).predict_proba(paths).shape == (16, 2)


def test_features_may_stand_beside_predictions():
    features = CNNFeatures("timm/test_resnet", weights=None, image_size=32, random_state=0)
    members = [("tree", DecisionTreeClassifier())]
    stack = StackingClassifier(members, LogisticRegression(), passthrough=True, cv=2)
    models = {"stack": make_pipeline(features, stack)}
    options = {"pos_label": "ALL", "cv": 2, "scoring": ["accuracy"], "verbose": 0}
    assert compare(models, CELLS.data, CELLS.target, **options).failures_.empty


def test_several_labels_an_image_are_explained(paths):
    with pytest.raises(ValueError, match=r"1d array.*\(16, 2\).*MultiOutputClassifier.*argmax"):
        make_net().fit(paths, TWO)
    grey = CELLS.data[..., 0].reshape(16, -1) / 255
    with pytest.warns(UserWarning, match=r"257 numbers.*ClassifierChain.*MultiOutputClassifier"):
        ClassifierChain(make_net()).fit(grey, TWO)
    with pytest.raises(ValueError, match=r"image_shape=\(16, 16\) does not.*ClassifierChain"):
        ClassifierChain(make_net(image_shape=(16, 16))).fit(grey, TWO)
    assert MultiOutputClassifier(make_net()).fit(paths, TWO).predict(paths).shape == (16, 2)


def test_a_strip_that_is_meant_is_one():
    X = np.random.default_rng(0).random((16, 257))
    make_net(image_shape=(1, 257)).fit(X, CELLS.target)
    make_net().fit(X[:, :70], CELLS.target)
