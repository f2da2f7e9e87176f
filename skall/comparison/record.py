"""The folder of a comparison: what was asked, the folds that are finished, and the tables.

``comparison.json`` holds the fingerprint of the call, ``folds/<estimator>/<repeat>-<fold>.json``
the result of each finished fold.
"""

import inspect
import json
import pickle
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

import joblib

from skall.files import write_file

_VERSIONS = ("skall", "torch", "scikit-learn")


def write_json(path, content, indent=None):
    """Write JSON as :func:`skall.files.write_file` does."""
    text = json.dumps(content, indent=indent)
    write_file(path, lambda partial: partial.write_text(text, encoding="utf-8"))


class Record:
    """The folder of a comparison.

    Parameters
    ----------
    folder : path-like
        Made when there is something to write.

    Attributes
    ----------
    earlier : dict or None
        The fingerprint of the comparison that the folder already holds.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self._fingerprint = self.folder / "comparison.json"
        self.earlier = _read_json(self._fingerprint)

    def begin(self, fingerprint):
        """Take the folder for one comparison.

        Raises
        ------
        ValueError
            If it holds another one; the message says what differs.
        """
        if self.earlier is None or not any(self.folder.glob("folds/*/*.json")):
            self.earlier = None
            write_json(self._fingerprint, fingerprint, indent=1)
            return
        # Of an estimator that only one of the two has, the name says enough.
        shared = {*self.earlier, *fingerprint} - _list_own(self.earlier, fingerprint)
        differences = [
            f"{key}: {self.earlier.get(key)} there, {fingerprint.get(key)} now"
            for key in fingerprint | self.earlier
            if key in shared and self.earlier.get(key) != fingerprint.get(key)
        ]
        if differences:
            raise ValueError(
                f"the folder {str(self.folder)!r} holds another comparison: "
                f"{'; '.join(differences)}. Give another folder as `out`, delete this one, or "
                "repeat the same call to resume"
            )

    def path(self, name, fold):
        """Where the result of one estimator on one fold lies."""
        return self.folder / "folds" / quote(name, safe="") / f"{fold.repeat}-{fold.fold}.json"

    def read(self, name, fold):
        """That result, or None before it is finished."""
        return None if self.earlier is None else _read_json(self.path(name, fold))


def _list_own(earlier, fingerprint):
    """The keys of estimators that only one of two fingerprints has."""
    names = {*earlier["estimators"]} ^ {*fingerprint["estimators"]}
    starts = tuple(f"estimator {name!r}, " for name in names)
    return {key for key in earlier | fingerprint if key.startswith(starts)}


def _read_json(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as exc:
        raise ValueError(
            f"{str(path)!r} is damaged ({exc}); delete it and repeat the call"
        ) from exc


def describe_call(estimators, X, y, groups, folds, **settings):
    """What decides the numbers of a comparison, as a flat dict of texts.

    Parameters
    ----------
    estimators : dict of str to estimator
    X, y, groups
        The samples, their labels and their groups or None. Arrays enter by their content, files
        by their paths.
    folds : list of Fold
    **settings
        Further values that JSON can hold.
    """
    parameters = {
        f"estimator {name!r}, {parameter}": describe_value(value)
        for name, estimator in estimators.items()
        for parameter, value in {"class": type(estimator), **estimator.get_params()}.items()
        if parameter not in ("verbose", "memory", "keep_on_device")
    }
    return {
        **{f"version of {package}": version(package) for package in _VERSIONS},
        **settings,
        "estimators": list(estimators),
        **parameters,
        "X": joblib.hash(X),
        "y": joblib.hash(y),
        "groups": joblib.hash(groups),
        "folds": joblib.hash([(fold.train, fold.test) for fold in folds]),
    }


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
