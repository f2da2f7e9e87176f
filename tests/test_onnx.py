"""Exported models, and the programs other than torch that run them."""

import copy
import json
import pickle
import random
import shutil
import signal
import subprocess
import sys
import threading
from hashlib import blake2b
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score
from torch import nn

import skall
from skall import CNNClassifier, load
from skall.classifier import exporting, runtimes
from skall.datasets import make_blood_cells
from skall.network.precision import Numerics

pytestmark = pytest.mark.numerics

CELLS = make_blood_cells(40, n_patients=8, image_size=32, random_state=0)
X = CELLS.data
THREE = np.array(["a", "b", "c"])[np.arange(40) % 3]
# None of these numbers is one of the 256 of a pixel.
FLAT = (X.reshape(40, -1) + np.random.default_rng(0).uniform(0.2, 0.8, (40, 3072))) / 256
OTHERS = ["onnxruntime", "openvino"]

# Name: X, y and parameters.
CASES = {
    "resnet": (X, CELLS.target, {}),
    "three-head-mlp": (X, THREE, {"trainable": "head", "head": "mlp", "image_size": 64}),
    "flat-head": (FLAT, CELLS.target == "ALL", {"trainable": "head", "lr": 1, "max_epochs": 20}),
    "squeezenet": (X, np.arange(40) % 3 + 5, {"backbone": "squeezenet", "image_size": 64}),
}


def make_classifier(**params):
    settings = {"backbone": "timm/test_resnet", "weights": None, "image_size": 32, "lr": 1e-2}
    settings |= {"max_epochs": 2, "precision": "float32", "random_state": 0}
    return CNNClassifier(**(settings | params))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Each case's fitted classifier, and the folder it was exported to, once."""
    made = {}

    def save(name):
        if name not in made:
            images, y, params = CASES[name]
            net = make_classifier(**params).fit(images, y)
            folder = tmp_path_factory.mktemp(name)
            net.save(folder, format="onnx")
            made[name] = net, folder
        return made[name]

    return save


@pytest.fixture
def folder(saved, tmp_path):
    """A copy of the first case's folder, to be changed."""
    return Path(shutil.copytree(saved("resnet")[1], tmp_path / "net"))


# -- the same predictions -------------------------------------------------------------------------


