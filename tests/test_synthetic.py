"""Synthetic cells: what is returned, and that each knob does what it says."""

from collections import Counter

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skall.datasets import make_blood_cells

SEEDS = (0, 1, 2)


def mean_colour(cells):
    return cells.data.mean(axis=(1, 2))


def frame_colour(cells, width=5):
    outer = np.ones(cells.data.shape[1:3], dtype=bool)
    outer[width:-width, width:-width] = False
    return cells.data[:, outer].mean(axis=1)


def nucleus_area(cells):
    """Share of pixels that are dark in green, as against the image's own background."""
    green = cells.data[..., 1].astype(float)
    background = np.median(green, axis=(1, 2), keepdims=True)
    return (green < 0.55 * background).mean(axis=(1, 2))[:, None]


def score(cells, features, *, by_patient=True, classifier=None):
    """Mean balanced accuracy over five folds."""
    splitter = StratifiedGroupKFold if by_patient else StratifiedKFold
    return cross_val_score(
        make_pipeline(StandardScaler(), classifier or LogisticRegression(C=10)),
        features(cells),
        cells.target,
        groups=cells.groups if by_patient else None,
        cv=splitter(5, shuffle=True, random_state=0),
        scoring="balanced_accuracy",
    ).mean()


@pytest.fixture(scope="module")
def default_cells():
    return [make_blood_cells(240, image_size=48, random_state=seed) for seed in SEEDS]


def test_bunch():
    cells = make_blood_cells(50, n_patients=7, image_size=32, random_state=0)
    assert cells.data.shape == (50, 32, 32, 3)
    assert cells.data.dtype == np.uint8
    assert cells.target.shape == cells.groups.shape == cells.filenames.shape == (50,)
    assert {a.dtype.kind for a in (cells.target, cells.groups, cells.filenames)} == {"U"}
    assert list(cells.target_names) == ["ALL", "healthy"]
    assert set(cells.target) == {"ALL", "healthy"}
    assert cells.pos_label == "ALL"
    assert set(cells.groups) == {f"P{i:02}" for i in range(1, 8)}
    assert len(set(cells.filenames)) == 50
    assert "source_id" not in cells
    assert "Synthetic" in cells.DESCR


def test_defaults():
    cells = make_blood_cells(random_state=0)
    assert cells.data.shape == (200, 128, 128, 3)
    assert Counter(cells.target) == {"ALL": 100, "healthy": 100}
    assert set(Counter(cells.groups).values()) == {10}
    # White balance and pixels in range: neither black nor burnt out.
    assert 120 < cells.data.mean() < 240
    assert len(np.unique(cells.data.reshape(200, -1), axis=0)) == 200


@pytest.mark.parametrize(
    ("n_samples", "n_patients", "imbalance", "n_blasts"),
    [
        (40, 2, 0.5, 20),
        (41, 5, 0.5, 20),
        (100, 20, 0.05, 5),
        (100, 20, 0.9, 90),
        (20, 20, 0.05, 1),
        (20, 20, 0.95, 19),
        (20, 6, 0.0, 0),
        (20, 6, 1.0, 20),
    ],
)
def test_patients_have_one_class(n_samples, n_patients, imbalance, n_blasts):
    cells = make_blood_cells(n_samples, n_patients, 16, imbalance=imbalance, random_state=0)
    assert (cells.target == "ALL").sum() == n_blasts
    assert len(set(cells.groups)) == n_patients
    pairs = set(zip(cells.groups, cells.target, strict=True))
    assert len(pairs) == n_patients
    for name in set(cells.target):
        sizes = Counter(cells.groups[cells.target == name]).values()
        assert max(sizes) - min(sizes) <= 1
        if n_patients >= 4:
            assert len(sizes) >= min(2, sum(sizes))


def test_rows_and_patients_are_in_random_order():
    cells = make_blood_cells(100, 10, 16, random_state=0)
    ill = cells.target == "ALL"
    assert 0.2 < ill[:50].mean() < 0.8
    first, second = (set(cells.groups[ill == flag]) for flag in (True, False))
    assert min(first) < max(second)
    assert min(second) < max(first)


def test_same_seed_same_bytes():
    def make(random_state):
        return make_blood_cells(12, 4, 32, duplicates=0.3, random_state=random_state)

    first, second, other = make(3), make(3), make(4)
    for name in ("data", "target", "groups", "filenames", "source_id"):
        np.testing.assert_array_equal(first[name], second[name])
    assert (first.data != other.data).any()
    shared_state = np.random.RandomState(3)
    drawn = [make(shared_state).data for _ in range(2)]
    np.testing.assert_array_equal(drawn[0], make(np.random.RandomState(3)).data)
    assert (drawn[0] != drawn[1]).any()


@pytest.mark.parametrize("random_state", [None, 0])
def test_global_generator_is_untouched(random_state):
    before = np.random.get_state()
    first, second = (make_blood_cells(4, 2, 32, random_state=random_state).data for _ in range(2))
    after = np.random.get_state()
    np.testing.assert_array_equal(before[1], after[1])
    assert before[2:] == after[2:]
    assert (first == second).all() == (random_state == 0)


