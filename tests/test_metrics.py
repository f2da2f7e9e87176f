"""Metrics: scikit-learn's values, folds that lack a class, and the scorers."""

import pickle
from typing import ClassVar

import numpy as np
import pytest
from sklearn import config_context
from sklearn import metrics as sk
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV, cross_validate
from sklearn.svm import LinearSVC

from skall.metrics import METRICS, check_scoring_names, compute_metrics, resolve_pos_label, scorers


def draw(n_classes, n_samples=90, seed=0):
    """Labels, predictions and probabilities of an imperfect classifier."""
    rng = np.random.default_rng(seed)
    classes = np.array([f"c{k}" for k in range(n_classes)])
    truth = np.arange(n_samples) % n_classes
    logits = rng.normal(size=(n_samples, n_classes)) + np.eye(n_classes)[truth]
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return classes[truth], classes[proba.argmax(axis=1)], proba, classes


@pytest.mark.parametrize("pos_label", ["c0", "c1"])
def test_two_classes_agree_with_sklearn(pos_label):
    y, predicted, proba, classes = draw(2)
    other = "c1" if pos_label == "c0" else "c0"
    column = proba[:, list(classes).index(pos_label)]
    expected = {
        "accuracy": sk.accuracy_score(y, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(y, predicted),
        "precision": sk.precision_score(y, predicted, pos_label=pos_label),
        "recall": sk.recall_score(y, predicted, pos_label=pos_label),
        "specificity": sk.recall_score(y, predicted, pos_label=other),
        "f1": sk.f1_score(y, predicted, pos_label=pos_label),
        "mcc": sk.matthews_corrcoef(y, predicted),
        "roc_auc": sk.roc_auc_score(y == pos_label, column),
        "average_precision": sk.average_precision_score(y == pos_label, column),
        "brier": np.mean(((y == pos_label) - column) ** 2),
        "log_loss": sk.log_loss(y, proba, labels=classes),
    }
    got = compute_metrics(y, predicted, proba, classes, pos_label)
    assert list(got) == list(METRICS)
    for name, value in expected.items():
        assert got[name] == pytest.approx(value, abs=1e-12), name


def test_more_classes_agree_with_sklearn():
    y, predicted, proba, classes = draw(4)
    macro = {"average": "macro", "zero_division": 0}
    one_hot = y[:, None] == classes
    expected = {
        "accuracy": sk.accuracy_score(y, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(y, predicted),
        "precision": sk.precision_score(y, predicted, **macro),
        "recall": sk.recall_score(y, predicted, **macro),
        "specificity": np.mean(
            [sk.recall_score(y != c, predicted != c, zero_division=0) for c in classes]
        ),
        "f1": sk.f1_score(y, predicted, **macro),
        "mcc": sk.matthews_corrcoef(y, predicted),
        "roc_auc": sk.roc_auc_score(y, proba, multi_class="ovr", average="macro"),
        "average_precision": sk.average_precision_score(one_hot, proba, average="macro"),
        "brier": np.mean(np.sum((one_hot - proba) ** 2, axis=1)),
        "log_loss": sk.log_loss(y, proba, labels=classes),
    }
    got = compute_metrics(y, predicted, proba, classes)
    for name, value in expected.items():
        assert got[name] == pytest.approx(value, abs=1e-12), name


def test_calibration_error_by_hand():
    # Bin (0.6, 0.667]: two samples of confidence 0.65, one right; bin (0.8, 0.867]: one, right.
    proba = np.array([[0.35, 0.65], [0.35, 0.65], [0.85, 0.15]])
    got = compute_metrics([1, 0, 0], [1, 1, 0], proba, [0, 1], scoring=["ece"])
    assert got["ece"] == pytest.approx((2 * abs(0.5 - 0.65) + abs(1 - 0.85)) / 3)


def test_calibration_error_of_more_classes():
    y, predicted, proba, classes = draw(4)
    confidence, correct = proba.max(axis=1), y == predicted
    expected = 0
    for k in range(15):
        inside = (confidence > k / 15) & (confidence <= (k + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(confidence[inside].mean() - correct[inside].mean())
    assert expected > 0
    got = compute_metrics(y, predicted, proba, classes, scoring=["ece"])
    assert got["ece"] == pytest.approx(expected)


def read_sensitivity(is_class, score, percentage):
    """The best point of scikit-learn's curve; the cut is between the counts, not on one."""
    fpr, tpr, _ = sk.roc_curve(is_class, score, drop_intermediate=False)
    true_negatives = np.round((1 - fpr) * np.sum(~is_class))
    return tpr[true_negatives > percentage / 100 * np.sum(~is_class) - 1e-6].max()


PERCENTAGES = ["5", "50", "66.6", "80", "90", "95", "99.5"]


@pytest.mark.parametrize("pos_label", ["c0", "c1"])
@pytest.mark.parametrize("decimals", [1, 2, 8])
def test_sensitivity_at_a_specificity(pos_label, decimals):
    names = [f"sensitivity_at_{p}_specificity" for p in PERCENTAGES]
    seen = set()
    for seed in range(20):
        y, _, proba, classes = draw(2, n_samples=40 + seed, seed=seed)
        proba[:, 0] = np.round(proba[:, 0], decimals)
        proba[:, 1] = 1 - proba[:, 0]
        is_class, score = y == pos_label, proba[:, list(classes).index(pos_label)]
        got = compute_metrics(y, None, proba, classes, pos_label, scoring=names)
        expected = [read_sensitivity(is_class, score, float(p)) for p in PERCENTAGES]
        assert [*got.values()] == pytest.approx(expected, abs=1e-12)
        assert expected == sorted(expected, reverse=True)
        seen |= {*expected}
    assert len(seen) > 20


def test_sensitivity_at_a_specificity_of_more_classes():
    y, predicted, proba, classes = draw(4)
    name = "sensitivity_at_90_specificity"

    def average(rows, names):
        columns = [(y[rows] == c, proba[rows][:, list(classes).index(c)]) for c in names]
        return np.mean([read_sensitivity(*column, 90) for column in columns])

    got = compute_metrics(y, predicted, proba, classes, scoring=[name])
    assert got[name] == pytest.approx(average(slice(None), classes))


@pytest.mark.parametrize(
    ("truth", "score", "percentage", "expected"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.7, 0.8], "99.9", 1),
        ([0, 0, 1, 1], [0.5, 0.5, 0.5, 0.5], "1", 0),
        ([0, 0, 1, 1], [0.7, 0.8, 0.1, 0.2], "95", 0),
        ([0, 0, 0, 0], [0.1, 0.2, 0.3, 0.4], "95", np.nan),
        ([1, 1, 1, 1], [0.1, 0.2, 0.3, 0.4], "95", np.nan),
        # One of two negatives lies above one of two positives, or ties with it.
        ([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.7], "50", 1),
        ([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.7], "50.1", 0.5),
        ([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.7], "50.1", 0.5),
    ],
)
def test_sensitivity_at_a_specificity_by_hand(truth, score, percentage, expected):
    name = f"sensitivity_at_{percentage}_specificity"
    got = compute_metrics(truth, None, None, [0, 1], decision=score, scoring=[name])
    assert got[name] == pytest.approx(expected, nan_ok=True)
    assert np.isnan(compute_metrics(truth, truth, None, [0, 1], scoring=[name])[name])


@pytest.mark.parametrize("percentage", ["1.1", "29", "57", "70", "90", "95", "99.9"])
def test_specificity_is_reached_exactly(percentage):
    # In floats (1 - 0.9) * 1000 is 99.99...: one false positive fewer than there may be.
    n_allowed = round((100 - float(percentage)) * 10)
    name = f"sensitivity_at_{percentage}_specificity"
    for n_above, expected in ((n_allowed, 1), (n_allowed + 1, 0)):
        # One positive sample among 1000 others.
        truth = (np.arange(1001) == n_above).astype(int)
        falling = -np.arange(1001.0)
        got = compute_metrics(truth, None, None, [0, 1], decision=falling, scoring=[name])
        assert got[name] == expected


def test_sensitivity_at_a_specificity_refuses_nan():
    scores = {"decision": [0.1, np.nan], "scoring": ["sensitivity_at_95_specificity"]}
    with pytest.raises(ValueError, match="contains NaN"):
        compute_metrics([0, 1], None, None, [0, 1], **scores)


DETERMINED = {"accuracy", "brier", "log_loss", "ece"}
AT_95 = "sensitivity_at_95_specificity"


@pytest.mark.parametrize(
    ("truth", "of_one_class"), [([0, 0, 0], {"specificity": 2 / 3}), ([1, 1, 1], {"recall": 1 / 3})]
)
def test_fold_of_one_of_two_classes(truth, of_one_class):
    proba = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]])
    got = compute_metrics(truth, [0, 0, 1], proba, [0, 1], scoring=[*METRICS, AT_95])
    known = {name: value for name, value in got.items() if not np.isnan(value)}
    assert known.keys() == DETERMINED | of_one_class.keys()
    assert known | of_one_class == pytest.approx(known)
    assert got["accuracy"] == pytest.approx(*of_one_class.values())


