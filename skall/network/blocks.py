"""How many rows are computed at once: in blocks, so that results do not depend on the batch."""

import torch

BLOCK = 16
TINY = 64
# Images that the CPU predicts at once.
CPU_PASS_SIZE = 2 * BLOCK
# Images of 224 pixels that a GPU predicts at once, where its memory is large enough.
GPU_PASS_SIZE = 512


def choose_pass_size(device, size):
    """Choose how many images a device predicts at once.

    Parameters
    ----------
    device : torch.device
    size : int
        Height and width of the images in pixels.

    Returns
    -------
    n_images : int

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
    """Compute ``function(x)``, with x padded to a multiple of rows by copies of its last row."""
    missing = -len(x) % multiple
    if missing:
        x = torch.cat([x, x[-1:].expand(missing, *x.shape[1:])])
    return function(x)[: len(x) - missing]


def run_halved(function, x, multiple):
    """Do as :func:`run_padded`, in halves where the device has too little memory for all rows."""
    try:
        return run_padded(function, x, multiple)
    except torch.OutOfMemoryError:
        half = len(x) // 2
        if half < BLOCK:
            raise
    return torch.cat([run_halved(function, part, multiple) for part in (x[:half], x[half:])])


def choose_multiple(n_rows, size):
    """Choose the multiple of rows to compute at once, so that results do not depend on the batch.

    Matrix products use other kernels for few rows than for many, and round differently. In blocks
    of 16 the result of a row was the same to the last bit, whatever the other rows, for every
    network and number of threads tried. A few large images would be slow that way: they are
    computed in pairs, which differ from blocks by rounding only.

    Parameters
    ----------
    n_rows : int
    size : int
        Height and width of the images in pixels.

    Returns
    -------
    multiple : int
    """
    return BLOCK if n_rows >= BLOCK or size <= TINY else 2
