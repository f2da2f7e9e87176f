"""Per-image results kept, so that folds and estimators share them: in memory or in a folder."""

from threading import Lock

import numpy as np

from skall.disk_cache import DiskStore


class Store:
    """Arrays by key, up to a number of bytes; what does not fit is not admitted.

    Nothing is evicted: evicting the least recently used array would lose every one of them when
    the images outgrow the store, because each epoch reads them in turn.

    Parameters
    ----------
    max_bytes : int
        Bytes of array data that are kept at most.

    Examples
    --------
    >>> store = Store(max_bytes=1_000)
    >>> store.put(b"a", np.zeros(500, np.uint8))
    >>> store.put(b"b", np.zeros(600, np.uint8))
    >>> store
    Store(1 arrays, 500 of 1000 bytes)
    """

    def __init__(self, max_bytes):
        self.max_bytes = max_bytes
        self.nbytes = 0
        self._arrays = {}
        self._lock = Lock()

    def get(self, key):
        """The array of this key, or None."""
        return self._arrays.get(key)

    def put(self, key, array):
        """Keep a copy of the array where there is room."""
        with self._lock:
            if key not in self._arrays and self.nbytes + array.nbytes <= self.max_bytes:
                array = np.array(array)
                array.flags.writeable = False
                self._arrays[key] = array
                self.nbytes += array.nbytes

    def clear(self):
        """Forget everything."""
        with self._lock:
            self._arrays.clear()
            self.nbytes = 0

    def __reduce__(self):
        # A copy, as in another process, starts empty.
        return Store, (self.max_bytes,)

    def __len__(self):
        return len(self._arrays)

    def __repr__(self):
        return f"Store({len(self)} arrays, {self.nbytes} of {self.max_bytes} bytes)"


IN_PROCESS = Store(max_bytes=1_000_000_000)


def get_store(memory):
    """The store that the parameter ``memory`` of an estimator names.

    Parameters
    ----------
    memory : "auto", None, path-like or joblib.Memory
        ``"auto"``: the store of this process, 1 GB at most; None: one that keeps nothing; a
        folder, or the one of a :class:`joblib.Memory`: on disk.

    Returns
    -------
    Store or DiskStore

    Raises
    ------
    ValueError
        For anything else.
    """
    # joblib's Memory without a folder keeps nothing.
    memory = getattr(memory, "location", memory)
    if memory is None:
        return Store(max_bytes=0)
    if isinstance(memory, str) and memory == "auto":
        return IN_PROCESS
    if isinstance(memory, str) or hasattr(memory, "__fspath__"):
        return DiskStore(memory)
    raise ValueError(f"memory must be 'auto', None, a folder or a joblib.Memory; got {memory!r}")
