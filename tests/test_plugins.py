"""Plugins: real packages that pip has installed, good and bad."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold, cross_validate

from skall import CNNFeatures, get_estimator, list_backbones
from skall.backbones import catalogue
from skall.backbones.registry import GROUP
from skall.datasets import make_blood_cells
from skall.testing import check_backbone

EXAMPLE = Path(__file__).parents[1] / "examples" / "plugin_tinynet"

PYPROJECT = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{package}"
version = "1.0"

[project.entry-points."{group}"]
{entries}

[tool.setuptools]
py-modules = ["{module}"]
"""

BROKEN = "import a_library_that_is_not_there"

BAD_TRUNKS = '''
"""Trunks that each break one rule."""

import torch
from torch import nn

from skall import Backbone


class Conv(nn.Module):
    """A convolution, and a function of its maps."""

    def __init__(self, function=None):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.function = function

    def forward(self, images):
        return self.function(self.conv(images))


class Unused(Conv):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 2)

    def forward(self, images):
        return self.conv(images)


class Hidden(Conv):
    """What it computes depends on numbers that are not in its state."""

    def __init__(self):
        super().__init__()
        self.scale = torch.rand(8, 1, 1)

    def forward(self, images):
        return self.conv(images) * self.scale


def put_after_conv(function):
    return lambda weights: Conv(function)


def relu(weights):
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())


def tanh(weights):
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Tanh())


'''

# The value of each backbone in that module, and what check_backbone says of it.
VERDICTS = {
    "scalar": ("put_after_conv(lambda maps: maps.mean())", r"into \(\), not .* \(n, c\)"),
    "tokens": (
        "put_after_conv(lambda maps: maps.flatten(2).mT)",
        r"images \(2, 3, 32, 32\) into \(2, 900, 8\), not .* \(n, c, h, w\) or \(n, c\)",
    ),
    "rows": ("put_after_conv(lambda maps: maps.flatten(0, 1))", r"into \(16, 30, 30\)"),
    "nothing": ("put_after_conv(lambda maps: maps[:, :0])", r"into \(2, 0, 30, 30\)"),
    "several": ("put_after_conv(lambda maps: (maps, maps))", "forward returned <class 'tuple'>"),
    "double": ("put_after_conv(torch.Tensor.double)", r"forward returned torch\.float64"),
    "nan": ("put_after_conv(lambda maps: maps / 0 * 0)", "NaN or infinity"),
    "chance": ("put_after_conv(lambda maps: maps + torch.rand(()))", "two evaluations .* differ"),
    "batchwise": (
        "put_after_conv(lambda maps: maps - maps.mean(0))",
        "depend on the other images of its batch",
    ),
    "unused": (
        "lambda weights: Unused()",
        r"do not depend on fc\.weight, fc\.bias \(2 parameters\); leave the classifier out",
    ),
    "unpicklable": ("put_after_conv(lambda maps: maps)", "cannot be pickled"),
    "hidden": ("lambda weights: Hidden()", r"same state_dict\(\) gives other features"),
    "no_module": ("lambda weights: 'resnet'", r"build\(None\) returned <class 'str'>"),
    "stages": (
        "Backbone(relu, stages=lambda trunk: list(trunk)[:1])",
        "composition of its stages is not the trunk",
    ),
}


def write_package(folder, package, module, source, names):
    """The source of a package whose module has a backbone for each name."""
    folder.mkdir()
    (folder / f"{module}.py").write_text(source)
    entries = "\n".join(f'{name} = "{module}:{name}"' for name in names)
    text = PYPROJECT.format(package=package, module=module, group=GROUP, entries=entries)
    (folder / "pyproject.toml").write_text(text)
    return folder


def install(target, *sources):
    """Let pip install packages into a folder, from copies where builds may leave their traces."""
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", "--quiet", *options, "--target", target]
    subprocess.run([*command, *sources], check=True)
    return target


