"""Searches for parameter values, alone and nested in a comparison."""

import csv
import json
import sys
import warnings

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna_integration.sklearn import OptunaSearchCV
from scipy.stats import loguniform
from sklearn.datasets import make_classification
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingRandomSearchCV,
    StratifiedGroupKFold,
    StratifiedKFold,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skall import CNNClassifier, compare
from skall.comparison.estimators import BASELINES
from skall.datasets import make_blood_cells
from skall.metrics import scorers
from skall.model_selection.splitting import CompleteGroupKFold, CompleteKFold
from skall.routing import fit_with_groups
from skall.search import OptunaSearch, make_search

pytestmark = pytest.mark.usefixtures("without_page")

CELLS = make_blood_cells(24, n_patients=8, image_size=32, random_state=0)
TINY = {"weights": None, "image_size": 32, "max_epochs": 1}
SPACE = {
    "lr": [1e-3, 1e-2],
    "batch_size": [6, 12],
    "dropout": [0.0, 0.5],
    "max_epochs": [1, 2],
    "backbone": ["timm/test_resnet", "timm/test_efficientnet"],
}
OPTIONS = {"cv": StratifiedGroupKFold(2), "scoring": "balanced_accuracy"}
FOUR_PATIENTS = np.where(CELLS.target == CELLS.pos_label, np.arange(24) % 2, 2 + np.arange(24) % 2)
STRATEGIES = [("grid", None), ("halving", None), ("optuna", 3)]
TUNE = {"lr": [1e-3, 1e-2], "dropout": [0.0, 0.5]}


def make_net(**params):
    return CNNClassifier("timm/test_resnet", random_state=0, **(TINY | params))


def run(strategy="grid", trials=None, tune=TUNE, estimators=("timm/test_resnet",), **options):
    """compare with settings that suit a test."""
    options = {"groups": CELLS.groups, "cv": 2, "random_state": 0} | options
    options |= {} if isinstance(estimators, dict) else TINY
    return compare(
        *(estimators, CELLS.data, CELLS.target),
        **{"pos_label": CELLS.pos_label, "scoring": ["accuracy"], "verbose": 0},
        **{"tune": tune, "strategy": strategy, "trials": trials},
        **options,
    )


def check_choice(search, space):
    for name, value in search.best_params_.items():
        assert value in space.get(name, [value]), name
        assert search.best_estimator_.get_params()[name] == value
    assert search.predict_proba(CELLS.data).shape == (24, 2)


@pytest.mark.parametrize("name", SPACE)
def test_grid_search(name):
    search = GridSearchCV(make_net(), {name: SPACE[name]}, error_score="raise", **OPTIONS)
    check_choice(search.fit(CELLS.data, CELLS.target, groups=CELLS.groups), SPACE)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("resource", ["n_samples", "max_epochs"])
def test_halving_random_search(resource):
    space = {name: values for name, values in SPACE.items() if name != resource}
    limit = {"resource": resource, "max_resources": 24 if resource == "n_samples" else 2}
    search = HalvingRandomSearchCV(
        *(make_net(), space),
        n_candidates=3,
        factor=2,
        random_state=1,
        error_score="raise",
        **limit,
        **OPTIONS,
    )
    check_choice(search.fit(CELLS.data, CELLS.target, groups=CELLS.groups), space)
    assert search.n_candidates_ == [3, 2]
    assert search.n_resources_ == ([8, 16] if resource == "n_samples" else [1, 2])


def test_search_of_optuna_integration():
    space = {
        name: optuna.distributions.CategoricalDistribution(values) for name, values in SPACE.items()
    }
    with warnings.catch_warnings():
        # It is experimental, and uses what Optuna has deprecated.
        warnings.simplefilter("ignore")
        search = OptunaSearchCV(make_net(), space, n_trials=2, random_state=0, **OPTIONS)
        comparison = run(tune=None, estimators={"search": search}, baselines=False)
    assert comparison.trials_ == {"search": 2}
    assert set(comparison.best_params_["parameter"]) == set(SPACE)


