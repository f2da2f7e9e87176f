"""Fitting: labels of any type, weights as copies, callbacks, going on, the history."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Checkpoint, EarlyStopping, EpochScoring, LRScheduler
from skorch.dataset import ValidSplit
from torch import nn
from torch.optim.lr_scheduler import StepLR

from skall import CNNClassifier, compare
from skall.datasets import make_blood_cells

CELLS = make_blood_cells(24, n_patients=6, image_size=32, random_state=0)
IMAGES = CELLS.data
CODES = (CELLS.target == CELLS.pos_label).astype(int)


def make_classifier(**params):
    settings = {"weights": None, "image_size": 32, "max_epochs": 2, "lr": 0.01, "random_state": 0}
    return CNNClassifier("timm/test_resnet", **(settings | params))


THREE = np.arange(24) % 3
LABELS = {
    "str": np.array(["b", "a"])[CODES],
    "object": np.array(["healthy", "ALL"], dtype=object)[CODES],
    "list of str": np.array(["b", "a"])[CODES].tolist(),
    "int": CODES,
    "int with gaps": np.array([7, -3])[CODES],
    "bool": CODES == 1,
    "whole floats": np.array([2.0, 1.0])[CODES],
    "Series": pd.Series(np.array(["b", "a"])[CODES], index=range(100, 124)),
    "categorical": pd.Series(pd.Categorical.from_codes(CODES, ["b", "a"])),
    "three str": np.array(["x", "z", "y"])[THREE],
    "three int": np.array([10, 5, 7])[THREE],
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_any_type(kind):
    y = LABELS[kind]
    net = make_classifier().fit(IMAGES, y)
    y = np.asarray(y)
    n_classes = len(np.unique(y))
    np.testing.assert_array_equal(net.classes_, np.unique(y))
    probabilities = net.predict_proba(IMAGES)
    assert probabilities.shape == (24, n_classes)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    predicted = net.predict(IMAGES)
    assert predicted.dtype == net.classes_.dtype == y.dtype
    np.testing.assert_array_equal(predicted, net.classes_[probabilities.argmax(axis=1)])
    scores = net.decision_function(IMAGES)
    assert scores.shape == ((24,) if n_classes == 2 else (24, 3))
    if n_classes == 2:
        np.testing.assert_array_equal(scores > 0, predicted == net.classes_[1])


def test_cells_are_told_apart():
    net = make_classifier(max_epochs=40, dropout=0).fit(IMAGES, LABELS["str"])
    assert net.score(IMAGES, LABELS["str"]) > 0.8


def test_the_order_of_labels_does_not_depend_on_their_names():
    """The column of a class holds its probability, whichever way the names sort."""
    ab = make_classifier().fit(IMAGES, np.array(["a", "b"])[CODES]).predict_proba(IMAGES)
    numbers = make_classifier().fit(IMAGES, np.array([-1, 1])[CODES]).predict_proba(IMAGES)
    np.testing.assert_array_equal(ab, numbers)


@pytest.mark.parametrize("trainable", ["all", "head"])
@pytest.mark.parametrize("weight", ["whole", "zero"])
def test_a_weight_is_a_number_of_copies_in_any_order(trainable, weight):
    rng = np.random.default_rng(1)
    weights = rng.integers(0, 2, 24) if weight == "zero" else rng.integers(1, 4, 24)
    copies = rng.permutation(np.repeat(np.arange(24), weights))
    order = rng.permutation(24)
    net = make_classifier(trainable=trainable)
    expected = net.fit(IMAGES, CODES, sample_weight=weights).predict_proba(IMAGES)
    for rows, kept in ((copies, None), (order, weights[order])):
        net.fit(IMAGES[rows], CODES[rows], sample_weight=kept)
        np.testing.assert_array_equal(net.predict_proba(IMAGES), expected)
    unweighted = net.fit(IMAGES, CODES).predict_proba(IMAGES)
    assert not np.array_equal(unweighted, expected)


def test_fractional_weights_count():
    net = make_classifier(dropout=0)
    ones = net.fit(IMAGES, CODES).predict_proba(IMAGES)
    halves = net.fit(IMAGES, CODES, sample_weight=np.full(24, 0.5)).predict_proba(IMAGES)
    np.testing.assert_array_equal(halves, ones)
    tilted = net.fit(IMAGES, CODES, sample_weight=np.where(CODES, 9.5, 0.5)).predict_proba(IMAGES)
    assert (tilted[:, 1] > ones[:, 1]).mean() > 0.9


def test_class_weight():
    rare = np.flatnonzero(CODES)[:4]
    rows = np.sort([*np.flatnonzero(CODES == 0), *rare])
    share = np.bincount(CODES[rows])
    assert share[1] < share[0]
    plain, weighted, balanced, by_hand = (
        make_classifier(class_weight=weight, dropout=0)
        .fit(IMAGES[rows], CODES[rows])
        .predict_proba(IMAGES)
        for weight in (None, {1: 20}, "balanced", dict(enumerate(len(rows) / (2 * share))))
    )
    assert (weighted[:, 1] > plain[:, 1]).mean() > 0.9
    np.testing.assert_array_equal(by_hand, balanced)


def test_history_frame():
    net = make_classifier(max_epochs=3).fit(IMAGES, CODES)
    columns = ["epoch", "train_loss", "valid_loss", "train_acc", "valid_acc", "lr", "dur"]
    frame = net.history_frame_
    assert frame.columns.tolist() == columns
    assert frame["epoch"].tolist() == [1, 2, 3] and net.n_iter_ == 3
    assert frame[["valid_loss", "valid_acc"]].isna().all(axis=None)
    assert frame[["train_loss", "train_acc", "lr", "dur"]].notna().all(axis=None)
    assert frame["train_acc"].between(0, 1).all()
    split = make_classifier(train_split=ValidSplit(3)).fit(IMAGES, CODES)
    assert split.history_frame_.notna().all(axis=None)
    assert len(split.history_) == len(split.history_frame_) == 2


def make_labels(strings):
    return np.array(["a", "b"])[CODES] if strings else CODES


@pytest.mark.parametrize("strings", [True, False])
def test_epoch_scoring(strings):
    """skorch's scores of the inner split are those of the predictions on it."""
    callbacks = [
        EpochScoring("accuracy", name="accuracy", lower_is_better=False),
        EpochScoring("roc_auc", name="auc", lower_is_better=False),
        EpochScoring("neg_log_loss", name="loss", lower_is_better=False),
        EpochScoring("accuracy", name="learned", on_train=True, lower_is_better=False),
    ]
    net = make_classifier(callbacks=callbacks, train_split=ValidSplit(3), max_epochs=3)
    last = net.fit(IMAGES, make_labels(strings)).history_[-1]
    assert last["accuracy"] == pytest.approx(last["valid_acc"])
    assert last["loss"] == pytest.approx(-last["valid_loss"], abs=1e-6)
    assert 0 <= last["auc"] <= 1 and last["learned"] == pytest.approx(last["train_acc"])


