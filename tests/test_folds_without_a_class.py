"""Folds that lack a class, from the metrics to the page: nothing is sorted, tested or said by them.

Fourteen patients, three of them healthy, in five folds of which two hold no healthy cell; one
patient has half of the cells.
"""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from skall.comparison import Comparison
from skall.comparison.ensembles import score_predictions
from skall.displays.metric_panels import draw_folds
from skall.metrics import METRICS
from skall.report.tables import make_latex
from skall.statistics import (
    bootstrap_intervals,
    corrected_t_interval,
    corrected_t_test,
    friedman_test,
)

HEALTHY = (0, 1, 2)
FOLD_OF_PATIENT = np.array([0, 1, 2, 0, 0, 1, 1, 2, 2, 3, 3, 3, 4, 4])
ONE_CLASS = (3, 4)
NAMES = ["careful", "eager", "dummy"]
AT_90 = "sensitivity_at_90_specificity"


def make_predictions(classes=("ALL", "healthy")):
    """The dummy knows its training part's shares only; of more classes, healthy is split in two."""
    rng = np.random.default_rng(0)
    sizes = np.full(14, 10)
    sizes[3] = sizes.sum()
    patients = np.repeat(np.arange(14), sizes)
    y = np.where(np.isin(patients, HEALTHY), "healthy", "ALL")
    if len(classes) == 3:
        y = np.where(patients == 2, "other", y)
    folds, parts = FOLD_OF_PATIENT[patients], []
    one_hot = (y[:, None] == classes).astype(float)
    for name in NAMES:
        if name == "dummy":
            shares = [one_hot[folds != fold].mean(axis=0) for fold in range(5)]
            proba = np.stack(shares)[folds]
        else:
            skill = {"careful": 1.5, "eager": 1.0}[name]
            logits = skill * one_hot + rng.normal(size=one_hot.shape)
            logits[:, 0] += 1.0 * (name == "eager")
            proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        part = pd.DataFrame({"estimator": name, "repeat": 0, "fold": folds})
        part["sample"], part["group"], part["y_true"] = np.arange(len(y)), patients, y
        part[[f"proba_{label}" for label in classes]] = proba
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def make_comparison(classes=("ALL", "healthy")):
    predictions = make_predictions(classes)
    pos_label = "ALL" if len(classes) == 2 else None
    scores = score_predictions(predictions, [*METRICS, AT_90], pos_label)
    n_test = predictions[predictions["estimator"] == "dummy"].groupby("fold").size()
    folds = pd.DataFrame({"repeat": 0, "fold": range(5), "n_test": n_test})
    folds["n_train"] = n_test.sum() - n_test
    return Comparison(scores, predictions, pos_label, folds_=folds)


@pytest.fixture(scope="module", params=[("ALL", "healthy"), ("ALL", "healthy", "other")])
def comparison(request):
    return make_comparison(request.param)


def test_a_dummy_is_what_the_folds_with_every_class_say():
    table = make_comparison().table()
    row = table.loc["dummy"]
    assert row["balanced_accuracy"] == row["roc_auc"] == 0.5
    assert row["balanced_accuracy_std"] == row["roc_auc_std"] == 0
    assert row["mcc"] == row[AT_90] == row["specificity"] == 0
    assert row["recall"] == 1
    # Determined in each of the five.
    predictions = make_predictions()
    dummy = predictions[predictions["estimator"] == "dummy"]
    shares = (dummy["y_true"] == "ALL").groupby(dummy["fold"]).mean()
    assert row["accuracy"] == pytest.approx(shares.mean())
    assert row["average_precision"] == pytest.approx(shares[:3].mean())
    assert table.index[-1] == "dummy"


def test_three_classes_of_which_no_fold_has_all():
    """Nothing but the accuracy and the probabilities' scores is left, and the table says so."""
    comparison = make_comparison(("ALL", "healthy", "other"))
    known = comparison.scores_.dropna()["metric"].unique()
    assert {*known} == {"accuracy", "brier", "log_loss", "ece"}
    table = comparison.table()
    assert table[["balanced_accuracy", "mcc", "roc_auc_low"]].isna().all(axis=None)
    # Sorted and tested by what has values.
    assert table["accuracy"].is_monotonic_decreasing
    assert "Differences in accuracy" in comparison.differences()[0]


def test_intervals_and_tests_are_those_of_the_folds_that_remain():
    comparison = make_comparison()
    scores = comparison.scores_[comparison.scores_["metric"] == "balanced_accuracy"]
    folds = scores.pivot(index="fold", columns="estimator", values="value")
    assert folds.index[folds.isna().all(axis=1)].tolist() == [*ONE_CLASS]
    assert folds.isna().sum().sum() == 2 * len(NAMES)
    kept = folds.dropna()
    ratio = (comparison.folds_["n_test"] / comparison.folds_["n_train"]).mean()
    got = comparison.intervals("balanced_accuracy", "corrected_t").set_index("estimator")
    assert got.index[-1] == "dummy"
    for name in NAMES:
        # Two degrees of freedom, not four.
        expected = np.clip(corrected_t_interval(kept[name], ratio), 0, 1)
        assert got.loc[name, ["low", "high"]].tolist() == pytest.approx([*expected])
    tested = comparison.test("balanced_accuracy", "corrected_t", names=["careful", "dummy"]).iloc[0]
    expected = corrected_t_test(kept["careful"], kept["dummy"], ratio)
    assert (tested["difference"], tested["p_value"]) == pytest.approx(
        (expected.difference, expected.p_value)
    )
    ranks = comparison.test("balanced_accuracy", "nemenyi", names=NAMES)
    mean_ranks = friedman_test(kept[NAMES]).mean_ranks
    assert ranks.loc[0, "difference"] == mean_ranks["careful"] - mean_ranks["eager"]


