"""Costs of an estimator, independent of the order of the estimators, and a table of budgets."""

import ctypes
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from skall.cache.memory import IN_PROCESS, without_cache
from skall.cache.shared_time import SHARED_TIME
from skall.environment.private_names import select_rows
from skall.features.shortcuts import find_images
from skall.images.formats import UnreadableImageError
from skall.network.blocks import BLOCK
from skall.network.frozen import LAST_TRUNK

# Seconds after which no further prediction is timed.
BUDGET = 0.1


class FitCosts:
    """The time and memory of a fit, measured while a context lasts.

    Attributes
    ----------
    seconds : float
        Without `shared_seconds`.
    shared_seconds : float
        The time of reading images and computing features of frozen trunks.
    peak_memory : int or None
        The largest rise of the process's resident memory in bytes, without what its cache has kept,
        but with a frozen trunk that an earlier fit has built, if it is used; None except on Linux.
    """

    def __enter__(self):
        # Else memory that earlier estimators have freed would be missing from the rise.
        _return_freed_memory()
        self._resident = _reset_peak()
        self._kept = IN_PROCESS.nbytes
        self._trunk = LAST_TRUNK.describe()
        self._shared = SHARED_TIME.seconds
        self._started = time.perf_counter()
        return self

    def __exit__(self, *raised):
        elapsed = time.perf_counter() - self._started
        self.shared_seconds = SHARED_TIME.seconds - self._shared
        self.seconds = elapsed - self.shared_seconds
        peak = _read_status("VmHWM")
        self.peak_memory = None
        if self._resident is not None and peak is not None:
            rise = peak - self._resident - max(IN_PROCESS.nbytes - self._kept, 0)
            (before, n_bytes), (now, _) = self._trunk, LAST_TRUNK.describe()
            # Weak references are equal where both are to the same living object.
            is_used = now is not None and now == before and LAST_TRUNK.is_used
            self.peak_memory = max(rise, 0) + (n_bytes if is_used else 0)


def measure_latency(predict, X, depth=None):
    """Milliseconds that a prediction takes for an image.

    Always 16 decoded images, a block of :mod:`skall.network.blocks`, are predicted together without
    a cache, so that a frozen trunk counts as well. The first pass is not timed; of the following
    passes the quickest counts.

    Parameters
    ----------
    predict : callable
        Takes samples.
    X : array-like
        The first 16 samples are used, repeated if there are fewer; not decoded where `predict`
        begins with the user's own reader.
    depth : int, optional
        As in :func:`skall.compare`.

    Returns
    -------
    float
        NaN where it raises: the predictions of the fold should not be lost because of it.
    """
    n_samples = X.shape[0] if hasattr(X, "shape") else len(X)
    rows = select_rows(X, np.arange(BLOCK) % n_samples)
    images = find_images(rows, depth)
    decoded = rows
    # Files that are no images are read by the user's own reader.
    with suppress(UnreadableImageError):
        decoded = [images.open(row) for row in range(BLOCK)] if hasattr(images, "paths") else rows
    with without_cache():
        for samples in (decoded, rows):
            # Any exception of a reader that gets images instead of paths.
            with suppress(Exception):
                return 1000 * _time(partial(predict, samples)) / BLOCK
    return np.nan


def _time(function):
    """Seconds of the quickest call after the first, of as many as take a tenth of a second."""
    function()
    quickest, spent = np.inf, 0.0
    while spent < BUDGET:
        started = time.perf_counter()
        function()
        seconds = time.perf_counter() - started
        # Counted as longer, where a clock hardly moves.
        spent += max(seconds, BUDGET / 20)
        quickest = min(quickest, seconds)
    return quickest


def _return_freed_memory():
    """Return freed memory to the system, where the C library is glibc."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _reset_peak():
    """Reset the peak of the resident memory; its bytes now on Linux, None elsewhere."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return None
    return _read_status("VmRSS")


def _read_status(name):
    """An entry of this process in bytes on Linux, None elsewhere."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    kib = (line.split()[1] for line in lines.splitlines() if line.startswith(f"{name}:"))
    return next((1024 * int(number) for number in kib), None)


def tabulate_budgets(comparison):
    """Size, training and cost of each estimator.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    DataFrame
        Indexed by estimator in the order of the scores. ``trainable``, ``non_trainable``: numbers
        of parameters; ``macs``: multiply-accumulates for an image; ``image_size`` in pixels;
        ``epochs``: mean over the folds; ``trials``: combinations of parameters tried in a fold;
        ``fit_seconds``, ``shared_seconds``, ``predict_ms``, ``peak_memory``: its costs. NaN where
        they are not known or do not apply.

    Notes
    -----
    Costs do not depend on the order of the estimators; they are medians over the folds because
    libraries take more time when they are first used. ``fit_seconds`` is the time of ``fit``
    without reading images and computing the features of frozen trunks, which caches keep for other
    estimators, folds and epochs. That time is ``shared_seconds``, the sum over all folds: much for
    the first estimator that needs them and little for the others. ``predict_ms`` is the time per
    image of labels and probabilities, for 16 decoded images of the first fold that are predicted
    together without a cache, so that frozen trunks compute. ``peak_memory`` is the rise of the
    process's resident memory during ``fit`` in bytes, without what a cache keeps; it is known on
    Linux alone, and without the memory of a GPU and of processes that a search starts.
    """
    names = comparison.scores_["estimator"].unique()
    table = pd.DataFrame(index=pd.Index(names, name="estimator"))
    networks = {name: about.get("network") for name, about in comparison.estimators_.items()}
    for key in ("trainable", "non_trainable", "macs", "image_size"):
        table[key] = [(networks.get(name) or {}).get(key, np.nan) for name in names]
    table = table.astype(float)
    epochs = comparison.history_.groupby(["estimator", "repeat", "fold"]).size()
    table["epochs"] = epochs.groupby("estimator").mean()
    table["trials"] = [comparison.trials_.get(name, 1) for name in names]
    resources = comparison.resources_.groupby("estimator")
    table["fit_seconds"] = resources["fit_seconds"].median()
    table["shared_seconds"] = resources["shared_seconds"].sum(min_count=1)
    table["predict_ms"] = resources["predict_ms"].median()
    table["peak_memory"] = resources["peak_memory"].median()
    return table
