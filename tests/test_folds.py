"""Folds: every class in every part, what is said where that cannot be, copies, missing groups."""

import os
import shlex

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneGroupOut, PredefinedSplit, StratifiedGroupKFold
from sklearn.pipeline import make_pipeline

from skall import compare, get_estimator
from skall.cli.commands import main
from skall.comparison import Comparison
from skall.comparison.data_checks import describe_leakage, find_copies
from skall.comparison.splits import derive_seed, make_folds
from skall.datasets import load_folder
from skall.images import as_images
from skall.model_selection.splitting import make_split
from skall.report.facts import describe_partition
from skall.routing import fit_with_groups
from skall.search import make_search

# Of 14 patients one is nearly half of the set, and three are healthy.
SIZES = [400, 20, 30, 200, 10, 50, 60, 70, 80, 90, 100, 5, 7, 15]
HEALTHY = [1, 5, 9]


def make_lopsided(healthy=HEALTHY, sizes=SIZES):
    """Numbers, labels and patients of one class each."""
    patients = np.repeat([f"P{number}" for number in range(len(sizes))], sizes)
    y = np.where(np.isin(patients, [f"P{number}" for number in healthy]), "hem", "all")
    X = np.random.default_rng(0).normal(size=(len(y), 4)) + (y == "hem")[:, None]
    return X, y, patients


def make_mixed(seed):
    """Labels and patients of few sizes, five of whom have cells of both classes."""
    rng = np.random.default_rng(seed)
    sizes = rng.choice([4, 8, 8, 8], 12)
    rare = [rng.integers(1, size + 1) if patient < 5 else 0 for patient, size in enumerate(sizes)]
    y = np.concatenate([np.arange(n) < m for n, m in zip(sizes, rare, strict=True)]).astype(int)
    return y, np.repeat(np.arange(12), sizes)


def run(X, y, groups, **options):
    options = {"pos_label": "all", "random_state": 0, "verbose": 0} | options
    return compare({"logistic": LogisticRegression()}, X, y, groups=groups, **options)


def deal_plainly(y, groups, k, seed):
    splitter = StratifiedGroupKFold(k, shuffle=True, random_state=seed)
    return [test.tolist() for _, test in splitter.split(y, y, groups)]


def has_all(y, tests):
    return all(len(np.unique(y[test])) == len(np.unique(y)) for test in tests)


# -- classes that parts lack -------------------------------------------------------------------


class Untouched(LogisticRegression):
    """Must not be fitted."""

    def fit(self, X, y):
        raise AssertionError("trained before the folds were checked")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"cv": 5},
            r"the test part of repeat 0, fold \d has no sample of the class 'hem', which 3 "
            r"patients have; 2 of 5 folds lack a class\. The largest that has .* is cv=3\. "
            r"allow_missing_classes=True goes on",
        ),
        ({"cv": 5, "repeats": 2}, r"4 of 10 folds .* is cv=3\."),
        ({"cv": 20}, r"cv=20 is not possible: .* is cv=3\.$"),
        ({"cv": LeaveOneGroupOut()}, r"which 3 patients have; 14 of 14 folds .* is cv=3\."),
        (
            {"cv": PredefinedSplit(np.repeat([0, 1], [700, 437]))},
            r"which 3 patients have; .* is cv=3\.",
        ),
    ],
    ids=["greedy", "repeats", "more than patients", "splitter", "given"],
)
def test_a_missing_class_is_an_error_with_a_remedy_that_works(options, message):
    X, y, groups = make_lopsided()
    if isinstance(options["cv"], PredefinedSplit):
        # All healthy patients in one part.
        options = {"cv": PredefinedSplit(np.where(np.isin(groups, ["P0", "P2", "P3"]), 0, 1))}
    with pytest.raises(ValueError, match=message):
        compare({"a": Untouched()}, X, y, groups=groups, pos_label="all", verbose=0, **options)
    repeats = options.get("repeats", 1)
    assert len(make_folds(y, groups, cv=3, repeats=repeats)) == 3 * repeats


