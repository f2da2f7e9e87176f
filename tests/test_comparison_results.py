"""What a comparison tells: conclusions, budgets, intervals, kept networks, warnings, progress."""

import io
import pickle
import re
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import stats
from sklearn.datasets import make_classification
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    PredefinedSplit,
    RepeatedStratifiedKFold,
    ShuffleSplit,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from torch import nn

from skall import CNNFeatures, ImagePreprocessor, compare, get_estimator, load
from skall.comparison import Comparison
from skall.comparison.description import describe_network
from skall.comparison.progress import EpochWatcher, watch
from skall.datasets import make_blood_cells
from skall.statistics import (
    bayesian_t_test,
    bootstrap_intervals,
    corrected_t_interval,
    corrected_t_test,
    proportion_intervals,
    test_estimators,
)

pytestmark = pytest.mark.usefixtures("without_page")

NETWORK = "timm/test_resnet"
TINY = {"weights": None, "image_size": 32, "max_epochs": 1, "random_state": 0}
CELLS = make_blood_cells(24, n_patients=8, image_size=32, random_state=0)


def run(estimators=None, X=None, y=None, **options):
    if X is None:
        X, y = make_classification(200, n_informative=4, random_state=0)
    models = {"good": LogisticRegression(), "alike": LogisticRegression(C=0.9)}
    models["blind"] = DummyClassifier()
    options = {"cv": 10, "random_state": 0, "verbose": 0} | options
    return compare(models if estimators is None else estimators, X, y, **options)


def run_networks(estimators, **options):
    options = {"groups": CELLS.groups, "cv": 2, "baselines": False} | options
    options = {"pos_label": "ALL", "scoring": ["f1"]} | options
    return run(estimators, CELLS.data, CELLS.target, **options)


# -- conclusions -------------------------------------------------------------------------------


def test_table_says_which_differences_are_real():
    said = run().table()["conclusion"]
    assert re.match("better than blind, dummy; no difference shown to alike", said["good"])
    assert said["blind"] == "worse than good, alike; no difference shown to dummy"
    # The pairs of baselines are not tested, and what is tested against them is a family apart.
    assert said["dummy"] == "worse than good, alike; no difference shown to blind"


def test_differences_as_sentences():
    sentences = run().differences()
    assert sentences[0].startswith("Differences in balanced accuracy, by the t-test over cells")
    assert any(re.match(r"(good|alike) is better than blind", text) for text in sentences)
    assert sentences[-1] == (
        "Against the baselines: good, alike: better than dummy; "
        "blind: no difference shown to dummy."
    )


def test_what_has_no_value_in_some_folds_is_not_tested_against_baselines():
    comparison = run()
    scores = comparison.scores_
    scores.loc[(scores["estimator"] == "alike") & (scores["fold"] == 3), "value"] = np.nan
    assert "; alike: not tested" in comparison.differences()[-1]


def test_one_split_is_tested_on_what_was_held_out():
    halves = [(np.arange(100), np.arange(100, 200))]
    comparison = run(cv=halves)
    said = comparison.table()["conclusion"]
    assert said["good"].startswith("no difference shown to alike, blind, dummy: a difference")
    row = comparison.table().loc["good"]
    rows = comparison.predictions_[comparison.predictions_["estimator"] == "good"]
    right = (rows["proba_1"] > 0.5) == (rows["y_true"] == 1)
    classes = [part for _, part in right.groupby(rows["y_true"])]
    # The jackknife's variance of a mean of two recalls, and as much for training on as many.
    variances = [stats.sem(part) ** 2 * len(part) / (len(part) - 1) for part in classes]
    error = np.sqrt(2 * sum(variances)) / 2
    half = error * stats.t.isf(0.025, min(map(len, classes)) - 1)
    assert row["balanced_accuracy"] - row["balanced_accuracy_low"] == pytest.approx(half)
    assert row["balanced_accuracy_high"] - row["balanced_accuracy"] == pytest.approx(half)


