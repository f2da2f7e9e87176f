"""The device that a network runs on."""

import multiprocessing
import re
from contextlib import contextmanager
from itertools import chain
from threading import Lock

import torch


def resolve_device(device):
    """The device that the parameter of this name means here.

    Parameters
    ----------
    device : str or torch.device
        ``"auto"`` takes CUDA, then MPS, then the CPU; parallel workers share out the GPUs.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        Where there is no such device.

    Examples
    --------
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    if isinstance(device, str) and device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", _worker_number() % torch.cuda.device_count())
        return resolve_device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        # With the number of the device, where there may be several.
        return torch.empty(1, device=device).device
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as exc:
        names = ["auto", "cpu"]
        names += [f"cuda:{number}" for number in range(torch.cuda.device_count())]
        names += ["mps"] if torch.backends.mps.is_available() else []
        raise ValueError(
            f"device={device!r} cannot be used here: {str(exc).splitlines()[0]}; "
            f"possible are {', '.join(names)}"
        ) from exc


def describe_device(device):
    """What tells a device from others whose numbers may differ in the last bits.

    Parameters
    ----------
    device : torch.device

    Returns
    -------
    str
        As ``"cuda NVIDIA H100"``; of the CPU its widest instructions, as ``"cpu AVX512"``.
    """
    if device.type == "cuda":
        return f"cuda {torch.cuda.get_device_name(device)}"
    if device.type == "cpu":
        return f"cpu {torch.backends.cpu.get_cpu_capability()}"
    return device.type


def list_tensors(module):
    """Parameters and buffers of a module; those that parts share come more than once.

    torch's own ``parameters`` and ``buffers`` take several times as long.

    Parameters
    ----------
    module : torch.nn.Module

    Returns
    -------
    list of torch.Tensor
    """
    return [
        tensor
        for part in module.modules()
        for tensor in chain(part._parameters.values(), part._buffers.values())
        if tensor is not None
    ]


def move(module, device):
    """Bring a module to a device, where each of its tensors stays the object that it is.

    So that what was remembered of the module holds when it comes back; ``module.to`` makes new
    buffers.

    Parameters
    ----------
    module : torch.nn.Module
        Without gradients, which stay where they are.
    device : torch.device

    Returns
    -------
    bool
        Whether anything was elsewhere.
    """
    elsewhere = [tensor for tensor in list_tensors(module) if tensor.device != device]
    # What predicts may still be trained.
    with torch.inference_mode(False):
        for tensor in elsewhere:
            tensor.data = tensor.data.to(device)
    return bool(elsewhere)


class Stay:
    """Who uses a module on a device: the first brings it there, and the last takes it home."""

    def __init__(self):
        self._lock = Lock()
        self._users = 0
        self._home = None

    @contextmanager
    def visit(self, module, device, remain=False):
        """Have a module on a device for a while, together with other threads that do.

        Parameters
        ----------
        module : torch.nn.Module
            With a tensor or more.
        device : torch.device
        remain : bool, default=False
            Leave it there in the end.
        """
        with self._lock:
            if not self._users:
                self._home = list_tensors(module)[0].device
            self._users += 1
        try:
            with self._lock:
                move(module, device)
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users and not remain:
                    move(module, self._home)

    def __reduce__(self):
        # Nobody uses a copy.
        return Stay, ()


def _worker_number():
    """Number of this process among joblib's workers; 0 outside of them."""
    digits = re.search(r"(\d+)$", multiprocessing.current_process().name)
    return int(digits.group()) if digits else 0
