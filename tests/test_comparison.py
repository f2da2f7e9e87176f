"""compare: the folds, the same scores as plain scikit-learn, the folder, and resuming."""

import csv

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import make_classification
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    RepeatedStratifiedKFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from torchvision.transforms import v2

from skall import compare, get_estimator
from skall.comparison.description import describe_value
from skall.comparison.splits import derive_seed, make_folds
from skall.datasets import make_blood_cells
from skall.metrics import METRICS, scorers
from skall.statistics import corrected_t_interval

pytestmark = pytest.mark.usefixtures("without_page")

ENDS = ("", "_std", "_low", "_high")


def make_patients(n_classes=2, n_samples=120, n_patients=30):
    """Feature rows, string labels and patients of one class each."""
    X, y = make_classification(
        n_samples=n_samples, n_informative=4, n_classes=n_classes, flip_y=0, random_state=0
    )
    order = np.argsort(y, kind="stable")
    labels = np.array(["ALL", "healthy", "other"])[y[order]]
    patients = np.array([f"P{k:02d}" for k in np.arange(n_samples) * n_patients // n_samples])
    return X[order], labels, patients


def run(estimators=None, data=None, **options):
    """compare with settings that suit a test."""
    X, y, groups = make_patients() if data is None else data
    estimators = {"logistic": LogisticRegression()} if estimators is None else estimators
    options = {"groups": groups, "cv": 3, "pos_label": "ALL", "random_state": 0} | options
    return compare(estimators, X, y, verbose=0, **options)


def swap_labels(X, y, groups):
    return X, np.where(y == "ALL", "healthy", "ALL"), groups


def values_of(comparison, estimator, metric):
    scores = comparison.scores_
    return scores.query("estimator == @estimator and metric == @metric")["value"].to_numpy()


class Recorder(ClassifierMixin, BaseEstimator):
    """Predicts the first class; remembers in a list what fit was called with."""

    def __init__(self, calls=None, fail_at=None):
        self.calls = calls
        self.fail_at = fail_at

    def __sklearn_clone__(self):
        return Recorder(self.calls, self.fail_at)

    def fit(self, X, y, groups=None):
        self.calls.append((len(X), None if groups is None else list(groups)))
        if len(self.calls) == self.fail_at:
            raise RuntimeError("out of luck")
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.repeat(self.classes_[:1], len(X))


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("grouped", [True, False])
def test_same_scores_as_cross_validate(n_classes, grouped):
    X, y, groups = make_patients(n_classes)
    groups = groups if grouped else None
    splitter = (StratifiedGroupKFold if grouped else StratifiedKFold)(
        n_splits=5, shuffle=True, random_state=7
    )
    expected = cross_validate(
        LogisticRegression(), X, y, groups=groups, cv=splitter, scoring=scorers("ALL")
    )
    comparison = run(data=(X, y, groups), cv=5, random_state=7)
    for metric in METRICS:
        assert values_of(comparison, "logistic", metric).tolist() == list(
            expected[f"test_{metric}"]
        ), metric


def test_scores_and_predictions():
    _, y, groups = make_patients()
    comparison = run(repeats=2)
    scores, predictions = comparison.scores_, comparison.predictions_
    assert list(scores) == ["estimator", "repeat", "fold", "metric", "value"]
    assert len(scores) == 2 * 2 * 3 * len(METRICS)
    assert list(predictions) == [
        *["estimator", "repeat", "fold", "sample", "group", "y_true"],
        *["proba_ALL", "proba_healthy"],
    ]
    for _, part in predictions.groupby(["estimator", "repeat"]):
        assert sorted(part["sample"]) == list(range(len(y)))
        assert (part["y_true"] == y[part["sample"]]).all()
        assert (part["group"] == groups[part["sample"]]).all()
        assert part.groupby("group")["fold"].nunique().max() == 1
        assert np.allclose(part[["proba_ALL", "proba_healthy"]].sum(axis=1), 1)
    assert comparison.pos_label_ == "ALL"


def test_repeats_deal_anew_from_their_seeds():
    _, y, groups = make_patients()
    folds = make_folds(y, groups, cv=3, repeats=3, seed=5)
    assert [fold.seed for fold in folds[::3]] == [5, derive_seed(5, 1), derive_seed(5, 2)]
    assert len({fold.seed for fold in folds}) == 3
    assert not np.array_equal(folds[0].test, folds[3].test)
    plain = StratifiedGroupKFold(3, shuffle=True, random_state=derive_seed(5, 1))
    for fold, (_, test) in zip(folds[3:6], plain.split(y, y, groups), strict=True):
        assert np.array_equal(fold.test, test)


@pytest.mark.parametrize(
    ("cv", "n_folds"),
    [
        (GroupKFold(4), 4),
        (RepeatedStratifiedKFold(n_splits=2, n_repeats=3, random_state=0), 6),
        ([(np.arange(0, 120, 2), np.arange(1, 120, 2))], 1),
        ([(np.arange(120) % 2 == 0, np.arange(120) % 2 == 1)], 1),
    ],
    ids=["splitter", "repeated", "pairs", "masks"],
)
@pytest.mark.filterwarnings("ignore:A class is missing, as was allowed", "ignore:cv has .* groups")
@pytest.mark.filterwarnings("ignore:.*could not be computed")
def test_any_splitter(cv, n_folds):
    comparison = run(cv=cv, allow_missing_classes=True)
    assert len(values_of(comparison, "logistic", "accuracy")) == n_folds


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"pos_label": None}, ValueError, "pos_label='ALL' or pos_label='healthy'"),
        ({"pos_label": "all"}, ValueError, "not one of the classes"),
        ({"scoring": ["roc_auk"]}, ValueError, "did you mean 'roc_auc'"),
        ({"cv": 1}, ValueError, "cv must be at least 2"),
        ({"cv": "five"}, TypeError, "cv must be an integer"),
        ({"cv": []}, ValueError, "no folds"),
        ({"cv": [([0, 1], [400])]}, ValueError, r"outside 0 \.\.\. 119"),
        ({"cv": 40}, ValueError, "cv=40 is not possible: .*largest .* is cv=15"),
        ({"repeats": 0}, ValueError, "repeats must be"),
        ({"repeats": 2, "cv": GroupKFold(3)}, ValueError, "needs an integer cv"),
        ({"groups": ["P1"]}, ValueError, "inconsistent numbers of samples"),
        ({"groups": ["P1"] * 118 + [None, " "]}, ValueError, "groups has no value in row 118"),
        ({"estimators": "resnet18"}, TypeError, "list of backbone names"),
        ({"estimators": [LogisticRegression()]}, TypeError, "list of backbone names"),
        ({"estimators": {}, "baselines": False}, ValueError, "no estimator"),
        ({"estimators": {"a": LogisticRegression}}, TypeError, "give an instance"),
        ({"estimators": {"a": StandardScaler()}}, TypeError, "no classifier"),
        ({"estimators": {"dummy": DummyClassifier()}}, ValueError, "called 'dummy'"),
        ({"estimators": {"a": LinearSVC(), "A": LinearSVC()}}, ValueError, "called 'a'"),
        ({"repeat": 3}, TypeError, "'repeat': neither an argument of compare"),
        ({"estimators": ["resnet1"]}, ValueError, "resnet18"),
    ],
    ids=str,
)
def test_mistakes(options, error, message):
    with pytest.raises(error, match=message):
        run(**options)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a"] * 120, "two or more classes"),
        (np.linspace(0, 1, 120), "continuous"),
        (np.array(["a", "b", None] * 40, dtype=object), "y has no value in 40 of 120 rows: 2, 5"),
    ],
    ids=["one class", "continuous", "missing"],
)
def test_bad_labels(y, message):
    X, _, _ = make_patients()
    with pytest.raises(ValueError, match=message):
        run(data=(X, y, None), pos_label=None)


