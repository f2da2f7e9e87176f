"""Features of images, computed once per image, in memory or in a temporary file."""

import os
from hashlib import blake2b
from itertools import islice
from random import Random
from tempfile import TemporaryFile, gettempdir
from threading import Lock
from weakref import finalize

import numpy as np
import torch

from skall.backbones.registry import describe_source
from skall.cache.store import make_key
from skall.images.prefetch import read_ahead
from skall.network.blocks import BLOCK, choose_multiple, choose_pass_size, run_halved
from skall.network.device import describe_device
from skall.network.frozen import get_frozen

# Features of one training that take more bytes are read from a file, batch by batch.
MOST_BYTES = 1_000_000_000


def identify_extractor(extractor, name, weights, random_state):
    """Make the bytes that identify the features of an extractor in a store.

    Parameters
    ----------
    extractor : FeatureExtractor
    name : str
        The backbone's: trunks with the same weights may compute different features, and those of
        another version of a plugin too.
    weights, random_state
        The estimator's parameters.

    Returns
    -------
    identity : bytes or None
        Depends on weights, normalisation and pooling as they are now; None for random weights
        without a seed.
    """
    if weights is None and random_state is None:
        return None
    digest = blake2b(get_frozen(extractor.trunk).digest, digest_size=16)
    digest.update(f"{extractor.pooling}".encode())
    for tensor in (extractor.mean, extractor.std):
        digest.update(tensor.cpu().numpy().tobytes())
    return f"{name} {describe_source(name)}".encode() + digest.digest()


def extract_features(extractor, images, rows, size, *, store, key, view=None):
    """Compute the features of images, or take them from a store.

    Parameters
    ----------
    extractor : FeatureExtractor
        On the device to run on, in evaluation mode.
    images : Images
    rows : sequence of int, length n
        Rows of the images, each once.
    size : int
        Height and width, in pixels, that the images are resized to.
    store : Store
    key : bytes or None
        Identifies the extractor in the store, see :func:`identify_extractor`; with None its
        features are neither looked up nor kept.
    view : skall.preprocessing.augmentation.View, optional
        A random augmentation of the images; by default they are not augmented.

    Returns
    -------
    features : ArrayRows or FileRows
        float32 ``(n, c, h', w')`` or ``(n, c)``.
    """
    names = [None] * len(rows)
    if key is not None:
        place = describe_device(extractor.mean.device)
        suffix = make_key(
            b"", size, place, extractor.numerics, key + (view.digest() if view else b"")
        )
        names = [images.fingerprint(row) + suffix for row in rows]
    found = FeatureRows(len(rows))
    order = range(len(rows))
    if store.is_shared and key is not None:
        # In random order, so that processes that start together share the work.
        order = Random().sample(order, len(rows))
    # Features in a store must not depend on the batch they were computed in.
    multiple = choose_multiple(len(rows), size) if key is None else BLOCK
    device = extractor.mean.device
    run = None

    def is_missing(place):
        features = store.get(names[place]) if names[place] else None
        if features is not None:
            found[place] = features
        return features is None

    def read(places):
        return places, images.read_batch([rows[place] for place in places], size, store)

    # Looked up just before it would be computed: another process may have stored it meanwhile.
    passes = _batched(filter(is_missing, order), choose_pass_size(device, size))
    for places, batch in read_ahead(map(read, passes)):
        run = run or get_frozen(extractor.trunk).accelerate(extractor, size)
        batch = view.draw(batch, device) if view else batch.to(device)
        with torch.no_grad():
            features = run_halved(run, batch, multiple).cpu().numpy()
        for place, row in zip(places, features, strict=True):
            found[place] = row
            if key is not None:
                store.put(names[place], row)
    return found.rows


def _batched(items, size):
    """Lists of `size` items; the last may be shorter."""
    return iter(lambda: list(islice(items, size)), [])


class FeatureRows:
    """Rows of features that are set one by one, in any order and from any thread.

    Parameters
    ----------
    n_rows : int

    Attributes
    ----------
    rows : ArrayRows or FileRows
        Made for the first row, because its shape is not known before; None until then.
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
        # For few rows ten times as fast as torch's indexing.
        return torch.from_numpy(self.array.take(rows, axis=0))

    def numpy(self):
        """All rows as one array."""
        return self.array


class FileRows:
    """float32 rows in a temporary file, which is removed with the object.

    The file is read, and not mapped into memory, where its pages would stay.

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
