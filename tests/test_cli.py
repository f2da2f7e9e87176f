"""The command line: options, the synthetic run, mistakes."""

import inspect
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skall import CNNClassifier, __version__, list_backbones
from skall.cli.commands import main
from skall.cli.options import CLASSIFIER_OPTIONS
from skall.cli.values import format_value, parse_value
from skall.comparison.estimators import BASELINES
from skall.datasets import make_blood_cells

pytestmark = pytest.mark.usefixtures("without_page")

TINY = [*["--backbones", "timm/test_resnet", "--image-size", "32", "--max-epochs", "1"], "--cv=2"]


@pytest.fixture
def few_cells(monkeypatch):
    """A synthetic set that is quick to learn."""
    few = {"n_samples": 24, "n_patients": 8, "image_size": 32, "random_state": 0}
    monkeypatch.setattr("skall.cli.commands.SYNTHETIC_CELLS", few)


@pytest.fixture
def folder(tmp_path):
    """Images of two classes in folders, one of them leukaemic, with the patient in the name."""
    cells = make_blood_cells(24, 8, 32, random_state=0)
    numbers = {patient: k for k, patient in enumerate(np.unique(cells.groups))}
    for row, (image, label) in enumerate(zip(cells.data, cells.target, strict=True)):
        kind = "all" if label == cells.pos_label else "hem"
        subject = f"{'H' if kind == 'hem' else ''}{numbers[cells.groups[row]]}"
        path = tmp_path / "cells" / kind / f"UID_{subject}_{row}_1_{kind}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return tmp_path / "cells"


def test_without_data(few_cells, tmp_path, capsys):
    out = tmp_path / "report"
    assert main(["compare", *TINY, "--out", str(out)]) == 0
    captured = capsys.readouterr()
    assert "balanced accuracy" in captured.out
    assert "timm/test_resnet" in captured.out
    assert "24 synthetic cells of 8 patients" in captured.err
    command = captured.out.strip().splitlines()[-1].strip()
    for option in ("--cv 2", "--weights none", "--image-size 32", "--max-epochs 1", "--seed 0"):
        assert option in command
    for name in ("scores.csv", "predictions.csv", "table.csv", "accuracy.png"):
        assert (out / name).stat().st_size > 0
    # The command that it prints is the same call: it resumes, and does not complain.
    assert main(command.split()[1:]) == 0


def test_json(few_cells, capsys):
    options = ["--json", "--no-baselines", "--scoring", "accuracy,roc_auc"]
    assert main(["compare", *TINY, *options]) == 0
    results = json.loads(capsys.readouterr().out)
    assert results["positive_class"] == "ALL"
    assert list(results["estimators"]) == ["timm/test_resnet"]
    assert {"best", "patients"} <= results["summary"].keys()
    accuracy = results["estimators"]["timm/test_resnet"]["accuracy"]
    assert accuracy["mean"] == pytest.approx(np.mean(accuracy["folds"]))


def test_with_data(folder, tmp_path, capsys):
    out = tmp_path / "report"
    options = ["--weights", "none", "--trainable", "head", "--out", str(out)]
    assert main(["compare", str(folder), *TINY, *options]) == 0
    predictions = pd.read_csv(out / "predictions.csv")
    assert len(predictions) == (1 + len(BASELINES)) * 24
    assert predictions.groupby("group")["fold"].nunique().max() == 1
    assert {"proba_all", "proba_hem"} < set(predictions)
    table = pd.read_csv(out / "table.csv", index_col="estimator")
    assert set(table.index) == {"timm/test_resnet", *BASELINES}
    assert str(folder) in capsys.readouterr().out
    protocol = json.loads((out / "protocol.json").read_text())["protocol"]
    assert (protocol["data"], protocol["source"]) == ("C-NMC 2019", "cells")


