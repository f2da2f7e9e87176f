"""What a comparison compares: a fingerprint to recognise it by, and a description to read.

The fingerprint holds all that decides the numbers, so that a folder is resumed by the same
comparison alone. The description tells readers of the results what was compared, and how.
"""

import inspect
import os
import pickle
import platform
from datetime import UTC, datetime
from importlib.metadata import packages_distributions, version
from numbers import Integral

import joblib
import torch
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from skall.backbones.registry import describe_source, get_backbone
from skall.classifier import CNNClassifier
from skall.comparison.estimators import list_components, list_networks
from skall.environment.versions import PACKAGES, list_versions
from skall.images.rows import FileImages
from skall.network.device import describe_device, resolve_device
from skall.network.precision import choose_numerics
from skall.network.summary import measure_backbone, summarize
from skall.search import is_list

# Modules whose packages are in every fingerprint already, or that have none.
_KNOWN = {"skall", "sklearn", "skorch", "imblearn", "torch", "torchvision", "numpy", "builtins"}
# Parameters that do not change the scores.
_NEUTRAL = ("verbose", "memory", "keep_on_device")
# Parameters that hold estimators, which are described themselves.
_NESTED = ("steps", "transformer_list", "transformers", "estimators")


def make_fingerprint(estimators, X, y, groups, folds, images=None, *, by_name=False, **settings):
    """All that decides the numbers of a comparison, as a flat dict of texts.

    Parameters
    ----------
    estimators : dict of str to estimator
    X, y, groups
        The samples, their labels and their groups or None. Arrays enter by their content, files
        by their paths, sizes and times of change.
    folds : list of Fold
    images : Images, optional
        X, where it holds images.
    by_name : bool, default=False
        Whether the estimators take the seed of the fold.
    **settings
        Further values that JSON can hold.

    Returns
    -------
    dict
    """
    described = {}
    for name, estimator in estimators.items():
        described |= _fingerprint_estimator(name, estimator, by_name)
    paths = images.paths if isinstance(images, FileImages) else []
    return {
        **{f"version of {package}": version for package, version in list_versions().items()},
        **settings,
        "estimators": list(estimators),
        **described,
        "X": joblib.hash(X),
        "files": {path: _describe_file(path) for path in paths},
        "y": joblib.hash(y),
        "groups": joblib.hash(groups),
        "folds": {fold.title: joblib.hash((fold.train, fold.test)) for fold in folds},
    }


def make_prefix(name):
    """The start of the keys of an estimator in a fingerprint."""
    return f"estimator {name!r}, "


def find_known_networks(estimators, by_name, earlier):
    """The descriptions of networks whose estimators are as in an earlier call."""
    return {
        name: network
        for name, network in earlier.get("networks", {}).items()
        if name in estimators
        and _fingerprint_estimator(name, estimators[name], by_name).items() <= earlier.items()
    }


def _fingerprint_estimator(name, estimator, by_name):
    """Parameters, versions of packages of their own, and how networks are computed, as texts."""
    params = {"class": type(estimator), **estimator.get_params()}
    described = {key: describe_value(value) for key, value in params.items() if key not in _NEUTRAL}
    described["seed"] = "the fold's" if by_name else "its own"
    modules = {type(part).__module__.partition(".")[0] for part in list_components(estimator)}
    modules -= _KNOWN
    distributions = packages_distributions() if modules else {}
    packages = {name for module in modules for name in distributions.get(module, ())}
    versions = list_versions(sorted(packages))
    described |= {f"version of {package}": version for package, version in versions.items()}
    networks = [_fingerprint_network(network) for network in list_networks(estimator)]
    described |= {"computed": "; ".join(networks)} if networks else {}
    return {f"{make_prefix(name)}{key}": value for key, value in described.items()}


def _fingerprint_network(network):
    """Package, device and precision of a network on this machine."""
    device = resolve_device(network.device)
    numerics = choose_numerics(network.precision, network.backbone, device)
    parts = [describe_source(network.backbone), describe_device(device)]
    return ", ".join(filter(None, [*parts, numerics.precision, numerics.memory_format]))


def _describe_file(path):
    """Size in bytes and time of change of a file."""
    status = os.stat(path)
    return [status.st_size, status.st_mtime_ns]


