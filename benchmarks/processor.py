"""What the measurements were made on."""

import platform
import re
from pathlib import Path

import torch


def has_bfloat16():
    """Whether this processor has instructions for bfloat16, and torch uses them.

    Where it only emulates them bfloat16 is slower than float32.
    """
    # Not every torch tells them.
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    instructions = any(value is True and "bf16" in name for name, value in capabilities.items())
    return instructions and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def name_processor():
    """The processor's name, as the system gives it."""
    try:
        names = re.findall(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