@pytest.mark.thorough
def test_tuning_and_ensembles(few_cells, tmp_path, capsys):
    out = str(tmp_path / "report")
    options = ["--backbones", "timm/test_resnet,timm/test_efficientnet", "--max-epochs", "1"]
    options += ["--image-size", "16", "--cv", "2", "--ensembles", "--out", out, "--no-baselines"]
    options += ["--tune", "batch-size=6,12", "--tune=lr_schedule=none,cosine", "--trials", "2"]
    assert main(["compare", *options, "--strategy", "optuna"]) == 0
    printed = capsys.readouterr().out
    assert "What was chosen in each fold" in printed
    command = printed.strip().splitlines()[-1].strip()
    for text in ("--tune batch_size=6,12", "--tune lr_schedule=none,cosine", "--strategy optuna"):
        assert text in command
    chosen = pd.read_csv(tmp_path / "report" / "best_params.csv")
    assert set(chosen["parameter"]) == {"batch_size", "lr_schedule"}
    table = pd.read_csv(tmp_path / "report" / "table.csv", index_col="estimator")
    assert set(table.index) == {"timm/test_resnet", "timm/test_efficientnet", "vote", "stack"}
    # It resumes, and the JSON says what was chosen.
    assert main([*command.split()[1:], "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    assert len(results["best_params"]) == 2 * 2 * 2
    assert {row["value"] for row in results["best_params"]} <= {6, 12, None, "cosine"}
    assert "vote" in results["estimators"]


def test_every_parameter_is_an_option(capsys):
    python_only = {"self", "random_state", "verbose", "callbacks", "train_split", "skorch_params"}
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(CNNClassifier.__init__).parameters.items()
        if name not in {"backbone", *python_only} and not inspect.isclass(parameter.default)
    }
    options = {name: default for name, (default, _) in CLASSIFIER_OPTIONS.items()}
    assert options == defaults, "CLASSIFIER_OPTIONS in skall/cli/options.py is out of date"
    with pytest.raises(SystemExit, match="0"):
        main(["compare", "--help"])
    text = capsys.readouterr().out
    for name in options:
        assert f"--{name.replace('_', '-')} VALUE" in text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("none", None),
        ("True", True),
        ("false", False),
        ("3", 3),
        ("1e-3", 1e-3),
        ("28,28", (28, 28)),
        ("head", "head"),
        ("weights/resnet18.safetensors", "weights/resnet18.safetensors"),
    ],
)
def test_values(text, value):
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)
    assert parse_value(format_value(value)) == value


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--backbones", "squeezenett"], "squeezenet"),
        (["--scoring", "roc"], "unknown metric 'roc'"),
        (["--cv", "100"], "cv=100 is not possible"),
        (["--max-epochs", "many"], "max_epochs='many'"),
        (["nowhere"], "'nowhere' does not exist"),
        (["--pos-label", "AML"], "'AML' is not one of the classes"),
        (["--tune", "lrr=1e-3,1e-2"], "did you mean 'lr'"),
        (["--tune", "lr=1e-3,fast"], "lr='fast'"),
        (["--tune", "lr=1e-3", "--tune", "lr=1e-2"], "--tune lr is there twice"),
        (["--tune", "lr=1e-3", "--strategy", "best"], "'grid', 'halving', 'optuna'"),
        (["--trials", "3"], "there is no tune"),
        (["--ensembles"], "--ensembles needs two backbones"),
        (["--n-jobs", "0"], "n_jobs=0"),
        (["--weights", "nowhere.pth"], "'nowhere.pth': there is no such file"),
        (["--weights", "resnet.h5"], "'resnet.h5' is neither 'imagenet', None, nor"),
        (["--class-weight", "{'AML': 2}"], "class_weight names ['AML']"),
        (["--seed", "-1"], "random_state must be from 0"),
        (["--groups", "(.+)_"], "--groups and --columns are about DATA"),
    ],
    ids=str,
)
def test_mistakes(few_cells, argv, message, capsys):
    backbone = [] if "--backbones" in argv else ["--backbones", "timm/test_resnet"]
    assert main(["compare", *backbone, *argv]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    # After an error about folds, the command that works has a line of its own.
    line = next(each for each in captured.err.splitlines() if each.startswith("skall: error: "))
    assert message in line


def err(*args, **options):
    """What Python raises where a program is wrong."""
    return None + 1


def refuse(*args, **options):
    """What another package raises where skall gives it something wrong."""
    raise ValueError("n_splits must be a number")


@pytest.mark.parametrize(("cause", "error"), [(err, TypeError), (refuse, ValueError)])
@pytest.mark.parametrize(
    "place", ["skall.datasets.make_blood_cells", "skall.comparison.plan.make_folds"]
)
def test_errors_of_a_program_are_no_mistakes(few_cells, place, cause, error, monkeypatch, capsys):
    monkeypatch.setattr(place, cause)
    with pytest.raises(error):
        main(["compare", *TINY])
    assert "skall: error" not in capsys.readouterr().err


def test_errors_after_the_training_are_no_mistakes(few_cells, monkeypatch):
    monkeypatch.setattr("skall.comparison.plan.Plan.assemble", err)
    options = ["--no-baselines", "--scoring", "accuracy"]
    with pytest.raises(TypeError):
        main(["compare", *TINY, *options])


def test_exit_status_of_an_error():
    script = (
        "import sys, skall.cache.disk\nfrom skall.cli.commands import main\n"
        "skall.cache.disk.open_cache = lambda folder: None + 1\nsys.exit(main(['cache', 'folder']))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "TypeError" in done.stderr


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["compar"],
        ["compare", "--max-epoch", "3"],
        ["compare", "--tune", "lr"],
        ["compare", "--cv", "ten"],
        ["compare", "--columns", "label"],
    ],
    ids=str,
)
def test_unknown_words(argv):
    with pytest.raises(SystemExit, match="2"):
        main(argv)


