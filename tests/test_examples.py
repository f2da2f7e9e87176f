"""Every example runs from start to end, without a display and without a warning."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("plot_*.py"))
# Without a display plt.show() does nothing. Waiting threads that spin slow a shared machine down.
ENVIRONMENT = os.environ | {"MPLBACKEND": "Agg", "OMP_WAIT_POLICY": "PASSIVE"}


def test_examples_are_found():
    names = {path.stem for path in EXAMPLES}
    assert {"plot_compare_backbones", "plot_imbalanced", "plot_tune_backbone"} <= names


@pytest.mark.thorough
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(path, tmp_path):
    outcome = subprocess.run(
        [sys.executable, path], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stderr == ""
    assert outcome.stdout
    assert not list(tmp_path.iterdir())
