"""Weights from files and folders: what fits, what does not, and what is never run."""

import os
import pickle
import socket
import urllib.error

import pytest
import torch
from safetensors.torch import load_file, save_file

from skall.backbones import weights as module
from skall.backbones.backbone import Backbone
from skall.backbones.registry import get_backbone
from skall.backbones.weights import build_trunk, export, read_weights

NAME = "timm/test_resnet"


@pytest.fixture(autouse=True)
def no_folder(monkeypatch):
    monkeypatch.delenv("SKALL_WEIGHTS", raising=False)


@pytest.fixture
def state():
    """Weights of a small trunk, as one that was trained elsewhere."""
    return build_trunk(NAME, None).state_dict()


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """No cache and no network, whatever machine the tests run on."""

    def refuse(*args, **kwargs):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr("skall.backbones.timm_models.getproxies", dict)
    monkeypatch.setattr("torch.hub.urlopen", refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def check_equal(trunk, state):
    own = trunk.state_dict()
    assert set(own) == set(state)
    for key, tensor in own.items():
        torch.testing.assert_close(tensor, state[key], rtol=0, atol=0)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt"])
def test_reads_every_kind_of_file(tmp_path, state, suffix):
    path = tmp_path / f"weights{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(state, path)
    check_equal(build_trunk(NAME, path), state)
    check_equal(build_trunk(NAME, str(path)), state)


def test_takes_off_what_training_scripts_put_around(tmp_path, state):
    wrapped = {"epoch": 3, "state_dict": {f"module.{key}": t for key, t in state.items()}}
    torch.save(wrapped, tmp_path / "checkpoint.pth")
    check_equal(build_trunk(NAME, tmp_path / "checkpoint.pth"), state)


def test_reads_densenet_names_of_torchvisions_first_release(tmp_path):
    key = "features.denseblock1.denselayer1.norm.1.weight"
    torch.save({key: torch.ones(2)}, tmp_path / "old.pth")
    assert set(read_weights(tmp_path / "old.pth")) == {key.replace("norm.1", "norm1")}


def test_drops_the_classifier_and_needs_no_counters(tmp_path, state):
    whole = {key: tensor for key, tensor in state.items() if "num_batches" not in key}
    whole["fc.weight"], whole["fc.bias"] = torch.zeros(1000, 96), torch.zeros(1000)
    save_file(whole, tmp_path / "whole.safetensors")
    check_equal(build_trunk(NAME, tmp_path / "whole.safetensors"), state)


def test_half_precision_becomes_single(tmp_path, state):
    half = {k: t.half() if t.is_floating_point() else t for k, t in state.items()}
    save_file(half, tmp_path / "half.safetensors")
    trunk = build_trunk(NAME, tmp_path / "half.safetensors")
    assert {weight.dtype for weight in trunk.parameters()} == {torch.float32}
    torch.testing.assert_close(trunk.state_dict()["conv1.0.weight"], half["conv1.0.weight"].float())


def test_file_of_another_architecture_names_what_does_not_fit(tmp_path, state):
    path = tmp_path / "other.safetensors"
    save_file(build_trunk("squeezenet", None).state_dict(), path)
    with pytest.raises(ValueError, match=r"another architecture.*missing: conv1\.0.*unexpected: f"):
        build_trunk(NAME, path)
    key = next(iter(state))
    save_file(state | {key: torch.zeros(2, 2)}, path)
    with pytest.raises(ValueError, match=rf"1 of another shape: {key} \(2, 2\) for \("):
        build_trunk(NAME, path)


def test_weights_that_are_no_numbers_are_refused(tmp_path, state):
    key = next(iter(state))
    save_file(state | {key: torch.full_like(state[key], torch.nan)}, tmp_path / "nan.safetensors")
    with pytest.raises(ValueError, match=f"NaN or infinite weights.*{key}"):
        build_trunk(NAME, tmp_path / "nan.safetensors")


class Intruder:
    """A pickle that makes a folder when it is read."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize(
    "save", [torch.save, lambda obj, path: path.write_bytes(pickle.dumps(obj, protocol=2))]
)
def test_a_file_never_runs_code(tmp_path, save):
    save({"conv.weight": Intruder(tmp_path / "pwned")}, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match=r"evil\.pth.* run code"):
        build_trunk(NAME, tmp_path / "evil.pth")
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("cut", [0, 5, 1000, -100])
def test_a_damaged_file_is_named(tmp_path, state, suffix, cut):
    path = tmp_path / f"damaged{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(state, path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ValueError, match=rf"damaged{suffix} is damaged"):
        build_trunk(NAME, path)


@pytest.mark.parametrize("content", [torch.zeros(3), [torch.zeros(3)], {"lr": 0.1}])
def test_a_file_without_a_state_dict_says_what_to_save(tmp_path, content):
    torch.save(content, tmp_path / "odd.pth")
    with pytest.raises(ValueError, match=r"odd\.pth does not hold a state dict"):
        build_trunk(NAME, tmp_path / "odd.pth")


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ("imagnet", ValueError, "'imagnet' is neither 'imagenet', None"),
        ("weights.h5", ValueError, r"\.safetensors, \.pth, \.pt"),
        ("absent.pth", FileNotFoundError, r"absent\.pth.: there is no such file"),
        (True, TypeError, "got bool"),
    ],
)
def test_other_values_are_explained(weights, error, message):
    with pytest.raises(error, match=message):
        build_trunk(NAME, weights)


def test_the_local_folder_comes_first(tmp_path, monkeypatch, state, no_network):
    monkeypatch.setenv("SKALL_WEIGHTS", str(tmp_path))
    (tmp_path / "timm").mkdir()
    save_file(state, tmp_path / f"{NAME}.safetensors")
    check_equal(build_trunk(NAME, "imagenet"), state)


def test_a_local_folder_that_is_none_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("SKALL_WEIGHTS", str(tmp_path / "absent"))
    with pytest.raises(NotADirectoryError, match=r"SKALL_WEIGHTS=.*absent"):
        build_trunk(NAME, "imagenet")


@pytest.mark.parametrize("name", ["alexnet", "mobilenetv2", "xception", NAME])
def test_without_network_the_error_says_what_to_do(name, no_network):
    with pytest.raises(FileNotFoundError) as info:
        build_trunk(name, "imagenet")
    message = str(info.value)
    assert f"{name}.safetensors" in message and "SKALL_WEIGHTS" in message
    assert f"export({name!r}, '<folder>')" in message and "weights=None" in message
    assert isinstance(info.value.__cause__, OSError)


def test_without_network_the_error_names_the_file_in_the_folder(tmp_path, monkeypatch, no_network):
    monkeypatch.setenv("SKALL_WEIGHTS", str(tmp_path))
    with pytest.raises(FileNotFoundError) as info:
        build_trunk(NAME, "imagenet")
    assert str(tmp_path / "timm" / "test_resnet.safetensors") in str(info.value)


def test_export_writes_what_the_local_folder_reads(tmp_path, monkeypatch, state):
    def build(weights):
        trunk = get_backbone(NAME).build(None)
        if weights == "imagenet":
            trunk.load_state_dict(state)
        return trunk

    monkeypatch.setattr(module, "get_backbone", lambda name: Backbone(build))
    path = export(NAME, tmp_path / "new")
    assert path == tmp_path / "new" / "timm" / "test_resnet.safetensors"
    monkeypatch.setenv("SKALL_WEIGHTS", str(tmp_path / "new"))
    check_equal(build_trunk(NAME, path), state)


def test_a_plugin_without_weights_is_named(monkeypatch):
    def build(weights):
        raise ValueError("there are none")

    monkeypatch.setattr(module, "get_backbone", lambda name: Backbone(build))
    with pytest.raises(ValueError, match="backbone 'tinynet': there are none"):
        build_trunk("tinynet", "imagenet")


def test_a_plugin_that_builds_something_else_is_named(monkeypatch):
    monkeypatch.setattr(module, "get_backbone", lambda name: Backbone(lambda weights: weights))
    with pytest.raises(TypeError, match=r"'tinynet' must return a torch\.nn\.Module, got NoneType"):
        build_trunk("tinynet", None)


@pytest.mark.parametrize("name", ["squeezenet", "mobilenetv2", "timm/mobilenetv2_035"])
def test_loads_real_weights(shared, monkeypatch, name):
    folder = shared / "weights"
    monkeypatch.setenv("SKALL_WEIGHTS", str(folder))
    trunk = build_trunk(name, "imagenet").eval()
    stored = load_file(folder / f"{name}.safetensors")
    for key, tensor in trunk.state_dict().items():
        if "num_batches" not in key:
            torch.testing.assert_close(tensor, stored[key].float(), rtol=0, atol=0)
    with torch.no_grad():
        assert trunk(torch.zeros(1, 3, 64, 64)).isfinite().all()
