"""The same seed gives the same bits, nothing else is disturbed, and weights are held once."""

import os
import pickle
import random
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.model_selection import StratifiedGroupKFold

from skall import CNNClassifier, CNNFeatures, cache
from skall.datasets import make_blood_cells

pytestmark = pytest.mark.numerics

NAME = "timm/test_resnet"
CELLS = make_blood_cells(24, n_patients=8, image_size=32, random_state=0)
FLAT = (CELLS.data / 255.0).reshape(24, -1)


def make_classifier(**params):
    settings = {"weights": None, "image_size": 32, "max_epochs": 2, "batch_size": 8}
    return CNNClassifier(NAME, **(settings | {"random_state": 0} | params))


def make_features(**params):
    return CNNFeatures(NAME, **({"weights": None, "image_size": 32, "random_state": 0} | params))


@pytest.fixture(autouse=True)
def empty_cache():
    cache.IN_PROCESS.clear()
    yield
    cache.IN_PROCESS.clear()


def predict_folds(order=(0, 1, 2), X=CELLS.data, disturb=False, **params):
    """Probabilities of three folds, computed in some order, returned in the folds' own."""
    folds = list(StratifiedGroupKFold(3).split(X, CELLS.target, CELLS.groups))
    found = {}
    for number in order:
        train, test = folds[number]
        if disturb:
            np.random.random(number + 7)
            torch.rand(number + 7)
            random.random()
        net = make_classifier(**params).fit(X[train], CELLS.target[train])
        found[number] = net.predict_proba(X[test])
    return [found[number] for number in sorted(found)]


def check_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("memory", ["auto", None])
@pytest.mark.parametrize("trainable", ["all", "head"])
@pytest.mark.parametrize("X", [CELLS.data, FLAT], ids=["images", "flat"])
def test_neither_order_nor_draws_nor_cache_matter(X, trainable, memory):
    settings = {"X": X, "trainable": trainable}
    expected = predict_folds(**settings)
    for order in ((2, 0, 1), (1, 2, 0)):
        cache.IN_PROCESS.clear()
        check_same(predict_folds(order, disturb=True, memory=memory, **settings), expected)
    # Once more, with what the last folds left in the cache.
    check_same(predict_folds(memory=memory, **settings), expected)


def test_the_cache_is_used():
    """The test above compares something."""
    predict_folds(trainable="head", memory=None)
    assert len(cache.IN_PROCESS) == 0
    predict_folds(trainable="head", memory="auto")
    assert len(cache.IN_PROCESS) == 24


def test_the_cache_tells_what_changes_the_features():
    """Seed, size, pooling, shape and backbone each have features of their own."""
    settings = [
        {},
        {"random_state": 1},
        {"image_size": 48},
        {"pooling": "flatten", "image_size": 64},
        {"image_size": 64},
        {"image_shape": (16, 64, 3)},
        {"image_shape": (32, 96)},
        {"backbone": "timm/test_efficientnet"},
    ]
    for options in settings * 2:
        estimator = make_features().set_params(**options)
        found = estimator.fit_transform(FLAT)
        expected = estimator.set_params(memory=None).fit_transform(FLAT)
        np.testing.assert_array_equal(found, expected, err_msg=str(options))


def test_features_do_not_depend_on_the_other_rows():
    expected = make_features(memory=None).fit_transform(CELLS.data)
    for start in (5, 0, 20):
        found = make_features().fit(CELLS.data).transform(CELLS.data[start : start + 3])
        np.testing.assert_array_equal(found, expected[start : start + 3])
    np.testing.assert_array_equal(make_features().fit_transform(CELLS.data), expected)


def test_an_unseeded_trunk_is_not_cached():
    make_features(random_state=None).fit_transform(CELLS.data)
    make_classifier(random_state=None, trainable="head").fit(CELLS.data, CELLS.target)
    assert len(cache.IN_PROCESS) == 0


@pytest.mark.parametrize("trainable", ["all", "head"])
def test_without_a_seed_fits_differ(trainable):
    net = make_classifier(random_state=None, trainable=trainable)
    first = net.fit(CELLS.data, CELLS.target).predict_proba(CELLS.data)
    again = net.fit(CELLS.data, CELLS.target).predict_proba(CELLS.data)
    assert not np.array_equal(first, again)
    features = make_features(random_state=None)
    assert not np.array_equal(*(features.fit_transform(CELLS.data) for _ in range(2)))