def test_the_largest_cv_without_groups():
    y = np.repeat(["a", "b"], [60, 4])
    with pytest.raises(ValueError, match=r"'b', which 4 samples have; .* is cv=4\."):
        make_folds(y, cv=5)
    assert all(np.sum(y[fold.test] == "b") == 1 for fold in make_folds(y, cv=4))


@pytest.mark.parametrize("allowed", [False, True])
def test_a_class_on_one_patient_has_no_remedy(allowed):
    X, y, groups = make_lopsided(healthy=[0])
    message = (
        r"the training part of .* 'hem', which 1 patient has; .*Nothing can be learnt from a "
        r"single class\. No cv was found .* collect more"
    )
    with pytest.raises(ValueError, match=message) as caught:
        run(X, y, groups, cv=5, allow_missing_classes=allowed)
    assert "allow_missing_classes" not in str(caught.value)


def test_a_class_that_is_never_tested_is_no_fold():
    _, y, groups = make_lopsided()
    tests = np.where(np.isin(groups, ["P0", "P3"]), 0, -1)
    with pytest.raises(ValueError, match="'hem' is in no test part"):
        make_folds(y, groups, cv=PredefinedSplit(tests), allow_missing_classes=True)


@pytest.mark.usefixtures("without_page")
def test_missing_classes_that_are_allowed_are_told_once_before_training_and_on_top(tmp_path):
    X, y, groups = make_lopsided()
    with pytest.warns(UserWarning) as caught:
        comparison = run(X, y, groups, cv=5, allow_missing_classes=True, out=tmp_path)
    told = (
        "A class is missing, as was allowed, from 2 of 5 test parts (as repeat 0, fold 0: 'hem')."
    )
    assert [str(w.message).startswith(told) for w in caught] == [True] + [False] * (len(caught) - 1)
    assert caught[0].filename == __file__
    assert comparison.flags()[0].startswith(told)
    assert comparison.protocol_["notes"] == comparison.flags()[:1]
    assert Comparison.read(tmp_path).flags() == comparison.flags()
    # The folds are those of the seed.
    tested = comparison.predictions_.query("estimator == 'dummy'").groupby("fold")["sample"]
    assert tested.agg(list).tolist() == deal_plainly(y, groups, 5, 0)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_class_that_a_training_part_lacks_is_allowed_where_two_are_left():
    X, y, groups = make_lopsided()
    y = np.where(groups == "P0", "other", y)
    with pytest.raises(ValueError, match=r"'other', which 1 patient has; .*=True goes on"):
        make_folds(y, groups, cv=3)
    comparison = run(X, y, groups, cv=3, allow_missing_classes=True, pos_label=None)
    assert comparison.protocol_["notes"] == [
        "A class is missing, as was allowed, from 1 of 3 training parts (as repeat 0, fold 0: "
        "'other') and 2 of 3 test parts (as repeat 0, fold 1: 'other')."
    ]


# -- folds of another seed ---------------------------------------------------------------------


def find_set(by_group):
    """A set whose folds of seed 0 lack a class, and are dealt anew so."""
    for trial in range(100):
        y, groups = make_mixed(trial)
        dealing = make_split(y, groups, 5, 0)
        if dealing.by_group == by_group and (by_group or dealing.seed):
            return y, groups, dealing
    raise AssertionError("there is no such set")


@pytest.mark.parametrize("by_group", [False, True])
def test_folds_are_dealt_anew_until_every_part_has_every_class(by_group):
    y, groups, dealing = find_set(by_group)
    seed = 0 if by_group else dealing.seed
    assert not any(has_all(y, deal_plainly(y, groups, 5, earlier)) for earlier in range(seed))
    if not by_group:
        assert [test.tolist() for _, test in dealing.pairs] == deal_plainly(y, groups, 5, seed)
    assert has_all(y, [test for _, test in dealing.pairs])
    for train, test in dealing.pairs:
        assert not set(groups[train]) & set(groups[test])
        assert sorted([*train, *test]) == list(range(len(y)))
    assert sorted(np.concatenate([test for _, test in dealing.pairs])) == list(range(len(y)))


