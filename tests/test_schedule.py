"""Learning rates over the epochs."""

import numpy as np
import pytest
import torch

from skall import CNNClassifier
from skall.datasets import make_blood_cells

CELLS = make_blood_cells(16, n_patients=4, image_size=32, random_state=0)


def fit_rates(**params):
    net = CNNClassifier(
        "timm/test_resnet", weights=None, image_size=32, lr=0.01, random_state=0, **params
    )
    return net.fit(CELLS.data, CELLS.target).history_frame_["lr"].to_numpy()


@pytest.mark.parametrize(
    ("params", "factors"),
    [
        ({"lr_schedule": None}, np.ones(6)),
        ({"lr_schedule": "cosine"}, (1 + np.cos(np.pi * np.arange(6) / 6)) / 2),
        ({"lr_schedule": "cosine", "lr_schedule__eta_min": 0.01}, np.ones(6)),
        ({"lr_schedule": "step"}, [1, 1, 0.1, 0.1, 0.01, 0.01]),
        (
            {
                "lr_schedule": torch.optim.lr_scheduler.ExponentialLR,
                "lr_schedule__gamma": 0.5,
            },
            0.5 ** np.arange(6),
        ),
    ],
)
def test_the_rate_follows_the_schedule(params, factors):
    np.testing.assert_allclose(fit_rates(max_epochs=6, **params), 0.01 * np.asarray(factors))


def test_a_plateau_lowers_the_rate():
    # An improvement by 100 % is never seen, so that every epoch, the first too, is a plateau.
    options = {"lr_schedule__patience": 0, "lr_schedule__threshold": 1.0}
    rates = fit_rates(max_epochs=4, lr_schedule="plateau", **options)
    np.testing.assert_allclose(rates, [0.01, 0.001, 0.0001, 0.00001])


def test_a_schedule_starts_anew_with_each_fit():
    net = CNNClassifier(
        "timm/test_resnet",
        weights=None,
        image_size=32,
        max_epochs=3,
        lr_schedule="cosine",
        warm_start=True,
        random_state=0,
    )
    for _ in range(2):
        net.fit(CELLS.data, CELLS.target)
    rates = net.history_frame_["lr"].to_numpy()
    np.testing.assert_allclose(rates[:3], rates[3:])


def test_wrong_names_are_refused():
    with pytest.raises(ValueError, match=r"lr_schedule='cosin'.*'cosine', 'plateau', 'step'"):
        fit_rates(lr_schedule="cosin")
    with pytest.raises(TypeError, match=r"lr_schedule__gama.*lr_schedule__gamma"):
        fit_rates(lr_schedule=torch.optim.lr_scheduler.ExponentialLR, lr_schedule__gama=1)


@pytest.mark.parametrize("schedule", [None, "cosine", torch.optim.lr_scheduler.StepLR])
def test_the_rate_rises_before_the_schedule_begins(schedule):
    params = {"lr_schedule__step_size": 1} if isinstance(schedule, type) else {}
    rates = fit_rates(max_epochs=6, warmup_epochs=2, lr_schedule=schedule, batch_size=4, **params)
    follows = fit_rates(max_epochs=4, lr_schedule=schedule, **params)
    # Recorded after each epoch: the schedule has then changed the rate for the next.
    np.testing.assert_allclose(rates[:2], [0.005, 0.01])
    np.testing.assert_allclose(rates[2:], follows)
