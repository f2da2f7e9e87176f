"""The bytes that a folder holds, counted by all processes that write to it together."""

import os
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None


class Ledger:
    """A number of bytes in a file, which one thread of one process changes at a time.

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
        """Keep every other thread and process out for a while.

        Yields
        ------
        Account

        Raises
        ------
        OSError
            Where the file cannot be made or written to.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Another for each thread, which the lock tells apart.
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        try:
            _lock(file)
            yield Account(file, self.count)
        finally:
            # That unlocks it, as does the end of a process that is killed.
            os.close(file)


class Account:
    """What an open ledger says.

    Parameters
    ----------
    file : int
        Its descriptor.
    count : callable
        As :class:`Ledger` has it.
    """

    def __init__(self, file, count):
        self._file = file
        self._count = count
        content = os.read(file, 32)
        self.total = int(content) if content.strip().isdigit() else count()

    def add(self, number):
        """Note that there are more bytes, or fewer."""
        self._write(max(0, self.total + number))

    def recount(self):
        """Note what there is, whoever has put it there or taken it away."""
        self._write(self._count())

    def _write(self, total):
        self.total = total
        os.lseek(self._file, 0, os.SEEK_SET)
        # Of one length, so that no digits of before remain.
        os.write(self._file, b"%-20d\n" % total)


def _lock(file):
    # Where a file system has no locks, processes may exceed the limit together.
    with suppress(OSError):
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        else:
            import msvcrt

            msvcrt.locking(file, msvcrt.LK_LOCK, 1)
