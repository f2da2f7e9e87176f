"""What all loaders share, class folders and tables; the data sets have files of their own."""

import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from miniatures import (
    ALL_4CLASS_A,
    ALL_4CLASS_B,
    ALL_IDB1,
    ALL_IDB2,
    CLASSES,
    CNMC,
    PBC,
    RAABIN,
    write,
)

from skall import ImagePreprocessor
from skall.datasets import (
    load_all_4class,
    load_all_idb1,
    load_all_idb2,
    load_bloodmnist,
    load_cells,
    load_cnmc,
    load_csv,
    load_folder,
    load_pbc,
    load_raabin,
)

CSV = "path,label\nblast/anna-1.png,1\nhealthy/anna-1.png,0\n"
SETS = [
    pytest.param(load_cnmc, CNMC[:2], id="C-NMC"),
    pytest.param(load_all_idb1, ALL_IDB1, id="ALL-IDB1"),
    pytest.param(load_all_idb2, ALL_IDB2, id="ALL-IDB2"),
    pytest.param(load_all_4class, ALL_4CLASS_A, id="ALL 4-class A"),
    pytest.param(load_all_4class, ALL_4CLASS_B, id="ALL 4-class B"),
    pytest.param(load_pbc, PBC, id="PBC"),
    pytest.param(load_raabin, RAABIN, id="Raabin"),
    pytest.param(load_folder, CLASSES, id="folder"),
]
LOADERS = [
    load_cells,
    load_cnmc,
    load_all_idb1,
    load_all_idb2,
    load_all_4class,
    load_pbc,
    load_raabin,
    load_bloodmnist,
    load_folder,
    load_csv,
]


def write_csv(root: Path, text: str, names: list[str] = CLASSES) -> Path:
    file = write(root, names) / "cells.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_bunch(tmp_path):
    bunch = load_cells(write(tmp_path, CLASSES))
    assert bunch.data.shape == (3, 1) and bunch.data.dtype == object
    assert [bunch.data[0, 0], bunch.data[2, 0]] == [
        str(tmp_path / "blast" / "anna-1.png"),
        str(tmp_path / "healthy" / "anna-1.png"),
    ]
    assert bunch.target.tolist() == ["blast", "blast", "healthy"] and bunch.target.dtype == object
    assert bunch.target_names.tolist() == ["blast", "healthy"]
    assert bunch.filenames.tolist() == CLASSES
    assert bunch.pos_label == "blast"
    assert bunch.groups is None and bunch.frame is None
    assert "3 images (2 blast, 1 healthy)" in bunch.DESCR


def check_forms(load, path):
    bunch = load(path)
    data, target = load(path, return_X_y=True)
    assert np.array_equal(data, bunch.data) and np.array_equal(target, bunch.target)
    framed = load(path, as_frame=True)
    assert list(framed.data.columns) == ["path"]
    assert list(framed.frame.columns) == ["path", "target"]
    assert np.array_equal(framed.data.to_numpy(), bunch.data)
    assert isinstance(framed.target, pd.Series)
    assert framed.frame["target"].tolist() == bunch.target.tolist()
    frame, series = load(path, return_X_y=True, as_frame=True)
    assert frame.equals(framed.data) and series.equals(framed.target)


NAMES = {
    load_cnmc: "C-NMC 2019",
    load_all_idb1: "ALL-IDB1",
    load_all_idb2: "ALL-IDB2",
    load_all_4class: "ALL 4-class",
    load_pbc: "PBC",
    load_raabin: "Raabin-WBC",
    load_folder: "train",
}


@pytest.mark.parametrize(("load", "names"), SETS)
def test_a_set_has_its_own_name_and_only_class_folders_that_of_their_folder(tmp_path, load, names):
    assert load(write(tmp_path / "train", names)).name == NAMES[load]


def test_a_table_has_the_name_of_its_file(tmp_path):
    assert load_csv(write_csv(tmp_path, CSV)).name == "cells.csv"


@pytest.mark.parametrize(("load", "names"), SETS)
def test_scikit_learn_forms(tmp_path, load, names):
    check_forms(load, write(tmp_path, names))
    check_forms(load_cells, tmp_path)


def test_scikit_learn_forms_of_a_table(tmp_path):
    check_forms(load_csv, write_csv(tmp_path, CSV))


