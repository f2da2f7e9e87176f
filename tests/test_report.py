"""The report: the page and what lies beside it."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from markupsafe import escape
from PIL import Image
from sklearn.datasets import make_classification
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from skall import CNNFeatures, compare, get_estimator
from skall.cli.commands import main
from skall.comparison import Comparison
from skall.comparison.evaluation import COLUMNS
from skall.datasets import make_blood_cells
from skall.report.facts import choose_estimators, describe_facts
from skall.report.figures import make_confusions, make_fold_confusions
from skall.report.page import fill_checklists
from skall.report.tables import make_table

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


@pytest.mark.thorough
def test_the_same_comparison_gives_the_same_page(folder, comparison, tmp_path):
    """In this process and from what was stored."""
    again = comparison.report(tmp_path / "a.html")
    assert again.read_bytes() == (folder / "report.html").read_bytes()


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
    assert facts["disjoint"] == "By patient (group): none is on both sides of a split."
    assert facts["data"] == "24 images of 2 classes, 8 patients (groups), 32 x 32 pixels."
    assert "lr=None" in facts["training"] and "random_state=0" in facts["initialisation"]
    assert "Trunks were computed in float32, channels_last (" in facts["training"]


@pytest.mark.parametrize(
    ("key", "number", "fact"),
    [("tripod-ai", "15", "output"), ("stard-ai", "15c", "output"), ("tripod-ai", "12e", "metrics")],
)
def test_items_are_answered_with_what_they_ask(comparison, key, number, fact):
    """What a model puts out is no list of metrics."""
    facts = describe_facts(comparison)
    (guideline,) = [g for g in fill_checklists(facts) if g["key"] == key]
    (item,) = [item for item in guideline["items"] if item["number"] == number]
    assert item["answer"].startswith(facts[fact])
    assert facts["output"] == (
        f"A probability for each of the classes {LABEL} and healthy. The likeliest is predicted, "
        f"which is {LABEL} above a probability of 0.5; no sample is left undecided."
    )


def test_page_begins_with_the_data_the_cautions_and_the_answers(comparison, tmp_path):
    notes = ["Fold 2 holds no <cell> of a class."]
    protocol = comparison.protocol_ | {"data": "C-NMC 2019", "source": "train", "notes": notes}
    page = replace(comparison, protocol_=protocol).report(tmp_path / "r.html")
    text = page.read_text(encoding="utf-8")
    places = [
        text.index("<h1>2 classifiers compared on C-NMC 2019</h1>"),
        text.index("<li>folder train</li>"),
        text.index("<li>Fold 2 holds no &lt;cell&gt; of a class.</li>"),
        *(text.index(escape(said)) for part in comparison.summary().values() for said in part[:1]),
        text.index('<table id="main"'),
        text.index("<figure>"),
    ]
    assert places == sorted(places)


def test_first_table_has_the_main_metrics_and_says_what_failed(comparison):
    failure = pd.DataFrame([(NETWORK, 0, 1, "out of memory")], columns=COLUMNS["failures"])
    failed = replace(comparison, failures_=failure)
    table = make_table(failed, failed.table())
    first = [column["name"] for column in table["columns"] if column["is_first"]]
    assert first == ["balanced accuracy", "ROC AUC", "MCC", "recall", "specificity"]
    assert {row["name"]: row["failed"] for row in table["rows"] if row["failed"]} == {
        NETWORK: "failed in 1 of 4 folds"
    }
    assert len(table["columns"]) == 12 + 5
    assert {len(row["cells"]) for row in table["rows"]} == {17}
    facts = describe_facts(failed)
    assert facts["missing"].endswith("Results of 1 fit that failed are missing.")


def test_curves_are_of_estimators_that_say_something():
    X, y = make_classification(60, random_state=0)
    models = {"none": DummyClassifier(), "logistic": LogisticRegression()}
    options = {"cv": 3, "random_state": 0, "verbose": 0}
    with_dummy = compare(models, X, y, **options)
    assert choose_estimators(with_dummy, ["logistic", "none", "dummy"]) == (["logistic"], 0)
    alone = compare({"none": DummyClassifier()}, X, y, **options)
    assert choose_estimators(alone, ["none", "dummy"]) == (["none"], 0)
    many = {f"logistic {k}": LogisticRegression(C=10.0**-k) for k in range(8)}
    names, n_left_out = choose_estimators(compare(many, X, y, **options), [*many, "dummy"])
    assert names == [*many][:6] and n_left_out == 2


def test_confusions_are_those_of_the_folds(comparison):
    (pooled,) = make_confusions(comparison, [NETWORK])
    by_fold = make_fold_confusions(comparison, NETWORK)
    assert [part["title"] for part in by_fold] == [
        f"repeat {repeat}, fold {fold}" for repeat in range(2) for fold in range(2)
    ]
    counts = np.array([[[cell[0] for cell in row] for row in part["rows"]] for part in by_fold])
    assert counts.sum() == 48
    assert [[cell[0] for cell in row] for row in pooled["rows"]] == counts.sum(axis=0).tolist()
    assert [sum(cell[1] for cell in row) for row in pooled["rows"]] == pytest.approx([1, 1])


def test_patients_on_both_sides_are_said():
    """Also where no patient is tested twice."""
    X, y = make_classification(60, random_state=0)
    options = {"groups": np.arange(60) % 10, "random_state": 0, "verbose": 0, "baselines": False}
    models = {"logistic": LogisticRegression()}
    with pytest.warns(UserWarning, match="cv has 10 of 10 groups"):
        halves = compare(models, X, y, cv=[(np.arange(30), np.arange(30, 60))], **options)
    said = describe_facts(halves)["disjoint"]
    assert said == "Not by patient: 10 of them are on both sides of a split."
    # And the other way round: tested in every repeat, never trained on.
    splits = [*GroupKFold(2).split(X, y, options["groups"])] * 2
    assert describe_facts(compare(models, X, y, cv=splits, **options))["disjoint"].startswith("By")


def test_facts_of_what_is_no_network_and_of_hybrids(tmp_path):
    cells = make_blood_cells(24, n_patients=8, image_size=32, random_state=0)
    features = CNNFeatures(NETWORK, weights=None, image_size=32, random_state=0)
    hybrid = make_pipeline(features, LogisticRegression(class_weight={"ALL": 2}))
    options = {"pos_label": "ALL", "cv": 2, "random_state": 0, "verbose": 0, "baselines": False}
    comparison = compare({"hybrid": hybrid}, cells.data, cells.target, **options)
    comparison.report(tmp_path / "r.html")
    facts = describe_facts(comparison)
    assert facts["imbalance"] == "Weights of classes: class_weight={'ALL': 2}."
    assert "Learning rates" not in facts["training"]
    assert facts["disjoint"].endswith("is not known.")
    X, y = make_classification(40, random_state=0)
    tabular = compare({"svc": LinearSVC()}, X, y, **options | {"pos_label": None})
    facts = describe_facts(tabular)
    assert facts["data"] == "40 samples of 2 classes, patients not known."
    assert not {"training", "selection", "failures", "confusion"} & facts.keys()


def test_a_report_replaces_no_other_comparison(folder, comparison, tmp_path):
    X, y = make_classification(40, random_state=0)
    other = tmp_path / "other"
    compare({"svc": LinearSVC()}, X, y, cv=2, random_state=0, verbose=0, out=other)
    before = (other / "predictions.csv").read_bytes()
    with pytest.raises(ValueError, match="holds another comparison"):
        comparison.report(other / "x.html")
    assert (other / "predictions.csv").read_bytes() == before


def test_report_of_what_has_little_to_show(tmp_path):
    """One fold, no probabilities, no images: said where something is missing."""
    X, y = make_classification(40, random_state=0)
    halves = [(np.arange(20), np.arange(20, 40))]
    comparison = compare({"svc": LinearSVC()}, X, y, cv=halves, baselines=False, verbose=0)
    text = comparison.report(tmp_path / "r.html").read_text(encoding="utf-8")
    assert "confusion matrices and errors (no probabilities were stored)" in text
    assert "ROC curves" not in text and "Learning curves" not in text
    assert comparison.table()["conclusion"].tolist() == ["nothing to compare with"]


@pytest.mark.thorough
def test_three_classes_have_curves_each(tmp_path):
    X, y = make_classification(90, n_informative=5, n_classes=3, random_state=0)
    labels = np.array(["all", "aml", "healthy"])[y]
    models = {"logistic": LogisticRegression(max_iter=500), "none": DummyClassifier()}
    comparison = compare(models, X, labels, cv=3, random_state=0, verbose=0)
    text = comparison.report(tmp_path / "r.html").read_text(encoding="utf-8")
    for label in ("all", "aml", "healthy"):
        assert f"ROC curves: {label}" in text and f"Calibration: {label}" in text
    assert "Not drawn: The most confident errors (the images are not at hand" in text


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
    with pytest.raises(ValueError, match=r"has no scores\.csv: the file was removed"):
        Comparison.read(tmp_path / "copy")


@pytest.mark.thorough
def test_command_line(folder, tmp_path, capsys):
    page = tmp_path / "paper" / "index.html"
    assert main(["report", str(folder), "--out", str(page)]) == 0
    assert {path.name for path in page.parent.iterdir()} == {
        *("index.html", "table.csv", "table.tex", "predictions.csv", "model_card.md")
    }
    out = capsys.readouterr().out
    assert "index.html" in out and "cannot be decided with" in out
    assert main(["report", str(folder), "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    assert results["estimators"][NETWORK]["accuracy"].keys() == {
        *("mean", "std", "low", "high", "folds")
    }
    assert main(["report", str(tmp_path / "nowhere")]) == 2
    assert "holds no comparison" in capsys.readouterr().err
