"""Uses of the public interface with the types that mypy must find for them; nothing runs this.

What comes from packages without types, such as scikit-learn's Bunch, is Any.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

import skall
from skall import (
    Backbone,
    CNNClassifier,
    CNNFeatures,
    Comparison,
    HandcraftedFeatures,
    ImagePreprocessor,
    StainNormalizer,
    compare,
    datasets,
    get_estimator,
    list_backbones,
    load,
    tune_allocator,
)
from skall.datasets import get_data_home, load_cells, make_blood_cells
from skall.displays.curves import RocDisplay
from skall.features import ShortcutFeatures
from skall.metrics import METRICS, check_scoring_names, compute_metrics, scorers
from skall.routing import fit_with_groups
from skall.search import make_search
from skall.statistics import (
    corrected_t_interval,
    corrected_t_test,
    delong_test,
    friedman_test,
    summarise_differences,
    test_estimators,
)
from skall.statistics.ranks import FriedmanResult
from skall.statistics.significance import PairedResult
from skall.testing import check_backbone

cells = make_blood_cells(24, n_patients=6, image_size=32, random_state=0)
folder = Path("folder")


def root() -> None:
    assert_type(list_backbones(), list[str])
    assert_type(tune_allocator(), bool)
    assert_type(skall.__version__, str)
    skall.list_backbone()  # type: ignore[attr-defined]


def backbones() -> None:
    backbone = Backbone(lambda weights: cells.trunk, input_size=96)
    assert_type(backbone.input_size, int)
    assert_type(backbone.mean, tuple[float, float, float])
    assert_type(backbone.license, str | None)
    Backbone("resnet18")  # type: ignore[arg-type]
    check_backbone("resnet18", image_size=64)


def classifiers() -> None:
    assert_type(get_estimator("resnet18", max_epochs=3), CNNClassifier)
    assert_type(load(folder), CNNClassifier)
    get_estimator(18)  # type: ignore[arg-type]
    net = CNNClassifier("resnet18", trainable="head", random_state=0)
    assert_type(net.fit(cells.data, cells.target, groups=cells.groups), CNNClassifier)
    assert_type(net.predict_proba([folder / "1.png"]), NDArray[np.float64])
    assert_type(net.predict(cells.data), NDArray[Any])
    assert_type(net.history_frame_, pd.DataFrame)
    assert_type(net.summary(), dict[str, Any])
    net.save(folder, format="pickle")  # type: ignore[arg-type]
    CNNClassifier(trainable="some")  # type: ignore[arg-type]
    load(folder, runtime="tensorflow")  # type: ignore[arg-type]


def loaders() -> None:
    print(load_cells(folder).data, datasets.load_folder("folder", groups=r"(\w+)-\d+").target)
    print(*datasets.load_csv(folder / "cells.csv", return_X_y=True))
    assert_type(get_data_home(), Path)
    make_blood_cells(class_sep="large")  # type: ignore[arg-type]


def searches(model: Any, groups: NDArray[Any]) -> None:
    search = make_search(model, {"lr": [1e-4, 1e-3]}, strategy="halving", random_state=0)
    print(fit_with_groups(search, cells.data, cells.target, groups).best_params_)
    make_search(model, {"lr": [1e-4]}, strategy="random")  # type: ignore[arg-type]


def images(frame: pd.DataFrame, stack: NDArray[np.uint8], pictures: list[Image.Image]) -> None:
    preprocessor = ImagePreprocessor(size=64, contrast="clahe", memory=folder)
    assert_type(preprocessor.fit(cells.data), ImagePreprocessor)
    assert_type(preprocessor.transform(stack), NDArray[np.uint8])
    for X in (frame, frame["path"], stack, pictures, [folder / "1.png"], ["1.png", "2.png"]):
        preprocessor.transform(X)
    preprocessor.transform({"path": "1.png"})  # type: ignore[arg-type]
    ImagePreprocessor(contrast="strong")  # type: ignore[arg-type]
    stain = StainNormalizer(size=64).fit(pictures)
    assert_type(stain, StainNormalizer)
    assert_type(stain.mean_, NDArray[np.float64])
    features = CNNFeatures("resnet50", pooling="flatten", memory=None).fit(stack)
    assert_type(features, CNNFeatures)
    assert_type(features.transform(pictures), NDArray[np.float32])
    assert_type(features.image_size, int | None)
    assert_type(HandcraftedFeatures().fit(stack), HandcraftedFeatures)
    assert_type(HandcraftedFeatures().get_feature_names_out(), NDArray[np.object_])
    assert_type(ShortcutFeatures("image size").transform(stack), NDArray[Any])


def metrics(y: NDArray[Any], proba: NDArray[np.float64]) -> None:
    assert_type(METRICS, tuple[str, ...])
    assert_type(check_scoring_names("f1"), tuple[str, ...])
    assert_type(compute_metrics(y, y, proba, ["ALL", "healthy"], "ALL"), dict[str, float])
    assert_type(scorers("ALL", ["f1", "mcc"]), dict[str, Callable[[Any, Any, Any], float]])


def statistics(scores: pd.DataFrame, predictions: pd.DataFrame, values: list[float]) -> None:
    tests = test_estimators(scores, predictions, pos_label="ALL")
    assert_type(tests, pd.DataFrame)
    assert_type(summarise_differences(tests), list[str])
    assert_type(corrected_t_interval(values, 1 / 9), tuple[float, float])
    assert_type(corrected_t_test(values, values, 1 / 9), PairedResult)
    assert_type(delong_test(values, values, scores["value"]).p_value, float)
    assert_type(friedman_test(scores), FriedmanResult)
    corrected_t_interval(values, test_ratio="10 folds")  # type: ignore[arg-type]


def comparisons(frame: pd.DataFrame, models: dict[str, Any]) -> None:
    comparison = compare(
        ["resnet18", "densenet121"],
        frame[["path"]],
        frame["label"],
        groups=frame["patient"],
        cv=5,
        scoring="roc_auc",
        out=folder,
        random_state=0,
        max_epochs=3,
    )
    assert_type(comparison, Comparison)
    compare(models, cells.data, cells.target, error_score="raise")
    compare(["resnet18"], cells.data, cells.target, strategy="random")  # type: ignore[arg-type]
    compare(["resnet18"], cells.data)  # type: ignore[call-arg]
    assert_type(comparison.scores_, pd.DataFrame)
    assert_type(comparison.predictions_, pd.DataFrame)
    assert_type(comparison.trials_, dict[str, int])
    assert_type(comparison.table(alpha=0.01), pd.DataFrame)
    assert_type(comparison.test("roc_auc", "delong", names=["resnet18"]), pd.DataFrame)
    assert_type(comparison.intervals("roc_auc", confidence_level=0.9), pd.DataFrame)
    assert_type(comparison.budgets(), pd.DataFrame)
    assert_type(comparison.summary(), dict[str, list[str]])
    assert_type(comparison.flags(), list[str])
    assert_type(comparison.split_names(), tuple[list[str], list[str]])
    assert_type(comparison.vote(["resnet18", "densenet121"]), Comparison)
    assert_type(comparison.plot_roc(), RocDisplay)
    assert_type(comparison.report(folder / "report.html"), Path)
    assert_type(Comparison.read("folder"), Comparison)
