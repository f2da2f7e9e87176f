"""What preprocessing does to cells: cropping, colour, contrast and stain."""

import sys

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_validate
from sklearn.pipeline import make_pipeline

from skall import CNNFeatures, ImagePreprocessor, StainNormalizer
from skall.cache.memory import MemoryStore
from skall.datasets import load_cells, make_blood_cells
from skall.images import as_images
from skall.preprocessing.colour import balance_grey_world, equalize_locally, from_lab, to_lab
from skall.preprocessing.foreground import (
    count_levels,
    crop_to_cell,
    fill_holes,
    find_cell,
    find_threshold,
    is_black,
    open_regions,
)
from skall.preprocessing.preprocessor import prepare_images

SIZE = 24
BRIGHT, BLACK = (240, 225, 215), (0, 0, 0)
STAINED, RED_CELL = (90, 50, 140), (215, 150, 150)
CELLS = make_blood_cells(24, n_patients=8, image_size=SIZE, patient_effect=1.5, random_state=0)


def draw(*discs, background=BRIGHT, shape=(120, 160)):
    """An image with discs ``(row, column, radius, colour)``."""
    pixels = np.empty((*shape, 3), np.uint8)
    pixels[:] = background
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    for row, column, radius, colour in discs:
        pixels[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2] = colour
    return pixels


def make_noise():
    return np.random.default_rng(0)


def crop(pixels):
    return np.asarray(crop_to_cell(Image.fromarray(pixels)))


def find_stained(pixels):
    """Height and width of what has the colour of the stain, and the place of its middle."""
    rows, columns = ndimage.find_objects((pixels == STAINED).all(axis=2).astype(int))[0]
    size = (rows.stop - rows.start, columns.stop - columns.start)
    return size, ((rows.start + rows.stop - 1) / 2, (columns.start + columns.stop - 1) / 2)


@pytest.mark.parametrize("background", [BRIGHT, BLACK], ids=["smear", "cut out"])
@pytest.mark.parametrize("scale", [1, 5])
def test_the_crop_is_a_square_about_the_cell(background, scale):
    """A quarter of the cell's length is left on each side, to the pixels that were searched."""
    pixels = draw(
        (66 * scale, 70 * scale, 20 * scale, STAINED),
        background=background,
        shape=(120 * scale, 160 * scale),
    )
    found = crop(pixels)
    assert found.shape[0] == found.shape[1]
    assert len(found) == pytest.approx(1.5 * 41 * scale, abs=4 * scale)
    size, middle = find_stained(found)
    assert size == find_stained(pixels)[0]
    np.testing.assert_allclose(middle, len(found) / 2, atol=3 * scale)


@pytest.mark.parametrize(
    "others",
    {
        "red cells": [(60, 20, 24, RED_CELL), (20, 120, 18, RED_CELL), (90, 116, 24, RED_CELL)],
        "a platelet nearer the centre": [(60, 80, 4, STAINED)],
        "another cell at the edge": [(100, 150, 20, STAINED)],
        "black padding": [(0, 300, 170, BLACK)],
    }.items(),
    ids=lambda item: item[0],
)
def test_other_things_are_left_out(others):
    cell = (52, 62, 20, STAINED)
    pixels = draw(*others[1], cell)
    found = find_cell(pixels)
    overlap = (found & (draw(cell) == STAINED).all(axis=2)).sum() / found.sum()
    assert overlap > 0.9 and found.sum() == pytest.approx(np.pi * 20**2, rel=0.1)


def test_the_crop_stays_inside_the_image():
    found = crop(draw((10, 150, 24, STAINED)))
    assert found.shape[0] == found.shape[1] < 120
    assert find_stained(found)[0] == (35, 34)
    narrow = crop(draw((100, 20, 24, STAINED), shape=(200, 40)))
    assert narrow.shape == (pytest.approx(1.5 * 49, abs=4), 40, 3)


NOTHING = {
    "white": draw(background=(255, 255, 255)),
    "black": draw(background=BLACK),
    "noise about a colour": (220 + make_noise().normal(0, 8, (120, 160, 3)))
    .clip(0, 255)
    .astype(np.uint8),
    "dust": draw((60, 80, 3, STAINED)),
    "light that falls off": np.linspace(200, 220, 160)[None, :, None]
    .repeat(120, axis=0)
    .repeat(3, axis=2)
    .astype(np.uint8),
    "one pixel": np.full((1, 1, 3), 90, np.uint8),
    "a line": np.full((1, 50, 3), 90, np.uint8),
}


