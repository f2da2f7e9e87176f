"""ALL 4-class, PBC, BloodMNIST and Raabin-WBC."""

import numpy as np
import pandas as pd
import pytest
from miniatures import ALL_4CLASS_A, ALL_4CLASS_B, PBC, RAABIN, write, write_bloodmnist

from skall.datasets import (
    load_all_4class,
    load_bloodmnist,
    load_cells,
    load_pbc,
    load_raabin,
)

FOUR = ["Benign", "Early", "Pre", "Pro"]


def test_4class_original_images_by_default(tmp_path):
    bunch = load_cells(write(tmp_path, ALL_4CLASS_A))
    assert bunch.filenames.tolist() == ALL_4CLASS_A[:4]
    assert bunch.target.tolist() == FOUR
    assert bunch.groups is None and bunch.pos_label is None
    segmented = load_all_4class(tmp_path, segmented=True)
    assert segmented.filenames.tolist() == ALL_4CLASS_A[4:]
    assert segmented.target.tolist() == FOUR


@pytest.mark.parametrize("folder", ["Original", "Segmented"])
def test_4class_one_of_its_folders(tmp_path, folder):
    bunch = load_cells(write(tmp_path, ALL_4CLASS_A).joinpath(folder))
    assert bunch.target.tolist() == FOUR
    assert all(f"/{folder}/" in file.replace("\\", "/") for file in bunch.data[:, 0])


def test_4class_copies_share_classes_and_source(tmp_path):
    first = load_cells(write(tmp_path / "a", ALL_4CLASS_A))
    second = load_cells(write(tmp_path / "b", ALL_4CLASS_B))
    assert sorted(second.target) == FOUR
    assert dict(zip(second.filenames, second.target, strict=True)) == dict(
        zip(ALL_4CLASS_B, FOUR, strict=True)
    )
    assert first.source_id == second.source_id


@pytest.mark.parametrize("names", [ALL_4CLASS_A, ALL_4CLASS_B])
def test_4class_in_two_classes(tmp_path, names):
    bunch = load_all_4class(write(tmp_path, names), binary=True)
    assert sorted(bunch.target) == ["Benign"] + ["Malignant"] * 3
    assert bunch.pos_label == "Malignant"
    with pytest.raises(ValueError, match="'Early' is not one of the classes"):
        load_all_4class(tmp_path, binary=True, pos_label="Early")


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (
            [*ALL_4CLASS_A, "Original/Pre/WBC-Malignant-Pro-009.jpg"],
            {},
            "another by their folder: 'Original/Pre/WBC-Malignant-Pro-009.jpg'",
        ),
        (
            ["[Malignant] Pre-B/WBC-Benign-1.jpg", "Benign/WBC-Benign-2.jpg"],
            {},
            "another by their folder: .*Pre-B/WBC-Benign-1.jpg",
        ),
        ([*ALL_4CLASS_A, *ALL_4CLASS_B], {}, "holds both copies"),
        (ALL_4CLASS_B, {"segmented": True}, "has no folder 'Segmented'"),
        ([*ALL_4CLASS_A, "sample/x.png"], {}, "none of them: 'sample/x.png'"),
        ([*ALL_4CLASS_B, "Blood cell Cancer [ALL]/Other/1.jpg"], {}, "expects folders Benign"),
    ],
)
def test_4class_that_does_not_fit(tmp_path, names, options, message):
    with pytest.raises(ValueError, match=message):
        load_all_4class(write(tmp_path, names), **options)


@pytest.mark.parametrize("names", [PBC, [name.split("/")[-1] for name in PBC]])
def test_pbc_in_8_classes(tmp_path, names):
    bunch = load_cells(write(tmp_path, [*names, ".DS_169665.jpg"]))
    expected = {name.split("/")[-1]: name.split("/")[-2] for name in PBC}
    found = dict(zip((name.split("/")[-1] for name in bunch.filenames), bunch.target, strict=True))
    assert found == expected
    assert len(bunch.target_names) == 8
    assert bunch.groups is None and bunch.pos_label is None


def test_pbc_in_11_classes(tmp_path):
    bunch = load_pbc(write(tmp_path, PBC), classes=11)
    found = {
        name.split("/")[-1].split("_")[0]: label
        for name, label in zip(bunch.filenames, bunch.target, strict=True)
    }
    assert found == {
        "BA": "basophil",
        "EO": "eosinophil",
        "ERB": "erythroblast",
        "MMY": "metamyelocyte",
        "MY": "myelocyte",
        "PMY": "promyelocyte",
        "LY": "lymphocyte",
        "MO": "monocyte",
        "BNE": "band neutrophil",
        "SNE": "segmented neutrophil",
        "PLATELET": "platelet",
    }
    assert "Left out: 2 images named IG or NEUTROPHIL" in bunch.DESCR


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        ([*PBC, "monocyte/BA_1.jpg"], {}, "another by their folder: 'monocyte/BA_1.jpg'"),
        ([*PBC, "monocyte/1.jpg"], {}, "1 of the 14 images .* 'monocyte/1.jpg'"),
        (PBC, {"classes": 5}, "classes=5: PBC has 8"),
        (["BA_1.jpg"], {}, "of the class 'basophil'"),
    ],
)
def test_pbc_that_does_not_fit(tmp_path, names, options, message):
    with pytest.raises(ValueError, match=message):
        load_pbc(write(tmp_path, names), **options)


