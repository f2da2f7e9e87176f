"""The C library's memory allocator."""

import ctypes

# Constants of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
# Buffers up to this many bytes are kept, which the activations of a batch do not exceed.
KEPT_BYTES = 1 << 30


def tune_allocator() -> bool:
    """Make glibc keep large freed buffers instead of returning them to the operating system.

    Each step of a network allocates and frees buffers of many megabytes. By default glibc returns
    them at once, and the operating system zeroes every page of the next ones. Keeping them takes no
    more memory than the peak of the process. The setting holds for the whole process and cannot be
    undone, so skall never changes it in a process of yours: call this once, at the start of a
    script. The command line and the worker processes of :func:`skall.compare` do. Results do not
    change.

    Returns
    -------
    bool
        Whether the allocator was tuned; False where the C library is not glibc, as on macOS and
        Windows.

    References
    ----------
    .. [1] The GNU C Library manual, "Malloc Tunable Parameters".

    Examples
    --------
    >>> from skall import tune_allocator
    >>> tune_allocator() in (True, False)
    True
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return all([mallopt(M_MMAP_THRESHOLD, KEPT_BYTES), mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)])
