"""Bad input: each mistake has an error that names the row or file and says what to do."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.sparse import csr_array
from sklearn.exceptions import NotFittedError

from skall import CNNFeatures, ImagePreprocessor, get_estimator

NAME = "timm/test_resnet"
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3)).astype(np.uint8)
FLOATS = PIXELS / 255.0
FLAT = FLOATS.reshape(6, -1)
PICTURES = [Image.fromarray(pixels) for pixels in PIXELS]
LABELS = np.array(["ALL", "healthy"] * 3)


def make_classifier(**params):
    settings = {"weights": None, "image_size": 16, "max_epochs": 1, "random_state": 0}
    return get_estimator(NAME, **(settings | params))


def change(array, row, value):
    """A copy with one number of one row changed."""
    array = array.copy()
    array[row].flat[5] = value
    return array


@pytest.fixture
def files(tmp_path):
    """Paths of six good files in a folder that also holds bad ones."""
    for name in "abcdef":
        PICTURES[ord(name) - ord("a")].save(tmp_path / f"{name}.png")
    PICTURES[0].save(tmp_path / "whole.jpg")
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "nothing.png").touch()
    for name, whole in {"short.png": "a.png", "short.jpg": "whole.jpg"}.items():
        data = (tmp_path / whole).read_bytes()
        (tmp_path / name).write_bytes(data[: len(data) * 2 // 3])
    corrupt = bytearray((tmp_path / "a.png").read_bytes())
    corrupt[60:70] = bytes(10)
    (tmp_path / "corrupt.png").write_bytes(corrupt)
    (tmp_path / "folder").mkdir()
    return [str(tmp_path / f"{name}.png") for name in "abcdef"]


def beside(files, name):
    """The good files with another in row 5."""
    return [*files[:5], str(Path(files[0]).with_name(name))]


# Name of the mistake: X, made from the paths of good files; the error; what its message says.
BAD_X = {
    "above 1": (lambda f: change(FLOATS, 2, 1.5), ValueError, "row 2 .* 1.5.*divide.*X / 255"),
    "below 0": (lambda f: change(FLOATS, 2, -0.1), ValueError, r"row 2 .* -0.1.*\[0, 1\]"),
    "0 to 255 as floats": (lambda f: PIXELS * 1.0, ValueError, "X / 255 for 8-bit"),
    "grey above 1": (lambda f: change(FLOATS, 1, 3)[..., 2], ValueError, "divide"),
    "NaN": (lambda f: change(FLOATS, 3, np.nan), ValueError, "row 3 of X contains NaN"),
    "infinity": (lambda f: change(FLOATS, 3, np.inf), ValueError, "row 3 of X .* infinity"),
    "NaN in a flat row": (lambda f: change(FLAT, 4, np.nan), ValueError, "NaN in row 4"),
    "infinity in a flat row": (lambda f: change(FLAT, 4, -np.inf), ValueError, "infinity in row 4"),
    "channels first": (
        lambda f: PIXELS.transpose(0, 3, 1, 2),
        ValueError,
        r"channels first.*X\.transpose\(0, 2, 3, 1\)",
    ),
    "channels first in a tensor": (
        lambda f: torch.tensor(FLOATS).permute(0, 3, 1, 2),
        ValueError,
        r"X\.transpose\(0, 2, 3, 1\)",
    ),
    "alpha channel": (
        lambda f: np.zeros((6, 16, 16, 4), np.uint8),
        ValueError,
        r"4 channels.*X\[\.\.\., :3\]",
    ),
    "two channels": (lambda f: PIXELS[..., :2], ValueError, "2 channels"),
    "four-channel arrays of several sizes": (
        lambda f: [np.zeros((8, 8 + k, 4), np.uint8) for k in range(6)],
        ValueError,
        r"row 0 has shape \(8, 8, 4\)",
    ),
    "NaN in an array of a list": (
        lambda f: [np.full((8, 8 + k), np.nan if k == 2 else 0.5) for k in range(6)],
        ValueError,
        "row 2 contains NaN",
    ),
    "five dimensions": (lambda f: PIXELS[None], ValueError, r"\(1, 6, 16, 16, 3\).*\(n, height"),
    "int64": (lambda f: PIXELS.astype(int), ValueError, r"int64.*X\.astype\('uint8'\)"),
    "16 bits": (lambda f: PIXELS.astype(np.uint16), ValueError, "uint16.*X / 65535"),
    "complex": (lambda f: PIXELS.astype(complex), ValueError, "Complex data not supported"),
    "sparse": (lambda f: csr_array(FLAT), TypeError, r"Sparse.*X\.toarray\(\)"),
    "empty list": (lambda f: [], ValueError, "0 sample.*X holds no images"),
    "empty array": (lambda f: PIXELS[:0], ValueError, "0 sample"),
    "empty column": (lambda f: pd.DataFrame({"path": []}), ValueError, "0 sample"),
    "no pixels": (lambda f: PIXELS[:, :0], ValueError, "no pixels"),
    "no numbers": (lambda f: FLAT[:, :0], ValueError, r"0 feature\(s\)"),
    "one picture": (lambda f: PICTURES[0], TypeError, r"one image.*\[X\]"),
    "one path": (lambda f: f[0], TypeError, r"one image.*\[X\]"),
    "one Path": (lambda f: Path(f[0]), TypeError, r"one image.*\[X\]"),
    "one array": (lambda f: PIXELS[0], ValueError, r"one image; pass X\[None\]"),
    "numbers in one dimension": (lambda f: FLAT[0], ValueError, "Expected 2D array, got 1D"),
    "None": (lambda f: None, TypeError, "X is None.*pass a list or array of paths"),
    "generator": (lambda f: iter(f), TypeError, "no rows of images; pass a list"),
    "open files": (lambda f: [BytesIO(b"")] * 6, TypeError, "string or a real number"),
    "mixed": (
        lambda f: [*f[:2], *PICTURES[2:]],
        ValueError,
        r"mixes paths \(row 0\) and PIL images \(row 2\); pass images of one kind",
    ),
    "mixed with arrays": (
        lambda f: [*PIXELS[:4], *f[4:]],
        ValueError,
        r"arrays \(row 0\) and paths \(row 4\)",
    ),
    "path missing": (
        lambda f: np.array([*f[:5], None], dtype=object),
        ValueError,
        r"paths \(row 0\) and NoneType \(row 5\)",
    ),
    "two columns": (
        lambda f: pd.DataFrame({"path": f, "patient": "P1"}),
        ValueError,
        r"2 columns.*X\[\['path'\]\]",
    ),
    "no such file": (
        lambda f: beside(f, "nowhere.png"),
        FileNotFoundError,
        "1 of 6 .*'[^']*nowhere.png'; paths are taken relative to",
    ),
    "folder": (lambda f: beside(f, "folder"), ValueError, "row 5, .*folder.*load_cells"),
    "not an image": (lambda f: beside(f, "text.png"), ValueError, r"file '.*text\.png'"),
    "empty file": (lambda f: beside(f, "nothing.png"), ValueError, r"file '.*nothing\.png'"),
    "cut PNG": (lambda f: beside(f, "short.png"), ValueError, r"file '.*short\.png'"),
    "cut JPEG": (lambda f: beside(f, "short.jpg"), ValueError, r"file '.*short\.jpg'"),
    "damaged": (lambda f: beside(f, "corrupt.png"), ValueError, r"file '.*corrupt\.png'"),
}
ESTIMATORS = {
    "classifier": lambda X: make_classifier().fit(X, LABELS),
    "frozen classifier": lambda X: make_classifier(trainable="head").fit(X, LABELS),
    "features": lambda X: CNNFeatures(NAME, weights=None, image_size=16).fit_transform(X),
    "preprocessor": lambda X: ImagePreprocessor(16).fit_transform(X),
}


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("mistake", BAD_X)
def test_bad_images(mistake, estimator, files):
    make, error, message = BAD_X[mistake]
    with pytest.raises(error, match=f"(?s){message}"):
        ESTIMATORS[estimator](make(files))


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
@pytest.mark.parametrize(
    ("X", "message"),
    [
        (FLAT[:, :-1], "767 features, but CNNClassifier is expecting 768"),
        (PIXELS, "expecting 768 features.*pictures count as 1"),
        (change(FLAT, 1, np.nan), "NaN in row 1"),
    ],
)
def test_bad_images_after_fit(method, X, message):
    net = make_classifier().fit(FLAT, LABELS)
    with pytest.raises(ValueError, match=message):
        getattr(net, method)(X)


def test_a_file_that_vanished_after_fit(files):
    net = make_classifier().fit(files, LABELS)
    Path(files[3]).unlink()
    with pytest.raises(FileNotFoundError, match=r"d\.png"):
        net.predict(files)


# Name of the mistake: the arguments of `fit` beside X; the error; what its message says.
BAD_TARGETS = {
    "y short": ({"y": LABELS[:4]}, ValueError, "6 rows and y 4"),
    "y None": ({"y": None}, ValueError, "requires y to be passed, but the target y is None"),
    "y NaN": ({"y": [0, 1, np.nan, 0, 1, 0]}, ValueError, "y has no value in row 2"),
    "y with None": (
        {"y": ["ALL", None, "ALL", "b", "b", "b"]},
        ValueError,
        "y has no value in row 1",
    ),
    "y of two types": ({"y": np.array(["a", 1] * 3, object)}, TypeError, "int and str; use one"),
    "y one class": ({"y": ["ALL"] * 6}, ValueError, "one class, 'ALL'.*at least 2"),
    "y continuous": ({"y": np.arange(6) + 0.5}, ValueError, "continuous"),
    "y in columns": ({"y": np.eye(6)}, ValueError, r"1d array.*\(6, 6\)"),
    "weights zero": ({"sample_weight": np.zeros(6)}, ValueError, "every sample_weight is zero"),
    "weights leave one class": ({"sample_weight": [1, 0] * 3}, ValueError, "one class, 'ALL'"),
    "weight negative": ({"sample_weight": [1, 1, -1, 1, 1, 1]}, ValueError, "row 2 is -1"),
    "weight NaN": ({"sample_weight": [1, 1, np.nan, 1, 1, 1]}, ValueError, "row 2 is nan"),
    "weights short": ({"sample_weight": np.ones(5)}, ValueError, r"\(5,\); it must be \(6,\)"),
    "groups short": ({"groups": np.arange(5)}, ValueError, "groups has 5 rows, .* 6 samples"),
    "groups long": ({"groups": np.arange(7)}, ValueError, "groups has 7 rows, .* 6 samples"),
}


@pytest.mark.parametrize("mistake", BAD_TARGETS)
def test_bad_targets(mistake):
    arguments, error, message = BAD_TARGETS[mistake]
    with pytest.raises(error, match=message):
        make_classifier().fit(PIXELS, **({"y": LABELS} | arguments))


def test_partial_fit_names_a_class_that_it_does_not_know():
    net = make_classifier().partial_fit(PIXELS, LABELS)
    with pytest.raises(ValueError, match=r"\['other'\].*\['ALL', 'healthy'\].*partial_fit"):
        net.partial_fit(PIXELS, ["ALL", "healthy", "other"] * 2)


def test_nothing_works_before_fit(tmp_path):
    net = make_classifier()
    attempts = [
        lambda: net.predict(PIXELS),
        lambda: net.predict_proba(PIXELS),
        lambda: net.score(PIXELS, LABELS),
        lambda: net.history_frame_,
        lambda: net.save(tmp_path),
        lambda: CNNFeatures(NAME).transform(PIXELS),
    ]
    for attempt in attempts:
        with pytest.raises(NotFittedError, match="not fitted yet"):
            attempt()


def test_an_error_leaves_a_fitted_estimator_as_it_was():
    net = make_classifier().fit(PIXELS, LABELS)
    before = net.predict_proba(PIXELS)
    for bad in (FLOATS * 2, PIXELS.transpose(0, 3, 1, 2)):
        with pytest.raises(ValueError, match="X"):
            net.fit(bad, LABELS)
    np.testing.assert_array_equal(net.predict_proba(PIXELS), before)
