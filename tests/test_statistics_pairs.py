"""Tests between all pairs of estimators, and what is said about them."""

import numpy as np
import pandas as pd
import pytest

from skall import statistics
from skall.statistics import (
    adjust_holm,
    corrected_t_test,
    delong_test,
    mcnemar_test,
    nemenyi_p_values,
    summarise_differences,
)

COLUMNS = [
    "estimator_a",
    "estimator_b",
    "metric",
    "method",
    "difference",
    "low",
    "high",
    "statistic",
    "p_value",
    "p_adjusted",
    "conclusion",
]
OVER_FOLDS = ["corrected_t", "5x2cv_t", "5x2cv_f", "nemenyi", "bayesian_t"]


def make_scores(metric="accuracy", n_repeats=1, n_folds=10, seed=0, **means):
    rng = np.random.default_rng(seed)
    folds = [(repeat, fold) for repeat in range(n_repeats) for fold in range(n_folds)]
    rows = [
        (name, *fold, metric, mean + noise)
        for name, mean in means.items()
        for fold, noise in zip(folds, rng.normal(scale=0.01, size=len(folds)), strict=True)
    ]
    return pd.DataFrame(rows, columns=["estimator", "repeat", "fold", "metric", "value"])


def make_predictions(n=60, k=2, n_repeats=1, n_folds=10, **skills):
    rng = np.random.default_rng(0)
    y = np.arange(n) % k
    orders = [rng.permutation(n) for _ in range(n_repeats)]
    rows = []
    for name, skill in skills.items():
        for repeat, order in enumerate(orders):
            logits = rng.normal(size=(n, k)) + skill * np.eye(k)[y]
            proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            columns = {f"proba_{label}": proba[order, label] for label in range(k)}
            head = {"estimator": name, "repeat": repeat, "fold": np.arange(n) % n_folds}
            rows.append(
                pd.DataFrame(head | {"sample": order, "group": None, "y_true": y[order]} | columns)
            )
    return pd.concat(rows, ignore_index=True)


def run(scores, predictions=None, **parameters):
    return statistics.test_estimators(scores, predictions, **parameters)


def test_corrected_t_of_all_pairs():
    means = {"good": 0.95, "fair": 0.95, "poor": 0.6}
    scores = make_scores(**means)
    table = run(scores, test_ratio=1 / 9, alpha=0.1)
    assert table.columns.tolist() == COLUMNS
    assert table["conclusion"].tolist() == [
        "no difference shown",
        "good is better than poor",
        "fair is better than poor",
    ]
    values = scores.pivot(index="fold", columns="estimator", values="value")
    expected = corrected_t_test(values["good"], values["poor"], 1 / 9, confidence_level=0.9)
    assert tuple(table.loc[1, COLUMNS[4:9]]) == pytest.approx(expected)
    assert table["p_adjusted"].to_numpy() == pytest.approx(adjust_holm(table["p_value"]))


@pytest.mark.parametrize("method", OVER_FOLDS)
@pytest.mark.parametrize("metric", ["accuracy", "log_loss"])
def test_lower_is_better_where_it_is(method, metric):
    repeats = {"n_repeats": 5, "n_folds": 2}
    scores = make_scores(metric, high=0.9, middle=0.5, low=0.1, **repeats)
    table = run(scores, method=method, metric=metric, test_ratio=1)
    said = table.set_index(["estimator_a", "estimator_b"])["conclusion"]
    best, worst = ("low", "high") if metric == "log_loss" else ("high", "low")
    assert said["high", "low"] == f"{best} is better than {worst}"


@pytest.mark.parametrize("method", [*OVER_FOLDS, "mcnemar", "delong"])
def test_equal_estimators_are_not_told_apart(method):
    repeats = {"n_repeats": 5, "n_folds": 2}
    scores = make_scores(a=0.9, **repeats)
    scores = pd.concat([scores.assign(estimator=name) for name in "abc"])
    predictions = make_predictions(a=1, **repeats)
    predictions = pd.concat([predictions.assign(estimator=name) for name in "abc"])
    table = run(scores, predictions, method=method, test_ratio=1)
    alike = "practically equivalent" if method == "bayesian_t" else "no difference shown"
    assert table["conclusion"].tolist() == [alike] * 3
    assert (table["difference"] == 0).all()
    if method != "bayesian_t":
        assert table["p_adjusted"].to_numpy() == pytest.approx(1)


def test_bayesian_probabilities_have_columns():
    table = run(make_scores(a=0.95, b=0.90), method="bayesian_t", test_ratio=1 / 9, rope=0.02)
    assert table.columns.tolist() == [*COLUMNS, "p_a_above", "p_equivalent", "p_b_above"]
    assert table[["statistic", "p_value", "p_adjusted"]].isna().all(axis=None)
    assert table.iloc[0, -3:].sum() == pytest.approx(1)
    assert table.loc[0, "conclusion"] == "a is better than b"
    wide = run(make_scores(a=0.95, b=0.90), method="bayesian_t", test_ratio=1 / 9, rope=0.1)
    assert wide.loc[0, "conclusion"] == "practically equivalent"


