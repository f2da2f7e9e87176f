"""Hand-made features: what each says of a cell, and that none is ever missing."""

import sys

import numpy as np
import pytest
from PIL import Image
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skall import CNNClassifier, HandcraftedFeatures, compare
from skall.cache.memory import IN_PROCESS
from skall.comparison.estimators import BASELINES
from skall.datasets import make_blood_cells

SIZE = 48
CELLS = make_blood_cells(36, n_patients=12, image_size=SIZE, class_sep=1.5, random_state=0)
STAINED, NUCLEUS, BRIGHT = (150, 110, 190), (70, 30, 120), (240, 230, 225)


def draw(rows_radius, columns_radius, nucleus=0, background=BRIGHT, size=SIZE):
    """An upright ellipse of stained cytoplasm with a round nucleus."""
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    pixels = np.empty((size, size, 3), np.uint8)
    pixels[:] = background
    pixels[(rows / rows_radius) ** 2 + (columns / columns_radius) ** 2 <= 1] = STAINED
    pixels[rows**2 + columns**2 <= nucleus**2] = NUCLEUS
    return pixels


def measure(*images, size=SIZE):
    features = HandcraftedFeatures(size, memory=None).set_output(transform="pandas")
    return features.fit_transform(np.stack(images))


def test_names():
    features = HandcraftedFeatures()
    names = features.get_feature_names_out()
    assert len(set(names)) == len(names) == features.transform(CELLS.data[:1]).shape[1]
    assert {"L_skewness", "hue_p90", "glcm_entropy_3", "lbp_2_17", "nucleus_hu7"} <= set(names)


def test_shape_of_a_disc():
    table = measure(draw(16, 16, 9))
    area = np.pi * 16**2 / SIZE**2
    assert table["cell_area"][0] == pytest.approx(area, rel=0.05)
    assert table["cell_perimeter"][0] == pytest.approx(2 * np.pi * 16 / SIZE, rel=0.05)
    assert table["cell_eccentricity"][0] < 0.1
    assert table["cell_solidity"][0] > 0.95
    assert table["cell_extent"][0] == pytest.approx(np.pi / 4, rel=0.05)
    assert table["cell_roundness"][0] == pytest.approx(1, abs=0.1)
    assert table["cell_hu1"][0] == pytest.approx(1 / (2 * np.pi), rel=0.01)
    assert table["nucleus_area"][0] == pytest.approx(np.pi * 9**2 / SIZE**2, rel=0.15)
    assert table["nucleus_share"][0] == pytest.approx((9 / 16) ** 2, rel=0.15)


def test_shape_of_an_ellipse():
    table = measure(draw(20, 10), draw(10, 20))
    np.testing.assert_allclose(table["cell_eccentricity"], np.sqrt(1 - 0.5**2), rtol=0.02)
    assert (table["cell_roundness"] < 0.9).all()


def test_colour_is_that_of_the_cell():
    """Whatever lies around it."""
    table = measure(draw(16, 16), draw(16, 16, background=(0, 0, 0)), draw(16, 16, 16))
    for channel, value in zip(("red", "green", "blue"), STAINED, strict=True):
        np.testing.assert_allclose(table[f"{channel}_p50"][:2], value / 255)
    assert table["red_p50"][2] == pytest.approx(NUCLEUS[0] / 255)
    assert table["L_mean"][2] < table["L_mean"][1]
    # Violet, 270 degrees, turned by half a circle.
    assert table["hue_p50"][1] == pytest.approx(0.25, abs=0.01)


def test_hue_does_not_break_at_red():
    reds = np.zeros((SIZE, SIZE, 3), np.uint8)
    reds[::2] = (200, 20, 30)
    reds[1::2] = (200, 30, 20)
    assert measure(reds)["hue_std"][0] < 0.02


