"""Augmentation: drawn for each image, from the seed, in training only."""

import copy

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import log_loss
from skorch.callbacks import Callback
from torchvision.transforms import v2

from skall import CNNClassifier
from skall.cache.memory import IN_PROCESS
from skall.datasets import make_blood_cells
from skall.environment.randomness import seeded
from skall.preprocessing.augmentation import PRESETS, Preset, View, make_augmentation

CELLS = make_blood_cells(20, n_patients=4, image_size=32, random_state=0)
X = CELLS.data
BATCH = torch.from_numpy(X[:1]).permute(0, 3, 1, 2).expand(16, -1, -1, -1)
STILL = Preset(angle=0, flip=False, scale=0)


class Counted:
    """A transform that counts its calls, in this process."""

    def __init__(self, change=lambda image: image):
        self.change = change
        self.n_calls = 0

    def __call__(self, image):
        self.n_calls += 1
        return self.change(image)

    def __deepcopy__(self, memo):
        return self


def make_classifier(**params):
    settings = {"weights": None, "image_size": 32, "max_epochs": 3, "random_state": 0, "lr": 1e-2}
    return CNNClassifier(**({"backbone": "timm/test_resnet"} | settings | params))


def fit_and_predict(**params):
    net = make_classifier(**params).fit(X, CELLS.target)
    return net.predict_proba(X)


def draw(augment, images, seed=0):
    with seeded(seed):
        return make_augmentation(augment)(images)


@pytest.mark.parametrize(
    "augment", [*PRESETS, v2.ColorJitter(0.5), v2.RandomResizedCrop(32)], ids=str
)
def test_each_image_is_changed_in_its_own_way(augment):
    images = draw(augment, BATCH)
    assert images.shape == BATCH.shape
    assert len(torch.unique(images.flatten(1), dim=0)) == len(BATCH)
    assert torch.equal(images, draw(augment, BATCH))
    assert not torch.equal(images, draw(augment, BATCH, seed=1))


@pytest.mark.parametrize("augment", PRESETS)
def test_presets_give_pixels_between_black_and_white(augment):
    images = draw(augment, BATCH)
    assert images.dtype == torch.float32
    assert images.min() >= 0 and images.max() <= 1


def test_nothing_drawn_changes_nothing():
    torch.testing.assert_close(draw(STILL, BATCH), BATCH / 255)


def test_flips():
    original = BATCH[0] / 255
    mirrored = [original, original.flip(1), original.flip(2), original.flip(1, 2)]
    found = set()
    for image in draw(Preset(angle=0, scale=0), BATCH):
        distances = [(image - other).abs().max() for other in mirrored]
        found.add(int(np.argmin(distances)))
        assert min(distances) < 1e-5
    assert found == {0, 1, 2, 3}


def test_rotation_turns_about_the_centre():
    disc = torch.zeros(1, 3, 33, 33)
    y, x = torch.meshgrid(torch.arange(-16, 17), torch.arange(-16, 17), indexing="ij")
    disc[:, :, x**2 + y**2 < 100] = 1.0
    turned = draw(Preset(flip=False, scale=0), disc.expand(8, -1, -1, -1))
    assert (turned - disc).abs().mean() < 0.02
    line = torch.zeros(1, 3, 33, 33)
    line[:, :, 16, :] = 1.0
    turned = draw(Preset(flip=False, scale=0), line.expand(8, -1, -1, -1))
    assert (turned - line).abs().mean(dim=(1, 2, 3)).min() > 0.01


def test_scaling_and_cropping_magnify():
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    width = draw(Preset(angle=0, flip=False, scale=0, crop=0.5), ramp.expand(50, -1, -1, -1))
    width = width.amax(dim=(1, 2, 3)) - width.amin(dim=(1, 2, 3))
    assert 0.45 < width.min() < 0.6 and 0.85 < width.max() <= 1
    spread = draw(Preset(angle=0, flip=False, scale=0.5), ramp.expand(50, -1, -1, -1))
    steps = (spread[:, 0, 32, 33] - spread[:, 0, 32, 31]) * 63 / 2
    assert 0.6 < steps.min() < 0.75 and 1.6 < steps.max() < 2.1


def test_brightness():
    grey = torch.full((50, 3, 8, 8), 0.5)
    images = draw(Preset(brightness=0.2), grey)
    levels = images.mean(dim=(1, 2, 3))
    assert images.flatten(1).std(dim=1).max() < 1e-6
    assert 0.4 <= levels.min() < 0.42 and 0.58 < levels.max() <= 0.6


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        (v2.Grayscale(1), r"into \(1, 32, 32\); it must give an image with 3 channels"),
        (lambda image: "image", "into str"),
        (
            v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.1] * 3)]),
            "leave Normalize out",
        ),
        (v2.ToDtype(torch.float32), "scale=True"),
    ],
)
def test_transforms_that_do_not_fit(augment, message):
    with pytest.raises(ValueError, match=message):
        make_classifier(augment=augment).fit(X, CELLS.target)


@pytest.mark.parametrize(
    "augment",
    [v2.RandomCrop(24), v2.ToDtype(torch.float32, scale=True), v2.ToDtype(torch.int32)],
)
def test_sizes_and_types_are_mended(augment):
    assert np.isfinite(fit_and_predict(augment=augment, max_epochs=1)).all()