@pytest.mark.parametrize(
    "cv",
    [StratifiedKFold(3, shuffle=True, random_state=0), [(np.arange(1, 119), np.array([0, 119]))]],
    ids=["splitter", "pairs"],
)
def test_parted_groups(cv):
    X, y, groups = make_patients()
    with pytest.warns(UserWarning, match=r"cv has \d+ of 30 groups, as 'P00', on both") as caught:
        run(data=(X, y, groups), cv=cv)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    # Kept together, or not known, there is nothing to warn of.
    run(data=(X, y, groups), cv=GroupKFold(3, shuffle=True, random_state=0))
    run(data=(X, y, None), cv=cv)


def test_groups_reach_fit():
    calls = []
    _, y, groups = make_patients()
    estimators = {
        "plain": Recorder(calls),
        "piped": make_pipeline(StandardScaler(), Recorder(calls)),
        "searched": GridSearchCV(LogisticRegression(), {"C": [1]}, cv=GroupKFold(2)),
    }
    run(estimators, scoring=["accuracy"])
    folds = make_folds(y, groups, cv=3)
    expected = [(len(f.train), groups[f.train].tolist()) for f in folds for _ in range(2)]
    assert calls == expected


def test_without_probabilities():
    comparison = run({"svc": LinearSVC()})
    assert np.isnan(values_of(comparison, "svc", "log_loss")).all()
    assert values_of(comparison, "svc", "roc_auc").mean() > 0.7
    mine = comparison.predictions_.query("estimator == 'svc'")
    assert mine["proba_ALL"].isna().all()


