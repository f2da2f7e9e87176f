"""Ensembles: from stored predictions, and as estimators of a comparison."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import make_classification
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skall import CNNClassifier, compare
from skall.datasets import make_blood_cells

pytestmark = pytest.mark.usefixtures("without_page")

MODELS = {"logistic": LogisticRegression(), "bayes": GaussianNB()}


def make_data(n_classes=2, labels=("ALL", "healthy", "other")):
    """Feature rows, labels, and patients of four rows."""
    X, y = make_classification(
        n_samples=120, n_informative=4, n_classes=n_classes, flip_y=0.1, random_state=0
    )
    return X, np.array(labels)[y], np.array([f"P{k // 4:02d}" for k in range(120)])


def run(models=MODELS, data=None, **options):
    """compare with settings that suit a test."""
    X, y, groups = make_data() if data is None else data
    options = {"groups": groups, "cv": 3, "pos_label": "ALL", "random_state": 0} | options
    return compare(models, X, y, verbose=0, **options)


def rows_of(comparison, name):
    predictions = comparison.predictions_
    return predictions[predictions["estimator"] == name].reset_index(drop=True)


def scores_of(comparison, name):
    scores = comparison.scores_[comparison.scores_["estimator"] == name]
    return scores.drop(columns="estimator").reset_index(drop=True)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_vote_equals_voting_classifier(n_classes):
    voting = VotingClassifier([*MODELS.items()], voting="soft")
    comparison = run(MODELS | {"voting": voting}, make_data(n_classes), repeats=2)
    voted = comparison.vote([*MODELS])
    pd.testing.assert_frame_equal(scores_of(voted, "vote"), scores_of(voted, "voting"))
    expected = rows_of(comparison, "voting").drop(columns="estimator")
    pd.testing.assert_frame_equal(rows_of(voted, "vote").drop(columns="estimator"), expected)
    assert voted.members_ == {"vote": ("logistic", "bayes")}
    # A comparison does not change.
    assert "vote" not in set(comparison.predictions_["estimator"])
    assert "vote" in voted.table().index


@pytest.mark.parametrize("n_classes", [2, 3])
def test_stack_learns_from_the_other_folds_of_its_repeat(n_classes):
    comparison = run(data=make_data(n_classes), repeats=2)
    rows = rows_of(comparison.stack(), "stack")
    columns = [column for column in rows if column.startswith("proba_")]
    assert len(columns) == n_classes
    odds = []
    for name in MODELS:
        proba = rows_of(comparison, name)[columns[1:]].clip(1e-6, 1 - 1e-6)
        odds.append(np.log(proba / (1 - proba)).to_numpy())
    odds = np.hstack(odds)
    for (repeat, fold), part in rows.groupby(["repeat", "fold"]):
        others = ((rows["repeat"] == repeat) & (rows["fold"] != fold)).to_numpy()
        model = LogisticRegression(max_iter=1000).fit(odds[others], rows["y_true"][others])
        np.testing.assert_allclose(part[columns], model.predict_proba(odds[part.index]))


def test_stack_learns_whom_to_trust():
    """One member knows the answer, the other says the opposite."""
    comparison = run()
    predictions = comparison.predictions_
    right = (predictions["y_true"] == "ALL") * 0.6 + 0.2
    wrong = 1 - right
    proba = np.where(predictions["estimator"] == "bayes", wrong, right)
    predictions = predictions.assign(proba_ALL=proba, proba_healthy=1 - proba)
    comparison = replace(comparison, predictions_=predictions).vote().stack()
    accuracy = comparison.scores_.query("metric == 'accuracy'").groupby("estimator")["value"].mean()
    assert accuracy["stack"] == 1
    assert log_loss(rows_of(comparison, "vote")["y_true"], [[0.5, 0.5]] * 120) == pytest.approx(
        comparison.table().loc["vote", "log_loss"]
    )


@pytest.mark.filterwarnings("ignore:cv has .* groups")
def test_stack_leaves_out_what_the_fold_tests():
    """With overlapping test parts neither a sample nor its patient is on both sides."""
    X, y, _ = make_data()
    rng = np.random.default_rng(0)
    orders = [rng.permutation(120) for _ in range(4)]
    cv = [(order[60:], order[:60]) for order in orders]
    single = np.array([f"P{k}" for k in range(120)])
    for patients in (single, None):
        comparison = run(data=(X, y, patients), cv=cv)
        before = rows_of(comparison.stack(), "stack")
        # What the members said of fold 0's samples elsewhere has no part in fold 0.
        changed = comparison.predictions_.copy()
        elsewhere = changed["sample"].isin(orders[0][:60]) & (changed["fold"] != 0)
        assert elsewhere.sum() > 100
        changed.loc[elsewhere, ["proba_ALL", "proba_healthy"]] = [0.9, 0.1]
        after = rows_of(replace(comparison, predictions_=changed).stack(), "stack")
        same = (before["fold"] == 0).to_numpy()
        pd.testing.assert_frame_equal(before[same], after[same])
        assert not before[~same].equals(after[~same])
    with pytest.raises(ValueError, match="no sample of the class"):
        run(data=(X, y, np.arange(120) % 5), cv=cv).stack()


def test_chained_and_named():
    models = MODELS | {"tree": DecisionTreeClassifier(max_depth=2, random_state=0)}
    comparison = run(models).vote().vote(["logistic", "tree"], name="pair").stack()
    assert comparison.members_ == {
        "vote": ("logistic", "bayes", "tree"),
        "pair": ("logistic", "tree"),
        "stack": ("logistic", "bayes", "tree"),
    }
    assert set(comparison.table().index) == {*models, "dummy", *comparison.members_}
    with pytest.raises(ValueError, match="estimator 'vote' already"):
        comparison.vote()


@pytest.mark.thorough
@pytest.mark.parametrize("labels", [("ALL", "healthy"), (0, 1), (False, True), (1.0, 0.0)], ids=str)
def test_files_hold_what_it_takes(tmp_path, labels):
    comparison = run(data=make_data(labels=labels), out=tmp_path, pos_label=labels[0])
    read = replace(
        comparison,
        scores_=pd.read_csv(tmp_path / "scores.csv"),
        predictions_=pd.read_csv(tmp_path / "predictions.csv"),
    )
    resumed = run(data=make_data(labels=labels), out=tmp_path, pos_label=labels[0])
    expected = comparison.vote().stack()
    for other in (read, resumed):
        pd.testing.assert_frame_equal(other.vote().stack().scores_, expected.scores_)
    expected.write(tmp_path)
    table = pd.read_csv(tmp_path / "table.csv", index_col="estimator")
    assert {"vote", "stack"} < set(table.index)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["logistic"], "two members or more"),
        (["logistic", "logistic"], "two members or more"),
        (["logistic", "tree"], "no estimator 'tree'; there are"),
        (["logistic", "svc"], "'svc': no probabilities were stored"),
        (None, "'svc': no probabilities were stored"),
    ],
)
@pytest.mark.parametrize("method", ["vote", "stack"])
def test_mistakes(method, names, message):
    comparison = run(MODELS | {"svc": LinearSVC()})
    with pytest.raises(ValueError, match=message):
        getattr(comparison, method)(names)


def test_stack_needs_other_folds():
    comparison = run(cv=[(np.arange(60), np.arange(60, 120))], groups=None)
    comparison.vote()
    with pytest.raises(ValueError, match="fold 0 have no sample of the class 'ALL'"):
        comparison.stack()


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore:Unequal epochs")
def test_networks_on_paths_in_voting_and_stacking(tmp_path):
    cells = make_blood_cells(24, n_patients=8, image_size=16, random_state=0)
    paths = [tmp_path / f"{row}.png" for row in range(24)]
    for path, image in zip(paths, cells.data, strict=True):
        Image.fromarray(image).save(path)
    tiny = {"weights": None, "image_size": 16, "random_state": 0}
    nets = [
        (f"net{epochs}", CNNClassifier("timm/test_resnet", max_epochs=epochs, **tiny))
        for epochs in (1, 2)
    ]
    estimators = {
        **dict(nets),
        "voting": VotingClassifier(nets, voting="soft"),
        "stacking": StackingClassifier(nets, cv=StratifiedGroupKFold(2)),
    }
    comparison = compare(
        *(estimators, np.array(paths, dtype=object).astype(str)[:, None], cells.target),
        **{"groups": cells.groups, "cv": 2, "pos_label": cells.pos_label},
        **{"random_state": 0, "verbose": 0},
    ).vote(["net1", "net2"])
    assert scores_of(comparison, "voting").equals(scores_of(comparison, "vote"))
    assert rows_of(comparison, "stacking")["proba_ALL"].between(0, 1).all()
