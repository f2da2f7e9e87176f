"""What a reader wants first: the best, the shortcuts, the patients, and what has no value."""

import json

import numpy as np
import pandas as pd

from skall import cli
from skall.comparison import Comparison
from skall.comparison.missing import describe_silent
from skall.metrics import compute_metrics
from skall.metrics.names import describe_metric
from skall.wording import list_words

ABOUT = {"net": {"baseline": False, "network": {"macs": 1}}, "dummy": {"baseline": True}}
SCORING = ["balanced_accuracy", "mcc", "roc_auc"]


def make_comparison(positive, patients=None, n_folds=5, seed=0, scoring=SCORING, silent=()):
    """A comparison of classifiers whose positive cells score `skill` above the others.

    `positive` is (n,) bool, `patients` (n,) names that folds keep together.
    """
    rng = np.random.default_rng(seed)
    skills = {"net": 2.5, "dummy": 0.0, "mean colour": 0.7}
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
    abouts = {name: ABOUT.get(name, {"baseline": True}) for name in skills}
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
        "The patient with the most cells has 50 % of them.",
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
        "Balanced accuracy, MCC and ROC AUC could not be computed in folds 0 and 4 of 5, which "
        "hold no cell of class healthy."
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


def test_answers_come_first_in_the_terminal_and_in_json(capsys):
    positive, patients = make_patients([10] * 14, 7)
    comparison = make_comparison(positive, patients, scoring=["balanced_accuracy", "roc_auc"])
    assert repr(comparison).startswith(comparison.summary()["best"][0])
    cli._print_json(comparison)
    printed = json.loads(capsys.readouterr().out)
    assert printed["summary"] == comparison.summary()
