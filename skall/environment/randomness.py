"""Seeds, and random numbers that leave the global generators alone."""

from contextlib import contextmanager

import numpy as np
import torch
from sklearn.utils import check_random_state


def draw_seed(random_state):
    """Draw a seed from a parameter ``random_state``.

    Parameters
    ----------
    random_state : None, int or numpy.random.RandomState
        None uses fresh entropy of the operating system and not numpy's global generator; a
        ``RandomState`` advances by one draw.

    Returns
    -------
    seed : int
        At least 0 and less than 2**31.
    """
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    return int(check_random_state(random_state).randint(2**31 - 1))


@contextmanager
def seeded(seed, device="cpu"):
    """Seed torch's generators within a ``with`` block, and restore their states afterwards.

    Parameters
    ----------
    seed : int
        Seed of the generators.
    device : str or torch.device, default="cpu"
        The device whose generator is seeded, in addition to the CPU's.
    """
    device = torch.device(device)
    if device.type == "cpu":
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            yield
    else:
        module = torch.get_device_module(device)
        index = device.index
        if index is None:
            index = module.current_device() if device.type == "cuda" else 0
        with torch.random.fork_rng(devices=[index], device_type=device.type):
            torch.default_generator.manual_seed(seed)
            if device.type == "cuda":
                with torch.cuda.device(index):
                    module.manual_seed(seed)
            else:
                module.manual_seed(seed)
            yield
