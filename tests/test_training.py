"""Training: inner splits, early stopping, what is frozen and when, averaged weights."""

import numpy as np
import pytest
import torch
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold
from skorch.callbacks import Callback, GradientNormClipping
from skorch.dataset import ValidSplit

from skall import CNNClassifier, get_estimator, load
from skall.classifier.inner_split import hold_out
from skall.classifier.training_rows import gather_rows
from skall.datasets import make_blood_cells
from skall.images import as_images

CELLS = make_blood_cells(40, n_patients=8, image_size=32, random_state=0)
X = CELLS.data
SEQUENTIAL = "alexnet"


def make_classifier(**params):
    settings = {"weights": None, "image_size": 32, "max_epochs": 4, "random_state": 0, "lr": 1e-2}
    return CNNClassifier(**({"backbone": "timm/test_resnet"} | settings | params))


class Spy(Callback):
    """Keeps the rows of both parts, and the weights after each epoch."""

    def on_train_begin(self, net, X=None, **kwargs):
        self.train = X.read.rows
        self.valid = None if X.valid is None else X.valid.read.rows
        self.states = []

    def on_epoch_end(self, net, **kwargs):
        state = net.module_.state_dict()
        self.states.append({name: tensor.clone() for name, tensor in state.items()})


def fit_watched(y=CELLS.target, sample_weight=None, groups=None, **params):
    net = make_classifier(callbacks=[("spy", Spy())], **params)
    net.fit(X, y, sample_weight=sample_weight, groups=groups)
    return net, dict(net.callbacks_)["spy"]


def changed(before, after, prefix):
    names = [name for name in before if name.startswith(prefix)]
    assert names
    return any(not torch.equal(before[name], after[name]) for name in names)


# -- the inner split ------------------------------------------------------------------------------


def test_without_early_stopping_nothing_is_held_out():
    net, spy = fit_watched(max_epochs=1)
    assert spy.valid is None and len(spy.train) == len(X)
    assert net.history_frame_["valid_loss"].isna().all()


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.7])
def test_the_held_out_part_is_stratified(fraction):
    _, spy = fit_watched(early_stopping=True, validation_fraction=fraction, max_epochs=1)
    assert sorted([*spy.train, *spy.valid]) == list(range(len(X)))
    assert len(spy.valid) == round(fraction * len(X))
    shares = [np.mean(CELLS.target[part] == "ALL") for part in (spy.train, spy.valid)]
    assert abs(shares[0] - shares[1]) < 0.1


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.7])
def test_no_patient_is_on_both_sides(fraction):
    _, spy = fit_watched(
        early_stopping=True, validation_fraction=fraction, max_epochs=1, groups=CELLS.groups
    )
    patients = [set(CELLS.groups[part]) for part in (spy.train, spy.valid)]
    assert not patients[0] & patients[1]
    for part in (spy.train, spy.valid):
        assert set(CELLS.target[part]) == {"ALL", "healthy"}
    assert abs(len(spy.valid) / len(X) - max(fraction, 0.25)) <= 0.15
    # Without the groups the same seed parts patients: the test above can fail.
    _, leaky = fit_watched(early_stopping=True, validation_fraction=fraction, max_epochs=1)
    assert set(CELLS.groups[leaky.train]) & set(CELLS.groups[leaky.valid])


def test_groups_that_share_an_image_are_one():
    images = X[:6].copy()
    images[1] = images[0]
    groups = np.array(["a", "b", "a", "b", "c", "c"])
    rows = gather_rows(as_images(images), np.array([0, 0, 1, 1, 0, 1]), groups=groups)
    assert {*rows.rows} >= {2, 3, 4, 5} and len({*rows.groups}) == 2
    assert len({*rows.groups[np.isin(rows.rows, [2, 3])]}) == 1


def test_copies_stay_on_one_side():
    weight = np.tile([1.0, 2.0, 3.0, 1.0], 10)
    _, spy = fit_watched(
        early_stopping=True, validation_fraction=0.3, max_epochs=1, sample_weight=weight
    )
    assert not set(spy.train) & set(spy.valid)
    assert len(spy.train) + len(spy.valid) == weight.sum()


@pytest.mark.parametrize("groups", [None, np.repeat(np.arange(20), 2)], ids=["alone", "groups"])
def test_rare_classes_are_on_both_sides(groups):
    y = np.array(["common"] * 37 + ["rare"] * 3)
    learned = gather_rows(as_images(X), np.unique(y, return_inverse=True)[1], groups=groups)
    train, valid = hold_out(learned, 0.1, seed=0)
    assert set(learned.targets[train]) == set(learned.targets[valid]) == {0, 1}
    assert not set(learned.groups[train]) & set(learned.groups[valid])


