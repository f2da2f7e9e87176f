"""Frozen trunks: what is shared, what is used again, and which changes are noticed."""

import gc
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from weakref import ref

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.model_selection import cross_validate

from skall import CNNClassifier, CNNFeatures
from skall.backbones.weights import build_trunk
from skall.cache.memory import IN_PROCESS
from skall.datasets import make_blood_cells
from skall.features.extraction import ArrayRows
from skall.network import frozen, trunk
from skall.network.frozen import LAST_TRUNK, LastTrunk, ModuleState, get_frozen
from skall.network.precision import Numerics

pytestmark = pytest.mark.numerics

NAME = "timm/test_resnet"
CELLS = make_blood_cells(36, n_patients=6, image_size=64, random_state=0)


@pytest.fixture
def file(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "trunk.safetensors"
    save_file(build_trunk(NAME, None).state_dict(), path)
    return path


@pytest.fixture
def built(monkeypatch):
    """The names of trunks that were built, with nothing left of earlier tests."""
    LAST_TRUNK.clear()
    IN_PROCESS.clear()
    names = []

    def build(name, *args):
        names.append(name)
        return build_trunk(name, *args)

    monkeypatch.setattr(trunk, "build_trunk", build)
    return names


def make_net(file, **params):
    params = {"trainable": "head", "image_size": 64, "max_epochs": 2, "random_state": 0} | params
    return CNNClassifier(NAME, weights=file, **params)


def fit(file, **params):
    return make_net(file, **params).fit(CELLS.data, CELLS.target)


def test_folds_share_one_trunk_and_score_the_same(file, built):
    apart = cross_validate(make_net(file), CELLS.data, CELLS.target, cv=3, return_estimator=True)[
        "test_score"
    ]
    assert len(built) == 3
    built.clear()
    together = cross_validate(make_net(file), CELLS.data, CELLS.target, cv=3)["test_score"]
    # The last one of before, which nobody has any more.
    assert not built
    np.testing.assert_array_equal(together, apart)


def test_head_starts_the_same_from_a_trunk_that_was_there(file, built):
    first = fit(file).predict_proba(CELLS.data)
    again = fit(file).predict_proba(CELLS.data)
    assert len(built) == 1
    np.testing.assert_array_equal(again, first)


def test_trunks_in_use_are_left_alone(file, built):
    first, second = fit(file), fit(file)
    assert first.module_.extractor.trunk is not second.module_.extractor.trunk
    assert len(built) == 2


def spoil_weights(trunk):
    with torch.no_grad():
        next(trunk.parameters()).mul_(2)


def spoil_layers(trunk):
    name, _ = next(part for part in trunk.named_modules() if isinstance(part[1], torch.nn.ReLU))
    trunk.set_submodule(name, torch.nn.GELU())


def spoil_unseen(trunk):
    next(trunk.parameters()).data.mul_(2)


def spoil_with_a_hook(trunk):
    trunk.register_forward_hook(lambda module, inputs, output: 2 * output)


@pytest.mark.parametrize(
    "spoil", [spoil_weights, spoil_unseen, spoil_layers, spoil_with_a_hook, torch.nn.Module.half]
)
def test_changed_trunks_are_not_used_again(file, built, spoil):
    net = fit(file)
    expected = net.predict_proba(CELLS.data)
    spoil(net.module_.extractor.trunk)
    del net
    IN_PROCESS.clear()
    np.testing.assert_array_equal(fit(file).predict_proba(CELLS.data), expected)
    assert len(built) == 2


def test_a_trunk_that_somebody_keeps_is_not_used_again(file, built):
    trunk = CNNFeatures(NAME, weights=file, image_size=64).fit(CELLS.data).extractor_.trunk
    assert fit(file).module_.extractor.trunk is not trunk
    assert len(built) == 2


def test_a_trunk_that_was_given_is_in_use_at_once():
    last, build = LastTrunk(), lambda: build_trunk(NAME, None)
    trunk = last.get("trunk", build)
    other = last.get("trunk", build)
    layer, other_layer = next(trunk.children()), next(other.children())
    assert layer is not other_layer
    del trunk, other
    again = last.get("trunk", build)
    assert next(again.children()) is other_layer
    del again
    assert next(last.get("another trunk", build).children()) is not other_layer


def test_threads_that_start_together_have_trunks_of_their_own(file, built):
    expected = CNNFeatures(NAME, weights=file, image_size=64).fit_transform(CELLS.data)
    fitted, start = [], Barrier(4)

    def extract(number):
        start.wait()
        features = CNNFeatures(NAME, weights=file, image_size=64, memory=None).fit(CELLS.data)
        fitted.append(features)
        return features.transform(CELLS.data)

    for _ in range(2):
        fitted.clear()
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(extract, range(4)))
        assert len({id(features.extractor_.trunk) for features in fitted}) == 4
        layers = [next(iter(features.extractor_.parameters())) for features in fitted]
        assert len(set(map(id, layers))) == 4
        for each in found:
            np.testing.assert_array_equal(each, expected)


def test_a_trunk_stays_where_it_is_while_another_thread_uses_it(file, monkeypatch):
    features = CNNFeatures(NAME, weights=file, image_size=64).fit(CELLS.data)
    both, first_is_out = Barrier(2), Event()
    moves, seen = [], []

    def extract(extractor, images, *args, **options):
        both.wait(60)
        if len(images) == 2:
            assert first_is_out.wait(60)
            seen.extend(moves)
        rows = ArrayRows(len(images), (1,))
        rows[:] = 0
        return rows

    # A device that this machine need not have, and nothing brought there.
    monkeypatch.setattr("skall.features.cnn.resolve_device", lambda device: torch.device("cuda"))
    monkeypatch.setattr("skall.features.cnn.choose_numerics", lambda *args: Numerics())
    monkeypatch.setattr("skall.features.cnn.identify_extractor", lambda *args: None)
    monkeypatch.setattr("skall.features.cnn.extract_features", extract)
    monkeypatch.setattr(
        "skall.network.device.move", lambda module, device: moves.append(device.type)
    )
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(features.transform, CELLS.data[:2])
        pool.submit(features.transform, CELLS.data[:1]).result()
        first_is_out.set()
        slow.result()
    assert seen == ["cuda", "cuda"]
    assert moves == ["cuda", "cuda", "cpu"]


