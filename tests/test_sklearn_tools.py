"""Every kind of images with every tool of scikit-learn and imbalanced-learn: one table."""

import copy
import pickle
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.pipeline import make_pipeline as make_sampling_pipeline
from imblearn.under_sampling import RandomUnderSampler
from PIL import Image
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_validate,
    learning_curve,
)
from sklearn.pipeline import make_pipeline, make_union
from sklearn.svm import SVC

from skall import (
    CNNClassifier,
    CNNFeatures,
    HandcraftedFeatures,
    ImagePreprocessor,
    StainNormalizer,
    load,
)
from skall.datasets import make_blood_cells

SIZE = 16
CELLS = make_blood_cells(20, n_patients=5, image_size=SIZE, imbalance=0.4, random_state=0)
Y, PIXELS = CELLS.target, CELLS.data
NAMES = ["timm/test_resnet", "timm/test_efficientnet"]


def make_classifier(**params):
    settings = {"weights": None, "image_size": SIZE, "max_epochs": 1, "random_state": 0}
    return CNNClassifier(NAMES[0], **(settings | params))


def make_features(name=NAMES[0]):
    return CNNFeatures(name, weights=None, image_size=SIZE, random_state=0)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    paths = [str(folder / f"cell {row}.png") for row in range(len(PIXELS))]
    for path, pixels in zip(paths, PIXELS, strict=True):
        Image.fromarray(pixels).save(path)
    return paths


def fill(values):
    """An array of objects, one a row."""
    return np.fromiter(values, dtype=object, count=len(values))


INPUTS = {
    "column of paths": lambda files: np.array(files)[:, None],
    "column of objects": lambda files: fill(files)[:, None],
    "array of paths": lambda files: np.array(files),
    "list of paths": lambda files: files,
    "pathlib": lambda files: [Path(path) for path in files],
    "DataFrame": lambda files: pd.DataFrame({"path": files}),
    "Series": lambda files: pd.Series(files, index=range(50, 70)),
    "PIL list": lambda files: [Image.fromarray(pixels) for pixels in PIXELS],
    "PIL array": lambda files: fill([Image.fromarray(pixels) for pixels in PIXELS]),
    "uint8": lambda files: PIXELS,
    "float": lambda files: PIXELS / 255.0,
    "grey": lambda files: PIXELS[..., 1],
    "flat uint8": lambda files: PIXELS.reshape(len(PIXELS), -1),
    "flat float": lambda files: (PIXELS / 255.0).reshape(len(PIXELS), -1),
    "flat DataFrame": lambda files: pd.DataFrame(PIXELS.reshape(len(PIXELS), -1)).rename(
        columns=str
    ),
}
FIRST = next(iter(INPUTS))
# What is no table is refused by the tools that resample rows, with their own error.
NO_TABLE = {
    *("array of paths", "list of paths", "pathlib", "Series"),
    *("PIL list", "PIL array", "uint8", "float", "grey"),
}