@pytest.mark.parametrize(
    ("strategy", "trials", "grouped"),
    [*((*pair, True) for pair in STRATEGIES), ("grid", None, False)],
)
def test_make_search(strategy, trials, grouped, capfd):
    space = {name: SPACE[name] for name in ("lr", "dropout")}
    groups = CELLS.groups if grouped else None
    results = []
    for _ in range(2):
        search = make_search(
            *(make_net(max_epochs=2), space),
            **{"strategy": strategy, "trials": trials, "cv": 2, "grouped": grouped},
            random_state=0,
        )
        fit_with_groups(search, CELLS.data, CELLS.target, groups)
        check_choice(search, space)
        results.append(search.cv_results_["mean_test_score"].tolist())
    assert results[0] == results[1]
    kind = StratifiedGroupKFold if grouped else StratifiedKFold
    assert isinstance(search.cv, kind)
    assert search.cv.shuffle
    assert capfd.readouterr().err == ""


def make_lopsided(n_patients=14, n_rare=3):
    """Cells of a few healthy patients among others: features, labels, patients."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(n_patients), rng.integers(5, 25, size=n_patients))
    y = np.where(groups < n_rare, "healthy", "ALL")
    return (y == "ALL")[:, None] + rng.normal(size=(len(y), 3)), y, groups


@pytest.mark.parametrize("n_rare", [2, 3, 5])
@pytest.mark.parametrize("seed", range(3))
def test_inner_folds_hold_every_class(n_rare, seed):
    X, y, groups = make_lopsided(n_rare=n_rare)
    folds = CompleteGroupKFold(3, random_state=seed)
    pairs = list(folds.split(X, y, groups))
    assert folds.get_n_splits(X, y, groups) == len(pairs) == min(3, n_rare)
    for train, test in pairs:
        assert len({*y[train]}) == len({*y[test]}) == 2
        assert not {*groups[train]} & {*groups[test]}
    assert sorted(np.concatenate([test for _, test in pairs])) == list(range(len(y)))


def test_inner_folds_are_scikit_learns_where_those_will_do():
    X, y, groups = make_lopsided(n_rare=7)
    options = {"shuffle": True, "random_state": 0}
    for kind, own, data in (
        (StratifiedKFold, CompleteKFold, (X, y)),
        (StratifiedGroupKFold, CompleteGroupKFold, (X, y, groups)),
    ):
        expected = kind(3, **options).split(*data)
        for ours, theirs in zip(own(3, random_state=0).split(*data), expected, strict=True):
            np.testing.assert_array_equal(np.concatenate(ours), np.concatenate(theirs))


def test_inner_folds_that_do_not_exist():
    X, y, groups = make_lopsided(n_rare=1)
    with pytest.raises(ValueError, match=r"there are 1 groups of the class 'healthy'"):
        CompleteGroupKFold(3, random_state=0).split(X, y, groups)
    with pytest.raises(ValueError, match=r"there are 1 samples of the class 'b'"):
        CompleteKFold(3, random_state=0).split(np.zeros(9), np.array(["a"] * 8 + ["b"]))
    # Which would be one patient.
    groups = groups.astype(object)
    groups[[0, 2]] = None
    with pytest.raises(ValueError, match=r"no value in 2 of .* rows: 0, 2"):
        CompleteGroupKFold(3, random_state=0).split(X, y, groups)
    with pytest.raises(ValueError, match="need groups: pass them to fit"):
        CompleteGroupKFold(3, random_state=0).split(X, y)


class Chooser(DummyClassifier):
    """Names the larger class always, or the right one where `honest`."""

    def __init__(self, honest=False):
        super().__init__()
        self.honest = honest

    def predict(self, X):
        right = np.where(X[:, 0] > 0.5, "ALL", "healthy")
        return right if self.honest else np.full(len(X), "ALL")


@pytest.mark.parametrize("scoring", ["balanced_accuracy", scorers("ALL")["balanced_accuracy"]])
@pytest.mark.parametrize(("strategy", "trials"), [("grid", None), ("halving", None), ("optuna", 4)])
def test_a_fold_without_a_class_favours_nobody(strategy, trials, scoring):
    """Over three folds, two of one class, whoever names that class alone would come first."""
    X, y, groups = make_lopsided(n_rare=2)
    search = make_search(
        *(Chooser(), {"honest": [False, True]}),
        **{"strategy": strategy, "trials": trials and 2, "scoring": scoring, "grouped": True},
        random_state=0,
    )
    fit_with_groups(search, X, y, groups)
    assert search.best_params_ == {"honest": True}
    columns = ("param_honest", "mean_test_score")
    scores = dict(zip(*(search.cv_results_[column] for column in columns), strict=True))
    assert scores[False] == 0.5 < scores[True] < 0.9


def test_halving_by_samples_judges_by_whole_test_parts():
    X, y, _ = make_lopsided(n_rare=3)
    judged, folds = [], []

    def score(estimator, X, y):
        judged.append((len(y), len({*y})))
        return estimator.score(X, y)

    search = make_search(
        *(LogisticRegression(), {"C": [1e-3, 1e-2, 1e-1, 1, 10]}),
        **{"strategy": "halving", "scoring": score, "random_state": 0},
    )
    search.fit(X, y)
    folds = [len(test) for _, test in search.cv.split(X, y)]
    assert search.resource == "n_samples" and search.n_resources_[0] < len(y) / 2
    assert {*judged} == {(size, 2) for size in folds}


def test_halving_gives_epochs_or_samples():
    def make_halving(estimator, space):
        return make_search(estimator, space, strategy="halving", cv=2, random_state=0)

    search = make_halving(make_net(max_epochs=7), {"lr": [1e-3, 1e-2, 1e-1]})
    assert (search.resource, search.max_resources, search.n_candidates) == ("max_epochs", 7, 3)
    assert make_halving(make_net(), {"max_epochs": [1, 2]}).resource == "n_samples"
    assert make_halving(LogisticRegression(), {"C": [1, 2]}).resource == "n_samples"


@pytest.mark.parametrize(("strategy", "trials"), STRATEGIES)
def test_finds_what_is_best(strategy, trials):
    X, y = make_classification(random_state=0)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    space = {"logisticregression__C": [1e-9, 1e-8, 1.0]}
    search = make_search(
        pipeline, space, strategy=strategy, trials=trials, scoring="neg_log_loss", random_state=1
    )
    assert search.fit(X, y).best_params_ == {"logisticregression__C": 1.0}
    assert not hasattr(pipeline[-1], "classes_")


def test_optuna_tries_nothing_twice():
    X, y = make_classification(random_state=0)
    search = OptunaSearch(LogisticRegression(), {"C": [0.1, 1]}, n_iter=12, cv=2, random_state=0)
    assert sorted(p["C"] for p in search.fit(X, y).cv_results_["params"]) == [0.1, 1]


def test_optuna_takes_any_value_and_distribution():
    X, y = make_classification(random_state=0)
    space = {
        "class_weight": [None, {0: 2.0}, "balanced"],
        "C": optuna.distributions.FloatDistribution(1e-3, 1e3, log=True),
    }
    search = make_search(LogisticRegression(), space, strategy="optuna", trials=5, random_state=0)
    search.fit(X, y)
    assert len({params["C"] for params in search.cv_results_["params"]}) == 5
    assert all(1e-3 <= params["C"] <= 1e3 for params in search.cv_results_["params"])
    assert search.best_params_["class_weight"] in space["class_weight"]


def test_halving_takes_distributions():
    X, y = make_classification(random_state=0)
    space = {"C": loguniform(1e-3, 1e3)}
    search = make_search(
        LogisticRegression(), space, strategy="halving", trials=4, random_state=0
    ).fit(X, y)
    assert search.n_candidates_[0] == 4


class Fragile(LogisticRegression):
    """Cannot be fitted with a small C."""

    def fit(self, X, y):
        if self.C < 1:
            raise ValueError("too small")
        return super().fit(X, y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore:One or more of the test scores")
@pytest.mark.parametrize(("strategy", "trials"), STRATEGIES)
def test_a_candidate_that_fails_comes_last(strategy, trials):
    X, y = make_classification(random_state=0)
    space = {"C": [0.1, 0.2, 1.0, 2.0]}
    for seed in range(6):
        # As many as there are, so that some fail for most seeds.
        n_trials = trials and len(space["C"])
        search = make_search(
            Fragile(), space, strategy=strategy, trials=n_trials, random_state=seed
        )
        assert search.fit(X, y).best_params_["C"] >= 1


def test_optuna_says_why_nothing_can_be_fitted():
    X, y = make_classification(random_state=0)
    search = make_search(Fragile(), {"C": [0.1, 0.2]}, strategy="optuna", trials=2, random_state=0)
    with (
        pytest.warns(FitFailedWarning, match="too small"),
        pytest.raises(ValueError, match="fits failed"),
    ):
        search.fit(X, y)


@pytest.mark.parametrize("params", [{"unfreeze_after": 2}, {}])
def test_halving_leaves_epochs_to_unfreeze_in(params):
    net = make_net(max_epochs=9, **params)
    search = make_search(net, {"lr": [1e-4, 1e-3, 1e-2]}, strategy="halving", random_state=0)
    assert search.resource == ("n_samples" if params else "max_epochs")


@pytest.mark.parametrize(
    ("space", "options", "error", "message"),
    [
        ({}, {}, TypeError, "dict of parameters"),
        (["lr"], {}, TypeError, "dict of parameters"),
        ({"lrr": [1]}, {}, TypeError, "did you mean 'lr'"),
        ({"lr": 0.1}, {}, TypeError, "lr: .* give a list of values"),
        ({"lr": loguniform(1, 2)}, {}, TypeError, "'grid' cannot search"),
        ({"lr": []}, {}, ValueError, "lr: the list of values is empty"),
        ({"lr": [0.1, -1]}, {}, ValueError, "lr=-1"),
        ({"backbone": ["resnet1"]}, {}, ValueError, "resnet18"),
        ({"lr": [1]}, {"strategy": "random"}, ValueError, "'grid', 'halving', 'optuna'"),
        ({"lr": [1, 2]}, {"trials": 1}, ValueError, "'grid' tries all 2"),
        ({"lr": [1, 2]}, {"strategy": "optuna"}, ValueError, "needs the number of trials"),
        ({"lr": [1, 2]}, {"strategy": "halving", "trials": 3}, ValueError, "combinations, 2"),
        ({"lr": [1, 2]}, {"strategy": "optuna", "trials": 0}, ValueError, "at least 1, got 0"),
    ],
)
def test_mistakes(space, options, error, message):
    with pytest.raises(error, match=message):
        make_search(make_net(), space, **options)


def test_without_optuna(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r"pip install 'skall\[search\]'"):
        make_search(make_net(), TUNE, strategy="optuna", trials=2)


# -- nested ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("strategy", "trials"), STRATEGIES)
def test_nested_search_never_parts_a_patient(strategy, trials, monkeypatch):
    """Each fit gets the patients of its rows, and what it is judged on are other patients."""
    rows_of = {image.tobytes(): row for row, image in enumerate(CELLS.data)}
    fits = []

    def find(X):
        return np.array([rows_of[np.asarray(image).tobytes()] for image in X])

    def fit(self, X, y, sample_weight=None, groups=None):
        np.testing.assert_array_equal(groups, CELLS.groups[find(X)])
        fits.append([find(X)])
        return original_fit(self, X, y, sample_weight, groups)

    def follow(method):
        def predict(self, X):
            fits[-1].append(find(X))
            return method(self, X)

        return predict

    original_fit = CNNClassifier.fit
    monkeypatch.setattr(CNNClassifier, "fit", fit)
    for name in ("predict", "predict_proba"):
        monkeypatch.setattr(CNNClassifier, name, follow(getattr(CNNClassifier, name)))
    comparison = run(strategy, trials, {"lr": [1e-3, 1e-2, 1e-1]}, baselines=False)
    # Two inner folds, not three: each class has two patients in a training part.
    assert len(fits) >= 2 * (2 * comparison.trials_["timm/test_resnet"] + 1)
    assert all(len(judged) >= 1 for _, *judged in fits)
    for trained, *judged in fits:
        for rows in judged:
            assert not set(CELLS.groups[trained]) & set(CELLS.groups[rows])
    # A search never sees the rows that its fold is judged on.
    for _, test in comparison.predictions_.groupby("fold"):
        held_out = set(test["sample"])
        final = next(i for i, (_, *judged) in enumerate(fits) if set(judged[0]) == held_out)
        trained = set(fits[final][0])
        assert not trained & held_out
        assert sum(set(rows[0]) < trained for rows in fits) >= 2 * 2


def test_early_stopping_inside_a_nested_search_keeps_patients_together():
    cells = make_blood_cells(40, n_patients=20, image_size=16, random_state=0)
    comparison = compare(
        *(["timm/test_resnet"], cells.data, cells.target),
        **{"groups": cells.groups, "pos_label": cells.pos_label, "cv": 2, "tune": {"lr": [1e-3]}},
        **{"weights": None, "image_size": 16, "max_epochs": 2, "early_stopping": True},
        **{"validation_fraction": 0.3, "random_state": 0, "verbose": 0},
    )
    assert comparison.trials_ == {"timm/test_resnet": 1} | dict.fromkeys(BASELINES, 1)


@pytest.mark.thorough
def test_choices(tmp_path):
    comparison = run(out=tmp_path, repeats=2)
    chosen = comparison.best_params_
    assert list(chosen) == ["estimator", "repeat", "fold", "parameter", "value"]
    assert len(chosen) == 2 * 2 * 2
    assert set(chosen["estimator"]) == {"timm/test_resnet"}
    for parameter, values in TUNE.items():
        assert set(chosen.loc[chosen["parameter"] == parameter, "value"]) <= set(values)
    assert comparison.trials_ == {"timm/test_resnet": 4} | dict.fromkeys(BASELINES, 1)
    stored = json.loads((tmp_path / "folds" / "timm%2Ftest_resnet" / "1-0.json").read_text())
    mine = chosen.query("repeat == 1 and fold == 0").set_index("parameter")["value"]
    assert stored["best_params"] == mine.to_dict()
    assert stored["trials"] == 4
    with open(tmp_path / "best_params.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["value"]) for row in rows] == chosen["value"].tolist()
    resumed = run(out=tmp_path, repeats=2)
    pd.testing.assert_frame_equal(resumed.best_params_, chosen)
    assert resumed.trials_ == comparison.trials_


def test_choices_of_a_search_of_ones_own():
    search = make_search(
        make_net(), {"optimizer": [CNNClassifier().optimizer], "batch_size": [8]}, cv=2
    )
    comparison = run(tune=None, estimators={"own": search})
    chosen = comparison.best_params_.query("fold == 0").set_index("parameter")["value"]
    assert chosen.to_dict() == {"batch_size": 8, "optimizer": "AdamW"}
    assert run(tune=None).best_params_.empty


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("options", "difference"),
    [
        ({"tune": {"lr": [1e-3, 1e-1]}}, "tune lr: 0.001, 0.01 there, 0.001, 0.1 now"),
        ({"strategy": "halving"}, "strategy: grid there, halving now"),
        ({"tune": None}, "tune lr: 0.001, 0.01 there, None now"),
    ],
    ids=str,
)
def test_folder_of_another_search(tmp_path, options, difference):
    run(tune={"lr": [1e-3, 1e-2]}, out=tmp_path)
    with pytest.raises(ValueError, match="another comparison.*" + difference):
        run(out=tmp_path, **({"tune": {"lr": [1e-3, 1e-2]}} | options))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"tune": {"lrr": [1]}}, TypeError, "did you mean 'lr'"),
        ({"tune": {"backbone": ["squeezenet"]}}, ValueError, "backbone cannot be tuned here"),
        ({"tune": {"random_state": [1]}}, ValueError, "random_state cannot be tuned here"),
        ({"tune": None, "strategy": "halving"}, ValueError, "there is no tune"),
        ({"tune": None, "trials": 3}, ValueError, "there is no tune"),
        ({"strategy": "bayes"}, ValueError, "unknown strategy 'bayes'"),
        ({"estimators": {"a": LogisticRegression()}}, TypeError, "wrap your own"),
        ({"groups": FOUR_PATIENTS}, ValueError, "cannot be split once more: no two folds"),
    ],
    ids=str,
)
def test_mistakes_before_training(options, error, message, monkeypatch, tmp_path):
    monkeypatch.setattr(CNNClassifier, "fit", None)
    with pytest.raises(error, match=message):
        run(out=tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
