"""The cache that a comparison with a folder makes: what it saves, and that nothing shows it."""

import importlib
import inspect
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.base import BaseEstimator
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer

import skall
from skall import CNNClassifier, CNNFeatures, ImagePreprocessor, compare, load
from skall.cache.disk import open_cache
from skall.cache.memory import IN_PROCESS
from skall.cli.commands import main
from skall.comparison.estimators import READERS, shared_cache
from skall.datasets import make_blood_cells
from skall.features.shortcuts import ShortcutFeatures
from skall.images import rows
from skall.network.trunk import FeatureExtractor

pytestmark = [pytest.mark.numerics, pytest.mark.usefixtures("without_page")]

CELLS = make_blood_cells(24, n_patients=8, image_size=48, random_state=0)
TINY = {"weights": None, "image_size": 32, "random_state": 0}
BACKBONES = ["timm/test_resnet", "timm/test_efficientnet"]

# Runs a comparison again in another process.
AGAIN = """
import sys
sys.path.insert(0, sys.argv[1])
from pytest import MonkeyPatch
from skall import compare
from test_comparison_cache import forbid_computing

forbid_computing(MonkeyPatch())
out, *paths = sys.argv[2:]
compare(
    ["timm/test_resnet", "timm/test_efficientnet"], paths, ["ALL", "healthy"] * 12, cv=3,
    pos_label="ALL", random_state=0, verbose=0, trainable="head", max_epochs=2, weights=None,
    image_size=32, out=out, baselines=False,
)
"""


@pytest.fixture(autouse=True)
def empty_cache():
    IN_PROCESS.clear()
    yield
    IN_PROCESS.clear()


@pytest.fixture
def paths(tmp_path):
    for row, pixels in enumerate(CELLS.data):
        Image.fromarray(pixels).save(tmp_path / f"{row}.png")
    return [str(tmp_path / f"{row}.png") for row in range(len(CELLS.data))]


def run(estimators, X, **options):
    options = {"cv": 3, "pos_label": "ALL", "random_state": 0, "baselines": False} | options
    if isinstance(estimators, list):
        options = {
            "trainable": "head",
            "max_epochs": 2,
            "weights": None,
            "image_size": 32,
        } | options
    return compare(estimators, X, ["ALL", "healthy"] * 12, verbose=0, **options)


def check_same(found, expected):
    """To the last bit; in a file, texts are of another type."""
    options = {"check_exact": True, "check_dtype": False}
    pd.testing.assert_frame_equal(found.scores_, expected.scores_, **options)
    columns = [column for column in expected.predictions_ if column.startswith("proba")]
    assert columns
    tables = (comparison.predictions_[columns] for comparison in (found, expected))
    pd.testing.assert_frame_equal(*tables, **options)


def forget_results(out):
    shutil.rmtree(out / "folds")


def leave_latency_out(monkeypatch):
    """The time of a prediction is that of images that nothing has kept."""
    monkeypatch.setattr("skall.comparison.evaluation.measure_latency", lambda *args: np.nan)


def forbid_computing(monkeypatch):
    """Let nothing be decoded, or go through a trunk."""
    forward = FeatureExtractor.forward

    def forbid(*args):
        raise AssertionError("computed again")

    def measure_alone(extractor, images, **options):
        # Shapes are found with images that have none but a shape.
        return forward(extractor, images, **options) if images.is_meta else forbid()

    leave_latency_out(monkeypatch)
    monkeypatch.setattr(rows, "resize_picture", forbid)
    monkeypatch.setattr(FeatureExtractor, "forward", measure_alone)


@pytest.mark.thorough
def test_another_process_computes_nothing_again(paths, tmp_path):
    out = tmp_path / "out"
    expected = run(BACKBONES, paths, out=out)
    # The image, and what the two trunks make of it; none of them is kept in the process as well.
    assert len(IN_PROCESS) == 0 and len(open_cache(out / "cache")) == 3 * len(paths)
    forget_results(out)
    script = tmp_path / "again.py"
    script.write_text(AGAIN)
    subprocess.run([sys.executable, script, Path(__file__).parent, out, *paths], check=True)
    check_same(skall.comparison.Comparison.read(out), expected)


@pytest.mark.thorough
def test_it_goes_on_where_it_was_stopped(paths, tmp_path, monkeypatch):
    out = tmp_path / "out"
    expected = run(BACKBONES, paths, out=out)
    for path in out.glob("folds/*/0-2.json"):
        path.unlink()
    forbid_computing(monkeypatch)
    check_same(run(BACKBONES, paths, out=out), expected)
    assert main(["cache", str(out / "cache"), "--clear"]) == 0
    # What is finished needs no cache.
    run(BACKBONES, paths, out=out)
    forget_results(out)
    with pytest.raises(AssertionError, match="computed again"):
        run(BACKBONES, paths, out=out, error_score="raise")


@pytest.mark.thorough
def test_workers_share_it(paths, tmp_path, monkeypatch):
    out = tmp_path / "out"
    expected = run(BACKBONES, paths)
    found = run(BACKBONES, paths, out=out, n_jobs=2)
    check_same(found, expected)
    forget_results(out)
    forbid_computing(monkeypatch)
    run(BACKBONES, paths, out=out)