@pytest.mark.parametrize(("load", "names"), SETS)
@pytest.mark.parametrize("above", ["", "deep/er/"])
def test_load_cells_takes_the_right_loader(tmp_path, load, names, above):
    expected = load(write(tmp_path, [above + name for name in names] + ["README.md"]))
    bunch = load_cells(tmp_path)
    assert bunch.keys() == expected.keys() and bunch.DESCR == expected.DESCR
    assert bunch.filenames.tolist() == expected.filenames.tolist()
    assert bunch.target.tolist() == expected.target.tolist()
    assert bunch.filenames[0].startswith(above)


@pytest.mark.parametrize(("load", "names"), SETS)
def test_other_image_formats(tmp_path, load, names):
    expected = load(write(tmp_path / "as published", names)).target
    names = [str(Path(name).with_suffix(".PNG")) for name in names]
    assert load_cells(write(tmp_path / "png", names)).target.tolist() == expected.tolist()


@pytest.mark.parametrize(("load", "names"), SETS[:-1])
def test_descriptions_say_where_from_and_which_licence(tmp_path, load, names):
    text = load(write(tmp_path, names)).DESCR
    assert "https://doi.org/10." in text and "\nLicence: " in text and "\nCitation: " in text


@pytest.mark.parametrize(("load", "names"), SETS)
def test_another_loader_is_named(tmp_path, load, names):
    write(tmp_path, names)
    for other in LOADERS:
        # Class folders are what most of the sets are, too: load_folder may be called on purpose.
        if other not in (load, load_cells, load_folder):
            with pytest.raises(
                ValueError, match=f"{other.__name__} expects .* {load.__name__} fits"
            ):
                other(tmp_path)


def test_path_may_be_str_or_relative_to_home(tmp_path, monkeypatch):
    write(tmp_path / "cells", CLASSES)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    expected = load_cells(tmp_path / "cells").data.tolist()
    assert load_cells("~/cells").data.tolist() == expected
    monkeypatch.chdir(tmp_path)
    assert load_cells("cells").data.tolist() == expected


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["train/blast/1.png", "test/healthy/1.png"], id="nested"),
        pytest.param(["[Malignant] Pre-B/a.png", "Benign [x]/a.png"], id="brackets"),
        pytest.param(["a/1.PNG", "a/2.jpeg", "b/3.JPG", "b/4.Tif", "b/5.tiff"], id="suffixes"),
    ],
)
def test_class_folders(tmp_path, names):
    others = ["README.md", "manifest.csv", "a/Thumbs.db", "b/.hidden.png", ".cache/c/1.png"]
    bunch = load_cells(write(tmp_path, [*names, *others]))
    assert bunch.filenames.tolist() == sorted(names)
    assert bunch.target.tolist() == [name.split("/")[-2] for name in sorted(names)]


@pytest.mark.parametrize("folder", ["blast", "Healthy"])
def test_cells_that_were_relabelled_are_not_taken_by_their_names(tmp_path, folder):
    label = {"blast": "hem", "Healthy": "all"}[folder]
    root = write(tmp_path, [*CNMC, f"{folder}/UID_7_1_1_{label}.bmp"])
    with pytest.raises(ValueError, match="of one class by their name and of another by their"):
        load_cells(root)


def test_groups_for_data_that_have_none(tmp_path):
    table = write_csv(tmp_path, CSV)
    cells = load_cells(table, groups=r"(\w+)-\d")
    assert cells.groups.tolist() == ["anna", "anna"]
    assert "1 patients" in cells.DESCR
    data, _ = load_cells(table, groups=r"(\w+)-\d", return_X_y=True)
    assert data.tolist() == cells.data.tolist()


def test_a_column_of_patients_with_another_name_is_pointed_out(tmp_path):
    table = write_csv(
        tmp_path, "path,label,Patient_ID\nblast/anna-1.png,1,a\nhealthy/anna-1.png,0,b\n"
    )
    with pytest.warns(
        UserWarning, match="no column 'group'.* 'Patient_ID' holds them:.*group=Patient_ID"
    ):
        assert load_cells(table).groups is None


def test_links_are_followed_once(tmp_path):
    write(tmp_path / "elsewhere", ["1.png"])
    root = write(tmp_path / "root", ["healthy/1.png"])
    try:
        (root / "blast").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    except OSError:
        pytest.skip("this system lets no links be made")
    (tmp_path / "elsewhere" / "back").symlink_to(root, target_is_directory=True)
    (root / "healthy" / "round").symlink_to(root / "healthy", target_is_directory=True)
    assert load_cells(root).filenames.tolist() == ["blast/1.png", "healthy/1.png"]


