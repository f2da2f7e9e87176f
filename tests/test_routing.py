"""Weights and groups on their way through scikit-learn to `fit`."""

import numpy as np
import pytest
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline as make_sampling_pipeline
from sklearn import config_context
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import AdaBoostClassifier, StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    cross_validate,
)
from sklearn.pipeline import make_pipeline

from skall import CNNClassifier, ImagePreprocessor
from skall.datasets import make_blood_cells
from skall.routing import fit_with_groups

CELLS = make_blood_cells(18, n_patients=6, image_size=16, random_state=0)
WEIGHTS = np.arange(18) % 3 + 1.0


class Recorder(CNNClassifier):
    """Keeps what `fit` was given."""

    def __init__(self, backbone="timm/test_resnet", *, weights=None, image_size=16, max_epochs=1):
        super().__init__(
            backbone, weights=weights, image_size=image_size, max_epochs=max_epochs, random_state=0
        )

    def fit(self, X, y, sample_weight=None, groups=None):
        self.given_ = sample_weight, groups
        return super().fit(X, y, sample_weight=sample_weight, groups=groups)


def check(results):
    """Each fold's fit got the weights and groups of its own rows."""
    for estimator, rows in zip(results["estimator"], results["indices"]["train"], strict=True):
        net = estimator[-1] if hasattr(estimator, "steps") else estimator
        np.testing.assert_array_equal(net.given_[0], WEIGHTS[rows])
        np.testing.assert_array_equal(net.given_[1], CELLS.groups[rows])


def run(estimator, **options):
    return cross_validate(
        estimator,
        *(CELLS.data, CELLS.target),
        cv=GroupKFold(3),
        return_estimator=True,
        return_indices=True,
        error_score="raise",
        **options,
    )


def test_routing_off():
    passed = {"sample_weight": WEIGHTS, "groups": CELLS.groups}
    check(run(Recorder(), groups=CELLS.groups, params=passed))


def test_routing_off_through_a_pipeline():
    pipeline = make_pipeline(ImagePreprocessor(16), Recorder())
    passed = {"recorder__sample_weight": WEIGHTS, "recorder__groups": CELLS.groups}
    check(run(pipeline, groups=CELLS.groups, params=passed))


@pytest.mark.parametrize("piped", [False, True])
def test_routing_on(piped):
    with config_context(enable_metadata_routing=True):
        net = Recorder().set_fit_request(sample_weight=True, groups=True)
        net.set_score_request(sample_weight=True)
        estimator = make_pipeline(ImagePreprocessor(16), net) if piped else net
        check(run(estimator, params={"sample_weight": WEIGHTS, "groups": CELLS.groups}))


def test_routing_on_without_a_request_is_an_error():
    with (
        config_context(enable_metadata_routing=True),
        pytest.raises(ValueError, match=r"sample_weight.* not .*requested"),
    ):
        run(Recorder(), params={"sample_weight": WEIGHTS, "groups": CELLS.groups})


def test_groups_of_any_type():
    net = CNNClassifier("timm/test_resnet", weights=None, image_size=16, max_epochs=1)
    net.set_params(random_state=0)
    plain = net.fit(CELLS.data, CELLS.target).predict_proba(CELLS.data)
    for groups in (CELLS.groups, CELLS.groups.tolist(), np.arange(18), np.arange(18) / 2):
        net.fit(CELLS.data, CELLS.target, groups=groups)
        # Without an inner split the groups change nothing.
        np.testing.assert_array_equal(net.predict_proba(CELLS.data), plain)


class Witness(DummyClassifier):
    """Remembers, in a list of the class, the rows and groups of each fit."""

    fits: list

    def fit(self, X, y, sample_weight=None, groups=None):
        self.fits.append((np.asarray(X)[:, 0], groups))
        return super().fit(X, y, sample_weight)


ROWS = np.arange(24.0)[:, None]
PATIENTS = np.array([f"P{row // 3}" for row in range(24)])
LABELS = np.arange(24) // 6 % 2
BY_PATIENT = {"cv": GroupKFold(2), "error_score": "raise", "scoring": "balanced_accuracy"}
STRATEGY = {"strategy": ["prior", "uniform"]}


def make_holders():
    """Estimators that hold witnesses, and how many fits of them there are."""
    net = Witness(random_state=0)
    halving = {"resource": "n_samples", "min_resources": 12, "factor": 2, "random_state": 0}
    piped = make_pipeline("passthrough", net)
    in_pipe = {f"witness__{name}": values for name, values in STRATEGY.items()}
    return {
        "alone": (net, 1),
        "pipeline": (piped, 1),
        "grid": (GridSearchCV(net, STRATEGY, **BY_PATIENT), 5),
        "grid of pipelines": (GridSearchCV(piped, in_pipe, **BY_PATIENT), 5),
        "pipeline of a grid": (
            make_pipeline("passthrough", GridSearchCV(net, STRATEGY, **BY_PATIENT)),
            5,
        ),
        "random": (RandomizedSearchCV(net, STRATEGY, n_iter=1, random_state=0, **BY_PATIENT), 3),
        "halving": (HalvingGridSearchCV(net, STRATEGY, **halving, **BY_PATIENT), 7),
        "random halving": (
            HalvingRandomSearchCV(net, STRATEGY, n_candidates=2, **halving, **BY_PATIENT),
            7,
        ),
        "voting": (VotingClassifier([("a", net), ("b", LogisticRegression())]), 1),
        "voting of searches": (
            VotingClassifier([("a", GridSearchCV(net, STRATEGY, **BY_PATIENT)), ("b", piped)]),
            6,
        ),
        "calibrated": (CalibratedClassifierCV(net, cv=GroupKFold(2), ensemble=True), 2),
    }