@pytest.mark.parametrize("runtime", OTHERS)
@pytest.mark.parametrize(
    "name",
    ["resnet", *[pytest.param(name, marks=pytest.mark.thorough) for name in list(CASES)[1:]]],
)
def test_predictions_are_those_of_torch(saved, name, runtime):
    net, folder = saved(name)
    images, y, _ = CASES[name]
    loaded = load(folder, runtime=runtime)
    assert loaded.runtime_ == runtime and net.runtime_ == "torch"
    expected = net.predict_proba(images)
    # A constant would pass otherwise.
    assert np.ptp(expected, axis=0).max() > 0.01
    found = loaded.predict_proba(images)
    assert found.dtype == np.float64 and loaded.predict(images).dtype == net.predict(images).dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    scores = net.decision_function(images)
    np.testing.assert_allclose(loaded.decision_function(images), scores, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(loaded.predict(images), net.classes_[found.argmax(axis=1)])
    assert loaded.score(images, y) == accuracy_score(y, loaded.predict(images))
    np.testing.assert_array_equal(loaded.classes_, net.classes_)
    assert loaded.get_params() == net.get_params()


@pytest.mark.parametrize("runtime", OTHERS)
def test_torch_takes_no_part(saved, runtime, monkeypatch):
    """What the tests above compare is not torch with itself."""
    loaded = load(saved("flat-head")[1], runtime=runtime)

    def fail(*args, **kwargs):
        raise AssertionError("torch has predicted")

    monkeypatch.setattr(nn.Linear, "forward", fail)
    assert loaded.predict_proba(FLAT).shape == (40, 2)
    with pytest.raises(AssertionError, match="torch has predicted"):
        load(saved("flat-head")[1]).predict_proba(FLAT)


@pytest.mark.parametrize("runtime", OTHERS)
def test_numbers_are_not_rounded(saved, runtime):
    net, folder = saved("flat-head")
    expected = net.predict_proba(FLAT)
    rounding = np.abs(net.predict_proba(np.rint(FLAT * 255) / 255) - expected).max()
    found = load(folder, runtime=runtime).predict_proba(FLAT)
    assert np.abs(found - expected).max() < rounding / 10


@pytest.mark.parametrize("runtime", OTHERS)
def test_images_of_every_kind(saved, runtime, tmp_path):
    net, folder = saved("resnet")
    loaded = load(folder, runtime=runtime)
    pictures = [Image.fromarray(image).resize((40 + row, 30)) for row, image in enumerate(X[:5])]
    for row, picture in enumerate(pictures):
        picture.save(tmp_path / f"{row}.png")
    paths = np.array([[tmp_path / f"{row}.png"] for row in range(5)], dtype=str)
    for images in (pictures, paths, X[:5] / 255.0, X[:5, :, :, 0], X[:1]):
        expected = net.predict_proba(images)
        np.testing.assert_allclose(loaded.predict_proba(images), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("runtime", OTHERS)
def test_a_prediction_does_not_depend_on_its_batch(saved, runtime):
    loaded = load(saved("resnet")[1], runtime=runtime)
    expected = loaded.predict_proba(X)
    for rows in (slice(0, 1), slice(7, 20), slice(30, None), slice(None, None, -1)):
        np.testing.assert_array_equal(loaded.predict_proba(X[rows]), expected[rows])


@pytest.mark.parametrize("runtime", OTHERS)
def test_wrong_images_are_refused_as_ever(saved, runtime):
    loaded = load(saved("flat-head")[1], runtime=runtime)
    with pytest.raises(ValueError, match="X has 12 features"):
        loaded.predict(FLAT[:, :12])


def test_data_sets_of_features_are_for_torch(saved):
    """skorch predicts data sets, and those of a frozen trunk hold features."""
    net, folder = saved("flat-head")
    loaded = load(folder, runtime="onnxruntime")
    np.testing.assert_array_equal(
        loaded.predict_proba(loaded.get_dataset(FLAT)), net.predict_proba(FLAT)
    )


# -- the file -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_the_model_is_for_other_programs(saved, name):
    net, folder = saved(name)
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    (given,) = session.get_inputs()
    size = net.image_size_
    assert (given.name, given.type) == ("images", "tensor(float)")
    assert given.shape[1:] == [3, size, size] and isinstance(given.shape[0], str)
    assert [output.name for output in session.get_outputs()] == ["probabilities", "logits"]
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata.pop("classes")) == net.classes_.tolist()
    assert metadata == {
        "image_size": str(size),
        "backbone": net.backbone,
        "skall": skall.__version__,
    }
    if size != 32:
        return
    images = CASES[name][0]
    scaled = images / 255 if images.ndim == 4 else images.reshape(40, 32, 32, 3)
    scaled = scaled.transpose(0, 3, 1, 2).astype(np.float32)
    for n_images in (1, 2, 7):
        (found,) = session.run(["probabilities"], {"images": scaled[:n_images]})
        assert found.dtype == np.float32
        expected = net.predict_proba(images[:n_images])
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_the_model_is_lean_and_tells_no_paths(saved, name):
    net, folder = saved(name)
    content = (folder / "model.onnx").read_bytes()
    operations = {node.op_type for node in onnx.load_from_string(content).graph.node}
    # Batch normalisation is part of the convolutions before it.
    assert "Conv" in operations and not operations & {"BatchNormalization", "Dropout"}
    assert len(content) < 50_000 + sum(v.nbytes for v in net.module_.state_dict().values())
    for path in (Path(skall.__file__).parent, Path(torch.__file__).parent, Path(__file__).parent):
        assert str(path).encode() not in content
    assert b"stack_trace" not in content


def test_plain_files_are_there_as_well(saved):
    net, folder = saved("resnet")
    names = {path.name for path in folder.iterdir()}
    assert names == {"classifier.json", "weights.safetensors", "model.onnx"}
    for runtime in (None, "torch"):
        loaded = load(folder, runtime=runtime)
        assert loaded.runtime_ == "torch"
        np.testing.assert_array_equal(loaded.predict_proba(X), net.predict_proba(X))


@pytest.mark.thorough
def test_an_export_leaves_everything_as_it_was(saved, tmp_path):
    def states():
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()

    # One that another runtime runs is exported like any other.
    net = load(saved("three-head-mlp")[1], runtime="openvino")
    # The model is float32 all the same, or it would not pass its check.
    net.module_.extractor.numerics = Numerics("bfloat16")
    expected, before, content = net.predict_proba(X), states(), pickle.dumps(net)
    net.save(tmp_path, format="onnx")
    assert states() == before and pickle.dumps(net) == content
    for other in (net, load(tmp_path, runtime="openvino")):
        np.testing.assert_array_equal(other.predict_proba(X), expected)
    # It goes on as one that was never exported.
    again = pickle.loads(content)
    for other in (net, again):
        other.set_params(warm_start=True).fit(X, THREE)
    np.testing.assert_array_equal(net.predict_proba(X), again.predict_proba(X))


# -- the check ------------------------------------------------------------------------------------


def answer(network):
    """What a network makes of images, as an exported model does."""
    return lambda images: (network(images).softmax(dim=1), network(images))


def shift(name, amount):
    """Another `run` of sessions, whose output of this name is off."""
    run = runtimes.Session.run

    def shifted(self, images, output="logits"):
        found = run(self, images, output)
        return found + amount if output == name else found

    return shifted


def test_a_model_that_is_not_valid_is_an_error(saved):
    net, folder = saved("resnet")
    model = onnx.load(folder / "model.onnx")
    model.graph.node[0].input[0] = "nowhere"
    with pytest.raises(RuntimeError, match="exported model is not valid"):
        exporting.check_model(model.SerializeToString(), answer(net.module_), 32)


@pytest.mark.parametrize(
    ("name", "amount"),
    [("probabilities", 2e-4), ("probabilities", np.nan), ("logits", 0.1), ("logits", np.nan)],
)
def test_other_probabilities_are_an_error(saved, name, amount, monkeypatch):
    net, folder = saved("resnet")
    model, exported = (folder / "model.onnx").read_bytes(), answer(net.module_)
    exporting.check_model(model, exported, 32)
    monkeypatch.setattr(runtimes.Session, "run", shift(name, amount))
    with pytest.raises(RuntimeError, match=f"other {name} than the network, by up to"):
        exporting.check_model(model, exported, 32)


def test_a_model_of_other_weights_is_noticed(saved):
    net, folder = saved("resnet")
    model = (folder / "model.onnx").read_bytes()
    other = copy.deepcopy(net.module_)
    exporting.check_model(model, answer(other), 32)
    with torch.no_grad():
        other.head[-1].bias += 0.01
    with pytest.raises(RuntimeError, match="other probabilities"):
        exporting.check_model(model, answer(other), 32)


class Branching(nn.Module):
    """Its path depends on the numbers in the image, which a graph cannot express."""

    def __init__(self, trunk):
        super().__init__()
        self.trunk = trunk

    def forward(self, images):
        return self.trunk(images if images.sum() > 0 else -images)


@pytest.mark.thorough
def test_what_cannot_be_exported_is_named(saved, tmp_path):
    net = copy.deepcopy(saved("resnet")[0])
    net.module_.extractor.trunk = Branching(net.module_.extractor.trunk)
    with pytest.raises(ValueError, match="'timm/test_resnet' at image_size=32 cannot be exported"):
        net.save(tmp_path / "net", format="onnx")
    assert not (tmp_path / "net").exists()


def test_too_large_a_network_is_named(saved, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "MOST_BYTES", 1000)
    with pytest.raises(ValueError, match=r"'timm/test_resnet' holds .* GB"):
        saved("resnet")[0].save(tmp_path / "net", format="onnx")
    assert not (tmp_path / "net").exists()


# -- what is missing or wrong ---------------------------------------------------------------------


def test_unknown_names(saved, folder):
    with pytest.raises(ValueError, match="format='h5'; possible are 'safetensors', 'onnx'"):
        saved("resnet")[0].save(folder, format="h5")
    with pytest.raises(NotADirectoryError, match=r"classifier\.json' is a file; save"):
        saved("resnet")[0].save(folder / "classifier.json")
    message = "runtime='tensorrt'; possible are 'torch', 'onnxruntime', 'openvino'"
    with pytest.raises(ValueError, match=message):
        load(folder, runtime="tensorrt")


@pytest.mark.parametrize("module", ["onnx", "onnxscript", "onnxruntime"])
def test_saving_names_the_missing_extra(saved, module, tmp_path, monkeypatch):
    net, _ = saved("resnet")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"needs the package {module},.*'skall\[onnx\]'"):
        net.save(tmp_path / "net", format="onnx")
    assert not (tmp_path / "net").exists()
    net.save(tmp_path / "net")