@pytest.mark.parametrize("present", [["c0"], ["c0", "c1"], ["c0", "c1", "c3"], ["c2", "c3"]])
def test_fold_that_lacks_one_of_more_classes(present):
    y, predicted, proba, classes = draw(4)
    rows = np.isin(y, present)
    got = compute_metrics(y[rows], predicted[rows], proba[rows], classes, scoring=[*METRICS, AT_95])
    assert {name for name, value in got.items() if not np.isnan(value)} == DETERMINED
    assert got["accuracy"] == pytest.approx(np.mean(y[rows] == predicted[rows]))


@pytest.mark.parametrize("constant", [0, 1])
def test_constant_classifier_has_the_same_values_wherever_they_are_determined(constant):
    """However the folds' shares of classes differ, and whichever class it names."""
    for truth in ([0, 1], [0, 0, 0, 1], [0, 1, 1, 1, 1], [0, 0, 0], [1, 1]):
        proba = np.tile([0.3, 0.7], (len(truth), 1))
        got = compute_metrics(truth, np.full(len(truth), constant), proba, [0, 1])
        both = len({*truth}) == 2
        for name, value in {"balanced_accuracy": 0.5, "mcc": 0, "roc_auc": 0.5}.items():
            assert got[name] == pytest.approx(value if both else np.nan, nan_ok=True)
        assert got["accuracy"] == np.mean(np.equal(truth, constant))


