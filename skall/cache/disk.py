"""Arrays kept in a folder, so that runs and processes share them."""

import json
import os
import platform
import warnings
from contextlib import contextmanager, suppress
from functools import cached_property
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from threading import Lock
from zlib import crc32

import numpy as np
from numpy.lib import format as npy

from skall.cache.store import Store, make_key
from skall.environment.versions import OF_IMAGES, list_versions
from skall.persistence.files import write_file, write_json

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

# To be raised when a key no longer gives the same array.
FORMAT = 4
# In the folder of a cache, and in no other.
SETTINGS = "skall-cache.json"
LEDGER = "skall-cache.bytes"
MAX_BYTES = 20_000_000_000
# Bytes of the checksum at the end of a file.
CHECKSUM_BYTES = 4


class DiskStore(Store):
    """Arrays in a folder, each in a file of its own.

    A file's name is a digest of the key and of what else decides the last bits: versions of
    packages, number of threads, kind of processor. Files are written whole or not at all and end
    with a checksum, so that several processes can share the folder and any of them may be killed.
    Nothing is evicted, and the limit holds for all processes together. Cheap arrays fill half of
    the folder at most. Where the folder cannot be written to, a warning says why, and nothing more
    is kept.

    Milliseconds to write and to read an array, by one process (two at once) on a busy machine with
    2 cores, in 2026-12, with diskcache 5.6.3 and joblib 1.6:

    ========= ============ ============ ============ ============
    store     write 5 kB   read 5 kB    write 376 kB read 376 kB
    ========= ============ ============ ============ ============
    this one  2.3 (7.6)    0.5 (0.8)    10.9 (17.0)  1.4 (1.6)
    diskcache 0.9 (1.3)    0.15 (0.2)   11.6 (23.7)  0.5 (0.9)
    joblib    6.8 (14.5)   1.9 (2.5)    12.0 (24.5)  3.8 (7.5)
    ========= ============ ============ ============ ============

    diskcache is faster for small arrays, which is little beside the tens of milliseconds in which
    a feature is computed. It cannot be used here for want of four guarantees: a limit beyond which
    nothing is admitted (it evicts, or has no limit); a folder on a network file system, as the
    processes of a cluster share it (not for SQLite, https://sqlite.org/wal.html); files that hold
    no code (it unpickles arrays); damage that is noticed (it has no checksums). joblib lacks the
    first, the third and the fourth.

    Parameters
    ----------
    folder : path-like
        Made when there is something to keep.
    front : MemoryStore, optional
        Keeps in this process what the folder keeps: for small arrays that are read often.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     store = DiskStore(folder)
    ...     store.put(b"a", np.arange(3))
    ...     DiskStore(folder).get(b"a").tolist(), len(store)
    ([0, 1, 2], 1)
    """

    is_shared = True

    def __init__(self, folder, front=None):
        self.folder = Path(folder)
        self.front = front
        # The front may hold what is in other folders too.
        self._prefix = os.fsencode(self.folder.absolute())
        self._ledger = Ledger(self.folder / LEDGER, lambda: self.nbytes)
        self._lock = Lock()
        self._is_writable = True
        # Files that somebody else has removed are noticed once, when there is no room.
        self._was_recounted = False

    @cached_property
    def _salt(self):
        # Imported here: to list or clear a folder needs no torch.
        import torch
        from PIL import features

        capability = torch.backends.cpu.get_cpu_capability()
        # Builds of the same Pillow decode JPEG with other versions of this library.
        parts = (FORMAT, list_versions(OF_IMAGES), features.version("libjpeg_turbo"))
        return repr((*parts, torch.get_num_threads(), platform.machine(), capability)).encode()

    def _path(self, key):
        name = blake2b(self._salt + key, digest_size=16).hexdigest()
        return self.folder / name[:2] / f"{name[2:]}.npy"

    def get(self, key):
        """As :meth:`Store.get`; a damaged file is removed."""
        if self.front is None:
            return self._read(key)
        front_key = make_key(self._prefix, key)
        array = self.front.get(front_key)
        if array is None:
            array = self._read(key)
            if array is not None:
                self.front.put(front_key, array)
        return array

    def _read(self, key):
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
        if self.front is not None:
            self.front.put(make_key(self._prefix, key), array, cheap)
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
                # Counted before it is written: a process that is killed then leaves no file that
                # was not counted.
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
        """Warn once that nothing more is kept; the caller goes on with its array."""
        # Another process is clearing the folder.
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
        """The limit that the folder has in its settings, else 20 GB."""
        try:
            return int(json.loads((self.folder / SETTINGS).read_bytes())["max_bytes"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return MAX_BYTES

    def set_limit(self, max_bytes):
        """Write the limit into the settings of the folder."""
        write_json(self.folder / SETTINGS, {"format": FORMAT, "max_bytes": max_bytes})
        self.max_bytes = max_bytes

    def _list(self):
        return self.folder.glob("[0-9a-f][0-9a-f]/*.npy")

    @property
    def nbytes(self):
        """Bytes of the files that are there now."""
        total = 0
        for path in self._list():
            try:
                total += path.stat().st_size
            except FileNotFoundError:
                # Cleared by another process meanwhile.
                continue
        return total

    def __len__(self):
        return sum(1 for _ in self._list())

    def clear(self):
        """Remove every array, and files that killed processes left; the limit stays."""
        with self._ledger.open() as account:
            for path in [*self._list(), *self.folder.glob("[0-9a-f][0-9a-f]/.*.partial")]:
                path.unlink(missing_ok=True)
            account.recount()

    def __reduce__(self):
        return DiskStore, (self.folder, self.front)

    def __repr__(self):
        return f"DiskStore({os.fspath(self.folder)!r})"


def _encode(array):
    file = BytesIO()
    np.save(file, array, allow_pickle=False)
    content = file.getvalue()
    return content + crc32(content).to_bytes(CHECKSUM_BYTES, "little")


def _decode(content):
    """The array of a file's bytes; ValueError where they are not as they were written."""
    view = memoryview(content)
    if crc32(view[:-CHECKSUM_BYTES]) != int.from_bytes(view[-CHECKSUM_BYTES:], "little"):
        raise ValueError("damaged")
    # numpy's own reader copies the numbers twice.
    file = BytesIO(content)
    npy.read_magic(file)
    shape, is_fortran, dtype = npy.read_array_header_1_0(file)
    count = int(np.prod(shape))
    array = np.frombuffer(content, dtype, count, file.tell() if count else 0)
    return array.reshape(shape, order="F" if is_fortran else "C")


class Ledger:
    """The number of bytes in a folder, in a file that one thread of one process changes at a time.

    Parameters
    ----------
    path : path-like
        Made, with its folder, when it is first opened.
    count : callable
        Returns the bytes that there are, where the file does not say.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     for number in (10, 20):
    ...         with Ledger(f"{folder}/bytes", lambda: 1).open() as account:
    ...             account.add(number)
    ...     with Ledger(f"{folder}/bytes", lambda: 1).open() as account:
    ...         account.total
    31
    """

    def __init__(self, path, count):
        self.path = Path(path)
        self.count = count

    @contextmanager
    def open(self):
        """Lock out every other thread and process in a context.

        Yields
        ------
        Account

        Raises
        ------
        OSError
            Where the file cannot be made or written to.
        """
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
        # Opened by each thread for itself, because the lock belongs to the open file.
        try:
            file = os.open(self.path, flags, 0o666)
        except FileNotFoundError:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path, flags, 0o666)
        try:
            _lock(file)
            yield Account(file, self.count)
        finally:
            # Closing unlocks, and so does the end of a process that is killed.
            os.close(file)


class Account:
    """The number of bytes in an open ledger.

    Parameters
    ----------
    file : int
        Its descriptor.
    count : callable
        As for :class:`Ledger`.
    """

    def __init__(self, file, count):
        self._file = file
        self._count = count
        content = os.read(file, 32)
        self.total = int(content) if content.strip().isdigit() else count()

    def add(self, number):
        """Add a number of bytes, which may be negative."""
        self._write(max(0, self.total + number))

    def recount(self):
        """Count the bytes that are there."""
        self._write(self._count())

    def _write(self, total):
        self.total = total
        os.lseek(self._file, 0, os.SEEK_SET)
        # Of fixed length, so that no digits of before remain.
        os.write(self._file, b"%-20d\n" % total)


def _lock(file):
    # Where a file system has no locks, processes may exceed the limit together.
    with suppress(OSError):
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        else:
            import msvcrt

            msvcrt.locking(file, msvcrt.LK_LOCK, 1)


def open_cache(folder):
    """The store in a folder that is a cache already.

    Parameters
    ----------
    folder : path-like

    Returns
    -------
    DiskStore

    Raises
    ------
    FileNotFoundError
        If it is none, so that no other folder is cleared by mistake.
    """
    if not (Path(folder) / SETTINGS).is_file():
        raise FileNotFoundError(
            f"{os.fspath(folder)!r} is no cache of skall: it has no {SETTINGS}, which the "
            "parameter memory=FOLDER of estimators makes in FOLDER, and compare(out=FOLDER) in "
            "FOLDER/cache"
        )
    return DiskStore(folder)
