"""Estimators that lack a class: their columns go by label, and the comparison says so."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.svm import LinearSVC

from skall import compare
from skall.comparison import Comparison
from skall.metrics import METRICS, compute_metrics, scorers
from skall.metrics.predictions import spread_columns

X, Y = make_classification(90, n_informative=5, n_classes=3, random_state=0)
Y = np.array(["a", "b", "c"])[Y]
CV = StratifiedKFold(3, shuffle=True, random_state=0)
pytestmark = [
    pytest.mark.filterwarnings("ignore:The class . was not learnt"),
    pytest.mark.usefixtures("without_page"),
]


class Narrow(ClassifierMixin, BaseEstimator):
    """Fits another classifier without the samples of some classes, as a sampler may."""

    def __init__(self, inner, unseen=("b",)):
        self.inner = inner
        self.unseen = unseen

    def fit(self, X, y):
        seen = ~np.isin(y, self.unseen)
        self.inner_ = clone(self.inner).fit(X[seen], y[seen])
        self.classes_ = self.inner_.classes_
        return self

    def predict(self, X):
        return self.inner_.predict(X)

    def __getattr__(self, name):
        if name in ("predict_proba", "decision_function") and hasattr(self.inner, name):
            return getattr(self.inner_, name)
        raise AttributeError(name)


class Reversed(LogisticRegression):
    """A classifier whose classes are not sorted."""

    def fit(self, X, y):
        super().fit(X, y)
        self.classes_ = self.classes_[::-1]
        return self

    def predict_proba(self, X):
        own = LogisticRegression()
        vars(own).update(vars(self) | {"classes_": self.classes_[::-1]})
        return own.predict_proba(X)[:, ::-1]

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def run(models, y=Y, **options):
    options = {"cv": CV, "random_state": 0, "verbose": 0, "baselines": False} | options
    return compare(models, X, y, **options)


def test_columns_go_by_label():
    """Where a column was that of the class that stands first, all of them had [.9 .9 .1]."""
    assert spread_columns([[0.9, 0.1]], ["a", "c"], ["a", "b", "c"]).tolist() == [[0.9, 0, 0.1]]
    assert spread_columns([[0.9, 0.1]], ["c", "a"], ["a", "b", "c"]).tolist() == [[0.1, 0, 0.9]]
    assert spread_columns([0.5, -2], ["a", "c"], ["a", "b", "c"]).tolist() == [
        [-0.5, 0, 0.5],
        [2, 0, -2],
    ]
    assert spread_columns([1.0], ["c"], ["a", "c"]).tolist() == [[0, 1]]
    with pytest.raises(ValueError, match=r"holds 2, which is not one of the labels \[0, 1\]"):
        spread_columns([[0.5, 0.5]], [0, 2], [0, 1])
    with pytest.raises(ValueError, match="6 columns of scores for the 4 classes"):
        spread_columns(np.zeros((1, 6)), np.arange(4), np.arange(4))


def test_probabilities_of_what_was_not_learnt():
    comparison = run({"narrow": Narrow(LogisticRegression())})
    rows = comparison.predictions_
    assert (rows["proba_b"] == 0).all()
    train, test = next(CV.split(X, Y))
    seen = train[Y[train] != "b"]
    expected = LogisticRegression().fit(X[seen], Y[seen]).predict_proba(X[test])
    np.testing.assert_array_equal(rows.query("fold == 0")[["proba_a", "proba_c"]], expected)


@pytest.mark.parametrize("inner", [LogisticRegression(), LinearSVC()], ids=["proba", "decision"])
@pytest.mark.parametrize(
    ("n_classes", "unseen"), [(2, ""), (2, "b"), (3, ""), (3, "b"), (3, "ab")], ids=str
)
def test_scores_are_those_of_compute_metrics(inner, unseen, n_classes):
    """In a comparison, and with the scorers in plain cross-validation."""
    if n_classes - len(unseen) == 1:
        # scikit-learn's own classifiers take no single class.
        inner = DummyOfOne(hasattr(inner, "predict_proba"))
    y = Y if n_classes == 3 else np.where(Y == "c", "a", Y)
    pos_label = None if n_classes == 3 else "b"
    model = Narrow(inner, tuple(unseen))
    comparison = run({"narrow": model}, y, pos_label=pos_label).scores_
    plain = cross_validate(model, X, y, cv=CV, scoring=scorers(pos_label), error_score="raise")
    for metric in METRICS:
        values = comparison.query("metric == @metric")["value"].to_numpy()
        np.testing.assert_array_equal(values, plain[f"test_{metric}"], err_msg=metric)
    train, test = next(CV.split(X, y))
    model = clone(model).fit(X[train], y[train])
    classes = np.unique(y)
    proba = decision = None
    if hasattr(model, "predict_proba"):
        proba = np.zeros((len(test), n_classes))
        proba[:, np.searchsorted(classes, model.classes_)] = model.predict_proba(X[test])
    else:
        decision = spread_columns(model.decision_function(X[test]), model.classes_, classes)
    expected = compute_metrics(
        y[test], model.predict(X[test]), proba, classes, pos_label, decision=decision
    )
    got = comparison.query("fold == 0").set_index("metric")["value"]
    assert got.to_dict() == pytest.approx(expected, nan_ok=True)
    assert np.isfinite(got["roc_auc"])


class DummyOfOne(ClassifierMixin, BaseEstimator):
    """Knows the only class that it has seen."""

    def __init__(self, has_proba=True):
        self.has_proba = has_proba

    def fit(self, X, y):
        (self.classes_,) = [np.unique(y)]
        return self

    def predict(self, X):
        return np.repeat(self.classes_, len(X))

    def __getattr__(self, name):
        if name == "predict_proba" and self.has_proba:
            return lambda X: np.ones((len(X), 1))
        if name == "decision_function" and not self.has_proba:
            return lambda X: np.zeros(len(X))
        raise AttributeError(name)


def test_classes_in_another_order():
    comparison = run({"sorted": LogisticRegression(), "reversed": Reversed()})
    parts = [part["value"].to_numpy() for _, part in comparison.scores_.groupby("estimator")]
    np.testing.assert_allclose(parts[0], parts[1], rtol=1e-12)
    assert comparison.unlearnt_.empty


def test_the_comparison_says_so(tmp_path):
    models = {
        "whole": LogisticRegression(),
        "narrow": Narrow(LogisticRegression()),
        "svc": Narrow(LinearSVC()),
    }
    with pytest.warns(UserWarning, match="The class b was not learnt"):
        comparison = run(models, out=tmp_path)
    assert comparison.unlearnt_.to_numpy().tolist() == [
        [name, 0, fold, "b"] for name in ("narrow", "svc") for fold in range(3)
    ]
    said = "The class b was not learnt in every fold by narrow and svc: its probability is 0 there."
    assert said in comparison.flags()
    again = Comparison.read(tmp_path)
    pd.testing.assert_frame_equal(again.unlearnt_, comparison.unlearnt_, check_dtype=False)
    assert said in again.flags()
    resumed = run(models, out=tmp_path)
    pd.testing.assert_frame_equal(resumed.unlearnt_, comparison.unlearnt_)


def test_ensembles_of_what_has_not_learnt_a_class():
    models = {"whole": LogisticRegression(), "narrow": Narrow(LogisticRegression())}
    comparison = run(models).vote().stack()
    parts = dict(list(comparison.predictions_.groupby("estimator")))
    np.testing.assert_array_equal(
        parts["vote"]["proba_b"], parts["whole"]["proba_b"].to_numpy() / 2
    )
    assert np.isfinite(parts["stack"]["proba_b"]).all()
