"""The stages of a trunk, in order: what is trained where only the last few are."""

from collections.abc import Iterator

from torch import nn


def split_stages(trunk: nn.Module) -> list[nn.Sequential]:
    """Stages of a trunk whose forward is its children in order.

    A stage starts at each module with a convolution; the normalisations, activations and poolings
    that follow belong to it.

    Parameters
    ----------
    trunk : torch.nn.Module
        Its children called ``features``, ``blocks`` or ``stages`` count as the modules in them.

    Returns
    -------
    list of torch.nn.Sequential
        Their composition is the trunk, and they share its weights.
    """
    stages: list[list[nn.Module]] = []
    for module in _walk(trunk):
        if not stages or any(isinstance(part, nn.Conv2d) for part in module.modules()):
            stages.append([])
        stages[-1].append(module)
    return [nn.Sequential(*stage) for stage in stages]


def _walk(trunk: nn.Module) -> Iterator[nn.Module]:
    for name, child in trunk.named_children():
        yield from child if name in {"features", "blocks", "stages"} else (child,)
