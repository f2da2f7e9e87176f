"""What decides the numbers of a comparison, so that a folder knows whether it is the same one."""

import inspect
import os
import pickle
from importlib.metadata import packages_distributions

import joblib

from skall.backbones.registry import describe_source
from skall.comparison.parts import find_networks, list_parts
from skall.environment.versions import list_versions
from skall.images.rows import FileImages
from skall.network.device import describe_device, resolve_device
from skall.network.precision import choose_numerics

# Modules whose packages are named once for all, or that have none.
_KNOWN = {"skall", "sklearn", "skorch", "imblearn", "torch", "torchvision", "numpy", "builtins"}


def describe_call(estimators, X, y, groups, folds, images=None, *, by_name=False, **settings):
    """What decides the numbers of a comparison, as a flat dict of texts.

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
    """
    own = {}
    for name, estimator in estimators.items():
        own |= _describe_estimator(name, estimator, by_name)
    paths = images.paths if isinstance(images, FileImages) else []
    return {
        **{f"version of {package}": version for package, version in list_versions().items()},
        **settings,
        "estimators": list(estimators),
        **own,
        "X": joblib.hash(X),
        "files": {path: _describe_state(path) for path in paths},
        "y": joblib.hash(y),
        "groups": joblib.hash(groups),
        "folds": {fold.title: joblib.hash((fold.train, fold.test)) for fold in folds},
    }


def start_of(name):
    """How the keys of an estimator begin."""
    return f"estimator {name!r}, "


def find_known(estimators, by_name, remembered):
    """The networks of estimators that are as they were in an earlier call.

    Parameters
    ----------
    estimators : dict of str to estimator
    by_name : bool
    remembered : dict
        The fingerprint of that call, with ``networks``, what they are by name.

    Returns
    -------
    dict of str to (dict or None)
    """
    return {
        name: network
        for name, network in remembered.get("networks", {}).items()
        if name in estimators
        and _describe_estimator(name, estimators[name], by_name).items() <= remembered.items()
    }


def _describe_estimator(name, estimator, by_name):
    """Parameters, versions of packages of their own, and how networks are computed, as texts."""
    params = {"class": type(estimator), **estimator.get_params()}
    described = {
        key: describe_value(value)
        for key, value in params.items()
        if key not in ("verbose", "memory", "keep_on_device")
    }
    described["seed"] = "the fold's" if by_name else "its own"
    foreign = {type(part).__module__.partition(".")[0] for part in list_parts(estimator)} - _KNOWN
    distributions = packages_distributions() if foreign else {}
    packages = {name for module in foreign for name in distributions.get(module, ())}
    versions = list_versions(sorted(packages))
    described |= {f"version of {package}": version for package, version in versions.items()}
    networks = [_describe_network(network) for network in find_networks(estimator)]
    described |= {"computed": "; ".join(networks)} if networks else {}
    return {f"{start_of(name)}{key}": value for key, value in described.items()}


def _describe_network(network):
    """Package, device and precision of a network as they are here."""
    device = resolve_device(network.device)
    numerics = choose_numerics(network.precision, network.backbone, device)
    parts = [describe_source(network.backbone), describe_device(device)]
    return ", ".join(filter(None, [*parts, numerics.precision, numerics.memory_format]))


def _describe_state(path):
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
    """What a function computes: its code, and the values that it has bound."""
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    bound = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).items(), *cells]
    return joblib.hash((_list_code(function.__code__), [describe_value(value) for value in bound]))


def _list_code(code):
    constants = [_list_code(c) if inspect.iscode(c) else repr(c) for c in code.co_consts]
    return code.co_code, code.co_names, constants