def test_few_names_like_those_of_pbc_are_class_folders(tmp_path):
    names = ["a/MO_1.png", "a/x.png", "b/y.png"]
    assert load_cells(write(tmp_path, names)).target.tolist() == ["a", "a", "b"]


def test_bloodmnist(tmp_path):
    bunch = load_cells(write_bloodmnist(tmp_path, "BloodMNIST_64.NPZ.npz"))
    assert bunch.data.shape == (4, 28, 28, 3) and bunch.data.dtype == np.uint8
    assert bunch.data[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert bunch.target.tolist() == ["basophil", "eosinophil", "erythroblast", "ig"]
    assert bunch.target.dtype == object
    assert bunch.fold.tolist() == ["train", "train", "val", "test"]
    assert bunch.filenames.tolist() == ["train/0", "train/1", "val/0", "test/0"]
    assert bunch.groups is None and bunch.pos_label is None and bunch.frame is None
    assert "CC BY 4.0" in bunch.DESCR and "10.1038/s41597-022-01721-8" in bunch.DESCR
    data, target = load_bloodmnist(tmp_path / "BloodMNIST_64.NPZ.npz", return_X_y=True)
    assert np.array_equal(data, bunch.data) and target.tolist() == bunch.target.tolist()


def test_bloodmnist_and_pbc_are_one_source(tmp_path):
    pbc = load_cells(write(tmp_path / "pbc", PBC))
    mnist = load_cells(write_bloodmnist(tmp_path))
    assert pbc.source_id == mnist.source_id
    assert set(mnist.target) <= set(pbc.target)


@pytest.mark.parametrize("options", [{"as_frame": True}, {"as_frame": True, "return_X_y": True}])
def test_bloodmnist_fits_no_frame(tmp_path, options):
    with pytest.raises(ValueError, match="as_frame=True cannot be used here"):
        load_cells(write_bloodmnist(tmp_path), **options)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"val_images": np.zeros((1, 28, 28), np.uint8)}, r"images of shape \(1, 28, 28\) in val"),
        ({"val_images": np.zeros((2, 28, 28, 3), np.uint8)}, "1 labels, .* in val"),
        ({"val_images": np.zeros((1, 64, 64, 3), np.uint8)}, "is no BloodMNIST file"),
        ({"train_images": np.zeros((2, 28, 28, 3))}, "float64 images"),
        ({"test_labels": np.array([[8]])}, "whole numbers from 0 to 7"),
        ({"test_labels": np.array([[0.5]])}, "whole numbers from 0 to 7"),
        ({"test_labels": np.array([{}])}, "is no BloodMNIST file"),
    ],
)
def test_bloodmnist_with_other_arrays(tmp_path, arrays, message):
    with pytest.raises(ValueError, match=message):
        load_cells(write_bloodmnist(tmp_path, **arrays))


def test_files_named_as_bloodmnist_that_are_not(tmp_path):
    file = tmp_path / "bloodmnist.npz"
    np.savez(file, images=np.zeros(3))
    for content in [file.read_bytes(), file.read_bytes()[:-30], b"", b"no archive"]:
        file.write_bytes(content)
        with pytest.raises(ValueError, match="is no BloodMNIST file, or damaged"):
            load_cells(file)
    with file.open("wb") as stream:
        np.save(stream, np.zeros(3))
    with pytest.raises(ValueError, match="is no BloodMNIST file, or damaged"):
        load_cells(file)


def test_raabin(tmp_path):
    bunch = load_cells(write(tmp_path, RAABIN))
    assert dict(zip(bunch.filenames, bunch.site, strict=True)) == dict(
        zip(RAABIN, ["Train", "Train", "TestA", "TestB"], strict=True)
    )
    assert sorted(bunch.target) == ["basophil", "lymphocyte", "lymphocyte", "lymphocyte"]
    assert bunch.groups is None and bunch.pos_label is None
    assert "10.1038/s41598-021-04426-x" in bunch.DESCR


def test_raabin_with_images_elsewhere(tmp_path):
    with pytest.raises(ValueError, match=r"1 of the 5 images .* 'Basophil/1\.jpg'"):
        load_raabin(write(tmp_path, [*RAABIN, "Basophil/1.jpg"]))


def test_train_and_test_alone_are_class_folders(tmp_path):
    bunch = load_cells(write(tmp_path, ["Train/a/1.png", "Test/b/2.png"]))
    assert bunch.target.tolist() == ["b", "a"] and "site" not in bunch


def test_real_pbc(shared):
    folder = shared / "data" / "pbc_leukocytes"
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}")
    bunch = load_cells(folder)
    counts = pd.Series(bunch.target).value_counts()
    assert counts.to_dict() == dict.fromkeys(bunch.target_names, 60)
    assert len(counts) == 5
    assert bunch.groups is None and bunch.pos_label is None
    assert "10.17632/snkd93bnjr.1" in bunch.DESCR and "source_id" in bunch
    # The neutrophils of this sample are band forms.
    assert "band neutrophil" in load_pbc(folder, classes=11).target_names
