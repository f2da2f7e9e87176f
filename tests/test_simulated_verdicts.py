"""The simulation that has chosen the default test."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skall.statistics import test_estimators as compare_estimators

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def folder_of_the_scripts(monkeypatch):
    """What Python does for a script that it runs."""
    monkeypatch.syspath_prepend(BENCHMARKS)


def test_the_default_is_the_one_that_the_rule_takes():
    from verdict_tests import CHOSEN
    from verdicts import RESULTS, judge

    judged = judge(pd.read_csv(RESULTS))
    assert judged.index[0] == CHOSEN
    assert judged.loc[CHOSEN, "above"] == 0
    # Tests over folds as before, and each of the mixtures, err too often somewhere or show less.
    others = judged.drop(index=CHOSEN)
    assert ((others["above"] > 0) | (others["power"] < judged.loc[CHOSEN, "power"])).all()


@pytest.mark.parametrize("metric", ["balanced_accuracy", "roc_auc"])
def test_the_simulated_test_is_the_one_that_skall_makes(metric):
    import verdict_data as data
    from verdict_tests import CHOSEN, TESTS, take_sample

    design = data.Design("", (4, 6, 9, 5, 7, 20, 3, 8), 4, 3)
    contest, rng = data.Contest("", False, rival_skill=0.5), np.random.default_rng(0)
    patients = np.repeat(np.arange(8), design.sizes)
    classes = (patients < 4).astype(int)
    folds = data._deal(classes, patients, 3, rng)
    scores = data._run(contest, 4, patients, classes, folds, rng)
    starts = np.flatnonzero(np.diff(patients, prepend=-1))
    place, swapped = data._place(scores, classes, folds)
    right = [(score > 0) == (classes == 1) for score in scores]

    def average(values):
        return np.add.reduceat(values, starts, axis=1) / design.sizes

    change = average(right[0].astype(float) - right[1])
    results = data.Results(
        {"balanced_accuracy": change, "roc_auc": average(place[0] - place[1])},
        {"balanced_accuracy": change, "roc_auc": average(swapped)},
        *(folds[starts], classes[starts], np.array(design.sizes)),
    )
    p_values = TESTS[CHOSEN](take_sample(results, metric, rng))
    for number, p_value in enumerate(p_values):
        tables = [tabulate(score[number], classes, folds, patients) for score in scores]
        values = [
            (name, 0, fold, metric, evaluate(metric, part))
            for name, table in zip("ab", tables, strict=True)
            for fold, part in table.groupby("fold")
        ]
        columns = ["estimator", "repeat", "fold", "metric", "value"]
        parts = [table.assign(estimator=n) for n, table in zip("ab", tables, strict=True)]
        found = compare_estimators(pd.DataFrame(values, columns=columns), pd.concat(parts))
        assert found["p_value"].iloc[0] == pytest.approx(p_value)


def tabulate(score, classes, folds, patients):
    proba = 1 / (1 + np.exp(-score))
    table = {"repeat": 0, "fold": folds, "sample": np.arange(len(score)), "group": patients}
    return pd.DataFrame(table | {"y_true": classes, "proba_0": 1 - proba, "proba_1": proba})


def evaluate(metric, part):
    from sklearn.metrics import balanced_accuracy_score, roc_auc_score

    if metric == "roc_auc":
        return roc_auc_score(part["y_true"], part["proba_1"])
    return balanced_accuracy_score(part["y_true"], part["proba_1"] > 0.5)


def test_a_few_data_sets_quickly():
    from verdict_data import CONTESTS, DESIGNS
    from verdicts import judge, measure

    table = measure(8, 0, DESIGNS[:1], [CONTESTS[0], CONTESTS[6], CONTESTS[-1]])
    assert (table["sets"] == 8).all()
    assert table["shown"].between(0, 1).all()
    judged = judge(table)
    assert {"worst_error", "above", "error", "power", "where"} <= {*judged.columns}
    assert judged["power"].notna().all()
