"""ALL-IDB1, whole and cut into crops, and ALL-IDB2."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from miniatures import ALL_IDB1, ALL_IDB2, write
from PIL import Image, ImageDraw

from skall.datasets import load_all_idb1, load_all_idb2, load_cells

SIZE = 40
NUCLEUS = (110, 55, 145)
RED_CELL = (205, 165, 170)


def draw_field(file, nuclei, red_cells=(), debris=(), size=(300, 240)):
    """Draw dark nuclei of radius 12 between red cells and platelets, without any noise."""
    picture = Image.new("RGB", size, (232, 226, 234))
    pen = ImageDraw.Draw(picture)
    for places, radius, colour in [(red_cells, 12, RED_CELL), (debris, 2, NUCLEUS)]:
        for x, y in places:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), colour)
    for x, y in nuclei:
        pen.ellipse((x - 12, y - 12, x + 12, y + 12), NUCLEUS)
    file.parent.mkdir(parents=True, exist_ok=True)
    picture.save(file)


def write_fields(root):
    """Two fields with blasts, one with healthy cells and one without any."""
    marks = {"Im001_1": [(60, 60), (200, 150)], "Im002_1": [(3, 5), (298, 239), (150, 100)]}
    for name, places in marks.items():
        draw_field(root / "im" / f"{name}.png", places, red_cells=[(100, 200), (250, 40)])
    draw_field(root / "im/Im034_0.png", [(80, 90), (220, 60)], [(150, 150)], [(40, 200), (150, 20)])
    draw_field(root / "im/Im035_0.png", [], red_cells=[(50, 50), (150, 150)])
    (root / "xyc").mkdir()
    (root / "xyc/Im001_1.xyc").write_text("60\t60\n200\t150\n")
    (root / "xyc/Im002_1.xyc").write_text(" 3 5 \r\n298  239\r\n150 100\r\n\r\n")
    (root / "xyc/Im034_0.xyc").touch()
    return root


def cut(root, **options):
    return load_all_idb1(
        root / "ALL_IDB1", crops=True, crop_size=SIZE, data_home=root / "home", **options
    )


def open_crop(bunch, row):
    return np.asarray(Image.open(bunch.data[row, 0]))


def test_fields(tmp_path):
    bunch = load_cells(write(tmp_path, [*ALL_IDB1, "xyc/Im001_1.xyc"]))
    assert bunch.filenames.tolist() == ALL_IDB1
    assert bunch.target.tolist() == ["all", "all", "healthy"]
    assert bunch.pos_label == "all" and bunch.groups is None
    assert "ALL-IDB1" in bunch.DESCR and "never redistribute" in bunch.DESCR
    assert "patients unknown" in bunch.DESCR


def test_cells(tmp_path):
    bunch = load_cells(write(tmp_path / "two", ALL_IDB2))
    assert bunch.target.tolist() == ["all", "healthy"]
    assert bunch.pos_label == "all" and bunch.groups is None
    assert "ALL-IDB2" in bunch.DESCR
    fields = load_cells(write(tmp_path / "one", ALL_IDB1))
    assert bunch.source_id == fields.source_id


@pytest.mark.parametrize(
    ("names", "edition"),
    [
        (["im/Im001_1.png", "im/Im034_0.png"], 1),
        (["img/Im001_1.png", "img/Im034_0.png"], 2),
        (["ALL_IDB2/train/Im001_1.jpg", "ALL_IDB2/train/Im034_0.jpg"], 2),
        (["ALL-IDB1/all/Im001_1.tif", "ALL-IDB1/healthy/Im034_0.tif"], 1),
        (["Im001_1.tif", "Im034_0.tif"], 2),
        (["Im001_1.JPG", "Im034_0.JPG"], 1),
        (["Im001_1.png", "Im131_0.png"], 2),
        (["Im001_1.png", "Im034_0.png", "Im001_1.xyc"], 1),
        (["Im001_1.png", "Im034_0.png"], 2),
    ],
)
def test_editions_are_told_apart(tmp_path, names, edition):
    load, other = (load_all_idb1, load_all_idb2)[:: 1 if edition == 1 else -1]
    bunch = load_cells(write(tmp_path, names))
    assert f"\nALL-IDB{edition}:" in f"\n{bunch.DESCR}"
    assert bunch.target.tolist() == load(tmp_path).target.tolist() == ["all", "healthy"]
    with pytest.raises(ValueError, match=f"{load.__name__} fits it"):
        other(tmp_path)


def test_wide_images_are_fields(tmp_path):
    for name in ["Im001_1.bmp", "Im034_0.bmp"]:
        Image.new("RGB", (1712, 2)).save(tmp_path / name)
    assert load_all_idb1(tmp_path).target.tolist() == ["all", "healthy"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["im/Im001_1.jpg", "im/Im034_0.jpg", "im/map.png"], "1 of the 3 images .* 'im/map.png'"),
        (["im/Im001_1.jpg", "im/Im001_0.jpg"], "image 001 twice: 'im/Im001_0.jpg', 'im/Im001_1"),
        (["im/Im001_1.jpg", "im/Im001_1.png", "im/Im034_0.jpg"], "image 001 twice"),
        (["im/Normal/Im001_1.jpg", "im/Im034_0.jpg"], "another by their folder: 'im/Normal/Im001"),
        (["im/Im001_1.jpg", "im/Im002_1.jpg"], "of the class 'all'"),
        (["ALL_IDB1/im/Im001_1.jpg", "ALL_IDB2/img/Im131_0.tif"], "holds both ALL-IDB1 and"),
    ],
)
def test_inconsistent_names(tmp_path, names, message):
    with pytest.raises(ValueError, match=message):
        load_cells(write(tmp_path, names))


def test_crops_of_marked_blasts(tmp_path):
    write_fields(tmp_path / "ALL_IDB1")
    bunch = cut(tmp_path)
    blasts = bunch.target == "all"
    assert bunch.groups[blasts].tolist() == ["Im001_1"] * 2 + ["Im002_1"] * 3
    field = np.asarray(Image.open(tmp_path / "ALL_IDB1/im/Im001_1.png"))
    assert np.array_equal(open_crop(bunch, 0), field[40:80, 40:80])
    assert np.array_equal(open_crop(bunch, 1), field[130:170, 180:220])
    assert "7 images (5 all, 2 healthy), 3 fields" in bunch.DESCR
    assert bunch.pos_label == "all" and bunch.source_id == "ALL-IDB"
    assert cut(tmp_path, pos_label="healthy").pos_label == "healthy"


def test_crops_at_the_border_are_shifted_inwards(tmp_path):
    write_fields(tmp_path / "ALL_IDB1")
    bunch = cut(tmp_path)
    field = np.asarray(Image.open(tmp_path / "ALL_IDB1/im/Im002_1.png"))
    assert np.array_equal(open_crop(bunch, 2), field[:SIZE, :SIZE])
    assert np.array_equal(open_crop(bunch, 3), field[-SIZE:, -SIZE:])


def test_healthy_cells_are_found_between_red_cells_and_platelets(tmp_path):
    write_fields(tmp_path / "ALL_IDB1")
    bunch = cut(tmp_path)
    healthy = np.flatnonzero(bunch.target == "healthy")
    assert bunch.groups[healthy].tolist() == ["Im034_0"] * 2
    for row in healthy:
        dark = np.argwhere((open_crop(bunch, row) == NUCLEUS).all(axis=2))
        assert len(dark) > 400 and np.abs(dark.mean(axis=0) - SIZE / 2).max() < 2


def test_healthy_cells_may_be_marked_by_the_user(tmp_path):
    root = write_fields(tmp_path / "ALL_IDB1")
    (root / "xyc/Im035_0.xyc").write_text("50,50\n")
    bunch = cut(tmp_path)
    assert bunch.groups[bunch.target == "healthy"].tolist() == ["Im034_0"] * 2 + ["Im035_0"]


def test_crops_are_cut_once(tmp_path):
    root = write_fields(tmp_path / "ALL_IDB1")
    first = cut(tmp_path)
    ages = {file: os.stat(file).st_mtime_ns for file in first.data[:, 0]}
    again = cut(tmp_path)
    assert again.data.tolist() == first.data.tolist()
    assert {file: os.stat(file).st_mtime_ns for file in again.data[:, 0]} == ages
    # Another size, and another field of the same name, are other crops.
    larger = load_all_idb1(root, crops=True, crop_size=50, data_home=tmp_path / "home")
    assert not set(larger.data[:, 0]) & set(first.data[:, 0])
    draw_field(root / "im/Im001_1.png", [(60, 60), (200, 150)], size=(310, 240))
    changed = cut(tmp_path)
    assert set(changed.data[:2, 0]).isdisjoint(first.data[:2, 0])
    assert changed.data[2:].tolist() == first.data[2:].tolist()


def test_crops_lie_in_the_folder_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SKALL_DATA", str(tmp_path / "elsewhere"))
    bunch = load_all_idb1(write_fields(tmp_path / "ALL_IDB1"), crops=True, crop_size=SIZE)
    assert {str(Path(file).parent) for file in bunch.data[:, 0]} == {
        str(tmp_path / "elsewhere" / "all_idb1_crops")
    }


def test_crops_may_be_cut_at_the_same_time(tmp_path):
    write_fields(tmp_path / "ALL_IDB1")
    with ThreadPoolExecutor(4) as pool:
        bunches = list(pool.map(lambda _: cut(tmp_path), range(4)))
    assert all(bunch.data.tolist() == bunches[0].data.tolist() for bunch in bunches)
    found = sorted(os.listdir(tmp_path / "home/all_idb1_crops"))
    assert found == sorted(bunches[0].filenames)
    assert all(open_crop(bunches[0], row).shape == (SIZE, SIZE, 3) for row in range(7))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("Im001_1", "", "'im/Im001_1.png' has blasts but no marks"),
        ("Im001_1", "60 60\n60\n", "no list of marks"),
        ("Im001_1", "x y\n", "no list of marks"),
        ("Im001_1", "nan 3\n", "1 marks .* outside its field of 300 x 240"),
        ("Im001_1", "60 60\n10 241\n", r"1 marks .* outside .*\[10.0, 241.0\]"),
        ("Im034_0", "-1 5\n", "1 marks .* outside"),
    ],
)
def test_marks_that_do_not_fit(tmp_path, name, text, message):
    root = write_fields(tmp_path / "ALL_IDB1")
    (root / "xyc" / f"{name}.xyc").write_text(text)
    with pytest.raises(ValueError, match=message):
        cut(tmp_path)


def test_missing_marks(tmp_path):
    root = write_fields(tmp_path / "ALL_IDB1")
    (root / "xyc/Im002_1.xyc").unlink()
    with pytest.raises(ValueError, match=r"expected its file Im002_1\.xyc"):
        cut(tmp_path)


def test_fields_without_healthy_cells(tmp_path):
    root = write_fields(tmp_path / "ALL_IDB1")
    (root / "im/Im034_0.png").unlink()
    with pytest.raises(ValueError, match=r"no leukocyte is found.*load_all_idb2"):
        cut(tmp_path)


def test_broken_field(tmp_path):
    root = write_fields(tmp_path / "ALL_IDB1")
    (root / "im/Im034_0.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"Im034_0\.png' cannot be read as an image"):
        cut(tmp_path)


@pytest.mark.parametrize(
    ("size", "message"),
    [(241, "larger than the field"), (0, "positive int, got 0"), (2.5, "positive int, got 2.5")],
)
def test_bad_crop_size(tmp_path, size, message):
    root = write_fields(tmp_path / "ALL_IDB1")
    with pytest.raises(ValueError, match=message):
        load_all_idb1(root, crops=True, crop_size=size, data_home=tmp_path / "home")


def test_whole_fields_write_nothing(tmp_path):
    load_all_idb1(write_fields(tmp_path / "ALL_IDB1"), data_home=tmp_path / "home")
    assert not (tmp_path / "home").exists()