def test_early_stopping_stops():
    """The rate falls to nothing, so the loss stops falling."""
    callbacks = [
        ("rate", LRScheduler(StepLR, step_size=1, gamma=1e-6)),
        ("stop", EarlyStopping(patience=2, load_best=True)),
    ]
    net = make_classifier(callbacks=callbacks, train_split=ValidSplit(3), max_epochs=40)
    net.fit(IMAGES, CODES)
    assert 3 <= net.n_iter_ == len(net.history_) < 40
    assert net.predict_proba(IMAGES).shape == (24, 2)


class Interrupted(torch.nn.CrossEntropyLoss):
    def forward(self, *args):
        raise KeyboardInterrupt


def test_ctrl_c_reaches_the_user():
    with pytest.raises(KeyboardInterrupt):
        make_classifier(criterion=Interrupted).fit(IMAGES, CODES)


def test_checkpoint(tmp_path):
    best = Checkpoint(dirname=str(tmp_path), monitor="valid_loss_best", load_best=True)
    net = make_classifier(callbacks=[best], train_split=ValidSplit(3), max_epochs=4)
    net.fit(IMAGES, CODES)
    assert net.device == "auto"
    written = torch.load(tmp_path / "params.pt", weights_only=True)
    for name, tensor in net.module_.state_dict().items():
        torch.testing.assert_close(tensor, written[name], rtol=0, atol=0)


@pytest.mark.parametrize("use_safetensors", [False, True])
def test_parameters_are_saved_and_read_in_skorchs_way(tmp_path, use_safetensors):
    path = tmp_path / "params"
    net = make_classifier().fit(IMAGES, CODES)
    net.save_params(f_params=path, use_safetensors=use_safetensors)
    other = make_classifier(random_state=1).fit(IMAGES, CODES)
    other.load_params(f_params=path, use_safetensors=use_safetensors)
    np.testing.assert_array_equal(other.predict_proba(IMAGES), net.predict_proba(IMAGES))


def test_warm_start_goes_on():
    net = make_classifier(warm_start=True, max_epochs=3).fit(IMAGES, CODES)
    losses = net.history_frame_["train_loss"].tolist()
    net.fit(IMAGES, CODES)
    again = net.history_frame_["train_loss"].tolist()
    assert net.n_iter_ == 6 and again[:3] == losses and again[3] < losses[0]
    cold = make_classifier(max_epochs=3).fit(IMAGES, CODES).fit(IMAGES, CODES)
    assert cold.n_iter_ == 3 and cold.history_frame_["train_loss"].tolist() == losses


