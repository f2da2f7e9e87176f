"""The report: the page, what lies beside it, and what is read from a folder again."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import make_classification
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from skall import compare, get_estimator
from skall.cli import main
from skall.comparison import Comparison
from skall.datasets import make_blood_cells
from skall.report.checklists import fill_checklists
from skall.report.facts import describe_facts

pytestmark = pytest.mark.report

BREAKOUT = "<script>window.hacked=1</script>"
LABEL = '"><img src=x onerror="window.hacked=1">'
NETWORK = "timm/test_resnet"
BESIDE = ("report.html", "table.csv", "table.tex", "predictions.csv", "model_card.md")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of a comparison on files, with names that a careless page would run."""
    root = tmp_path_factory.mktemp("report")
    cells = make_blood_cells(24, n_patients=8, image_size=32, random_state=0)
    paths = []
    for row, pixels in enumerate(cells.data):
        paths.append(root / f"<b>{row} & co.png")
        Image.fromarray(pixels).save(paths[-1])
    X = np.array([str(path) for path in paths], dtype=object)[:, None]
    y = np.where(cells.target == cells.pos_label, LABEL, "healthy")
    tiny = {"weights": None, "image_size": 32, "max_epochs": 2, "random_state": 0}
    estimators = {
        NETWORK: get_estimator(NETWORK, **tiny),
        BREAKOUT: get_estimator(NETWORK, **tiny | {"lr": 1e-2}),
    }
    options = {"groups": cells.groups, "pos_label": LABEL, "cv": 2, "repeats": 2}
    out = root / "out"
    compare(estimators, X, y, out=out, random_state=0, verbose=0, **options)
    return out


@pytest.fixture(scope="module")
def comparison(folder):
    return Comparison.read(folder)


def test_everything_is_written(folder):
    written = {path.name for path in folder.iterdir()}
    assert written >= {*BESIDE, "scores.csv", "accuracy.png", "protocol.json"}