def check_predictions(estimator, X):
    """A fitted classifier gives probabilities in the order of its classes, and labels."""
    probabilities = estimator.predict_proba(X)
    assert probabilities.shape == (len(Y), 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert estimator.classes_.tolist() == sorted(set(Y))
    assert set(estimator.predict(X)) <= set(Y)
    assert 0 <= estimator.score(X, Y) <= 1


def run_fit(X, tmp_path):
    check_predictions(make_classifier().fit(X, Y), X)


def run_copies(X, tmp_path):
    net = make_classifier().fit(X, Y)
    expected = net.predict_proba(X)
    joblib.dump(net, tmp_path / "net.joblib")
    net.save(tmp_path / "net")
    copies = [
        clone(net).fit(X, Y),
        copy.deepcopy(net),
        pickle.loads(pickle.dumps(net)),
        joblib.load(tmp_path / "net.joblib"),
        load(tmp_path / "net"),
    ]
    for other in copies:
        np.testing.assert_array_equal(other.predict_proba(X), expected)
        assert other.get_params() == net.get_params()


def run_cross_validation(X, tmp_path):
    net = make_classifier()
    scores = cross_validate(net, X, Y, cv=3, scoring=["accuracy", "roc_auc"], error_score="raise")
    probabilities = cross_val_predict(net, X, Y, cv=3, method="predict_proba")
    hits = np.array(sorted(set(Y)))[probabilities.argmax(axis=1)] == Y
    assert scores["test_accuracy"] @ [7, 7, 6] / 20 == pytest.approx(hits.mean())


def run_grid(X, tmp_path):
    grid = GridSearchCV(make_classifier(), {"lr": [1e-4, 1e-2]}, cv=2, error_score="raise")
    check_predictions(grid.fit(X, Y), X)


def run_preprocessor(X, tmp_path):
    preprocessor = ImagePreprocessor(SIZE, contrast="autocontrast", color="grey_world", crop="cell")
    for steps in ([preprocessor], [StainNormalizer(SIZE)], [preprocessor, StainNormalizer(SIZE)]):
        pipeline = make_pipeline(*steps, make_classifier())
        check_predictions(pipeline.fit(X, Y), X)
    handcrafted = make_pipeline(HandcraftedFeatures(SIZE), SVC()).fit(X, Y)
    assert handcrafted.score(X, Y) > 0.5


def run_samplers(X, tmp_path):
    for sampler in (RandomOverSampler(random_state=0), RandomUnderSampler(random_state=0)):
        pipeline = make_sampling_pipeline(sampler, ImagePreprocessor(SIZE), make_classifier())
        check_predictions(pipeline.fit(X, Y), X)


def run_bagging(X, tmp_path):
    check_predictions(BaggingClassifier(make_classifier(), 2, random_state=0).fit(X, Y), X)


def run_ensembles(X, tmp_path):
    members = [("a", make_classifier()), ("b", make_classifier(random_state=1))]
    for ensemble in (
        VotingClassifier(members, voting="soft"),
        StackingClassifier(members, LogisticRegression(), cv=2),
    ):
        check_predictions(ensemble.fit(X, Y), X)


def run_calibration(X, tmp_path):
    check_predictions(CalibratedClassifierCV(make_classifier(), cv=2).fit(X, Y), X)
    tuned = TunedThresholdClassifierCV(make_classifier(), cv=2, scoring="balanced_accuracy")
    check_predictions(tuned.fit(X, Y), X)


def run_learning_curve(X, tmp_path):
    sizes, _, scores = learning_curve(
        make_classifier(),
        *(X, Y),
        cv=2,
        train_sizes=[0.5, 1.0],
        shuffle=True,
        random_state=0,
        error_score="raise",
    )
    assert sizes.tolist() == [5, 10] and scores.shape == (2, 2)


def run_features(X, tmp_path):
    hybrid = make_pipeline(make_features(), SVC()).fit(X, Y)
    assert hybrid.score(X, Y) > 0.5
    sampled = make_sampling_pipeline(make_features(), SMOTE(k_neighbors=2, random_state=0), SVC())
    assert sampled.fit(X, Y).score(X, Y) > 0.5
    union = make_union(*map(make_features, NAMES)).set_output(transform="pandas")
    table = union.fit_transform(X)
    n_columns = [make_features(name).fit(X).feature_shape_[0] for name in NAMES]
    assert table.shape == (20, sum(n_columns)) and table.notna().all(axis=None)
    assert table.columns[0] == f"cnnfeatures-1__{NAMES[0]}_0"
    assert table.columns[-1] == f"cnnfeatures-2__{NAMES[1]}_{n_columns[1] - 1}"


TOOLS = [
    *(run_fit, run_copies, run_cross_validation, run_grid, run_preprocessor, run_samplers),
    *(run_bagging, run_ensembles, run_calibration, run_learning_curve, run_features),
]


# Every tool with one kind of input, and every kind with one tool, are for every commit.
@pytest.mark.parametrize(
    ("kind", "tool"),
    [
        pytest.param(
            *(kind, tool),
            id=f"{kind}-{tool.__name__}",
            marks=[] if tool is TOOLS[0] or kind == FIRST else pytest.mark.thorough,
        )
        for kind in INPUTS
        for tool in TOOLS
    ],
)
def test_tool(tool, kind, files, tmp_path):
    X = INPUTS[kind](files)
    if tool in (run_samplers, run_bagging) and kind in NO_TABLE:
        with pytest.raises(ValueError, match=r"(?s)2D array|2-dimensional|dim <= 2"):
            tool(X, tmp_path)
    else:
        tool(X, tmp_path)


def test_every_kind_of_the_same_images_is_the_same(files):
    """Flat numbers are not rounded to uint8, so they agree to rounding only."""
    expected = make_features().fit_transform(PIXELS)
    for kind in INPUTS.keys() - {"grey"}:
        found = make_features().fit_transform(INPUTS[kind](files))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5, err_msg=kind)


@pytest.mark.thorough
def test_grid_over_what_a_researcher_searches(files):
    grid = {
        "backbone": NAMES,
        "lr": [1e-3, 1e-2],
        "dropout": [0.0, 0.4],
        "batch_size": [4, 8],
        "image_size": [16, 32],
    }
    search = GridSearchCV(make_classifier(), grid, cv=2, error_score="raise", refit=False)
    results = search.fit(np.array(files)[:, None], Y).cv_results_
    assert len(results["params"]) == 32 and np.isfinite(results["mean_test_score"]).all()
    best = make_classifier().set_params(**search.best_params_).fit(PIXELS, Y)
    assert best.image_size_ == search.best_params_["image_size"]


def test_parameters_within_a_pipeline():
    pipeline = make_pipeline(ImagePreprocessor(SIZE), make_classifier())
    pipeline.set_params(cnnclassifier__optimizer__betas=(0.5, 0.5), imagepreprocessor__size=24)
    assert pipeline[-1].get_params()["optimizer__betas"] == (0.5, 0.5)
    assert pipeline.fit(PIXELS, Y)[:-1].transform(PIXELS).shape == (20, 24, 24, 3)
    with pytest.raises(TypeError, match="did you mean 'lr'"):
        pipeline.set_params(cnnclassifier__lrr=1)


def test_parallel_workers(files):
    """Workers are given one thread, so this process uses one as well."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        X = np.array(files)[:, None]
        serial, parallel = (
            cross_val_predict(make_classifier(), X, Y, cv=2, method="predict_proba", n_jobs=n_jobs)
            for n_jobs in (1, 2)
        )
    finally:
        torch.set_num_threads(n_threads)
    np.testing.assert_array_equal(parallel, serial)