@pytest.fixture
def fits(monkeypatch):
    fits = []
    monkeypatch.setattr(Witness, "fits", fits, raising=False)
    return fits


@pytest.mark.parametrize("name", make_holders())
def test_groups_reach_every_fit(name, fits):
    estimator, n_fits = make_holders()[name]
    assert fit_with_groups(estimator, ROWS, LABELS, PATIENTS) is estimator
    assert len(fits) == n_fits
    for rows, groups in fits:
        np.testing.assert_array_equal(groups, PATIENTS[rows.astype(int)])
    if n_fits in (3, 5):
        # Those of the inner split have whole patients.
        for rows, _ in fits[:-1]:
            patients, counts = np.unique(PATIENTS[rows.astype(int)], return_counts=True)
            assert len(patients) == 4
            assert set(counts) == {3}
    fits.clear()
    fit_with_groups(estimator.set_params(**without_groups(estimator)), ROWS, LABELS)
    assert all(groups is None for _, groups in fits)


def without_groups(estimator):
    """Parameters with which nothing needs groups."""
    return {name: 2 for name in estimator.get_params() if name.rpartition("__")[2] == "cv"}


@pytest.mark.parametrize(("cv", "n_splits"), [(GroupKFold(2), 2), (3, 3), (None, 4)])
def test_stacking_is_split_by_groups(fits, cv, n_splits):
    stacking = StackingClassifier([("a", Witness(random_state=0))], cv=cv)
    fit_with_groups(stacking, ROWS, LABELS, PATIENTS)
    inner = [rows for rows, _ in fits if len(rows) < 24]
    assert len(inner) == n_splits
    for rows in inner:
        assert not set(PATIENTS[rows.astype(int)]) & set(
            PATIENTS[np.setdiff1d(np.arange(24), rows.astype(int))]
        )


@pytest.mark.parametrize(
    "make",
    [
        lambda net: GridSearchCV(net, STRATEGY, cv=3),
        lambda net: VotingClassifier([("a", GridSearchCV(net, STRATEGY, cv=3))]),
        lambda net: CalibratedClassifierCV(net, cv=3),
    ],
)
def test_a_number_of_folds_parts_no_group(fits, make):
    fit_with_groups(make(Witness(random_state=0)), ROWS, LABELS, PATIENTS)
    inner = [rows.astype(int) for rows, _ in fits if len(rows) < 24]
    assert len(inner) >= 3
    for rows in inner:
        others = np.setdiff1d(np.arange(24), rows)
        assert not set(PATIENTS[rows]) & set(PATIENTS[others])


def test_a_class_of_one_group_is_split_by_image(fits):
    patients = np.where(np.equal(LABELS, LABELS[0]), "P0", PATIENTS)
    search = GridSearchCV(Witness(random_state=0), STRATEGY, cv=3)
    with pytest.warns(UserWarning, match="GridSearchCV splits by image inside"):
        fit_with_groups(search, ROWS, LABELS, patients)
    few = GridSearchCV(Witness(random_state=0), STRATEGY)
    two = np.where(np.arange(24) % 12 < 6, "a", "b")
    assert fit_with_groups(few, ROWS, np.arange(24) % 2, two).n_splits_ == 2


def test_members_of_a_stack_that_stop_early_are_warned_of():
    net = CNNClassifier("timm/test_resnet", weights=None, image_size=16, early_stopping=True)
    stacking = StackingClassifier([("net", net.set_params(max_epochs=1))], cv=2)
    with pytest.warns(UserWarning, match="passes no groups on: early_stopping=True"):
        fit_with_groups(stacking, CELLS.data, CELLS.target, CELLS.groups)


def test_after_a_sampler_groups_are_of_other_rows(fits):
    X, y, patients = ROWS[:18], LABELS[:18] * (np.arange(18) > 5), PATIENTS[:18]
    pipeline = make_sampling_pipeline(RandomOverSampler(random_state=0), Witness(random_state=0))
    fit_with_groups(pipeline, X, y, patients)
    grid = {"witness__strategy": ["prior"]}
    fit_with_groups(GridSearchCV(pipeline, grid, **BY_PATIENT), X, y, patients)
    assert len(fits) == 4
    assert all(groups is None for _, groups in fits)
    assert len(fits[0][0]) > 18


def test_a_request_of_the_users_counts(fits):
    with config_context(enable_metadata_routing=True):
        net = Witness(random_state=0).set_fit_request(groups=False)
    fit_with_groups(GridSearchCV(net, STRATEGY, **BY_PATIENT), ROWS, LABELS, PATIENTS)
    assert len(fits) == 5
    assert all(groups is None for _, groups in fits)


def test_parts_that_cannot_route():
    boosted = AdaBoostClassifier(n_estimators=2, random_state=0)
    search = GridSearchCV(boosted, {"learning_rate": [1.0]}, **BY_PATIENT)
    assert fit_with_groups(search, ROWS, LABELS, PATIENTS).n_splits_ == 2
    assert fit_with_groups(boosted, ROWS, LABELS, PATIENTS) is boosted
    plain = GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=2)
    assert fit_with_groups(plain, ROWS, LABELS, PATIENTS).n_splits_ == 2