@pytest.mark.parametrize(
    ("groups", "kind"), [(None, "images"), (["a"] * 20 + ["b"] * 20, "groups")]
)
def test_an_impossible_split_says_why(groups, kind):
    y = np.array(["one"] + ["many"] * 39) if groups is None else np.repeat(["x", "y"], 20)
    with pytest.raises(ValueError, match=f"every class in both parts.* {kind}.*False"):
        make_classifier(early_stopping=True).fit(X, y, groups=groups)


@pytest.mark.parametrize("cv", [GroupKFold(4), StratifiedGroupKFold(4)])
def test_splitters_of_skorch_get_the_groups(cv):
    net, spy = fit_watched(train_split=ValidSplit(cv), groups=CELLS.groups, max_epochs=2)
    assert not set(CELLS.groups[spy.train]) & set(CELLS.groups[spy.valid])
    assert net.history_frame_["valid_loss"].notna().all()


@pytest.mark.parametrize(
    ("company", "kind"),
    [({"groups": CELLS.groups}, "groups"), ({"sample_weight": np.full(40, 2.0)}, "with copies")],
)
def test_splitters_of_skorch_must_not_part_what_belongs_together(company, kind):
    with pytest.raises(ValueError, match=f"{kind} on both sides; use early_stopping"):
        make_classifier(train_split=ValidSplit(3)).fit(X, CELLS.target, **company)


# -- early stopping -------------------------------------------------------------------------------


@pytest.mark.parametrize("trainable", ["all", "head"])
def test_the_best_epoch_is_restored(trainable):
    params = {
        "trainable": trainable,
        "early_stopping": True,
        "validation_fraction": 0.3,
        "n_iter_no_change": 2,
        "lr": 0.05,
    }
    net = make_classifier(max_epochs=60, **params).fit(X, CELLS.target)
    losses = net.history_frame_["valid_loss"]
    assert net.n_iter_ == len(losses) < 60
    assert net.best_epoch_ == losses.idxmin() + 1
    shorter = make_classifier(max_epochs=net.best_epoch_, **params).fit(X, CELLS.target)
    assert shorter.best_epoch_ == net.best_epoch_
    np.testing.assert_array_equal(net.predict_proba(X), shorter.predict_proba(X))


def test_the_best_epoch_is_saved(tmp_path):
    net = make_classifier(early_stopping=True, max_epochs=2).fit(X, CELLS.target)
    net.save(tmp_path)
    loaded = load(tmp_path)
    assert loaded.best_epoch_ == net.best_epoch_
    np.testing.assert_array_equal(loaded.predict_proba(X), net.predict_proba(X))
    assert not hasattr(net.set_params(early_stopping=False).fit(X, CELLS.target), "best_epoch_")


def test_patience_and_tolerance():
    params = {"early_stopping": True, "validation_fraction": 0.3, "max_epochs": 9, "lr": 1e-4}
    # No fall of the loss is large enough.
    assert make_classifier(n_iter_no_change=3, tol=10.0, **params).fit(X, CELLS.target).n_iter_ == 4
    assert make_classifier(n_iter_no_change=9, tol=0, **params).fit(X, CELLS.target).n_iter_ == 9


def test_early_stopping_waits_for_the_trunk():
    params = {"early_stopping": True, "validation_fraction": 0.3, "max_epochs": 9, "tol": 10.0}
    net = make_classifier(unfreeze_after=5, n_iter_no_change=2, **params).fit(X, CELLS.target)
    assert net.n_iter_ == 7


def test_partial_fit_cannot_stop_early():
    with pytest.raises(ValueError, match="cannot stop early"):
        make_classifier(early_stopping=True).partial_fit(X, CELLS.target)


# -- what is trained ------------------------------------------------------------------------------


@pytest.mark.parametrize("n_stages", [1, 3])
def test_the_last_stages_are_trained(n_stages):
    net = get_estimator(
        SEQUENTIAL, weights=None, image_size=64, trainable=n_stages, max_epochs=1, random_state=0
    )
    before = clone_state(net)
    net.fit(X, CELLS.target)
    after = net.module_.state_dict()
    # Its features are five convolutions with what follows each.
    weights = [name for name in before if "trunk" in name and name.endswith("weight")]
    moved = [not torch.equal(before[name], after[name]) for name in weights]
    assert moved == [False] * (5 - n_stages) + [True] * n_stages
    assert not torch.equal(before["head.1.weight"], after["head.1.weight"])


def clone_state(net):
    """The weights that a fit with this seed starts from."""
    start = net.__class__(**net.get_params()).set_params(lr=1e-30, weight_decay=0)
    return start.fit(X[:8], CELLS.target[:8]).module_.state_dict()


# With augmentation the images go through the frozen stages in every epoch.
@pytest.mark.parametrize("augment", [None, "vinod2025"])
def test_frozen_stages_keep_their_statistics(augment):
    params = {"backbone": "resnet18", "trainable": 1, "max_epochs": 2}
    net = make_classifier(**params, augment=augment).fit(X, CELLS.target)
    n_batches = [
        int(tensor)
        for name, tensor in net.module_.state_dict().items()
        if name.endswith("num_batches_tracked")
    ]
    assert 0 in n_batches and max(n_batches) == net.n_iter_ * 2


