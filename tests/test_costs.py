"""Costs of estimators: the same wherever they stand, and what is shared apart."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skall import CNNClassifier, CNNFeatures, compare
from skall.cache.memory import IN_PROCESS, get_store, without_cache
from skall.comparison.costs import measure_latency
from skall.datasets import make_blood_cells
from skall.images.rows import ArrayImages
from skall.network.frozen import LAST_TRUNK

CELLS = make_blood_cells(24, n_patients=8, image_size=32, random_state=0)
TINY = {"weights": None, "image_size": 32, "max_epochs": 2, "random_state": 0}
NETWORK = "timm/test_resnet"
# Not the size that networks take, so that they are read through the cache.
X = CELLS.data[:, :30]


class Clock:
    """Time that passes only where the test says so."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now

    def slow_down(self, function, seconds):
        """The function, taking so long in each call."""

        def slowed(*args, **options):
            self.now += seconds
            return function(*args, **options)

        return slowed


@pytest.fixture
def clock(monkeypatch):
    """A second for an image read, ten for a pass of a frozen trunk, a tenth for one of the rest."""
    clock = Clock()
    time = SimpleNamespace(perf_counter=clock.perf_counter)
    for module in ("skall.cache.shared_time", "skall.comparison.costs"):
        monkeypatch.setattr(f"{module}.time", time)
    monkeypatch.setattr(ArrayImages, "open", clock.slow_down(ArrayImages.open, 1.0))
    execution = "skall.classifier.execution"
    for module, seconds in (("skall.features.extraction", 10.0), (execution, 0.1)):
        target = f"{module}.run_halved"
        function = sys.modules[module].run_halved
        monkeypatch.setattr(target, clock.slow_down(function, seconds))
    padded = sys.modules[execution].run_padded
    monkeypatch.setattr(f"{execution}.run_padded", clock.slow_down(padded, 0.1))
    IN_PROCESS.clear()
    LAST_TRUNK.clear()
    return clock


def run(models, **options):
    options = {"cv": 2, "random_state": 0, "verbose": 0, "baselines": False} | options
    return compare(models, X, CELLS.target, pos_label=CELLS.pos_label, **options)


def make_model(kind):
    if kind == "pipeline":
        features = CNNFeatures(NETWORK, weights=None, image_size=32, random_state=0)
        return make_pipeline(features, LogisticRegression())
    return CNNClassifier(NETWORK, trainable=kind, **TINY)


@pytest.mark.parametrize("kind", ["head", "all", "pipeline"])
def test_costs_do_not_depend_on_the_order(clock, kind):
    """Where the first paid for the cache, it took ten times as long for an image as the second."""
    budgets = run({"first": make_model(kind), "second": make_model(kind)}).budgets()
    first, second = budgets.loc["first"], budgets.loc["second"]
    assert first["fit_seconds"] == pytest.approx(second["fit_seconds"])
    assert first["predict_ms"] == pytest.approx(second["predict_ms"])
    # Images are read once for both; what is frozen is computed once.
    assert first["shared_seconds"] > second["shared_seconds"]
    if kind != "all":
        # The trunk's pass is in the time of a prediction, for a block of 16.
        assert first["predict_ms"] >= 1000 * 10 / 16
        assert first["shared_seconds"] >= 24 + 2 * 10 and second["shared_seconds"] == 0
    if kind == "pipeline":
        assert first["fit_seconds"] == 0


@pytest.mark.usefixtures("without_page")
def test_what_is_measured_is_stored(tmp_path):
    comparison = run({"net": make_model("head")}, out=tmp_path)
    again = run({"net": make_model("head")}, out=tmp_path)
    columns = ["fit_seconds", "shared_seconds", "predict_ms", "peak_memory"]
    resources = comparison.resources_
    assert list(resources) == ["estimator", "repeat", "fold", *columns]
    assert (resources[["fit_seconds", "shared_seconds"]] > 0).all(axis=None)
    assert resources["predict_ms"].notna().tolist() == [True, False]
    np.testing.assert_array_equal(again.resources_[columns], resources[columns])


def test_images_are_decoded_before(tmp_path):
    """A reader of the user's own gets what it takes."""
    paths = [tmp_path / f"{row}.png" for row in range(3)]
    for path in paths:
        Image.new("RGB", (5, 4)).save(path)
    files, seen = np.array([[str(path)] for path in paths], dtype=object), []

    def predict(samples):
        seen.append(samples)

    assert measure_latency(predict, files) > 0
    assert all(len(samples) == 16 for samples in seen)
    assert all(isinstance(picture, Image.Image) for samples in seen for picture in samples)

    def read(samples):
        seen.append([str(path) for path in samples[:, 0]])

    seen.clear()
    assert measure_latency(read, files) > 0
    assert seen[0] == [str(paths[row % 3]) for row in range(16)]

    def refuse(samples):
        raise ValueError("out of luck")

    assert np.isnan(measure_latency(refuse, files))


def test_nothing_is_kept_without_cache(tmp_path):
    with without_cache():
        for memory in ("auto", None, tmp_path):
            store = get_store(memory)
            store.put(b"key", np.zeros(1))
            assert store.get(b"key") is None
        assert get_store("auto") is not IN_PROCESS
    assert get_store("auto") is IN_PROCESS


class Hungry(LogisticRegression):
    """Holds so many megabytes for a while."""

    def __init__(self, megabytes=0):
        super().__init__()
        self.megabytes = megabytes

    def fit(self, X, y):
        np.ones(self.megabytes * 125_000)
        return super().fit([[row] for row in range(len(y))], y)

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)

    def predict(self, X):
        return np.repeat(self.classes_[:1], len(X))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the memory of a fit")
def test_memory_is_that_of_the_fit():
    """And not the most that the process has ever held, which was the greedy one's for all."""
    models = {"small": Hungry(40), "greedy": Hungry(300), "again": Hungry(40), "none": Hungry()}
    memory = run(models, scoring=["accuracy"]).budgets()["peak_memory"] / 1e6
    assert memory["greedy"] == pytest.approx(300, abs=15)
    assert memory["small"] == pytest.approx(40, abs=15)
    assert memory["again"] == pytest.approx(40, abs=15)
    assert memory["none"] < 15


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the memory of a fit")
def test_memory_of_a_frozen_trunk_counts_for_each():
    """Also where the trunk of the network before is used again."""
    models = {name: CNNClassifier("resnet18", trainable="head", **TINY) for name in ("a", "b", "c")}
    memory = run(models, cv=3).budgets()["peak_memory"]
    # 11.2 million weights of four bytes.
    assert memory.min() > 44e6
    assert memory.max() < 1.3 * memory.min()
