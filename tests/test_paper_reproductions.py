"""The reproductions of the two papers: published numbers, tables, both scripts."""

import json
import subprocess
import sys
from decimal import Decimal
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.torch import save_file

from skall.backbones.weights import build_trunk
from skall.comparison.estimators import BASELINES
from skall.datasets import make_blood_cells

pytestmark = pytest.mark.thorough
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SMOKE = "smoke run, not results"
SCRIPTS = {
    "reproduce_p1": ("mobilenet", "talupuri2025"),
    "reproduce_p2": ("mobilenetv2", "vinod2025"),
}
SMALLEST = ["--quick", "--image-size", "32", "--max-epochs", "1"]


@pytest.fixture(autouse=True)
def folder_of_the_scripts(monkeypatch):
    """What Python does for a script that it runs."""
    monkeypatch.syspath_prepend(BENCHMARKS)


@pytest.fixture
def run(capsys):
    """Run a script in this process; gives what it prints."""

    def run(script, *argv):
        study = import_module(script).STUDY
        import_module("protocol").reproduce(study, [str(word) for word in argv])
        return capsys.readouterr().out

    return run


@pytest.fixture
def published():
    return import_module("paper_tables").read_published()


# -- published numbers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("paper", "name", "label", "text"),
    [
        ("talupuri2025", "efficientnet_b3", "accuracy_percent", "96.43750"),
        ("talupuri2025", "efficientnet_b4", "accuracy_percent", "> 95"),
        ("talupuri2025", "resnet50", "f1", "> 0.95"),
        ("talupuri2025", "mobilenet", "f1", ""),
        ("vinod2025", "vgg19", "accuracy_percent_in_prose", "90.10"),
    ],
)
def test_numbers_are_quoted_as_printed(published, paper, name, label, text):
    assert import_module("paper_tables").quote(published[paper]["results"][name], label) == text


def test_the_protocols_are_the_papers(published):
    first, second = published["talupuri2025"], published["vinod2025"]
    assert first["folds"] == 10
    hits, n = first["fitting_counts"]
    accuracy = first["results"]["efficientnet_b3"]["accuracy_percent"]
    assert accuracy == 100 * Decimal(hits) / n
    assert (second["test_images"], second["test_images_by_class"]) == (22, [12, 10])
    assert second["epochs_tried"] == [40, 45, 50, 60]
    frozen = [n for n, numbers in second["results"].items() if numbers["trainable"] == "head"]
    assert frozen == ["resnet101v2", "densenet201"]


# -- tables ---------------------------------------------------------------------------------------


def test_intervals_of_means_are_corrected():
    estimate = import_module("paper_tables").estimate_mean
    values = pd.Series([0.8, 0.6, 0.7, np.nan])
    mean, low, high = estimate("f1", values)
    # Student's t at 2 degrees of freedom, and variance 0.01 times 1/3 + 1/2.
    half = 4.302652730 * np.sqrt(0.01 * (1 / 3 + 1 / 2))
    assert (mean, low, high) == pytest.approx((0.7, 0.7 - half, 1))
    assert estimate("log_loss", values)[2] == pytest.approx(0.7 + half)
    assert np.isnan(estimate("f1", pd.Series([1.0, 1.0]))[1:]).all()


def test_tables_stand_ours_beside_the_published(published):
    tables = import_module("paper_tables")
    folds = {"vgg16": [0.84, 0.85, 0.86], "dummy": [0.5, 0.5, 0.5]}
    scores = pd.DataFrame(
        [(name, "accuracy", value) for name, values in folds.items() for value in values],
        columns=["estimator", "metric", "value"],
    )
    metrics = {"accuracy": "accuracy_percent"}
    results = published["vinod2025"]["results"]
    table = tables.tabulate(scores, metrics, results, tables.estimate_mean)
    assert tables.to_markdown(table).splitlines() == [
        "| architecture | accuracy percent | accuracy percent published "
        "| accuracy percent published in prose |",
        "| --- | --- | --- | --- |",
        "| vgg16 | 85.0 [81.1, 88.9] | 100 | 89.23 |",
        "| dummy | 50.0 |  |  |",
    ]


