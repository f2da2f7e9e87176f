"""Private names of other packages: each is still there, and stands in one module."""

import ast
import importlib
import inspect
import pkgutil
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.callback import ProgressBar
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNet
from skorch.callbacks import EpochScoring, PrintLog
from torch import nn

import skall
from skall.environment import private_names
from skall.environment.private_names import INHERITED, READ_IN

FOLDER = Path(skall.__file__).parent
HOME = "skall/environment/private_names.py"
# Public methods of every namedtuple.
PUBLIC = {"_asdict", "_replace"}
PACKAGES = {"mlflow": "mlflow-skinny", "sklearn": "scikit-learn"}


def explain(module, what):
    """What to do about a name that is gone."""
    package = PACKAGES.get(module.partition(".")[0], module.partition(".")[0])
    return (
        f"{package} {version(package)} no longer has {what} (read in {READ_IN[package]}); find "
        f"what has taken its place there, and change {HOME} and what uses it"
    )


@pytest.mark.parametrize(
    ("owner", "name", "purpose"),
    [(owner, *item) for owner, names in INHERITED.items() for item in names.items()],
)
def test_inherited_names_are_there(owner, name, purpose):
    module, _, class_name = owner.partition(":")
    cls = getattr(importlib.import_module(module), class_name)
    is_there = hasattr(cls, name) or f"self.{name} = " in inspect.getsource(cls)
    assert is_there, explain(module, f"{class_name}.{name}, which skall uses: {purpose}")
    if purpose.startswith("overridden"):
        # A method that nothing calls any more would be overridden in vain.
        sources = [inspect.getsource(inspect.getmodule(base)) for base in cls.__mro__[:-1]]
        called = any(f".{name}" in source for source in sources)
        assert called, explain(module, f"a call of {class_name}.{name}, which is {purpose}")


def check_searches():
    assert issubclass(GridSearchCV, private_names.BaseSearchCV)


def check_scorers():
    assert isinstance(make_scorer(accuracy_score), private_names.BaseScorer)


def check_rows():
    for rows in (["a", "b", "c"], np.array(["a", "b", "c"]), pd.Series(["a", "b", "c"])):
        assert list(private_names.select_rows(rows, [2, 0])) == ["c", "a"]


def check_callbacks():
    callback = ProgressBar()
    estimator = LogisticRegression().set_callbacks(callback)
    assert private_names.get_callbacks(estimator) == [callback]
    assert private_names.get_callbacks(nn.Identity()) == []


def check_names_of_callbacks():
    net = NeuralNet(nn.Identity, nn.MSELoss, callbacks=[("mine", PrintLog()), EpochScoring])
    assert {"mine", "EpochScoring", "train_loss"} <= {*private_names.name_callbacks(net)}


def check_writes():
    tensor = torch.zeros(2)
    before = private_names.count_writes(tensor)
    tensor[:1].add_(1)
    assert private_names.count_writes(tensor) > before


def check_hooks():
    module = nn.Linear(2, 2)
    assert private_names.count_hooks(module) == (0, 0)
    module.register_forward_hook(print)
    assert private_names.count_hooks(module) == (1, 0)


def check_tensors():
    module = nn.Sequential(nn.BatchNorm2d(2, affine=False), nn.Linear(2, 2, bias=False))
    assert private_names.list_own_tensors([module]) == []
    expected = [module[0].running_mean, module[0].running_var, module[0].num_batches_tracked]
    assert [*map(id, private_names.list_own_tensors(module[:1]))] == [*map(id, expected)]
    assert private_names.list_own_tensors(module[1:]) == [module[1].weight]


@pytest.mark.parametrize(
    ("module", "what", "check"),
    [
        ("sklearn", "model_selection._search.BaseSearchCV", check_searches),
        ("sklearn", "metrics._scorer._BaseScorer", check_scorers),
        ("sklearn", "utils._safe_indexing", check_rows),
        ("sklearn", "the attribute _skl_callbacks", check_callbacks),
        ("skorch", "NeuralNet._uniquely_named_callbacks", check_names_of_callbacks),
        ("torch", "Tensor._version", check_writes),
        ("torch", "Module._forward_hooks and _forward_pre_hooks", check_hooks),
        ("torch", "Module._parameters and _buffers", check_tensors),
    ],
)
def test_names_are_there(module, what, check):
    try:
        check()
    except (AttributeError, AssertionError, TypeError) as exc:
        raise AssertionError(explain(module, what)) from exc


@pytest.mark.thorough
def test_name_of_mlflow_is_there():
    pytest.importorskip("mlflow")
    fluent = importlib.import_module("mlflow.tracking.fluent")
    what = "mlflow.tracking.fluent._get_experiment_id"
    assert hasattr(fluent, "_get_experiment_id"), explain("mlflow", what)


def list_private(tree):
    """Private names that code imports, takes from objects, or names in getattr and hasattr."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("skall"):
            yield from [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Import):
            yield from (part for alias in node.names for part in alias.name.split("."))
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("getattr", "hasattr"):
            yield from (each.value for each in node.args if isinstance(each, ast.Constant))


def list_own(tree):
    """Names of attributes, methods and functions that code defines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr


def is_private(name):
    return isinstance(name, str) and name.startswith("_") and not name.startswith("__")


def test_no_other_module_uses_private_names():
    trees = {path: ast.parse(path.read_text()) for path in FOLDER.rglob("*.py")}
    own = {name for tree in trees.values() for name in list_own(tree)}
    known = own | PUBLIC | {name for names in INHERITED.values() for name in names}
    found = {
        f"{path.relative_to(FOLDER.parent)}: {name}"
        for path, tree in trees.items()
        for name in list_private(tree)
        if is_private(name) and name not in known and FOLDER.parent / HOME != path
    }
    assert not found, f"use a public name, or add them to {HOME}: {sorted(found)}"


def test_every_overridden_name_is_listed():
    listed = {name for names in INHERITED.values() for name in names}
    unlisted = set()
    for module in pkgutil.walk_packages(skall.__path__, "skall."):
        if module.name == "skall.__main__":
            continue
        for cls in vars(importlib.import_module(module.name)).values():
            if not (inspect.isclass(cls) and cls.__module__ == module.name):
                continue
            others = [base for base in cls.__mro__[1:-1] if not base.__module__.startswith("skall")]
            unlisted |= {
                f"{module.name}.{cls.__name__}.{name}"
                for name, value in vars(cls).items()
                # Functions only: metaclasses and __init_subclass__ add attributes of their own.
                if is_private(name) and isinstance(value, property) | inspect.isroutine(value)
                if any(name in vars(base) for base in others) and name not in listed
            }
    assert not unlisted, f"add them to INHERITED in {HOME}: {sorted(unlisted)}"
