"""What a comparison compared, and how: in words and numbers that JSON holds."""

import os
import platform
from datetime import UTC, datetime
from numbers import Integral

import torch
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from skall.backbones.registry import get_backbone
from skall.classifier import CNNClassifier
from skall.comparison.fingerprint import describe_value
from skall.comparison.parts import find_networks
from skall.environment.versions import PACKAGES, list_versions
from skall.network.device import resolve_device
from skall.network.precision import choose_numerics
from skall.network.summary import measure_backbone, summarize

# Parameters that hold estimators, which are described themselves.
PARTS = ("steps", "transformer_list", "transformers", "estimators")


def describe_estimators(candidates, baselines, n_classes, known=None):
    """What each estimator is.

    Parameters
    ----------
    candidates : dict of str to classifier
    baselines : iterable of str
        Which of them are there to be beaten.
    n_classes : int
    known : dict of str to (dict or None), optional
        Networks that were described before, by the name of their estimator.

    Returns
    -------
    dict of str to dict
        ``class``, its name; ``baseline``; ``steps``, the classes of a pipeline's; ``params``, by
        name, as texts; ``network``, where there is one, see :func:`describe_network`.
    """
    known = known or {}
    return {
        name: {
            "class": type(estimator).__name__,
            "baseline": name in baselines,
            "steps": [type(step).__name__ for _, step in getattr(estimator, "steps", [])],
            "params": _list_params(estimator),
            "network": (known[name] if name in known else describe_network(estimator, n_classes)),
        }
        for name, estimator in candidates.items()
    }


def _list_params(estimator):
    """Parameters as texts; of a pipeline those of its steps."""
    return {
        name: repr(value) if _is_plain(value) else describe_value(value)
        for name, value in estimator.get_params(deep=True).items()
        if not (hasattr(value, "get_params") or name.rpartition("__")[2] in PARTS)
    }


def _is_plain(value):
    """Whether a value is made of numbers and texts alone, few enough to be read."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, (list, tuple, set)):
        return len(value) <= 50 and all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))


def describe_network(estimator, n_classes):
    """Size and origin of the networks that an estimator is or holds.

    Parameters
    ----------
    estimator : estimator
    n_classes : int

    Returns
    -------
    dict or None
        ``trainable``, ``non_trainable``: numbers of parameters; ``macs``: multiply-accumulates for
        one image; both added up where there are several networks. ``trained``: which part, in
        words. ``weights``, ``image_size``, ``feature_shape``, ``mean``, ``std``, ``license``,
        ``url``, and ``precision`` and ``memory_format`` on this machine: those of the first;
        ``backbone``: the names of all.
    """
    networks = find_networks(estimator)
    if not networks:
        return None
    sizes = [_measure(network, n_classes) for network in networks]
    first = networks[0]
    backbone = get_backbone(first.backbone)
    numerics = choose_numerics(first.precision, first.backbone, resolve_device(first.device))
    return {
        **{key: sum(s[key] for s in sizes) for key in ("trainable", "non_trainable", "macs")},
        "feature_shape": list(sizes[0]["feature_shape"]),
        "backbone": " + ".join(network.backbone for network in networks),
        "trained": " and ".join(dict.fromkeys(map(_name_trained, networks))),
        "weights": describe_value(first.weights),
        "image_size": first.image_size or backbone.input_size,
        **{key: list(getattr(backbone, key)) for key in ("mean", "std")},
        **{"license": backbone.license, "url": backbone.url},
        **{"precision": numerics.precision, "memory_format": numerics.memory_format},
    }


def _name_trained(network):
    # Whatever learns from features is their head.
    trainable = getattr(network, "trainable", "head")
    words = {"all": "the whole network", "head": "the head alone"}
    return words.get(trainable, f"the last {trainable} stages and the head")


def _measure(network, n_classes):
    if isinstance(network, CNNClassifier):
        return summarize(network, n_classes)
    backbone = get_backbone(network.backbone)
    size = measure_backbone(backbone, network.image_size or backbone.input_size)
    return size | {"trainable": 0, "non_trainable": size["parameters"] + size["statistics"]}


def describe_cv(cv, grouped, by_group=False):
    """How the samples were dealt, in words."""
    if isinstance(cv, Integral):
        splitter = StratifiedGroupKFold if grouped else StratifiedKFold
        what = " of one sample of each patient and class" if by_group else ""
        return f"{splitter.__name__}{what}, {cv} folds, shuffled from the seed"
    return repr(cv) if hasattr(cv, "split") else "folds given as positions"


def describe_protocol(**settings):
    """Settings with the versions, the machine and the time.

    Parameters
    ----------
    **settings
        That JSON holds.

    Returns
    -------
    dict
    """
    versions = list_versions([*PACKAGES, "pandas"])
    return {
        **settings,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            "Python": platform.python_version(),
            **{package: known for package, known in versions.items() if known},
        },
        "machine": {
            "system": platform.platform(),
            "processor": _find_processor(),
            "cores": os.cpu_count(),
            "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }


def _find_processor():
    """The processor's name, which Python itself does not know on Linux."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.partition(":")[2].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
