"""Names that have moved: their old modules stay for a while and give a warning."""

import warnings
from importlib import import_module
from operator import attrgetter


def forward(module, **places):
    """Make the ``__getattr__`` of a module whose names have moved.

    Parameters
    ----------
    module : str
        The old module.
    **places : str
        The new place of each name, as ``"module:name"``, which is imported when it is used.

    Returns
    -------
    getter : callable
        A function that returns what has the name, with a DeprecationWarning that names its new
        place, and raises AttributeError for other names.
    """

    def get(name):
        if name not in places:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        home, _, path = places[name].partition(":")
        warnings.warn(
            f"{module}.{name} is now {home}.{path}; the old name will be removed in skall 0.3",
            DeprecationWarning,
            stacklevel=2,
        )
        return attrgetter(path)(import_module(home))

    return get