def test_nemenyi_needs_friedman():
    scores = make_scores(a=0.9, b=0.9, c=0.9)
    table = run(scores, method="nemenyi")
    values = scores.pivot(index="fold", columns="estimator", values="value")
    friedman = statistics.friedman_test(values)
    assert (table["p_adjusted"] >= friedman.p_value).all()
    expected = nemenyi_p_values(friedman.mean_ranks, 10).loc["a", "b"]
    assert table.loc[0, "p_value"] == pytest.approx(expected)
    assert table.loc[0, "high"] - table.loc[0, "difference"] == friedman.critical_difference


def test_tests_over_samples_use_the_first_repeat():
    predictions = make_predictions(a=3, b=0.2, n_repeats=2)
    scores = make_scores(a=0.9, b=0.6)
    first = predictions[predictions["repeat"] == 0].sort_values("sample")
    y = np.arange(60) % 2
    parts = [first[first["estimator"] == name] for name in "ab"]
    score, folds = [part["proba_1"].to_numpy() for part in parts], parts[0]["fold"]
    table = run(scores, predictions, method="delong", pos_label=1)
    expected = delong_test(y == 1, *score, folds=folds)
    assert tuple(table.loc[0, COLUMNS[4:9]]) == pytest.approx(expected)
    assert table.loc[0, "conclusion"] == "a is better than b"
    table = run(scores, predictions, method="mcnemar")
    expected = mcnemar_test(*[(s > 0.5) == (y == 1) for s in score])
    assert tuple(table.loc[0, COLUMNS[4:9]]) == pytest.approx(expected)


def test_delong_ranks_within_folds():
    predictions = make_predictions(a=2, b=0.5)
    scores = make_scores(a=0.9, b=0.6)
    expected = run(scores, predictions, method="delong", pos_label=1)
    # Another scale in each fold, as each fold's own network has.
    part = predictions["estimator"] == "a"
    scaled = predictions["proba_1"] / 20 + predictions["fold"] / 11
    predictions["proba_1"] = predictions["proba_1"].where(~part, scaled)
    predictions["proba_0"] = 1 - predictions["proba_1"]
    got = run(scores, predictions, method="delong", pos_label=1)
    assert got.loc[0, "difference"] == pytest.approx(expected.loc[0, "difference"])
    predictions.loc[part, "fold"] = predictions.loc[part, "fold"].to_numpy()[::-1]
    with pytest.raises(ValueError, match="not tested in the same folds"):
        run(scores, predictions, method="delong", pos_label=1)


def test_mcnemar_of_several_classes_and_stored_labels():
    predictions = make_predictions(a=3, b=1, k=3)
    scores = make_scores(a=0.9, b=0.8)
    table = run(scores, predictions, method="mcnemar")
    right = {
        name: part.iloc[:, -3:].to_numpy().argmax(axis=1) == part["y_true"]
        for name, part in predictions.groupby("estimator")
    }
    assert table.loc[0, "difference"] == pytest.approx(right["a"].mean() - right["b"].mean())
    predictions["y_pred"] = predictions["y_true"]
    assert run(scores, predictions, method="mcnemar").loc[0, "p_value"] == 1


def test_groups_count_in_delong_and_warn_in_mcnemar():
    predictions = make_predictions(a=1, b=0.5)
    scores = make_scores(a=0.9, b=0.6)
    # Patients of one class each: an even number of samples lies between those of a class.
    predictions["group"] = predictions["sample"] % 20
    grouped = run(scores, predictions, method="delong", pos_label=1)
    single = run(scores, predictions.assign(group=None), method="delong", pos_label=1)
    assert grouped.loc[0, "difference"] == single.loc[0, "difference"]
    assert grouped.loc[0, "p_value"] != single.loc[0, "p_value"]
    with pytest.warns(UserWarning, match="60 samples of 20 groups as independent"):
        run(scores, predictions, method="mcnemar")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"method": "t"}, "unknown method 't'; possible: patient_t, "),
        ({"metric": "f1"}, "'f1' was not computed; there are accuracy"),
        ({"method": "mcnemar", "metric": "f1"}, "is about accuracy, not f1"),
        ({"method": "delong", "metric": "accuracy"}, "is about roc_auc, not accuracy"),
        ({"method": "5x2cv_f"}, "cv=2, repeats=5.*1 repeats of 10 folds"),
        ({"method": "nemenyi"}, "three estimators"),
        ({"rope": 0.01}, "rope belongs to method='bayesian_t'"),
        ({"alpha": 5}, "alpha must lie between 0 and 1"),
        ({"method": "delong"}, "two classes, here are 3"),
        ({"method": "corrected_t", "test_ratio": -1}, "test_ratio must be above 0"),
    ],
)
def test_bad_parameters(parameters, message):
    scores, predictions = make_scores(a=0.9, b=0.8), make_predictions(a=1, b=1, k=3)
    with pytest.raises(ValueError, match=message):
        run(scores, predictions, **parameters)


