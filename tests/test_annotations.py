"""Folders of boxes and masks: they say what they are, and are not taken for classes."""

import json
import re

import pytest
from miniatures import CLASSES, write

from skall.datasets import load_cells, load_folder

FIELDS = [f"{number}.jpg" for number in range(4)]
CLASSIFY = "skall classifies images of single cells. Cut each box out"


def place(folder, names):
    return [f"{folder}/{name}" for name in names]


def rename(names, suffix):
    return [name.replace(".jpg", suffix) for name in names]


BCCD = [
    *place("BCCD/JPEGImages", FIELDS),
    *place("BCCD/Annotations", rename(FIELDS, ".xml")),
    "BCCD/ImageSets/Main/train.txt",
]
ROBOFLOW = [
    name
    for part in ("train", "valid", "test")
    for name in place(part, [*FIELDS, *rename(FIELDS, ".xml")])
]


@pytest.mark.parametrize("load", [load_cells, load_folder])
@pytest.mark.parametrize(
    "names",
    [BCCD, ROBOFLOW, [*FIELDS, *rename(FIELDS, ".xml")]],
    ids=["folders", "parts", "beside"],
)
def test_boxes_of_pascal_voc(tmp_path, names, load):
    message = f"detection of cells: .* images with boxes in .* of Pascal VOC: .*{CLASSIFY}"
    with pytest.raises(ValueError, match=message):
        load(write(tmp_path, names))


@pytest.mark.parametrize("load", [load_cells, load_folder])
def test_boxes_of_yolo(tmp_path, load):
    labels = place("labels", rename(FIELDS, ".txt"))
    write(tmp_path, [*place("images", FIELDS), *labels, "classes.txt"])
    (tmp_path / labels[1]).write_text("0 0.5 0.25 0.1 0.1\n1 0.1 0.2 0.01 0.02\n")
    with pytest.raises(ValueError, match=f"in the format of YOLO: .*{CLASSIFY}"):
        load(tmp_path)
    (tmp_path / labels[1]).write_text("Giemsa, slide 5\n")
    with pytest.raises(ValueError, match="A classifier needs two classes"):
        load(tmp_path)


@pytest.mark.parametrize("load", [load_cells, load_folder])
def test_boxes_of_coco(tmp_path, load):
    write(tmp_path, [*place("train", FIELDS), "train/_annotations.coco.json"])
    content = {"info": {}, "images": [{"file_name": "0.jpg"}], "annotations": []}
    (tmp_path / "train" / "_annotations.coco.json").write_text(json.dumps(content))
    with pytest.raises(
        ValueError, match=f"4 images with boxes in 1 files, .* of COCO: .*{CLASSIFY}"
    ):
        load(tmp_path)


def test_class_folders_may_hold_boxes(tmp_path):
    root = write(tmp_path, [*CLASSES, *(name.replace(".png", ".xml") for name in CLASSES)])
    assert load_cells(root).target.tolist() == ["blast", "blast", "healthy"]


MASKS = {
    "beside": ([*place("blast", FIELDS), *place("healthy", [*FIELDS, "0.png"])], "healthy/0.png"),
    "beside, bitmap": ([*CLASSES, "blast/anna-1.bmp"], "blast/anna-1.png"),
    "named": ([*CLASSES, "blast/anna-1_mask.png"], "blast/anna-1_mask.png"),
    "flat": ([*FIELDS, "0-seg.png"], "0-seg.png"),
    "folders": ([*place("images", FIELDS), *place("masks", FIELDS)], "masks/0.jpg"),
    "classes": (
        [*place("Original/blast", FIELDS), *place("Ground Truth/blast", rename(FIELDS, "_1.png"))],
        "Ground Truth/blast/0_1.png",
    ),
}


@pytest.mark.parametrize("load", [load_cells, load_folder])
@pytest.mark.parametrize("kind", MASKS)
def test_masks(tmp_path, kind, load):
    names, mask = MASKS[kind]
    message = f"holds masks, .* of its {len(names)} images, '{re.escape(mask)}'.* CSV file"
    with pytest.raises(ValueError, match=message):
        load(write(tmp_path, names))


@pytest.mark.parametrize(
    "names",
    [
        CLASSES,
        ["blast/1.png", "blast/2.bmp", "healthy/1.bmp"],
        ["blast/1_gt.png", "healthy/2.png"],
        ["train/segmented/1.png", "train/band/1.png"],
    ],
)
def test_what_are_no_masks(tmp_path, names):
    assert len(load_cells(write(tmp_path, names)).data) == len(names)


def test_a_table_beside_images_is_pointed_out(tmp_path):
    with pytest.raises(ValueError, match=r"no class folders; if 'cells\.csv' tells the classes"):
        load_cells(write(tmp_path, [*FIELDS, "cells.csv"]))
