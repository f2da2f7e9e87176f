"""The folder of a comparison: killed processes, two at a time, changed and damaged files."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skall import CNNClassifier, ImagePreprocessor, compare
from skall.comparison.folds import make_folds
from skall.comparison.record import Record
from skall.datasets import make_blood_cells

SCRIPT = """
import sys, time
from pathlib import Path
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from skall import compare

class Slow(LogisticRegression):
    def fit(self, X, y):
        # From the third fold on it waits, until it is told not to.
        while len(list(Path(sys.argv[1]).glob("folds/slow/*"))) >= 2 and sys.argv[2] == "wait":
            time.sleep(0.01)
        return super().fit(X, y)

X, y = make_classification(random_state=0)
compare({"slow": Slow()}, X, y, cv=4, baselines=False, random_state=0, verbose=0, out=sys.argv[1])
"""


def run(out, X=None, y=None, **options):
    if X is None:
        X, y = make_classification(random_state=0)
    estimators = options.pop("estimators", {"logistic": LogisticRegression()})
    options = {"cv": 3, "random_state": 0, "verbose": 0, "baselines": False} | options
    return compare(estimators, X, y, out=out, **options)


def start(script, *arguments):
    return subprocess.Popen([sys.executable, script, *map(str, arguments)], stderr=subprocess.PIPE)


def wait_for(process, condition):
    while not condition():
        assert process.poll() is None, process.stderr.read().decode()
        time.sleep(0.02)


def finished_folds(out):
    return {path.name: path.stat().st_mtime_ns for path in out.glob("folds/slow/[0-9]*.json")}


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL and the takeover of locks are POSIX's")
def test_killed_process_loses_the_fold_under_way_alone(tmp_path):
    script, out, whole = tmp_path / "script.py", tmp_path / "killed", tmp_path / "whole"
    script.write_text(SCRIPT)
    first = start(script, out, "wait")
    try:
        wait_for(first, lambda: len(finished_folds(out)) == 2)
        with pytest.raises(
            ValueError, match=rf"in use by process {first.pid} on .*, since 2.*Wait"
        ):
            run(out)
    finally:
        first.send_signal(signal.SIGKILL)
        first.communicate()
    before = finished_folds(out)
    assert len(before) == 2 and (out / "lock.json").exists()
    second = start(script, out, "go")
    assert second.communicate()[1].decode() == "" and second.returncode == 0
    after = finished_folds(out)
    assert len(after) == 4 and before.items() <= after.items()
    assert not (out / "lock.json").exists()
    run(whole, estimators={"slow": LogisticRegression()}, cv=4)
    for table in ("scores.csv", "predictions.csv"):
        assert (out / table).read_bytes() == (whole / table).read_bytes()


def make_lock(out, **changes):
    """A lock of this process, but for some changes."""
    record = Record(out)
    with record.hold():
        holder = json.loads((out / "lock.json").read_text())
    (out / "lock.json").write_text(json.dumps(holder | changes))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when a process started")
def test_lock_of_an_earlier_process_with_this_number_is_taken_over(tmp_path):
    make_lock(tmp_path, started=1)
    run(tmp_path)
    assert not (tmp_path / "lock.json").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, f"process {os.getpid()} on {socket.gethostname()}"),
        ({"host": "elsewhere", "pid": 1}, "process 1 on elsewhere"),
    ],
    ids=["this process", "another host"],
)
def test_locks_that_are_respected(tmp_path, changes, message):
    make_lock(tmp_path, **changes)
    with pytest.raises(ValueError, match=f"in use by {message}.*delete '.*lock.json'"):
        run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["lock.json"]


def test_a_worker_that_outlives_its_process_writes_nothing(tmp_path):
    record, fold = Record(tmp_path), make_folds(np.arange(8) % 2, cv=2)[0]
    with record.hold():
        record.write("a", fold, {})
        (tmp_path / "lock.json").write_text("another's")
        with pytest.raises(RuntimeError, match="taken over meanwhile; the result of 'b' on repeat"):
            record.write("b", fold, {})
    assert [path.name for path in tmp_path.glob("folds/*")] == ["a"]
    # It is not this one's to delete either.
    assert (tmp_path / "lock.json").read_text() == "another's"


def test_unreadable_lock_is_respected(tmp_path):
    (tmp_path / "lock.json").touch()
    with pytest.raises(ValueError, match="a process that cannot be told"):
        run(tmp_path)


def test_errors_give_the_folder_back(tmp_path):
    run(tmp_path)
    with pytest.raises(ValueError, match="another comparison"):
        run(tmp_path, random_state=1)
    assert not (tmp_path / "lock.json").exists()


def test_changed_file_is_noticed(tmp_path):
    paths = []
    for row in range(12):
        paths.append(tmp_path / f"{row}.png")
        Image.new("RGB", (6, 6), (20 * row, 0, 0)).save(paths[-1])
    X, y, out = np.array(paths, dtype=object)[:, None], np.arange(12) % 2, tmp_path / "out"
    options = {"estimators": {}, "baselines": True, "cv": 2}
    run(out, X, y, **options)
    stored = out / "folds" / "mean%20colour" / "0-0.json"
    before = stored.stat().st_mtime_ns
    run(out, X, y, **options)
    assert stored.stat().st_mtime_ns == before
    Image.new("RGB", (6, 7), (9, 9, 9)).save(paths[3])
    expected = r"another comparison: files: 1 of 12 differ, '.*3\.png'\."
    with pytest.raises(ValueError, match=expected):
        run(out, X, y, **options)


@pytest.mark.parametrize("content", ["[]", "{}", '{"scores": {}, "seconds": {}, "proba": [[1]]}'])
def test_what_is_no_result_is_named(tmp_path, content):
    run(tmp_path)
    (tmp_path / "folds" / "logistic" / "0-1.json").write_text(content)
    with pytest.raises(ValueError, match=r"0-1\.json' is damaged.*delete it"):
        run(tmp_path)


def test_history_and_costs_are_stored(tmp_path):
    cells = make_blood_cells(24, 8, 16, random_state=0)
    network = CNNClassifier(
        "timm/test_resnet", weights=None, image_size=16, max_epochs=2, random_state=0
    )
    estimators = {"plain": network, "piped": make_pipeline(ImagePreprocessor(), network)}
    options = {"estimators": estimators, "pos_label": cells.pos_label, "cv": 2, "baselines": True}
    options["scoring"] = ["f1"]
    comparison = run(tmp_path, cells.data, cells.target, **options)
    history = comparison.history_
    assert list(history)[:5] == ["estimator", "repeat", "fold", "epoch", "train_loss"]
    keys = history[["estimator", "fold", "epoch"]].to_numpy().tolist()
    assert keys == [[n, fold, epoch] for n in estimators for fold in (0, 1) for epoch in (1, 2)]
    assert history["train_loss"].notna().all()
    stored = json.loads((tmp_path / "folds" / "piped" / "0-1.json").read_text())
    assert stored["history"]["train_loss"] == history["train_loss"].tolist()[-2:]
    assert set(stored["seconds"]) == {"fit", "predict"}
    if sys.platform in ("linux", "darwin"):
        assert 1e7 < stored["peak_memory"] < 1e12
    again = run(tmp_path, cells.data, cells.target, **options)
    pd.testing.assert_frame_equal(again.history_, history, check_exact=True)


def test_no_history_without_epochs(tmp_path):
    history = run(tmp_path).history_
    assert list(history) == ["estimator", "repeat", "fold", "epoch"] and history.empty
