"""The store of this process, and the one that the parameter ``memory`` names."""

from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock

import numpy as np

from skall.cache.disk import DiskStore
from skall.cache.store import Store
from skall.validation.constraints import check_memory


class MemoryStore(Store):
    """Arrays in the memory of this process.

    Cheap arrays are evicted for expensive ones, the oldest first; nothing else is evicted.

    Parameters
    ----------
    max_bytes : int
        Bytes of array data that are kept at most; 0 keeps nothing.

    Examples
    --------
    >>> store = MemoryStore(max_bytes=1_000)
    >>> store.put(b"image", np.zeros(600, np.uint8), cheap=True)
    >>> store.put(b"features", np.zeros(100, np.float32))
    >>> store.put(b"another image", np.zeros(600, np.uint8), cheap=True)
    >>> store
    MemoryStore(1 image, 1 array of features, 1,000 of 1,000 bytes)
    >>> store.put(b"features of another", np.zeros(50, np.float32))
    >>> store
    MemoryStore(0 images, 2 arrays of features, 600 of 1,000 bytes)
    """

    def __init__(self, max_bytes):
        self.max_bytes = max_bytes
        self.nbytes = 0
        self._arrays = {}
        # Keys of what may be evicted, the oldest first.
        self._cheap = {}
        self._cheap_bytes = 0
        self._lock = Lock()

    @property
    def is_closed(self):
        return self.max_bytes == 0

    def get(self, key):
        return self._arrays.get(key)

    def put(self, key, array, cheap=False):
        with self._lock:
            evictable = 0 if cheap else self._cheap_bytes
            if key in self._arrays or self.nbytes - evictable + array.nbytes > self.max_bytes:
                return
            try:
                array = np.array(array)
            except MemoryError:
                # The caller has computed it and can go on.
                return
            array.flags.writeable = False
            while self.nbytes + array.nbytes > self.max_bytes:
                self._evict_oldest()
            self._arrays[key] = array
            self.nbytes += array.nbytes
            if cheap:
                self._cheap[key] = None
                self._cheap_bytes += array.nbytes

    def _evict_oldest(self):
        key = next(iter(self._cheap))
        del self._cheap[key]
        n_bytes = self._arrays.pop(key).nbytes
        self._cheap_bytes -= n_bytes
        self.nbytes -= n_bytes

    def clear(self):
        with self._lock:
            self._arrays.clear()
            self._cheap.clear()
            self.nbytes = self._cheap_bytes = 0

    def __reduce__(self):
        # A copy, as in another process, starts empty.
        return MemoryStore, (self.max_bytes,)

    def __len__(self):
        return len(self._arrays)

    def __repr__(self):
        with self._lock:
            images, others = len(self._cheap), len(self._arrays) - len(self._cheap)
            return (
                f"MemoryStore({images:,} image{'s' * (images != 1)}, "
                f"{others:,} array{'s' * (others != 1)} of features, "
                f"{self.nbytes:,} of {self.max_bytes:,} bytes)"
            )


_IS_BYPASSED = ContextVar("is_bypassed", default=False)


@contextmanager
def without_cache():
    """Have every estimator compute everything anew in a context, to measure one alone."""
    before = _IS_BYPASSED.set(True)
    try:
        yield
    finally:
        _IS_BYPASSED.reset(before)


IN_PROCESS = MemoryStore(max_bytes=1_000_000_000)
"""What ``memory="auto"`` keeps: it prints its contents, and ``IN_PROCESS.clear()`` empties it."""


def get_store(memory, small=False):
    """The store that the parameter ``memory`` of an estimator names.

    Parameters
    ----------
    memory : "auto", None, path-like or joblib.Memory
        ``"auto"``: the store of this process, 1 GB at most; None: one that keeps nothing; a
        folder, or the one of a :class:`joblib.Memory`: on disk.
    small : bool, default=False
        Whether the arrays are a few numbers each: what is on disk is kept in this process too.

    Returns
    -------
    Store

    Raises
    ------
    ValueError
        For anything else, as an empty text or a file.
    """
    # joblib's Memory without a folder keeps nothing.
    memory = getattr(memory, "location", memory)
    if memory is None or _IS_BYPASSED.get():
        return MemoryStore(max_bytes=0)
    if isinstance(memory, str) and memory == "auto":
        return IN_PROCESS
    check_memory(memory)
    return DiskStore(memory, IN_PROCESS if small else None)
