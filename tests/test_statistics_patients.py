"""Tests and intervals over patients: against brute force, and what is said where they are few."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from skall.metrics import compute_metrics
from skall.statistics import HeldOut, find_detectable, patient_t_interval, patient_t_test
from skall.statistics import test_estimators as compare_estimators
from skall.statistics.jackknife import cancel_shifts
from skall.statistics.patients import find_freedom

LABELS = np.array(["ALL", "healthy"])
METRICS = ["balanced_accuracy", "roc_auc"]


def make_tables(sizes, n_rare, n_folds, skills, n_repeats=1, seed=0, labels=LABELS, spread=0.5):
    """Scores and predictions of patients of some sizes, the last `n_rare` of the last class."""
    rng = np.random.default_rng(seed)
    patients = np.repeat(np.arange(len(sizes)), sizes)
    k = len(labels)
    of_patient = np.where(
        np.arange(len(sizes)) < len(sizes) - n_rare, np.arange(len(sizes)) % (k - 1), k - 1
    )
    truth = of_patient[patients]
    scores, predictions = [], []
    for name, skill in skills.items():
        for repeat in range(n_repeats):
            # Patients of each class in turn.
            place = pd.Series(of_patient).groupby(of_patient).cumcount().to_numpy() + repeat
            folds = (place % n_folds)[patients]
            own = spread * rng.normal(size=(len(sizes), k))[patients]
            logits = skill * np.eye(k)[truth] + own + rng.normal(size=(len(truth), k))
            proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            rows = {"estimator": name, "repeat": repeat, "fold": folds}
            rows |= {"sample": np.arange(len(truth)), "group": patients, "y_true": labels[truth]}
            rows |= {f"proba_{label}": proba[:, i] for i, label in enumerate(labels)}
            predictions.append(pd.DataFrame(rows))
            for fold in range(n_folds):
                part = folds == fold
                predicted = labels[proba[part].argmax(axis=1)]
                positive = labels[0] if k == 2 else None
                values = compute_metrics(
                    labels[truth[part]], predicted, proba[part], labels, positive, scoring=METRICS
                )
                scores += [(name, repeat, fold, metric, values[metric]) for metric in METRICS]
    columns = ["estimator", "repeat", "fold", "metric", "value"]
    return pd.DataFrame(scores, columns=columns), pd.concat(predictions, ignore_index=True)


UNEQUAL = [5, 8, 12, 60, 9, 7, 11, 4, 6, 13, 10, 15]
SKILLS = {"good": 2.5, "poor": 0.5}


def measure_by_hand(predictions, metric, left_out=None):
    """The mean over the folds, with each fold's and class's share fixed by all patients."""
    rights, sizes = np.zeros(2), np.zeros(2)
    pairs, orders = 0.0, 0.0
    for _, fold in predictions.groupby("fold"):
        kept = fold[fold["group"] != left_out]
        full = fold["y_true"].value_counts()
        for number, label in enumerate(LABELS):
            of_class = kept[kept["y_true"] == label]
            right = (of_class["proba_ALL"] > 0.5) == (label == "ALL")
            rights[number] += right.sum() / full[label]
            sizes[number] += len(of_class) / full[label]
        positive, negative = (
            kept.loc[kept["y_true"] == label, "proba_ALL"].to_numpy() for label in LABELS
        )
        orders += (positive[:, None] > negative).sum() / full.prod()
        pairs += len(positive) * len(negative) / full.prod()
    return np.mean(rights / sizes) if metric == "balanced_accuracy" else orders / pairs


@pytest.mark.parametrize("metric", METRICS)
def test_the_error_is_that_of_leaving_patients_out(metric):
    scores, predictions = make_tables(UNEQUAL, 5, 3, SKILLS)
    held_out = HeldOut(scores, predictions, "ALL")
    left_out = held_out.leave_out("good", metric) - held_out.leave_out("poor", metric)
    parts = dict(iter(predictions.groupby("estimator")))

    def measure(patient=None):
        return np.subtract(*(measure_by_hand(parts[name], metric, patient) for name in SKILLS))

    means = scores[scores["metric"] == metric].groupby("estimator")["value"].mean()
    assert left_out.value == pytest.approx(means["good"] - means["poor"])
    assert measure() == pytest.approx(left_out.value)
    changes = np.array([measure(patient) - measure() for patient in range(12)])
    classes = np.repeat([0, 1], [7, 5])
    if metric == "balanced_accuracy":
        part = parts["good"].groupby(["group", "fold"]).size().rename("size").reset_index("fold")
        of_part = part.groupby([part["fold"], classes])["size"].transform("sum")
        shares = {"class": classes, "share": part["size"] / of_part / 3}
        changes = cancel_shifts(changes, part.assign(**shares))
    variance = np.sum(changes**2)
    # Three folds: the mean ratio of test to training cells, of each of them.
    n_test = parts["good"].groupby("fold").size()
    inflation = 1 + np.mean(n_test / (160 - n_test)) * 3
    assert left_out.find_error() == pytest.approx(np.sqrt(inflation * variance))


def test_what_classes_take_from_each_other_is_no_difference():
    # A constant classifier that says another class in every other fold has 0.5 in each of them.
    scores, predictions = make_tables([6] * 24, 12, 4, {"net": 3.0, "constant": 0.0}, spread=0)
    rows = predictions["estimator"] == "constant"
    predictions.loc[rows, "proba_ALL"] = np.where(predictions.loc[rows, "fold"] % 2, 0.6, 0.4)
    predictions["proba_healthy"] = 1 - predictions["proba_ALL"]
    constant = (scores["estimator"] == "constant") & (scores["metric"] == "balanced_accuracy")
    scores.loc[constant, "value"] = 0.5
    held_out = HeldOut(scores, predictions, "ALL")
    assert held_out.leave_out("constant", "balanced_accuracy").find_error() == pytest.approx(0)
    row = compare_estimators(scores, predictions, pos_label="ALL").iloc[0]
    assert row["conclusion"] == "net is better than constant"


def test_degrees_of_freedom_are_those_of_the_quadratic_form():
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(9))
    deviate = np.eye(9) - np.outer(np.ones(9), shares)
    form = deviate.T @ np.diag((shares / (1 - shares)) ** 2) @ deviate
    assert find_freedom(shares) == pytest.approx(np.trace(form) ** 2 / np.trace(form @ form))
    assert find_freedom(np.full(12, 1 / 12)) == pytest.approx(11)
    # A patient who is half of the class leaves little to know its spread by.
    assert find_freedom(np.array([0.5, *[0.05] * 10])) < 1.5


def test_patient_t_by_its_parts():
    scores, predictions = make_tables(UNEQUAL, 5, 3, SKILLS)
    table = compare_estimators(scores, predictions, pos_label="ALL").iloc[0]
    held_out = HeldOut(scores, predictions, "ALL")
    left_out = np.subtract(*(held_out.leave_out(n, "balanced_accuracy") for n in SKILLS))
    error, freedom = left_out.find_error(), left_out.patients.freedom
    assert table["method"] == "patient_t"
    assert table["statistic"] == pytest.approx(left_out.value / error)
    expected = 2 * stats.t.sf(left_out.value / error, freedom)
    assert table["p_value"] == pytest.approx(expected)
    half = error * stats.t.ppf(0.975, freedom)
    assert (table["low"], table["high"]) == pytest.approx(
        (left_out.value - half, left_out.value + half)
    )
    # Power 80 %: the difference that is two quantiles away.
    reach = stats.t.ppf(0.975, freedom) + stats.t.ppf(0.8, freedom)
    assert table["detectable"] == pytest.approx(error * reach)
    assert patient_t_test(0, left_out).p_value == 1
    assert patient_t_interval(0.5, left_out) == pytest.approx((0.5 - half, 0.5 + half))
    wider = find_detectable(left_out, alpha=0.01)
    assert wider > table["detectable"] == find_detectable(left_out)


def test_repeats_are_averaged_before_patients_are_compared():
    scores, predictions = make_tables(UNEQUAL, 5, 3, SKILLS)
    twice = (pd.concat([table, table.assign(repeat=1)]) for table in (scores, predictions))
    once = compare_estimators(scores, predictions, pos_label="ALL").iloc[0]
    # The same patients tell no more when they are told twice.
    found = compare_estimators(*twice, pos_label="ALL").iloc[0]
    for column in ("difference", "low", "high", "p_value", "fewest"):
        assert found[column] == pytest.approx(once[column])


def test_three_patients_of_a_class_cannot_decide():
    scores, predictions = make_tables([12] * 14, 3, 3, {"good": 1.2, "poor": 0.9})
    row = compare_estimators(scores, predictions, pos_label="ALL").iloc[0]
    assert row["conclusion"] == "cannot be decided"
    assert row[["fewest", "rarest", "unit"]].tolist() == [3, "healthy", "patient"]
    assert row["detectable"] > abs(row["difference"])
    # No test keeps its level here, so none is made; the interval is there.
    assert np.isnan(row["p_value"])
    assert row["low"] < row["difference"] < row["high"]
    scores, predictions = make_tables([12] * 14, 7, 3, {"good": 1.2, "poor": 1.1})
    row = compare_estimators(scores, predictions, pos_label="ALL").iloc[0]
    assert row["conclusion"] == "no difference shown"


def test_a_single_patient_of_a_class_gives_no_test():
    scores, predictions = make_tables([12] * 8, 1, 2, SKILLS)
    row = compare_estimators(scores, predictions, pos_label="ALL").iloc[0]
    assert row["conclusion"] == "cannot be decided"
    assert np.isnan(row[["low", "high", "p_value"]].astype(float)).all()


def test_large_differences_are_shown_in_three_folds():
    # As on the demonstration, where two degrees of freedom showed nothing.
    skills = {"net": 4.0, "mean colour": -0.1}
    scores, predictions = make_tables([10] * 24, 12, 3, skills, spread=0.3)
    row = compare_estimators(scores, predictions, pos_label="ALL").iloc[0]
    assert row["conclusion"] == "net is better than mean colour"
    by_folds = {"test_ratio": 0.5, "method": "corrected_t"}
    assert compare_estimators(scores, None, **by_folds)["p_value"].iloc[0] > row["p_value"]


def test_no_p_value_below_that_of_exchanging_patients():
    scores, predictions = make_tables([4] * 8, 4, 4, {"right": 99.0, "wrong": -99.0})
    row = compare_estimators(scores, predictions, pos_label="ALL").iloc[0]
    # Nothing varies, and eight patients can be exchanged in 256 ways.
    assert row["difference"] == row["low"] == row["high"] == 1
    assert row["p_value"] == 2 / 256


@pytest.mark.parametrize("metric", METRICS)
def test_more_than_two_classes(metric):
    labels = np.array(["early", "pre", "pro"])
    scores, predictions = make_tables([6] * 21, 7, 3, {"good": 4.0, "poor": 0.2}, labels=labels)
    row = compare_estimators(scores, predictions, metric=metric).iloc[0]
    assert row["conclusion"] == "good is better than poor"
    assert row["low"] < row["difference"] < row["high"]


def test_cells_of_unknown_patients_are_left_out_in_blocks():
    scores, predictions = make_tables([1] * 4000, 2000, 4, {"net": 1.0}, spread=0)
    held_out = HeldOut(scores, predictions.assign(group=None), "ALL")
    left_out = held_out.leave_out("net", "balanced_accuracy")
    assert len(left_out.changes) == 200
    right = (predictions["proba_ALL"] > 0.5) == (predictions["y_true"] == "ALL")
    classes = [part for _, part in right.groupby(predictions["y_true"])]
    error = np.sqrt((1 + 4 / 3) * sum(stats.sem(part) ** 2 for part in classes)) / 2
    # A hundred blocks of each class.
    assert left_out.find_error() == pytest.approx(error, rel=0.15)
    assert left_out.patients.unit == "cell"


def test_without_probabilities_the_test_is_over_folds():
    scores, predictions = make_tables(UNEQUAL, 5, 3, SKILLS)
    predictions.loc[predictions["estimator"] == "poor", ["proba_ALL", "proba_healthy"]] = np.nan
    options = {"pos_label": "ALL", "test_ratio": 0.5}
    assert compare_estimators(scores, predictions, **options)["method"].tolist() == ["corrected_t"]
    with pytest.raises(ValueError, match=r"balanced_accuracy.*'poor'.*method='corrected_t'"):
        compare_estimators(scores, predictions, method="patient_t", **options)