def test_folds_that_do_not_do():
    scores = make_scores(a=0.9, b=0.8)
    with pytest.raises(ValueError, match="two estimators or more, got \\['a'\\]"):
        run(scores[scores["estimator"] == "a"])
    with pytest.raises(ValueError, match="needs two folds or more, got 1: methods 'patient_t'"):
        run(scores[scores["fold"] == 0], test_ratio=1)
    holes = scores.copy()
    holes.loc[13, "value"] = np.nan
    with pytest.raises(ValueError, match=r"accuracy of 'b' is NaN in 1 places.*fold 3"):
        run(holes, test_ratio=1)
    with pytest.raises(ValueError, match="'b' is NaN"):
        run(scores[:-1], test_ratio=1)
    for method in ("corrected_t", "bayesian_t"):
        with pytest.raises(ValueError, match=f"method='{method}' needs test_ratio"):
            run(scores, method=method)


@pytest.mark.parametrize("method", ["mcnemar", "delong"])
def test_predictions_that_do_not_do(method):
    scores, predictions = make_scores(a=0.9, b=0.8), make_predictions(a=1, b=1)
    without = predictions.copy()
    without.loc[without["estimator"] == "b", ["proba_0", "proba_1"]] = np.nan
    with pytest.raises(ValueError, match="'b': no probabilities were stored"):
        run(scores, without, method=method)
    with pytest.raises(ValueError, match="some samples more than once"):
        run(scores, pd.concat([predictions, predictions.assign(fold=99)]), method=method)
    with pytest.raises(ValueError, match="no predictions of the estimator 'b'"):
        run(scores, predictions[predictions["estimator"] == "a"], method=method)
    with pytest.raises(ValueError, match="not tested on the same samples"):
        run(scores, predictions[:-1], method=method)


def test_summary_says_who_is_better_and_who_is_not_told_apart():
    scores = make_scores(good=0.95, fair=0.95, poor=0.6, bad=0.6)
    sentences = summarise_differences(run(scores, test_ratio=1 / 9))
    assert sentences[0] == (
        "Differences in accuracy, by the corrected resampled t-test "
        "(alpha = 0.05; p-values are adjusted for the number of pairs, intervals are not)."
    )
    assert sentences[1].startswith("good is better than poor and bad (by 0.3")
    assert sentences[1].endswith("; p < 0.001).")
    assert sentences[2].startswith("fair is better than poor and bad (")
    assert sentences[3].startswith("good and fair cannot be told apart (difference ")
    assert sentences[4].startswith("poor and bad cannot be told apart (difference ")
    assert sentences[5] == "A difference that is not shown may still be there."
    assert len(sentences) == 6


def test_summary_of_chains_puts_names_in_several_groups():
    tests = run(make_scores(a=0.9, b=0.9, c=0.9), test_ratio=1 / 9)
    assert "a, b and c cannot be told apart (differences up to " in " ".join(
        summarise_differences(tests)
    )
    tests.loc[1, "conclusion"] = "c is better than a"
    text = " ".join(summarise_differences(tests))
    assert "c is better than a (" in text
    assert "a and b cannot be told apart" in text
    assert "b and c cannot be told apart" in text


def test_only_tests_that_correct_need_the_sizes_of_folds():
    scores = make_scores(a=0.9, b=0.9, c=0.5, n_repeats=5, n_folds=2)
    for method in ("nemenyi", "5x2cv_f"):
        assert len(run(scores, None, method=method)) == 3


@pytest.mark.parametrize(
    ("method", "start"),
    [
        ("nemenyi", "Mean ranks in accuracy, by Friedman's test with Nemenyi's post hoc test ("),
        ("5x2cv_f", "Differences in accuracy, by the combined 5x2cv F-test ("),
        ("bayesian_t", "Differences in accuracy, by the Bayesian correlated t-test: a difference"),
    ],
)
def test_summary_of_other_methods(method, start):
    scores = make_scores(a=0.9, b=0.9, c=0.5, n_repeats=5, n_folds=2)
    sentences = summarise_differences(run(scores, method=method, test_ratio=1))
    assert sentences[0].startswith(start)
    assert any("a is better than c (by " in sentence for sentence in sentences)


def test_summary_of_equivalence():
    scores = make_scores(a=0.9)
    scores = pd.concat([scores, scores.assign(estimator="b")])
    sentences = summarise_differences(run(scores, method="bayesian_t", test_ratio=1))
    assert sentences[1:] == [
        "a and b are practically equivalent (difference 0.000, 95 % interval 0.000 to 0.000; "
        "probability of equivalence > 0.999)."
    ]