def test_class_never_predicted_counts_as_zero():
    got = compute_metrics([0, 1, 1], [0, 0, 0], None, [0, 1])
    assert got["precision"] == got["recall"] == got["f1"] == got["mcc"] == 0
    assert got["specificity"] == 1
    assert np.isnan(got["brier"])


def test_label_outside_the_classes():
    with pytest.raises(ValueError, match="y_true holds the label 2"):
        compute_metrics([0, 2], [0, 1], None, [0, 1])


@pytest.mark.parametrize(
    ("classes", "pos_label", "expected"),
    [
        ([0, 1], None, 1),
        ([-1, 1], None, 1),
        ([False, True], None, True),
        (["ALL", "healthy"], "ALL", "ALL"),
        ([1, 2], 1, 1),
        (["a", "b", "c"], None, None),
        (["a", "b", "c"], "a", None),
    ],
)
def test_positive_class(classes, pos_label, expected):
    assert resolve_pos_label(np.array(classes), pos_label) == expected


@pytest.mark.parametrize(
    ("classes", "pos_label", "message"),
    [
        (["all", "hem"], None, "pos_label='all' or pos_label='hem'"),
        ([1, 2], None, "pos_label=1 or pos_label=2"),
        (["all", "hem"], "ALL", r"'ALL' is not one of the classes \['all', 'hem'\]"),
        (["all"], None, "two or more classes"),
    ],
)
def test_positive_class_refused(classes, pos_label, message):
    with pytest.raises(ValueError, match=message):
        resolve_pos_label(np.array(classes), pos_label)


def test_scoring_names():
    assert check_scoring_names(None) == METRICS
    assert check_scoring_names("f1") == ("f1",)
    assert check_scoring_names(["mcc", "f1", "mcc"]) == ("mcc", "f1")
    with pytest.raises(ValueError, match=r"unknown metric 'sensitivty'.*Known: accuracy"):
        check_scoring_names(["sensitivty"])
    with pytest.raises(ValueError, match="did you mean 'roc_auc'"):
        check_scoring_names(["roc_au"])
    with pytest.raises(ValueError, match="empty"):
        check_scoring_names([])


def test_scoring_names_with_a_percentage():
    names = ("sensitivity_at_95_specificity", "f1", "sensitivity_at_1.5_specificity")
    assert check_scoring_names(names) == names
    assert not any("_at_" in name for name in METRICS)
    with pytest.raises(ValueError, match=r"unknown metric 'auc'; did you mean 'roc_auc'.*at_95"):
        check_scoring_names(["auc"])
    with pytest.raises(ValueError, match="'sensitivity'; did you mean 'recall'"):
        check_scoring_names(["sensitivity"])
    with pytest.raises(ValueError, match="did you mean 'sensitivity_at_95_specificity'"):
        check_scoring_names(["sensitivty_at_95_specificity"])


@pytest.mark.parametrize(
    "percentage",
    [
        *["", "0", "00.00", "0.95", "100", "100.5", "-5", "+5"],
        *["95%", "95.", ".5", "1e1", "high", "95 ", "٩٥"],
    ],
)
def test_percentage_refused(percentage):
    message = "cannot read the metric .*from 1 to below 100, as sensitivity_at_95_specificity"
    for name in (f"sensitivity_at_{percentage}_specificity", f"sensitivity_at_{percentage}"):
        with pytest.raises(ValueError, match=message):
            check_scoring_names([name])
        with pytest.raises(ValueError, match=message):
            scorers("ALL", scoring=name)


class Counting(LogisticRegression):
    """Counts in a list of the class how often it is asked."""

    calls: ClassVar[list[str]] = []

    def predict(self, X):
        self.calls.append("predict")
        return super().predict(X)

    def predict_proba(self, X):
        self.calls.append("predict_proba")
        return super().predict_proba(X)


