"""What values the parameters of an estimator may have."""

from numbers import Integral, Real

from skall.cache.memory import get_store


def integer(low):
    """A check for integers of at least `low`."""
    return lambda value: (
        isinstance(value, Integral) and not isinstance(value, bool) and value >= low
    )


def real(low, high=float("inf"), *, open_low=False):
    """A check for numbers in ``[low, high)``, or in ``(low, high)``."""
    return lambda value: (
        isinstance(value, Real)
        and not isinstance(value, bool)
        and low <= value < high
        and not (open_low and value == low)
    )


def or_none(check):
    """A check that lets None pass as well."""
    return lambda value: value is None or check(value)


def one_of(*choices):
    """A check for choices of one type, or None among them."""
    kinds = tuple({type(choice) for choice in choices})
    return lambda value: isinstance(value, kinds) and value in choices


def _is_shape(value):
    return (
        isinstance(value, (tuple, list))
        and len(value) in (2, 3)
        and all(integer(1)(item) for item in value)
    )


# Those of every estimator that reads images.
IMAGE_VALUES = {
    "depth": (
        or_none(lambda value: integer(8)(value) and value <= 32),
        "None or a number of bits, from 8 to 32,",
    ),
}
# Those of every estimator that runs a network on images.
NETWORK_VALUES = IMAGE_VALUES | {
    "image_size": (or_none(integer(1)), "None or a number of pixels"),
    "image_shape": (or_none(_is_shape), "None, (height, width) or (height, width, channels)"),
    "precision": (one_of("auto", "float32", "bfloat16"), "'auto', 'float32' or 'bfloat16'"),
}


def check_values(estimator, values):
    """Raise for a value that an estimator's parameter cannot take.

    Parameters
    ----------
    estimator : estimator
        With a parameter ``memory``.
    values : dict of str to (callable, str)
        For each parameter, whether a value is possible, and what is possible in words.

    Raises
    ------
    ValueError
        For a value that is not possible.
    """
    name = type(estimator).__name__
    for parameter, value in estimator.get_params(deep=False).items():
        check, words = values.get(parameter, (lambda value: True, ""))
        if not check(value):
            raise ValueError(f"{parameter}={value!r}: {name} takes {words} for {parameter}")
    get_store(estimator.memory)
