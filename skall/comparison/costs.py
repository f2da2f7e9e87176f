"""What an estimator costs, measured the same way for all, wherever it stands among the others."""

import ctypes
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np

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
    """Seconds and bytes of what is done in a context.

    Attributes
    ----------
    seconds : float
        Without `shared_seconds`.
    shared_seconds : float
        For which images, and features of frozen trunks, were read or computed.
    peak_memory : int or None
        Bytes by which the resident memory of the process rose at most, without what the cache of
        this process has kept, and with a frozen trunk that was there already and is used; None
        where the system does not tell (it does on Linux).
    """

    def __enter__(self):
        # Memory that earlier estimators have freed is not what this one needs.
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
            # References to one object are equal, and such as have lost it are not.
            is_used = now is not None and now == before and LAST_TRUNK.is_used
            self.peak_memory = max(rise, 0) + (n_bytes if is_used else 0)


def measure_latency(predict, X, depth=None):
    """Milliseconds that a prediction takes for an image.

    Always 16 images, a block of :mod:`skall.network.blocks`, are predicted together: decoded
    before, and with nothing read from a cache, so that a frozen trunk counts as well. The first
    pass prepares what is made at a first prediction; of those after it, the quickest counts.

    Parameters
    ----------
    predict : callable
        Takes samples.
    X : array-like
        Samples, of which the first are taken, again and again where they are fewer than 16. Where
        `predict` takes no decoded images, because it begins with a reader of the user's own, they
        are taken as they stand.
    depth : int, optional
        As in :func:`skall.compare`.

    Returns
    -------
    float
        NaN where it raises: what was predicted before is not to be lost for its cost.
    """
    n_samples = X.shape[0] if hasattr(X, "shape") else len(X)
    rows = select_rows(X, np.arange(BLOCK) % n_samples)
    images = find_images(rows, depth)
    decoded = rows
    # Files that are no images are for readers of the user's own.
    with suppress(UnreadableImageError):
        decoded = [images.open(row) for row in range(BLOCK)] if hasattr(images, "paths") else rows
    with without_cache():
        for samples in (decoded, rows):
            # Whatever a reader raises that finds no paths.
            with suppress(Exception):
                return 1000 * _time(partial(predict, samples)) / BLOCK
    return np.nan


def _time(function):
    """Seconds of the quickest of the calls that the budget allows, without the first."""
    function()
    quickest, spent = np.inf, 0.0
    while spent < BUDGET:
        started = time.perf_counter()
        function()
        seconds = time.perf_counter() - started
        # As if it were longer, where a clock hardly moves.
        spent += max(seconds, BUDGET / 20)
        quickest = min(quickest, seconds)
    return quickest


def _return_freed_memory():
    """Have the C library give back what it keeps of freed memory, where it is glibc."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _reset_peak():
    """Have Linux forget the peak of the resident memory: its bytes now; None elsewhere."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return None
    return _read_status("VmRSS")


def _read_status(name):
    """Bytes that Linux tells of this process; None elsewhere."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    kib = (line.split()[1] for line in lines.splitlines() if line.startswith(f"{name}:"))
    return next((1024 * int(number) for number in kib), None)


def measure_peak_memory():
    """The most memory that this process has held since it began.

    Returns
    -------
    int or None
        Bytes of the resident set; None on Windows.

    Examples
    --------
    >>> from skall.comparison.costs import measure_peak_memory
    >>> peak = measure_peak_memory()
    >>> peak is None or peak > 1_000_000
    True
    """
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts bytes, every other system KiB.
    return peak if sys.platform == "darwin" else peak * 1024
