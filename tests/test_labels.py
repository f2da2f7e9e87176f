"""Labels of any kind: numpy's, pandas' and Python's."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from skall import CNNClassifier, compare
from skall.routing import fit_with_groups
from skall.validation.labels import read_labels

NUMBERS, TEXTS, TRUTHS = [1, 0, 1, 0], ["b", "a", "b", "a"], [True, False, True, False]
KINDS = [
    *[(pd.Series(NUMBERS, dtype=name), "i") for name in ("Int64", "UInt8", "Int8", "object")],
    (pd.Series(NUMBERS, dtype="Int64").astype("category"), "i"),
    (pd.Series(NUMBERS, dtype="category"), "i"),
    (pd.Index(NUMBERS, dtype="Int64"), "i"),
    (pd.array(NUMBERS, dtype="Int64"), "i"),
    (pd.DataFrame({"label": NUMBERS}, dtype="Int64")["label"], "i"),
    (NUMBERS, "i"),
    (pd.Series(TRUTHS, dtype="boolean"), "b"),
    (pd.Series(TRUTHS, dtype="object"), "b"),
    (TRUTHS, "b"),
    (pd.Series([1.0, 0.0, 1.0, 0.0], dtype="Float64"), "f"),
    *[(pd.Series(TEXTS, dtype=name), "O") for name in ("string", "str", "object", "category")],
    (TEXTS, "U"),
    (np.array(TEXTS), "U"),
]


@pytest.mark.parametrize(("y", "kind"), KINDS, ids=lambda value: str(getattr(value, "dtype", "")))
def test_labels_keep_their_kind(y, kind):
    labels = read_labels(y)
    assert labels.dtype.kind == kind
    assert labels.tolist() == list(y)


@pytest.mark.parametrize("name", ["int64[pyarrow]", "bool[pyarrow]", "string[pyarrow]"])
def test_labels_of_arrow(name):
    pytest.importorskip("pyarrow")
    values = {"int64": NUMBERS, "bool": TRUTHS, "string": TEXTS}[name.partition("[")[0]]
    labels = read_labels(pd.Series(values, dtype=name))
    assert labels.tolist() == values
    assert labels.dtype.kind == {"int64": "i", "bool": "b", "string": "O"}[name.partition("[")[0]]


MISSING = [
    pd.Series(["a", None, "b"], dtype="string"),
    pd.Series(["a", None, "b"], dtype="category"),
    pd.Series([1, None, 0], dtype="Int64"),
    pd.Series([True, None, False], dtype="boolean"),
    np.array(["a", pd.NA, "b"], dtype=object),
    np.array([1.0, np.nan, 0.0]),
    ["a", None, "b"],
    ["a", float("nan"), "b"],
]


@pytest.mark.parametrize("y", MISSING, ids=lambda y: str(getattr(y, "dtype", y)))
def test_missing_labels(y):
    with pytest.raises(ValueError, match="y has no value in row 1"):
        read_labels(y)
    X = np.zeros((3, 4))
    for fit in (CNNClassifier("timm/test_resnet", weights=None).fit, fit_estimator):
        with pytest.raises(ValueError, match="y has no value in row 1"):
            fit(X, y)
    with pytest.raises(ValueError, match="y has no value in row 1"):
        compare({"labels": Labels()}, X, y, cv=2, verbose=0)


def test_many_missing_labels():
    with pytest.raises(ValueError, match=r"in 7 of 8 rows: 1, 2, 3, 4, 5, \.\.\.$"):
        read_labels(["a", *[None] * 7])


class Labels(ClassifierMixin, BaseEstimator):
    """Remembers the labels that it was given."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.resize(self.classes_, len(X))


def fit_estimator(X, y):
    return fit_with_groups(Labels(), X, y)


def test_classes_keep_the_kind_of_the_labels():
    y = pd.Series(NUMBERS, dtype="Int64")
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
    options = {"weights": None, "image_size": 16, "max_epochs": 1, "random_state": 0}
    net = CNNClassifier("timm/test_resnet", **options).fit(images, y)
    assert net.classes_.dtype.kind == "i" and net.predict(images).dtype.kind == "i"
    classes = pd.Series([0, 1, 2], dtype="Int64")
    net = CNNClassifier("timm/test_resnet", **options).partial_fit(images, y, classes=classes)
    assert net.classes_.tolist() == [0, 1, 2] and net.classes_.dtype.kind == "i"
    assert fit_estimator(images, y).classes_.dtype.kind == "i"


def test_a_comparison_keeps_the_kind_of_the_labels():
    y = pd.Series(NUMBERS, dtype="Int64")
    comparison = compare({"labels": Labels()}, np.eye(4), y, cv=2, pos_label=1, verbose=0)
    assert {"proba_0", "proba_1"} < set(comparison.predictions_)
    assert comparison.predictions_["y_true"].dtype.kind == "i"