@pytest.mark.parametrize("by_group", [False, True])
def test_another_dealing_is_told_and_networks_keep_their_seed(by_group, tmp_path):
    y, groups, dealing = find_set(by_group)
    X = np.random.default_rng(0).normal(size=(len(y), 3))
    told = f"made from the seed {dealing.seed}"
    told = "alike in their numbers of patients" if by_group else told
    options = {"cv": 5, "pos_label": 1, "scoring": ["accuracy"], "out": tmp_path}
    with pytest.warns(UserWarning, match=f"The folds of repeat 0 are {told}") as caught:
        comparison = run(X, y, groups, **options)
    assert len(caught) == 1
    protocol = comparison.protocol_
    assert (protocol["seeds"], protocol["split_seeds"]) == ([0], [dealing.seed])
    assert comparison.flags() == [str(caught[0].message)]
    assert f"from the seed {dealing.seed}." in describe_partition(comparison)
    assert ("one sample of each patient" in describe_partition(comparison)) == by_group
    assert {fold.seed for fold in make_folds(y, groups, cv=5)} == {0}
    # The same call goes on with the same folds.
    with pytest.warns(UserWarning, match=told):
        again = run(X, y, groups, **options)
    pd.testing.assert_frame_equal(again.predictions_, comparison.predictions_)


def test_every_repeat_looks_for_its_own_seed():
    y, groups, _ = find_set(by_group=False)
    folds = make_folds(y, groups, cv=5, repeats=3)
    assert [fold.seed for fold in folds[::5]] == [derive_seed(0, repeat) for repeat in range(3)]
    assert len({fold.split_seed for fold in folds}) == 3
    assert has_all(y, [fold.test for fold in folds])


def test_repeats_with_the_same_folds_are_told():
    X, y, groups = make_lopsided()
    with pytest.warns(
        UserWarning, match="Repeats 0, 1 have the same folds, because groups of such"
    ):
        run(X, y, groups, cv=3, repeats=2, scoring=["accuracy"])


def test_searches_split_as_comparisons_do():
    y, groups, _ = find_set(by_group=True)
    X = np.random.default_rng(0).normal(size=(len(y), 3))
    search = make_search(LogisticRegression(), {"C": [0.1, 1]}, cv=5, grouped=True, random_state=0)
    assert fit_with_groups(search, X, y, groups).n_splits_ == 5
    assert has_all(y, [test for _, test in search.cv.split(X, y, groups)])


# -- the command line --------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    """Ten patients with four cells each, of whom three are healthy."""
    rng = np.random.default_rng(0)
    root = tmp_path / "cells"
    for patient in range(10):
        label = "healthy" if patient < 3 else "blast"
        (root / label).mkdir(parents=True, exist_ok=True)
        for cell in range(4):
            pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / label / f"P{patient}_{cell}.png")
    return root


@pytest.mark.usefixtures("without_page")
def test_the_command_line_spells_the_command_that_works(folder, tmp_path, capsys):
    command = ["compare", str(folder), "--groups", "(P.)_", "--backbones", "timm/test_resnet"]
    command += ["--weights", "none", "--image-size", "32", "--max-epochs", "1", "--quiet"]
    command += ["--out", str(tmp_path / "out")]
    assert main([*command, "--cv", "5"]) == 2
    said = capsys.readouterr().err
    assert "the test part of repeat 0, fold" in said and "which 3 patients have" in said
    assert "--allow-missing-classes goes on" in said
    spelled = next(line for line in said.splitlines() if line.startswith("  skall"))
    assert " --cv 3 " in spelled
    assert not (tmp_path / "out").exists()
    assert main([*shlex.split(spelled)[1:], "--quiet", "--no-baselines"]) == 0
    capsys.readouterr()


def test_names_that_tell_no_patient_are_named(folder):
    os.rename(folder / "blast" / "P9_0.png", folder / "blast" / " _0.png")
    with pytest.raises(ValueError, match=r"finds no patient in the names of 1 of 40 .*/ _0\.png'"):
        load_folder(folder, groups="(.+)_")