@pytest.mark.parametrize(("runtime", "extra"), [("onnxruntime", "onnx"), ("openvino", "openvino")])
def test_loading_names_the_missing_extra(saved, runtime, extra, monkeypatch):
    _, folder = saved("resnet")
    monkeypatch.setitem(sys.modules, runtime, None)
    message = rf"runtime='{runtime}' needs the package {runtime},.*'skall\[{extra}\]'"
    with pytest.raises(ImportError, match=message):
        load(folder, runtime=runtime)
    assert load(folder).runtime_ == "torch"


@pytest.mark.parametrize("runtime", OTHERS)
def test_a_folder_without_a_model(folder, runtime):
    (folder / "model.onnx").unlink()
    with pytest.raises(FileNotFoundError, match=r"no model\.onnx,.*format='onnx'"):
        load(folder, runtime=runtime)


@pytest.mark.parametrize("cut", [0, 100, -1])
def test_a_damaged_model(folder, cut):
    path = folder / "model.onnx"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ValueError, match=r"model\.onnx' is damaged"):
        load(folder, runtime="onnxruntime")


@pytest.mark.parametrize("runtime", OTHERS)
def test_a_model_that_the_runtime_refuses(folder, runtime):
    content = b"no model"
    (folder / "model.onnx").write_bytes(content)
    description = json.loads((folder / "classifier.json").read_text())
    description["model"] = blake2b(content, digest_size=16).hexdigest()
    (folder / "classifier.json").write_text(json.dumps(description))
    with pytest.raises(ValueError, match=rf"{runtime} \S+ cannot run the model"):
        load(folder, runtime=runtime)