def test_a_generator_as_random_state():
    """It is advanced by each fit, as in scikit-learn, so that a seeded one repeats a sequence."""
    runs = []
    for _ in range(2):
        net = make_classifier(random_state=np.random.RandomState(5))
        fits = [net.fit(CELLS.data, CELLS.target).predict_proba(CELLS.data) for _ in range(2)]
        assert not np.array_equal(*fits)
        runs.append(fits)
    check_same(runs[1], runs[0])


@pytest.mark.parametrize("random_state", [0, None])
def test_the_global_generators_are_left_alone(random_state):
    def states():
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()

    net = make_classifier(random_state=random_state)
    for act in (
        lambda: net.fit(CELLS.data, CELLS.target),
        lambda: net.predict_proba(CELLS.data),
        lambda: net.partial_fit(CELLS.data, CELLS.target),
        lambda: net.set_params(trainable="head").fit(CELLS.data, CELLS.target),
        lambda: net.summary(),
        lambda: make_features(random_state=random_state).fit_transform(CELLS.data),
    ):
        before = states()
        act()
        assert states() == before


def test_seeds_differ_between_estimators_and_agree_with_themselves():
    seeds = [predict_folds(random_state=seed)[0] for seed in (0, 1, 0)]
    assert not np.array_equal(seeds[0], seeds[1])
    np.testing.assert_array_equal(seeds[0], seeds[2])


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_precision_is_recorded(precision):
    net = make_classifier(precision=precision).fit(CELLS.data, CELLS.target)
    assert net.precision_ == precision


def test_threads_are_recorded():
    net = make_classifier().fit(CELLS.data, CELLS.target)
    assert net.n_threads_ == torch.get_num_threads()
    n_threads = torch.get_num_threads()
    torch.set_num_threads(n_threads % 2 + 1)
    try:
        assert net.fit(CELLS.data, CELLS.target).n_threads_ == n_threads % 2 + 1
    finally:
        torch.set_num_threads(n_threads)


def test_predictions_in_two_threads():
    """A web server predicts in several threads at once."""
    net = make_classifier().fit(CELLS.data, CELLS.target)
    expected = net.predict_proba(CELLS.data)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(net.predict_proba(CELLS.data)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check_same(found, [expected] * 4)


# -- memory -------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_epochs", [1, 3])
@pytest.mark.parametrize("trainable", ["all", "head"])
def test_weights_are_held_once(trainable, max_epochs):
    net = make_classifier(trainable=trainable, max_epochs=max_epochs)
    net.set_params(head="mlp", image_size=64).fit(CELLS.data, CELLS.target)
    assert net.optimizer_ is None
    assert all(parameter.grad is None for parameter in net.module_.parameters())
    n_bytes = sum(tensor.nbytes for tensor in net.module_.state_dict().values())
    assert n_bytes < len(pickle.dumps(net)) < 1.1 * n_bytes + 50_000


def test_only_partial_fit_keeps_its_optimizer():
    assert make_classifier(warm_start=True).fit(CELLS.data, CELLS.target).optimizer_ is None
    assert make_classifier().partial_fit(CELLS.data, CELLS.target).optimizer_ is not None


def measure_memory():
    """Bytes of this process that lie in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.thorough
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc to read the memory")
def test_ten_fits_do_not_grow_the_process():
    """Ten leaked networks of 3 MB, or as many states of their optimizer, would show."""
    net = make_classifier(head="mlp", image_size=128, max_epochs=1)
    sizes = []
    for _ in range(17):
        net.fit(CELLS.data, CELLS.target).predict(CELLS.data)
        sizes.append(measure_memory())
    n_bytes = sum(tensor.nbytes for tensor in net.module_.state_dict().values())
    assert n_bytes > 3_000_000
    # The allocator comes and goes by some MB, a leak only comes: the least of several counts.
    grown = min(sizes[-4:]) - min(sizes[3:7])
    assert grown < 4 * n_bytes, [f"{size / 1e6:.1f} MB" for size in sizes]