def describe_value(value):
    """A text that is equal for equal parameters, in this process and in the next."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    if inspect.isclass(value) or inspect.isroutine(value):
        body = f" {_hash_function(value)}" if hasattr(value, "__code__") else ""
        return f"{value.__module__}.{value.__qualname__}{body}"
    try:
        return f"{type(value).__qualname__} {joblib.hash(value)}"
    except (pickle.PicklingError, AttributeError, TypeError):
        # It holds a function without a name.
        content = pickle.dumps(joblib.wrap_non_picklable_objects(value, keep_wrapper=False))
        return f"{type(value).__qualname__} {joblib.hash(content)}"


def _hash_function(function):
    """A hash of a function's code, and of the values that it has bound."""
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    bound = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).items(), *cells]
    return joblib.hash((_list_code(function.__code__), [describe_value(value) for value in bound]))


def _list_code(code):
    constants = [_list_code(c) if inspect.iscode(c) else repr(c) for c in code.co_consts]
    return code.co_code, code.co_names, constants


def describe_estimators(candidates, baselines, n_classes, known=None):
    """The class, parameters and network of each estimator, for readers and the report.

    `known` are networks that an earlier call described, by the name of their estimator. Each
    estimator has ``class``; ``baseline``, whether it is one; ``steps``, the classes of a pipeline's
    steps; ``params``, texts by name; ``network``, see :func:`describe_network`.
    """
    known = known or {}
    return {
        name: {
            "class": type(estimator).__name__,
            "baseline": name in baselines,
            "steps": [type(step).__name__ for _, step in getattr(estimator, "steps", [])],
            "params": _list_params(estimator),
            "network": known[name] if name in known else describe_network(estimator, n_classes),
        }
        for name, estimator in candidates.items()
    }


def _list_params(estimator):
    """Parameters as texts; of a pipeline those of its steps."""
    return {
        name: repr(value) if _is_plain(value) else describe_value(value)
        for name, value in estimator.get_params(deep=True).items()
        if not (hasattr(value, "get_params") or name.rpartition("__")[2] in _NESTED)
    }


def _is_plain(value):
    """Whether a value consists of numbers and texts, few enough to be read."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, (list, tuple, set)):
        return len(value) <= 50 and all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))


def describe_network(estimator, n_classes):
    """Size and origin of the networks in an estimator; None without any.

    ``trainable``, ``non_trainable``: numbers of parameters; ``macs``: multiply-accumulates for one
    image; all summed over several networks. ``trained``: which part, in words. ``backbone``: the
    names of all. Of the first alone ``weights``, ``image_size``, ``feature_shape``, ``mean``,
    ``std``, ``license``, ``url``, and ``precision`` and ``memory_format`` on this machine.
    """
    networks = list_networks(estimator)
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
    """The trained part of a network, in words."""
    # Of a feature extractor the estimator that learns from the features is the head.
    trainable = getattr(network, "trainable", "head")
    words = {"all": "the whole network", "head": "the head alone"}
    return words.get(trainable, f"the last {trainable} stages and the head")


def _measure(network, n_classes):
    if isinstance(network, CNNClassifier):
        return summarize(network, n_classes)
    backbone = get_backbone(network.backbone)
    size = measure_backbone(backbone, network.image_size or backbone.input_size)
    return size | {"trainable": 0, "non_trainable": size["parameters"] + size["statistics"]}


def describe_search(search):
    """The entries in the fingerprint of a search that ``plan_search`` gives."""
    if search is None:
        return {}
    described = {"strategy": search["strategy"], "trials": str(search["trials"])}
    if search["strategy"] == "optuna":
        described["version of optuna"] = version("optuna")
    for parameter, values in search["space"].items():
        listed = values if is_list(values) else [values]
        described[f"tune {parameter}"] = ", ".join(map(describe_value, listed))
    return described


def describe_cv(cv, grouped, by_group=False):
    """How the samples were split, in words."""
    if isinstance(cv, Integral):
        splitter = StratifiedGroupKFold if grouped else StratifiedKFold
        what = " of one sample of each patient and class" if by_group else ""
        return f"{splitter.__name__}{what}, {cv} folds, shuffled from the seed"
    return repr(cv) if hasattr(cv, "split") else "folds given as positions"


def describe_protocol(**settings):
    """Settings with the versions, the machine and the time."""
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
    """The processor's name, which Python does not tell on Linux."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.partition(":")[2].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