def test_a_model_of_an_earlier_save_is_not_used(folder):
    earlier = (folder / "model.onnx").read_bytes()
    make_classifier(max_epochs=1).fit(X, CELLS.target).save(folder)
    assert not (folder / "model.onnx").exists()
    with pytest.raises(FileNotFoundError, match="format='onnx'"):
        load(folder, runtime="onnxruntime")
    (folder / "model.onnx").write_bytes(earlier)
    with pytest.raises(ValueError, match="not written with the other files"):
        load(folder, runtime="onnxruntime")


# -- a loaded classifier --------------------------------------------------------------------------


@pytest.mark.parametrize("runtime", OTHERS)
@pytest.mark.parametrize("name", ["resnet", "flat-head"])
def test_copies_need_no_folder(saved, name, runtime, tmp_path):
    folder = shutil.copytree(saved(name)[1], tmp_path / "net")
    images, y, _ = CASES[name]
    loaded = load(folder, runtime=runtime)
    shutil.rmtree(folder)
    expected = loaded.predict_proba(images)
    for other in (copy.deepcopy(loaded), pickle.loads(pickle.dumps(loaded))):
        assert other.runtime_ == runtime
        np.testing.assert_array_equal(other.predict_proba(images), expected)
    unfitted = clone(loaded)
    with pytest.raises(NotFittedError):
        unfitted.runtime_  # noqa: B018 - reading it raises
    assert unfitted.fit(images, y).runtime_ == "torch"


def learn_again(net, how, path):
    """Give a classifier other weights."""
    if how == "load_params":
        make_classifier(random_state=1).fit(X, CELLS.target).save_params(f_params=path)
        net.load_params(f_params=path)
    elif how == "initialize":
        net.initialize()
    elif how == "partial_fit":
        net.partial_fit(X, CELLS.target)
    else:
        # From the same seed another fit would come to the same weights.
        net.set_params(warm_start=how == "warm_start", random_state=1).fit(X, CELLS.target)