def test_references():
    comparison = run()
    names = ["good", "alike", "dummy"]
    found = comparison.test(names=names, references=["dummy"])
    pairs = found[["estimator_a", "estimator_b"]].to_numpy().tolist()
    assert pairs == [["good", "dummy"], ["alike", "dummy"]]
    every = comparison.test(names=names).set_index(["estimator_a", "estimator_b"])
    # The same tests, adjusted for two pairs and not for three.
    assert found["p_value"].tolist() == every["p_value"].loc[[tuple(p) for p in pairs]].tolist()
    assert found["p_adjusted"].min() == pytest.approx(2 * found["p_value"].min())
    for references in (["other"], [*names, "blind"]):
        with pytest.raises(ValueError, match="references must be some, but not all"):
            test_estimators(comparison.scores_, comparison.predictions_, references=references)


def test_what_has_no_value_is_left_out_of_the_tests():
    models = {"good": LogisticRegression(), "svc": LinearSVC(), "blind": DummyClassifier()}
    said = run(models, scoring=["log_loss"]).table()["conclusion"]
    assert said["good"].startswith("no difference shown to blind, dummy")
    assert said["svc"] == "not tested: log loss has no value in some folds"


# -- intervals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cv", "ratios"),
    [
        (ShuffleSplit(5, train_size=0.1, test_size=0.2, random_state=0), [2] * 5),
        # Those of -1 are never tested, and always trained on.
        (PredefinedSplit(np.repeat([-1, 0, 1], [180, 10, 10])), [10 / 190] * 2),
        (PredefinedSplit(np.repeat([0, 1], [50, 150])), [1 / 3, 3]),
        (4, [1 / 3] * 4),
    ],
    ids=["few to train", "some never tested", "unequal", "k-fold"],
)
def test_the_ratio_is_that_of_the_folds(cv, ratios):
    X, y = make_classification(200, n_informative=4, shuffle=False, random_state=0)
    order = np.random.default_rng(0).permutation(200)
    models = {
        "good": LogisticRegression(),
        "blind": DummyClassifier(strategy="uniform", random_state=0),
    }
    comparison = run(models, X[order], y[order], cv=cv, scoring=["accuracy"]).vote()
    folds = comparison.folds_
    assert (folds["n_test"] / folds["n_train"]).tolist() == pytest.approx(ratios)
    assert folds[["repeat", "fold"]].to_numpy().tolist() == [[0, k] for k in range(len(ratios))]
    values = comparison.scores_.pivot(index="fold", columns="estimator", values="value")
    # With unequal folds, the mean.
    ratio = np.mean(ratios)
    row = comparison.intervals(names="good", method="corrected_t").iloc[0]
    expected = np.clip(corrected_t_interval(values["good"], ratio), 0, 1)
    assert (row["low"], row["high"]) == pytest.approx(tuple(expected))
    pair = ["good", "blind"]
    tested = comparison.test(names=pair, method="corrected_t").iloc[0]
    expected = corrected_t_test(values["good"], values["blind"], ratio)
    assert tested["p_value"] == pytest.approx(expected.p_value)
    bayesian = comparison.test(names=pair, method="bayesian_t").iloc[0]
    expected = bayesian_t_test(values["good"], values["blind"], ratio)
    assert bayesian["p_a_above"] == pytest.approx(expected.p_above)
    drawn = comparison.plot_metrics("accuracy", names="good", interval="corrected_t").table.iloc[0]
    assert (drawn["low"], drawn["high"]) == (row["low"], row["high"])


