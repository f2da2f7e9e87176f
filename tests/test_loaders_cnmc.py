"""C-NMC 2019: training folds, preliminary phase, final phase, and the copy on Kaggle."""

from pathlib import Path

import pandas as pd
import pytest
from miniatures import CNMC, write
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import StratifiedGroupKFold, cross_validate

from skall.datasets import load_cells, load_cnmc

TABLE = (
    "Patient_ID,new_names,labels\n"
    "UID_57_29_1_all.bmp,1.bmp,1\n"
    "UID_H56_2_1_hem.bmp,2.bmp,0\n"
    "UID_57_30_2_all.bmp,10.bmp,1\n"
)
TCIA = {
    "train": "C-NMC_training_data",
    "prelim": "C-NMC_test_prelim_phase_data/C-NMC_test_prelim_phase_data",
    "final": "C-NMC_test_final_phase_data/C-NMC_test_final_phase_data",
    "table": "C-NMC_test_prelim_phase_data",
}
KAGGLE = {
    "train": "training_data",
    "prelim": "validation_data/C-NMC_test_prelim_phase_data",
    "final": "testing_data/C-NMC_test_final_phase_data",
    "table": "validation_data",
}
# The folders alone renamed, nothing below them.
FLAT = {
    "train": "training_data",
    "prelim": "validation_data",
    "final": "testing_data",
    "table": "validation_data",
}


def write_phases(root, folders, phases=("train", "prelim", "final"), table=TABLE):
    names = []
    if "train" in phases:
        names += [f"{folders['train']}/{name}" for name in CNMC[:2]]
    if "prelim" in phases:
        names += [f"{folders['prelim']}/{number}.bmp" for number in (1, 2, 10)]
    if "final" in phases:
        names += [f"{folders['final']}/{number}.bmp" for number in (1, 2, 3)]
    write(root, names)
    if table is not None:
        file = root / folders["table"] / "C-NMC_test_prelim_phase_data_labels.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(table)
    return root


@pytest.mark.parametrize("prefix", ["", "deep/down/C-NMC_training_data/"])
@pytest.mark.parametrize("suffix", ["bmp", "PNG", "tiff"])
def test_cnmc_by_its_names(tmp_path, prefix, suffix):
    names = [prefix + name.replace("bmp", suffix) for name in [CNMC[0], CNMC[1]]]
    names.append(prefix + f"fold_2/hem/UID_h4_1_2_hem.{suffix}")
    bunch = load_cells(write(tmp_path, [*names, "README.md", "fold_0/all/Thumbs.db"]))
    assert bunch.target.tolist() == ["all", "hem", "hem"]
    assert bunch.groups.tolist() == ["1", "H3", "H4"]
    assert bunch.fold.tolist() == [0, 0, 2] and bunch.fold.dtype.kind == "i"
    assert bunch.pos_label == "all"
    assert "CC BY 3.0" in bunch.DESCR and "10.7937/tcia.2019.dc64i46r" in bunch.DESCR


def test_cnmc_without_folders(tmp_path):
    write(tmp_path, [Path(name).name for name in CNMC])
    bunch = load_cells(tmp_path, pos_label="hem")
    assert bunch.groups.tolist() == ["1", "H3", "H3"]
    assert bunch.pos_label == "hem"
    assert "fold" not in bunch


def test_cnmc_subject_across_folds(tmp_path):
    with pytest.warns(UserWarning, match=r"'H3' lie in more than one of the folders"):
        bunch = load_cnmc(write(tmp_path, CNMC))
    assert "fold" not in bunch
    assert bunch.groups.tolist() == ["1", "H3", "H3"]


@pytest.mark.parametrize("folders", [TCIA, KAGGLE, FLAT], ids=["TCIA", "Kaggle", "flat"])
def test_cnmc_training_set_is_taken_alone(tmp_path, folders):
    bunch = load_cells(write_phases(tmp_path, folders))
    assert bunch.filenames.tolist() == [f"{folders['train']}/{name}" for name in CNMC[:2]]
    assert bunch.subset.tolist() == ["train", "train"] and bunch.fold.tolist() == [0, 0]
    assert "3 images of the preliminary phase (take them with subset='all')" in bunch.DESCR
    assert "3 images of the final phase, which have no labels" in bunch.DESCR


@pytest.mark.parametrize("folders", [TCIA, KAGGLE, FLAT], ids=["TCIA", "Kaggle", "flat"])
def test_cnmc_preliminary_phase(tmp_path, folders):
    bunch = load_cnmc(write_phases(tmp_path, folders), subset="prelim")
    assert [Path(name).name for name in bunch.filenames] == ["1.bmp", "10.bmp", "2.bmp"]
    assert bunch.target.tolist() == ["all", "all", "hem"]
    assert bunch.groups.tolist() == ["57", "57", "H56"]
    assert bunch.subset.tolist() == ["prelim"] * 3 and "fold" not in bunch
    assert all("final" not in name and "testing" not in name for name in bunch.filenames)


