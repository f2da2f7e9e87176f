"""The folder of a comparison while it runs: its fingerprint, finished folds, and a lock.

``comparison.json`` holds the fingerprint, ``folds/<estimator>/<repeat>-<fold>.json`` the result of
each finished fold, and ``folds/<estimator>/<repeat>-<fold>/`` its network where weights are kept;
``cache`` what the folds share; ``written.json`` the state of the tables and the page when they were
written. ``lock.json`` names the process that uses the folder.
"""

import json
import os
import socket
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from skall.classifier import CNNClassifier
from skall.classifier.saving import is_saved
from skall.comparison.description import make_prefix
from skall.persistence.files import write_json


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
        The fingerprint of the comparison that the folder holds already.
    cache : pathlib.Path
        The folder that estimators keep decoded images and features in.
    """

    def __init__(self, folder, keep_weights=False):
        self.folder = Path(folder)
        self.keep_weights = keep_weights
        self.cache = self.folder / "cache"
        self._fingerprint = self.folder / "comparison.json"
        self._written = self.folder / "written.json"
        self._lock = Lock(self.folder / "lock.json")
        self.earlier = _read_json(self._fingerprint)

    @contextmanager
    def lock(self):
        """Keep other processes out of the folder, see :meth:`Lock.acquire`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._lock.acquire():
            # Another process may have changed it since it was read.
            self.earlier = _read_json(self._fingerprint)
            # Files that a killed process has left unfinished.
            for partial in self.folder.rglob(".*.partial"):
                partial.unlink(missing_ok=True)
            yield

    def begin(self, fingerprint, estimators):
        """Store the fingerprint of a comparison, and the networks that `estimators` describe.

        A comparison may add estimators to those of before, whose results stay for a later call.
        Raises ValueError if the folder holds another comparison; the message says what differs.
        """
        if not any(self.folder.glob("folds/*/*.json")):
            self.earlier = None
        earlier = self.earlier or {"estimators": [], "networks": {}}
        if self.earlier:
            self._check_same(earlier, fingerprint)
        names = [*dict.fromkeys([*earlier["estimators"], *fingerprint["estimators"]])]
        networks = {name: about["network"] for name, about in estimators.items()}
        networks = earlier.get("networks", {}) | networks
        together = earlier | fingerprint | {"estimators": names, "networks": networks}
        if together != self.earlier:
            write_json(self._fingerprint, together, indent=1)

    def _check_same(self, earlier, fingerprint):
        """Raise where what decides the numbers of both calls differs."""
        in_one_only = {*earlier["estimators"]} ^ {*fingerprint["estimators"]}
        ignored = ("estimators", "networks", *map(make_prefix, in_one_only))
        differences = [
            _describe_difference(key, earlier.get(key), fingerprint.get(key))
            for key in fingerprint | earlier
            if earlier.get(key) != fingerprint.get(key) and not key.startswith(ignored)
        ]
        folded = {name.casefold(): name for name in earlier["estimators"]}
        differences += [
            f"estimator {name!r}: {folded[name.casefold()]!r} there, whose folder is the same to "
            "systems that ignore case"
            for name in fingerprint["estimators"]
            if folded.get(name.casefold(), name) != name
        ]
        if differences:
            raise ValueError(
                f"the folder {str(self.folder)!r} holds another comparison: "
                f"{'; '.join(differences)}. Give another folder as `out`, delete this one, or "
                "repeat the same call, with the same packages and device, to resume"
            )

    def path(self, name, fold):
        """The file for the result of an estimator on a fold."""
        return self.folder / "folds" / quote(name, safe="") / f"{fold.repeat}-{fold.fold}.json"

    def read(self, name, fold, has_network=False):
        """That result, or None before it is finished, with its network where weights are kept."""
        if self.earlier is None or name not in self.earlier["estimators"]:
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
        # Noted where weights were kept: a search may have chosen an estimator without a network.
        lacks = result.get("network", has_network) and not is_saved(path.with_suffix(""))
        return None if lacks else result

    def write(self, name, fold, result, fitted=None):
        """Store that result, and where weights are kept the fitted estimator, if it is a network.

        Raises RuntimeError if the process that began no longer has the lock.
        """
        if not self._lock.is_acquired():
            raise RuntimeError(
                f"the folder {str(self.folder)!r} was given up or taken over meanwhile; the result "
                f"of {name!r} on {fold.title} is not written there"
            )
        path = self.path(name, fold)
        if self.keep_weights:
            result = result | {"network": isinstance(fitted, CNNClassifier)}
            if result["network"]:
                fitted.save(path.with_suffix(""))
        # Last: with this file, the fold is finished.
        write_json(path, result)

    def write_outputs(self, comparison):
        """Write tables, figures and page, unless they are there and unchanged."""
        content = comparison.digest()
        written = _read_json(self._written)
        if written is None or written != {"content": content, "files": self._list_outputs()}:
            self._written.unlink(missing_ok=True)
            comparison.write(self.folder)
            write_json(self._written, {"content": content, "files": self._list_outputs()})

    def _list_outputs(self):
        """Size and time of change of the files that a comparison writes, by name."""
        own = (self._fingerprint, self._written, self._lock.path)
        return {
            path.relative_to(self.folder).as_posix(): [status.st_size, status.st_mtime_ns]
            for path in sorted([*self.folder.glob("*.*"), *self.folder.glob("cells/*")])
            if path not in own and path.is_file() and (status := path.stat())
        }