@pytest.mark.parametrize(
    ("classes", "pos_label"),
    [
        (["Leukemia", "Normal"], "Leukemia"),
        (["all", "hem"], "all"),
        (["malignant", "benign"], "malignant"),
        (["0", "1"], None),
        (["blast", "monocyte"], None),
        (["all", "blast"], None),
        (["blast", "healthy", "monocyte"], None),
    ],
)
def test_positive_class_from_the_names(tmp_path, classes, pos_label):
    write(tmp_path, [f"{name}/1.png" for name in classes])
    assert load_folder(tmp_path).pos_label == pos_label
    assert load_cells(tmp_path, pos_label=classes[1]).pos_label == classes[1]


@pytest.mark.parametrize(
    "pattern", [r"(\w+)-(\d)", r"(?P<n>x)?(?P<group>\w+)-", re.compile("([^-]+)")]
)
def test_groups_from_the_file_names(tmp_path, pattern):
    write(tmp_path, [*CLASSES, "healthy/Ben-2.png"])
    bunch = load_cells(tmp_path, groups=pattern)
    # "Ben" and "ben" are one patient, spelled as the first in the order of the paths.
    assert dict(zip(bunch.filenames, bunch.groups, strict=True)) == {
        "blast/anna-1.png": "anna",
        "blast/ben-1.png": "ben",
        "healthy/Ben-2.png": "ben",
        "healthy/anna-1.png": "anna",
    }


def test_csv(tmp_path):
    absolute = write(tmp_path / "far", ["c.png"]) / "c.png"
    text = (
        "label, path,group,site,fold,comment\n"
        "1,healthy/anna-1.png,007,Lund,0,\n"
        f'NA,"{absolute}",008,Oslo,1,x\n'
        "1 , blast/ben-1.png ,007,Lund,1,\n"
    )
    bunch = load_cells(write_csv(tmp_path, text))
    assert bunch.data[:, 0].tolist() == [
        str(tmp_path / "healthy" / "anna-1.png"),
        str(absolute),
        str(tmp_path / "blast" / "ben-1.png"),
    ]
    assert bunch.target.tolist() == ["1", "NA", "1"]
    assert bunch.groups.tolist() == ["007", "008", "007"]
    assert bunch.site.tolist() == ["Lund", "Oslo", "Lund"]
    assert bunch.fold.tolist() == [0, 1, 1] and bunch.fold.dtype.kind == "i"
    assert load_csv(tmp_path / "cells.csv", pos_label=1).pos_label == "1"


def test_csv_with_the_two_columns_alone(tmp_path):
    bunch = load_csv(write_csv(tmp_path, "\ufeff" + CSV))
    assert bunch.groups is None and bunch.pos_label is None
    assert "fold" not in bunch and "site" not in bunch


def test_csv_folds_may_be_names(tmp_path):
    text = "path,label,fold\nblast/anna-1.png,1,a\nhealthy/anna-1.png,0,b\n"
    assert load_csv(write_csv(tmp_path, text)).fold.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "cannot be read as a CSV file", id="empty"),
        pytest.param('path,label\n"a,1\n', "cannot be read as a CSV file", id="quote"),
        pytest.param("path,label\n", "no rows", id="no rows"),
        pytest.param("path,label\na,1,\nb,2,\n", "more values than its header", id="long"),
        pytest.param("file;label\n", "no column 'path'.*'file', 'label'. Head", id="columns"),
        pytest.param(CSV + "x.png,1\ny.png,1\n", "2 of the 4 images .*'x.png', 'y.png'", id="gone"),
        pytest.param(CSV + "blast,1\n", "1 of the 3 images .*'blast'", id="folder"),
        pytest.param(CSV + "blast/ben-1.png,\n", "'label' .* empty in 1 of 3 rows.*'3'", id="void"),
        pytest.param(CSV + "blast/ben-1.png\n", "'label' .* empty in 1 of 3 rows.*'3'", id="short"),
        pytest.param(
            CSV + "blast/../blast/anna-1.png,0\n", "different labels: 'blast/../", id="conflict"
        ),
        pytest.param(CSV + "blast/anna-1.png,1\n", "more than once: 'blast/anna", id="repeated"),
        pytest.param("path,label\nblast/ben-1.png,1\n", "of the class '1'", id="one class"),
        pytest.param(
            "path,label,group\nblast/ben-1.png,1,\nhealthy/anna-1.png,0,a\n",
            "'group' .* empty in 1 of 2 rows",
            id="no group",
        ),
    ],
)
def test_bad_csv(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        load_cells(write_csv(tmp_path, text))


SPREADSHEET = "Path;Label;Group\nblast\\anna-1.png;gro\xdf;007\nhealthy\\anna-1.png;klein;7\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize(
    ("separator", "newline", "name"),
    [(";", "\r\n", "cells.csv"), ("\t", "\n", "cells.tsv"), (",", "\n", "cells.CSV")],
)
def test_csv_as_spreadsheets_write_it(tmp_path, encoding, separator, newline, name):
    file = write(tmp_path, CLASSES) / name
    text = SPREADSHEET.replace(";", separator).replace("\n", newline)
    # Below the data, where cells were once filled.
    file.write_bytes((text + 2 * separator + newline + newline).encode(encoding))
    bunch = load_cells(file)
    assert bunch.data[0, 0] == str(tmp_path / "blast" / "anna-1.png")
    assert bunch.filenames.tolist() == ["blast/anna-1.png", "healthy/anna-1.png"]
    assert bunch.target.tolist() == ["gro\xdf", "klein"]
    assert bunch.groups.tolist() == ["007", "7"]


