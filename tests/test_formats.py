"""Files that are no good images: none starts a program, each is named before training."""

import struct

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image, features
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skall import Comparison, ImagePreprocessor, compare
from skall.datasets import load_all_idb1, load_cells
from skall.features.shortcuts import ShortcutFeatures
from skall.images import as_images
from skall.images.formats import read_picture

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n"
N = 12


@pytest.fixture
def started(tmp_path, monkeypatch):
    """Tells whether Ghostscript was started: it is a script here, which leaves a file."""
    mark, folder = tmp_path / "started", tmp_path / "bin"
    folder.mkdir()
    program = folder / "gs"
    program.write_text(f"#!/bin/sh\ntouch '{mark}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    return mark.exists


@pytest.fixture
def files(tmp_path):
    """Images of two classes in their folders; of the patient who is half of them, and two more."""
    rng = np.random.default_rng(0)
    paths = []
    for row in range(N):
        label = "ALL" if row % 2 else "healthy"
        path = tmp_path / "cells" / label / f"{'abc'[row % 4 % 3]}_{row:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        paths.append(path)
    return paths


class Fitted(ClassifierMixin, BaseEstimator):
    """A classifier that remembers whether any of its kind was fitted."""

    count = 0

    def fit(self, X, y):
        Fitted.count += 1
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.repeat(self.classes_[:1], len(X))


def compare_paths(X, **options):
    """A comparison of cheap estimators of which the first is not skall's."""
    Fitted.count = 0
    y = ["ALL" if row % 2 else "healthy" for row in range(len(X))]
    model = make_pipeline(ShortcutFeatures("border only", memory=None), LogisticRegression())
    options = {"cv": 3, "random_state": 0, "verbose": 0, "pos_label": "ALL"} | options
    return compare({"own": Fitted(), "border": model}, X, y, **options)


WAYS = {
    "measured": lambda path: as_images([path]).measure(0),
    "opened": lambda path: as_images([path]).open(0),
    "preprocessed": lambda path: ImagePreprocessor(8, memory=None).fit_transform([path]),
    "shortcuts": lambda path: ShortcutFeatures(memory=None).fit_transform([path]),
    "compared": lambda path: compare_paths([path] * N),
}
PICTURES = {
    "preprocessed": lambda X: ImagePreprocessor(8, memory=None).fit_transform(X),
    "compared": compare_paths,
}


@pytest.mark.parametrize("way", WAYS)
def test_postscript_is_not_run(way, started, tmp_path):
    path = tmp_path / "evil.png"
    path.write_bytes(POSTSCRIPT)
    with pytest.raises(ValueError, match=r"(?s)evil\.png.*PostScript.*PNG, JPEG, .* TIFF"):
        WAYS[way](path)
    assert not started()


@pytest.mark.parametrize("way", PICTURES)
def test_postscript_is_not_run_where_it_was_opened_by_the_user(way, started, tmp_path):
    path = tmp_path / "evil.png"
    path.write_bytes(POSTSCRIPT)
    with Image.open(path) as picture, pytest.raises(ValueError, match=r"row 0 .*EPS.*copy\(\)"):
        PICTURES[way]([picture] * N)
    assert not started()


def test_postscript_is_not_run_by_loaders(started, tmp_path):
    for name in ("im/Im001_1.png", "im/Im002_0.png", "xyc/Im001_1.xyc"):
        path = tmp_path / "ALL_IDB1" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"3 3\n" if path.suffix == ".xyc" else POSTSCRIPT)
    with pytest.raises(ValueError, match=r"Im001_1\.png.*PostScript"):
        load_all_idb1(tmp_path / "ALL_IDB1", crops=True, data_home=tmp_path)
    # By the size of an image it would be told from ALL-IDB2.
    (tmp_path / "unknown").mkdir()
    for name in ("Im001_1.png", "Im002_0.png"):
        (tmp_path / "unknown" / name).write_bytes(POSTSCRIPT)
    load_cells(tmp_path / "unknown")
    assert not started()


@pytest.mark.thorough
def test_postscript_among_stored_images_is_not_run_by_the_page(started, files, tmp_path):
    compare_paths(files, out=tmp_path / "out")
    for path in files:
        path.write_bytes(POSTSCRIPT)
    page = Comparison.read(tmp_path / "out").report(tmp_path / "page" / "report.html")
    assert "The most confident errors" in page.read_text(encoding="utf-8")
    assert not started()


def write_avif(path):
    Image.effect_noise((64, 64), 50).convert("RGB").save(path, "AVIF")
    head, mark, pixels = path.read_bytes().partition(b"mdat")
    path.write_bytes(head + mark + b"\xff" * 100 + pixels[100:])