@pytest.mark.parametrize("kind", NOTHING)
def test_without_a_cell_the_image_stays_whole(kind):
    np.testing.assert_array_equal(crop(NOTHING[kind]), NOTHING[kind])


def test_threshold_lies_between_two_kinds():
    noise = make_noise()
    low, high = noise.normal(0.2, 0.02, 500), noise.normal(0.7, 0.02, 100)
    assert low.max() < find_threshold(np.concatenate([low, high])) <= high.min()
    assert find_threshold(np.array([0.25, 0.75])) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 3), (40, 64)])
def test_quick_forms_are_those_of_scipy_and_numpy(shape):
    noise = make_noise()
    square = np.ones((3, 3))
    for share in (0.1, 0.5, 0.9):
        mask = noise.random(shape) < share
        assert np.array_equal(open_regions(mask), ndimage.binary_opening(mask, square))
        assert np.array_equal(fill_holes(mask), ndimage.binary_fill_holes(mask))
    values = np.r_[noise.normal(0.5, 0.4, shape).ravel(), 0, 1, np.arange(257) / 256]
    counts, edges = np.histogram(np.clip(values, 0, 1), 256, (0, 1))
    assert np.array_equal(count_levels(values), counts)
    assert np.array_equal(edges, np.arange(257) / 256)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0, np.nextafter(1, 2)])
def test_threshold_of_one_kind(value):
    """Smoothing makes 1 a little more than 1."""
    assert 0 <= find_threshold(np.full(5, value)) <= 1


@pytest.mark.parametrize(("folder", "median"), [("cnmc2019", 0.7), ("pbc_leukocytes", 0.53)])
def test_crops_of_real_cells(shared, folder, median):
    """Cells fill most of their crops, but for some with tails of debris; none is cut into."""
    paths = load_cells(shared / "data" / folder).data[::20]
    images = as_images(paths)
    shares = []
    for row in range(len(images)):
        whole = np.asarray(images.open(row))
        found = crop(whole)
        assert found.shape[0] == found.shape[1]
        shares.append(len(found) / len(whole))
        if folder == "cnmc2019":
            assert (~is_black(found)).sum() >= 0.98 * (~is_black(whole)).sum()
    assert np.median(shares) == pytest.approx(median, abs=0.05)


def test_lab_of_known_colours():
    """The values of CIE's formulae, as printed in tables of sRGB."""
    colours = np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 0, 255]], np.uint8)
    expected = [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20], [32.30, 79.19, -107.86]]
    np.testing.assert_allclose(to_lab(colours), expected, atol=0.02)


def test_lab_and_back():
    pixels = make_noise().integers(0, 256, (64, 64, 3)).astype(np.uint8)
    np.testing.assert_array_equal(from_lab(to_lab(pixels)), pixels)
    assert from_lab(np.array([[50.0, 300.0, -300.0], [200.0, 0.0, 0.0]])).tolist()[1] == [255] * 3


def test_grey_world():
    pixels = (make_noise().integers(40, 120, (32, 32, 3)) * [1.5, 1.0, 0.8]).astype(np.uint8)
    balanced = balance_grey_world(pixels)
    assert np.ptp(balanced.mean(axis=(0, 1))) < 0.5 < np.ptp(pixels.mean(axis=(0, 1)))
    assert balanced.mean() == pytest.approx(pixels.mean(), abs=0.5)


def test_grey_world_of_padded_images():
    """Padding neither changes the gains nor becomes anything but black."""
    pixels = (make_noise().integers(40, 120, (32, 32, 3)) * [1.5, 1.0, 0.8]).astype(np.uint8)
    padded = np.pad(pixels, ((40, 8), (8, 40), (0, 0)))
    expected = np.pad(balance_grey_world(pixels), ((40, 8), (8, 40), (0, 0)))
    np.testing.assert_array_equal(balance_grey_world(padded), expected)


