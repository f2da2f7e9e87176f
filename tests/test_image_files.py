"""Odd but good images: each becomes the RGB pixels that a viewer shows."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from skall import ImagePreprocessor
from skall.images.inputs import as_images

SIZE = 8
RGB = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
GREY = RGB[:, :, 0]
# A gradient of all 16 bits: clipping at 255, or taking the low byte, shows.
DEEP = np.linspace(0, 65535, SIZE * SIZE).round().astype(np.uint16).reshape(SIZE, SIZE)
OPACITY = np.repeat(np.array([0, 255], np.uint8), SIZE * SIZE // 2).reshape(SIZE, SIZE)


def read(X, size=SIZE):
    return ImagePreprocessor(size, memory=None).fit_transform(X)


def save(array, path, **options):
    Image.fromarray(array).save(path, **options)
    return str(path)


def spread(grey):
    return np.repeat(np.asarray(grey)[:, :, None], 3, axis=2)


def over_white(array):
    """The upper half of the image is transparent."""
    return np.where(OPACITY[:, :, None] == 0, 255, array)


def make_palette(path, transparent=None):
    picture = Image.fromarray(np.arange(SIZE * SIZE, dtype=np.uint8).reshape(SIZE, SIZE), "P")
    picture.putpalette(np.arange(256 * 3, dtype=int) % 251)
    options = {} if transparent is None else {"transparency": transparent}
    picture.save(path, **options)
    return picture.convert("RGB")


EXACT = {
    "RGB": lambda p: (save(RGB, p / "a.png"), RGB),
    "grey": lambda p: (save(GREY, p / "a.png"), spread(GREY)),
    "RGBA": lambda p: (save(np.dstack([RGB, OPACITY]), p / "a.png"), over_white(RGB)),
    "grey and alpha": lambda p: (
        save(np.dstack([GREY, OPACITY]), p / "a.png"),
        over_white(spread(GREY)),
    ),
    "1 bit": lambda p: (save(GREY > 127, p / "a.png"), spread(np.where(GREY > 127, 255, 0))),
    "1 bit TIFF": lambda p: (save(GREY > 127, p / "a.tiff"), spread(np.where(GREY > 127, 255, 0))),
    "16-bit PNG": lambda p: (save(DEEP, p / "a.png"), spread(np.rint(DEEP / 257))),
    "16-bit TIFF": lambda p: (save(DEEP, p / "a.tif"), spread(np.rint(DEEP / 257))),
    "float TIFF": lambda p: (
        save((GREY / 255).astype(np.float32), p / "a.tif"),
        spread(GREY),
    ),
    "BMP": lambda p: (save(RGB, p / "a.bmp"), RGB),
    "upper-case suffix": lambda p: (save(RGB, p / "A.PNG"), RGB),
    "suffix of another format": lambda p: (save(RGB, p / "a.jpg", format="PNG"), RGB),
    "no suffix": lambda p: (save(RGB, p / "a", format="PNG"), RGB),
    "unicode and space": lambda p: (save(RGB, p / "žluťoučký кůň 血.png"), RGB),
    "transparent RGB": lambda p: (
        save(RGB, p / "a.png", transparency=tuple(map(int, RGB[0, 0]))),
        np.where((RGB[0, 0] == RGB).all(axis=2, keepdims=True), 255, RGB),
    ),
}


@pytest.mark.parametrize("kind", EXACT)
def test_odd_files(kind, tmp_path):
    path, expected = EXACT[kind](tmp_path)
    (found,) = read([path])
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)
    with Image.open(path) as picture:
        np.testing.assert_array_equal(read([picture])[0], expected)


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_palette(tmp_path, suffix):
    colours = make_palette(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(read([tmp_path / f"a.{suffix}"])[0], np.asarray(colours))


def test_transparent_palette(tmp_path):
    colours = np.array(make_palette(tmp_path / "a.png", transparent=5))
    colours[0, 5] = 255
    np.testing.assert_array_equal(read([tmp_path / "a.png"])[0], colours)


def test_half_transparent_pixels_mix_with_white():
    pixels = np.zeros((SIZE, SIZE, 4), np.uint8)
    pixels[..., 3] = 51
    assert (read([Image.fromarray(pixels)])[0] == 204).all()


def test_cmyk_jpeg(tmp_path):
    """Cyan ink is cyan light: the inversion that Adobe's files need is done."""
    inks = np.zeros((SIZE, SIZE, 4), np.uint8)
    inks[..., 0] = 255
    Image.fromarray(inks, "CMYK").save(tmp_path / "a.jpg", quality=100)
    (found,) = read([tmp_path / "a.jpg"])
    assert abs(found.astype(int) - [0, 255, 255]).max() <= 3


