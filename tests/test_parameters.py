"""Parameters: bad values, typing errors, skorch's double underscores, what is not done yet."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch import NeuralNetClassifier
from skorch.callbacks import EpochScoring, LRScheduler
from torch import nn
from torchvision.transforms import v2

from skall import CNNClassifier, CNNFeatures, ImagePreprocessor, get_estimator

NAME = "timm/test_resnet"
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3)).astype(np.uint8)
LABELS = np.array(["ALL", "healthy"] * 3)


def make_classifier(**params):
    settings = {"weights": None, "image_size": 16, "max_epochs": 1, "random_state": 0}
    return CNNClassifier(**({"backbone": NAME} | settings | params))


def give_wrong_head(shape, n_outputs):
    return nn.Flatten()


def give_narrow_head(shape, n_outputs):
    return nn.Linear(3, n_outputs)


def give_head(shape, n_outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), n_outputs))


# Parameter, values that it cannot take, what the message says.
BAD_VALUES = [
    ("backbone", ["resnet81"], "unknown backbone 'resnet81'; the nearest names are resnet18"),
    ("backbone", ["timm/test_resnit"], "nearest names are test_resnet"),
    ("weights", ["imagnet"], "'imagenet', None, nor a file that ends in"),
    ("trainable", ["heads", True, 0, -1, None, 1.5], "'all', 'head' or a number of stages"),
    ("head", ["mpl", None, 3], "'linear', 'mlp' or a callable"),
    ("head", [give_wrong_head], r"must turn features \(2, 96, 1, 1\) into logits \(2, 1\)"),
    ("head", [give_narrow_head], r"cannot take features \(2, 96, 1, 1\)"),
    ("dropout", [1.0, -0.1, "a", None, np.nan, True], r"a number in \[0, 1\)"),
    ("image_size", [0, -1, 32.0, "32", True], "None or a number of pixels"),
    ("image_shape", [16, "16x16", (0, 4), (1, 2, 3, 4)], r"\(height, width, channels\)"),
    ("depth", [7, 33, 12.0, "12", True], "None or a number of bits, from 8 to 32"),
    (
        "augment",
        ["vinod", 3, True, v2.RandomHorizontalFlip],
        "None, 'talupuri2025', 'vinod2025' or a transform",
    ),
    ("augment_views", [0, 1.5, None], "an integer of at least 1"),
    ("optimizer", ["adam", None], "a class of torch.optim"),
    ("lr", [0, -1, "auto", np.nan, np.inf], "None or a positive number"),
    ("weight_decay", [-1, None, np.nan], "a number of at least 0"),
    ("lr_schedule", ["cosin", 3, True], "None, 'cosine', 'plateau', 'step' or a class"),
    ("warmup_epochs", [-1, 0.5], "an integer of at least 0"),
    ("unfreeze_after", [-1, 0.5, None], "an integer of at least 0"),
    ("max_epochs", [0, -1, 1.5, None], "an integer of at least 1"),
    ("batch_size", [0, -2, 1.5, None], "at least 1, or -1 for all"),
    ("early_stopping", ["yes", None, 1.5], "True or False"),
    ("validation_fraction", [0, 1, -0.1, None], r"a number in \(0, 1\)"),
    ("n_iter_no_change", [0, None], "an integer of at least 1"),
    ("tol", [-1, None], "a number of at least 0"),
    ("ema_decay", [1, -0.1, "0.9"], r"None or a number in \[0, 1\)"),
    ("class_weight", ["balance", 3], "None, 'balanced' or a dict"),
    ("class_weight", [{"other": 2}], r"names \['other'\], .* classes \['ALL', 'healthy'\]"),
    ("class_weight", [{"ALL": -2}, {"ALL": np.nan}, {"ALL": 0, "healthy": 0}], "at least 0"),
    ("device", ["gpu", "cuda:99", 3.5], "cannot be used here: .*possible are auto, cpu"),
    ("keep_on_device", ["yes", 3], "True or False"),
    ("precision", ["half", None, 32], "'auto', 'float32' or 'bfloat16'"),
    ("memory", [3, True], "'auto', None, a folder or a joblib.Memory; got"),
    ("random_state", ["seed", -1], "seed|Seed"),
    ("criterion", ["log_loss", None], "a class of torch.nn"),
    ("callbacks", [3, (1, 2)], "None, a list of skorch's callbacks"),
    ("train_split", [3, "half"], "None or a splitter"),
    ("warm_start", ["yes", None], "True or False"),
    ("compile", ["yes", None], "True or False"),
    ("verbose", ["loud", None], "an integer"),
]


@pytest.mark.parametrize(("name", "values", "message"), BAD_VALUES)
def test_bad_values_fail_in_fit(name, values, message):
    for value in values:
        with pytest.raises(ValueError, match=message) as caught:
            make_classifier(**{name: value}).fit(PIXELS, LABELS)
        told = str(caught.value)
        assert any(word in told for word in (name, repr(value), "Seed", "nearest"))


def test_every_parameter_has_a_row():
    tested = {name for name, *_ in BAD_VALUES}
    assert tested == set(make_classifier().get_params())


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"backbone": nn.Linear(2, 2)}, TypeError, "backbone is a module, Linear; cloning"),
        ({"head": nn.Linear(2, 2)}, TypeError, "head is a module, Linear; cloning"),
        ({"backbone": 3}, TypeError, "named by a string, got int"),
        ({"weights": 3}, TypeError, "'imagenet', None or a path, got int"),
        ({"weights": "no.safetensors"}, FileNotFoundError, "there is no such file; give"),
        ({"head": lambda shape, n: "head"}, TypeError, "must return a torch.nn.Module; got str"),
    ],
)
def test_bad_types(params, error, message):
    with pytest.raises(error, match=message):
        make_classifier(**params).fit(PIXELS, LABELS)


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (CNNFeatures(NAME, weights=None, pooling="max"), "'avg' or 'flatten'"),
        (CNNFeatures(NAME, weights=None, image_size=0), "None or a number of pixels"),
        (ImagePreprocessor(0), "size=0: ImagePreprocessor takes a number of pixels"),
        (ImagePreprocessor(2.5), "a number of pixels, at least 1, for size"),
        (ImagePreprocessor(8, resize="squash"), "resize='squash': .* 'stretch', 'pad', 'crop'"),
        (ImagePreprocessor(8, contrast="more"), "contrast='more': .* one of None, .*'equalize'"),
        (ImagePreprocessor(8, memory=3), "memory must be"),
    ],
)
def test_bad_values_of_transformers(estimator, message):
    with pytest.raises((ValueError, TypeError), match=message):
        estimator.fit(PIXELS)


@pytest.mark.parametrize("make", [get_estimator, CNNFeatures])
def test_a_size_that_the_network_cannot_take(make):
    net = make("alexnet", weights=None, image_size=32)
    with pytest.raises(
        ValueError, match=r"'alexnet' cannot take image_size=32; .* takes 64, .*224"
    ):
        net.fit(PIXELS, LABELS)


TYPING_ERRORS = {
    "lrr": "lr",
    "imagesize": "image_size",
    "max_epoch": "max_epochs",
    "wieght_decay": "weight_decay",
    "optimizer__beta": "optimizer__betas",
    "optimizer_betas": "optimizer__betas",
    "iterator_train_shuffle": "iterator_train__shuffle",
    "iterator_train__shufle": "iterator_train__shuffle",
    "iterator_valid__batchsize": "iterator_valid__batch_size",
    "criterion__label_smooting": "criterion__label_smoothing",
    "callback__print_log": "callbacks__print_log",
    "callbacks__printlog": "callbacks__print_log",
    "callbacks__printlog__sink": "callbacks__print_log",
}


@pytest.mark.parametrize("typed", TYPING_ERRORS)
def test_typing_errors_fail_at_once_with_the_nearest_name(typed):
    message = f"no parameter '{typed}'; did you mean '{TYPING_ERRORS[typed]}'"
    with pytest.raises(TypeError, match=message):
        get_estimator(NAME, **{typed: None})
    net = make_classifier()
    before = net.get_params()
    with pytest.raises(TypeError, match=message):
        net.set_params(lr=0.5, **{typed: None})
    assert net.get_params() == before


def test_double_underscores_reach_their_parts():
    net = make_classifier(
        optimizer__betas=(0.5, 0.6),
        criterion__label_smoothing=0.3,
        iterator_train__batch_size=2,
        callbacks__print_log=None,
        verbose=1,
    )
    assert isinstance(net, NeuralNetClassifier)
    for estimator in (net, clone(net)):
        estimator.partial_fit(PIXELS, LABELS)
        (group,) = estimator.optimizer_.param_groups
        assert group["betas"] == (0.5, 0.6) and group["weight_decay"] == 0.01
        assert estimator.criterion_.label_smoothing == 0.3
        assert len(estimator.history_[0]["batches"]) == 3


def test_no_output_unless_asked(capsys):
    make_classifier().fit(PIXELS, LABELS)
    make_classifier(verbose=1, callbacks__print_log=None).fit(PIXELS, LABELS)
    assert capsys.readouterr().out == ""
    make_classifier(verbose=1).fit(PIXELS, LABELS)
    assert "train_loss" in capsys.readouterr().out


def test_unshuffled_training():
    """Without dropout and shuffling the seed changes the weights alone, and here not even those."""
    results = [
        make_classifier(
            iterator_train__shuffle=shuffle, batch_size=2, dropout=0, lr=0.01, random_state=0
        )
        .fit(PIXELS, LABELS)
        .predict_proba(PIXELS)
        for shuffle in (False, False, True)
    ]
    np.testing.assert_array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])


def test_another_optimizer_comes_with_its_arguments():
    params = {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9, "weight_decay": 0.5}
    for net in (make_classifier(**params), make_classifier().set_params(**params)):
        net.partial_fit(PIXELS, LABELS)
        (group,) = net.optimizer_.param_groups
        assert group["momentum"] == 0.9 and group["weight_decay"] == 0.5 and group["lr"] == 1e-4


@pytest.mark.parametrize(("trainable", "lr"), [("all", 1e-4), ("head", 1e-3)])
def test_the_learning_rate_depends_on_what_is_trained(trainable, lr):
    net = make_classifier(trainable=trainable).fit(PIXELS, LABELS)
    assert net.history_frame_["lr"].tolist() == [lr]


def test_arguments_of_own_callbacks():
    net = make_classifier(
        callbacks=[
            ("rate", LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.9)),
            EpochScoring,
        ],
        callbacks__rate__gamma=0.5,
        callbacks__EpochScoring__scoring="accuracy",
        callbacks__EpochScoring__on_train=True,
        max_epochs=3,
        lr=0.1,
    )
    net.fit(PIXELS, LABELS)
    np.testing.assert_allclose(net.history_frame_["lr"], [0.1, 0.05, 0.025])
    assert "accuracy" in net.history_[0]


def test_head_as_a_function():
    net = make_classifier(head=give_head).fit(PIXELS, LABELS)
    assert net.predict_proba(PIXELS).shape == (6, 2)
    assert net.module_.head[1].out_features == 1


def test_parameters_are_left_alone_by_fit():
    net = make_classifier(class_weight={"ALL": 2}, callbacks=[], verbose=0)
    before = net.get_params()
    net.fit(PIXELS, LABELS)
    assert net.get_params() == before
    assert repr(net).startswith(f"CNNClassifier(backbone='{NAME}'")