# -- missing groups ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "nothing",
    [None, np.nan, pd.NA, pd.NaT, "", " \t", b""],
    ids=["None", "NaN", "NA", "NaT", *"abc"],
)
def test_a_missing_group_is_an_error_that_names_its_rows(nothing):
    groups = np.array(["a", "b"] * 6, dtype=object)
    groups[[2, 5]] = nothing
    X, y = np.arange(12.0)[:, None] * np.ones(64) / 12, np.arange(12) % 2
    net = get_estimator("timm/test_resnet", weights=None, image_size=32, max_epochs=1)
    message = r"groups has no value in 2 of 12 rows: 2, 5"
    with pytest.raises(ValueError, match=message):
        run(X, y, groups, cv=2, pos_label=1)
    with pytest.raises(ValueError, match=message):
        net.fit(X, y, groups=groups)
    with pytest.raises(ValueError, match=message):
        fit_with_groups(make_pipeline(LogisticRegression()), X, y, pd.Series(groups))


def test_missing_groups_are_counted():
    with pytest.raises(ValueError, match=r"no value in 9 of 12 rows: 0, 1, 2, 3, 4, \.\.\."):
        run(np.ones((12, 1)), np.arange(12) % 2, pd.array([None] * 9 + [1, 2, 3], dtype="Int64"))


# -- copies ------------------------------------------------------------------------------------


def write_copies(folder):
    """Copies of one image of P3: of itself, under another patient, and under another label."""
    original = (folder / "blast" / "P3_0.png").read_bytes()
    for copy in ("blast/P3_1.png", "blast/P4_1.png", "healthy/P1_1.png"):
        (folder / copy).write_bytes(original)


def test_copies_under_different_patients_are_told(folder):
    write_copies(folder)
    cells = load_folder(folder, groups="(P.)_")
    options = {"cv": 2, "pos_label": "blast", "random_state": 0, "verbose": 0, "baselines": False}
    net = {"net": get_estimator("timm/test_resnet", weights=None, image_size=32, max_epochs=1)}
    with pytest.warns(UserWarning) as caught:
        comparison = compare(net, cells.data, cells.target, groups=cells.groups, **options)
    told = [str(w.message) for w in caught]
    assert told[0].startswith("4 images are exact copies under different patients, as file '")
    assert "P3_0.png' = file '" in told[0]
    assert told[1].startswith("4 images are exact copies with different labels")
    assert comparison.flags()[:2] == told


def test_copies_of_one_patient_are_no_matter(folder):
    (folder / "blast" / "P3_1.png").write_bytes((folder / "blast" / "P3_0.png").read_bytes())
    cells = load_folder(folder, groups="(P.)_")
    folds = make_folds(cells.target, cells.groups, cv=2)
    images = as_images(cells.data)
    assert len(find_copies(cells.data, images)) == 1
    assert describe_leakage(folds, cells.data, cells.target, cells.groups, images) == []
    # Without patients, the copy may well be on the other side.
    apart = make_folds(cells.target, cv=12)
    notes = describe_leakage(apart, cells.data, cells.target, None, images)
    assert "2 images are exact copies on both sides of a split" in notes[0]


def test_copies_of_files(folder):
    write_copies(folder)
    paths = sorted(map(str, folder.rglob("*.png")))
    found = find_copies(paths, as_images(paths))
    names = [[os.path.basename(paths[row]) for row in rows] for rows in found]
    assert names == [["P3_0.png", "P3_1.png", "P4_1.png", "P1_1.png"]]


@pytest.mark.parametrize("kind", ["stack", "flat", "pictures", "few numbers"])
def test_copies_of_arrays(kind):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8), dtype=np.uint8)
    pixels[4] = pixels[1]
    X = {
        "stack": pixels,
        "flat": pixels.reshape(6, 64) / 255,
        "pictures": [Image.fromarray(each) for each in pixels],
        "few numbers": pixels.reshape(6, 64)[:, :5],
    }[kind]
    images = None if kind in ("flat", "few numbers") else as_images(X)
    found = [rows.tolist() for rows in find_copies(X, images)]
    assert found == ([] if kind == "few numbers" else [[1, 4]])
