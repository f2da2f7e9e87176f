"""In what numbers a network is computed, and how its images lie in memory."""

import csv
import re
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import torch

TABLE = "precision.csv"
MEMORY_FORMATS = {
    "channels_last": torch.channels_last,
    "contiguous": torch.contiguous_format,
}


@dataclass(frozen=True)
class Numerics:
    """How a trunk is computed.

    Parameters
    ----------
    precision : {"float32", "bfloat16"}
        bfloat16 is torch's automatic mixed precision: weights and their updates stay float32.
    memory_format : {"channels_last", "contiguous"}
        How images and feature maps lie in memory.
    """

    precision: str = "float32"
    memory_format: str = "channels_last"

    def autocast(self, device):
        """A context in which a trunk computes in this precision.

        Parameters
        ----------
        device : torch.device
        """
        if self.precision == "float32":
            # Not switched off: where shapes alone are computed, torch has no autocast to switch.
            return nullcontext()
        return torch.autocast(device.type, torch.bfloat16)

    def arrange(self, tensor):
        """A tensor ``(n, c, h, w)`` in this memory format; others as they are."""
        if tensor.ndim != 4:
            return tensor
        return tensor.contiguous(memory_format=MEMORY_FORMATS[self.memory_format])

    def arrange_weights(self, module):
        """Bring the weights of a module that is on a GPU into this memory format, in place.

        cuDNN would do so in each step; on the CPU, oneDNN has an order of its own.
        """
        parameter = next(module.parameters(), None)
        if parameter is not None and parameter.device.type == "cuda":
            module.to(memory_format=MEMORY_FORMATS[self.memory_format])


def choose_numerics(precision, backbone, device):
    """How to compute a backbone on a device: what the table of measurements says is fastest.

    Nothing is timed here. The table, ``precision.csv`` beside this module, has a row for each
    family of backbones and capability of devices that was measured; ``benchmarks/precision.py``
    makes rows.

    Parameters
    ----------
    precision : {"auto", "float32", "bfloat16"}
    backbone : str
        Its name.
    device : torch.device

    Returns
    -------
    Numerics
        Of the given precision, if it is not "auto".

    Examples
    --------
    >>> choose_numerics("float32", "resnet50", torch.device("cpu")).precision
    'float32'
    """
    family, capability = name_family(backbone), name_capability(device)
    measured = [row for row in read_table() if row["capability"] == capability]
    if precision != "auto":
        measured = [row for row in measured if row["precision"] == precision]
    for name in (family, "*"):
        for row in measured:
            if row["family"] == name:
                return Numerics(row["precision"], row["memory_format"])
    return Numerics() if precision == "auto" else Numerics(precision)


@cache
def read_table():
    """The measurements: for each family and capability, what was fastest.

    Returns
    -------
    list of dict
        With ``family`` (``*`` is any other), ``capability``, ``precision``, ``memory_format``,
        and where the row is from.
    """
    with files("skall.network").joinpath(TABLE).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def name_family(backbone):
    """The family that a backbone is of: networks of the same layers that differ in size.

    Parameters
    ----------
    backbone : str

    Returns
    -------
    str

    Examples
    --------
    >>> [name_family(name) for name in ("resnet50v2", "timm/mobilenetv2_035", "efficientnet_b3")]
    ['resnetv2', 'mobilenetv2', 'efficientnet']
    """
    name = backbone.rpartition("/")[2]
    parts = re.match(r"([a-z]+?)(v\d+)?(?![a-z])\d*(v\d+$)?", name)
    return "".join(part or "" for part in parts.groups()) if parts else name


def name_capability(device):
    """What decides, of a device, which precision is fast on it.

    Parameters
    ----------
    device : torch.device

    Returns
    -------
    str
        The type of the device, and "bfloat16" where it has instructions for that.
    """
    if device.type == "cuda":
        return "cuda bfloat16" if torch.cuda.get_device_capability(device)[0] >= 8 else "cuda"
    if device.type == "cpu" and _cpu_has_bfloat16():
        return "cpu bfloat16"
    return device.type


def _cpu_has_bfloat16():
    # torch reports these of the processor; where it does not, nothing is known to be faster.
    get_capabilities = getattr(torch.cpu, "get_capabilities", dict)
    found = get_capabilities()
    return any(found.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