@pytest.mark.parametrize("colour", [BLACK, (200, 0, 0), (255, 255, 255), (0, 1, 250)])
def test_grey_world_of_one_colour(colour):
    (found,) = ImagePreprocessor(8, color="grey_world", memory=None).transform(
        draw(background=colour)[None]
    )
    lit = found[0, 0][np.array(colour) > 0].astype(int)
    assert (found == found[0, 0]).all() and (lit.size == 0 or np.ptp(lit) <= 1)


def test_clahe_shows_what_is_dull_in_one_corner():
    pixels = draw(background=(200, 200, 200), shape=(128, 128))
    pixels[:64, :64] = (make_noise().integers(95, 105, (64, 64, 1)) * [1, 0.9, 1]).astype(np.uint8)
    found = np.asarray(equalize_locally(Image.fromarray(pixels)))
    before, after = to_lab(pixels), to_lab(found)
    assert after[:64, :64, 0].std() > 2 * before[:64, :64, 0].std()
    np.testing.assert_allclose(after[..., 1:], before[..., 1:], atol=2)


def test_clahe_leaves_black_and_flat_images():
    pixels = draw((60, 80, 30, STAINED), background=BLACK)
    pixels[50:70, 70:90, 0] = 120
    found = np.asarray(equalize_locally(Image.fromarray(pixels)))
    np.testing.assert_array_equal(found[is_black(pixels)], pixels[is_black(pixels)])
    assert (found != pixels).any()
    for background in (BLACK, BRIGHT):
        flat = draw(background=background)
        np.testing.assert_array_equal(equalize_locally(Image.fromarray(flat)), flat)


@pytest.mark.parametrize("size", [1, 2, 7, 8, 33])
def test_clahe_of_small_images(size):
    images = ImagePreprocessor(size, contrast="clahe", memory=None).transform(CELLS.data[:2])
    assert images.shape == (2, size, size, 3)


def test_clahe_without_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.exposure", None)
    with pytest.raises(
        ImportError, match=r"'clahe' needs the package scikit-image.*skall\[imaging\]"
    ):
        ImagePreprocessor(SIZE, contrast="clahe", memory=None).fit_transform(CELLS.data)


def test_order_of_the_steps():
    """Crop, resize, colour, contrast."""
    pixels = draw((66, 70, 20, STAINED), (20, 120, 18, RED_CELL))
    side = len(crop(pixels))
    steps = [
        # Of the size that it is cut to, so that this one does not resize.
        {"crop": "cell", "size": side},
        {"resize": "pad", "size": SIZE},
        {"color": "grey_world", "size": SIZE},
        {"contrast": "autocontrast", "size": SIZE},
    ]
    images = pixels[None]
    for step in steps:
        images = ImagePreprocessor(**step, memory=None).fit_transform(images)
    every = {key: value for step in steps for key, value in step.items()}
    np.testing.assert_array_equal(
        ImagePreprocessor(**every, memory=None).fit_transform(pixels[None]), images
    )


def test_images_of_other_settings_are_kept_apart():
    pixels = draw((66, 70, 20, STAINED), (20, 120, 18, RED_CELL))[None]
    store = MemoryStore(10**7)
    settings = [
        {"size": SIZE},
        {"size": SIZE + 1},
        {"size": SIZE, "resize": "pad"},
        {"size": SIZE, "crop": "cell"},
        {"size": SIZE, "color": "grey_world"},
        {"size": SIZE, "contrast": "autocontrast"},
    ]
    first = [prepare_images(as_images(pixels), store, **setting) for setting in settings]
    assert len(store) == len(settings)
    for setting, expected in zip(settings, first, strict=True):
        for kept in (store, MemoryStore(0)):
            again = prepare_images(as_images(pixels), kept, **setting)
            np.testing.assert_array_equal(again, expected)
    assert len({images.tobytes() for images in first}) == len(settings)


@pytest.mark.parametrize("parameter", ["color", "crop", "contrast"])
def test_unknown_choice(parameter):
    for value in ("rainbow", 1, ["cell"]):
        with pytest.raises(ValueError, match=rf"{parameter}=.*takes one of None, '"):
            ImagePreprocessor(**{parameter: value}).fit(CELLS.data)


