"""The folder of a comparison: what was asked, the folds that are finished, and the tables.

``comparison.json`` holds the fingerprint of the call, ``folds/<estimator>/<repeat>-<fold>.json``
the result of each finished fold, and ``folds/<estimator>/<repeat>-<fold>/`` its network where
weights are kept; ``cache`` what the folds share; ``written.json`` what tables and page were made
of. While a process works there, ``lock.json`` says which.
"""

import json
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from skall.classifier import CNNClassifier
from skall.classifier.persistence import is_saved
from skall.comparison.fingerprint import start_of
from skall.comparison.lock import Lock
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
        The fingerprint of the comparison that the folder already holds.
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
    def hold(self):
        """Have the folder alone for a while, as :meth:`skall.comparison.lock.Lock.hold` says."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._lock.hold():
            # Another process may have been at work here since it was read.
            self.earlier = _read_json(self._fingerprint)
            # What a killed process was writing.
            for partial in self.folder.rglob(".*.partial"):
                partial.unlink(missing_ok=True)
            yield

    def begin(self, fingerprint, about):
        """Take the folder for one comparison, which may add estimators to those of before.

        What estimators that are not asked for now have left stays for a later call.

        Parameters
        ----------
        fingerprint : dict
            See :func:`skall.comparison.fingerprint.describe_call`.
        about : dict of str to dict
            What each estimator is, see
            :func:`skall.comparison.description.describe_estimators`.

        Raises
        ------
        ValueError
            If it holds another one; the message says what differs.
        """
        if not any(self.folder.glob("folds/*/*.json")):
            self.earlier = None
        earlier = self.earlier or {"estimators": [], "networks": {}}
        if self.earlier:
            self._compare(earlier, fingerprint)
        names = [*dict.fromkeys([*earlier["estimators"], *fingerprint["estimators"]])]
        networks = {name: what["network"] for name, what in about.items()}
        networks = earlier.get("networks", {}) | networks
        together = earlier | fingerprint | {"estimators": names, "networks": networks}
        if together != self.earlier:
            write_json(self._fingerprint, together, indent=1)

    def _compare(self, earlier, fingerprint):
        """Raise where what decides the numbers of both calls differs."""
        only_one = {*earlier["estimators"]} ^ {*fingerprint["estimators"]}
        apart = ("estimators", "networks", *map(start_of, only_one))
        differences = [
            _explain(key, earlier.get(key), fingerprint.get(key))
            for key in fingerprint | earlier
            if earlier.get(key) != fingerprint.get(key) and not key.startswith(apart)
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
        """Where the result of one estimator on one fold lies."""
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
        # A search may have chosen what is no network; without keeping, nobody has noted it.
        lacks = result.get("network", has_network) and not is_saved(path.with_suffix(""))
        return None if lacks else result

    def write(self, name, fold, result, fitted=None):
        """Keep that result, and where weights are kept the fitted estimator, if it is a network.

        Raises
        ------
        RuntimeError
            If the folder is no longer held by the process that began.
        """
        if not self._lock.is_held():
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

    def write_outputs(self, comparison):
        """Write tables, figures and page, if they are not there as they would be written.

        Parameters
        ----------
        comparison : Comparison
        """
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


def _read_json(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as exc:
        raise ValueError(
            f"{str(path)!r} is damaged ({exc}); delete it and repeat the call"
        ) from exc