def test_all_stages_are_all():
    whole = get_estimator(
        SEQUENTIAL, weights=None, image_size=64, max_epochs=1, random_state=0, lr=1e-3
    )
    stages = whole.__class__(**whole.get_params()).set_params(trainable=5)
    proba = [net.fit(X, CELLS.target).predict_proba(X) for net in (whole, stages)]
    np.testing.assert_array_equal(*proba)
    with pytest.raises(ValueError, match="'alexnet' has 5 stages; an integer from 1 to 5"):
        whole.set_params(trainable=6).fit(X, CELLS.target)


def test_the_trunk_joins_later():
    net, spy = fit_watched(unfreeze_after=2, lr=None)
    first, second, third, fourth = spy.states
    assert not changed(first, second, "extractor")
    assert changed(first, second, "head")
    assert changed(second, third, "extractor") and changed(third, fourth, "extractor")
    assert np.allclose(net.history_frame_["lr"], 1e-3)


def test_the_trunk_learns_at_a_tenth():
    class Rates(Callback):
        def on_train_begin(self, net, **kwargs):
            self.rates = [group["lr"] for group in net.optimizer_.param_groups]

    for lr, expected in [(None, [1e-3, 1e-4]), (0.5, [0.5, 0.05])]:
        net = make_classifier(lr=lr, unfreeze_after=1, max_epochs=2, callbacks=[("r", Rates())])
        net.fit(X, CELLS.target)
        np.testing.assert_allclose(dict(net.callbacks_)["r"].rates, expected)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"unfreeze_after": 4}, "leaves none of the max_epochs=4 epochs"),
        ({"unfreeze_after": 1, "trainable": "head"}, "never trained"),
        ({"augment_views": 2}, "augment_views=2 without augment"),
        ({"early_stopping": True, "train_split": ValidSplit(2)}, "leave train_split=None"),
        ({"early_stopping": True, "callbacks": "disable"}, "early_stopping=True is done by a"),
        ({"lr_schedule": "cosine", "callbacks": "disable"}, "instead of 'disable'"),
    ],
)
def test_parameters_that_exclude_each_other(params, message):
    with pytest.raises(ValueError, match=message):
        make_classifier(**params).fit(X, CELLS.target)


# -- averaged weights, and pieces of torch and skorch ---------------------------------------------


def test_an_average_that_forgets_at_once_is_the_weights():
    expected = make_classifier().fit(X, CELLS.target).predict_proba(X)
    net = make_classifier(ema_decay=0).fit(X, CELLS.target)
    np.testing.assert_array_equal(net.predict_proba(X), expected)


def test_the_average_is_that_of_the_steps():
    # One batch an epoch, so that the states after the epochs are those after the steps.
    net, spy = fit_watched(ema_decay=0.25, batch_size=-1)
    _, raw_spy = fit_watched(batch_size=-1)
    name = "head.1.weight"
    average = clone_state(make_classifier(batch_size=-1))[name]
    for step, state in enumerate(raw_spy.states, start=1):
        decay = min(0.25, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * state[name]
    torch.testing.assert_close(net.module_.state_dict()[name], average, rtol=1e-5, atol=1e-7)
    # Training goes on from the weights themselves.
    torch.testing.assert_close(spy.states[-1][name], raw_spy.states[-1][name], rtol=0, atol=0)


def test_the_average_is_what_is_validated_and_kept():
    params = {"early_stopping": True, "validation_fraction": 0.3, "max_epochs": 8}
    net, spy = fit_watched(ema_decay=0.9, **params)
    proba = net.predict_proba(X[spy.valid])
    column = [net.classes_.tolist().index(label) for label in CELLS.target[spy.valid]]
    loss = -np.log(proba[np.arange(len(column)), column]).mean()
    np.testing.assert_allclose(loss, net.history_frame_["valid_loss"].min(), rtol=1e-4)


def test_label_smoothing_and_clipping_are_pieces_of_torch_and_skorch():
    plain = make_classifier(max_epochs=2).fit(X, CELLS.target)
    smoothed = make_classifier(max_epochs=2, criterion__label_smoothing=0.3).fit(X, CELLS.target)
    assert not np.array_equal(plain.predict_proba(X), smoothed.predict_proba(X))

    class Norm(Callback):
        def on_batch_end(self, net, training, **kwargs):
            grads = [p.grad for p in net.module_.parameters() if p.grad is not None]
            self.norm = float(torch.nn.utils.get_total_norm(grads))

    callbacks = [("clip", GradientNormClipping(0.01)), ("norm", Norm())]
    net = make_classifier(max_epochs=1, callbacks=callbacks).fit(X, CELLS.target)
    np.testing.assert_allclose(dict(net.callbacks_)["norm"].norm, 0.01, rtol=1e-3)