def test_stain_becomes_that_of_the_training_images():
    normalizer = StainNormalizer(SIZE, memory=None).fit(CELLS.data)
    before = [to_lab(pixels).reshape(-1, 3) for pixels in CELLS.data]
    np.testing.assert_allclose(normalizer.mean_, np.median([v.mean(0) for v in before], axis=0))
    np.testing.assert_allclose(normalizer.std_, np.median([v.std(0) for v in before], axis=0))
    after = [to_lab(pixels).reshape(-1, 3) for pixels in normalizer.transform(CELLS.data)]
    spread = np.std([v.mean(0) for v in before], axis=0)
    # Not exactly, because colours that sRGB lacks are cut.
    assert (np.std([v.mean(0) for v in after], axis=0) < spread / 3).all()
    np.testing.assert_allclose(
        np.mean([v.mean(0) for v in after], axis=0), normalizer.mean_, atol=2
    )


def test_stain_of_cells_on_black():
    """Black neither counts nor changes, and a cell of the reference's stain stays."""
    cut_out = draw(
        (60, 60, 40, STAINED), (60, 60, 10, RED_CELL), background=BLACK, shape=(120, 120)
    )
    normalizer = StainNormalizer(120, memory=None).fit(cut_out[None])
    shown = ~is_black(cut_out)
    np.testing.assert_allclose(normalizer.mean_, to_lab(cut_out[shown]).mean(axis=0))
    redder = np.where(shown[..., None], cut_out + np.array([30, 0, 0], np.uint8), 0).astype(
        np.uint8
    )
    np.testing.assert_allclose(normalizer.transform(cut_out[None])[0], cut_out, atol=1)
    (found,) = normalizer.transform(redder[None])
    assert (found[~shown] == 0).all()
    distance = abs(to_lab(redder) - to_lab(cut_out))[shown].mean()
    assert abs(to_lab(found) - to_lab(cut_out))[shown].mean() < distance / 4
    assert (normalizer.transform(np.zeros((1, 120, 120, 3), np.uint8)) == 0).all()


@pytest.mark.parametrize("colour", [BLACK, STAINED])
def test_stain_of_one_colour(colour):
    """Nothing to scale: no noise is blown up."""
    flat = draw(background=colour)[None]
    normalizer = StainNormalizer(SIZE, memory=None).fit(CELLS.data)
    (found,) = normalizer.transform(flat)
    assert (found == found[0, 0]).all()
    assert StainNormalizer(SIZE, memory=None).fit_transform(flat)[0, 0, 0].tolist() == list(colour)


def test_test_images_do_not_touch_the_reference():
    """In every fold the reference is that of the training images, whatever is tested."""
    y, groups = CELLS.target, CELLS.groups
    folds = StratifiedGroupKFold(3, shuffle=True, random_state=0)
    features = CNNFeatures("timm/test_resnet", weights=None, image_size=SIZE, random_state=0)
    model = make_pipeline(StainNormalizer(SIZE), features, LogisticRegression(max_iter=1000))
    outcome = cross_validate(
        *(model, CELLS.data, y), groups=groups, cv=folds, return_estimator=True, return_indices=True
    )
    references = [fitted[0].mean_ for fitted in outcome["estimator"]]
    whole = StainNormalizer(SIZE).fit(CELLS.data)
    for reference, train in zip(references, outcome["indices"]["train"], strict=True):
        alone = StainNormalizer(SIZE, memory=None).fit(CELLS.data[train])
        np.testing.assert_array_equal(reference, alone.mean_)
        assert (reference != whole.mean_).any()

    spoilt = CELLS.data.copy()
    spoilt[outcome["indices"]["test"][0]] = RED_CELL
    fitted = clone(model).fit(
        spoilt[outcome["indices"]["train"][0]], y[outcome["indices"]["train"][0]]
    )
    fitted.predict(spoilt[outcome["indices"]["test"][0]])
    np.testing.assert_array_equal(fitted[0].mean_, references[0])


@pytest.mark.parametrize(
    ("params", "message"),
    [({"size": 0}, "size=0"), ({"resize": "squash"}, "resize='squash'"), ({"memory": 3}, "memory")],
)
def test_bad_values_of_the_normalizer(params, message):
    with pytest.raises(ValueError, match=message):
        StainNormalizer(**params).fit(CELLS.data)
