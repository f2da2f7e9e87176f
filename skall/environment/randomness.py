"""Random numbers in a scope of their own."""

from contextlib import contextmanager

import numpy as np
import torch
from sklearn.utils import check_random_state


def draw_seed(random_state):
    """A seed from a parameter ``random_state``.

    Parameters
    ----------
    random_state : None, int or numpy.random.RandomState
        None takes fresh entropy from the operating system and leaves numpy's generator alone; a
        ``RandomState`` is advanced by one draw.

    Returns
    -------
    int
        In [0, 2**31).
    """
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    return int(check_random_state(random_state).randint(2**31 - 1))


@contextmanager
def seeded(seed, device="cpu"):
    """Run a block with torch's generators seeded, and give them back as they were.

    Parameters
    ----------
    seed : int
    device : str or torch.device, default="cpu"
        The device whose generator is seeded beside the CPU's.
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
