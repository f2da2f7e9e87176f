"""A comparison as runs of MLflow: one for the call, with a child run for each job."""

import math
import re
import time
from numbers import Real
from pathlib import Path

import joblib

from skall.comparison.description import make_prefix
from skall.environment.extras import import_extra
from skall.environment.private_names import find_experiment

TRACKERS = ("mlflow",)

# Characters that every store of MLflow 3 accepts (mlflow.utils.validation).
_NAME_LENGTH = 250
_VALUE_LENGTH = 6000


def make_tracker(tracking):
    """The tracker that logs a comparison, or None.

    Raises ImportError where a package is missing; the message says how to install it.
    """
    if tracking is None:
        return None
    if tracking not in TRACKERS:
        raise ValueError(
            f"tracking must be None or {' or '.join(map(repr, TRACKERS))}, got {tracking!r}"
        )
    if _import("mlflow").get_tracking_uri().startswith("sqlite:"):
        # MLflow's default, whose packages mlflow-skinny does not install; its own message would be
        # about a model registry.
        _import("sqlalchemy")
        _import("alembic")
    return MlflowTracker()


def _import(package):
    return import_extra(package, "tracking", "tracking='mlflow'")


class MlflowTracker:
    """Runs of MLflow while a context lasts.

    They are stored where MLflow's own settings say: ``MLFLOW_TRACKING_URI`` or
    ``mlflow.set_tracking_uri``, by default ``mlflow.db`` in the working folder (and ``mlruns``
    there for the files); ``MLFLOW_EXPERIMENT_NAME`` or ``mlflow.set_experiment``. They are nested
    in the active run, if there is one, which stays active.

    Attributes
    ----------
    run_id : str or None
        The run of the comparison, once it has begun. It ends with the context: ``FINISHED``,
        ``KILLED`` by the keyboard, or ``FAILED`` with any other exception.
    """

    # With the client, because the fluent functions of MLflow act on the active run, which may be
    # the user's or that of an estimator that logs itself.

    def __init__(self):
        self.run_id = None
        self._client = None
        self._open = []
        self._params = {}

    def __enter__(self):
        return self

    def begin(self, settings):
        """Start the run of the comparison, with the fingerprint as parameters.

        The entries of an estimator become parameters of its folds' runs. Of a dict, as of files,
        the length and a hash are logged.
        """
        from mlflow import MlflowClient, active_run

        self._client = MlflowClient()
        outer = active_run()
        self._experiment = outer.info.experiment_id if outer else find_experiment()
        self.run_id = self._start("skall compare", outer.info.run_id if outer else None)
        shared = dict(settings)
        for name in settings.get("estimators", ()):
            prefix = make_prefix(name)
            own = [key for key in settings if key.startswith(prefix)]
            self._params[name] = {
                f"params/{key.removeprefix(prefix)}": shared.pop(key) for key in own
            }
        self._log(self.run_id, params=shared)

    def log_fold(self, name, fold, result):
        """Log the result of an estimator on a fold as a run, FAILED where the estimator raised.

        A score that could not be computed is logged as NaN; an epoch's missing values are not.
        """
        seconds = {f"{part}_seconds": taken for part, taken in result["seconds"].items()}
        chosen = result.get("best_params", {})
        single = {
            **result["scores"],
            **seconds,
            **{key: result.get(key) for key in ("predict_ms", "peak_memory", "trials")},
        }
        epochs = dict(result.get("history", {}))
        numbers = epochs.pop("epoch", ())
        # Shortened: MLflow's databases have columns of 250 characters.
        title = f"{name[:200]}, {fold.title}"
        taken = 0 if "error" in result else sum(seconds.values())
        run_id = self._start(title, self.run_id, taken)
        params = {
            **{"estimator": name, "repeat": fold.repeat, "fold": fold.fold},
            **self._params.get(name, {}),
            **{f"best_params/{key}": value for key, value in chosen.items()},
            **{key: result[key] for key in ("error",) if key in result},
        }
        steps = [
            (column, value, epoch)
            for column, values in epochs.items()
            for epoch, value in zip(numbers, values, strict=True)
            # A column of the history that this epoch has not filled.
            if not (isinstance(value, float) and math.isnan(value))
        ]
        rows = [(key, value, 0) for key, value in single.items()]
        self._log(run_id, rows + steps, params)
        self._end("FAILED" if "error" in result else "FINISHED")

    def end(self, comparison, folder=None):
        """Log the mean of each metric over the folds as ``<estimator>/<metric>``, and the files.

        Subfolders of the comparison's folder are not logged.
        """
        means = comparison.scores_.groupby(["estimator", "metric"], sort=False)["value"].mean()
        # Shortened so that the metric always has room.
        keys = _make_keys(means.index.unique("estimator"), _NAME_LENGTH - 50)
        rows = [(f"{keys[name]}/{metric}", mean, 0) for (name, metric), mean in means.items()]
        self._log(self.run_id, rows)
        for path in sorted(Path(folder).iterdir()) if folder is not None else ():
            # The lock file is removed at the end.
            if path.is_file() and not path.name.startswith(".") and path.name != "lock.json":
                self._client.log_artifact(self.run_id, str(path))

    def __exit__(self, kind, *raised):
        if kind is None:
            status = "FINISHED"
        else:
            status = "KILLED" if issubclass(kind, KeyboardInterrupt) else "FAILED"
        while self._open:
            try:
                self._end(status)
            except Exception:
                # An unreachable store must not hide the exception that ended the comparison.
                if kind is None:
                    raise

    def _start(self, title, parent, seconds=0):
        """A new run that began some seconds ago."""
        from mlflow.tracking.context.registry import resolve_tags

        # The tags that MLflow gives to every run: user, script, commit.
        tags = resolve_tags({"mlflow.parentRunId": parent} if parent else {})
        run = self._client.create_run(
            self._experiment, _now() - round(1000 * seconds), tags, run_name=title
        )
        self._open.append(run.info.run_id)
        return run.info.run_id

    def _end(self, status):
        # Removed first: a run that cannot be ended is not tried again.
        self._client.set_terminated(self._open.pop(), status)

    def _log(self, run_id, rows=(), params=None):
        """Log parameters, and the numbers among (name, value, step) triples."""
        from mlflow.entities import Metric, Param

        params, now = params or {}, _now()
        keys = _make_keys(params)
        entries = [Param(keys[name], _shorten(value)) for name, value in params.items()]
        keys = _make_keys(dict.fromkeys(name for name, _, _ in rows))
        metrics = [
            Metric(keys[name], float(value), now, int(step))
            for name, value, step in rows
            if isinstance(value, Real)
        ]
        # The client makes requests of a size that servers accept. Not in the background, whatever
        # MLflow's settings say: the run must not end before.
        self._client.log_batch(run_id, metrics, entries, synchronous=True)


def _now():
    """Milliseconds since 1970."""
    return round(1000 * time.time())


def _shorten(value):
    """The text of a parameter."""
    if isinstance(value, dict):
        value = f"{len(value)}, hash {joblib.hash(value)}"
    text = str(value)
    return text if len(text) <= _VALUE_LENGTH else f"{text[: _VALUE_LENGTH - 3]}..."


def _make_keys(names, length=_NAME_LENGTH):
    """Keys that MLflow accepts, by name: "a+b" and "a&b" become "a_b" and "a_b 2".

    Names whose keys would be the same, also to systems that ignore case, are numbered from 2.
    """
    keys, taken = {}, set()
    for name in names:
        # A colon is possible, except in stores on Windows.
        text = re.sub(r"[^\w./ -]", "_", name)[: length - 10]
        # Keys are paths without empty parts, and without . and .. .
        parts = ("_" if part in ("", ".", "..") else part for part in text.split("/"))
        key = first = "/".join(parts)
        number = 2
        while key.casefold() in taken:
            key = f"{first} {number}"
            number += 1
        taken.add(key.casefold())
        keys[name] = key
    return keys
