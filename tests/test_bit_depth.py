"""More than 8 bits a sample: what is white is named by the file, or asked for, or warned of."""

import struct
import warnings
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skall import (
    CNNFeatures,
    Comparison,
    HandcraftedFeatures,
    ImagePreprocessor,
    StainNormalizer,
    compare,
    get_estimator,
)
from skall.cli.commands import main
from skall.datasets import make_blood_cells
from skall.features.shortcuts import ShortcutFeatures
from skall.images import as_images
from skall.images.depth import DepthWarning

pytestmark = pytest.mark.usefixtures("without_page")

CELL = make_blood_cells(2, n_patients=2, image_size=24, random_state=0).data[0]
GREY = CELL[..., 1]
# What a camera of 12 bits gives, and one of 16.
DEEP, DEEP_GREY = (np.rint(a * (4095 / 255)).astype(np.uint16) for a in (CELL, GREY))
FULL, FULL_GREY = CELL * np.uint16(257), GREY * np.uint16(257)
NAMED = (281, "H", 3, (4095,) * 3, True)


def spread(grey):
    return np.repeat(grey[:, :, None], 3, axis=2)


def write_tiff(path, array, *tags, **options):
    options = {"metadata": None} | options
    if array.ndim == 3 and "photometric" not in options:
        options["photometric"] = "rgb"
    tifffile.imwrite(path, array, extratags=tags, **options)
    return path


