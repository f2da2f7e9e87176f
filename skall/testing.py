"""The conformance test of backbones, for their authors and for skall's own tests."""

import pickle
import tempfile

import numpy as np
import torch
from torch import nn

from skall.backbones.registry import get_backbone
from skall.classifier import CNNClassifier, load
from skall.datasets import make_blood_cells
from skall.environment.randomness import seeded
from skall.features.cnn import CNNFeatures


def check_backbone(name: str, *, image_size: int | None = None) -> None:
    """Check that a registered backbone works in every part of skall.

    Published weights are not downloaded; the checks use random ones.

    Parameters
    ----------
    name : str
        Name of its entry point.
    image_size : int, optional
        Height and width of the test images in pixels; by default the backbone's own.

    Raises
    ------
    AssertionError
        If the backbone violates the contract of :class:`~skall.Backbone`; the message says what was
        expected and what was found.
    ImportError, TypeError, ValueError
        If it cannot be found, imported or built.

    Examples
    --------
    >>> from skall.testing import check_backbone
    >>> check_backbone("timm/test_resnet", image_size=32)
    """
    backbone = get_backbone(name)
    size = image_size or backbone.input_size
    with seeded(0):
        trunk = backbone.build(None)
        _require(name, isinstance(trunk, nn.Module), f"build(None) returned {type(trunk)}")
        images = torch.randn(2, 3, size, size)
        _check_output(name, trunk, images)
        _check_gradients(name, trunk, images)
        _check_copies(name, trunk, images)
        if backbone.stages is not None:
            _check_stages(name, backbone, trunk, images)
    _check_estimators(name, size)


def _require(name, condition, message):
    if not condition:
        raise AssertionError(f"backbone {name!r}: {message}")


def _run(trunk, images):
    with torch.no_grad():
        return trunk.eval()(images)


def _check_output(name, trunk, images):
    features = _run(trunk, images)
    expected = "a float32 tensor (n, c, h, w) or (n, c)"
    _require(name, torch.is_tensor(features), f"forward returned {type(features)}, not {expected}")
    shape = tuple(features.shape)
    _require(
        name,
        len(shape) in (2, 4) and shape[0] == len(images) and 0 not in shape,
        f"forward turned images {tuple(images.shape)} into {shape}, not {expected}",
    )
    _require(name, features.dtype == torch.float32, f"forward returned {features.dtype}")
    _require(name, features.isfinite().all(), "forward returned NaN or infinity")
    again = _run(trunk, images)
    _require(name, torch.equal(features, again), "two evaluations of the same images differ")
    alone = _run(trunk, images[:1])
    _require(
        name,
        torch.allclose(alone, features[:1], rtol=1e-3, atol=1e-4),
        "in evaluation, the features of an image depend on the other images of its batch",
    )


def _check_gradients(name, trunk, images):
    trunk.train()(images).sum().backward()
    unused = [
        parameter for parameter, p in trunk.named_parameters() if p.requires_grad and p.grad is None
    ]
    _require(
        name,
        not unused,
        f"the features do not depend on {', '.join(unused[:3])} ({len(unused)} parameters); "
        "leave the classifier out of the trunk",
    )
    trunk.zero_grad(set_to_none=True)


def _check_copies(name, trunk, images):
    features = _run(trunk, images)
    try:
        copy = pickle.loads(pickle.dumps(trunk))
    except (pickle.PicklingError, AttributeError, TypeError) as exc:
        raise AssertionError(f"backbone {name!r}: the trunk cannot be pickled: {exc}") from exc
    _require(name, torch.equal(_run(copy, images), features), "a pickled copy gives other features")
    rebuilt = get_backbone(name).build(None)
    rebuilt.load_state_dict(trunk.state_dict())
    _require(
        name,
        torch.equal(_run(rebuilt, images), features),
        "another trunk with the same state_dict() gives other features; register all it needs as "
        "parameters or buffers",
    )


def _check_stages(name, backbone, trunk, images):
    features = staged = _run(trunk, images)
    with torch.no_grad():
        staged = images
        for stage in backbone.stages(trunk):
            staged = stage(staged)
    _require(
        name,
        staged.shape == features.shape and torch.allclose(staged, features, atol=1e-5),
        "the composition of its stages is not the trunk",
    )


def _check_estimators(name, size):
    cells = make_blood_cells(8, n_patients=4, image_size=64, random_state=0)
    for trainable in ("all", "head"):
        net = CNNClassifier(
            name,
            weights=None,
            trainable=trainable,
            image_size=size,
            max_epochs=1,
            batch_size=4,
            memory=None,
            random_state=0,
        )
        probabilities = net.fit(cells.data, cells.target).predict_proba(cells.data)
        _require(
            name,
            probabilities.shape == (8, 2) and np.isfinite(probabilities).all(),
            f"a classifier with trainable={trainable!r} does not give probabilities",
        )
    with tempfile.TemporaryDirectory() as folder:
        net.save(folder)
        same = np.array_equal(load(folder).predict_proba(cells.data), probabilities)
    _require(name, same, "a saved and loaded classifier predicts otherwise")
    features = CNNFeatures(name, weights=None, image_size=size, memory=None, random_state=0)
    _require(name, features.fit_transform(cells.data).ndim == 2, "CNNFeatures gives no vectors")
