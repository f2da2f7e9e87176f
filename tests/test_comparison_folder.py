"""The folder of a comparison: killed processes, two at a time, changed and damaged files."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skall import CNNClassifier, CNNFeatures, ImagePreprocessor, compare
from skall.comparison import Comparison
from skall.comparison.description import make_fingerprint
from skall.comparison.record import Record
from skall.comparison.splits import make_folds
from skall.datasets import make_blood_cells
from skall.environment import versions
from skall.network.precision import Numerics

pytestmark = pytest.mark.usefixtures("without_page")

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


@pytest.mark.thorough
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


class Counted(LogisticRegression):
    """Counts its fits, of all copies together."""

    fits = 0

    def fit(self, X, y):
        type(self).fits += 1
        return super().fit(X, y)


def test_estimators_come_and_go(tmp_path, monkeypatch):
    """What is finished stays, and the table has the estimators of the call."""
    monkeypatch.setattr(Counted, "fits", 0)
    first, second, third = Counted(), Counted(C=0.5), Counted(C=0.1)
    both = run(tmp_path, estimators={"first": first, "second": second})
    assert Counted.fits == 6
    lost = run(tmp_path, estimators={"second": second})
    assert Counted.fits == 6 and lost.table().index.tolist() == ["second"]
    assert pd.read_csv(tmp_path / "scores.csv")["estimator"].unique().tolist() == ["second"]
    gained = run(tmp_path, estimators={"third": third, "first": first}, baselines=True)
    assert Counted.fits == 9
    assert set(gained.table().index) == {"first", "third", "dummy"}
    again = run(tmp_path, estimators={"first": first, "second": second})
    assert Counted.fits == 9
    pd.testing.assert_frame_equal(again.scores_, both.scores_, check_exact=True)
    pd.testing.assert_frame_equal(again.predictions_, both.predictions_, check_exact=True)
    # One that was not asked for meanwhile is known all the same.
    expected = "another comparison: estimator 'third', C: 0.1 there, 0.2 now. Give"
    with pytest.raises(ValueError, match=re.escape(expected)):
        run(tmp_path, estimators={"third": Counted(C=0.2)})
    with pytest.raises(ValueError, match="'first' there, whose folder is the same to systems"):
        run(tmp_path, estimators={"First": first})
    assert Counted.fits == 9


def forbid(*args, **options):
    raise AssertionError("done again")


def test_what_is_finished_is_not_done_again(tmp_path, monkeypatch):
    """No network is built and no file written, as long as everything is there."""
    cells = make_blood_cells(24, 8, 16, random_state=0)
    tiny = {"weights": None, "image_size": 16, "trainable": "head", "random_state": 0}
    features = CNNFeatures("timm/test_resnet", weights=None, image_size=16, random_state=0)
    estimators = {
        "net": CNNClassifier("timm/test_resnet", **tiny),
        "piped": make_pipeline(features, LogisticRegression()),
    }
    options = {"estimators": estimators, "pos_label": cells.pos_label, "scoring": ["accuracy"]}
    first = run(tmp_path, cells.data, cells.target, **options)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.*")}
    with monkeypatch.context() as patched:
        patched.setattr("skall.comparison.estimators.sketch_network", forbid)
        patched.setattr("skall.comparison.description.summarize", forbid)
        patched.setattr("skall.comparison.description.measure_backbone", forbid)
        patched.setattr(Comparison, "write", forbid)
        again = run(tmp_path, cells.data, cells.target, **options)
        assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.*")} == before
        assert again.estimators_ == first.estimators_
        # Other parameters may not be possible.
        changed = {"net": CNNClassifier("timm/test_resnet", **tiny | {"image_size": 17})}
        with pytest.raises(AssertionError, match="done again"):
            run(tmp_path, cells.data, cells.target, **options | {"estimators": changed})
    table = (tmp_path / "table.csv").read_bytes()
    for damage in (Path.unlink, lambda path: path.write_text("changed")):
        damage(tmp_path / "table.csv")
        run(tmp_path, cells.data, cells.target, **options)
        assert (tmp_path / "table.csv").read_bytes() == table
    # What is to be written is another table now.
    run(tmp_path, cells.data, cells.target, **options | {"estimators": {"net": estimators["net"]}})
    assert (tmp_path / "table.csv").read_bytes() != table


PACKAGES = ["skall", "torch", "torchvision", "timm", "skorch", "pillow", "scikit-learn", "numpy"]
PACKAGES += ["scipy", "imbalanced-learn", "scikit-image"]


@pytest.mark.parametrize("package", PACKAGES)
def test_another_version_is_another_comparison(tmp_path, monkeypatch, package):
    run(tmp_path)
    known = versions.version
    monkeypatch.setattr(versions, "version", lambda n: "99" if n == package else known(n))
    expected = (
        rf"another comparison: version of {package}: \S+ there, 99 now\..*packages and device"
    )
    with pytest.raises(ValueError, match=expected):
        run(tmp_path)


def describe(estimator, by_name=False):
    keys = make_fingerprint({"a": estimator}, [[0]], [0], None, [], by_name=by_name)
    return {key: value for key, value in keys.items() if key.startswith("estimator 'a'")}


def test_device_and_precision_are_part_of_a_network(monkeypatch):
    """Of each, also inside a pipeline, as they are here and not as they are asked for."""
    network = CNNClassifier("timm/test_resnet", weights=None)
    piped = make_pipeline(CNNFeatures("timm/test_resnet", precision="bfloat16"), Counted())
    key = "estimator 'a', computed"
    here = f"cpu {torch.backends.cpu.get_cpu_capability()}"
    assert describe(network)[key].startswith(here)
    assert describe(network) != describe(network, by_name=True)
    assert key not in describe(Counted())
    assert "bfloat16" in describe(piped)[key]
    auto = describe(network)[key]
    monkeypatch.setattr(
        "skall.comparison.description.choose_numerics",
        lambda precision, backbone, device: Numerics("bfloat16"),
    )
    assert describe(network)[key] != auto
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "older")
    assert describe(network)[key].startswith("cpu older")


def test_packages_of_an_estimator_are_part_of_it():
    """Of a plugin, and of a classifier that is neither skall's nor scikit-learn's."""
    described = describe(CNNClassifier("resnet18", weights=None))
    assert described["estimator 'a', computed"].startswith("skall 0")
    foreign = type("Foreign", (Counted,), {"__module__": "optuna.classifiers"})
    assert "estimator 'a', version of optuna" in describe(foreign())


def make_lock(out, **changes):
    """A lock of this process, but for some changes."""
    record = Record(out)
    with record.lock():
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
    with record.lock():
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
    assert set(stored["seconds"]) == {"fit", "shared"}
    if sys.platform in ("linux", "darwin"):
        assert 1e7 < stored["peak_memory"] < 1e12
    again = run(tmp_path, cells.data, cells.target, **options)
    pd.testing.assert_frame_equal(again.history_, history, check_exact=True)


def test_no_history_without_epochs(tmp_path):
    history = run(tmp_path).history_
    assert list(history) == ["estimator", "repeat", "fold", "epoch"] and history.empty