@pytest.mark.parametrize("kind", ["frame", "images", "paths"])
def test_kinds_of_samples(kind):
    X, y, groups = make_patients()
    X = {
        "frame": pd.DataFrame({"path": np.arange(120).astype(str)}),
        "images": [Image.new("RGB", (4, 4), (k, 0, 0)) for k in range(120)],
        "paths": np.arange(120).astype(str).astype(object)[:, None],
    }[kind]
    comparison = run({"recorder": Recorder([])}, data=(X, y, groups))
    assert values_of(comparison, "recorder", "recall").tolist() == [1, 1, 1]


@pytest.mark.thorough
def test_parallel_equals_serial(tmp_path):
    models = {"logistic": LogisticRegression(), "svc": LinearSVC(random_state=0)}
    serial = run(models, n_jobs=1)
    parallel = run(models, n_jobs=2, out=tmp_path)
    pd.testing.assert_frame_equal(serial.scores_, parallel.scores_, check_exact=True)
    pd.testing.assert_frame_equal(serial.predictions_, parallel.predictions_, check_exact=True)


@pytest.mark.parametrize("trainable", ["all", "head"])
def test_networks_as_in_cross_validate(trainable):
    cells = make_blood_cells(24, 6, 32, random_state=0)
    tiny = {"weights": None, "image_size": 32, "max_epochs": 1, "trainable": trainable}
    options = {"groups": cells.groups, "cv": 2, "pos_label": cells.pos_label, "random_state": 3}
    parallel = compare(
        ["timm/test_resnet"], cells.data, cells.target, n_jobs=2, verbose=0, **options, **tiny
    )
    expected = cross_validate(
        get_estimator("timm/test_resnet", random_state=3, **tiny),
        cells.data,
        cells.target,
        groups=cells.groups,
        cv=StratifiedGroupKFold(2, shuffle=True, random_state=3),
        scoring=scorers(cells.pos_label),
        params={"groups": cells.groups},
    )
    for metric in METRICS:
        got = values_of(parallel, "timm/test_resnet", metric)
        assert got.tolist() == list(expected[f"test_{metric}"]), metric


@pytest.mark.thorough
def test_search_in_parallel_equals_serial():
    cells = make_blood_cells(24, 8, 16, random_state=0)
    options = {"groups": cells.groups, "cv": 2, "pos_label": cells.pos_label, "random_state": 0}
    options |= {"tune": {"lr": [1e-3, 1e-2], "dropout": [0, 0.5]}, "strategy": "optuna"}
    options |= {"weights": None, "image_size": 16, "max_epochs": 1, "trials": 3, "verbose": 0}
    serial, parallel = (
        compare(["timm/test_resnet"], cells.data, cells.target, n_jobs=n_jobs, **options)
        for n_jobs in (1, 2)
    )
    for table in ("scores_", "predictions_", "best_params_"):
        pd.testing.assert_frame_equal(
            getattr(serial, table), getattr(parallel, table), check_exact=True
        )


@pytest.mark.filterwarnings("ignore:12 images are exact copies")
def test_repeats_train_networks_from_other_seeds():
    cells = make_blood_cells(12, 4, 32, random_state=0)
    halves = {"cv": 2, "repeats": 2, "pos_label": cells.pos_label, "random_state": 0}
    tiny = {"weights": None, "image_size": 32, "max_epochs": 1}
    # Every sample is the same, so that the seed is all that differs.
    X = np.repeat(cells.data[:1], 12, axis=0)
    predictions = compare(
        ["timm/test_resnet"], X, cells.target, baselines=False, verbose=0, **halves, **tiny
    ).predictions_
    assert predictions.groupby("repeat")["proba_ALL"].first().nunique() == 2


