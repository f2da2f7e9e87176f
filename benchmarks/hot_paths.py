"""The hot paths, each in a fraction of a second: a regression of speed is seen within minutes.

    pytest --benchmark-enable benchmarks/hot_paths.py   # measures them
    nox -s benchmarks -- main                           # fails where one is slower than in main

The tests run each of them once. Only public names are used, so that any two revisions can be
compared. The long measurements, on published networks and beside other tools, are those of
``speed.py``.
"""

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression

from skall import CNNClassifier, CNNFeatures, ImagePreprocessor, compare, metrics
from skall.cache import IN_PROCESS
from skall.datasets import make_blood_cells

CELLS = make_blood_cells(96, n_patients=12, image_size=64, random_state=0)
NETWORK = {"weights": None, "image_size": 64, "random_state": 0}


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    files = [folder / f"{number}.png" for number in range(len(CELLS.data))]
    for file, image in zip(files, CELLS.data, strict=True):
        Image.fromarray(image).save(file)
    return np.array([[str(file)] for file in files])


@pytest.fixture(scope="module")
def comparison():
    estimators = {str(seed): LogisticRegression(C=10.0**-seed) for seed in range(3)}
    X = CELLS.data[:, ::8, ::8].reshape(len(CELLS.data), -1) / 255
    options = {"pos_label": CELLS.pos_label, "cv": 4, "random_state": 0, "verbose": 0}
    return compare(estimators, X, CELLS.target, groups=CELLS.groups, **options)


def test_decoding(benchmark, paths):
    preprocessor = ImagePreprocessor(size=48, memory=None)
    images = benchmark(preprocessor.transform, paths)
    assert images.shape == (96, 48, 48, 3)


def test_features(benchmark):
    features = CNNFeatures("timm/test_resnet", memory=None, **NETWORK).fit(CELLS.data)
    assert len(benchmark(features.transform, CELLS.data)) == 96


def test_features_from_the_cache(benchmark, paths):
    IN_PROCESS.clear()
    features = CNNFeatures("timm/test_resnet", **NETWORK).fit(paths)
    expected = features.transform(paths)
    np.testing.assert_array_equal(benchmark(features.transform, paths), expected)


def test_features_from_a_folder(benchmark, paths, tmp_path):
    features = CNNFeatures("timm/test_resnet", memory=tmp_path, **NETWORK).fit(paths)
    expected = features.transform(paths)
    np.testing.assert_array_equal(benchmark(features.transform, paths), expected)


@pytest.mark.parametrize("trainable", ["head", "all"])
def test_training(benchmark, trainable):
    net = CNNClassifier("timm/test_resnet", trainable=trainable, max_epochs=3, **NETWORK)
    fitted = benchmark(net.fit, CELLS.data, CELLS.target)
    assert len(fitted.history_) == 3


@pytest.mark.parametrize("n_images", [1, 96])
def test_prediction(benchmark, n_images):
    net = CNNClassifier("timm/test_resnet", max_epochs=1, memory=None, **NETWORK)
    net.fit(CELLS.data, CELLS.target)
    assert len(benchmark(net.predict_proba, CELLS.data[:n_images])) == n_images


def test_scorers(benchmark):
    X = CELLS.data.reshape(96, -1)[:, ::97]
    classifier = LogisticRegression(C=1e-6).fit(X, CELLS.target)
    scorers = metrics.scorers(CELLS.pos_label)

    def score():
        return {name: scorer(classifier, X, CELLS.target) for name, scorer in scorers.items()}

    assert benchmark(score)["accuracy"] > 0.5


def test_test_over_patients(benchmark, comparison):
    assert len(benchmark(comparison.test))


def test_table(benchmark, comparison):
    assert len(benchmark(comparison.table)) >= 3


def test_report(benchmark, comparison, tmp_path):
    benchmark.pedantic(comparison.report, (tmp_path / "report.html",), rounds=2)
    assert (tmp_path / "report.html").stat().st_size > 10_000
