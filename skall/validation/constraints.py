"""Constraints on the values of an estimator's parameters."""

import os
from numbers import Integral, Real


def integer(low):
    """Make a check for integers of at least `low`."""
    return lambda value: (
        isinstance(value, Integral) and not isinstance(value, bool) and value >= low
    )


def real(low, high=float("inf"), *, open_low=False):
    """Make a check for numbers in ``[low, high)``, or in ``(low, high)``."""
    return lambda value: (
        isinstance(value, Real)
        and not isinstance(value, bool)
        and low <= value < high
        and not (open_low and value == low)
    )


def or_none(check):
    """Make a check that accepts None as well."""
    return lambda value: value is None or check(value)


def one_of(*choices):
    """Make a check for one of some choices."""
    kinds = tuple({type(choice) for choice in choices})
    return lambda value: isinstance(value, kinds) and value in choices


def _is_shape(value):
    return (
        isinstance(value, (tuple, list))
        and len(value) in (2, 3)
        and all(integer(1)(item) for item in value)
    )


# Parameters of every estimator that reads images.
IMAGE_VALUES = {
    "depth": (
        or_none(lambda value: integer(8)(value) and value <= 32),
        "None or a number of bits, from 8 to 32,",
    ),
}
# Parameters of every estimator that runs a network on images.
NETWORK_VALUES = IMAGE_VALUES | {
    "image_size": (or_none(integer(1)), "None or a number of pixels"),
    "image_shape": (or_none(_is_shape), "None, (height, width) or (height, width, channels)"),
    "precision": (one_of("auto", "float32", "bfloat16"), "'auto', 'float32' or 'bfloat16'"),
}


def check_values(estimator, values):
    """Check the values of an estimator's parameters.

    Parameters
    ----------
    estimator : estimator
        An estimator with a parameter ``memory``.
    values : dict of str to (callable, str)
        For each parameter, a function that says whether a value is allowed, and the allowed values
        in words.

    Raises
    ------
    ValueError
        If a value is not allowed.
    """
    name = type(estimator).__name__
    for parameter, value in estimator.get_params(deep=False).items():
        check, words = values.get(parameter, (lambda value: True, ""))
        if not check(value):
            raise ValueError(f"{parameter}={value!r}: {name} takes {words} for {parameter}")
    check_memory(estimator.memory)


def check_memory(memory):
    """Check the value of a parameter ``memory``.

    Parameters
    ----------
    memory : "auto", None, path-like or joblib.Memory
        The value.

    Raises
    ------
    ValueError
        If it is anything else, such as an empty text or a file.
    """
    memory = getattr(memory, "location", memory)
    if memory is None or (isinstance(memory, str) and memory == "auto"):
        return
    is_path = (isinstance(memory, str) and memory) or hasattr(memory, "__fspath__")
    if not is_path or os.path.isfile(memory):
        found = f"{os.fspath(memory)!r}, a file" if is_path else repr(memory)
        raise ValueError(f"memory must be 'auto', None, a folder or a joblib.Memory; got {found}")