def test_every_kind_of_interval():
    comparison = run(scoring=["accuracy", "roc_auc", "mcc", "log_loss"])
    exact = comparison.intervals(method="exact").set_index(["estimator", "metric"])
    expected = proportion_intervals(comparison.predictions_).set_index(["estimator", "metric"])
    assert exact.loc[("good", "accuracy")].tolist() == (
        expected.loc[("good", "accuracy"), ["value", "low", "high"]].tolist()
    )
    # An area is no proportion of samples.
    assert exact.loc[("good", "roc_auc"), ["low", "high"]].isna().all()
    drawn = comparison.intervals("roc_auc", "bootstrap", names="good").iloc[0]
    expected = bootstrap_intervals(comparison.predictions_, "roc_auc", random_state=0)
    assert drawn["low"] == expected.set_index("estimator").at["good", "low"]
    wide = comparison.intervals(confidence_level=1 - 1e-9).set_index(["estimator", "metric"])
    assert wide.loc[("good", "accuracy"), "high"] == 1
    assert wide.loc[("blind", "mcc"), "value"] == 0
    assert (comparison.intervals()["low"] <= comparison.intervals()["high"]).all()
    with pytest.raises(ValueError, match=r"unknown interval 't'; possible: 'patient_t'"):
        comparison.intervals(method="t")


def test_splitters_that_repeat_themselves_add_no_samples():
    many = RepeatedStratifiedKFold(n_splits=2, n_repeats=5, random_state=0)
    X, y = make_classification(60, random_state=0)
    found = run({"net": LogisticRegression()}, X, y, cv=many).predictions_
    counts = proportion_intervals(found).set_index(["estimator", "metric"])
    assert counts.at[("net", "accuracy"), "trials"] == 60


# -- budgets -----------------------------------------------------------------------------------


def test_budgets_of_equal_networks_are_not_flagged():
    names = [NETWORK, "timm/test_efficientnet"]
    comparison = run_networks(names, baselines=True, **TINY)
    budgets = comparison.budgets()
    size = get_estimator(NETWORK, **TINY).summary()
    for column in ("trainable", "non_trainable", "macs"):
        assert budgets.at[NETWORK, column] == size[column]
        assert np.isnan(budgets.at["dummy", column])
    assert budgets.loc[NETWORK, ["epochs", "trials", "image_size"]].tolist() == [1, 1, 32]
    assert (budgets[["fit_seconds", "predict_ms"]] > 0).all(axis=None)
    assert comparison.flags() == []


def test_unequal_budgets_are_flagged():
    estimators = {
        "whole": get_estimator(NETWORK, **TINY),
        "head": get_estimator(NETWORK, **TINY | {"trainable": "head", "max_epochs": 2}),
        "searched": GridSearchCV(
            get_estimator(NETWORK, **TINY), {"lr": [1e-3, 1e-2]}, cv=2, scoring="accuracy"
        ),
    }
    with pytest.warns(UserWarning, match="Unequal") as caught:
        comparison = run_networks(estimators)
    flags = comparison.flags()
    assert [str(warning.message) for warning in caught] == flags
    assert caught[0].filename == __file__
    assert flags[0] == (
        "Unequal training: what was trained is the whole network of whole, searched; the head "
        "alone of head."
    )
    assert flags[1].startswith("Unequal sizes: the parameters trained lie between the 97 of head")
    assert flags[2] == (
        "Unequal epochs, on average over the folds: 1 for whole, 2 for head, 1 for searched."
    )
    assert flags[3] == (
        "Unequal tuning: combinations tried in each fold are 1 for whole, 1 for head, 2 for "
        "searched."
    )
    assert all(flag in repr(comparison) for flag in flags)


def test_a_frozen_trunk_below_a_large_head_is_flagged():
    """As in the published comparison whose two best networks were the frozen ones."""
    mlp = TINY | {"head": "mlp", "image_size": 64}
    estimators = {
        "whole": get_estimator(NETWORK, **mlp),
        "frozen": get_estimator(NETWORK, **mlp | {"trainable": "head"}),
    }
    with pytest.warns(UserWarning, match="the whole network of whole; the head alone of frozen"):
        run_networks(estimators)


def test_trials_of_any_estimators_are_compared():
    scaled = make_pipeline(StandardScaler(), GridSearchCV(LogisticRegression(), {"C": [0.1, 1, 9]}))
    with pytest.warns(UserWarning, match="tried in each fold are 1 for plain, 3 for searched"):
        comparison = run({"plain": LogisticRegression(), "searched": scaled}, cv=3)
    assert set(comparison.best_params_["parameter"]) == {"C"}


