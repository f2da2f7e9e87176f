"""Backbones by name, found through the entry-point group ``skall.backbones``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points

from torch import nn

GROUP = "skall.backbones"
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Backbone:
    """A trunk that turns images into features, and what it needs of its images.

    Parameters
    ----------
    build : callable
        ``build(weights)`` returns the trunk, an :class:`torch.nn.Module` from float32 images
        ``(n, 3, h, w)`` to a feature map ``(n, c, h', w')`` or a vector ``(n, c)``. ``weights`` is
        None for random weights or ``"imagenet"`` for the published ones; a backbone that has none
        raises ValueError. Networks whose output is a sequence of tokens or a channels-last map
        return their pooled vector.
    input_size : int, default=224
        Height and width, in pixels, of the images that the published weights were trained on.
    mean, std : tuple of 3 floats, default=ImageNet's
        Mean and standard deviation, per RGB channel on the scale [0, 1], that the trunk's images
        are normalised with.
    stages : callable, optional
        ``stages(module)`` returns the ordered modules whose composition is the trunk; by default
        the children of an :class:`torch.nn.Sequential`.
    license : str, optional
        Licence of the published weights.
    url : str, optional
        Where the published weights come from.
    """

    build: Callable[[str | None], nn.Module]
    input_size: int = 224
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    stages: Callable[[nn.Module], Sequence[nn.Module]] | None = None
    license: str | None = None
    url: str | None = None


def list_backbones() -> list[str]:
    """Names of the registered backbones, sorted.

    Only the metadata of the installed packages is read: nothing is imported, so a plugin that is
    broken is listed too.

    Examples
    --------
    >>> from skall import list_backbones
    >>> [name for name in list_backbones() if name.startswith("densenet")]
    ['densenet121', 'densenet201']
    """
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def get_backbone(name: str) -> Backbone:
    """The backbone of a name.

    Parameters
    ----------
    name : str
        One of :func:`list_backbones`, or ``"timm/<model>"``.

    Returns
    -------
    Backbone

    Raises
    ------
    TypeError
        Where the name is not a string, or what is registered is neither a callable nor a
        :class:`Backbone`.
    ValueError
        Where nothing has this name, with the nearest names, or two packages claim it; neither is
        imported then.
    ImportError
        Where the package that has it cannot be imported, with its own error.

    Examples
    --------
    >>> from skall.registry import get_backbone
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
        # Only these names need timm, whose import takes seconds.
        from skall.backbones.timm_models import find_timm_backbone

        return find_timm_backbone(name)
    return _load(_find(name))


def _find(name: str) -> EntryPoint:
    """The one entry point of a name."""
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
    try:
        loaded = entry.load()
    except Exception as exc:  # whatever the import of somebody else's code may raise
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
    return f"package {entry.dist.name!r}"