def test_csv_with_separators_in_its_values(tmp_path):
    names = ["a;b.png", "a,b.png"]
    text = 'path;"label";comment\n"a;b.png";1;"of 3, 4 and 5"\na,b.png;"0";\n'
    bunch = load_csv(write_csv(tmp_path, text, names))
    assert bunch.filenames.tolist() == names and bunch.target.tolist() == ["1", "0"]
    # What separates the known headings counts, and not what separates most.
    text = "path;label;seen, when, where, by whom\na,b.png;1;x\nc.png;0;y, z\n"
    bunch = load_csv(write_csv(tmp_path / "more", text, ["a,b.png", "c.png"]))
    assert bunch.target.tolist() == ["1", "0"]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_with_everything_in_quotation_marks(tmp_path, separator):
    rows = [["path", "label"], ["a, b.png", "x;y"], ["c.png", "z"]]
    text = "\n".join(separator.join(f'"{value}"' for value in row) for row in rows)
    bunch = load_csv(write_csv(tmp_path, text, ["a, b.png", "c.png"]))
    assert bunch.target.tolist() == ["x;y", "z"]


def test_a_backslash_that_is_in_a_name_stays(tmp_path):
    names = [r"a\1.png", "b/1.png"]
    try:
        table = write_csv(tmp_path, "path,label\na\\1.png,x\nb\\1.png,y\n", names)
    except OSError:
        pytest.skip("this system allows no such name")
    assert load_csv(table).filenames.tolist() == names


def test_columns_of_other_names(tmp_path):
    text = "File;Diagnosis;label;Patient, coded\nblast/ben-1.png;1;x;b\nhealthy/anna-1.png;0;x;a\n"
    table = write_csv(tmp_path, text)
    columns = {"path": "file", "label": "Diagnosis", "group": "Patient, coded"}
    bunch = load_cells(table, columns=columns)
    assert bunch.target.tolist() == ["1", "0"] and bunch.groups.tolist() == ["b", "a"]
    with pytest.raises(ValueError, match=r"no column 'path'.*'File', 'Diag.*--columns path=NAME"):
        load_csv(table)
    with pytest.raises(ValueError, match=r"no column 'case'.*'File'.*--columns group=NAME"):
        load_csv(table, columns=columns | {"group": "case"})
    with pytest.raises(ValueError, match=r"columns names 'patient'; .* 'path', 'label', 'group'"):
        load_csv(table, columns=columns | {"patient": "Patient, coded"})
    with pytest.raises(ValueError, match=r"columns=.*loaded by load_folder"):
        load_cells(tmp_path, columns=columns)


def test_two_columns_of_one_name(tmp_path):
    table = write_csv(tmp_path, "path,Label,LABEL\nblast/ben-1.png,1,0\nhealthy/anna-1.png,0,1\n")
    with pytest.raises(ValueError, match="2 columns 'label', of 'path', 'Label', 'LABEL'"):
        load_csv(table)
    assert load_csv(table, columns={"label": "LABEL"}).target.tolist() == ["0", "1"]


def test_csv_that_is_no_text(tmp_path):
    file = write(tmp_path, CLASSES) / "cells.csv"
    file.write_bytes(b"path,label\nblast/ben-1.png,\x81\xff\n")
    with pytest.raises(ValueError, match="cannot be read as a CSV file"):
        load_csv(file)