@pytest.mark.parametrize("kind", ["int", "bool", "str"])
def test_reading_gives_back_every_attribute(kind, tmp_path):
    X, y = make_classification(60, random_state=0)
    y = {"int": y, "bool": y == 1, "str": np.array(["a", "b"])[y]}[kind]
    groups = np.array(["NA", "7", *[f"P{k}" for k in range(18)]], dtype=object)[np.arange(60) // 3]
    groups = groups if kind == "str" else None
    estimators = {"NA": LogisticRegression(), "svc": LinearSVC()}
    options = {"groups": groups, "random_state": 0, "verbose": 0, "cv": 3}
    pos_label = "b" if kind == "str" else None
    before = compare(estimators, X, y, out=tmp_path, pos_label=pos_label, **options)
    after = Comparison.read(tmp_path)
    for name in ("scores_", "predictions_", "resources_", "samples_"):
        pd.testing.assert_frame_equal(
            getattr(before, name), getattr(after, name), check_dtype=False, check_exact=True
        )
    assert [type(v) for v in before.predictions_["y_true"].tolist()] == [
        type(v) for v in after.predictions_["y_true"].tolist()
    ]
    for name in ("pos_label_", "trials_", "members_", "estimators_", "protocol_"):
        assert getattr(before, name) == getattr(after, name), name
    pd.testing.assert_frame_equal(before.table(), after.table(), check_dtype=False)


def test_searches_and_ensembles_are_read_again(tmp_path):
    cells = make_blood_cells(24, n_patients=8, image_size=32, random_state=0)
    tiny = {"weights": None, "image_size": 32, "max_epochs": 1, "random_state": 0, "verbose": 0}
    before = compare(
        [NETWORK, "timm/test_efficientnet"],
        *(cells.data, cells.target),
        **{"pos_label": "ALL", "cv": 2, "tune": {"lr": [1e-3, 1e-2]}, "scoring": ["f1"], **tiny},
    ).vote()
    before.write(tmp_path)
    after = Comparison.read(tmp_path)
    assert after.best_params_["value"].tolist() == before.best_params_["value"].tolist()
    assert after.trials_ == before.trials_ and set(after.trials_.values()) == {1, 2}
    assert after.members_ == {"vote": (NETWORK, "timm/test_efficientnet")}
    # The cells of the gallery were stored, because they lay in no file.
    assert len(after.plot_errors(n=2).pictures) == 2
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Chosen in each fold" in text and "Ensemble" in text


def test_the_same_comparison_gives_the_same_page(comparison, tmp_path):
    first = comparison.report(tmp_path / "a.html").read_bytes()
    assert first == comparison.report(tmp_path / "b.html").read_bytes()


def test_page_needs_nothing_else_and_runs_no_label(folder):
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert BREAKOUT not in text and LABEL not in text
    assert "&lt;script&gt;window.hacked=1&lt;/script&gt;" in text
    for attribute in re.findall(r'<[a-z]+\s[^>]*?(?:src|href)="([^"]*)"', text):
        assert attribute.startswith(("data:", "#")), attribute[:80]
    assert len(re.findall(r"<script", text)) == 1
    assert "url(" not in text and "@import" not in text
    missing = re.findall(r"Not drawn: ([^<]*)", text)
    # Two rivals are too few to rank, but with the baselines there are enough.
    assert missing == []


def test_beside_the_page(folder, comparison):
    tex = (folder / "table.tex").read_text(encoding="utf-8")
    assert r"timm/test\_resnet" in tex and r"\toprule" in tex
    card = (folder / "model_card.md").read_text(encoding="utf-8")
    assert BREAKOUT not in card and "to be filled in" in card
    best = next(n for n in comparison.table().index if n in comparison.split_names()[0])
    shown = best.replace("<", "&lt;").replace(">", "&gt;")
    assert card.startswith(f"# Model card: {shown}\n")


def test_checklists_are_filled_with_what_is_known(comparison):
    facts = describe_facts(comparison)
    filled = fill_checklists(facts)
    assert [guideline["key"] for guideline in filled] == ["claim", "stard-ai", "tripod-ai"]
    named = [item["fact"] for g in filled for item in g["items"] if "fact" in item]
    named = {name for fact in named for name in ([fact] if isinstance(fact, str) else fact)}
    # Each fact is asked for, and each that is asked for is known.
    assert named == facts.keys()
    for guideline in filled:
        assert 0 < guideline["n_filled"] < len(guideline["items"])
    assert "By patient: no patient is in two folds" in facts["disjoint"]
    assert facts["data"].startswith("24 images of 2 classes, 8 patients, 32 x 32 pixels")


def test_patients_in_several_folds_are_said(comparison):
    predictions = comparison.predictions_.copy()
    predictions["group"] = "P1"
    facts = describe_facts(replace(comparison, predictions_=predictions))
    assert facts["disjoint"] == "Not by patient: 1 of them have images in several folds."


@pytest.mark.filterwarnings("ignore:.*test parts lack a class")
def test_report_of_what_has_little_to_show(tmp_path):
    """One fold, no probabilities, no images: said where something is missing."""
    X, y = make_classification(40, random_state=0)
    halves = [(np.arange(20), np.arange(20, 40))]
    comparison = compare({"svc": LinearSVC()}, X, y, cv=halves, baselines=False, verbose=0)
    text = comparison.report(tmp_path / "r.html").read_text(encoding="utf-8")
    assert "no probabilities were stored" in text and "none was trained in epochs" in text
    assert comparison.table()["conclusion"].tolist() == ["nothing to compare with"]


def test_three_classes_have_curves_each(tmp_path):
    X, y = make_classification(90, n_informative=5, n_classes=3, random_state=0)
    labels = np.array(["all", "aml", "healthy"])[y]
    models = {"logistic": LogisticRegression(max_iter=500), "none": DummyClassifier()}
    comparison = compare(models, X, labels, cv=3, random_state=0, verbose=0)
    text = comparison.report(tmp_path / "r.html").read_text(encoding="utf-8")
    for label in ("all", "aml", "healthy"):
        assert f"ROC curve: {label}" in text and f"Calibration: {label}" in text
    assert "Not drawn: the images" in text


def test_mistakes(comparison, tmp_path):
    with pytest.raises(ValueError, match=r"ends in \.html, not 'report\.pdf'"):
        comparison.report("report.pdf")
    with pytest.raises(FileNotFoundError, match="holds no comparison"):
        Comparison.read(tmp_path)
    (tmp_path / "comparison.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match=r"not finished.*0 results.*goes on from there"):
        Comparison.read(tmp_path)


def test_damaged_table_is_named(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / "scores.csv").unlink()
    with pytest.raises(ValueError, match=r"is damaged \(FileNotFoundError.*scores\.csv"):
        Comparison.read(tmp_path / "copy")


def test_command_line(folder, tmp_path, capsys):
    page = tmp_path / "paper" / "index.html"
    assert main(["report", str(folder), "--out", str(page)]) == 0
    assert {path.name for path in page.parent.iterdir()} == {
        *("index.html", "table.csv", "table.tex", "predictions.csv", "model_card.md")
    }
    out = capsys.readouterr().out
    assert "index.html" in out and "no difference shown to" in out
    assert page.read_bytes() == (folder / "report.html").read_bytes()
    assert main(["report", str(folder), "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    assert results["estimators"][NETWORK]["accuracy"].keys() == {
        *("mean", "std", "low", "high", "folds")
    }
    assert main(["report", str(tmp_path / "nowhere")]) == 2
    assert "holds no comparison" in capsys.readouterr().err