def test_threads_get_the_same_features_from_one_transformer(file):
    features = CNNFeatures(NAME, weights=file, image_size=64, memory=None).fit(CELLS.data)
    expected = features.transform(CELLS.data)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(features.transform, [CELLS.data] * 8):
            np.testing.assert_array_equal(found, expected)


def test_features_are_those_of_the_weights_as_they_are(file, built):
    net = fit(file)
    stored = net.predict_proba(CELLS.data)
    net.module_.extractor.trunk.load_state_dict(build_trunk(NAME, None).state_dict())
    assert not np.allclose(net.predict_proba(CELLS.data), stored)
    # Nor do the features of other weights go by the name of the file's.
    np.testing.assert_array_equal(fit(file).predict_proba(CELLS.data), stored)


def test_other_weights_in_the_same_file_are_read(file, built):
    before = CNNFeatures(NAME, weights=file, image_size=64).fit_transform(CELLS.data)
    torch.manual_seed(1)
    save_file(build_trunk(NAME, None).state_dict(), file)
    after = CNNFeatures(NAME, weights=file, image_size=64).fit_transform(CELLS.data)
    assert len(built) == 2 and not np.allclose(before, after)


@pytest.mark.parametrize("params", [{"trainable": "all"}, {"weights": None}])
def test_what_is_trained_or_random_is_built_anew(file, built, params):
    for _ in range(2):
        make_net(file).set_params(**params).fit(CELLS.data, CELLS.target)
    assert len(built) == 2


def test_a_trunk_is_accelerated_once_for_fit_and_prediction(file, built, monkeypatch):
    accelerated = []
    accelerate = frozen.accelerate
    monkeypatch.setattr(
        frozen, "accelerate", lambda *args: accelerated.append(args) or accelerate(*args)
    )
    fit_rows, other_rows = CELLS.data[:24], CELLS.data[24:]
    net = make_net(file).fit(fit_rows, CELLS.target[:24])
    net.predict(other_rows)
    assert len(accelerated) == 1
    spoil_weights(net.module_.extractor.trunk)
    IN_PROCESS.clear()
    net.predict(other_rows)
    assert len(accelerated) == 2


def test_estimators_share_what_is_computed_from_equal_weights(file, built):
    first, second = fit(file), fit(file)
    shared = get_frozen(first.module_.extractor.trunk)
    assert get_frozen(second.module_.extractor.trunk) is shared
    spoil_weights(first.module_.extractor.trunk)
    assert get_frozen(first.module_.extractor.trunk).digest != shared.digest
    assert get_frozen(second.module_.extractor.trunk) is shared


def test_a_frozen_trunk_lives_as_long_as_it_is_used(file, built):
    frozen_trunk = ref(get_frozen(fit(file).module_.extractor.trunk))
    assert frozen_trunk() is not None
    LAST_TRUNK.clear()
    gc.collect()
    assert frozen_trunk() is None


@pytest.mark.parametrize("name", [NAME, "alexnet"])
def test_weights_that_are_changed_unseen_stay_with_who_changed_them(name, tmp_path, built):
    """alexnet has no normalisation to be folded, so that its copy could be the trunk itself."""
    torch.manual_seed(0)
    save_file(build_trunk(name, None).state_dict(), tmp_path / "trunk.safetensors")
    params = {"image_size": 64, "weights": tmp_path / "trunk.safetensors"}
    expected = CNNFeatures(name, **params).fit_transform(CELLS.data)
    IN_PROCESS.clear()
    features = CNNFeatures(name, **params).fit(CELLS.data)
    features.transform(CELLS.data[:2])
    spoil_unseen(features.extractor_.trunk)
    np.testing.assert_array_equal(features.transform(CELLS.data), expected)
    np.testing.assert_array_equal(CNNFeatures(name, **params).fit_transform(CELLS.data), expected)


def test_weights_that_were_changed_unseen_are_not_copied_for_others(file, built):
    features = CNNFeatures(NAME, weights=file, image_size=64).fit(CELLS.data)
    spoil_unseen(features.extractor_.trunk)
    with pytest.raises(RuntimeError, match="in a way that torch does not count"):
        features.transform(CELLS.data)
    spoil_weights(features.extractor_.trunk)
    features.transform(CELLS.data)


def test_a_module_that_was_moved_is_the_same(monkeypatch):
    module = torch.nn.Linear(2, 3)
    before = get_frozen(module)
    with monkeypatch.context() as patch:
        # As on a device whose addresses say nothing about the CPU's.
        patch.setattr(ModuleState, "_find_addresses", lambda self, tensors: None)
        assert get_frozen(module) is before
        module.weight.data = module.weight.data.clone()
        assert get_frozen(module) is before
    assert get_frozen(module) is before
    module.weight.data = module.weight.data.clone()
    assert get_frozen(module) is not before


def test_a_process_keeps_one_copy_for_prediction(file, built):
    first = fit(file)
    assert get_frozen(first.module_.extractor.trunk).nbytes > 0
    second = fit(None)
    assert get_frozen(second.module_.extractor.trunk).nbytes > 0
    assert get_frozen(first.module_.extractor.trunk).nbytes == 0
