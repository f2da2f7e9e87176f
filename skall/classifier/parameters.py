"""Parameters of the classifier: their names and values."""

import inspect
from difflib import get_close_matches
from numbers import Integral, Real

from torch import nn

from skall.cache import get_store
from skall.classifier.schedule import SCHEDULES

COMPONENTS = (
    *("optimizer", "lr_schedule", "criterion"),
    *("iterator_train", "iterator_valid", "callbacks"),
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
        return [name for name, _ in estimator._uniquely_named_callbacks()] if usable else None
    part = getattr(estimator, component)
    if not inspect.isclass(part):
        return None
    parameters = inspect.signature(part).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    extra = ["param_groups"] if component == "optimizer" else []
    return [parameter.name for parameter in parameters] + extra


def _integer(low):
    return lambda value: (
        isinstance(value, Integral) and not isinstance(value, bool) and value >= low
    )


def _real(low, high=float("inf"), *, open_low=False):
    return lambda value: (
        isinstance(value, Real)
        and not isinstance(value, bool)
        and low <= value < high
        and not (open_low and value == low)
    )


def _or_none(check):
    return lambda value: value is None or check(value)


def _one_of(*choices):
    return lambda value: isinstance(value, type(choices[0])) and value in choices


def _is_shape(value):
    return (
        isinstance(value, (tuple, list))
        and len(value) in (2, 3)
        and all(_integer(1)(item) for item in value)
    )


VALUES = {
    "trainable": (
        lambda value: _one_of("all", "head")(value) or _integer(1)(value),
        "'all', 'head' or a number of stages",
    ),
    "head": (
        lambda value: (
            (callable(value) and not isinstance(value, nn.Module))
            or _one_of("linear", "mlp")(value)
        ),
        "'linear', 'mlp' or a callable (feature_shape, n_outputs) -> torch.nn.Module",
    ),
    "dropout": (_real(0, 1), "a number in [0, 1)"),
    "image_size": (_or_none(_integer(1)), "None or a number of pixels"),
    "image_shape": (
        _or_none(_is_shape),
        "None, (height, width) or (height, width, channels)",
    ),
    "augment_views": (_integer(1), "an integer of at least 1"),
    "optimizer": (callable, "a class of torch.optim"),
    "criterion": (callable, "a class of torch.nn that takes logits (n, k) and class indices"),
    "lr": (_or_none(_real(0, open_low=True)), "None or a positive number"),
    "weight_decay": (_real(0), "a number of at least 0"),
    "lr_schedule": (
        lambda value: value is None or inspect.isclass(value) or _one_of(*SCHEDULES)(value),
        f"None, {', '.join(map(repr, SCHEDULES))} or a class of torch.optim.lr_scheduler",
    ),
    "warmup_epochs": (_integer(0), "an integer of at least 0"),
    "max_epochs": (_integer(1), "an integer of at least 1"),
    "batch_size": (
        lambda value: _integer(1)(value) or (_integer(-1)(value) and value == -1),
        "an integer of at least 1, or -1 for all rows at once",
    ),
    "early_stopping": (_one_of(True, False), "True or False"),
    "validation_fraction": (_real(0, 1, open_low=True), "a number in (0, 1)"),
    "n_iter_no_change": (_integer(1), "an integer of at least 1"),
    "tol": (_real(0), "a number of at least 0"),
    "class_weight": (
        lambda value: value is None or isinstance(value, dict) or _one_of("balanced")(value),
        "None, 'balanced' or a dict of class and weight",
    ),
    "keep_on_device": (_one_of(True, False), "True or False"),
    "precision": (_one_of("auto", "float32", "bfloat16"), "'auto', 'float32' or 'bfloat16'"),
    "callbacks": (
        lambda value: value is None or isinstance(value, list) or value == "disable",
        "None, a list of skorch's callbacks, or 'disable'",
    ),
    "train_split": (_or_none(callable), "None or a splitter such as skorch.dataset.ValidSplit"),
    "warm_start": (_one_of(True, False), "True or False"),
    "verbose": (lambda value: isinstance(value, Integral), "an integer"),
    "pooling": (_one_of("avg", "flatten"), "'avg' or 'flatten'"),
}

# Parameters that have their place but not yet their meaning: the values that work today.
UNFINISHED = {
    "trainable": (lambda value: not isinstance(value, Integral), "partly frozen trunks are"),
    "augment": (lambda value: value is None, "augmentation is"),
    "augment_views": (lambda value: value == 1, "augmentation is"),
    "warmup_epochs": (lambda value: value == 0, "a warm-up of the learning rate is"),
    "early_stopping": (lambda value: not value, "early stopping is"),
    "precision": (lambda value: value != "bfloat16", "bfloat16 is"),
}


def check_values(estimator):
    """Raise for a value that an estimator's parameter cannot take.

    Parameters
    ----------
    estimator : CNNClassifier or CNNFeatures

    Raises
    ------
    ValueError
        For a value that is not possible.
    NotImplementedError
        For one that is not possible yet.
    """
    name = type(estimator).__name__
    for parameter, value in estimator.get_params(deep=False).items():
        check, words = VALUES.get(parameter, (lambda value: True, ""))
        if not check(value):
            raise ValueError(f"{parameter}={value!r}: {name} takes {words} for {parameter}")
        works, subject = UNFINISHED.get(parameter, (lambda value: True, ""))
        if not works(value):
            raise NotImplementedError(f"{parameter}={value!r}: {subject} not implemented yet")
    get_store(estimator.memory)
