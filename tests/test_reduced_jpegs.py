"""Large JPEGs decoded at reduced scale: the same picture to within what resizing itself changes."""

import numpy as np
import pytest
from PIL import Image, ImageOps
from test_image_files import UPRIGHT

from skall import ImagePreprocessor
from skall.cache.memory import MemoryStore
from skall.datasets import make_blood_cells
from skall.images import as_images
from skall.images.pixels import convert_to_rgb

CELLS = make_blood_cells(2, n_patients=2, image_size=768, random_state=0).data
FIELD = np.concatenate(CELLS, axis=1)
SHRINK = {"stretch": Image.Image.resize, "pad": ImageOps.pad, "crop": ImageOps.fit}


def save(path, array=FIELD, mode="RGB", orientation=1, **options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 90, "exif": exif.tobytes()} | options
    Image.fromarray(array).convert(mode).save(path, "JPEG", **options)
    return str(path)


def decode(path, size, whole=False, **params):
    """The image made, and the width and height that the file was decoded at."""
    sizes = []

    def convert(picture, whites):
        sizes.append(picture.size)
        return convert_to_rgb(picture, whites)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skall.images.rows.convert_to_rgb", convert)
        if whole:
            patch.setattr("skall.images.rows.draft", lambda picture, size: 1)
        (made,) = ImagePreprocessor(size, memory=None, **params).fit_transform([path])
    return made.astype(int), *sizes


def measure(made, expected):
    """Largest and mean difference in grey levels."""
    difference = abs(np.asarray(made, dtype=int) - expected)
    return difference.max(), difference.mean()


def check_bound(made, expected):
    """The one that :func:`skall.images.pixels.draft` states."""
    largest, mean = measure(made, expected)
    assert largest <= 5 and mean < 0.5


@pytest.mark.parametrize(("size", "fraction"), [(193, 1), (192, 2), (97, 2), (96, 4), (20, 8)])
def test_two_pixels_are_left_for_each_that_is_wanted(size, fraction, tmp_path):
    made, decoded = decode(save(tmp_path / "a.jpg"), size)
    assert decoded == (1536 // fraction, 768 // fraction)
    expected, decoded = decode(save(tmp_path / "a.jpg"), size, whole=True)
    assert decoded == (1536, 768)
    check_bound(made, expected)


@pytest.mark.parametrize("quality", [75, 95])
@pytest.mark.parametrize("resize", SHRINK)
def test_the_result_differs_less_than_between_filters(resize, quality, tmp_path):
    path = save(tmp_path / "a.jpg", quality=quality)
    expected, _ = decode(path, 96, whole=True, resize=resize)
    made, decoded = decode(path, 96, resize=resize)
    assert decoded == (384, 192)
    check_bound(made, expected)
    with Image.open(path) as picture:
        other = SHRINK[resize](picture, (96, 96), Image.Resampling.LANCZOS)
    for difference, allowed in zip(measure(made, expected), measure(other, expected), strict=True):
        assert difference < allowed


@pytest.mark.parametrize("name", ["cnmc2019", "pbc_leukocytes"])
def test_real_cells(name, shared, tmp_path):
    files = sorted(path for path in (shared / "data" / name).rglob("*.[pj][np]g"))
    rng = np.random.default_rng(0)
    for file in files[:: len(files) // 6]:
        # As large as a camera's, with the noise of one.
        picture = np.asarray(as_images([file]).open(0).resize((1440, 1440), Image.BICUBIC))
        noisy = picture + rng.normal(0, 5, picture.shape)
        path = save(tmp_path / "a.jpg", noisy.clip(0, 255).astype(np.uint8))
        expected, _ = decode(path, 180, whole=True)
        made, decoded = decode(path, 180)
        assert decoded == (360, 360)
        check_bound(made, expected)


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_turned_pictures(orientation, tmp_path):
    upright, _ = decode(save(tmp_path / "a.jpg"), 96)
    made, decoded = decode(save(tmp_path / "b.jpg", orientation=orientation), 96)
    assert decoded == (384, 192)
    # The picture itself was not turned, so that what is undone shows.
    check_bound(made, UPRIGHT[orientation](upright))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_modes(mode, tmp_path):
    path = save(tmp_path / "a.jpg", mode=mode)
    expected, _ = decode(path, 96, whole=True)
    made, decoded = decode(path, 96)
    assert decoded == (384, 192)
    check_bound(made, expected)
    assert made.std() > 10


def test_a_size_that_no_fraction_divides_is_decoded_whole(tmp_path):
    assert decode(save(tmp_path / "a.jpg", FIELD[:767]), 20)[1] == (1536, 767)
    # 764 is 4 times 191, and not 8 times anything.
    assert decode(save(tmp_path / "a.jpg", FIELD[:764]), 20)[1] == (384, 191)


@pytest.mark.parametrize("params", [{"crop": "cell"}, {"contrast": "equalize"}])
def test_what_needs_every_pixel_has_it(params, tmp_path):
    assert decode(save(tmp_path / "a.jpg"), 20, **params)[1] == (1536, 768)


def test_whole_pictures_stay_whole(tmp_path):
    images = as_images([save(tmp_path / "a.jpg")])
    assert images.measure(0) == (768, 1536)
    assert images.open(0).size == (1536, 768)
    with Image.open(tmp_path / "a.jpg") as picture:
        given = as_images([picture])
        given.read(0, 20, MemoryStore(0))
        # A picture of the user's is not changed.
        assert given.open(0).size == (1536, 768)


def test_networks_read_them_so(tmp_path):
    path = save(tmp_path / "a.jpg")
    made, _ = decode(path, 96)
    np.testing.assert_array_equal(as_images([path]).read(0, 96, MemoryStore(0)), made)
