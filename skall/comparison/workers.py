"""The workers of a comparison: each must have a process to itself."""

from contextlib import contextmanager
from threading import RLock

from joblib import effective_n_jobs
from joblib.parallel import get_active_backend

# Held while a fold is at work in this process.
_AT_WORK = RLock()
_REASON = (
    "training draws from random generators that threads of a process share, so that the results of "
    "folds would depend on each other"
)


def check_backend(n_jobs):
    """Raise where joblib's backend would run several folds in one process.

    Parameters
    ----------
    n_jobs : int or None
        As in :func:`skall.compare`.

    Raises
    ------
    ValueError
        For threads, and workers of Dask that have several; the message says what to set.
    """
    backend, _ = get_active_backend()
    client = getattr(backend, "client", None)
    if client is not None and hasattr(client, "nthreads"):
        threads = max(client.nthreads().values(), default=1)
        if threads > 1:
            raise ValueError(
                f"a worker of Dask has {threads} threads, and {_REASON}: start workers with one, "
                "as LocalCluster(n_workers=2, threads_per_worker=1) or dask worker --nthreads 1"
            )
    elif getattr(backend, "supports_sharedmem", False) and effective_n_jobs(n_jobs) > 1:
        raise ValueError(
            f"joblib's backend {type(backend).__name__} runs folds in threads, and {_REASON}: use "
            "processes, as joblib.parallel_config(backend='loky') or none at all, or n_jobs=1"
        )


@contextmanager
def alone_in_process():
    """Have no other thread of this process work on a fold for a while.

    Raises
    ------
    RuntimeError
        If one does.
    """
    if not _AT_WORK.acquire(blocking=False):
        raise RuntimeError(
            f"two threads of a process work on folds at once, and {_REASON}: give every worker a "
            "process of its own with a single thread"
        )
    try:
        yield
    finally:
        _AT_WORK.release()
