"""The folder of a comparison: what was asked, the folds that are finished, and the tables.

``comparison.json`` holds the fingerprint of the call, ``folds/<estimator>/<repeat>-<fold>.json``
the result of each finished fold.
"""

import inspect
import json
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
        differences = [
            f"{key}: {self.earlier.get(key)} there, {fingerprint.get(key)} now"
            for key in fingerprint | self.earlier
            if self.earlier.get(key) != fingerprint.get(key)
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
        code = getattr(value, "__code__", None)
        constants = [] if code is None else [c for c in code.co_consts if not inspect.iscode(c)]
        body = "" if code is None else f" {joblib.hash((code.co_code, constants))}"
        return f"{value.__module__}.{value.__qualname__}{body}"
    return f"{type(value).__qualname__} {joblib.hash(value)}"