def test_an_estimator_without_a_value_where_others_have_one_is_in_no_test():
    comparison = make_comparison()
    scores = comparison.scores_
    failed = (scores["estimator"] == "eager") & (scores["fold"] == 0)
    scores.loc[failed, "value"] = np.nan
    with pytest.raises(ValueError, match=r"of 'eager' is NaN in 1 places, .* repeat 0, fold 0"):
        comparison.test("balanced_accuracy", "corrected_t")
    said = comparison.table()["conclusion"]
    assert "eager" not in said["careful"] and "dummy" in said["careful"]


def test_one_fold_that_determines_a_metric_is_too_few_to_test():
    comparison = make_comparison()
    rows = comparison.scores_["fold"] >= 2
    few = Comparison(comparison.scores_[rows], comparison.predictions_, "ALL")
    with pytest.raises(ValueError, match="got 1 in which balanced_accuracy has a value"):
        few.test("balanced_accuracy", "corrected_t", names=NAMES)


def test_no_nan_is_shown(comparison):
    text = repr(comparison)
    assert "dummy" in text and "nan" not in text.lower()
    plain = json.dumps(comparison.to_dict(), allow_nan=False)
    assert "null" in plain
    latex = make_latex(comparison.table())
    assert "nan" not in latex.lower()
    assert [name for name in latex.split() if name in NAMES] == [*comparison.table().index]


@pytest.mark.parametrize("grouped", [True, False])
def test_answers_about_shortcuts(comparison, grouped):
    """Also where the area is not determined anywhere."""
    named = {"estimator": {"eager": "mean colour"}}
    predictions = comparison.predictions_.replace(named)
    beside = replace(
        comparison,
        scores_=comparison.scores_.replace(named),
        predictions_=predictions if grouped else predictions.assign(group=None),
    )
    said = beside.summary()["shortcuts"]
    known = comparison.scores_.dropna()["metric"].unique()
    assert ("ROC AUC" in said[0]) == ("roc_auc" in known)
    assert all("mean colour" in sentence and "nan" not in sentence for sentence in said)


def test_page_and_model_card(comparison, tmp_path):
    page = comparison.report(tmp_path / "r.html").read_text(encoding="utf-8")
    for text in (page, (tmp_path / "model_card.md").read_text(encoding="utf-8")):
        words = text.replace(">", " ").replace("<", " ").replace("|", " ").split()
        assert "nan" not in words and "NaN" not in words
    card = (tmp_path / "model_card.md").read_text(encoding="utf-8")
    assert card.startswith("# Model card: ") and not card.startswith("# Model card: dummy")


def test_figures(comparison):
    """Those that average over folds take the ones with a value."""
    label = "ALL"
    areas = comparison.plot_roc(pos_label=label).areas if comparison.pos_label_ else {}
    assert all(len(values) == 3 for values in areas.values())
    if comparison.pos_label_:
        assert areas["dummy"].tolist() == [0.5] * 3
        precision = comparison.plot_precision_recall(pos_label=label)
        # The line of chance is where a classifier that ranks nothing stands.
        assert precision.prevalence == pytest.approx(precision.areas["dummy"].mean())
    comparison.plot_metrics()
    comparison.plot_ranks(names=NAMES)


@pytest.mark.parametrize("nobody", NAMES)
def test_bars_without_a_value_come_last(nobody):
    comparison = make_comparison()
    scores = comparison.scores_[comparison.scores_["fold"] == 0]
    values = scores["value"].where(scores["estimator"] != nobody)
    ax = draw_folds(scores.assign(value=values), "accuracy")
    known = scores[(scores["metric"] == "accuracy") & (scores["estimator"] != nobody)]
    expected = [nobody, *known.sort_values("value")["estimator"]]
    assert [label.get_text() for label in ax.get_yticklabels()] == expected
    texts = [text.get_text() for text in ax.texts]
    assert texts == ["-", *(f"{value:.3f}" for value in sorted(known["value"]))]


@pytest.mark.parametrize("pooled", [False, True])
def test_patients_drawn_anew(pooled):
    got = bootstrap_intervals(
        make_predictions(), pos_label="ALL", n_resamples=300, pooled=pooled, random_state=0
    )
    dummy = got[got["estimator"] == "dummy"].set_index("metric")
    for metric in ("balanced_accuracy", "roc_auc"):
        assert dummy.loc[metric, ["value", "low", "high"]].tolist() == [0.5, 0.5, 0.5]
    assert got[["low", "high"]].notna().all(axis=None)


def test_an_ensemble_has_the_same_folds():
    voted = make_comparison().vote(["careful", "eager"])
    scores = voted.scores_[voted.scores_["metric"] == "balanced_accuracy"]
    missing = scores[scores["value"].isna()]
    assert missing.groupby("estimator")["fold"].agg(tuple).to_dict() == dict.fromkeys(
        ["careful", "dummy", "eager", "vote"], ONE_CLASS
    )