def test_networks_inside_are_described():
    piped = make_pipeline(ImagePreprocessor(size=32), get_estimator(NETWORK, **TINY))
    assert describe_network(piped, 2)["trainable"] == 372785
    # More classes have more outputs.
    assert describe_network(piped, 5)["trainable"] == 372785 + 4 * 97
    features = CNNFeatures(NETWORK, weights=None, image_size=32)
    hybrid = describe_network(make_pipeline(features, LogisticRegression()), 2)
    size = get_estimator(NETWORK, **TINY | {"trainable": "head"}).summary()
    assert hybrid["trainable"] == 0 and hybrid["non_trainable"] == size["non_trainable"]
    assert describe_network(LogisticRegression(), 2) is None


def test_cost_by_name_and_parameters():
    comparison = run_networks([NETWORK], **TINY | {"verbose": 0})
    display = comparison.plot_cost("predict_ms")
    assert set(display.table["estimator"]) == {*comparison.budgets().index}
    assert "milliseconds" in display.ax_.get_xlabel()
    table = comparison.plot_parameters().ax_.tables[0].get_celld()
    assert table[1, -1].get_text().get_text() == NETWORK
    assert table[1, 0].get_text().get_text() == "373 k"
    with pytest.raises(ValueError, match="unknown cost 'money'; possible: macs"):
        comparison.plot_cost("money")
    with pytest.raises(ValueError, match="label is needed"):
        comparison.plot_cost({NETWORK: 1.0})
    with pytest.raises(ValueError, match="no estimator of the comparison is a network"):
        run().plot_parameters()
    with pytest.raises(ValueError, match="no estimator has a known number of multiply"):
        run().plot_cost()


# -- what is kept ------------------------------------------------------------------------------


def test_kept_networks_predict_what_was_predicted(tmp_path):
    piped = make_pipeline(ImagePreprocessor(size=32), get_estimator(NETWORK, **TINY))
    estimators = {"a/b": get_estimator(NETWORK, **TINY), "piped": piped}
    comparison = run_networks(estimators, out=tmp_path, keep_weights=True)
    rows = comparison.predictions_.query("estimator == 'a/b' and fold == 1")
    again = load(tmp_path / "folds" / "a%2Fb" / "0-1").predict_proba(CELLS.data[rows["sample"]])
    np.testing.assert_array_equal(again, rows[["proba_ALL", "proba_healthy"]].to_numpy())
    assert load(tmp_path / "folds" / "piped" / "0-0").image_size == 32


def test_a_fold_without_its_network_is_done_again(tmp_path):
    estimators = {"net": get_estimator(NETWORK, **TINY)}
    run_networks(estimators, out=tmp_path, baselines=True)
    stored = tmp_path / "folds" / "net" / "0-0.json"
    dummy = tmp_path / "folds" / "dummy" / "0-0.json"
    before = stored.stat().st_mtime_ns, dummy.stat().st_mtime_ns
    run_networks(estimators, out=tmp_path, baselines=True, keep_weights=True)
    assert stored.stat().st_mtime_ns > before[0] and dummy.stat().st_mtime_ns == before[1]
    assert load(tmp_path / "folds" / "net" / "0-0").n_iter_ == 1


def test_a_network_that_is_half_written_is_none(tmp_path):
    estimators = {"net": get_estimator(NETWORK, **TINY)}
    run_networks(estimators, out=tmp_path)
    # As a killed process leaves it.
    partial = tmp_path / "folds" / "net" / "0-0" / ".weights.safetensors.1.partial"
    partial.parent.mkdir()
    partial.touch()
    run_networks(estimators, out=tmp_path, keep_weights=True)
    assert load(partial.parent).n_iter_ == 1 and not partial.exists()


