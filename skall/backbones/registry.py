"""Backbones by name, found through the entry-point group ``skall.backbones``."""

import sys
from difflib import get_close_matches
from functools import cache
from importlib.metadata import Distribution, EntryPoint, entry_points

from skall.backbones.backbone import Backbone

GROUP = "skall.backbones"


def list_backbones() -> list[str]:
    """List the names of the registered backbones, sorted.

    Only the metadata of the installed packages is read. No plugin is imported, so that broken ones
    are listed too.

    Examples
    --------
    >>> from skall import list_backbones
    >>> [name for name in list_backbones() if name.startswith("densenet")]
    ['densenet121', 'densenet201']
    """
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def get_backbone(name: str) -> Backbone:
    """Look up a backbone by its name.

    Parameters
    ----------
    name : str
        One of :func:`list_backbones`, or ``"timm/<model>"``.

    Returns
    -------
    backbone : Backbone

    Raises
    ------
    TypeError
        Where the name is not a string, or the registered object is neither a callable nor a
        :class:`Backbone`.
    ValueError
        Where the name is unknown, with the nearest names, or two packages claim it; neither is
        imported then.
    ImportError
        Where the package that registers it cannot be imported, with its own error.

    Examples
    --------
    >>> from skall.backbones.registry import get_backbone
    >>> get_backbone("efficientnet_b3").input_size
    300
    >>> get_backbone("resnet81")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: unknown backbone 'resnet81'; the nearest names are ...
    """
    if not isinstance(name, str):
        raise TypeError(
            f"a backbone is named by a string, got {type(name).__name__}; a module is refused "
            "because cloning the estimator would copy its trained weights: register what builds "
            f"it as an entry point of the group {GROUP!r}"
        )
    if name.startswith("timm/"):
        # Imported here, because only these names need timm, which takes seconds to import.
        from skall.backbones.timm_models import find_timm_backbone

        return find_timm_backbone(name)
    return _load(_find(name, tuple(sys.path)))


def is_shipped(name: str) -> bool:
    """Whether a registered backbone is one of skall's own; errors as of :func:`get_backbone`."""
    return _get_distribution(_find(name, tuple(sys.path))).name == "skall"


def describe_source(name: str) -> str:
    """The package and version that registers a backbone; empty for names that begin with timm/."""
    if name.startswith("timm/"):
        return ""
    package = _get_distribution(_find(name, tuple(sys.path)))
    return f"{package.name} {package.version}"


@cache
def _find(name: str, path: tuple[str, ...]) -> EntryPoint:
    """The only entry point of a name; cached, because the metadata of all packages is searched."""
    claims = list(entry_points(group=GROUP, name=name))
    if len(claims) > 1:
        packages = " and ".join(sorted(_package(entry) for entry in claims))
        raise ValueError(f"backbone {name!r} is claimed by {packages}; uninstall all but one")
    if not claims:
        nearest = get_close_matches(name.lower(), list_backbones(), n=5)
        hint = f"the nearest names are {', '.join(nearest)}" if nearest else "no name is near it"
        raise ValueError(
            f"unknown backbone {name!r}; {hint}; skall.list_backbones() has them all, and any of "
            f"timm's models goes by 'timm/<model>', such as 'timm/{name}' if timm has it"
        )
    return claims[0]


def _load(entry: EntryPoint) -> Backbone:
    # Imported here: listing names does not need torch, which takes seconds to import.
    from torch import nn

    try:
        loaded = entry.load()
    except Exception as exc:  # the import of a plugin may raise anything
        raise ImportError(
            f"backbone {entry.name!r} of {_package(entry)} cannot be imported: "
            f"{type(exc).__name__}: {exc}"
        ) from exc
    if isinstance(loaded, Backbone):
        return loaded
    if not callable(loaded) or isinstance(loaded, nn.Module):
        raise TypeError(
            f"backbone {entry.name!r} of {_package(entry)} ({entry.value}) is a "
            f"{type(loaded).__name__}; it must be a function build(weights) or a skall.Backbone"
        )
    return Backbone(loaded)


def _package(entry: EntryPoint) -> str:
    return f"package {_get_distribution(entry).name!r}"


def _get_distribution(entry: EntryPoint) -> Distribution:
    assert entry.dist is not None, "entry points of installed packages have one"
    return entry.dist
