"""The precision that a network is computed in, and its memory format."""

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
    """Precision and memory format of a trunk.

    Parameters
    ----------
    precision : {"float32", "bfloat16"}
        bfloat16 is torch's automatic mixed precision: weights and their updates stay float32.
    memory_format : {"channels_last", "contiguous"}
        Memory format of images and feature maps.
    """

    precision: str = "float32"
    memory_format: str = "channels_last"

    def autocast(self, device):
        """Return a context in which a trunk is computed in this precision.

        Parameters
        ----------
        device : torch.device
        """
        if self.precision == "float32":
            # Not autocast(enabled=False), which the meta device does not have.
            return nullcontext()
        return torch.autocast(device.type, torch.bfloat16)

    def arrange(self, tensor):
        """Bring a tensor ``(n, c, h, w)`` into this memory format; others are not changed."""
        if tensor.ndim != 4:
            return tensor
        return tensor.contiguous(memory_format=MEMORY_FORMATS[self.memory_format])

    def arrange_weights(self, module):
        """Bring the weights of a module on a GPU into this memory format, in place.

        cuDNN would do so in each step; on the CPU, oneDNN has its own layout.
        """
        parameter = next(module.parameters(), None)
        if parameter is not None and parameter.device.type == "cuda":
            module.to(memory_format=MEMORY_FORMATS[self.memory_format])


def choose_numerics(precision, backbone, device):
    """Choose the fastest numerics for a backbone on a device from the table of measurements.

    Nothing is timed here. The table, ``precision.csv`` beside this module, has a row for each
    family of backbones and capability of devices that was measured with
    ``benchmarks/precision.py``.

    Parameters
    ----------
    precision : {"auto", "float32", "bfloat16"}
    backbone : str
        Its name.
    device : torch.device

    Returns
    -------
    numerics : Numerics
        With the given precision, if it is not "auto".

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
    """Read the measurements: the fastest numerics for each family and capability.

    Returns
    -------
    rows : list of dict
        With ``family`` (``*`` is any other), ``capability``, ``precision``, ``memory_format``,
        and the source of the row.
    """
    with files("skall.network").joinpath(TABLE).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def name_family(backbone):
    """Name the family of a backbone: networks with the same kinds of layers, of any size.

    Parameters
    ----------
    backbone : str

    Returns
    -------
    family : str

    Examples
    --------
    >>> [name_family(name) for name in ("resnet50v2", "timm/mobilenetv2_035", "efficientnet_b3")]
    ['resnetv2', 'mobilenetv2', 'efficientnet']
    """
    name = backbone.rpartition("/")[2]
    parts = re.match(r"([a-z]+?)(v\d+)?(?![a-z])\d*(v\d+$)?", name)
    return "".join(part or "" for part in parts.groups()) if parts else name


def name_capability(device):
    """Name what decides which precision is fast on a device.

    Parameters
    ----------
    device : torch.device

    Returns
    -------
    capability : str
        The type of the device, and "bfloat16" where it has instructions for that.
    """
    if device.type == "cuda":
        return "cuda bfloat16" if torch.cuda.get_device_capability(device)[0] >= 8 else "cuda"
    if device.type == "cpu" and _cpu_has_bfloat16():
        return "cpu bfloat16"
    return device.type


def _cpu_has_bfloat16():
    # Older versions of torch do not report capabilities.
    get_capabilities = getattr(torch.cpu, "get_capabilities", dict)
    found = get_capabilities()
    return any(found.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