# What a camera that is held so must be turned back by.
UPRIGHT = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation(orientation, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(RGB, tmp_path / "a.png", exif=exif.tobytes())
    np.testing.assert_array_equal(read([path])[0], UPRIGHT[orientation](RGB))


def test_exif_orientation_of_a_jpeg(tmp_path):
    """A dark left edge is the upper edge once orientation 6 is undone."""
    pixels = np.full((64, 64, 3), 255, np.uint8)
    pixels[:, :16] = 0
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(pixels, tmp_path / "a.jpg", exif=exif.tobytes(), quality=95)
    (found,) = read([path], 64)
    assert found[:12].mean() < 5 < 250 < found[20:].mean()


def test_pictures_and_arrays_of_several_sizes():
    pictures = [Image.new("RGB", (5 + k, 9), (k, 20, 30)) for k in range(3)]
    arrays = [np.asarray(picture) for picture in pictures]
    expected = np.broadcast_to([[[[k, 20, 30]]] for k in range(3)], (3, SIZE, SIZE, 3))
    np.testing.assert_array_equal(read(pictures), expected)
    np.testing.assert_array_equal(read(arrays), expected)


def test_every_kind_of_array_gives_the_same_pixels():
    stack = np.stack([RGB, RGB[::-1]])
    for X in (stack, stack / 255, (stack / 255).astype(np.float32), stack.reshape(2, -1)):
        np.testing.assert_array_equal(read(X), stack)
    grey = stack[..., 0]
    for X in (grey, grey / 255, grey[..., None], grey.reshape(2, -1), grey.reshape(2, -1) / 255):
        np.testing.assert_array_equal(read(X), np.repeat(grey[..., None], 3, axis=3))


def test_a_strip_and_a_given_shape():
    rows = np.linspace(0, 1, 2 * 10).reshape(2, 10)
    assert as_images(rows).shape == (1, 10, 1)
    assert as_images(rows, (2, 5)).shape == (2, 5, 1)
    with pytest.raises(ValueError, match=r"image_shape=\(3, 3\) does not fit rows of 10 numbers"):
        as_images(rows, (3, 3))


@pytest.mark.parametrize("resize", ["stretch", "pad", "crop"])
def test_resize(resize):
    """A white square in the middle of a wide black image."""
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, 10:30] = 255
    (found,) = ImagePreprocessor(20, resize=resize).fit_transform(pixels[None])
    lit = found[10, :, 0] > 127
    assert lit.sum() == {"stretch": 10, "pad": 10, "crop": 20}[resize]
    assert found[:, 10, 0].mean() == pytest.approx({"pad": 127.5}.get(resize, 255), abs=15)


@pytest.mark.parametrize(
    ("contrast", "change"),
    [("equalize", ImageOps.equalize), ("autocontrast", ImageOps.autocontrast)],
)
def test_contrast(contrast, change):
    dull = Image.fromarray(100 + np.tile(RGB, (8, 8, 1)) // 8)
    (found,) = ImagePreprocessor(8 * SIZE, contrast=contrast).fit_transform([dull])
    np.testing.assert_array_equal(found, np.asarray(change(dull)))
    assert np.ptp(found) > 200 > np.ptp(np.asarray(dull))


def test_relative_path(tmp_path, monkeypatch):
    save(RGB, tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(read([Path("a.png")])[0], RGB)
