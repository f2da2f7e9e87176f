"""Features of many images: in memory, or in a temporary file."""

import os
from tempfile import TemporaryFile, gettempdir
from threading import Lock
from weakref import finalize

import numpy as np
import torch

# Beyond these bytes, the features of one training are read from a file, batch by batch.
MOST_BYTES = 1_000_000_000


class LateRows:
    """Rows that come one by one, in any order and from any thread.

    Parameters
    ----------
    n_rows : int

    Attributes
    ----------
    rows : ArrayRows or FileRows
        Made when the first row comes, which tells the shape; None before.
    """

    def __init__(self, n_rows):
        self.n_rows = n_rows
        self.rows = None
        self._lock = Lock()

    def __setitem__(self, row, features):
        with self._lock:
            if self.rows is None:
                small = self.n_rows * features.nbytes <= MOST_BYTES
                self.rows = (ArrayRows if small else FileRows)(self.n_rows, features.shape)
            self.rows[row] = features


class ArrayRows:
    """float32 rows in memory.

    Parameters
    ----------
    n_rows : int
    shape : tuple of int
        Of one row.
    """

    def __init__(self, n_rows, shape):
        self.array = np.empty((n_rows, *shape), np.float32)

    def __setitem__(self, row, features):
        self.array[row] = features

    def __getitem__(self, rows):
        """Rows of these numbers as a tensor."""
        # Of few rows a tenth of the time that torch's indexing takes.
        return torch.from_numpy(self.array.take(rows, axis=0))

    def numpy(self):
        """All rows as one array."""
        return self.array


class FileRows:
    """float32 rows in a temporary file, which goes with the object.

    Read, and not mapped into memory, so that what was read once does not stay there.

    Parameters
    ----------
    n_rows : int
    shape : tuple of int
        Of one row.
    """

    def __init__(self, n_rows, shape):
        self.shape = (n_rows, *shape)
        self.n_bytes = 4 * int(np.prod(shape))
        # Unbuffered: processes that load batches share the file.
        self.file = TemporaryFile(buffering=0)  # noqa: SIM115 - closed with the object
        finalize(self, self.file.close)

    def __setitem__(self, row, features):
        self.file.seek(row * self.n_bytes)
        left = memoryview(np.ascontiguousarray(features)).cast("B")
        try:
            while left:
                left = left[self.file.write(left) :]
        except OSError as exc:
            exc.add_note(
                f"features of {self.shape[0]} images take {self.shape[0] * self.n_bytes} bytes in "
                f"{gettempdir()}; the environment variable TMPDIR names another folder"
            )
            raise

    def __getitem__(self, rows):
        """Rows of these numbers as a tensor."""
        found = np.empty((len(rows), *self.shape[1:]), np.float32)
        for place, row in zip(found, rows, strict=True):
            place[...] = np.frombuffer(self._read(int(row)), np.float32).reshape(place.shape)
        return torch.from_numpy(found)

    def _read(self, row):
        if hasattr(os, "pread"):
            return os.pread(self.file.fileno(), self.n_bytes, row * self.n_bytes)
        self.file.seek(row * self.n_bytes)
        return self.file.read(self.n_bytes)

    def numpy(self):
        """All rows as one array."""
        return self[range(self.shape[0])].numpy()