def test_partial_fit():
    net = make_classifier()
    first = np.flatnonzero(CODES == 0)
    net.partial_fit(IMAGES[first], CODES[first], classes=[0, 1])
    before = net.predict_proba(IMAGES)
    for _ in range(3):
        net.partial_fit(IMAGES, CODES)
    assert net.n_iter_ == 4 and net.classes_.tolist() == [0, 1]
    assert net.predict_proba(IMAGES)[CODES == 1, 1].mean() > before[CODES == 1, 1].mean()


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("batch_size", [1, 2, 4, -1])
def test_any_number_of_rows_and_any_batch_size(n, batch_size):
    """A last batch of one would break batch normalisation; a dropped one trains nothing."""
    net = make_classifier(batch_size=batch_size).fit(IMAGES[:n], np.arange(n) % 2)
    start = make_classifier(batch_size=batch_size, max_epochs=1).fit(IMAGES[:n], np.arange(n) % 2)
    assert np.isfinite(net.predict_proba(IMAGES)).all()
    assert not np.array_equal(net.predict_proba(IMAGES), start.predict_proba(IMAGES))


@pytest.mark.parametrize("trainable", ["all", "head"])
def test_a_prediction_does_not_depend_on_its_batch(trainable):
    net = make_classifier(trainable=trainable, memory=None).fit(IMAGES, CODES)
    together = net.predict_proba(IMAGES)
    alone = np.concatenate([net.predict_proba(IMAGES[row : row + 1]) for row in range(24)])
    np.testing.assert_array_equal(alone, together)


def test_a_frozen_trunk_stays_as_it_is():
    net = make_classifier(trainable="head", max_epochs=1).fit(IMAGES, CODES)
    longer = make_classifier(trainable="head", max_epochs=5).fit(IMAGES, CODES)
    states = net.module_.state_dict(), longer.module_.state_dict()
    for name, tensor in states[0].items():
        assert torch.equal(tensor, states[1][name]) == name.startswith("extractor."), name


def test_a_fit_that_fails_is_forgotten(tmp_path):
    net = make_classifier().fit(IMAGES, CODES)
    net.set_params(weights=tmp_path / "none.safetensors")
    with pytest.raises(FileNotFoundError):
        net.fit(IMAGES, CODES)
    with pytest.raises(NotFittedError):
        net.predict(IMAGES)
    net = make_classifier(lr=1e30, max_epochs=3)
    with pytest.raises(ValueError, match="not finite"):
        net.fit(IMAGES, CODES)
    with pytest.raises(NotFittedError):
        net.predict(IMAGES)


class Overflowing(nn.CrossEntropyLoss):
    """Is not a number in some of its calls, in training or in validation."""

    calls = 0

    def __init__(self, in_training, when=lambda number: True):
        super().__init__()
        self.in_training = in_training
        self.when = when

    def forward(self, logits, targets):
        loss = super().forward(logits, targets)
        if self.training == self.in_training:
            self.calls += 1
            return loss * float("nan") if self.when(self.calls) else loss
        return loss


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"criterion__when": lambda n: n == 8, "batch_size": 5}, "training loss of epoch 2 is"),
        ({"criterion__in_training": False}, "validation loss of epoch 1 is"),
        ({"criterion__in_training": False, "ema_decay": 0.9}, "validation loss of epoch 1 is"),
        ({"criterion": nn.CrossEntropyLoss, "lr": 1e39}, "weights after epoch 1 are"),
    ],
    ids=["one batch", "validation", "average", "the last step"],
)
def test_what_is_not_finite_is_an_error(options, message):
    """Early stopping took NaN for an epoch that is not better, and kept the last weights."""
    if options.get("criterion") is None:
        options = {"criterion": Overflowing, "criterion__in_training": True} | options
        options = {"early_stopping": True} | options
    else:
        options = {"max_epochs": 1} | options
    for precision, remedy in (("float32", ""), ("bfloat16", ", or precision='float32'")):
        net = make_classifier(**{"lr": 1e-3, "precision": precision} | options)
        rate = f"{net.lr:g}"
        expected = f"{message} not finite (learning rate {rate}, precision {precision}); try a "
        expected += f"learning rate below {rate}{remedy}"
        with pytest.raises(ValueError, match=re.escape(expected) + "$"):
            net.fit(IMAGES, CODES)
        with pytest.raises(NotFittedError):
            net.predict(IMAGES)


def test_a_network_whose_loss_is_not_finite_fails_alone():
    """In a comparison: its folds are NaN and named, and the other network's are there."""
    networks = {"wild": make_classifier(lr=1e30), "tame": make_classifier()}
    options = {"cv": 2, "random_state": 0, "verbose": 0, "baselines": False}
    with pytest.warns(UserWarning, match="wild failed in every fold: ValueError: the training"):
        comparison = compare(networks, IMAGES, CODES, **options)
    assert set(comparison.failures_["estimator"]) == {"wild"}
    known = comparison.scores_["value"].notna().groupby(comparison.scores_["estimator"]).all()
    assert known.to_dict() == {"wild": False, "tame": True}


def test_weights_from_a_file_renew_the_features_of_a_frozen_trunk(tmp_path):
    first = make_classifier(trainable="head").fit(IMAGES, CODES)
    second = make_classifier(trainable="head").set_params(random_state=1).fit(IMAGES, CODES)
    path = tmp_path / "weights.pt"
    first.save_params(f_params=path)
    second.load_params(f_params=path)
    expected = first.predict_proba(IMAGES)
    np.testing.assert_array_equal(second.predict_proba(IMAGES), expected)
