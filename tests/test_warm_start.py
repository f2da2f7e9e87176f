"""Training that goes on: warm starts, partial fits, interrupted fits."""

import pickle

import numpy as np
import pytest
from skorch.callbacks import Callback, EpochScoring

from skall import CNNClassifier, load
from skall.cache.memory import IN_PROCESS
from skall.datasets import make_blood_cells

pytestmark = pytest.mark.numerics

CELLS = make_blood_cells(40, n_patients=8, image_size=32, random_state=0)
X, Y = CELLS.data, CELLS.target
STOPPING = {"early_stopping": True, "validation_fraction": 0.3}


def make_classifier(**params):
    settings = {"weights": None, "image_size": 32, "max_epochs": 2, "random_state": 0, "lr": 1e-2}
    return CNNClassifier(**({"backbone": "timm/test_resnet"} | settings | params))


class Rows(Callback):
    """Keeps the rows that each training held out."""

    def initialize(self):
        self.valid = getattr(self, "valid", [])
        return self

    def on_train_begin(self, net, X=None, **kwargs):
        self.valid.append(X.valid.read.rows.tolist())


@pytest.mark.parametrize("groups", [None, CELLS.groups], ids=["alone", "groups"])
def test_a_warm_start_holds_the_same_images_out(groups):
    rows = Rows()
    net = make_classifier(warm_start=True, callbacks=[("rows", rows)], **STOPPING)
    for _ in range(3):
        net.fit(X, Y, groups=groups)
    assert len(rows.valid) == 3
    assert rows.valid[0] == rows.valid[1] == rows.valid[2]


def test_a_warm_start_takes_new_parameters():
    net = make_classifier(warm_start=True).fit(X, Y)
    net.set_params(
        **{"early_stopping": True, "n_iter_no_change": 1, "tol": 10.0},
        **{"max_epochs": 6, "lr_schedule": "step", "lr": 1e-3},
    )
    net.fit(X, Y)
    # One epoch is the first, the next brings too little.
    assert net.n_iter_ == 2 + 2
    assert net.history_frame_["lr"].tolist() == pytest.approx([1e-2, 1e-2, 1e-3, 1e-3])


@pytest.mark.parametrize(
    "params",
    [
        *({"trainable": "head"}, {"head": "mlp"}, {"dropout": 0.5}, {"image_size": 64}),
        *({"backbone": "squeezenet"}, {"weights": "imagenet"}),
    ],
)
def test_what_goes_on_is_not_told_of_another_network(params, tmp_path):
    net = make_classifier(warm_start=True).fit(X, Y)
    before = net.predict_proba(X)
    net.save(tmp_path / "net")
    (name,) = params
    for kept in (net, load(tmp_path / "net")):
        value = getattr(kept, name)
        kept.set_params(**params)
        for go_on in (kept.fit, kept.partial_fit):
            with pytest.raises(ValueError, match=rf"^{name}=.* built with {name}={value!r}: "):
                go_on(X, Y)
        kept.set_params(**{name: value})
        np.testing.assert_array_equal(kept.predict_proba(X), before)
        kept.partial_fit(X, Y)


@pytest.mark.parametrize("params", [{"warmup_epochs": 3}, {"lr_schedule": "cosine"}, {}])
def test_partial_fits_start_from_the_same_rate(params):
    net = make_classifier(max_epochs=4, **params)
    for _ in range(4):
        net.partial_fit(X, Y)
    rates = net.history_frame_["lr"]
    assert rates.nunique() == 1
    assert rates[0] == pytest.approx(1e-2 / params.get("warmup_epochs", 1))


def test_partial_fits_take_a_new_rate():
    net = make_classifier().partial_fit(X, Y)
    net.set_params(lr=1e-5).partial_fit(X, Y)
    assert net.history_frame_["lr"].tolist() == [1e-2, 1e-5]


def test_partial_fits_take_the_views_in_turn():
    IN_PROCESS.clear()
    params = {"trainable": "head", "augment": "vinod2025", "augment_views": 2}
    net = make_classifier(**params)
    for _ in range(4):
        net.partial_fit(X, Y)
    # The images and two views of each.
    assert len(IN_PROCESS) == 2 * len(X)


def test_a_loaded_classifier_goes_on(tmp_path):
    net = make_classifier(warm_start=True, **STOPPING).fit(X, Y)
    net.save(tmp_path)
    again = load(tmp_path).fit(X, Y)
    np.testing.assert_array_equal(again.predict_proba(X), net.fit(X, Y).predict_proba(X))


def test_an_interrupted_fit_leaves_a_network_that_goes_on():
    class Fails(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 3:
                raise RuntimeError("enough")

    params = {"ema_decay": 0.5, "unfreeze_after": 3, "max_epochs": 4, "warm_start": True}
    net = make_classifier(**params).fit(X, Y)
    net.set_params(callbacks=[("fails", Fails())])
    net.history_.clear()
    with pytest.raises(RuntimeError, match="enough"):
        net.fit(X, Y)
    assert net.n_iter_ == len(net.history_)
    assert all(parameter.requires_grad for parameter in net.module_.parameters())
    assert net.predict_proba(X).shape == (40, 2)


@pytest.mark.parametrize("schedule", ["cosine", "plateau"])
def test_a_schedule_does_not_keep_the_optimizer(schedule):
    sizes = [
        len(pickle.dumps(make_classifier(lr_schedule=choice).fit(X, Y)))
        for choice in (None, schedule)
    ]
    assert sizes[1] < 1.1 * sizes[0]


def test_other_callbacks_have_the_last_epoch():
    scoring = EpochScoring("accuracy", name="mine", on_train=False)
    net = make_classifier(
        callbacks=[("mine", scoring)], n_iter_no_change=1, tol=10.0, max_epochs=5, **STOPPING
    )
    net.fit(X, Y)
    assert net.n_iter_ == 2
    assert all("mine" in epoch for epoch in net.history_)
