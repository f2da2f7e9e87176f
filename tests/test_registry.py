"""Finding backbones by name among installed packages, good and bad."""

import ast
import sys
from importlib import import_module
from pathlib import Path

import pytest
from torch import nn

import skall
from skall.backbones.backbone import Backbone
from skall.backbones.registry import GROUP, get_backbone, list_backbones

MODULES = {
    "good_plugin": """
from torch import nn

from skall.backbones.backbone import Backbone

def build(weights):
    if weights is not None:
        raise ValueError("no weights")
    return nn.Conv2d(3, 8, 3)

described = Backbone(build, input_size=96)
number = 3
module = nn.Conv2d(3, 8, 3)
""",
    "broken_plugin": "import a_library_that_is_not_there",
}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a package with entry points on the path, as pip leaves it there."""
    monkeypatch.syspath_prepend(tmp_path)
    for name, source in MODULES.items():
        (tmp_path / f"{name}.py").write_text(source)

    def write_metadata(package, **entries):
        folder = tmp_path / f"{package.replace('-', '_')}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [f"{name} = {value}" for name, value in entries.items()]
        (folder / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines]))

    yield write_metadata
    for name in MODULES:
        sys.modules.pop(name, None)


def test_a_callable_and_a_backbone_are_found(install):
    install("good-plugin", plain="good_plugin:build", described="good_plugin:described")
    assert {"plain", "described", "resnet18"} <= set(list_backbones())
    assert "good_plugin" not in sys.modules
    plain = get_backbone("plain")
    assert isinstance(plain, Backbone) and plain.input_size == 224
    assert isinstance(plain.build(None), nn.Conv2d)
    assert get_backbone("described").input_size == 96


def test_broken_plugin_is_listed_and_shows_its_own_error(install):
    install("broken-plugin", broken="broken_plugin:build")
    assert "broken" in list_backbones()
    with pytest.raises(
        ImportError, match=r"'broken' of package 'broken-plugin'.*not_there"
    ) as info:
        get_backbone("broken")
    assert isinstance(info.value.__cause__, ModuleNotFoundError)


def test_entry_point_to_nothing_is_an_import_error(install):
    install("good-plugin", absent="good_plugin:absent")
    with pytest.raises(ImportError, match=r"'absent' of package 'good-plugin'.*no attribute"):
        get_backbone("absent")


def test_name_claimed_twice_names_both_packages_and_imports_neither(install):
    install("first-plugin", twice="good_plugin:build")
    install("second-plugin", twice="broken_plugin:build")
    assert list_backbones().count("twice") == 1
    with pytest.raises(ValueError, match=r"'twice' is .*'first-plugin' and .*'second-plugin'"):
        get_backbone("twice")
    assert not {"good_plugin", "broken_plugin"} & set(sys.modules)


@pytest.mark.parametrize(("entry", "kind"), [("number", "int"), ("module", "Conv2d")])
def test_wrong_object_is_a_type_error(install, entry, kind):
    install("good-plugin", wrong=f"good_plugin:{entry}")
    with pytest.raises(TypeError, match=f"'wrong' of package 'good-plugin'.* is a {kind}"):
        get_backbone("wrong")


@pytest.mark.parametrize("name", ["resnet19", "ResNet18"])
def test_unknown_name_gives_the_nearest_and_the_way_to_timm(name):
    with pytest.raises(ValueError, match=f"unknown backbone '{name}'.* resnet18.*'timm/{name}'"):
        get_backbone(name)


@pytest.mark.parametrize("name", [nn.Conv2d(3, 8, 3), None, 18])
def test_only_strings_are_names(name):
    with pytest.raises(TypeError, match=f"got {type(name).__name__}.*cloning"):
        get_backbone(name)


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"build": "vgg16"}, TypeError, "build must be a function .*'vgg16'"),
        ({"input_size": "64"}, ValueError, "input_size must be a number of pixels, got '64'"),
        ({"input_size": 0}, ValueError, "input_size"),
        ({"mean": (0.5, 0.5)}, ValueError, r"mean must be three numbers.*\(0\.5, 0\.5\)"),
        ({"mean": 0.5}, ValueError, "mean must be three numbers"),
        ({"std": (0.5, 0.5, 0.0)}, ValueError, "std must be positive"),
    ],
)
def test_a_wrong_description_is_refused(fields, error, message):
    with pytest.raises(error, match=message):
        Backbone(**{"build": nn.Identity} | fields)


def test_type_checkers_see_what_is_imported_at_first_use():
    tree = ast.parse(Path(skall.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert {*seen, "__version__"} == {*skall.__all__}
    for name, module in seen.items():
        home = import_module(module)
        is_module = home is skall
        expected = import_module(f"skall.{name}") if is_module else getattr(home, name)
        assert getattr(skall, name) is expected