def make_head(feature_shape, n_outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(feature_shape[0], n_outputs))


def test_networks_that_cannot_be_kept_are_refused_at_once(tmp_path):
    estimators = {"net": get_estimator(NETWORK, head=make_head, **TINY)}
    with pytest.raises(TypeError, match=r"head=<function .* cannot be saved"):
        run_networks(estimators, out=tmp_path, keep_weights=True)
    assert not list(tmp_path.glob("folds/*"))
    with pytest.raises(ValueError, match="needs a folder"):
        run_networks({"net": get_estimator(NETWORK, **TINY)}, keep_weights=True)


def test_cells_of_the_gallery_are_kept(tmp_path):
    run_networks({"net": get_estimator(NETWORK, **TINY)}, out=tmp_path)
    read = Comparison.read(tmp_path)
    shown = read.plot_errors(n=3)
    for sample, picture in zip(shown.errors["sample"], shown.pictures, strict=True):
        np.testing.assert_array_equal(np.asarray(picture), CELLS.data[sample])
    assert shown.ax_[0].get_title(loc="left").startswith(f"sample {shown.errors['sample'][0]}")


def test_samples_are_described(tmp_path):
    paths = [str(tmp_path / f"{row}.png") for row in range(8)]
    for row, path in enumerate(paths):
        Image.new("RGB", (10 + row, 20), (row, 0, 0)).save(path)
    X = np.array(paths, dtype=object)[:, None]
    samples = run({}, X, np.arange(8) % 2, cv=2).samples_
    assert samples["file"].tolist() == paths
    assert samples["width"].tolist() == list(range(10, 18)) and set(samples["height"]) == {20}
    assert run().samples_[["file", "height", "width"]].isna().all(axis=None)


# -- warnings and progress ---------------------------------------------------------------------


def test_patients_in_the_names_of_files_that_are_not_used(tmp_path):
    paths = [
        tmp_path / f"UID_{'H' * (k % 2)}{k % 4}_{k}_1_{'hem' if k % 2 else 'all'}.png"
        for k in range(8)
    ]
    for k, path in enumerate(paths):
        Image.new("RGB", (8, 8), (20 * k, 0, 0)).save(path)
    X = np.array(list(map(str, paths)), dtype=object)[:, None]
    with pytest.warns(UserWarning, match="8 files tell 4 patients .C-NMC.*pass groups=") as caught:
        run({}, X, np.arange(8) % 2, cv=2)
    assert caught[0].filename == __file__


def test_bars_of_folds_estimators_and_epochs(monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr(sys, "stderr", terminal)
    network = {"net": get_estimator(NETWORK, **TINY | {"max_epochs": 3})}
    run_networks(network, baselines=True, verbose=1)
    shown = terminal.getvalue()
    assert re.search(r"folds: 100%.* 2/2 ", shown)
    assert re.search(r"estimators: 100%.* 12/12 ", shown)
    assert re.search(rf"epochs of {NETWORK}: .* 0/3 ", shown)
    assert re.search(rf"epochs of {NETWORK}: 100%.* 3/3 ", shown)
    terminal.truncate(0)
    run_networks({"net": get_estimator(NETWORK, **TINY)}, verbose=0)
    assert terminal.getvalue().strip("\0") == ""


def test_bars_change_nothing(tmp_path):
    network = {"net": get_estimator(NETWORK, **TINY | {"dropout": 0.5})}
    quiet, loud = (run_networks(network, verbose=verbose) for verbose in (0, 1))
    pd.testing.assert_frame_equal(quiet.predictions_, loud.predictions_)
    assert not hasattr(network["net"], "_skl_callbacks")


def test_watched_networks_work_in_other_processes():
    """As those of a search with n_jobs: what draws on the terminal stays behind."""
    network = get_estimator(NETWORK, **TINY)
    watch(network, EpochWatcher(0))
    there = pickle.loads(pickle.dumps(network)).fit(CELLS.data, CELLS.target)
    assert there.n_iter_ == 1
