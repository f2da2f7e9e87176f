"""The C library's allocator: whether large buffers are kept for the next step."""

import ctypes

# Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
# Bytes; larger buffers than activations of a batch are returned all the same.
KEPT = 1 << 30


def tune_allocator():
    """Have glibc keep large buffers that are freed, instead of returning them to the system.

    Each step of a network allocates and frees buffers of many megabytes. By default those go back
    to the system at once, which clears every page of the next ones. Kept, they cost nothing but the
    memory that the process has held once already. The setting is for the whole process and cannot
    be taken back, so that nothing in skall makes it in a process of yours: call it once, at the
    start of a script. The command line and the workers of :func:`skall.compare` call it for
    themselves. No number changes.

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
    return all([mallopt(M_MMAP_THRESHOLD, KEPT), mallopt(M_TRIM_THRESHOLD, KEPT)])
