"""Compare convolutional networks on blood-cell images as scikit-learn classifiers."""

import os
from importlib import import_module
from importlib.metadata import version

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

__all__ = [*_HOMES, *_MODULES, "__version__"]


def __getattr__(name):
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _MODULES:
        return import_module(f"skall.{name}")
    raise AttributeError(f"module 'skall' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
