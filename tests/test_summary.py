"""Sizes of networks, against published and independent numbers."""

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skall import CNNClassifier, get_estimator
from skall.backbones.catalogue import read_table
from skall.backbones.registry import get_backbone, is_shipped, list_backbones
from skall.datasets import make_blood_cells
from skall.network.summary import describe_backbone

# Vinod et al. (IJSREM 09/05, 2025): trainable, non-trainable, optimizer. The third column is what
# our trunks have more (or less) than the Keras ports that were counted there.
PUBLISHED = {
    ("vgg16", "all"): ((21_170_497, 0, 42_340_996), (0, 0, 0)),
    ("vgg19", "all"): ((26_480_193, 0, 52_960_388), (0, 0, 0)),
    ("mobilenetv2", "all"): ((18_313_473, 34_112, 36_626_948), (0, 0, 0)),
    ("densenet201", "head"): ((24_117_761, 18_321_984, 48_235_524), (0, 0, 0)),
    ("inceptionv3", "all"): ((34_908_833, 34_432, 69_817_668), (17_216, 0, 2 * 17_216)),
    ("resnet101v2", "head"): ((25_723_393, 42_626_560, 51_446_788), (0, -36_416, 0)),
}


@pytest.mark.parametrize(("name", "trainable"), PUBLISHED)
def test_parameters_are_the_published_ones(name, trainable):
    summary = get_estimator(name, head="mlp", image_size=224, trainable=trainable).summary()
    published, difference = PUBLISHED[name, trainable]
    counted = [summary[key] for key in ("trainable", "non_trainable", "optimizer")]
    assert counted == [number + more for number, more in zip(published, difference, strict=True)]


def test_a_small_network_is_counted_by_hand():
    net = get_estimator("alexnet", weights=None, image_size=63, random_state=0)
    # Kernels, strides and paddings of Krizhevsky's "One weird trick" (arXiv 1404.5997).
    convolutions = [
        (3, 64, 11, 15),
        (64, 192, 5, 7),
        (192, 384, 3, 3),
        (384, 256, 3, 3),
        (256, 256, 3, 3),
    ]
    weights = sum((n * k * k + 1) * m for n, m, k, _ in convolutions) + 256 + 1
    macs = sum(n * k * k * m * side * side for n, m, k, side in convolutions) + 256
    assert net.summary() == {
        "trainable": weights,
        "non_trainable": 0,
        "optimizer": 2 * weights + 2,
        "bytes": 4 * weights,
        "macs": macs,
        "feature_shape": (256, 1, 1),
    }


def test_the_summary_is_that_of_the_fitted_network():
    cells = make_blood_cells(12, n_patients=4, image_size=32, random_state=0)
    net = CNNClassifier(
        "timm/test_resnet",
        weights=None,
        image_size=32,
        max_epochs=1,
        optimizer=torch.optim.SGD,
        random_state=0,
    )
    assert clone(net).summary()["optimizer"] == 2
    net.fit(cells.data, np.arange(12) % 3)
    parameters = sum(p.numel() for p in net.module_.parameters())
    assert net.summary()["trainable"] == parameters
    net.set_params(trainable="head", optimizer__momentum=0.9)
    head = sum(p.numel() for p in net.module_.head.parameters())
    assert (net.summary()["trainable"], net.summary()["optimizer"]) == (head, head + 2)


@pytest.mark.thorough
def test_a_size_that_does_not_fit_is_explained():
    with pytest.raises(ValueError, match=r"inceptionv3.*image_size=32.* takes 75, 96"):
        get_estimator("inceptionv3", image_size=32).summary()


def test_the_table_holds_every_shipped_backbone():
    assert list(read_table()) == sorted(filter(is_shipped, list_backbones()))
    for name, row in read_table().items():
        backbone = get_backbone(name)
        fields = ("input_size", "license", "url")
        assert [row[field] for field in fields] == [getattr(backbone, field) for field in fields]
        assert row["source"] == backbone.build.source


@pytest.mark.thorough
@pytest.mark.parametrize("name", read_table())
def test_the_table_counts_what_is_built(name):
    """Where it does not: ``python benchmarks/backbones.py`` writes it anew."""
    assert read_table()[name] == describe_backbone(name)


def test_counting_leaves_the_random_numbers_alone():
    before = torch.get_rng_state()
    get_estimator("squeezenet", weights=None, image_size=64).summary()
    assert torch.equal(torch.get_rng_state(), before)
