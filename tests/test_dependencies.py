"""Every package that skall imports is one that its installation brings."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = packages_distributions()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def normalise(requirement):
    """The name of a requirement's package, as installers compare it."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


CORE = {normalise(text) for text in PROJECT["dependencies"]}
EXTRAS = {
    extra: {normalise(text) for text in texts}
    for extra, texts in PROJECT["optional-dependencies"].items()
    if extra != "test"
}


def list_imports(tree):
    """Names of imported modules, and whether importing this module imports them."""
    inner = {
        node
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node not in inner) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module, node not in inner
        elif (
            isinstance(node, ast.Call)
            and getattr(node.func, "id", "") == "import_extra"
            and isinstance(node.args[0], ast.Constant)
        ):
            yield node.args[0].value, False


def list_packages(module):
    """The packages that a module may come from, none for Python's and skall's own."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top == "skall":
        return None
    return {normalise(name) for name in PACKAGES.get(top, [])}


def test_every_import_is_declared():
    undeclared, found = set(), set()
    for path in (ROOT / "skall").rglob("*.py"):
        for module, at_once in list_imports(ast.parse(path.read_text())):
            packages = list_packages(module)
            if packages is None:
                continue
            found.add(module.partition(".")[0])
            declared = CORE if at_once else CORE.union(*EXTRAS.values())
            if not packages & declared:
                undeclared.add(f"{path.relative_to(ROOT)}: {module}")
    assert undeclared == set()
    # That the test sees imports of all three kinds.
    assert {"torch", "huggingface_hub", "skimage"} <= found


def test_extras_bring_what_is_asked_for():
    asked = {}
    for path in (ROOT / "skall").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "import_extra":
                module, extra = node.args[:2]
                if isinstance(module, ast.Constant):
                    asked[module.value] = extra.value
    assert asked
    for module, extra in asked.items():
        assert list_packages(module) & EXTRAS[extra], (module, extra)