def test_texture():
    """A chequered cell against a plain one, and one of two large halves."""
    plain, chequered, halves = (draw(18, 18) for _ in range(3))
    inside = (plain == STAINED).all(axis=2)
    rows, columns = np.indices(inside.shape)
    chequered[inside & ((rows + columns) % 2 == 0)] = NUCLEUS
    halves[inside & (rows < SIZE // 2)] = NUCLEUS
    table = measure(plain, chequered, halves)
    assert (np.diff(table["glcm_contrast_1"][[0, 2, 1]]) > 1).all()
    assert table["glcm_homogeneity_1"].idxmax() == 0 and table["glcm_energy_3"].idxmax() == 0
    assert table["glcm_correlation_1"][2] > 0.8
    for radius, n_kinds in ((1, 10), (2, 18)):
        shares = table[[f"lbp_{radius}_{kind}" for kind in range(n_kinds)]]
        np.testing.assert_allclose(shares.sum(axis=1), 1)
        assert abs(shares.loc[0] - shares.loc[1]).sum() > 0.5


def test_a_quarter_turn_changes_nothing():
    turned = np.rot90(CELLS.data, axes=(1, 2))
    np.testing.assert_allclose(measure(*turned), measure(*CELLS.data), rtol=1e-6, atol=1e-3)


NOISE = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
ODD = {
    "black": np.zeros((SIZE, SIZE, 3), np.uint8),
    "white": np.full((SIZE, SIZE, 3), 255, np.uint8),
    "one colour": draw(0.1, 0.1, background=STAINED),
    "noise": NOISE,
    "black and white": np.where(NOISE > 127, 255, 0).astype(np.uint8),
    "a dot": draw(1, 1, background=(0, 0, 0)),
    "a line": draw(0.6, 40, background=(0, 0, 0)),
    "a cell that fills the image": draw(60, 60, 20),
    "only a nucleus": draw(16, 16, 16),
    "one pixel": np.full((1, 1, 3), 90, np.uint8),
    "a strip": np.repeat(NOISE[:1], 2, axis=0),
}


@pytest.mark.parametrize("size", [8, SIZE])
@pytest.mark.parametrize("kind", ODD)
def test_nothing_is_ever_missing(kind, size):
    assert np.isfinite(measure(ODD[kind], size=size).to_numpy()).all()


def test_without_a_cell_shapes_are_zero():
    table = measure(ODD["black"], ODD["white"])
    shapes = [name for name in table if name.startswith(("cell", "nucleus"))]
    assert (table[shapes] == 0).all(axis=None)
    assert table["green_mean"].tolist() == [0, 1]


def test_an_image_is_measured_by_itself():
    """Neither its neighbours nor those that were fitted on matter."""
    together = HandcraftedFeatures(SIZE, memory=None).fit_transform(CELLS.data)
    for row in (0, 17):
        alone = HandcraftedFeatures(SIZE, memory=None).transform(CELLS.data[[row]])
        np.testing.assert_array_equal(alone[0], together[row])


def test_memory():
    """Kept by image and size; what is kept is what would be measured."""
    image = draw(15, 14, 7)[None]
    n_kept = len(IN_PROCESS)
    first = HandcraftedFeatures(SIZE).fit_transform(image)
    assert len(IN_PROCESS) == n_kept + 1
    np.testing.assert_array_equal(HandcraftedFeatures(SIZE).fit_transform(image), first)
    assert len(IN_PROCESS) == n_kept + 1
    other = HandcraftedFeatures(SIZE - 8).fit_transform(image)
    assert len(IN_PROCESS) == n_kept + 2 and (other != first).any()
    HandcraftedFeatures(SIZE + 8, memory=None).fit_transform(image)
    assert len(IN_PROCESS) == n_kept + 2


def test_files_and_arrays_are_measured_alike(tmp_path):
    paths = [str(tmp_path / f"{row}.png") for row in range(3)]
    for path, pixels in zip(paths, CELLS.data[:3], strict=True):
        Image.fromarray(pixels).save(path)
    expected = HandcraftedFeatures(32).fit_transform(CELLS.data[:3])
    np.testing.assert_array_equal(HandcraftedFeatures(32).fit_transform(paths), expected)


@pytest.mark.parametrize(
    "classifier",
    [SVC(), RandomForestClassifier(random_state=0)],
    ids=lambda classifier: type(classifier).__name__,
)
def test_classifiers_learn_from_them(classifier):
    model = make_pipeline(HandcraftedFeatures(SIZE), StandardScaler(), classifier)
    scores = cross_validate(
        *(model, CELLS.data, CELLS.target),
        groups=CELLS.groups,
        cv=StratifiedGroupKFold(3, shuffle=True, random_state=0),
        scoring="balanced_accuracy",
        error_score="raise",
    )
    assert scores["test_score"].mean() > 0.75


def test_beside_a_network_in_one_comparison():
    table = HandcraftedFeatures(SIZE).set_output(transform="pandas")
    area = make_column_transformer(("passthrough", ["cell_area"]))
    estimators = {
        "handcrafted": make_pipeline(
            HandcraftedFeatures(SIZE),
            StandardScaler(),
            CalibratedClassifierCV(SVC(), ensemble=False),
        ),
        "area": make_pipeline(table, area, LogisticRegression()),
        "network": CNNClassifier(
            "timm/test_resnet", weights=None, image_size=32, max_epochs=1, random_state=0
        ),
    }
    comparison = compare(
        *(estimators, CELLS.data, CELLS.target),
        groups=CELLS.groups,
        cv=3,
        pos_label="ALL",
        random_state=0,
        verbose=0,
    )
    table = comparison.table()
    assert (
        set(table.index) == {*estimators, *BASELINES} and comparison.scores_["value"].notna().all()
    )
    assert table.loc["handcrafted", "roc_auc"] > 0.8 > table.loc["dummy", "roc_auc"]


@pytest.mark.parametrize("module", ["color", "feature", "measure"])
def test_without_the_extra(monkeypatch, module):
    monkeypatch.setitem(sys.modules, f"skimage.{module}", None)
    with pytest.raises(ImportError, match=r"HandcraftedFeatures needs.*'skall\[imaging\]'"):
        HandcraftedFeatures(SIZE, memory=None).fit_transform(CELLS.data[:1])


@pytest.mark.parametrize("size", [0, 7, 20.5, "32", None, True])
def test_bad_size(size):
    with pytest.raises(ValueError, match="HandcraftedFeatures takes a number of pixels"):
        HandcraftedFeatures(size).fit(CELLS.data)
