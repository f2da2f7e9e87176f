"""What a reader wants first: the best, the shortcuts, the patients, and what has no value."""

import numpy as np
import pandas as pd

from skall.comparison import Comparison
from skall.metrics import compute_metrics
from skall.metrics.formulas import describe_metric
from skall.report.facts import describe_silent
from skall.statistics.sentences import list_words

NETWORK = {"baseline": False, "network": {"trained": "all", "macs": 1}}
SCORING = ["balanced_accuracy", "mcc", "roc_auc"]


def make_comparison(
    positive, patients=None, n_folds=5, seed=0, scoring=SCORING, silent=(), skills=None
):
    """A comparison of classifiers whose positive cells score `skill` above the others.

    `positive` is (n,) bool, `patients` (n,) names that folds keep together.
    """
    rng = np.random.default_rng(seed)
    skills = skills or {"net": 2.5, "dummy": 0.0, "mean colour": 0.7}
    n = len(positive)
    units = np.arange(n) if patients is None else np.unique(patients, return_inverse=True)[1]
    folds = units % n_folds
    label = np.where(positive, "ALL", "healthy")
    scores, predictions = [], []
    for name, skill in skills.items():
        score = skill * positive + rng.normal(size=n)
        proba = 1 / (1 + np.exp(skill / 2 - score))
        for fold in range(n_folds):
            rows = folds == fold
            both = np.column_stack([proba, 1 - proba])[rows]
            both = np.full_like(both, np.nan) if name in silent else both
            part = {"estimator": name, "repeat": 0, "fold": fold, "sample": np.flatnonzero(rows)}
            part |= {"group": None if patients is None else patients[rows], "y_true": label[rows]}
            part |= {"proba_ALL": both[:, 0], "proba_healthy": both[:, 1]}
            predictions.append(pd.DataFrame(part))
            for metric in scoring:
                lacks = len(set(label[rows])) < 2 or name in silent
                value = np.nan if lacks else _score(metric, label[rows], both)
                scores.append((name, 0, fold, metric, value))
    columns = ["estimator", "repeat", "fold", "metric", "value"]
    abouts = {n: NETWORK if n in ("net", "other") else {"baseline": True} for n in skills}
    return Comparison(
        pd.DataFrame(scores, columns=columns),
        pd.concat(predictions, ignore_index=True),
        "ALL",
        estimators_=abouts,
        folds_=pd.DataFrame({"repeat": 0, "fold": range(n_folds), "n_train": 4, "n_test": 1}),
    )


def _score(metric, y_true, proba):
    labels = np.array(["ALL", "healthy"])
    predicted = labels[proba.argmax(axis=1)]
    return compute_metrics(y_true, predicted, proba, labels, "ALL", scoring=[metric])[metric]


def make_patients(sizes, n_positive):
    """Patients of some sizes, the first of them positive."""
    patients = np.repeat([f"p{i:02}" for i in range(len(sizes))], sizes)
    return patients < f"p{n_positive:02}", patients


def test_metrics_are_written_as_in_the_field():
    names = {"mcc": "MCC", "roc_auc": "ROC AUC", "f1": "F1", "brier": "Brier score", "ece": "ECE"}
    assert {name: describe_metric(name) for name in names} == names
    assert describe_metric("balanced_accuracy") == "balanced accuracy"


def test_summary_counts_patients():
    # Three healthy patients of fourteen, one of whom is half of the set.
    positive, patients = make_patients([10] * 13 + [130], 11)
    said = make_comparison(positive, patients).summary()
    assert list(said) == ["best", "shortcuts", "patients"]
    assert said["patients"] == [
        "14 patients stand behind it (ALL: 11 patients, 110 cells; healthy: 3 patients, 150 "
        "cells).",
        "The smallest share of a test part is 0 patients and 0 cells of class healthy.",
        "The patient with the most cells has 50 % of them; one has 87 % of those of class healthy.",
    ]


def test_summary_without_patients():
    said = make_comparison(np.arange(40) % 2 == 0).summary()["patients"]
    assert said == [
        "Patients are not known; there are 20 cells of ALL and 20 cells of healthy.",
        "Where a patient has cells on both sides of a split, every number here is too good.",
    ]


def test_missing_values_say_where_and_why():
    positive, patients = make_patients([10] * 14, 11)
    comparison = make_comparison(positive, patients)
    # Patients p11, p12, p13 lie in folds 1, 2, 3.
    assert comparison.flags() == [
        "Balanced accuracy, MCC and ROC AUC could not be computed in 2 of 5 folds (repeat 0, fold "
        "0; repeat 0, fold 4), which have no cell of class healthy."
    ]
    assert make_comparison(np.arange(40) % 2 == 0).flags() == []


