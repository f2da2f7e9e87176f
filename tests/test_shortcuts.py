"""Shortcuts: what each measures, and that compare shows where one suffices."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.dummy import DummyClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from skall import compare
from skall.cache.memory import IN_PROCESS
from skall.comparison.estimators import BASELINES
from skall.datasets import make_blood_cells
from skall.features.shortcuts import SHORTCUTS, ShortcutFeatures, find_images


def measure(kind, image):
    features = ShortcutFeatures(kind, memory=None).set_output(transform="pandas")
    return features.fit_transform([image]).iloc[0].to_dict()


def measure_all(kind, files, memory):
    return ShortcutFeatures(kind, memory=memory).fit_transform(files)


def draw(height=40, width=80, inner=(0, 0, 0), frame=(255, 0, 0)):
    """A frame four pixels wide."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:] = frame
    pixels[4:-4, 4:-4] = inner
    return Image.fromarray(pixels)


@parametrize_with_checks([ShortcutFeatures(kind) for kind in SHORTCUTS])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_colour():
    share = 1 - 32 * 72 / (40 * 80)
    expected = {"red_mean": share, "green_mean": 0, "blue_mean": 0}
    assert measure("mean colour", draw()) == pytest.approx(expected)


def test_size_is_that_of_the_file(tmp_path):
    draw().save(tmp_path / "cell.png")
    expected = {"height": 40, "width": 80, "aspect": 2}
    assert measure("image size", str(tmp_path / "cell.png")) == expected


def test_border_sees_nothing_else():
    plain = measure("border only", draw())
    assert plain == measure("border only", draw(inner=(7, 200, 99)))
    assert plain["border_red_mean"] == 1 and plain["border_red_std"] == 0
    other = measure("border only", draw(frame=(0, 51, 0)))
    assert other["border_green_mean"] == pytest.approx(0.2)


def test_foreground():
    cut_out = measure("foreground area", draw(inner=(90, 40, 140), frame=(0, 0, 0)))
    assert cut_out["shown_share"] == pytest.approx(32 * 72 / (40 * 80))
    rows, columns = np.mgrid[:64, :64] - 31.5
    pixels = np.full((64, 64, 3), 240, np.uint8)
    pixels[rows**2 + columns**2 <= 20**2] = (110, 60, 160)
    smear = measure("foreground area", Image.fromarray(pixels))
    assert smear["cell_share"] == pytest.approx(np.pi * 20**2 / 64**2, rel=0.05)
    assert smear["shown_share"] == 1
    assert measure("foreground area", Image.new("RGB", (9, 9), "white"))["cell_share"] == 0


@pytest.mark.parametrize("kind", SHORTCUTS)
@pytest.mark.parametrize("size", [(1, 1), (1, 30), (2, 3)])
def test_tiny_images(kind, size):
    assert np.isfinite(list(measure(kind, Image.new("L", size, 90)).values())).all()


@pytest.mark.parametrize("size", [(60, 44), (7, 30), (3, 2), (1, 9)])
def test_colours_are_those_of_all_pixels(size):
    width, height = size
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    colour = measure("mean colour", Image.fromarray(pixels))
    np.testing.assert_allclose(list(colour.values()), pixels.mean(axis=(0, 1)) / 255)
    depth = max(1, round(min(size) / 10))
    frame = np.ones((height, width), dtype=bool)
    frame[depth:-depth, depth:-depth] = False
    values = pixels[frame] / 255
    border = measure("border only", Image.fromarray(pixels))
    expected = [*values.mean(axis=0), *values.std(axis=0)]
    np.testing.assert_allclose(list(border.values()), expected)


def test_large_photographs_are_read_at_a_fraction(tmp_path):
    """Cells side by side, as a JPEG of 1280 x 960 pixels on its side."""
    cells = make_blood_cells(12, 4, 320, random_state=0).data
    field = Image.fromarray(cells.reshape(3, 4, 320, 320, 3).swapaxes(1, 2).reshape(960, 1280, 3))
    exif = Image.Exif()
    exif[0x0112] = 6
    field.save(tmp_path / "field.jpg", quality=90, exif=exif)
    field.transpose(Image.Transpose.ROTATE_270).save(tmp_path / "field.png")
    for kind, largest in {"image size": 0, "mean colour": 0.001, "border only": 0.001}.items():
        found, expected = (measure(kind, str(tmp_path / f"field.{k}")) for k in ("jpg", "png"))
        assert found == pytest.approx(expected, abs=largest)
    assert measure("image size", str(tmp_path / "field.jpg"))["height"] == 1280