def labelled(n_classes, **params):
    X, y = make_classification(
        n_samples=120, n_informative=4, n_classes=n_classes, flip_y=0.2, random_state=0, **params
    )
    return X, np.array(["c0", "c1", "c2", "c3"])[y]


def test_scorers_ask_the_estimator_once_per_fold():
    X, y = labelled(2)
    Counting.calls.clear()
    cross_validate(Counting(), X, y, scoring=scorers("c0"), cv=3)
    assert sorted(Counting.calls) == ["predict"] * 3 + ["predict_proba"] * 3


def test_scorers_under_metadata_routing():
    X, y = labelled(2)
    with config_context(enable_metadata_routing=True):
        scores = cross_validate(LogisticRegression(), X, y, scoring=scorers("c0"), cv=3)
    assert scores["test_roc_auc"].mean() > 0.5


@pytest.mark.parametrize("n_classes", [2, 4])
def test_scorers_equal_compute_metrics(n_classes):
    X, y = labelled(n_classes)
    model = LogisticRegression().fit(X[:60], y[:60])
    tested, truth = X[60:], y[60:]
    expected = compute_metrics(
        truth, model.predict(tested), model.predict_proba(tested), model.classes_, "c0"
    )
    together = pickle.loads(pickle.dumps(scorers("c0")))
    assert {name: scorer(model, tested, truth) for name, scorer in together.items()} == expected


def test_scorers_without_probabilities():
    X, y = labelled(2)
    scores = cross_validate(LinearSVC(), X, y, scoring=scorers("c0"), cv=3)
    undefined = {name for name in METRICS if np.isnan(scores[f"test_{name}"]).any()}
    assert undefined == {"brier", "log_loss", "ece"}
    margin = LinearSVC().fit(X, y)
    auc = sk.roc_auc_score(y == "c0", -margin.decision_function(X))
    assert scorers("c0")["roc_auc"](margin, X, y) == pytest.approx(auc)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("model", [LogisticRegression(), LinearSVC()])
def test_scorers_by_name(n_classes, model):
    X, y = labelled(n_classes)
    names = ["roc_auc", "sensitivity_at_80_specificity", "sensitivity_at_97.5_specificity"]
    scores = cross_validate(
        model, X, y, scoring=scorers("c0", names), cv=3, return_estimator=True, return_indices=True
    )
    assert list(scorers("c0", scoring="f1")) == ["f1"]
    for i, fitted in enumerate(scores["estimator"]):
        test = scores["indices"]["test"][i]
        proba = decision = None
        if hasattr(fitted, "predict_proba"):
            proba = fitted.predict_proba(X[test])
        else:
            decision = fitted.decision_function(X[test])
            # Of two classes, the margin is c1's.
            decision = -decision if n_classes == 2 else decision
        expected = compute_metrics(
            y[test], None, proba, fitted.classes_, "c0", decision=decision, scoring=names
        )
        got = {name: scores[f"test_{name}"][i] for name in names}
        assert got == expected
        assert 0 < got[names[1]] <= 1


def test_scorers_in_searches():
    X, y = labelled(2)
    search = GridSearchCV(
        LogisticRegression(), {"C": [0.01, 1.0]}, scoring=scorers("c0"), refit="mcc", cv=3
    )
    assert clone(search).fit(X, y).best_score_ > 0
    tuned = TunedThresholdClassifierCV(LogisticRegression(), scoring=scorers("c0")["f1"], cv=3)
    assert tuned.fit(X, y).best_score_ > 0
    for name, scorer in scorers("c0", ["roc_auc", "sensitivity_at_95_specificity"]).items():
        by_rank = TunedThresholdClassifierCV(LogisticRegression(), scoring=scorer)
        with pytest.raises(ValueError, match=f"{name} .*does not depend on a threshold"):
            by_rank.fit(X, y)


@pytest.mark.parametrize("name", ["balanced_accuracy", "f1", "mcc"])
def test_no_threshold_is_chosen_by_a_fold_of_one_class(name):
    """Of NaN, scikit-learn would take the first threshold without a word."""
    X, y = labelled(2)
    rows = np.argsort(y, kind="stable")
    folds = [(rows[20:], rows[:20])]
    tuned = TunedThresholdClassifierCV(
        LogisticRegression(), scoring=scorers("c0")[name], cv=folds, refit=False
    )
    with pytest.raises(ValueError, match=f"{name} is not determined by labels of the class 'c0'"):
        tuned.fit(X, y)


def test_scorers_ask_for_the_positive_class():
    X, y = labelled(2)
    model = DummyClassifier().fit(X, y)
    with pytest.raises(ValueError, match="pos_label='c0' or pos_label='c1'"):
        scorers()["recall"](model, X, y)
