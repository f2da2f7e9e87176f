"""Estimators that raise in some folds, or in all: what a comparison keeps, says and draws."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_classification
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression

from skall import compare
from skall.cli.commands import main
from skall.comparison import Comparison

X, Y = make_classification(60, random_state=0)
GROUPS = np.arange(60) % 12


class Fragile(LogisticRegression):
    """Raises where the training part has one of some samples."""

    def __init__(self, fatal=(), error=ZeroDivisionError):
        super().__init__()
        self.fatal = fatal
        self.error = error
        self.C = 1.0

    def fit(self, X, y):
        if any((sample == X).all(axis=1).any() for sample in self.fatal):
            raise self.error("out of luck")
        return super().fit(X, y)


def run(estimators=None, **options):
    options = {"cv": 3, "random_state": 0, "verbose": 0, "baselines": False} | options
    models = {"good": LogisticRegression(), "frail": Fragile(X[:1])}
    return compare(models if estimators is None else estimators, X, Y, **options)


@pytest.fixture
def failed():
    """One estimator that fails in two folds of three, and one that fails everywhere."""
    with pytest.warns(UserWarning, match=r"failed"):
        return run({"good": LogisticRegression(), "frail": Fragile(X[:1]), "bad": Fragile(X)})


def test_the_rest_goes_on(failed):
    """As scikit-learn: NaN in the folds that failed, and the others as if nothing had been."""
    alone = run({"good": LogisticRegression()}).scores_
    pd.testing.assert_frame_equal(failed.scores_.query("estimator == 'good'"), alone)
    failures = failed.failures_
    assert list(failures) == ["estimator", "repeat", "fold", "error"]
    assert failures["estimator"].value_counts().to_dict() == {"bad": 3, "frail": 2}
    assert set(failures["error"]) == {"ZeroDivisionError: out of luck"}
    keys = ["estimator", "repeat", "fold"]
    lost = failed.scores_.merge(failures, on=keys)
    assert len(lost) == 5 * 12 and lost["value"].isna().all()
    kept = failed.scores_.merge(failures, on=keys, how="left").query("error.isna()")
    assert len(kept) == 4 * 12 and kept["value"].notna().all()
    held_out = failed.predictions_.merge(failures, on=keys)
    assert held_out["proba_0"].isna().all() and (held_out["y_true"] == Y[held_out["sample"]]).all()


def test_the_best_has_every_fold():
    """Whatever the one fold says that an estimator of two has left."""
    with pytest.warns(UserWarning, match=r"failed"):
        comparison = run({"dull": DummyClassifier(), "frail": Fragile(X[:1])})
    assert comparison.table().index[0] == "frail"
    assert comparison.summary()["best"][0].startswith("dull reaches balanced accuracy, 0.500")


def test_what_failed_is_said(failed):
    folds = [f"repeat 0, fold {fold}" for fold in failed.failures_["fold"][:2]]
    said = failed.flags()
    assert said[:2] == [
        f"frail failed in 2 of 3 folds ({'; '.join(folds)}), which its means leave out: "
        "ZeroDivisionError: out of luck.",
        "bad failed in every fold: ZeroDivisionError: out of luck.",
    ]
    assert said[0] in repr(failed)
    table = failed.table()
    assert table.index[-1] == "bad" and np.isnan(table.at["bad", "balanced_accuracy"])
    value = failed.scores_.query("estimator == 'frail' and metric == 'balanced_accuracy'")["value"]
    assert table.at["frail", "balanced_accuracy"] == value.dropna().item()
    assert failed.to_dict()["bad"]["accuracy"]["mean"] is None


def test_stored_and_read(tmp_path, failed):
    failed.write(tmp_path)
    again = Comparison.read(tmp_path)
    pd.testing.assert_frame_equal(again.failures_, failed.failures_, check_dtype=False)
    assert again.flags() == failed.flags()
    # Nothing failed: the file of before would speak of another comparison.
    run({"good": LogisticRegression()}).write(tmp_path)
    assert Comparison.read(tmp_path).failures_.empty


def test_the_page_is_drawn(tmp_path, failed):
    """With one estimator that failed in some folds, and one that failed in all."""
    failed.report(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    for flag in failed.flags():
        assert flag in text
    assert "bad failed in every fold" in (tmp_path / "model_card.md").read_text(encoding="utf-8")
    assert "nan" not in (tmp_path / "table.tex").read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore:.* failed in")
def test_the_page_of_failures_alone_is_drawn(tmp_path):
    """Nothing but baselines was measured."""
    comparison = run({"bad": Fragile(X)}, baselines=True, groups=GROUPS)
    comparison.report(tmp_path / "page.html")
    assert comparison.table().index.tolist() == ["dummy", "bad"]
    assert "bad failed in every fold" in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("draw", ["roc", "precision_recall", "calibration", "confusion"])
def test_figures_have_the_folds_that_are_there(failed, draw):
    display = getattr(failed, f"plot_{draw}")()
    drawn = display.matrices if draw == "confusion" else display.curves
    assert set(drawn) == {"good", "frail"}


def test_ensembles_are_made_of_what_has_every_fold(failed):
    assert failed.list_members() == ["good"]
    with pytest.raises(ValueError, match=r"'frail': .* failed in a fold"):
        failed.vote(["good", "frail"])
    with pytest.warns(UserWarning, match="failed in every fold"):
        three = run({"a": LogisticRegression(), "b": LogisticRegression(C=0.1), "c": Fragile(X)})
    assert three.vote().stack().members_ == {"vote": ("a", "b"), "stack": ("a", "b")}


class Diverged(LogisticRegression):
    """Its labels would all be the first class."""

    def predict_proba(self, X):
        return np.full((len(X), 2), np.nan)


def test_probabilities_that_are_not_finite_have_failed():
    with pytest.warns(UserWarning, match=r"bad failed in every fold.*not finite.*learning rate"):
        found = run({"good": LogisticRegression(), "bad": Diverged()}, scoring=["accuracy"])
    values = found.scores_.query("estimator == 'bad'")["value"]
    assert len(values) == 3 and values.isna().all()


@pytest.mark.usefixtures("without_page")
def test_a_failed_fold_is_tried_again(tmp_path):
    with pytest.warns(UserWarning, match="frail failed in 2 of 3 folds"):
        before = run(out=tmp_path)
    finished = {path: path.stat().st_mtime_ns for path in tmp_path.glob("folds/*/*.json")}
    assert len(finished) == 4 and (tmp_path / "failures.csv").exists()
    Fragile.fit, fit = LogisticRegression.fit, Fragile.fit
    try:
        after = run(out=tmp_path)
    finally:
        Fragile.fit = fit
    assert after.failures_.empty and not (tmp_path / "failures.csv").exists()
    assert after.scores_["value"].notna().all()
    assert all(path.stat().st_mtime_ns == when for path, when in finished.items())
    known = before.scores_["value"].notna()
    pd.testing.assert_frame_equal(before.scores_[known], after.scores_[known], check_exact=True)


def test_raise():
    with pytest.raises(ZeroDivisionError, match="out of luck") as caught:
        run(error_score="raise")
    assert caught.value.__notes__[0].startswith("raised by the estimator 'frail' in repeat 0, fold")
    for wrong in (0.0, None, "ignore"):
        with pytest.raises(ValueError, match=r"error_score must be 'raise' or numpy\.nan, got"):
            run(error_score=wrong)


@pytest.mark.usefixtures("without_page")
@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.thorough)])
def test_nothing_measured_is_an_error(tmp_path, n_jobs):
    expected = "all the 6 fits failed.*first, 'a' in repeat 0, fold 0: ZeroDivisionError: out of"
    with pytest.raises(RuntimeError, match=expected):
        run({"a": Fragile(X), "b": Fragile(X)}, out=tmp_path, n_jobs=n_jobs)
    assert not list(tmp_path.glob("*.csv"))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_who_stops_the_process_stops_it(error):
    with pytest.raises(error):
        run({"good": LogisticRegression(), "frail": Fragile(X[:1], error)})


@pytest.mark.filterwarnings("default:.* failed in", "default:no ensembles")
def test_command_line(tmp_path, monkeypatch, capsys):
    """Exit status 1, a sentence that names the estimators, and the results of the others."""

    few = {"n_samples": 24, "n_patients": 8, "image_size": 32, "random_state": 0}
    monkeypatch.setattr("skall.cli.commands.SYNTHETIC_CELLS", few)
    command = ["compare", "--backbones", "timm/test_resnet", "--cv", "2", "--out", str(tmp_path)]
    command += ["--image-size", "32", "--max-epochs", "2", "--lr", "1e30"]
    assert main([*command, "--json", "--quiet"]) == 1
    captured = capsys.readouterr()
    results = json.loads(captured.out)
    said = results["flags"][0]
    assert said.startswith("timm/test_resnet failed in every fold: ValueError: the training loss")
    assert f"skall: warning: {said}" in captured.err
    assert len(results["failures"]) == 2
    # The baselines have one.
    best = ["Balanced accuracy has no value for timm/test_resnet."]
    assert results["summary"]["best"] == best
    assert results["estimators"]["dummy"]["accuracy"]["mean"] > 0
    assert main([*command, "--error-score", "raise", "--quiet"]) == 2
    assert "raised by the estimator 'timm/test_resnet'" in capsys.readouterr().err