@pytest.mark.parametrize(
    ("load", "names", "message"),
    [
        (load_cells, [], "No loader fits .* without images; it holds nothing. Expected"),
        (load_cells, ["a/notes.txt"], "without images; it holds 'a'"),
        (load_cells, ["1.png", "2.png"], "2 images and no class folders"),
        (load_cells, ["a/1.png"], "of the class 'a'"),
        (load_cells, ["a/1.png", "b/1.png", "2.png"], "1 images .* beside folders .*'2.png'"),
        (load_cells, ["a/1.png", "a/p/1.png", "b/1.png"], "beside folders .*'a/1.png'"),
        (load_cells, [*CNMC, "fold_0/all/7.bmp"], "1 of the 4 images .*'fold_0/all/7.bmp'"),
        (load_cells, ["hem/UID_1_1_1_all.png", "hem/UID_H1_1_1_hem.png"], "other by their folder"),
        (load_cells, ["UID_1_1_1_all.png"], "of the class 'all'"),
        (load_cnmc, CLASSES, "expects images named UID_.* load_folder fits it"),
        (load_csv, CNMC, "expects a CSV file .* load_cnmc fits it"),
        (load_folder, ["UID_1_1_1_all.png"], "expects one folder .* load_cnmc fits it"),
        (load_folder, ["1.png"], "expects one folder .* No loader fits it"),
    ],
)
def test_bad_folder(tmp_path, load, names, message):
    with pytest.raises(ValueError, match=message):
        load(write(tmp_path, names))


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (CLASSES, {"pos_label": "blasts"}, r"'blasts' is not one of .*\['blast', 'healthy'\]"),
        (CNMC[:2], {"pos_label": "ALL"}, r"'ALL' is not one of .*\['all', 'hem'\]"),
        (CNMC[:2], {"groups": "(.)"}, "load_cnmc, which finds the patients itself"),
        (CLASSES, {"groups": "("}, "must be a regular expression"),
        (CLASSES, {"groups": 1}, "must be a regular expression"),
        (CLASSES, {"groups": "anna"}, "has no group"),
        (CLASSES, {"groups": "(anna)"}, "in the names of 1 of 3 images: 'blast/ben-1.png'"),
    ],
)
def test_bad_option(tmp_path, names, options, message):
    with pytest.raises(ValueError, match=message):
        load_cells(write(tmp_path, names), **options)


@pytest.mark.parametrize("load", LOADERS)
def test_bad_path(tmp_path, load):
    write(tmp_path, ["cells/notes.txt"])
    with pytest.raises(FileNotFoundError, match=r"does not exist.* holds 'cells'"):
        load(tmp_path / "cels" / "train")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load("")
    with pytest.raises(ValueError, match="is a file"):
        load(tmp_path / "cells" / "notes.txt")
    for path in [None, 1, b"cells", ["cells"]]:
        with pytest.raises(TypeError, match=r"must be a str or os\.PathLike"):
            load(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cells.zip", "an archive, to be unpacked first"),
        ("cells.tar.gz", "an archive, to be unpacked first"),
        ("pathmnist.npz", "is a file. Expected\n"),
        ("cells.xlsx", "is a spreadsheet, to be saved as CSV. Expected\n"),
    ],
)
def test_files_that_are_no_data_set(tmp_path, name, message):
    file = tmp_path / name
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("blast/1.png", b"")
    with pytest.raises(ValueError, match=re.escape(message)):
        load_cells(file)
    with pytest.raises(ValueError, match=f"without images; it holds '{name}'"):
        load_cells(tmp_path)


def test_loose_files_beside_class_folders_do_not_matter(tmp_path):
    others = ["README.md", "manifest.csv", "labels.csv", "blast/Thumbs.db", "cells.zip"]
    bunch = load_cells(write(tmp_path, [*CLASSES, *others]))
    assert bunch.filenames.tolist() == CLASSES


def test_links_to_images(tmp_path):
    write(tmp_path / "elsewhere", ["1.png"])
    root = write(tmp_path / "root", ["healthy/1.png", "blast/2.png"])
    try:
        (root / "blast" / "1.png").symlink_to(tmp_path / "elsewhere" / "1.png")
        (root / "blast" / "3.png").symlink_to(tmp_path / "nowhere.png")
    except OSError:
        pytest.skip("this system lets no links be made")
    bunch = load_cells(root)
    # A broken link is no image less: reading it fails and names it.
    names = ["blast/1.png", "blast/2.png", "blast/3.png", "healthy/1.png"]
    assert bunch.filenames.tolist() == names
    with pytest.raises(FileNotFoundError, match=r"1 of 4 image files do not exist.*3\.png"):
        ImagePreprocessor(4).transform(bunch.data)
