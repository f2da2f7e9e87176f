"""Per-image results kept in a folder, so that runs and processes share them."""

import json
import os
import platform
import warnings
from contextlib import suppress
from functools import cached_property
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from threading import Lock
from zlib import crc32

import numpy as np

from skall.cache.ledger import Ledger
from skall.environment.versions import OF_IMAGES, list_versions
from skall.persistence.files import write_file, write_json

# Another one, when a key no longer gives the same array.
FORMAT = 4
# In the folder of a cache, and in no other.
SETTINGS = "skall-cache.json"
LEDGER = "skall-cache.bytes"
MAX_BYTES = 20_000_000_000
# Bytes of the checksum that a file ends with.
CHECKED = 4


class DiskStore:
    """Arrays by key, each in a file of its own, up to a number of bytes.

    A file's name is a digest of the key, and of what else decides the last bits: versions of
    packages, number of threads, kind of processor. Files are written whole or not at all, so that
    several processes can share the folder and any of them may be killed, and end with a checksum.
    Nothing is evicted; what does not fit is not admitted, whichever process has filled the folder,
    and decoded images fill no more than half of it, because features, which cost more, come after
    them. Where the folder cannot be
    written to, a warning says why, and nothing more is kept.

    Parameters
    ----------
    folder : path-like
        Made when there is something to keep.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     store = DiskStore(folder)
    ...     store.put(b"a", np.arange(3))
    ...     DiskStore(folder).get(b"a").tolist(), len(store)
    ([0, 1, 2], 1)
    """

    # With other processes, which may add to it at any time.
    is_shared = True

    def __init__(self, folder):
        self.folder = Path(folder)
        self._ledger = Ledger(self.folder / LEDGER, lambda: self.nbytes)
        self._lock = Lock()
        self._is_writable = True
        # Files that somebody else has removed are missed once, when there is no room.
        self._was_recounted = False

    @cached_property
    def _salt(self):
        # Here, because whoever only asks what a folder holds needs no torch.
        import torch
        from PIL import features

        capability = torch.backends.cpu.get_cpu_capability()
        # What decodes JPEG is another version in other builds of the same Pillow.
        parts = (FORMAT, list_versions(OF_IMAGES), features.version("libjpeg_turbo"))
        return repr((*parts, torch.get_num_threads(), platform.machine(), capability)).encode()

    def _path(self, key):
        name = blake2b(self._salt + key, digest_size=16).hexdigest()
        return self.folder / name[:2] / f"{name[2:]}.npy"

    def get(self, key):
        """The array of this key, or None; a damaged file is removed."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        try:
            return _decode(content)
        except (ValueError, EOFError):
            with suppress(OSError), self._ledger.open() as account:
                path.unlink()
                account.add(-len(content))
            return None

    def put(self, key, array, cheap=False):
        """Keep the array where there is room; see :meth:`skall.cache.memory.Store.put`."""
        path = self._path(key)
        room = self.max_bytes // 2 if cheap else self.max_bytes
        if not self._is_writable or array.nbytes > room or path.exists():
            return
        content = _encode(array)
        try:
            if not (self.folder / SETTINGS).exists():
                self.set_limit(self.max_bytes)
            with self._ledger.open() as account:
                if path.exists() or not self._has_room(account, len(content), room):
                    return
                # Before it is written, so that no process that is killed leaves what is not known.
                account.add(len(content))
                try:
                    write_file(path, lambda partial: partial.write_bytes(content))
                except OSError:
                    account.add(-len(content))
                    raise
        except OSError as exc:
            self._note_failure(exc)

    def _has_room(self, account, n_bytes, room):
        if account.total + n_bytes > room and not self._was_recounted:
            account.recount()
            self._was_recounted = True
        return account.total + n_bytes <= room

    def _note_failure(self, exc):
        """Whoever has made what cannot be written goes on without its being kept."""
        # Somebody clears the folder.
        if isinstance(exc, FileNotFoundError) and self.folder.is_dir():
            return
        with self._lock:
            known, self._is_writable = not self._is_writable, False
        if not known:
            warnings.warn(
                f"nothing more is kept in the cache {os.fspath(self.folder)!r}, which cannot be "
                f"written to ({exc.strerror or exc}); the parameter memory names another folder",
                stacklevel=3,
            )

    @cached_property
    def max_bytes(self):
        """The most bytes that the folder is to hold: what it says itself, else 20 GB."""
        try:
            return int(json.loads((self.folder / SETTINGS).read_bytes())["max_bytes"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return MAX_BYTES

    def set_limit(self, max_bytes):
        """Write how many bytes the folder is to hold."""
        write_json(self.folder / SETTINGS, {"format": FORMAT, "max_bytes": max_bytes})
        self.max_bytes = max_bytes

    def _list(self):
        return self.folder.glob("[0-9a-f][0-9a-f]/*.npy")

    @property
    def nbytes(self):
        """Bytes that the files have now."""
        total = 0
        for path in self._list():
            try:
                total += path.stat().st_size
            except FileNotFoundError:
                # Another process has cleared it meanwhile.
                continue
        return total

    def __len__(self):
        return sum(1 for _ in self._list())

    def clear(self):
        """Remove every array, and what killed processes left; the limit stays."""
        with self._ledger.open() as account:
            for path in [*self._list(), *self.folder.glob("[0-9a-f][0-9a-f]/.*.partial")]:
                path.unlink(missing_ok=True)
            account.recount()

    def __reduce__(self):
        return DiskStore, (self.folder,)

    def __repr__(self):
        return f"DiskStore({os.fspath(self.folder)!r})"


def _encode(array):
    file = BytesIO()
    np.save(file, array, allow_pickle=False)
    content = file.getvalue()
    return content + crc32(content).to_bytes(CHECKED, "little")


def _decode(content):
    """The array of a file's bytes; ValueError where they are not as they were written."""
    content, checksum = content[:-CHECKED], content[-CHECKED:]
    if crc32(content).to_bytes(CHECKED, "little") != checksum:
        raise ValueError("damaged")
    return np.load(BytesIO(content), allow_pickle=False)


def open_cache(folder):
    """The store of a folder that a cache lies in.

    Parameters
    ----------
    folder : path-like

    Returns
    -------
    DiskStore

    Raises
    ------
    FileNotFoundError
        If there is none: no other folder is to be cleared by mistake.
    """
    if not (Path(folder) / SETTINGS).is_file():
        raise FileNotFoundError(
            f"{os.fspath(folder)!r} is no cache of skall: it has no {SETTINGS}, which the "
            "parameter memory=FOLDER of estimators makes in FOLDER, and compare(out=FOLDER) in "
            "FOLDER/cache"
        )
    return DiskStore(folder)
