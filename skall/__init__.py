"""Compare convolutional networks on blood-cell images as scikit-learn classifiers."""

import os
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # For type checkers and editors, which do not see what __getattr__ imports.
    from skall import datasets, metrics, statistics, testing
    from skall.backbones.backbone import Backbone
    from skall.backbones.registry import list_backbones
    from skall.classifier import CNNClassifier, get_estimator, load
    from skall.comparison import Comparison, compare
    from skall.environment.allocator import tune_allocator
    from skall.features import CNNFeatures, HandcraftedFeatures
    from skall.preprocessing import ImagePreprocessor, StainNormalizer

# Operations that Apple's GPUs lack run on the CPU; torch reads this when it is imported.
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")

__version__ = version("skall")

# Modules of the public names, imported at first use so that `import skall` is quick.
_HOMES = {
    "Backbone": "skall.backbones.backbone",
    "CNNClassifier": "skall.classifier",
    "CNNFeatures": "skall.features",
    "Comparison": "skall.comparison",
    "HandcraftedFeatures": "skall.features",
    "ImagePreprocessor": "skall.preprocessing",
    "StainNormalizer": "skall.preprocessing",
    "compare": "skall.comparison",
    "get_estimator": "skall.classifier",
    "list_backbones": "skall.backbones.registry",
    "load": "skall.classifier",
    "tune_allocator": "skall.environment.allocator",
}
_MODULES = ("datasets", "metrics", "statistics", "testing")

__all__ = [
    "Backbone",
    "CNNClassifier",
    "CNNFeatures",
    "Comparison",
    "HandcraftedFeatures",
    "ImagePreprocessor",
    "StainNormalizer",
    "__version__",
    "compare",
    "datasets",
    "get_estimator",
    "list_backbones",
    "load",
    "metrics",
    "statistics",
    "testing",
    "tune_allocator",
]


if not TYPE_CHECKING:  # or a wrong name would pass

    def __getattr__(name):
        if name in _HOMES:
            return getattr(import_module(_HOMES[name]), name)
        if name in _MODULES:
            return import_module(f"skall.{name}")
        raise AttributeError(f"module 'skall' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
