"""Bootstrap intervals: the right values, the right units, the right width."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from skall.metrics import METRICS, compute_metrics
from skall.metrics.formulas import Outcome
from skall.statistics import bootstrap, bootstrap_intervals, proportion_intervals, weighted

FAST = {"n_resamples": 200, "random_state": 0}
# Shares that small counts reach exactly, and shares that they do not.
AT_SPECIFICITY = [f"sensitivity_at_{p}_specificity" for p in ("50", "66.7", "75", "90", "99.5")]


def draw(n_samples=60, k=2, n_estimators=1, n_folds=2, n_repeats=1, seed=0):
    """Predictions of imperfect estimators; groups of three samples, probabilities with ties."""
    rng = np.random.default_rng(seed)
    rows = []
    groups = np.arange(n_samples) // 3
    labels = rng.permutation(np.arange(groups.max() + 1) % k)[groups]
    for name in range(n_estimators):
        for repeat in range(n_repeats):
            logits = rng.normal(size=(n_samples, k)) + np.eye(k)[labels]
            proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            part = pd.DataFrame(
                {
                    "estimator": f"net{name}",
                    "repeat": repeat,
                    "fold": (groups + repeat) % n_folds,
                    "sample": np.arange(n_samples),
                    "group": [f"p{group}" for group in groups],
                    "y_true": [f"c{label}" for label in labels],
                }
            )
            proba = np.round(proba, 1 if k == 2 else 2)
            part[[f"proba_c{label}" for label in range(k)]] = proba
            rows.append(part)
    return pd.concat(rows, ignore_index=True)


@pytest.mark.parametrize("slow", [None, "roc_auc", "ece", "f1"])
@pytest.mark.parametrize(("k", "positive"), [(2, 0), (2, 1), (4, None)])
def test_weights_equal_repeated_samples(k, positive, slow, monkeypatch):
    for table in (weighted.FROM_TABLE, weighted.FROM_ROWS, weighted.FROM_ORDER):
        monkeypatch.delitem(table, slow, raising=False)
    rng = np.random.default_rng(1)
    n, classes = 30, np.arange(k)
    truth, predicted = rng.integers(0, k, size=(2, n))
    proba = rng.integers(1, 5, size=(n, k)).astype(float)
    proba /= proba.sum(axis=1, keepdims=True)
    if k == 2:
        proba[:, 1 - positive] = 1 - proba[:, positive]
    outcome = Outcome(truth, predicted, proba, proba, positive, k)
    units = rng.integers(0, 12, size=n)
    weights = rng.multinomial(12, np.full(12, 1 / 12), size=20)
    # Few samples, so that classes are missing; and none at all.
    weights = np.concatenate([weights, np.eye(12, dtype=int)])
    names = [*METRICS, *AT_SPECIFICITY]
    got = weighted.evaluate_weighted(names, outcome, units, weights)
    for values, counts in zip(got, weights, strict=True):
        rows = np.repeat(np.arange(n), counts[units])
        if not len(rows):
            assert np.isnan(values).all()
            continue
        expected = compute_metrics(
            truth[rows], predicted[rows], proba[rows], classes, positive, scoring=names
        )
        assert values == pytest.approx([*expected.values()], abs=1e-12, nan_ok=True)


def test_weights_at_every_reachable_specificity():
    rng = np.random.default_rng(0)
    truth, proba = np.arange(100) % 2, rng.integers(0, 60, size=100) / 60
    proba = np.column_stack([1 - proba, proba])
    outcome = Outcome(truth, None, proba, proba, 1, 2)
    names = [f"sensitivity_at_{p / 10}_specificity" for p in range(10, 1000)]
    got = weighted.evaluate_weighted(names, outcome, np.arange(100), np.ones((1, 100), dtype=int))
    expected = compute_metrics(truth, None, proba, [0, 1], scoring=names)
    assert got[0].tolist() == [*expected.values()]
    assert len({*expected.values()}) > 20


@pytest.mark.parametrize("k", [2, 3])
def test_value_is_the_mean_over_folds(k):
    predictions = draw(k=k, n_repeats=2, n_estimators=2)
    pos_label = "c0" if k == 2 else None
    got = bootstrap_intervals(predictions, pos_label=pos_label, **FAST)
    assert got["metric"].tolist() == [*METRICS] * 2
    assert (got["low"] <= got["high"]).all()
    classes = np.array([f"c{label}" for label in range(k)])
    columns = [f"proba_{label}" for label in classes]
    for keys, pooled in ((["repeat", "fold"], False), (["repeat"], True)):
        got = bootstrap_intervals(predictions, pos_label=pos_label, pooled=pooled, **FAST)
        folds = [
            compute_metrics(
                part["y_true"],
                classes[part[columns].to_numpy().argmax(axis=1)],
                part[columns].to_numpy(),
                classes,
                pos_label,
            )
            for _, part in predictions[predictions["estimator"] == "net1"].groupby(keys)
        ]
        expected = pd.DataFrame(folds).mean()
        values = got[got["estimator"] == "net1"]["value"].to_numpy()
        assert values == pytest.approx(expected.to_numpy())


def test_interval_at_a_specificity():
    predictions = draw(n_estimators=2)
    predictions.loc[predictions["estimator"] == "net1", ["proba_c0", "proba_c1"]] = np.nan
    names = ["roc_auc", "sensitivity_at_80_specificity"]
    got = bootstrap_intervals(predictions, names, pos_label="c1", **FAST)
    assert got["metric"].tolist() == names * 2
    numbers = got[["low", "value", "high"]].to_numpy()
    assert np.isnan(numbers[2:]).all()
    assert (np.diff(numbers[:2], axis=1) >= 0).all()
    assert 0 <= numbers[1, 0] < numbers[1, 2] <= 1


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_interval_agrees_with_scipy(method):
    predictions = draw(n_samples=100, n_folds=1).drop(columns="group")
    labels = np.where(predictions["proba_c0"] >= predictions["proba_c1"], "c0", "c1")
    correct = (labels == predictions["y_true"]).to_numpy().astype(float)
    settings = {"n_resamples": 9999, "method": method}
    got = bootstrap_intervals(
        predictions, "accuracy", pos_label="c1", random_state=0, **settings
    ).iloc[0]
    expected = stats.bootstrap((correct,), np.mean, rng=1, **settings).confidence_interval
    assert (got["low"], got["high"]) == pytest.approx(tuple(expected), abs=0.0101)


def test_bca_of_a_skewed_metric_agrees_with_scipy():
    predictions = draw(n_samples=40, n_folds=1).drop(columns="group")
    y, proba = predictions["y_true"] == "c1", predictions["proba_c1"]
    losses = -np.log(np.clip(np.where(y, proba, 1 - proba), np.finfo(float).eps, None))
    settings = {"n_resamples": 9999, "method": "bca"}
    got = bootstrap_intervals(
        predictions, "log_loss", pos_label="c1", random_state=0, **settings
    ).iloc[0]
    expected = stats.bootstrap((losses,), np.mean, rng=1, **settings).confidence_interval
    width = expected.high - expected.low
    assert (got["low"], got["high"]) == pytest.approx(tuple(expected), abs=width / 20)
    plain = bootstrap_intervals(
        predictions, "log_loss", pos_label="c1", n_resamples=9999, random_state=0
    ).iloc[0]
    assert abs(plain["low"] - expected.low) > abs(got["low"] - expected.low)


def test_copies_of_a_patients_image_add_nothing():
    one_each = draw(n_samples=60).drop(columns="group")
    one_each["group"] = one_each["sample"]
    copies = pd.concat([one_each.assign(sample=one_each["sample"] + 60 * i) for i in range(4)])
    expected = bootstrap_intervals(one_each, pos_label="c1", **FAST)
    got = bootstrap_intervals(copies, pos_label="c1", **FAST)
    pd.testing.assert_frame_equal(got, expected)
    alone = bootstrap_intervals(copies.drop(columns="group"), pos_label="c1", **FAST)
    widths = [(table["high"] - table["low"]).iloc[0] for table in (alone, expected)]
    assert widths[0] < 0.7 * widths[1]


def test_repeats_of_a_sample_go_along():
    once = draw(n_folds=1)
    twice = pd.concat([once, once.assign(repeat=1)])
    for predictions in (once, once.assign(group=None)):
        expected = bootstrap_intervals(predictions, pos_label="c1", **FAST)
        rows = twice.assign(group=[*predictions["group"]] * 2)
        got = bootstrap_intervals(rows, pos_label="c1", **FAST)
        pd.testing.assert_frame_equal(got, expected)


def test_same_seed_same_interval_whatever_the_chunks_and_companions(monkeypatch):
    predictions = draw(n_estimators=2)
    first = bootstrap_intervals(predictions, pos_label="c1", method="bca", **FAST)
    monkeypatch.setattr(bootstrap, "CHUNK", 300)
    again = bootstrap_intervals(predictions, pos_label="c1", method="bca", **FAST)
    pd.testing.assert_frame_equal(first, again)
    alone = predictions[predictions["estimator"] == "net1"]
    got = bootstrap_intervals(alone, pos_label="c1", method="bca", **FAST)
    pd.testing.assert_frame_equal(got, first[12:].reset_index(drop=True))
    other = bootstrap_intervals(alone, pos_label="c1", n_resamples=200, random_state=1)
    assert not np.allclose(other["low"], got["low"])


def test_some_groups_are_unknown():
    predictions = draw()
    predictions.loc[predictions["sample"] >= 30, "group"] = None
    got = bootstrap_intervals(predictions, "accuracy", pos_label="c1", **FAST)
    names = predictions["sample"].astype(str).where(predictions["group"].isna())
    filled = predictions.assign(group=predictions["group"].fillna(names))
    expected = bootstrap_intervals(filled, "accuracy", pos_label="c1", **FAST)
    pd.testing.assert_frame_equal(got, expected)


def test_estimators_without_probabilities():
    predictions = draw(n_estimators=2)
    without = predictions["estimator"] == "net1"
    predictions.loc[without, ["proba_c0", "proba_c1"]] = np.nan
    got = bootstrap_intervals(predictions, pos_label="c1", **FAST).set_index("estimator")
    assert got.loc["net1", ["value", "low", "high"]].isna().all(axis=None)
    assert got.loc["net0", ["value", "low", "high"]].notna().all(axis=None)
    assert set(proportion_intervals(predictions, pos_label="c1")["estimator"]) == {"net0"}
    predictions["y_pred"] = "c1"
    got = bootstrap_intervals(predictions, "recall", pos_label="c1", **FAST)
    assert got["value"].tolist() == [1, 1]


def test_all_right_has_no_width():
    predictions = draw()
    predictions["proba_c1"] = (predictions["y_true"] == "c1") * 0.8 + 0.1
    predictions["proba_c0"] = 1 - predictions["proba_c1"]
    for method in ("percentile", "bca"):
        got = bootstrap_intervals(
            predictions, ["accuracy", "roc_auc"], pos_label="c1", method=method, **FAST
        )
        assert got[["value", "low", "high"]].to_numpy().tolist() == [[1, 1, 1]] * 2
    exact = proportion_intervals(predictions[:22], pos_label="c1").iloc[0]
    assert exact["low"] == pytest.approx(0.8456, abs=5e-5)


def test_counts_of_proportions():
    predictions = draw(k=3, n_repeats=2)
    table = proportion_intervals(predictions)
    assert table["metric"].tolist() == ["accuracy"]
    assert table["trials"].tolist() == [60]
    two = proportion_intervals(draw(n_repeats=2), pos_label="c1", method="wilson")
    assert two["metric"].tolist() == ["accuracy", "recall", "specificity", "precision"]
    counts = two.set_index("metric")
    assert counts.loc["recall", "trials"] + counts.loc["specificity", "trials"] == 60
    expected = stats.binomtest(int(counts.loc["recall", "successes"]), 30).proportion_ci(
        method="wilson"
    )
    assert counts.loc["recall", "low"] == pytest.approx(expected.low)


@pytest.mark.parametrize(
    ("change", "parameters", "message"),
    [
        ({"group": "p0"}, {}, "all samples are of one group"),
        ({}, {"metrics": "acuracy"}, "did you mean 'accuracy'"),
        ({}, {"metrics": "sensitivity_at_101_specificity"}, "below 100"),
        ({}, {"method": "basic"}, "'percentile' or 'bca'"),
        ({}, {"n_resamples": 0}, "1 or more"),
        ({}, {"pos_label": None}, "which of the two classes"),
        ({"proba_c2": 0.0}, {}, "every class needs one column"),
    ],
)
def test_bad_input(change, parameters, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_intervals(draw().assign(**change), **{"pos_label": "c1"} | parameters)