def test_images_that_become_float_at_times_keep_their_scale():
    noise = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.GaussianNoise(sigma=0.01)])
    images = draw(v2.RandomApply([noise], p=0.5), torch.full((20, 3, 8, 8), 200, dtype=torch.uint8))
    levels = images.mean(dim=(1, 2, 3))
    torch.testing.assert_close(levels, torch.full((20,), 200 / 255), rtol=0, atol=0.01)
    assert len(torch.unique(images)) > 100


@pytest.mark.parametrize("inner", [{}, {"early_stopping": True, "validation_fraction": 0.4}])
def test_only_training_is_augmented(inner):
    augment = Counted()
    net = make_classifier(augment=augment, **inner).fit(X, CELLS.target)
    n_trained = len(X) - (8 if inner else 0)
    assert augment.n_calls == 3 * n_trained
    augmented = net.predict_proba(X)
    assert augment.n_calls == 3 * n_trained
    # Seen through an augmentation that changes nothing, the images are what they are without it.
    np.testing.assert_array_equal(augmented, fit_and_predict(**inner))


def test_validation_sees_images_as_they_are():
    held_out = {}

    class Spy(Callback):
        def on_train_begin(self, net, X=None, **kwargs):
            held_out["rows"] = X.valid.read.rows

    net = make_classifier(
        augment=torch.zeros_like,
        early_stopping=True,
        validation_fraction=0.4,
        callbacks=[("spy", Spy())],
    ).fit(X, CELLS.target)
    rows = held_out["rows"]
    loss = log_loss(CELLS.target[rows], net.predict_proba(X[rows]))
    np.testing.assert_allclose(net.history_frame_["valid_loss"].min(), loss, rtol=1e-5)
    black = log_loss(CELLS.target[rows], net.predict_proba(np.zeros_like(X[rows])))
    assert abs(black - loss) > 1e-3


@pytest.mark.thorough
@pytest.mark.parametrize("augment", [*PRESETS, v2.RandomRotation(45)], ids=str)
def test_repeatable_whatever_the_workers(augment):
    expected = fit_and_predict(augment=augment, batch_size=8)
    workers = {"iterator_train__num_workers": 2}
    np.testing.assert_array_equal(
        fit_and_predict(augment=augment, batch_size=8, **workers), expected
    )
    assert not np.array_equal(expected, fit_and_predict(batch_size=8))


@pytest.mark.parametrize("memory", ["auto", None])
def test_views_of_a_frozen_trunk_are_drawn_once(memory):
    IN_PROCESS.clear()
    augment = Counted(v2.RandomRotation(90))
    net = make_classifier(
        trainable="head", augment=augment, augment_views=2, max_epochs=5, memory=memory
    )
    clone(net).fit(X, CELLS.target).predict_proba(X)
    assert augment.n_calls == 2 * len(X)


def test_views_are_kept_for_other_folds():
    IN_PROCESS.clear()
    params = {"trainable": "head", "augment": "talupuri2025", "augment_views": 2}
    expected = fit_and_predict(**params, memory=None)
    make_classifier(**params).fit(X[:15], CELLS.target[:15])
    n_arrays = len(IN_PROCESS)
    np.testing.assert_array_equal(fit_and_predict(**params), expected)
    # Two views, and the images as they are, of the five rows that the first fit did not have.
    assert len(IN_PROCESS) == n_arrays + 5 * 2 + len(X)


def test_views_follow_the_seed_and_the_epoch():
    params = {"trainable": "head", "augment": "vinod2025"}
    two = fit_and_predict(**params, augment_views=2, max_epochs=4)
    assert not np.array_equal(two, fit_and_predict(**params, augment_views=1, max_epochs=4))
    assert not np.array_equal(
        two, fit_and_predict(**params, augment_views=2, max_epochs=4, random_state=1)
    )
    # A view too many to be reached.
    np.testing.assert_array_equal(
        fit_and_predict(**params, augment_views=3), fit_and_predict(**params, augment_views=4)
    )


def test_views_do_not_depend_on_the_images_beside():
    view = View("talupuri2025", seed=3, number=1)
    images = torch.from_numpy(X[:4]).permute(0, 3, 1, 2)
    together = view.draw(images, "cpu")
    torch.testing.assert_close(together[2:3], view.draw(images[2:3], "cpu"), rtol=0, atol=0)
    other = View("talupuri2025", seed=3, number=2)
    assert not torch.equal(together, other.draw(images, "cpu"))


def test_copies_are_shown_in_different_views():
    params = {"trainable": "head", "augment_views": 2, "max_epochs": 2, "batch_size": -1}
    counted = Counted(v2.RandomRotation(90))
    net = make_classifier(augment=counted, **params)
    net.fit(X, CELLS.target, sample_weight=np.full(len(X), 2.0))
    doubled = net.predict_proba(X)
    assert counted.n_calls == 2 * len(X)
    net.fit(np.concatenate([X, X]), np.concatenate([CELLS.target, CELLS.target]))
    np.testing.assert_array_equal(net.predict_proba(X), doubled)


def test_digests_follow_the_content():
    transform = v2.Compose([v2.RandomRotation(10), v2.ColorJitter(0.2)])
    digest = View(transform, 1, 2).digest()
    assert digest == View(copy.deepcopy(transform), 1, 2).digest()
    assert digest == View(clone(make_classifier(augment=transform)).augment, 1, 2).digest()
    assert digest != View(v2.Compose([v2.RandomRotation(11), v2.ColorJitter(0.2)]), 1, 2).digest()
    assert digest != View(transform, 1, 3).digest()
    assert digest != View(transform, 2, 2).digest()
    assert View(lambda x: x + 1, 0, 0).digest() != View(lambda x: x + 2, 0, 0).digest()