# -- scripts --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("without_page")
@pytest.mark.parametrize("honest", [False, True], ids=["protocol", "honest"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_quick_runs_say_what_they_are(run, script, honest, tmp_path):
    backbone, section = SCRIPTS[script]
    mode = ["--honest"] if honest else []
    argv = [*SMALLEST, "--backbones", backbone, "--out", tmp_path, *mode]
    report = run(script, *argv)
    assert report.startswith(f"# {SMOKE}\n")
    assert f"\n| {backbone} | " in report
    assert ("not comparable one to one" in report) == honest
    assert ("What the paper leaves open" in report) != honest

    folder = tmp_path / f"{section}-{'honest' if honest else 'protocol'}-smoke-run-not-results"
    assert (folder / "report.md").read_text(encoding="utf-8") == report
    table = pd.read_csv(folder / "table.csv", index_col="architecture")
    assert (table["note"] == SMOKE).all()
    assert list(table.index) == ([backbone, *BASELINES] if honest else [backbone])

    finished = {path: path.stat().st_mtime_ns for path in folder.glob("comparison/folds/*/*")}
    assert run(script, *argv) == report
    assert {path: path.stat().st_mtime_ns for path in finished} == finished


@pytest.mark.usefixtures("without_page")
def test_the_second_paper_validates_on_its_test_set(run, tmp_path):
    run("reproduce_p2", *SMALLEST, "--backbones", "densenet201", "--out", tmp_path)
    (folder,) = tmp_path.iterdir()
    table = pd.read_csv(folder / "table.csv", index_col="architecture")
    (path,) = folder.glob("comparison/folds/*/*.json")
    history = pd.DataFrame(json.loads(path.read_text(encoding="utf-8"))["history"])
    accuracy, loss = table.loc["densenet201", ["accuracy_percent", "loss"]]
    assert 100 * history["valid_acc"].iloc[-1] == pytest.approx(accuracy)
    assert history["valid_loss"].iloc[-1] == pytest.approx(loss, rel=1e-4)


def test_parameters_are_explained(published):
    script = import_module("reproduce_p2")
    names = ["vgg16", "inceptionv3", "resnet101v2"]
    task = type("Task", (), {"published": published["vinod2025"], "backbones": names})
    table = script.tabulate_parameters(task)
    assert table["difference"].tolist() == [
        "none",
        "+17,216 trainable, +34,432 optimizer: Keras' batch normalisation has no scale there",
        "-36,416 non-trainable: Keras' convolutions have biases there",
    ]


def test_data_of_one_s_own(run, tmp_path, monkeypatch):
    cells = make_blood_cells(16, n_patients=4, image_size=32, random_state=0)
    for number, (image, label) in enumerate(zip(cells.data, cells.target, strict=True)):
        path = tmp_path / "cells" / label / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    trunk = build_trunk("mobilenet", None)
    weights = {name: tensor.clone() for name, tensor in trunk.state_dict().items()}
    (tmp_path / "weights").mkdir()
    save_file(weights, tmp_path / "weights" / "mobilenet.safetensors")
    monkeypatch.setenv("SKALL_WEIGHTS", str(tmp_path / "weights"))

    options = ["--backbones", "mobilenet", "--cv", 2, "--image-size", 32, "--max-epochs", 1]
    report = run("reproduce_p1", tmp_path / "cells", "--honest", *options)
    assert SMOKE not in report
    assert "patients are not known in these data" in report
    assert "Other than planned: --cv 2, --image-size 32, --max-epochs 1." in report


@pytest.mark.parametrize(
    ("script", "place"),
    [
        ("reproduce_p1", "https://doi.org/10.7937/tcia.2019.dc64i46r"),
        ("reproduce_p2", "https://scotti.di.unimi.it/all/"),
    ],
)
def test_without_data_they_say_where_to_get_it(script, place, run, capsys):
    with pytest.raises(SystemExit) as exit_:
        run(script)
    assert exit_.value.code == 2
    message = capsys.readouterr().err
    assert message.startswith("usage: ")
    assert place in message
    assert "--quick" in message


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--quick", "--backbones", "vgg16,squeezenet"], "'squeezenet' is not in the paper"),
        (["DATA", "--quick"], "give DATA or --quick"),
        (["--quick", "--cv", "3"], "--cv goes with --honest"),
        (["DATA", "--out", "DATA/results"], "lies in DATA"),
        (["DATA"], "does not exist"),
        ([*SMALLEST, "--honest"], "'inceptionv3' cannot take image_size=32"),
        (["--quick", "--honest", "--cv", "40"], "cv=40 is not possible"),
    ],
)
def test_mistakes_are_explained(argv, message, run, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit_:
        run("reproduce_p2", *argv)
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


def test_they_run_as_scripts():
    outcome = subprocess.run(
        [sys.executable, BENCHMARKS / "reproduce_p1.py"], capture_output=True, text=True
    )
    assert outcome.returncode == 2
    assert "Traceback" not in outcome.stderr
    assert "there is no DATA" in outcome.stderr


@pytest.mark.slow
@pytest.mark.parametrize("honest", [False, True], ids=["protocol", "honest"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_quick_runs_of_every_architecture(run, published, script, honest):
    report = run(script, "--quick", *(["--honest"] if honest else []))
    assert report.startswith(f"# {SMOKE}\n")
    for name in published[SCRIPTS[script][1]]["results"]:
        assert f"\n| {name} | " in report


# -- table of precisions --------------------------------------------------------------------------


def test_a_precision_is_chosen_where_it_is_clearly_faster():
    script = import_module("precision")
    default, half = script.Numerics(), script.Numerics("bfloat16")
    best, gain = script.choose({default: [3.0, 2.0, 2.2], half: [1.5, 1.0, 1.0]})
    assert best == half and gain == 2.0
    # Faster by the median, and not in most turns.
    assert script.choose({default: [2, 2, 2, 9, 9.0], half: [3, 3, 1, 1, 1.0]})[0] == default
    # By too little.
    assert script.choose({default: [1.02] * 5, half: [1.0] * 5}) == (default, 1.0)


def test_rows_of_precisions_replace_their_like(tmp_path, monkeypatch, capsys):
    script = import_module("precision")
    table = tmp_path / "precision.csv"
    kept = [("resnet", "cpu"), ("test", "other"), ("test", "cpu")]
    rows = [dict.fromkeys(script.COLUMNS, "") | {"family": f, "capability": c} for f, c in kept]
    monkeypatch.setattr(script, "TABLE", table)
    monkeypatch.setattr(script, "read_table", lambda: rows)
    monkeypatch.setattr(script, "name_capability", lambda device: "cpu")
    monkeypatch.setattr(script, "tune_allocator", lambda: None)
    command = "--backbones timm/test_resnet --image-size 32 --batch-size 4 --rounds 1 --write"
    script.main(command.split())
    written = pd.read_csv(table)
    assert list(zip(written["family"], written["capability"], strict=True)) == [
        *(("resnet", "cpu"), ("test", "cpu"), ("test", "other"))
    ]
    assert written["precision"][1] == "float32" and "batch 4" in written["source"][1]
    assert "timm/test_resnet: float32, contiguous:" in capsys.readouterr().out