def make_estimators():
    """skall's estimators inside those of scikit-learn."""

    def net(**params):
        return CNNClassifier("timm/test_resnet", max_epochs=2, **(TINY | params))

    def pipe(*steps):
        return make_pipeline(*steps, LogisticRegression())

    flatten = FunctionTransformer(lambda images: images.reshape(len(images), -1) / 255)
    features = CNNFeatures("timm/test_resnet", **TINY)
    return {
        "network": net(),
        "pipeline": pipe(make_union(features, ShortcutFeatures())),
        "pixels": pipe(ImagePreprocessor(8), flatten),
        "search": GridSearchCV(net(trainable="head"), {"lr": [1e-3, 1e-2]}, cv=2),
        "searched pipeline": GridSearchCV(
            pipe(features), {"logisticregression__C": [0.1, 1]}, cv=2
        ),
        "ensemble": VotingClassifier(
            [("a", net(trainable="head")), ("b", pipe(features))], voting="soft"
        ),
        "stack": StackingClassifier([("a", net(trainable="head"))], pipe(), cv=2),
    }


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore:Unequal")
def test_estimators_inside_others_use_it_too_and_nothing_else_changes(paths, tmp_path):
    estimators, out = make_estimators(), tmp_path / "out"
    before = {name: repr(estimator.get_params()) for name, estimator in estimators.items()}
    expected = run(estimators, paths)
    assert len(IN_PROCESS) > 0
    IN_PROCESS.clear()
    found = run(estimators, paths, out=out, keep_weights=True)
    # The few numbers that ShortcutFeatures has of an image are in this process as well.
    assert len(IN_PROCESS) == len(paths) and IN_PROCESS.nbytes < 200 * len(paths)
    check_same(found, expected)
    assert found.estimators_ == expected.estimators_
    assert {name: repr(e.get_params()) for name, e in estimators.items()} == before
    for path in out.rglob("*.json"):
        assert str(out / "cache") not in path.read_text(), path
    for name in ("network", "search"):
        assert load(out / "folds" / name / "0-0").memory == "auto"


def test_tuned_networks_use_it_too(paths, tmp_path):
    tune = {"lr": [1e-3, 1e-2]}
    expected = run(BACKBONES[:1], paths, tune=tune)
    IN_PROCESS.clear()
    found = run(BACKBONES[:1], paths, tune=tune, out=tmp_path / "out", keep_weights=True)
    assert len(IN_PROCESS) == 0
    check_same(found, expected)
    assert load(tmp_path / "out" / "folds" / "timm%2Ftest_resnet" / "0-0").memory == "auto"


def test_what_the_user_says_of_memory_holds(paths, tmp_path):
    out, own = tmp_path / "out", tmp_path / "own"
    run(BACKBONES[:1], paths, out=out, memory=None)
    assert not (out / "cache").exists()
    forget_results(out)
    run(BACKBONES[:1], paths, out=out, memory=str(own))
    assert not (out / "cache").exists() and len(open_cache(own)) == 2 * len(paths)


def test_the_folder_is_that_of_a_call_with_another_memory(paths, tmp_path):
    """The fingerprint does not know the cache."""
    out = tmp_path / "out"
    first = run(BACKBONES[:1], paths, out=out)
    fingerprint = (out / "comparison.json").read_bytes()
    second = run(BACKBONES[:1], paths, out=out, memory=None)
    assert (out / "comparison.json").read_bytes() == fingerprint
    check_same(second, first)


def test_estimators_are_as_before_after_an_error(tmp_path):
    pipeline = make_pipeline(ImagePreprocessor(8), CNNClassifier(memory=None))
    with pytest.raises(ValueError, match="of mine"), shared_cache(tmp_path, pipeline):
        assert pipeline[0].memory == str(tmp_path) and pipeline[1].memory is None
        raise ValueError("of mine")
    assert pipeline[0].memory == "auto" and pipeline[1].memory is None
    with shared_cache(None, pipeline):
        assert pipeline[0].memory == "auto"


def test_a_pipeline_s_own_memory_is_another_thing(tmp_path):
    pipeline = make_pipeline(ImagePreprocessor(8), CNNClassifier(), memory="auto")
    with shared_cache(tmp_path, pipeline):
        assert pipeline.memory == "auto"


def test_no_estimator_with_a_memory_is_forgotten():
    modules = [
        importlib.import_module(module.name)
        for module in pkgutil.walk_packages(skall.__path__, "skall.")
        if not module.name.endswith("__main__")
    ]
    keepers = {
        value
        for module in modules
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, BaseEstimator)
        and value.__module__.startswith("skall.")
        and "memory" in inspect.signature(value).parameters
    }
    assert len(keepers) >= 5
    assert not [keeper for keeper in keepers if not issubclass(keeper, READERS)]


def test_arrays_are_kept_too(tmp_path):
    expected = run(BACKBONES[:1], CELLS.data)
    found = run(BACKBONES[:1], CELLS.data, out=tmp_path)
    check_same(found, expected)
    assert len(open_cache(tmp_path / "cache")) == 2 * len(CELLS.data)