@pytest.mark.parametrize("how", ["fit", "partial_fit", "warm_start", "load_params", "initialize"])
def test_other_weights_are_for_torch(saved, how, tmp_path):
    loaded = load(saved("resnet")[1], runtime="onnxruntime")
    before = loaded.predict_proba(X)
    learn_again(loaded, how, tmp_path / "weights.pt")
    assert loaded.runtime_ == "torch"
    assert np.abs(loaded.predict_proba(X) - before).max() > 1e-3
    if how != "initialize":
        plain = load(saved("resnet")[1])
        learn_again(plain, how, tmp_path / "weights.pt")
        np.testing.assert_array_equal(loaded.predict_proba(X), plain.predict_proba(X))


def test_a_refused_fit_changes_nothing(saved):
    loaded = load(saved("resnet")[1], runtime="onnxruntime")
    expected = loaded.predict_proba(X)
    with pytest.raises(ValueError, match="one class"):
        loaded.fit(X, ["ALL"] * 40)
    assert loaded.runtime_ == "onnxruntime"
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)


@pytest.mark.parametrize("runtime", OTHERS)
def test_predictions_in_several_threads(saved, runtime):
    loaded = load(saved("resnet")[1], runtime=runtime)
    parts = [X[start:] for start in range(4)]
    expected = [loaded.predict_proba(part) for part in parts]
    found = {}

    def predict(number):
        found[number] = [loaded.predict_proba(parts[number]) for _ in range(5)]

    threads = [threading.Thread(target=predict, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, each in enumerate(expected):
        for probabilities in found[number]:
            np.testing.assert_array_equal(probabilities, each)


@pytest.fixture
def settings(monkeypatch):
    """What the runtimes are started with."""
    started = []

    class Watched(onnxruntime.InferenceSession):
        def __init__(self, model, options, **kwargs):
            started.append({"INFERENCE_NUM_THREADS": options.intra_op_num_threads})
            super().__init__(model, options, **kwargs)

    compile_model = openvino.Core.compile_model

    def watch(self, model, device, settings):
        compiled = compile_model(self, model, device, settings)
        started.append(settings)
        assert compiled.get_property("INFERENCE_NUM_THREADS") == settings["INFERENCE_NUM_THREADS"]
        return compiled

    monkeypatch.setattr(onnxruntime, "InferenceSession", Watched)
    monkeypatch.setattr(openvino.Core, "compile_model", watch)
    return started


@pytest.mark.parametrize("runtime", OTHERS)
def test_as_many_threads_as_torch_uses(saved, runtime, settings):
    loaded = load(saved("resnet")[1], runtime=runtime)
    n_threads = torch.get_num_threads()
    other = n_threads % 2 + 1
    loaded.predict(X)
    torch.set_num_threads(other)
    try:
        loaded.predict(X)
        loaded.predict(X)
    finally:
        torch.set_num_threads(n_threads)
    assert [started["INFERENCE_NUM_THREADS"] for started in settings] == [n_threads, other]


HANDLED = """
import signal, subprocess, sys, threading
import numpy as np
from skall import load

nets = [load(sys.argv[1], runtime="openvino")]
nets[0].predict(np.zeros((1, 32, 32, 3), np.uint8))
thread = threading.Thread(target=nets.clear)
thread.start()
thread.join()
# As torch's loaders of data do it.
signal.signal(signal.SIGCHLD, lambda *args: print("handled"))
subprocess.run([sys.executable, "-c", ""])
"""


@pytest.mark.thorough
@pytest.mark.skipif(not hasattr(signal, "SIGCHLD"), reason="other systems have no such signal")
def test_signals_are_handled_after_openvino_has_gone_in_another_thread(saved):
    command = [sys.executable, "-c", HANDLED, str(saved("resnet")[1])]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr


@pytest.mark.parametrize(("precision", "hint"), [("float32", "f32"), ("bfloat16", "bf16")])
def test_openvino_computes_in_the_precision_of_the_classifier(folder, precision, hint, settings):
    description = json.loads((folder / "classifier.json").read_text())
    assert description["precision"] == "float32"
    description["precision"] = precision
    (folder / "classifier.json").write_text(json.dumps(description))
    load(folder, runtime="openvino").predict(X)
    assert [started["INFERENCE_PRECISION_HINT"] for started in settings] == [hint]
