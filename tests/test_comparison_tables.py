"""What is written into the folder of a comparison, and read from it again."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from skall import compare
from skall.comparison import Comparison
from skall.datasets import make_blood_cells
from skall.report.facts import describe_facts
from skall.report.page import render_model_card, render_page
from skall.report.tables import make_latex

pytestmark = pytest.mark.usefixtures("without_page")

NETWORK = "timm/test_resnet"


@pytest.mark.parametrize("kind", ["int", "bool", "str"])
def test_reading_gives_back_every_attribute(kind, tmp_path):
    X, y = make_classification(60, random_state=0)
    y = {"int": y, "bool": y == 1, "str": np.array(["a", "b"])[y]}[kind]
    groups = np.array(["NA", "7", *[f"P{k}" for k in range(18)]], dtype=object)[np.arange(60) // 3]
    groups = groups if kind == "str" else None
    estimators = {"NA": LogisticRegression(), "svc": LinearSVC()}
    options = {"groups": groups, "random_state": 0, "verbose": 0, "cv": 3}
    pos_label = "b" if kind == "str" else None
    before = compare(estimators, X, y, out=tmp_path, pos_label=pos_label, **options)
    after = Comparison.read(tmp_path)
    for name in ("scores_", "predictions_", "folds_", "resources_", "samples_"):
        pd.testing.assert_frame_equal(
            getattr(before, name), getattr(after, name), check_dtype=False, check_exact=True
        )
    assert [type(v) for v in before.predictions_["y_true"].tolist()] == [
        type(v) for v in after.predictions_["y_true"].tolist()
    ]
    for name in ("pos_label_", "trials_", "members_", "estimators_", "protocol_"):
        assert getattr(before, name) == getattr(after, name), name
    pd.testing.assert_frame_equal(before.table(), after.table(), check_dtype=False)


def test_a_folder_of_an_earlier_version_says_what_it_lacks(tmp_path):
    X, y = make_classification(60, random_state=0)
    options = {"cv": 3, "random_state": 0, "verbose": 0, "out": tmp_path}
    compare({"a": LogisticRegression()}, X, y, **options)
    (tmp_path / "folds.csv").unlink()
    with pytest.raises(ValueError, match=r"has no folds\.csv: .*earlier version.*Repeat the call"):
        Comparison.read(tmp_path)
    compare({"a": LogisticRegression()}, X, y, **options)
    assert Comparison.read(tmp_path).folds_["n_train"].tolist() == [40] * 3


@pytest.mark.thorough
def test_searches_and_ensembles_are_read_again(tmp_path):
    cells = make_blood_cells(24, n_patients=8, image_size=32, random_state=0)
    tiny = {"weights": None, "image_size": 32, "max_epochs": 1, "random_state": 0, "verbose": 0}
    before = compare(
        [NETWORK, "timm/test_efficientnet"],
        *(cells.data, cells.target),
        **{"pos_label": "ALL", "cv": 2, "tune": {"lr": [1e-3, 1e-2]}, "scoring": ["f1"], **tiny},
    ).vote()
    before.write(tmp_path)
    after = Comparison.read(tmp_path)
    assert after.best_params_["value"].tolist() == before.best_params_["value"].tolist()
    assert after.trials_ == before.trials_ and set(after.trials_.values()) == {1, 2}
    assert after.members_ == {"vote": (NETWORK, "timm/test_efficientnet")}
    # The cells of the gallery were stored, because they lay in no file.
    assert len(after.plot_errors(n=2).pictures) == 2
    page = render_page(after, describe_facts(after), after.table())
    assert "Chosen in each fold" in page and "Ensemble" in page


def test_written_elsewhere_it_is_whole(tmp_path):
    cells = make_blood_cells(24, n_patients=8, image_size=32, random_state=0)
    tiny = {"weights": None, "image_size": 32, "max_epochs": 1, "random_state": 0, "verbose": 0}
    options = {"pos_label": "ALL", "cv": 2, "scoring": ["f1"], "out": tmp_path / "a"}
    compare([NETWORK], cells.data, cells.target, **options, **tiny)
    Comparison.read(tmp_path / "a").write(tmp_path / "b")
    shutil.rmtree(tmp_path / "a")
    again = Comparison.read(tmp_path / "b")
    assert again.plot_errors(names=[NETWORK], n=3, distinct=True).pictures[0].size == (32, 32)
    # A shortcut's errors were not stored: what is not at hand is said.
    rest = again.plot_errors(names=["border only"], n=24)
    assert None in rest.pictures
    shutil.rmtree(tmp_path / "b" / "cells")
    with pytest.raises(ValueError, match="none of these images is at hand"):
        again.plot_errors()


@pytest.mark.parametrize("name", ["", "..", " ", "a\rb", "é" * 60])
def test_names_that_make_no_folder_are_refused(name, tmp_path):
    X, y = make_classification(40, random_state=0)
    with pytest.raises(ValueError, match="an estimator cannot be called"):
        compare({name: LinearSVC()}, X, y, cv=2, verbose=0, out=tmp_path)


@pytest.mark.parametrize("name", ["cost_$\\frac$", "[a](javascript:x)", "a/b", "100%", "細胞"])
def test_odd_names_are_written_as_they_are(name, tmp_path):
    X, y = make_classification(40, random_state=0)
    compare({name: LinearSVC(), "b": LinearSVC()}, X, y, cv=2, verbose=0, out=tmp_path)
    assert name in Comparison.read(tmp_path).table().index
    comparison = Comparison.read(tmp_path)
    table = comparison.table()
    card = render_model_card(comparison, describe_facts(comparison), table)
    assert not re.search(r"(?<!\\)\]\(javascript", card)
    assert "\\\\\n[" not in make_latex(table)


def test_a_class_that_is_never_tested_is_refused():
    X, y = make_classification(90, n_informative=5, n_classes=3, random_state=0)
    train, test = np.arange(90), np.flatnonzero(y < 2)[:20]
    with pytest.raises(ValueError, match="the class 2 is in no test part"):
        compare({"svc": LinearSVC()}, X, y, cv=[(np.setdiff1d(train, test), test)], verbose=0)