def write_png(path, array, kind, significant=None):
    """16 bits, of PNG's kinds of colour 0 (grey), 2 (RGB), 4 (grey and opacity) and 6 (RGBA)."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", *array.shape[1::-1], 16, kind, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    chunks = [chunk(b"IHDR", head)] + ([chunk(b"sBIT", bytes(significant))] if significant else [])
    chunks += [chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return path


def write_packed_tiff(path):
    """12 bits a sample and no more, two samples in three bytes."""
    values = DEEP_GREY.reshape(-1, 2).astype(int)
    packed = [values[:, 0] >> 4, (values[:, 0] & 15) << 4 | values[:, 1] >> 8, values[:, 1] & 255]
    pixels = np.stack(packed, axis=1).astype(np.uint8).tobytes()
    side = len(DEEP_GREY)
    tags = {
        256: side,
        257: side,
        258: 12,
        259: 1,
        262: 1,
        273: 8,
        277: 1,
        278: side,
        279: len(pixels),
    }
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels
    path.write_bytes(head + struct.pack("<H", len(tags)) + entries + bytes(4))
    return path


def read(path, depth=None):
    """Pixels of a file, without a warning."""
    return np.asarray(as_images([path], depth=depth).open(0))


def opaque(array, value):
    return np.dstack([array, np.full(GREY.shape, value, np.uint16)])


SAYS = {
    "MaxSampleValue": (lambda p: write_tiff(p, DEEP, NAMED), CELL),
    "MaxSampleValue of the image": (lambda p: write_tiff(p, DEEP, (281, "H", 1, 3902, True)), CELL),
    "MaxSampleValue, grey": (lambda p: write_tiff(p, DEEP_GREY, (281, "H", 1, 4095, True)), GREY),
    "SMaxSampleValue of floats": (
        lambda p: write_tiff(p, GREY.astype(np.float32), (341, "f", 1, 255.0, True)),
        GREY,
    ),
    "ImageJ": (
        lambda p: write_tiff(p, DEEP_GREY, imagej=True, metadata={"min": 0.0, "max": 4095.0}),
        GREY,
    ),
    "OME": (
        lambda p: write_tiff(p, DEEP, ome=True, metadata={"axes": "YXS", "SignificantBits": 12}),
        CELL,
    ),
    "12 bits in a TIFF": (write_packed_tiff, GREY),
    "sBIT": (lambda p: write_png(p, DEEP, 2, (12, 12, 12)), CELL),
    "sBIT, grey": (lambda p: write_png(p, DEEP_GREY, 0, (12,)), GREY),
    "sBIT, opacity of 12 bits": (lambda p: write_png(p, opaque(DEEP, 4095), 6, (12,) * 4), CELL),
    "sBIT, opacity of 16 bits": (lambda p: write_png(p, opaque(DEEP, 65535), 6, (12,) * 4), CELL),
    "16 bits": (lambda p: write_tiff(p, FULL), CELL),
    "16 bits, PNG": (lambda p: write_png(p, FULL, 2), CELL),
    "16 bits, opacity": (lambda p: write_png(p, opaque(FULL, 65535), 6), CELL),
    "16 bits, grey and opacity": (lambda p: write_png(p, opaque(FULL_GREY, 65535), 4), GREY),
    "16 bits, compressed planes": (
        lambda p: write_tiff(
            p, FULL.transpose(2, 0, 1), planarconfig="separate", compression="zlib"
        ),
        CELL,
    ),
    "floats": (lambda p: write_tiff(p, (GREY / 255).astype(np.float32)), GREY),
}


@pytest.mark.parametrize("kind", SAYS)
def test_the_range_that_a_file_names(kind, tmp_path):
    write, expected = SAYS[kind]
    path = tmp_path / ("a.ome.tif" if kind == "OME" else "a")
    write(path)
    np.testing.assert_array_equal(read(path), expected if expected.ndim == 3 else spread(expected))


ASKED = {
    "grey": (lambda p: write_tiff(p, DEEP_GREY), 12),
    "grey PNG": (lambda p: write_png(p, DEEP_GREY, 0), 12),
    "grey, signed": (lambda p: write_tiff(p, DEEP_GREY.astype(np.int16)), 12),
    "grey, 32 bits": (lambda p: write_tiff(p, DEEP_GREY.astype(np.uint32)), 12),
    "floats of 0 to 255": (lambda p: write_tiff(p, GREY.astype(np.float32)), 8),
    "PNG": (lambda p: write_png(p, DEEP, 2), 12),
} | {
    f"RGB {order} {compression} {planes}": (
        lambda p, order=order, compression=compression, planes=planes: write_tiff(
            p,
            DEEP if planes == "contig" else np.ascontiguousarray(DEEP.transpose(2, 0, 1)),
            byteorder=order,
            compression=compression,
            planarconfig=planes,
        ),
        12,
    )
    for order in "<>"
    for compression, planes in ((None, "contig"), (None, "separate"), ("zlib", "contig"))
}


@pytest.mark.parametrize("kind", ASKED)
def test_the_range_that_is_asked_for(kind, tmp_path):
    """It makes dark images bright; without it they are warned of, or an error."""
    write, depth = ASKED[kind]
    path = write(tmp_path / "a.tif")
    expected = CELL if kind.startswith(("RGB", "PNG")) else spread(GREY)
    np.testing.assert_array_equal(read(path, depth), expected)
    if depth == 8:
        with pytest.raises(ValueError, match=r"a\.tif' .*beyond 1, .*depth=8"):
            read(path)
        return
    with pytest.warns(DepthWarning, match=r"12 bits only, up to 4095 of 65535.*depth=12"):
        dark = read(path)
    assert dark.max() <= 16
    # Said to be that dark, they are.
    np.testing.assert_array_equal(read(path, 16), dark)


@pytest.mark.parametrize(
    ("write", "depth", "message"),
    [
        (lambda p: write_tiff(p, DEEP_GREY), 10, r"beyond 1023.*depth=12"),
        (lambda p: write_tiff(p, (GREY / 255).astype(np.float32)), 8, r"leave depth out"),
        (lambda p: write_tiff(p, DEEP_GREY, (281, "H", 1, 1000, True)), None, r"beyond 1023"),
        (lambda p: write_tiff(p, GREY - np.float32(20)), 8, r"\[-6, .*0 is black"),
        (lambda p: write_tiff(p, np.full((4, 4), np.nan, np.float32)), None, "NaN"),
        (lambda p: write_tiff(p, (CELL / 255).astype(np.float32)), None, "TIFF of a kind"),
        (
            lambda p: write_tiff(
                p, DEEP.transpose(2, 0, 1), planarconfig="separate", compression="zlib"
            ),
            12,
            "compressed planes",
        ),
        (
            lambda p: write_tiff(p, np.stack([GREY] * 4), photometric="minisblack"),
            None,
            "stack of 4 pages",
        ),
    ],
)
def test_what_is_not_known_is_an_error_that_names_the_file(write, depth, message, tmp_path):
    path = write(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=rf"(?s)a\.tif' cannot be read as an image: .*{message}"):
        read(path, depth)


def test_a_small_copy_on_a_second_page_is_no_stack(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for page in (CELL, CELL[::2, ::2]):
            file.write(page, photometric="rgb", metadata=None)
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), CELL)


def test_deep_images_are_turned_upright(tmp_path):
    path = write_tiff(tmp_path / "a.tif", DEEP, NAMED, (274, "H", 1, 6, True))
    np.testing.assert_array_equal(read(path), np.rot90(CELL, -1))


def test_one_warning_for_a_set(tmp_path):
    paths = [write_tiff(tmp_path / f"{row}.tif", DEEP_GREY) for row in range(4)]
    images = as_images(paths)
    with pytest.warns(DepthWarning) as caught:
        for row in range(4):
            images.open(row)
    assert len(caught) == 1


def test_files_that_name_different_values_of_white(tmp_path):
    """Such as ImageJ's, which may be those of each image."""
    paths = []
    for row, largest in enumerate((4000, 2000)):
        values = np.rint(GREY * (largest / 255)).astype(np.uint16)
        paths.append(write_tiff(tmp_path / f"{row}.tif", values, (281, "H", 1, largest, True)))
    images = as_images(paths)
    images.open(0)
    with pytest.warns(DepthWarning, match="2047 and 4095.*depth=12"):
        images.open(1)