def write_cut_jpeg(path):
    Image.effect_noise((64, 64), 50).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:-500])


DAMAGED = {
    "AVIF": write_avif,
    "JPEG": write_cut_jpeg,
    "text": lambda path: path.write_text("no image"),
    "PDF": lambda path: path.write_bytes(b"%PDF-1.7\n"),
    "nothing": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_broken_image_is_named_before_anything_is_trained(kind, files, tmp_path):
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    DAMAGED[kind](files[7])
    with pytest.raises(ValueError, match=rf"(?s)file '.*{files[7].name}' cannot be read"):
        compare_paths(files, out=tmp_path / "out")
    assert Fitted.count == 0


def test_several_broken_images_are_counted(files):
    for row in (2, 3, 5, 7):
        files[row].write_text("no image")
    with pytest.raises(ValueError, match=rf"(?s)4 of 12 images .*{files[2].name}.*{files[5].name}"):
        compare_paths(files)


def test_images_that_only_the_users_estimators_read_are_theirs(files):
    files[3].write_text("no image")
    y = ["ALL", "healthy"] * (N // 2)
    options = {"cv": 3, "random_state": 0, "verbose": 0, "pos_label": "ALL", "baselines": False}
    comparison = compare({"own": Fitted()}, files, y, **options)
    assert comparison.samples_["height"].isna().sum() == 1


class ArrayReader(TransformerMixin, BaseEstimator):
    """A reader of the user's own, of files that are no images."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.array([np.load(path).ravel()[:5] for path in X])


def test_files_that_are_no_images_stay_those_of_the_users_reader(files):
    paths = [path.with_suffix(".npy") for path in files]
    for row, path in enumerate(paths):
        np.save(path, np.random.default_rng(row).random(9))
    y = ["ALL", "healthy"] * (N // 2)
    model = make_pipeline(ArrayReader(), LogisticRegression())
    options = {"cv": 3, "random_state": 0, "verbose": 0, "pos_label": "ALL", "baselines": False}
    comparison = compare({"own": model}, paths, y, **options)
    assert len(comparison.failures_) == 0
    assert comparison.samples_["height"].isna().all()


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["removed", "damaged"])
def test_the_page_is_written_without_images_that_are_gone(kind, files, tmp_path):
    compare_paths(files, out=tmp_path / "out")
    comparison = Comparison.read(tmp_path / "out")
    wrong = comparison.plot_errors().errors["sample"].tolist()
    shown = list(dict.fromkeys(wrong))
    assert len(shown) > 1
    for row in shown[1:]:
        files[row].unlink() if kind == "removed" else files[row].write_text("no image")
    assert [picture is None for picture in comparison.plot_errors().pictures] == [
        row != wrong[0] for row in wrong
    ]
    page = comparison.report(tmp_path / "page" / "report.html")
    assert page.stat().st_size > 0


ERRORS = [
    *(OSError("x"), SyntaxError("x"), ValueError("x"), struct.error("x"), TypeError("x")),
    *(EOFError(), KeyError(3), AttributeError("x"), RuntimeError("x"), MemoryError(), IndexError()),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_whatever_a_decoder_raises_names_the_file(error, files):
    def read(picture):
        raise error

    with pytest.raises(ValueError, match=rf"{files[0].name}' cannot be read as an image: .+"):
        read_picture(files[0], read)


def test_an_image_that_is_too_large_is_named(files, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ValueError, match=rf"{files[0].name}.*exceeds limit of 200 pixels"):
        as_images(files[:1]).open(0)


def test_an_orientation_that_is_a_text_is_none(tmp_path):
    entry = struct.pack("<HHHI4s", 1, 0x0112, 2, 4, b"Top\0")
    exif = b"Exif\0\0II*\0\x08\0\0\0" + entry + bytes(4)
    pixels = np.arange(8 * 16, dtype=np.uint8).reshape(8, 16)
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif, quality=100)
    images = as_images([tmp_path / "a.jpg"])
    with Image.open(tmp_path / "a.jpg") as picture:
        assert picture.getexif()[0x0112] == "Top"
        assert images.measure(0) == (8, 16)
        np.testing.assert_array_equal(np.asarray(images.open(0))[:, :, 0], np.asarray(picture))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_images_are_measured_as_they_are_opened(suffix, orientation, tmp_path):
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (20, 10)).save(path, exif=exif.tobytes())
    images = as_images([path])
    width, height = images.open(0).size
    assert images.measure(0) == (height, width) == ((20, 10) if orientation > 4 else (10, 20))
