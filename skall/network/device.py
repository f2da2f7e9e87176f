"""The device that a network runs on."""

import multiprocessing
import re
from contextlib import contextmanager
from threading import Lock

import torch

from skall.environment.private_names import list_own_tensors


def resolve_device(device):
    """Resolve the parameter `device` on this machine.

    Parameters
    ----------
    device : str or torch.device
        ``"auto"``: CUDA, else MPS, else the CPU; parallel workers are spread over the GPUs.

    Returns
    -------
    device : torch.device

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
        # A tensor's device includes its index.
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
    """Describe a device so that devices whose results may differ in the last bits differ.

    Parameters
    ----------
    device : torch.device

    Returns
    -------
    description : str
        As ``"cuda NVIDIA H100"``; for the CPU its widest instructions, as ``"cpu AVX512"``.
    """
    if device.type == "cuda":
        return f"cuda {torch.cuda.get_device_name(device)}"
    if device.type == "cpu":
        return f"cpu {torch.backends.cpu.get_cpu_capability()}"
    return device.type


def list_tensors(module):
    """List the parameters and buffers of a module; shared ones come more than once.

    Parameters
    ----------
    module : torch.nn.Module

    Returns
    -------
    tensors : list of torch.Tensor
    """
    return list_own_tensors(module.modules())


def move(module, device):
    """Move a module to a device, keeping its tensor objects.

    ``module.to`` makes new buffers, after which a module counts as changed; see
    :class:`skall.network.frozen.FrozenTrunk`.

    Parameters
    ----------
    module : torch.nn.Module
        Gradients are not moved.
    device : torch.device

    Returns
    -------
    was_elsewhere : bool
        Whether any tensor was on another device.
    """
    elsewhere = [tensor for tensor in list_tensors(module) if tensor.device != device]
    # A network that predicts in inference mode may be trained later.
    with torch.inference_mode(False):
        for tensor in elsewhere:
            tensor.data = tensor.data.to(device)
    return bool(elsewhere)


class Stay:
    """Counts the users of a module on a device: the first moves it there, the last back."""

    def __init__(self):
        self._lock = Lock()
        self._users = 0
        self._home = None

    @contextmanager
    def visit(self, module, device, remain=False):
        """Have a module on a device in a context, which several threads may enter.

        Parameters
        ----------
        module : torch.nn.Module
            With a tensor or more.
        device : torch.device
        remain : bool, default=False
            Whether to leave it there in the end.
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
        # A copy has no users.
        return Stay, ()


def _worker_number():
    """Number of this process among joblib's workers; 0 outside of them."""
    digits = re.search(r"(\d+)$", multiprocessing.current_process().name)
    return int(digits.group()) if digits else 0
