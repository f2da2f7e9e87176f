"""Bootstrap intervals: the right values, the right units, the right width."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics as sk

from skall.metrics import METRICS, compute_metrics
from skall.metrics.formulas import evaluate_weighted
from skall.metrics.outcome import Outcome
from skall.statistics import bootstrap, bootstrap_intervals, proportion_intervals

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


# Of these, each compares samples; of several folds, only those of one.
WITHIN_FOLDS = ("balanced_accuracy", "mcc", "roc_auc", "average_precision")


def draw_outcome(k, positive, n=30, n_folds=None):
    """Random labels and coarse probabilities, as an outcome."""
    rng = np.random.default_rng(1)
    truth, predicted = rng.integers(0, k, size=(2, n))
    proba = rng.integers(1, 5, size=(n, k)).astype(float)
    proba /= proba.sum(axis=1, keepdims=True)
    if k == 2:
        proba[:, 1 - positive] = 1 - proba[:, positive]
    folds = None if n_folds is None else rng.integers(0, n_folds, size=n)
    return Outcome(truth, predicted, proba, proba, positive, k, folds)


def draw_weights(outcome, n_units=12):
    """Units of samples; sets of weights: few samples, so that classes are missing, and none."""
    rng = np.random.default_rng(2)
    units = rng.integers(0, n_units, size=len(outcome.truth))
    weights = rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=40)
    weights[20:] *= rng.integers(0, 2, size=(20, n_units))
    return units, np.concatenate([weights, np.eye(n_units, dtype=int), np.zeros((1, n_units), int)])


@pytest.mark.parametrize(("k", "positive"), [(2, 0), (2, 1), (3, None)])
def test_weights_equal_repeated_samples(k, positive):
    outcome = draw_outcome(k, positive)
    units, weights = draw_weights(outcome)
    names = [*METRICS, *AT_SPECIFICITY]
    got = evaluate_weighted(names, outcome, units, weights)
    n_complete = 0
    for values, counts in zip(got, weights, strict=True):
        rows = np.repeat(np.arange(len(units)), counts[units])
        if not len(rows):
            assert np.isnan(values).all()
            continue
        truth, predicted, proba = (
            array[rows] for array in (outcome.truth, outcome.predicted, outcome.proba)
        )
        expected = compute_metrics(truth, predicted, proba, range(k), positive, scoring=names)
        assert values == pytest.approx([*expected.values()], abs=1e-12, nan_ok=True)
        n_complete += not np.isnan(expected["mcc"])
    assert 5 < n_complete < len(weights) - 5


@pytest.mark.parametrize(("k", "positive"), [(2, 0), (3, None)])
def test_only_pairs_within_a_fold_count(k, positive):
    """Of several folds the mean, with the numbers of pairs or of positive samples as weights."""
    outcome = draw_outcome(k, positive, n=60, n_folds=5)
    units, weights = draw_weights(outcome)
    names = ["roc_auc", "average_precision", *AT_SPECIFICITY]
    got = evaluate_weighted(names, outcome, units, weights)
    for values, counts in zip(got, weights, strict=True):
        totals, sizes = np.zeros((2, len(names), k))
        for fold in range(5):
            inside = np.flatnonzero(outcome.folds == fold)
            rows = np.repeat(inside, counts[units[inside]])
            for label in range(k) if positive is None else [positive]:
                is_class = outcome.truth[rows] == label
                n_positive, n_others = is_class.sum(), (~is_class).sum()
                column = outcome.proba[rows, label]
                scores = np.column_stack([1 - column, column])
                of_fold = compute_metrics(is_class, None, scores, [False, True], scoring=names)
                assert np.isnan(of_fold["roc_auc"]) == (n_positive * n_others == 0)
                if n_positive * n_others:
                    size = np.array([n_positive * n_others] + [n_positive] * (len(names) - 1))
                    totals[:, label] += size * [*of_fold.values()]
                    sizes[:, label] += size
        chosen = slice(None) if positive is None else [positive]
        with np.errstate(invalid="ignore"):
            expected = (totals / sizes)[:, chosen].mean(axis=1)
        assert values == pytest.approx(expected, abs=1e-12, nan_ok=True)


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
        values = got[got["estimator"] == "net1"].set_index("metric")["value"]
        # Samples of different folds are not compared, see below.
        alike = [m for m in METRICS if not (pooled and m in WITHIN_FOLDS)]
        assert values[alike].to_numpy() == pytest.approx(expected[alike].to_numpy())


@pytest.mark.parametrize(("k", "positive"), [(2, 1), (3, None)])
def test_labels_of_different_folds_are_not_compared(k, positive):
    """The balanced accuracy and the mcc, pair by pair."""
    outcome = draw_outcome(k, positive, n=40, n_folds=4)
    units, weights = draw_weights(outcome)
    names = ["balanced_accuracy", "mcc"]
    got = evaluate_weighted(names, outcome, units, weights)
    n_undetermined = 0
    for values, counts in zip(got, weights, strict=True):
        rows = np.repeat(np.arange(40), counts[units])
        truth, predicted, fold = (
            array[rows] for array in (outcome.truth, outcome.predicted, outcome.folds)
        )
        i, j = np.triu_indices(len(rows), 1)
        i, j = i[fold[i] == fold[j]], j[fold[i] == fold[j]]
        right = (truth == predicted).astype(float)
        of_pairs = [
            (right[i] + right[j])[
                ((truth[i] == c) & (truth[j] == d)) | ((truth[i] == d) & (truth[j] == c))
            ]
            for c in range(k)
            for d in range(c)
        ]
        known = all(len(part) for part in of_pairs)
        n_undetermined += not known
        expected = np.mean([part.mean() / 2 for part in of_pairs]) if known else np.nan
        assert values[0] == pytest.approx(expected, abs=1e-12, nan_ok=True)
        if len({*truth}) < k or not (truth[i] != truth[j]).any():
            assert np.isnan(values[1])
            continue
        # A correlation: of two samples drawn from one fold, how they differ.
        t, p = np.eye(k)[truth], np.eye(k)[predicted]
        t, p = t[i] - t[j], p[i] - p[j]
        spread = np.sqrt((t * t).sum() * (p * p).sum())
        expected = (t * p).sum() / spread if spread else 0
        assert values[1] == pytest.approx(expected, abs=1e-12)
    assert 0 < n_undetermined < len(weights)


def draw_uneven_folds(scores):
    """Three folds with 1, 5 and 9 of 10 samples of class c1; scores by fold, or of each sample."""
    fold, place = np.divmod(np.arange(30), 10)
    table = pd.DataFrame({"estimator": "net", "repeat": 0, "fold": fold, "sample": np.arange(30)})
    table["y_true"] = np.where(place < 4 * fold + 1, "c1", "c0")
    table["proba_c1"] = np.asarray(scores)[fold] if len(scores) == 3 else scores
    return table.assign(proba_c0=1 - table["proba_c1"])


@pytest.mark.parametrize("pos_label", ["c0", "c1"])
def test_pooled_area_of_a_dummy_is_a_half(pos_label):
    """Its scores are the training parts' shares, which are lower where the fold's own is higher."""
    predictions = draw_uneven_folds([0.7, 0.45, 0.3])
    share = predictions["y_true"] == "c1"
    assert sk.roc_auc_score(share, predictions["proba_c1"]) < 0.25
    names = ["roc_auc", "average_precision", "sensitivity_at_90_specificity"]
    got = bootstrap_intervals(predictions, names, pos_label=pos_label, pooled=True, **FAST)
    got = got.set_index("metric")
    assert got.loc["roc_auc", ["value", "low", "high"]].tolist() == [0.5, 0.5, 0.5]
    # It names the class that is rarer in the fold, and is right by less than chance over all.
    names = np.where(predictions["proba_c1"] > 0.5, "c1", "c0")
    assert sk.matthews_corrcoef(predictions["y_true"], names) < -0.4
    labels = bootstrap_intervals(
        predictions, ["balanced_accuracy", "mcc"], pos_label=pos_label, pooled=True, **FAST
    )
    assert labels[["value", "low", "high"]].to_numpy().tolist() == [[0.5] * 3, [0.0] * 3]
    # The precision of a positive sample is its fold's share: 1 has 0.1, 5 have 0.5, 9 have 0.9.
    expected = (1 * 0.1 + 5 * 0.5 + 9 * 0.9) / 15
    assert got.loc["average_precision", "value"] == pytest.approx(expected)
    assert got.loc["sensitivity_at_90_specificity", "value"] == 0


def test_pooled_area_does_not_change_where_a_fold_has_another_scale():
    scores = np.random.default_rng(0).uniform(size=30)
    settings = {"metrics": "roc_auc", "pos_label": "c1", "pooled": True} | FAST
    expected = bootstrap_intervals(draw_uneven_folds(scores), **settings)
    shifted = scores / 4 + np.repeat([0.7, 0.4, 0.0], 10)
    pd.testing.assert_frame_equal(
        bootstrap_intervals(draw_uneven_folds(shifted), **settings), expected
    )
    areas = [
        sk.roc_auc_score(part["y_true"] == "c1", part["proba_c1"])
        for _, part in draw_uneven_folds(scores).groupby("fold")
    ]
    assert expected["value"].iloc[0] == pytest.approx(np.average(areas, weights=[9, 25, 9]))


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


def test_resamples_that_lose_a_class_are_left_out():
    """Of three patients, two of one class: resamples by hand."""
    rows = pd.DataFrame({"estimator": "net", "repeat": 0, "fold": 0, "sample": range(6)})
    rows["group"] = [0, 0, 1, 1, 2, 2]
    rows = pd.concat([rows, rows.assign(sample=rows["sample"] + 6, group=rows["group"] + 3)])
    rows["y_true"] = ["c0"] * 4 + ["c1"] * 8
    rows["proba_c1"] = [0.1, 0.9, 0.2, 0.3, 0.7, 0.8, 0.4, 0.6, 0.9, 0.3, 0.6, 0.2]
    rows["proba_c0"] = 1 - rows["proba_c1"]
    rng, values = np.random.default_rng(0), []
    for counts in rng.multinomial(6, np.full(6, 1 / 6), size=500):
        drawn = pd.concat([rows[rows["group"] == g] for g in range(6) for _ in range(counts[g])])
        right = (drawn["proba_c1"] > 0.5) == (drawn["y_true"] == "c1")
        recalls = right.groupby(drawn["y_true"]).mean()
        if len(recalls) == 2:
            values.append(recalls.mean())
    assert len(values) < 490
    got = bootstrap_intervals(
        rows, "balanced_accuracy", pos_label="c1", n_resamples=500, random_state=0
    ).iloc[0]
    assert got["value"] == pytest.approx((3 / 4 + 5 / 8) / 2)
    assert (got["low"], got["high"]) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])))


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_a_single_patient_of_a_class_has_no_interval(method):
    predictions = draw(n_samples=30, n_folds=1)
    predictions["y_true"] = np.where(predictions["group"] == "p4", "c0", "c1")
    got = bootstrap_intervals(predictions, pos_label="c1", method=method, **FAST)
    got = got.set_index("metric")
    assert got["value"].notna().all()
    known = got.index[got[["low", "high"]].notna().all(axis=1)]
    assert {*known} == {"accuracy", "recall", "brier", "log_loss", "ece"}


def test_folds_without_a_class_are_left_out():
    predictions = draw(n_folds=3)
    lacking = (predictions["fold"] == 1) & (predictions["y_true"] == "c0")
    got = bootstrap_intervals(predictions[~lacking], pos_label="c1", **FAST).set_index("metric")
    both = predictions[predictions["fold"] != 1]
    expected = bootstrap_intervals(both, pos_label="c1", **FAST).set_index("metric")
    undetermined = [*METRICS]
    for name in ("accuracy", "recall", "brier", "log_loss", "ece"):
        undetermined.remove(name)
        assert got.at[name, "value"] != expected.at[name, "value"]
    values = expected.loc[undetermined, "value"].to_numpy()
    assert got.loc[undetermined, "value"].to_numpy() == pytest.approx(values)


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
