"""What decides the numbers of a comparison, so that a folder knows whether it is the same one."""

import inspect
import os
import pickle
from importlib.metadata import version

import joblib

from skall.images.rows import FileImages

_VERSIONS = ("skall", "torch", "scikit-learn")


def describe_call(estimators, X, y, groups, folds, images=None, **settings):
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
    **settings
        Further values that JSON can hold.
    """
    parameters = {
        f"estimator {name!r}, {parameter}": describe_value(value)
        for name, estimator in estimators.items()
        for parameter, value in {"class": type(estimator), **estimator.get_params()}.items()
        if parameter not in ("verbose", "memory", "keep_on_device")
    }
    paths = images.paths if isinstance(images, FileImages) else []
    return {
        **{f"version of {package}": version(package) for package in _VERSIONS},
        **settings,
        "estimators": list(estimators),
        **parameters,
        "X": joblib.hash(X),
        "files": {path: _describe_state(path) for path in paths},
        "y": joblib.hash(y),
        "groups": joblib.hash(groups),
        "folds": {fold.title: joblib.hash((fold.train, fold.test)) for fold in folds},
    }


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
