"""Per-image results kept, so that folds and estimators share them: in memory or in a folder."""

import os
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock

import numpy as np

from skall.cache.disk import DiskStore


class Store:
    """Arrays by key, up to a number of bytes; what does not fit is not admitted.

    Cheap arrays, as decoded images, give way to dear ones, as features, the oldest first. Nothing
    else is evicted: evicting the least recently used array would lose every one of them when the
    images outgrow the store, because each epoch reads them in turn.

    Parameters
    ----------
    max_bytes : int
        Bytes of array data that are kept at most.

    Examples
    --------
    >>> store = Store(max_bytes=1_000)
    >>> store.put(b"image", np.zeros(600, np.uint8), cheap=True)
    >>> store.put(b"features", np.zeros(100, np.float32))
    >>> store.put(b"another image", np.zeros(600, np.uint8), cheap=True)
    >>> store
    Store(1 image, 1 array of features, 1,000 of 1,000 bytes)
    >>> store.put(b"features of another", np.zeros(50, np.float32))
    >>> store
    Store(0 images, 2 arrays of features, 600 of 1,000 bytes)
    """

    is_shared = False

    @property
    def is_closed(self):
        """Whether nothing is ever kept."""
        return self.max_bytes == 0

    def __init__(self, max_bytes):
        self.max_bytes = max_bytes
        self.nbytes = 0
        self._arrays = {}
        # Keys of what gives way, the oldest first.
        self._cheap = {}
        self._cheap_bytes = 0
        self._lock = Lock()

    def get(self, key):
        """The array of this key, or None."""
        return self._arrays.get(key)

    def put(self, key, array, cheap=False):
        """Keep a copy of the array where there is room.

        Parameters
        ----------
        key : bytes
        array : ndarray
        cheap : bool, default=False
            It costs little to make again, and gives way to what does not.
        """
        with self._lock:
            yielding = 0 if cheap else self._cheap_bytes
            if key in self._arrays or self.nbytes - yielding + array.nbytes > self.max_bytes:
                return
            try:
                array = np.array(array)
            except MemoryError:
                # Whoever has made it can go on without it being kept.
                return
            array.flags.writeable = False
            while self.nbytes + array.nbytes > self.max_bytes:
                self._drop_oldest()
            self._arrays[key] = array
            self.nbytes += array.nbytes
            if cheap:
                self._cheap[key] = None
                self._cheap_bytes += array.nbytes

    def _drop_oldest(self):
        key = next(iter(self._cheap))
        del self._cheap[key]
        n_bytes = self._arrays.pop(key).nbytes
        self._cheap_bytes -= n_bytes
        self.nbytes -= n_bytes

    def clear(self):
        """Forget everything."""
        with self._lock:
            self._arrays.clear()
            self._cheap.clear()
            self.nbytes = self._cheap_bytes = 0

    def __reduce__(self):
        # A copy, as in another process, starts empty.
        return Store, (self.max_bytes,)

    def __len__(self):
        return len(self._arrays)

    def __repr__(self):
        with self._lock:
            images, others = len(self._cheap), len(self._arrays) - len(self._cheap)
            return (
                f"Store({images:,} image{'s' * (images != 1)}, "
                f"{others:,} array{'s' * (others != 1)} of features, "
                f"{self.nbytes:,} of {self.max_bytes:,} bytes)"
            )


_IS_BYPASSED = ContextVar("is_bypassed", default=False)


@contextmanager
def without_cache():
    """Have no estimator keep anything, or find what is kept, for a while: to measure one alone."""
    before = _IS_BYPASSED.set(True)
    try:
        yield
    finally:
        _IS_BYPASSED.reset(before)


IN_PROCESS = Store(max_bytes=1_000_000_000)
"""What ``memory="auto"`` keeps: it prints what it holds, and ``IN_PROCESS.clear()`` empties it."""


class FrontedStore:
    """A folder with the store of this process in front of it: small arrays are read often.

    Parameters
    ----------
    folder : DiskStore
    """

    is_closed = False

    def __init__(self, folder):
        self.folder = folder
        # What is in front is in this folder too.
        self._prefix = os.fsencode(folder.folder.absolute()) + b"|"

    def get(self, key):
        """The array of this key, or None."""
        array = IN_PROCESS.get(self._prefix + key)
        if array is None:
            array = self.folder.get(key)
            if array is not None:
                IN_PROCESS.put(self._prefix + key, array)
        return array

    def put(self, key, array):
        """Keep a copy of the array in both, where there is room."""
        IN_PROCESS.put(self._prefix + key, array)
        self.folder.put(key, array)


def get_store(memory, small=False):
    """The store that the parameter ``memory`` of an estimator names.

    Parameters
    ----------
    memory : "auto", None, path-like or joblib.Memory
        ``"auto"``: the store of this process, 1 GB at most; None: one that keeps nothing; a
        folder, or the one of a :class:`joblib.Memory`: on disk.
    small : bool, default=False
        What is kept is a few numbers an image: what is on disk is kept in this process too.

    Returns
    -------
    Store, DiskStore or FrontedStore

    Raises
    ------
    ValueError
        For anything else, as an empty text or a file.
    """
    # joblib's Memory without a folder keeps nothing.
    memory = getattr(memory, "location", memory)
    if memory is None or _IS_BYPASSED.get():
        return Store(max_bytes=0)
    if isinstance(memory, str) and memory == "auto":
        return IN_PROCESS
    is_path = (isinstance(memory, str) and memory) or hasattr(memory, "__fspath__")
    if is_path and not os.path.isfile(memory):
        return FrontedStore(DiskStore(memory)) if small else DiskStore(memory)
    found = f"{os.fspath(memory)!r}, a file" if is_path else repr(memory)
    raise ValueError(f"memory must be 'auto', None, a folder or a joblib.Memory; got {found}")