@pytest.mark.parametrize("duplicates", [0.25, 0.75])
def test_duplicates_copy_a_cell_of_the_same_patient(duplicates):
    cells = make_blood_cells(80, 8, 32, duplicates=duplicates, random_state=0)
    rows = np.arange(80)
    copies = np.flatnonzero(cells.source_id != rows)
    assert len(copies) == duplicates * 80
    sources = cells.source_id[copies]
    np.testing.assert_array_equal(cells.source_id[sources], sources)
    np.testing.assert_array_equal(cells.groups[copies], cells.groups[sources])
    np.testing.assert_array_equal(cells.target[copies], cells.target[sources])
    for copy, source in zip(cells.data[copies], cells.data[sources], strict=True):
        views = [np.rot90(v, k) for v in (source, source[:, ::-1]) for k in range(4)]
        differences = [np.abs(copy.astype(float) - view).mean() for view in views]
        assert differences[0] > min(differences[1:])
        assert min(differences) < 10


def test_nucleus_area_tells_the_classes_and_mean_colour_does_not(default_cells):
    # Measured over eight seeds: area 0.94 to 0.98; colour 0.42 to 0.75, 0.59 on average.
    area = np.mean([score(cells, nucleus_area) for cells in default_cells])
    colour = np.mean([score(cells, mean_colour) for cells in default_cells])
    assert area > 0.88
    assert colour < 0.75


def test_class_sep_of_zero_makes_the_classes_alike():
    scores = [
        score(make_blood_cells(240, image_size=48, class_sep=0, random_state=seed), nucleus_area)
        for seed in SEEDS
    ]
    assert np.mean(scores) < 0.65


def test_patient_effect_flatters_a_random_split():
    # Measured over eight seeds: 0.92 by a random split, 0.53 by patient; gaps of 0.22 to 0.63.
    gaps = []
    for seed in SEEDS:
        cells = make_blood_cells(
            240, image_size=48, class_sep=0.2, patient_effect=2.0, random_state=seed
        )
        random_split, by_patient = (
            score(cells, mean_colour, by_patient=flag, classifier=KNeighborsClassifier(3))
            for flag in (False, True)
        )
        gaps.append(random_split - by_patient)
    assert np.mean(gaps) > 0.2


def test_without_patient_effect_patients_look_alike():
    cells = make_blood_cells(240, image_size=48, patient_effect=0, random_state=0)
    varied = make_blood_cells(240, image_size=48, patient_effect=1, random_state=0)

    def spread(cells):
        colour = frame_colour(cells)
        return np.std([colour[cells.groups == g].mean(0) for g in set(cells.groups)], axis=0)

    assert (3 * spread(cells) < spread(varied)).all()


def test_shortcut_shows_in_the_frame(default_cells):
    # Measured over eight seeds: 0.99 to 1.00 with the shortcut, 0.30 to 0.68 without.
    shortcut = make_blood_cells(240, image_size=48, shortcut=1.0, random_state=0)
    assert score(shortcut, frame_colour) > 0.9
    assert np.mean([score(cells, frame_colour) for cells in default_cells]) < 0.7


def test_shortcut_adds_a_vignette_to_the_leukaemic_class_only(default_cells):
    plain = default_cells[0]
    marked = make_blood_cells(240, image_size=48, shortcut=0.5, random_state=0)
    ill = plain.target == "ALL"
    np.testing.assert_array_equal(plain.data[~ill], marked.data[~ill])
    centre = slice(18, 30)
    np.testing.assert_array_equal(plain.data[:, centre, centre], marked.data[:, centre, centre])
    assert (frame_colour(marked)[ill] < frame_colour(plain)[ill] - 2).all()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_patients": 1}, "n_patients must be .* at least 2, got 1"),
        ({"n_samples": 5, "n_patients": 6}, "n_samples must be .* at least 6.*n_patients, got 5"),
        ({"image_size": 8}, "image_size must be .* at least 16, got 8"),
        ({"class_sep": -1.0}, "class_sep must be .* at least 0, got -1.0"),
        ({"class_sep": np.inf}, "class_sep must be finite"),
        ({"patient_effect": -0.1}, "patient_effect must be .* at least 0, got -0.1"),
        ({"shortcut": 1.5}, "shortcut must be .* between 0 and 1, got 1.5"),
        ({"duplicates": -0.5}, "duplicates must be .* between 0 and 1, got -0.5"),
        ({"imbalance": np.nan}, "imbalance must be .* between 0 and 1, got nan"),
        ({"n_samples": 10, "n_patients": 4, "duplicates": 0.9}, "can be 0.6 at most"),
        ({"random_state": "seed"}, "seed"),
    ],
)
def test_values_out_of_range(params, message):
    with pytest.raises(ValueError, match=message):
        make_blood_cells(**params)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_samples": 20.0}, "n_samples must be an integer, got 20.0 of type float"),
        ({"image_size": "64"}, "image_size must be an integer, got '64' of type str"),
        ({"shortcut": True}, "shortcut must be a number, got True of type bool"),
        ({"imbalance": None}, "imbalance must be a number, got None"),
    ],
)
def test_values_of_the_wrong_type(params, message):
    with pytest.raises(TypeError, match=message):
        make_blood_cells(**params)
