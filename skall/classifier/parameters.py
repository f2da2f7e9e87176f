"""Parameters of the classifier: their names and values."""

import inspect
from difflib import get_close_matches
from numbers import Integral

import torch
from sklearn.callback import FitCallback
from torch import nn

from skall.classifier.callbacks import SCHEDULES
from skall.environment.private_names import name_callbacks
from skall.preprocessing.augmentation import PRESETS
from skall.validation.constraints import (
    NETWORK_VALUES,
    check_values,
    integer,
    one_of,
    or_none,
    real,
)

COMPONENTS = (
    *("optimizer", "lr_schedule", "criterion"),
    *("iterator_train", "iterator_valid", "callbacks", "compile"),
)


def list_parameters(estimator_class):
    """Names of the parameters that an estimator's constructor spells out."""
    parameters = inspect.signature(estimator_class.__init__).parameters.values()
    return [p.name for p in parameters if p.name != "self" and p.kind is not p.VAR_KEYWORD]


def check_names(estimator, names):
    """Raise TypeError, with the nearest name, for a name that is no parameter.

    Parameters
    ----------
    estimator : CNNClassifier
    names : iterable of str
        Parameters of the estimator or, with double underscores, of skorch's components.
    """
    known = list_parameters(type(estimator))
    for name in names:
        component, _, rest = name.partition("__")
        if component in COMPONENTS and rest:
            accepted = _arguments(estimator, component)
            # What follows the name of a callback is an argument of its own.
            argument = rest.partition("__")[0] if component == "callbacks" else rest
            if accepted is None or argument in accepted:
                continue
        elif name in known:
            continue
        parts = [(prefix, _arguments(estimator, prefix)) for prefix in COMPONENTS]
        choices = [f"{prefix}__{argument}" for prefix, found in parts for argument in found or []]
        nearest = get_close_matches(name, known + choices, n=1, cutoff=0.5)
        hint = f"did you mean {nearest[0]!r}? Its" if nearest else "its"
        raise TypeError(
            f"{type(estimator).__name__} has no parameter {name!r}; {hint} parameters are "
            f"{', '.join(known)}; those of skorch's parts have the prefixes "
            f"{', '.join(prefix + '__' for prefix in COMPONENTS)}"
        )


def _arguments(estimator, component):
    """Names of what a component of the estimator takes, or None where anything may do."""
    if component == "callbacks":
        callbacks = estimator.callbacks
        usable = callbacks is None or isinstance(callbacks, list)
        return name_callbacks(estimator) if usable else None
    part = torch.compile if component == "compile" else getattr(estimator, component)
    if component == "lr_schedule" and isinstance(part, str):
        part = SCHEDULES.get(part)
    if not inspect.isclass(part) and component != "compile":
        return None
    parameters = inspect.signature(part).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    extra = ["param_groups"] if component == "optimizer" else []
    return [parameter.name for parameter in parameters] + extra


VALUES = NETWORK_VALUES | {
    "trainable": (
        lambda value: one_of("all", "head")(value) or integer(1)(value),
        "'all', 'head' or a number of stages",
    ),
    "head": (
        lambda value: (
            (callable(value) and not isinstance(value, nn.Module)) or one_of("linear", "mlp")(value)
        ),
        "'linear', 'mlp' or a callable (feature_shape, n_outputs) -> torch.nn.Module",
    ),
    "dropout": (real(0, 1), "a number in [0, 1)"),
    "augment": (
        lambda value: (
            value is None
            or (callable(value) and not inspect.isclass(value))
            or one_of(*PRESETS)(value)
        ),
        f"None, {', '.join(map(repr, PRESETS))} or a transform of torchvision.transforms.v2",
    ),
    "augment_views": (integer(1), "an integer of at least 1"),
    "optimizer": (callable, "a class of torch.optim"),
    "criterion": (callable, "a class of torch.nn that takes logits (n, k) and class indices"),
    "lr": (or_none(real(0, open_low=True)), "None or a positive number"),
    "weight_decay": (real(0), "a number of at least 0"),
    "lr_schedule": (
        lambda value: value is None or inspect.isclass(value) or one_of(*SCHEDULES)(value),
        f"None, {', '.join(map(repr, SCHEDULES))} or a class of torch.optim.lr_scheduler",
    ),
    "warmup_epochs": (integer(0), "an integer of at least 0"),
    "unfreeze_after": (integer(0), "an integer of at least 0"),
    "max_epochs": (integer(1), "an integer of at least 1"),
    "batch_size": (
        lambda value: integer(1)(value) or (integer(-1)(value) and value == -1),
        "an integer of at least 1, or -1 for all rows at once",
    ),
    "early_stopping": (one_of(True, False), "True or False"),
    "validation_fraction": (real(0, 1, open_low=True), "a number in (0, 1)"),
    "n_iter_no_change": (integer(1), "an integer of at least 1"),
    "tol": (real(0), "a number of at least 0"),
    "ema_decay": (or_none(real(0, 1)), "None or a number in [0, 1)"),
    "class_weight": (
        lambda value: value is None or isinstance(value, dict) or one_of("balanced")(value),
        "None, 'balanced' or a dict of class and weight",
    ),
    "keep_on_device": (one_of(True, False), "True or False"),
    "callbacks": (
        lambda value: (
            value is None
            or (
                isinstance(value, list) and not any(isinstance(each, FitCallback) for each in value)
            )
            or one_of("disable")(value)
        ),
        "None, a list of skorch's callbacks (set_callbacks takes scikit-learn's), or 'disable'",
    ),
    "train_split": (or_none(callable), "None or a splitter such as skorch.dataset.ValidSplit"),
    "warm_start": (one_of(True, False), "True or False"),
    "compile": (one_of(True, False), "True or False"),
    "verbose": (lambda value: isinstance(value, Integral), "an integer"),
}


def check_parameters(estimator):
    """Raise for values that the parameters of a classifier cannot have, alone or together.

    Parameters
    ----------
    estimator : CNNClassifier

    Raises
    ------
    ValueError
        For what is not possible.
    NotImplementedError
        For what is not possible yet.
    """
    check_values(estimator, VALUES)
    if estimator.augment_views > 1 and estimator.augment is None:
        raise ValueError(
            f"augment_views={estimator.augment_views} without augment: all views would be the "
            f"same; give augment, such as {next(iter(PRESETS))!r}"
        )
    if estimator.early_stopping and estimator.train_split is not None:
        raise ValueError(
            "early_stopping=True holds out images itself; leave train_split=None, or "
            "early_stopping=False"
        )
    if estimator.callbacks == "disable":
        for name in ("early_stopping", "lr_schedule", "warmup_epochs"):
            if getattr(estimator, name):
                raise ValueError(
                    f"{name}={getattr(estimator, name)!r} is done by a callback; use callbacks="
                    "None, or a list of more of them, instead of 'disable'"
                )
    if estimator.unfreeze_after and estimator.trainable == "head":
        raise ValueError(
            f"unfreeze_after={estimator.unfreeze_after} with trainable='head': the trunk is never "
            "trained; use trainable='all' or a number of stages"
        )
    if estimator.warmup_epochs > estimator.max_epochs:
        raise ValueError(
            f"warmup_epochs={estimator.warmup_epochs} would go on beyond the max_epochs="
            f"{estimator.max_epochs} epochs that there are"
        )
    if estimator.unfreeze_after >= estimator.max_epochs:
        raise ValueError(
            f"unfreeze_after={estimator.unfreeze_after} leaves none of the max_epochs="
            f"{estimator.max_epochs} epochs for the trunk"
        )
