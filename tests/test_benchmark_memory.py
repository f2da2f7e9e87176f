"""The benchmark of memory: what it writes, deals and judges, and that it can fail."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image


@pytest.fixture
def memory(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    return import_module("memory")


def test_cells_are_files_of_224_pixels_no_two_alike(memory, tmp_path):
    drawn = memory.draw_cells(60, 64, n_drawn=20)
    assert len({image.tobytes() for image, _, _ in drawn}) == 60
    paths, labels = memory.write_cells(tmp_path, 60)
    assert len({Path(path).read_bytes() for path in paths}) == len(labels) == 60
    assert set(labels) == {"ALL", "healthy"}
    for path in paths:
        with Image.open(path) as picture:
            assert picture.size == (224, 224)


@pytest.mark.parametrize("n_folds", [2, 4])
def test_folds_of_a_shortened_run(memory, n_folds):
    folds = memory.deal(2_000, n_folds)
    assert len(folds) == n_folds
    for train, test in folds:
        assert len(train) == 200 and len(test) == 1_000 / n_folds
        assert not np.intersect1d(train, test).size
    # The same images whatever the number of folds: what the store holds does not grow with it.
    tested = [np.concatenate([test for _, test in memory.deal(2_000, k)]) for k in (2, 4)]
    assert set(tested[0]) == set(tested[1]) and len(set(tested[0])) == 1_000


@pytest.mark.parametrize(
    ("peaks", "words"),
    [
        ((2.9, 2.9), []),
        ((2.0, 2.15), []),
        ((2.0, 3.01), ["a over 4 folds held 3.01 GB, above 3 GB", "a grew by 50% from 2 to 4"]),
        ((1.0, 1.2), ["a grew by 20% from 2 to 4 folds"]),
        ((3.2, 3.2), ["a over 2 folds held 3.20 GB", "a over 4 folds held 3.20 GB"]),
    ],
)
def test_what_is_too_much(memory, peaks, words):
    table = pd.DataFrame({"run": ["a", "a"], "folds": [2, 4], "peak_gb": peaks})
    wrong = memory.judge(table)
    assert len(wrong) == len(words)
    assert all(text.startswith(start) for text, start in zip(wrong, words, strict=True))


@pytest.mark.thorough
def test_a_run_measures_and_judges(memory, tmp_path, monkeypatch, capsys):
    """A process of torch and skall holds hundreds of MB before it compares anything."""
    monkeypatch.setattr(memory, "RUNS", (replace(memory.RUNS[0], folds=(2,)),))
    out = tmp_path / "table.csv"
    assert memory.main(["--images", "40", "--out", str(out)]) == 0
    assert capsys.readouterr().out.endswith("within its bounds\n")
    (row,) = pd.read_csv(out).itertuples()
    assert (row.run, row.folds, row.images) == ("frozen trunk", 2, 40)
    assert 0.3 < row.peak_gb < 3
    assert row.held.startswith("MemoryStore(40 images, 40 arrays of features")
    table = pd.read_csv(out)
    monkeypatch.setattr(memory, "measure_all", lambda *args: table.assign(peak_gb=3.5))
    assert memory.main(["--images", "40"]) == 1
    assert "held 3.50 GB, above 3 GB" in capsys.readouterr().out
