"""The description of a backbone: how to build its trunk, its images and its stages."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # The import takes seconds, and listing backbones does not need it.
    from torch import nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Backbone:
    """A trunk that turns images into features, and how its images are normalised.

    Parameters
    ----------
    build : callable
        ``build(weights)`` returns the trunk, an :class:`torch.nn.Module` from float32 images
        ``(n, 3, h, w)`` to a feature map ``(n, c, h', w')`` or a vector ``(n, c)``. ``weights`` is
        None for random weights or ``"imagenet"`` for the published ones; a backbone that has none
        raises ValueError. A map is averaged over height and width; networks with another pooling,
        with tokens or channels-last maps as output, or with layers after the pooling return their
        own vector.
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

    Raises
    ------
    TypeError, ValueError
        For an invalid field.
    """

    build: "Callable[[str | None], nn.Module]"
    input_size: int = 224
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    stages: "Callable[[nn.Module], Sequence[nn.Module]] | None" = None
    license: str | None = None
    url: str | None = None

    def __post_init__(self):
        if not callable(self.build):
            raise TypeError(f"build must be a function build(weights), got {self.build!r}")
        if not isinstance(self.input_size, Integral) or self.input_size < 1:
            raise ValueError(f"input_size must be a number of pixels, got {self.input_size!r}")
        for name, values in {"mean": self.mean, "std": self.std}.items():
            numbers = isinstance(values, (tuple, list)) and all(
                isinstance(value, Real) for value in values
            )
            if not numbers or len(values) != 3:
                raise ValueError(f"{name} must be three numbers, one a channel, got {values!r}")
        if min(self.std) <= 0:
            raise ValueError(f"std must be positive, got {self.std!r}")


def split_stages(trunk: "nn.Module") -> "list[nn.Sequential]":
    """Split a trunk, whose forward is its children in order, into stages.

    A stage starts at each module with a convolution; the normalisations, activations and poolings
    that follow belong to it.

    Parameters
    ----------
    trunk : torch.nn.Module
        Its children called ``features``, ``blocks`` or ``stages`` count as the modules in them.

    Returns
    -------
    stages : list of torch.nn.Sequential
        Their composition is the trunk, and they share its weights.
    """
    from torch import nn

    stages: list[list[nn.Module]] = []
    for module in _walk(trunk):
        if not stages or any(isinstance(part, nn.Conv2d) for part in module.modules()):
            stages.append([])
        stages[-1].append(module)
    return [nn.Sequential(*stage) for stage in stages]


def _walk(trunk: "nn.Module") -> "Iterator[nn.Module]":
    for name, child in trunk.named_children():
        parts: Any = child if name in {"features", "blocks", "stages"} else (child,)
        yield from parts