def test_missing_values_of_one_estimator():
    comparison = make_comparison(np.arange(40) % 2 == 0, silent=["net"], scoring=["roc_auc"])
    assert describe_silent(comparison) == [
        "ROC AUC could not be computed for net, which gives no probabilities."
    ]
    names = sorted({*comparison.scores_["estimator"]})
    comparison.predictions_.loc[:, comparison.predictions_.columns.str.startswith("proba_")] = (
        np.nan
    )
    comparison.scores_["value"] = np.nan
    (sentence,) = describe_silent(comparison)
    assert sentence == (
        f"ROC AUC could not be computed for {list_words(names)}, which give no probabilities."
    )
    assert comparison.flags() == []


def test_answers_come_first_in_the_terminal():
    positive, patients = make_patients([10] * 14, 7)
    comparison = make_comparison(positive, patients, scoring=["balanced_accuracy", "roc_auc"])
    assert repr(comparison).startswith(comparison.summary()["best"][0])


def test_no_estimator_beats_a_shortcut_that_is_as_good():
    positive, patients = make_patients([10] * 24, 12)
    skills = {"net": 1.8, "other": 1.7, "dummy": 0.0, "mean colour": 2.0, "image size": 0.0}
    scoring = ["balanced_accuracy", "roc_auc"]
    comparison = make_comparison(positive, patients, n_folds=3, skills=skills, scoring=scoring)
    means = comparison.table()["roc_auc"]
    said = comparison.summary()["shortcuts"]
    assert len(said) == 2
    low, high = sorted(means[["net", "other"]])
    assert said[0] == (
        "No network is shown to beat the best shortcut in ROC AUC: mean colour alone reaches "
        f"{means['mean colour']:.3f}, the networks {low:.3f} to {high:.3f}: the classes may be "
        "told apart without looking at the cell."
    )
    assert said[1].startswith("No network is shown to beat the best shortcut in balanced accuracy")


def test_networks_that_beat_every_shortcut_are_named():
    positive, patients = make_patients([10] * 24, 12)
    skills = {"net": 4.0, "other": 0.1, "dummy": 0.0, "mean colour": 0.3, "image size": 0.2}
    comparison = make_comparison(positive, patients, n_folds=3, skills=skills)
    means = comparison.table()["roc_auc"]
    best = means[["mean colour", "image size"]].idxmax()
    assert comparison.summary()["shortcuts"][0] == (
        f"net beats every shortcut in ROC AUC: {means['net']:.3f}; the best shortcut, {best} alone "
        f"reaches {means[best]:.3f}. Of other this is not shown ({means['other']:.3f})."
    )


def test_a_weak_shortcut_raises_no_suspicion():
    positive, patients = make_patients([10] * 8, 4)
    skills = {"net": 1.5, "dummy": 0.0, "mean colour": 0.0}
    said = make_comparison(positive, patients, n_folds=2, skills=skills).summary()["shortcuts"]
    assert said[0].startswith("No network is shown to beat the best shortcut in ROC AUC")
    assert "told apart" not in said[0]


def test_a_close_shortcut_without_patients():
    skills = {"net": 4.0, "dummy": 0.0, "border only": 2.6}
    positive = np.arange(300) % 2 == 0
    comparison = make_comparison(positive, skills=skills)
    means = comparison.table()["roc_auc"]
    assert comparison.summary()["shortcuts"][-1] == (
        f"Border only alone reaches ROC AUC {means['border only']:.3f}, beside {means['net']:.3f} "
        "of the best network: the classes were probably photographed differently."
    )
    known = make_comparison(positive, np.arange(300) // 6, skills=skills)
    weak = make_comparison(positive, skills=skills | {"border only": 0.3})
    for other in (known, weak):
        assert not any("photographed" in text for text in other.summary()["shortcuts"])


def test_few_patients_cannot_decide_and_the_answer_says_so():
    positive, patients = make_patients([12] * 14, 11)
    skills = {"net": 1.2, "other": 1.0, "dummy": 0.0}
    comparison = make_comparison(positive, patients, n_folds=3, skills=skills)
    row = comparison.test().iloc[0]
    best = comparison.summary()["best"]
    assert best[1].startswith(
        "Whether net and other differ cannot be decided with 3 patients of class healthy"
    )
    assert best[1].endswith(f": a difference below {row['detectable']:.3f} would not be seen.")
    said = comparison.table().at["net", "conclusion"]
    assert "cannot be decided with 3 patients of class healthy against" in said
    assert "would not be seen" in said