def test_pictures_of_the_user(tmp_path):
    np.testing.assert_array_equal(
        ImagePreprocessor(24, depth=12, memory=None).transform([Image.fromarray(DEEP_GREY)])[0],
        spread(GREY),
    )
    with Image.open(write_tiff(tmp_path / "a.tif", DEEP)) as picture:
        images = as_images([picture], depth=12)
        for _ in range(2):
            np.testing.assert_array_equal(images.open(0), CELL)
    with Image.open(write_png(tmp_path / "a.png", DEEP_GREY, 0, (12,))) as picture:
        np.testing.assert_array_equal(read_all([picture])[0], spread(GREY))


def read_all(pictures):
    return ImagePreprocessor(24, memory=None).transform(pictures)


ESTIMATORS = {
    "preprocessor": lambda **p: ImagePreprocessor(24, **p),
    "normalizer": lambda **p: StainNormalizer(24, **p),
    "handcrafted": lambda **p: HandcraftedFeatures(24, **p),
    "shortcuts": lambda **p: ShortcutFeatures("mean colour", **p),
    "features": lambda **p: CNNFeatures(
        "timm/test_resnet", weights=None, image_size=24, random_state=0, **p
    ),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_takes_a_depth_and_its_cache_knows_it(name, tmp_path):
    path = write_tiff(tmp_path / "a.tif", DEEP)
    make = ESTIMATORS[name]
    cells = [Image.fromarray(CELL)]
    with pytest.warns(DepthWarning):
        make(memory=tmp_path / "cache").fit_transform([path])
    found = make(depth=12, memory=tmp_path / "cache").fit_transform([path])
    np.testing.assert_array_equal(found, make(memory=None).fit_transform(cells))


def test_the_classifier_takes_a_depth(tmp_path):
    paths = [write_tiff(tmp_path / f"{row}.tif", np.roll(DEEP, row, 1)) for row in range(6)]
    net = get_estimator(
        "timm/test_resnet", weights=None, image_size=24, max_epochs=1, depth=12, random_state=0
    )
    y = [0, 1] * 3
    expected = [Image.fromarray(np.roll(CELL, row, 1)) for row in range(6)]
    found = net.fit(paths, y).predict_proba(paths)
    np.testing.assert_array_equal(found, net.predict_proba(expected))
    with pytest.raises(ValueError, match=r"depth=4: CNNClassifier takes .* 8 to 32"):
        net.set_params(depth=4).fit(paths, y)


@pytest.fixture
def cells(tmp_path):
    """Paths of a lopsided set of a 12-bit camera: one class is of three patients."""
    made = make_blood_cells(24, n_patients=6, image_size=24, random_state=0).data
    paths = []
    for row, cell in enumerate(made):
        label = "ALL" if row < 6 else "healthy"
        patient = "abc"[row % 3] if row < 6 else "defgdd"[row % 6]
        path = tmp_path / "cells" / label / f"{patient}_{row:02}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tiff(path, np.rint(cell * (4095 / 255)).astype(np.uint16))
        paths.append(path)
    return paths


def compare_cells(paths, depth=None, **options):
    y = [path.parent.name for path in paths]
    model = make_pipeline(ImagePreprocessor(8), ShortcutFeatures(), LogisticRegression())
    options = {"cv": 3, "random_state": 0, "verbose": 0, "pos_label": "ALL"} | options
    return compare({"mean": model}, paths, y, depth=depth, **options)


def test_a_comparison_warns_once_and_flags_it(cells, tmp_path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        comparison = compare_cells(cells, out=tmp_path / "out")
    (text,) = [str(w.message) for w in caught if "16 bits" in str(w.message)]
    assert text in comparison.flags()
    # Also where nothing is computed again.
    with pytest.warns(UserWarning, match="16 bits have values of 12 bits only"):
        assert text in compare_cells(cells, out=tmp_path / "out").flags()


def test_a_comparison_has_one_depth(cells, tmp_path):
    dark = compare_cells(cells, 16).scores_["value"]
    comparison = compare_cells(cells, 12, out=tmp_path / "out")
    light = ImagePreprocessor(24, depth=12).transform(cells)
    y = [path.parent.name for path in cells]
    model = make_pipeline(ImagePreprocessor(8), ShortcutFeatures(), LogisticRegression())
    options = {"cv": 3, "random_state": 0, "verbose": 0, "pos_label": "ALL"}
    expected = compare({"mean": model}, light, y, **options).scores_["value"]
    np.testing.assert_array_equal(comparison.scores_["value"], expected)
    assert not dark.equals(expected)
    for images in (comparison.images_, Comparison.read(tmp_path / "out").images_):
        np.testing.assert_array_equal(images.open(3), light[3])


def test_the_depth_of_the_estimators_is_that_of_the_comparison(cells):
    model = make_pipeline(ImagePreprocessor(8, depth=12), ShortcutFeatures(), LogisticRegression())
    y = [path.parent.name for path in cells]
    options = {"cv": 3, "random_state": 0, "verbose": 0, "pos_label": "ALL"}
    comparison = compare({"mean": model}, cells, y, **options)
    assert np.asarray(comparison.images_.open(0)).max() > 200
    assert comparison.estimators_["border only"]["params"] is not None


def test_costs_are_measured_in_files_that_need_a_depth(cells):
    for path in cells:
        write_tiff(path, tifffile.imread(path)[..., 1] / np.float32(16))
    comparison = compare_cells(cells, 8)
    assert len(comparison.failures_) == 0
    assert (comparison.budgets()["predict_ms"] > 0).all()


def test_the_command_line_takes_a_depth(cells, tmp_path, capsys):
    words = ["compare", str(cells[0].parents[1]), "--groups", "(.)_", "--depth", "12", "--cv", "3"]
    words += ["--backbones", "timm/test_resnet", "--weights", "none", "--image-size", "24"]
    words += ["--max-epochs", "1", "--quiet", "--out", str(tmp_path / "out")]
    assert main(words) in (None, 0)
    assert "--depth 12" in capsys.readouterr().out
    stored = Comparison.read(tmp_path / "out")
    assert np.asarray(stored.images_.open(0)).max() > 200


@pytest.mark.parametrize("dtype", [float, np.float32, int, np.uint16])
def test_rows_of_numbers_that_were_not_scaled(dtype):
    """They would be white: an error, as for images in other arrays; uint8 is scaled."""
    rows = np.stack([GREY, GREY]).reshape(2, -1)
    for make in ESTIMATORS.values():
        with pytest.raises(ValueError, match=r"row 0 of X contains 241.*X / 255.*uint8"):
            make(memory=None).fit_transform(rows.astype(dtype))
    with pytest.raises(ValueError, match=r"row 0 of X contains 241.*X / 255"):
        get_estimator("timm/test_resnet", weights=None).fit(rows.astype(dtype), [0, 1])


@pytest.mark.parametrize("name", ESTIMATORS)
def test_rows_of_numbers_that_are_scaled(name):
    rows = np.stack([CELL, CELL[::-1]]).reshape(2, -1)
    make = ESTIMATORS[name]
    expected = make(memory=None).fit_transform(rows)
    np.testing.assert_allclose(make(memory=None).fit_transform(rows / 255), expected, rtol=1e-5)