@pytest.mark.parametrize("folders", [TCIA, KAGGLE], ids=["TCIA", "Kaggle"])
def test_cnmc_both_subsets_say_which(tmp_path, folders):
    bunch = load_cnmc(write_phases(tmp_path, folders), subset="all")
    assert sorted(bunch.subset) == ["prelim"] * 3 + ["train"] * 2
    train = [name.startswith(folders["train"]) for name in bunch.filenames]
    assert train == (bunch.subset == "train").tolist()
    # The folds are the training set's.
    assert "fold" not in bunch and "preliminary phase" not in bunch.DESCR


@pytest.mark.parametrize("phases", [["prelim"], ["prelim", "final"]])
def test_cnmc_preliminary_phase_alone_needs_no_option(tmp_path, phases):
    bunch = load_cells(write_phases(tmp_path, KAGGLE, phases))
    assert bunch.subset.tolist() == ["prelim"] * 3


def test_cnmc_table_beside_numbers_in_another_format(tmp_path):
    write(tmp_path, ["1.png", "2.png", "10.png"])
    (tmp_path / "C-NMC_test_prelim_phase_data_labels.csv").write_text(TABLE, encoding="utf-8-sig")
    assert load_cells(tmp_path).target.tolist() == ["all", "all", "hem"]


def test_cnmc_table_may_have_rows_of_images_that_are_not_there(tmp_path):
    table = TABLE + "UID_9_9_9_all.bmp,99.bmp,1\n"
    assert len(load_cells(write_phases(tmp_path, TCIA, ["prelim"], table)).target) == 3


@pytest.mark.parametrize(
    ("phases", "table", "options", "message"),
    [
        pytest.param(["prelim"], None, {}, "no such table with the columns Patient_ID", id="none"),
        pytest.param(
            ["train", "prelim"], None, {"subset": "all"}, "no such table", id="none for all"
        ),
        pytest.param(["prelim"], "a,b\n1,2\n", {}, "no such table", id="other columns"),
        pytest.param(["prelim"], "", {}, "no such table", id="empty"),
        pytest.param(["final"], None, {}, "final phase alone, whose labels are not", id="final"),
        pytest.param(["train"], None, {"subset": "prelim"}, r"images of \['train'\]", id="absent"),
        pytest.param(["train"], None, {"subset": "test"}, "subset='test' is not one of", id="word"),
        pytest.param(
            ["prelim"],
            TABLE.replace("10.bmp", "11.bmp"),
            {},
            r"1 of the 3 images .* no label: .*10\.bmp",
            id="no label",
        ),
        pytest.param(
            ["prelim"], TABLE + "UID_1_1_1_all.bmp,2.bmp,1\n", {}, "name one image .*'2'", id="two"
        ),
        pytest.param(
            ["prelim"],
            TABLE.replace("hem.bmp,2.bmp,0", "hem.bmp,2.bmp,1"),
            {},
            "H56_2_1",
            id="odds",
        ),
        pytest.param(
            ["prelim"], TABLE.replace("UID_57_29_1_all", "p57"), {}, "'p57.bmp'", id="no name"
        ),
    ],
)
def test_cnmc_tables_that_do_not_fit(tmp_path, phases, table, options, message):
    write_phases(tmp_path, TCIA, phases, table)
    with pytest.raises(ValueError, match=message):
        load_cnmc(tmp_path, **options)


def test_cnmc_two_images_of_one_number(tmp_path):
    write_phases(tmp_path, TCIA, ["prelim"])
    write(tmp_path, [f"{TCIA['prelim']}/copy/2.bmp"])
    with pytest.raises(ValueError, match=r"Several images have one number .*'2'"):
        load_cnmc(tmp_path)


def test_numbered_images_elsewhere_are_class_folders(tmp_path):
    names = ["validation_data/blast/1.png", "validation_data/healthy/2.png"]
    assert load_cells(write(tmp_path, names)).target.tolist() == ["blast", "healthy"]


def test_real_cnmc(shared):
    folder = shared / "data" / "cnmc2019"
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}")
    bunch = load_cells(folder)
    assert bunch.data.shape == (480, 1)
    assert all(Path(file).is_file() for file in bunch.data[:, 0])
    assert {name: (bunch.target == name).sum() for name in bunch.target_names} == {
        "all": 247,
        "hem": 233,
    }
    assert bunch.pos_label == "all"
    manifest = pd.read_csv(folder / "manifest.csv", dtype=str).set_index("file")
    patients = manifest.loc[bunch.filenames, "patient"]
    assert bunch.groups.tolist() == patients.tolist()
    assert len(set(bunch.groups)) == 35

    scores = cross_validate(
        DummyClassifier(),
        bunch.data,
        bunch.target,
        groups=bunch.groups,
        cv=StratifiedGroupKFold(3),
        error_score="raise",
    )
    assert scores["test_score"].shape == (3,)
