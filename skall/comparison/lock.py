"""A file that says which process works in a folder, and keeps every other one out of it."""

import json
import os
import socket
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path


class Lock:
    """A lock file. It can be pickled while it is held, for workers of the process that holds it.

    Parameters
    ----------
    path : pathlib.Path
        In a folder that exists when it is taken.
    """

    def __init__(self, path):
        self.path = path
        self._content = None

    @contextmanager
    def hold(self):
        """Keep every other process out for a while.

        Raises
        ------
        ValueError
            If a process that may still run holds it; the message says which.
        """
        content = json.dumps(_describe_process())
        _take(self.path, content)
        self._content = content
        try:
            yield
        finally:
            if self.is_held():
                self.path.unlink()

    def is_held(self):
        """Whether the process that took it still has it.

        Workers outlive that process for a while where it is killed, and another may have taken the
        lock by then.
        """
        return self._content is not None and _read(self.path) == self._content


def _take(lock, content):
    """Make the lock file, once whatever a dead process left is out of the way."""
    try:
        with lock.open("x", encoding="utf-8") as file:
            file.write(content)
        return
    except FileExistsError:
        holder = _read(lock)
    if holder is not None and not _is_stale(holder):
        raise ValueError(_explain(lock, holder))
    # Moved first, so that of two processes that find it stale only one has it.
    aside = lock.with_name(f".{lock.name}.{os.getpid()}.partial")
    try:
        os.replace(lock, aside)
    except FileNotFoundError:
        return _take(lock, content)
    if (found := _read(aside)) != holder:
        os.replace(aside, lock)
        raise ValueError(_explain(lock, found))
    aside.unlink()
    return _take(lock, content)


def _describe_process():
    """What tells this process from every other."""
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "started": _read_start(os.getpid()),
    }


def _read_start(pid):
    """When a process started, in ticks since the machine did; None where Linux does not say.

    Numbers of processes are used again, in a container at every start.
    """
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name, in brackets, may hold anything; the start is the 22nd field, the 20th after it.
    return int(status.rpartition(")")[2].split()[19])


def _is_stale(content):
    """Whether a lock is that of a process of this machine that has ended."""
    try:
        holder = json.loads(content)
        pid, host, started = holder["pid"], holder["host"], holder["started"]
    except (ValueError, TypeError, KeyError):
        return False
    # On Windows, asking for a process with os.kill would end it.
    if host != socket.gethostname() or os.name != "posix":
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return started is not None and _read_start(pid) != started


def _explain(lock, content):
    """Who holds a folder, and what to do."""
    try:
        holder = json.loads(content)
        who = f"process {holder['pid']} on {holder['host']}, since {holder['since']}"
    except (ValueError, TypeError, KeyError):
        who = "a process that cannot be told"
    return (
        f"the folder {str(lock.parent)!r} is in use by {who}. Wait until it has ended, or give "
        f"another folder as `out`; if it has ended already, delete {str(lock)!r}"
    )


def _read(path):
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