def test_table():
    comparison = run(scoring=["accuracy", "log_loss"])
    table = comparison.table()
    assert list(table) == [
        *(f"{metric}{end}" for metric in ("accuracy", "log_loss") for end in ENDS),
        *["trainable", "epochs", "trials", "fit_seconds", "conclusion"],
    ]
    assert list(table.index) == ["logistic", "dummy"]
    accuracy = values_of(comparison, "logistic", "accuracy")
    assert table.loc["logistic", "accuracy"] == pytest.approx(accuracy.mean())
    assert table.loc["logistic", "accuracy_std"] == pytest.approx(accuracy.std(ddof=1))
    found = comparison.intervals("accuracy", "patient_t").set_index("estimator")
    assert table.loc["logistic", "accuracy_low"] == found.at["logistic", "low"]
    assert table.loc["logistic", "accuracy_high"] == found.at["logistic", "high"]
    low, high = corrected_t_interval(accuracy, 1 / 2)
    found = comparison.intervals("accuracy", "corrected_t").set_index("estimator")
    assert found.at["logistic", "low"] == pytest.approx(low)
    assert found.at["logistic", "high"] == pytest.approx(min(high, 1))
    said = run(cv=10).table()["conclusion"]
    assert said.to_dict() == {"logistic": "better than dummy", "dummy": "worse than logistic"}
    by_loss = run(scoring=["log_loss"]).table()["log_loss"]
    assert by_loss.is_monotonic_increasing
    assert "logistic" in repr(comparison)


def test_figure():
    ax = run().plot_accuracy()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["dummy (baseline)", "logistic"]
    with pytest.raises(ValueError, match="accuracy was not computed"):
        run(scoring=["f1"]).plot_accuracy()


def test_tests_between_estimators():
    comparison = run({"logistic": LogisticRegression(), "none": DummyClassifier()}, cv=10)
    found = comparison.test()
    assert found[["estimator_a", "estimator_b"]].to_numpy().tolist() == [["logistic", "none"]]
    means = comparison.table()["balanced_accuracy"]
    assert found["difference"][0] == pytest.approx(means["logistic"] - means["none"])
    assert found["conclusion"][0] == "logistic is better than none"
    assert len(comparison.test(names=["logistic", "none", "dummy"], method="nemenyi")) == 3
    for names in (["logistic"], ["logistic", "other"]):
        with pytest.raises(ValueError, match=r"two estimators or more.*there are \['logistic'"):
            comparison.test(names=names)


def test_plots_are_displays_of_the_comparison():
    comparison = run({"logistic": LogisticRegression(), "none": DummyClassifier()}, cv=4)
    drawn = [
        comparison.plot_metrics("accuracy"),
        comparison.plot_confusion(["logistic"]),
        comparison.plot_roc(),
        comparison.plot_precision_recall(["logistic"]),
        comparison.plot_calibration(["logistic"]),
        comparison.plot_ranks(names=["logistic", "none", "dummy"]),
        comparison.plot_cost({"logistic": 1.0, "none": 2.0}, label="seconds"),
    ]
    for display in drawn:
        assert display.figure_.axes
    network = {"net": get_estimator("timm/test_resnet", weights=None, image_size=32, max_epochs=2)}
    cells = make_blood_cells(24, n_patients=8, image_size=32, random_state=0)
    data = cells.data, cells.target, cells.groups
    comparison = run(network, data, cv=2, baselines=False)
    assert comparison.plot_learning().figure_.axes
    assert comparison.plot_errors(cells.data, n=2).figure_.axes


def test_folder(tmp_path):
    comparison = run(out=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        *["comparison.json", "written.json", "folds", "scores.csv", "predictions.csv", "table.csv"],
        *["accuracy.png", "folds.csv", "samples.csv", "history.csv", "resources.csv"],
        "protocol.json",
    }
    with open(tmp_path / "scores.csv", newline="") as file:
        values = [float(row["value"]) for row in csv.DictReader(file)]
    assert values == comparison.scores_["value"].tolist()
    with open(tmp_path / "predictions.csv", newline="") as file:
        predictions = list(csv.DictReader(file))
    assert list(predictions[0]) == list(comparison.predictions_)
    probabilities = [float(row["proba_ALL"]) for row in predictions]
    assert probabilities == comparison.predictions_["proba_ALL"].tolist()
    table = pd.read_csv(tmp_path / "table.csv", index_col="estimator")
    pd.testing.assert_frame_equal(table, comparison.table())
    with Image.open(tmp_path / "accuracy.png") as figure:
        assert figure.width > 600