@pytest.fixture
def files(tmp_path):
    """Twelve images, of no two the same, by path."""
    folder = tmp_path / "images"
    folder.mkdir()
    for row in range(12):
        draw(inner=(90, 20 * row, 0)).save(folder / f"{row}.png")
    return [[str(folder / f"{row}.png")] for row in range(12)]


def test_one_reading_is_enough_for_all(files, tmp_path):
    IN_PROCESS.clear()
    expected = {kind: measure_all(kind, files, None) for kind in SHORTCUTS}
    memories = ("auto", str(tmp_path / "cache"))
    for memory in memories:
        measure_all("mean colour", files, memory)
    # Of files that cannot be read any more, all numbers of all kinds are known.
    for (path,) in files:
        status = os.stat(path)
        Path(path).write_bytes(bytes(status.st_size))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    for memory in (*memories, "another process"):
        if memory == "another process":
            IN_PROCESS.clear()
            memory = memories[1]
        for kind in SHORTCUTS:
            np.testing.assert_array_equal(measure_all(kind, files, memory), expected[kind])
    with pytest.raises(ValueError, match="cannot be read"):
        measure_all("mean colour", files, None)


@pytest.mark.usefixtures("without_page")
def test_workers_find_what_was_read(files, tmp_path):
    run(files, np.arange(12) % 2, out=tmp_path / "out", n_jobs=2)
    assert len(list((tmp_path / "out" / "cache").glob("*/*.npy"))) == 12


def test_unknown_kind():
    with pytest.raises(ValueError, match=r"kind='colour': .* takes one of 'mean colour', 'image"):
        ShortcutFeatures("colour").fit([draw()])


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((4, 16)),
        [["a", 1.0], ["b", 2.0]],
        ["no/such/file.png"],
        ["a text, not a path"],
        np.full((4, 5, 6), 7.5),
        [{"a": 1}],
    ],
    ids=["flat", "mixed", "missing file", "text", "time series", "dicts"],
)
def test_what_are_no_images(X):
    assert find_images(X) is None


@pytest.mark.parametrize(
    "X",
    [np.zeros((4, 9, 9), np.uint8), np.zeros((4, 9, 9, 3)), [draw()] * 4],
    ids=["grey", "RGB", "PIL"],
)
def test_what_are_images(X):
    assert len(find_images(X)) == 4


def run(X, y, **options):
    options = {"cv": 3, "random_state": 0, "scoring": ["balanced_accuracy"]} | options
    return compare({"none": DummyClassifier()}, X, y, verbose=0, **options)


@pytest.mark.filterwarnings("ignore:24 images are exact copies")
@pytest.mark.parametrize(
    ("kind", "images"),
    [
        ("mean colour", ({"inner": (99, 0, 0)}, {"inner": (90, 9, 0)})),
        ("image size", ({"height": 40}, {"height": 41})),
        ("border only", ({"frame": (200, 9, 0)}, {"frame": (190, 0, 0)})),
        ("foreground area", ({"frame": (0, 0, 0), "inner": (99, 99, 99)}, {"height": 60})),
    ],
)
def test_a_shortcut_shows(kind, images):
    table = run([draw(**images[k % 2]) for k in range(24)], np.arange(24) % 2).table()
    assert set(table.index) == {"none", *BASELINES}
    assert table.loc[kind, "balanced_accuracy"] == 1
    assert table.loc["dummy", "balanced_accuracy"] == 0.5


@pytest.mark.usefixtures("without_page")
@pytest.mark.filterwarnings("ignore:24 images are exact copies")
def test_images_that_are_all_alike_are_no_trouble(tmp_path):
    table = run([draw()] * 24, np.arange(24) % 2, out=tmp_path).table()
    assert (table["balanced_accuracy"] == 0.5).all()


def test_backbones_by_name_and_no_baselines():
    cells = make_blood_cells(12, 6, 16, random_state=0)
    options = {"groups": cells.groups, "pos_label": cells.pos_label, "cv": 2, "random_state": 0}
    options |= {"weights": None, "image_size": 16, "max_epochs": 1, "verbose": 0}
    for baselines in (True, False):
        comparison = compare(
            ["timm/test_resnet"], cells.data, cells.target, baselines=baselines, **options
        )
        names = {"timm/test_resnet", *(BASELINES if baselines else ())}
        assert set(comparison.table().index) == names
    assert set(run(cells.data.reshape(12, -1), np.arange(12) % 2).table().index) == {
        *["none", "dummy"]
    }
