"""Training rows that stay on a GPU, where all of them fit."""

import numpy as np
import torch

# Rows that are read at once to be brought there.
CHUNK = 256
# Of the memory that is free: most is needed by the network.
SHARE = 0.25


class Held:
    """Rows on a device.

    Parameters
    ----------
    read : callable
        ``read(numbers)`` returns the rows of these numbers as a tensor.
    n_rows : int
    device : torch.device
    """

    def __init__(self, read, n_rows, device):
        self.rows = None
        for start in range(0, n_rows, CHUNK):
            numbers = np.arange(start, min(start + CHUNK, n_rows))
            chunk = read(numbers)
            if 0 in chunk.stride():
                # A grey plane that is shown three times cannot be written to.
                chunk = chunk.contiguous()
            if self.rows is None:
                # With the strides of the chunk, so that the memory format stays.
                self.rows = torch.empty_strided(
                    (n_rows, *chunk.shape[1:]), chunk.stride(), dtype=chunk.dtype, device=device
                )
            self.rows[start : start + len(chunk)] = chunk.to(device)

    def __call__(self, numbers):
        # Without waiting for the step before, which would be done first.
        return self.rows[torch.as_tensor(numbers).to(self.rows.device, non_blocking=True)]


def hold(read, n_rows, device):
    """What reads rows from a device, if that is a GPU where they fit; else ``read`` itself.

    Parameters
    ----------
    read : callable
        ``read(numbers)`` returns the rows of these numbers as a tensor.
    n_rows : int
    device : torch.device

    Returns
    -------
    callable
    """
    room = measure_room(device)
    if not room:
        return read
    row = read(np.arange(1))
    fits = row.numel() * row.element_size() * n_rows <= room
    return Held(read, n_rows, device) if fits else read


def measure_room(device):
    """Bytes that rows may take on a device; none on the CPU, where they are already."""
    return SHARE * torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0