def _describe_difference(key, earlier, now):
    """What differs; of a dict, as of files, how many entries and the first of them."""
    if not (isinstance(earlier, dict) and isinstance(now, dict)):
        return f"{key}: {earlier} there, {now} now"
    changed = [part for part in earlier | now if earlier.get(part) != now.get(part)]
    some = ", ".join(map(repr, changed[:3])) + (", ..." if len(changed) > 3 else "")
    return f"{key}: {len(changed)} of {len(earlier | now)} differ, {some}"


def _is_result(content, n_samples):
    """Whether JSON looks like a result of :func:`skall.comparison.evaluation.evaluate_fold`."""
    if not isinstance(content, dict) or not {"scores", "proba", "seconds"} <= content.keys():
        return False
    return content["proba"] is None or len(content["proba"]) == n_samples


def _read_json(path):
    """The content of a JSON file, or None without a file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as exc:
        raise ValueError(
            f"{str(path)!r} is damaged ({exc}); delete it and repeat the call"
        ) from exc


class Lock:
    """A lock file, which can be pickled for the workers of the process that has it.

    Parameters
    ----------
    path : pathlib.Path
        In a folder that exists when the lock is acquired.
    """

    def __init__(self, path):
        self.path = path
        self._content = None

    @contextmanager
    def acquire(self):
        """Keep other processes out meanwhile; ValueError if one that may still run has the lock."""
        content = json.dumps(_describe_process())
        _make_lock(self.path, content)
        self._content = content
        try:
            yield
        finally:
            if self.is_acquired():
                self.path.unlink()

    def is_acquired(self):
        """Whether the process that acquired the lock still has it.

        Workers outlive a process that is killed for a while, and another process may have the lock
        by then.
        """
        return self._content is not None and _read_text(self.path) == self._content


def _make_lock(path, content):
    """Make a lock file, and remove that of a process that has ended."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(content)
        return
    except FileExistsError:
        found = _read_text(path)
    if found is not None and not _is_stale(found):
        raise ValueError(_describe_holder(path, found))
    # Moved first, so that of two processes that find it stale only one can remove it.
    aside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        os.replace(path, aside)
    except FileNotFoundError:
        return _make_lock(path, content)
    if (moved := _read_text(aside)) != found:
        os.replace(aside, path)
        raise ValueError(_describe_holder(path, moved))
    aside.unlink()
    return _make_lock(path, content)


def _describe_process():
    """What identifies this process."""
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "started": _read_start(os.getpid()),
    }


def _read_start(pid):
    """When a process started, in ticks since the machine did; None except on Linux.

    Numbers of processes are reused, in a container at every start.
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
    # On Windows os.kill would end the process.
    if host != socket.gethostname() or os.name != "posix":
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return started is not None and _read_start(pid) != started


def _describe_holder(path, content):
    """Which process has the lock, and what to do."""
    try:
        holder = json.loads(content)
        who = f"process {holder['pid']} on {holder['host']}, since {holder['since']}"
    except (ValueError, TypeError, KeyError):
        who = "a process that cannot be told"
    return (
        f"the folder {str(path.parent)!r} is in use by {who}. Wait until it has ended, or give "
        f"another folder as `out`; if it has ended already, delete {str(path)!r}"
    )


def _read_text(path):
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
