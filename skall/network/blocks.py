"""How many rows are run at once: in blocks, for results that do not depend on the rows beside."""

import torch

BLOCK = 16
TINY = 64
# Rows that are predicted at once.
CPU_PASS_SIZE = 2 * BLOCK
# Images of 224 pixels that a GPU predicts at once, if its memory is enough for so many.
GPU_PASS_SIZE = 512


def choose_pass_size(device, size):
    """How many images a device predicts at once.

    Parameters
    ----------
    device : torch.device
    size : int
        Height and width of the images in pixels.

    Returns
    -------
    int

    Examples
    --------
    >>> [choose_pass_size(torch.device("cuda"), size) for size in (64, 224, 456)]
    [512, 512, 112]
    """
    if device.type == "cpu":
        return CPU_PASS_SIZE
    blocks = GPU_PASS_SIZE * min(1, (224 / size) ** 2) // BLOCK
    return BLOCK * max(1, int(blocks))


def run_padded(function, x, multiple):
    """``function(x)`` with x padded, by copies of its last row, to a multiple of rows."""
    missing = -len(x) % multiple
    if missing:
        x = torch.cat([x, x[-1:].expand(missing, *x.shape[1:])])
    return function(x)[: len(x) - missing]


def run_halved(function, x, multiple):
    """As :func:`run_padded`, in halves where the memory of the device is too small for all rows."""
    try:
        return run_padded(function, x, multiple)
    except torch.OutOfMemoryError:
        half = len(x) // 2
        if half < BLOCK:
            raise
    return torch.cat([run_halved(function, part, multiple) for part in (x[:half], x[half:])])


def choose_multiple(n_rows, size):
    """The multiple of rows to run at once, for results that do not depend on the batch.

    Matrix products take other paths for few rows than for many, and round differently. In blocks
    of 16 a row's result was the same to the last bit, whatever the rows beside it, for every
    network and number of threads tried. Where that would make a few large images slow they are
    run in pairs, which differ from blocks by rounding only.

    Parameters
    ----------
    n_rows : int
    size : int
        Height and width of the images in pixels.

    Returns
    -------
    int
    """
    return BLOCK if n_rows >= BLOCK or size <= TINY else 2
