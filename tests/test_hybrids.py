"""Features and networks combined by scikit-learn's and imbalanced-learn's own tools."""

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skall import CNNFeatures, HandcraftedFeatures, compare, get_estimator
from skall.comparison.estimators import BASELINES
from skall.datasets import make_blood_cells

SIZE = 32
CELLS = make_blood_cells(36, n_patients=12, image_size=SIZE, class_sep=1.5, random_state=0)
Y, GROUPS = CELLS.target, CELLS.groups
FOLDS = StratifiedGroupKFold(3, shuffle=True, random_state=0)


@pytest.fixture(scope="module", name="X")
def write_files(tmp_path_factory):
    """The cells as files, ``(n, 1)`` paths as loaders give them."""
    folder = tmp_path_factory.mktemp("cells")
    paths = [str(folder / f"{row}.png") for row in range(len(CELLS.data))]
    for path, pixels in zip(paths, CELLS.data, strict=True):
        Image.fromarray(pixels).save(path)
    return np.array(paths, dtype=object)[:, None]


def make_features(name="timm/test_resnet", **params):
    return CNNFeatures(name, weights=None, image_size=SIZE, random_state=0, **params)


def make_net(name, **params):
    settings = {"weights": None, "trainable": "head", "image_size": SIZE, "random_state": 0}
    return get_estimator(name, **(settings | {"max_epochs": 10, "lr": 0.1} | params))


def make_members():
    names = ("timm/test_resnet", "timm/test_efficientnet")
    return [(name.removeprefix("timm/test_"), make_net(name)) for name in names]


CLASSIFIERS = {
    "SVC": SVC(),
    "forest": RandomForestClassifier(30, random_state=0),
    "k-NN": KNeighborsClassifier(3),
    "logistic": LogisticRegression(max_iter=1000),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classical_classifier_on_features_of_a_network(name, X):
    model = make_pipeline(make_features(), StandardScaler(), CLASSIFIERS[name])
    scores = cross_validate(
        *(model, X, Y), groups=GROUPS, cv=FOLDS, scoring="balanced_accuracy", error_score="raise"
    )
    assert scores["test_score"].mean() > 0.6


def test_fusion_of_two_networks(X):
    """Side by side, each as it is alone."""
    parts = [make_features(), make_features("timm/test_efficientnet", pooling="flatten")]
    fused = FeatureUnion([("a", parts[0]), ("b", parts[1])]).fit(X)
    alone = [clone(part).fit_transform(X) for part in parts]
    np.testing.assert_array_equal(fused.transform(X), np.hstack(alone))
    names = fused.get_feature_names_out()
    assert len(names) == sum(part.shape[1] for part in alone)
    assert names[0] == "a__timm/test_resnet_0" and names[-1].startswith("b__timm/test_efficientnet")


def test_fusion_with_handmade_features(X):
    handcrafted = HandcraftedFeatures(SIZE)
    union = FeatureUnion([("cnn", make_features()), ("hand", handcrafted)])
    table = union.set_output(transform="pandas").fit_transform(X)
    assert {"cnn__timm/test_resnet_0", "hand__cell_area"} <= set(table)
    np.testing.assert_array_equal(
        table.filter(like="hand__"), handcrafted.set_output(transform="default").transform(X)
    )
    model = make_pipeline(union, StandardScaler(), LogisticRegression(max_iter=1000))
    scores = cross_validate(
        *(model, X, Y), groups=GROUPS, cv=FOLDS, scoring="balanced_accuracy", error_score="raise"
    )
    assert scores["test_score"].mean() > 0.75


def test_ensembles_and_hybrids_in_one_comparison(X):
    scaled = (StandardScaler(), LogisticRegression(max_iter=1000))
    union = FeatureUnion([("cnn", make_features()), ("hand", HandcraftedFeatures(SIZE))])
    estimators = {
        "voting": VotingClassifier(make_members(), voting="soft"),
        "stacking": StackingClassifier(make_members(), LogisticRegression(), cv=2),
        "hybrid": make_pipeline(make_features(), *scaled),
        "classical": make_pipeline(HandcraftedFeatures(SIZE), *scaled),
        "fusion": make_pipeline(union, *scaled),
    }
    comparison = compare(
        *(estimators, X, Y),
        groups=GROUPS,
        cv=FOLDS,
        scoring=["balanced_accuracy", "roc_auc", "log_loss"],
        pos_label=CELLS.pos_label,
        random_state=0,
        verbose=0,
    )
    table = comparison.table()
    assert (
        set(table.index) == {*estimators, *BASELINES} and comparison.scores_["value"].notna().all()
    )
    assert table.loc["classical", "roc_auc"] > 0.75 > table.loc["dummy", "roc_auc"]
