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


@pytest.fixture(autouse=True)
def leave_reports_out(request, monkeypatch):
    """Folders of comparisons get no page, which takes seconds, but where it is what is tested."""
    if "report" not in request.keywords:
        monkeypatch.setattr("skall.report.write_report", lambda comparison, path: path)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with the real images and weights that lies beside the project."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip(f"no folder {folder} with real images and weights")
    return folder
