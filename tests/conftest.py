"""Fixtures that several test modules use."""

import os
from pathlib import Path

# scikit-learn skips its array API check unless scipy was imported with this.
os.environ["SCIPY_ARRAY_API"] = "1"
# Read when torch is imported: on tiny networks threads wait for each other more than they compute.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# torch's waiting threads would slow down whatever else runs on the machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest
import torch

from skall.network import precision

PROCESSORS = ("own", "float32", "bfloat16")


def pytest_addoption(parser):
    parser.addoption(
        "--processor",
        choices=PROCESSORS,
        default="own",
        help="the instructions that precision='auto' finds: this machine's own, those of a "
        "processor without bfloat16, or with bfloat16, which every backbone then computes in "
        "(any processor can, if slowly)",
    )


def pytest_configure(config):
    """Let precision="auto" decide as on another processor, in this process alone."""
    processor = config.getoption("--processor")
    if processor == "own":
        return
    has_bfloat16 = processor == "bfloat16"
    torch.cpu.get_capabilities = lambda: {"avx512_bf16": has_bfloat16}
    rows = precision.read_table()
    other = {"family": "*", "capability": "cpu bfloat16"}
    other |= {"precision": "bfloat16", "memory_format": "channels_last"}
    precision.read_table = lambda: [*rows, other]


@pytest.fixture
def without_page(monkeypatch):
    """For tests of other things in a comparison's folder: its page takes seconds."""
    monkeypatch.setattr("skall.comparison.results.write_report", lambda comparison, path: path)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with the real images and weights that lies beside the project."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip(f"no folder {folder} with real images and weights")
    return folder