def test_interrupted(few_cells, monkeypatch, tmp_path, capsys):
    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("skall.comparison.cross_validation.run_comparison", interrupt)
    assert main(["compare", *TINY, "--out", str(tmp_path)]) == 130
    assert f"finished folds are kept in {str(tmp_path)!r}" in capsys.readouterr().err
    assert main(["compare", *TINY]) == 130
    assert "nothing was kept" in capsys.readouterr().err


@pytest.mark.filterwarnings("default")
def test_images_without_patients(tmp_path, capsys):
    for row in range(8):
        path = tmp_path / ("blast" if row % 2 else "healthy") / f"{row}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (32, 32), (row, 0, 0)).save(path)
    options = ["--weights", "none", "--pos-label", "blast"]
    assert main(["compare", str(tmp_path), *TINY, *options]) == 0
    assert "skall: warning: no patients are known" in capsys.readouterr().err


def test_backbones(monkeypatch, capsys):
    names = ["resnet18", "broken", "efficientnet_b7"]
    monkeypatch.setattr("skall.backbones.catalogue.list_backbones", lambda: names)
    assert main(["backbones"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[2].split() == [
        *["resnet18", "224", "11,176,512", "1,813,561,344", "512x7x7", "BSD-3-Clause"]
    ]
    assert printed[3].split()[0] == "efficientnet_b7"
    assert printed[4].startswith("broken: error: ValueError: unknown backbone 'broken'")
    assert main(["backbones", "--json"]) == 0
    rows = {row.pop("backbone"): row for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == names
    assert rows["resnet18"]["url"].endswith("torchvision.models.resnet18.html")
    assert rows["resnet18"]["source"] == "torchvision resnet18 (IMAGENET1K_V1)"
    assert rows["broken"]["parameters"] is None and "unknown" in rows["broken"]["source"]


def test_backbones_fit_a_terminal_and_need_no_torch():
    # torch alone takes longer to import than the two seconds that the whole command may.
    script = (
        "import sys\nfrom skall.cli.commands import main\nmain(['backbones'])\n"
        "print([name for name in ('torch', 'torchvision', 'timm') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert done.pop() == "[]"
    assert max(map(len, done)) <= 100
    assert all(any(line.startswith(f"{name} ") for line in done) for name in list_backbones())


@pytest.mark.parametrize("argv", [["--help"], ["compare", "--help"]], ids=str)
def test_help_is_quick(argv):
    script = (
        "import sys\nfrom skall.cli.commands import main\n"
        f"try:\n    main({argv})\nexcept SystemExit:\n    pass\n"
        "print('torch' in sys.modules, 'sklearn' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "False False"


def test_python_dash_m():
    done = subprocess.run(
        [sys.executable, "-m", "skall", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"skall {__version__}"


def test_results_do_not_go_among_the_images(folder, capsys):
    for out in (folder, folder / "report"):
        assert main(["compare", str(folder), *TINY, "--out", str(out)]) == 2
        assert "choose another folder" in capsys.readouterr().err
    assert sorted(path.name for path in folder.iterdir()) == ["all", "hem"]


def test_a_mistake_does_not_take_the_folder(folder, tmp_path, capsys):
    command = ["compare", str(folder), *TINY, "--weights", "none", "--out", str(tmp_path / "out")]
    assert main([*command, "--trainable", "heads"]) == 2
    assert "trainable='heads'" in capsys.readouterr().err
    assert main(command) == 0


@pytest.mark.filterwarnings("default:no patients:UserWarning", "default:the data:UserWarning")
@pytest.mark.filterwarnings("default:the names of:UserWarning")
def test_folds_and_patients_of_the_data(folder, tmp_path, capsys):
    paths = sorted(folder.rglob("*.png"))
    table = pd.DataFrame({"path": paths, "label": [path.parent.name for path in paths]})
    table["fold"] = np.arange(len(table)) % 2
    table = table.rename(columns={"label": "Class, as seen"})
    table.to_csv(tmp_path / "cells.csv", index=False, sep=";")
    command = ["compare", str(tmp_path / "cells.csv"), *TINY, "--weights", "none"]
    command += ["--columns", "label=Class, as seen,fold=Fold"]
    command += ["--pos-label", "all"]
    assert main([*command, "--out", str(tmp_path / "dealt")]) == 0
    assert "--cv fold" in capsys.readouterr().err
    assert main([*command, "--cv", "fold", "--out", str(tmp_path / "given")]) == 0
    predictions = pd.read_csv(tmp_path / "given" / "predictions.csv")
    assert (predictions["fold"] == predictions["sample"] % 2).all()
    assert main(["compare", str(folder), *TINY, "--cv", "fold"]) == 2
    assert "without folds" in capsys.readouterr().err
