"""The folder of a comparison: what was asked, the folds that are finished, and the tables.

``comparison.json`` holds the fingerprint of the call, ``folds/<estimator>/<repeat>-<fold>.json``
the result of each finished fold, and ``folds/<estimator>/<repeat>-<fold>/`` its network where
weights are kept; ``cache`` what the folds share. While a process works there, ``lock.json`` says
which.
"""

import inspect
import json
import os
import pickle
import socket
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

import joblib

from skall.classifier import CNNClassifier
from skall.classifier.persistence import is_saved
from skall.files import write_json
from skall.images.rows import FileImages

_VERSIONS = ("skall", "torch", "scikit-learn")


class Record:
    """The folder of a comparison.

    Parameters
    ----------
    folder : path-like
        Made when there is something to write.
    keep_weights : bool, default=False
        Keep fitted networks too; a fold without its network counts as not finished then.

    Attributes
    ----------
    earlier : dict or None
        The fingerprint of the comparison that the folder already holds.
    cache : pathlib.Path
        The folder that estimators keep decoded images and features in.
    """

    def __init__(self, folder, keep_weights=False):
        self.folder = Path(folder)
        self.keep_weights = keep_weights
        self.cache = self.folder / "cache"
        self._fingerprint = self.folder / "comparison.json"
        self._lock = self.folder / "lock.json"
        self._holder = None
        self.earlier = _read_json(self._fingerprint)

    @contextmanager
    def hold(self):
        """Keep every other process out of the folder for a while.

        Raises
        ------
        ValueError
            If a process that may still run holds it; the message says which.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        holder = json.dumps(_describe_process())
        _take(self._lock, holder)
        self._holder = holder
        try:
            # Another process may have been at work here since it was read.
            self.earlier = _read_json(self._fingerprint)
            # What a killed process was writing.
            for partial in self.folder.rglob(".*.partial"):
                partial.unlink(missing_ok=True)
            yield
        finally:
            if _read_lock(self._lock) == holder:
                self._lock.unlink()

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
            _explain(key, self.earlier.get(key), fingerprint.get(key))
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

    def read(self, name, fold, has_network=False):
        """That result, or None before it is finished, with its network where weights are kept."""
        if self.earlier is None:
            return None
        path = self.path(name, fold)
        result = _read_json(path)
        if result is not None and not _is_result(result, len(fold.test)):
            raise ValueError(
                f"{str(path)!r} is damaged (it is no result of this fold); delete it and repeat "
                "the call"
            )
        if result is None or not self.keep_weights:
            return result
        # A search may have chosen what is no network; without keeping, nobody has noted it.
        lacks = result.get("network", has_network) and not is_saved(path.with_suffix(""))
        return None if lacks else result

    def write(self, name, fold, result, fitted=None):
        """Keep that result, and where weights are kept the fitted estimator, if it is a network.

        Raises
        ------
        RuntimeError
            If the folder is no longer held by the process that began: workers outlive it for a
            while where it is killed, and the folder may be another's by then.
        """
        if _read_lock(self._lock) != self._holder:
            raise RuntimeError(
                f"the folder {str(self.folder)!r} was given up or taken over meanwhile; the result "
                f"of {name!r} on {fold.title} is not written there"
            )
        path = self.path(name, fold)
        if self.keep_weights:
            result = result | {"network": isinstance(fitted, CNNClassifier)}
            if result["network"]:
                fitted.save(path.with_suffix(""))
        # Last: with it, the fold is finished.
        write_json(path, result)


def _explain(key, there, now):
    """What differs; of many parts, such as files, which."""
    if not (isinstance(there, dict) and isinstance(now, dict)):
        return f"{key}: {there} there, {now} now"
    changed = [part for part in there | now if there.get(part) != now.get(part)]
    some = ", ".join(map(repr, changed[:3])) + (", ..." if len(changed) > 3 else "")
    return f"{key}: {len(changed)} of {len(there | now)} differ, {some}"


def _is_result(content, n_samples):
    """Whether JSON is what :func:`skall.comparison.evaluation.evaluate_fold` writes."""
    if not isinstance(content, dict) or not {"scores", "proba", "seconds"} <= content.keys():
        return False
    return content["proba"] is None or len(content["proba"]) == n_samples


def _take(lock, content):
    """Make the lock file, once whatever a dead process left is out of the way."""
    try:
        with lock.open("x", encoding="utf-8") as file:
            file.write(content)
        return
    except FileExistsError:
        holder = _read_lock(lock)
    if holder is not None and not _is_stale(holder):
        raise ValueError(_explain_lock(lock, holder))
    # Moved first, so that of two processes that find it stale only one has it.
    aside = lock.with_name(f".{lock.name}.{os.getpid()}.partial")
    try:
        os.replace(lock, aside)
    except FileNotFoundError:
        return _take(lock, content)
    if (found := _read_lock(aside)) != holder:
        os.replace(aside, lock)
        raise ValueError(_explain_lock(lock, found))
    aside.unlink()
    return _take(lock, content)


def _describe_process():
    """What tells this process from every other."""
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "started": _read_start(os.getpid()),
    }


def _read_start(pid):
    """When a process started, in ticks since the machine did; None where Linux does not say.

    Numbers of processes are used again, in a container at every start.
    """
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name, in brackets, may hold anything; the start is the 22nd field, the 20th after it.
    return int(status.rpartition(")")[2].split()[19])


def _is_stale(content):
    """Whether a lock is that of a process of this machine that has ended."""
    try:
        holder = json.loads(content)
        pid, host, started = holder["pid"], holder["host"], holder["started"]
    except (ValueError, TypeError, KeyError):
        return False
    # On Windows, asking for a process with os.kill would end it.
    if host != socket.gethostname() or os.name != "posix":
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return started is not None and _read_start(pid) != started


def _explain_lock(lock, content):
    """Who holds a folder, and what to do."""
    try:
        holder = json.loads(content)
        who = f"process {holder['pid']} on {holder['host']}, since {holder['since']}"
    except (ValueError, TypeError, KeyError):
        who = "a process that cannot be told"
    return (
        f"the folder {str(lock.parent)!r} is in use by {who}. Wait until it has ended, or give "
        f"another folder as `out`; if it has ended already, delete {str(lock)!r}"
    )


def _read_lock(path):
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


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
