"""Explanations by gradients: they reach images and feature maps, for every class."""

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients, LayerGradCam
from scipy.special import expit
from torch.nn.functional import cross_entropy

from skall import CNNClassifier
from skall.datasets import make_blood_cells

CELLS = make_blood_cells(16, n_patients=4, image_size=48, random_state=0)
THREE = np.arange(16) % 3
IMAGES = torch.from_numpy(CELLS.data[:3]).permute(0, 3, 1, 2) / 255


def fit(y=CELLS.target, **params):
    defaults = {"weights": None, "image_size": 48, "max_epochs": 1, "precision": "float32"}
    params = defaults | {"random_state": 0} | params
    return CNNClassifier(params.pop("backbone", "timm/test_resnet"), **params).fit(CELLS.data, y)


@pytest.mark.parametrize(
    "params",
    [
        {"trainable": "all"},
        {"trainable": "head"},
        {"trainable": "head", "head": "mlp"},
        {"trainable": "head", "precision": "bfloat16"},
        {"trainable": 2, "backbone": "squeezenet"},
    ],
    ids=str,
)
def test_both_of_two_classes_are_explained(params):
    module = fit(**params).module_
    images = IMAGES.clone().requires_grad_()
    for explain in (
        lambda target: IntegratedGradients(module).attribute(images, target=target, n_steps=4),
        lambda target: LayerGradCam(module, module.extractor.trunk).attribute(
            images, target=target
        ),
    ):
        first, second = explain(0).detach(), explain(1).detach()
        # Each image for itself.
        assert (first.abs().amax((1, 2, 3)) > 0).all()
        torch.testing.assert_close(first, -second)


def test_each_of_three_classes_is_explained():
    module = fit(THREE, trainable="head").module_
    images = IMAGES.clone().requires_grad_()
    found = [IntegratedGradients(module).attribute(images, target=k, n_steps=4) for k in range(3)]
    assert all((each.abs().amax((1, 2, 3)) > 0).all() for each in found)
    assert not torch.allclose(found[0], found[1])


@pytest.mark.parametrize("images", [IMAGES, (255 * IMAGES).byte()], ids=["float", "uint8"])
@pytest.mark.parametrize(
    "params",
    [{"trainable": "all"}, {"trainable": "head"}, {"trainable": 2, "backbone": "squeezenet"}],
    ids=str,
)
def test_maps_of_fixed_layers_have_gradients_though_no_image_asks(params, images):
    module = fit(**params).module_
    maps = []
    first = next(part for part in module.modules() if isinstance(part, torch.nn.Conv2d))
    first.register_forward_hook(lambda layer, inputs, output: maps.append(output))
    [gradient] = torch.autograd.grad(module(images)[:, 0].sum(), maps)
    assert (gradient.abs().amax((1, 2, 3)) > 0).all()
    # Nothing is recorded that nobody asks for.
    with torch.no_grad():
        assert not module(images).requires_grad
    assert not images.requires_grad
    assert all(weight.grad is None for weight in module.parameters())


@pytest.mark.parametrize("images", [CELLS.data, CELLS.data[:1]])
def test_the_logits_of_two_classes_are_halves_of_the_log_odds(images):
    net = fit()
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2)
    with torch.no_grad():
        logits = net.module_(tensor).double().numpy()
    np.testing.assert_array_equal(logits[:, 0], -logits[:, 1])
    odds = net.decision_function(images)
    np.testing.assert_allclose(2 * logits[:, 1], odds, rtol=1e-4, atol=1e-5)
    probabilities = net.predict_proba(images)
    np.testing.assert_allclose(probabilities[:, 1], expit(odds), rtol=1e-12)
    np.testing.assert_array_equal(net.predict(images), net.classes_[(odds > 0).astype(int)])
    assert net.module_.head[-1].out_features == 1


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weight", [None, torch.tensor([0.3, 2.0])])
def test_the_loss_is_that_of_a_logit_of_zero_and_one(smoothing, weight):
    z = torch.linspace(-20, 20, 41).requires_grad_()
    y = torch.arange(41) % 2
    options = {"label_smoothing": smoothing, "weight": weight}
    module = fit(CELLS.target).module_
    module.head = torch.nn.Identity()
    found = cross_entropy(module.classify(z[:, None]), y, **options)
    pair = torch.stack([torch.zeros_like(z), z], dim=1)
    expected = cross_entropy(pair, y, **options)
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(loss, z)[0] for loss in (found, expected)]
    torch.testing.assert_close(*gradients)