def test_failing_estimator_is_named(tmp_path):
    estimators = {"a/b": Recorder([], fail_at=2), "logistic": LogisticRegression()}
    with pytest.raises(RuntimeError, match="out of luck") as caught:
        run(estimators, out=tmp_path, error_score="raise")
    assert caught.value.__notes__ == ["raised by the estimator 'a/b' in repeat 0, fold 1"]
    finished = {path.relative_to(tmp_path / "folds") for path in tmp_path.glob("folds/*/*")}
    assert {path.as_posix() for path in finished} >= {"a%2Fb/0-0.json", "logistic/0-0.json"}
    assert not (tmp_path / "scores.csv").exists()


class FailsOnce(LogisticRegression):
    """Fails where it finds the file, and keeps count of its fits in a list of the class."""

    marker = None
    fits = 0

    def fit(self, X, y):
        type(self).fits += 1
        if self.marker.exists() and type(self).fits > 2:
            raise RuntimeError("out of luck")
        return super().fit(X, y)


@pytest.mark.parametrize("seed", [0, None])
def test_resume(tmp_path, monkeypatch, seed):
    marker = tmp_path / "marker"
    marker.touch()
    monkeypatch.setattr(FailsOnce, "marker", marker)
    monkeypatch.setattr(FailsOnce, "fits", 0)
    out = tmp_path / "out"
    with pytest.raises(RuntimeError, match="out of luck"):
        run({"a": FailsOnce()}, out=out, random_state=seed, error_score="raise")
    marker.unlink()
    resumed = run({"a": FailsOnce()}, out=out, random_state=seed)
    assert FailsOnce.fits == 3 + 1
    again = run({"a": FailsOnce()}, out=out, random_state=seed)
    assert FailsOnce.fits == 4
    pd.testing.assert_frame_equal(resumed.scores_, again.scores_, check_exact=True)
    if seed is not None:
        fresh = run({"a": FailsOnce()}, random_state=seed)
        pd.testing.assert_frame_equal(resumed.scores_, fresh.scores_, check_exact=True)
        pd.testing.assert_frame_equal(resumed.predictions_, fresh.predictions_, check_exact=True)


@pytest.mark.parametrize(
    ("options", "difference"),
    [
        ({"random_state": 1}, "seed: 0 there, 1 now"),
        ({"scoring": ["f1"]}, "scoring:"),
        ({"cv": 4}, "folds:"),
        ({"pos_label": "healthy"}, "positive class: ALL there, healthy now"),
        (
            {"estimators": {"logistic": LogisticRegression(C=0.1)}},
            "estimator 'logistic', C: 1.0 there, 0.1 now",
        ),
        ({"data": make_patients(n_samples=126)}, "X:"),
        ({"data": swap_labels(*make_patients())}, r"\by:"),
    ],
    ids=str,
)
def test_folder_of_another_comparison(tmp_path, options, difference):
    run(out=tmp_path)
    with pytest.raises(ValueError, match="another comparison.*" + difference):
        run(out=tmp_path, **options)


def make_change(amount, *, extra=0):
    return lambda image: image + amount + extra


def call_other(image):
    return image.flip(2)


FUNCTIONS = [
    lambda image: image.flip(1),
    lambda image: image.flip(2),
    lambda image: image.roll(2),
    lambda image, axis=2: image.flip(axis),
    lambda image, axis=1: image.flip(axis),
    lambda image: [row + 1 for row in image],
    lambda image: [row + 2 for row in image],
    make_change(1),
    make_change(2),
    make_change(1, extra=1),
    call_other,
    v2.Lambda(lambda image: image.flip(1)),
    v2.Lambda(lambda image: image.flip(2)),
    v2.RandomRotation(10),
    v2.RandomRotation(20),
]


def test_fingerprints_tell_functions_apart():
    assert len({describe_value(function) for function in FUNCTIONS}) == len(FUNCTIONS)
    assert describe_value(make_change(1)) == describe_value(make_change(1))


def test_damaged_folder(tmp_path):
    run(out=tmp_path)
    (tmp_path / "folds" / "logistic" / "0-1.json").write_text("{")
    with pytest.raises(ValueError, match=r"0-1\.json' is damaged.*delete it"):
        run(out=tmp_path)


def test_progress(capsys):
    X, y, _ = make_patients()
    compare({"logistic": LogisticRegression()}, X, y, cv=3, pos_label="ALL", random_state=0)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "6/6" in captured.err
    run()
    assert capsys.readouterr().err == ""