@pytest.fixture(scope="module")
def example_site(tmp_path_factory):
    """Folder into which the example is installed."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copytree(EXAMPLE, folder / "source")
    return install(folder / "site", folder / "source")


@pytest.fixture(scope="module")
def bad_site(tmp_path_factory):
    """Folder into which plugins are installed that do not work."""
    folder = tmp_path_factory.mktemp("bad")
    values = "\n".join(f"{name} = {value}" for name, (value, _) in VERDICTS.items())
    names = ["relu", "tanh", *VERDICTS]
    sources = [
        write_package(folder / "1", "bad-trunks", "bad_trunks", BAD_TRUNKS + values, names),
        write_package(folder / "2", "broken-plugin", "broken_plugin", BROKEN, ["broken"]),
        write_package(folder / "3", "second-tinynet", "second_tinynet", BROKEN, ["tinynet"]),
    ]
    return install(folder / "site", *sources)


@pytest.fixture
def tinynet(example_site, monkeypatch):
    """The example plugin, on the path."""
    monkeypatch.syspath_prepend(example_site)
    yield
    sys.modules.pop("skall_tinynet", None)


@pytest.fixture
def bad_plugins(bad_site, monkeypatch):
    """The plugins that do not work, on the path."""
    monkeypatch.syspath_prepend(bad_site)
    yield
    sys.modules.pop("bad_trunks", None)


@pytest.fixture(scope="module")
def cells():
    return make_blood_cells(36, n_patients=6, image_size=32, patient_effect=0, random_state=0)


def make_estimator(name):
    return get_estimator(name, weights=None, image_size=32, max_epochs=1, random_state=0)


def make_features(name):
    return CNNFeatures(name, weights=None, image_size=32, random_state=0)


@pytest.mark.usefixtures("tinynet")
def test_plugin_is_listed_without_being_imported():
    assert {"tinynet", "resnet18"} <= set(list_backbones())
    assert "skall_tinynet" not in sys.modules


@pytest.mark.usefixtures("tinynet")
def test_plugin_is_cross_validated(cells):
    estimator = make_estimator("tinynet").set_params(max_epochs=15, batch_size=8, lr=1e-2)
    scores = cross_validate(
        estimator,
        cells.data,
        cells.target,
        groups=cells.groups,
        cv=StratifiedGroupKFold(3),
        error_score="raise",
    )["test_score"]
    assert np.mean(scores) > 0.7


@pytest.mark.usefixtures("tinynet")
def test_plugin_passes_the_conformance_test():
    check_backbone("tinynet")


@pytest.mark.thorough
def test_plugin_passes_its_own_tests_in_a_fresh_interpreter(example_site, tmp_path):
    tests = shutil.copytree(EXAMPLE / "tests", tmp_path / "tests")
    path = os.pathsep.join(filter(None, [str(example_site), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", tests]
    outcome = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "3 passed" in outcome.stdout


@pytest.mark.usefixtures("tinynet", "bad_plugins")
def test_name_claimed_by_two_packages(cells):
    assert list_backbones().count("tinynet") == 1
    with pytest.raises(ValueError, match=r"'tinynet' is .*'second-tinynet' and .*'skall-tinynet'"):
        make_estimator("tinynet")
    assert not {"skall_tinynet", "second_tinynet"} & set(sys.modules)


@pytest.mark.usefixtures("bad_plugins")
def test_broken_plugin_shows_its_own_error_when_it_is_used():
    assert "broken" in list_backbones()
    with pytest.raises(ImportError, match=r"'broken' of package 'broken-plugin'.*not_there"):
        make_estimator("broken")


@pytest.mark.usefixtures("bad_plugins")
def test_plugins_are_described_good_and_bad(monkeypatch):
    names = ["squeezenet", "relu", "broken", "several", "no_module"]
    monkeypatch.setattr(catalogue, "list_backbones", lambda: names)
    table = catalogue.describe_backbones()
    assert list(table.index) == names
    assert table.loc["relu", ["source", "parameters", "feature_shape"]].tolist() == [
        *["bad_trunks.relu", 3 * 8 * 9 + 8, (8, 222, 222)]
    ]
    assert table["source"].str.startswith("error: ").tolist() == [False, False, True, True, True]
    assert "a_library_that_is_not_there" in table.at["broken", "source"]


@pytest.mark.parametrize("name", VERDICTS)
@pytest.mark.usefixtures("bad_plugins")
def test_conformance_test_names_the_broken_rule(name):
    with pytest.raises(AssertionError, match=f"backbone '{name}': .*{VERDICTS[name][1]}"):
        check_backbone(name, image_size=32)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("scalar", r"\(\)"),
        ("tokens", r"\(2, 900, 8\)"),
        ("rows", r"\(16, 30, 30\)"),
        ("nothing", r"\(2, 0, 30, 30\)"),
        ("several", "a tuple"),
        ("double", r"\(2, 8, 30, 30\) of torch\.float64"),
    ],
)
@pytest.mark.parametrize("make", [make_estimator, make_features])
@pytest.mark.usefixtures("bad_plugins")
def test_trunk_of_a_wrong_output_is_refused(make, name, found, cells):
    message = rf"'{name}' turns images \(2, 3, 32, 32\) into {found}.* must give a feature map"
    with pytest.raises(ValueError, match=message):
        make(name).fit(cells.data, cells.target)


@pytest.mark.usefixtures("bad_plugins")
def test_build_that_returns_no_module_is_refused(cells):
    with pytest.raises(TypeError, match=r"'no_module' must return a torch\.nn\.Module, got str"):
        make_estimator("no_module").fit(cells.data, cells.target)


@pytest.mark.usefixtures("bad_plugins")
def test_features_of_trunks_with_the_same_weights_are_kept_apart(cells):
    """Both are a Sequential around one convolution; only the function after it differs."""
    features = [make_features(name).fit_transform(cells.data) for name in ("relu", "tanh")]
    assert not np.allclose(*features)
