"""Networks that only predict, made faster."""

from copy import deepcopy
from functools import partial

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_weights

# Of the largest output: what rounding may change in a deep network is far below.
TOLERANCE = 1e-3


def accelerate(part, x):
    """A part of a network for prediction alone, with folded normalisations and cast weights.

    Parameters
    ----------
    part : TrunkPart
        In evaluation mode. It stays as it is.
    x : torch.Tensor
        What its trunk takes, of one row or more.

    Returns
    -------
    TrunkPart
        With the same outputs, to rounding.
    """
    trunk = fold_normalisation(part.trunk, x)
    if part.numerics.precision == "bfloat16":
        # Autocasting would cast them again in each batch.
        trunk = deepcopy(trunk).requires_grad_(False) if trunk is part.trunk else trunk
        for module in trunk.modules():
            if type(module) in (nn.Conv2d, nn.Linear):
                module.bfloat16()
    part.numerics.arrange_weights(trunk)
    return part.with_trunk(trunk)


def fold_normalisation(module, x):
    """A copy of a module, for prediction alone, whose convolutions normalise by themselves.

    In evaluation mode batch normalisation is linear, so that it can be a part of the convolution
    before it (Jacob et al. 2018, arXiv 1712.05877, section 3.2). Which normalisation follows which
    convolution is seen when the module runs, and a fold that would change what it computes, because
    something else needs the output of the convolution, is not made.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode.
    x : torch.Tensor
        What to run it on.

    Returns
    -------
    torch.nn.Module
        The copy, or the module itself where nothing could be folded.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    >>> fold_normalisation(net, torch.rand(1, 3, 8, 8))[1]
    Sequential()
    """
    device, x = x.device, x.cpu()
    # Tensors of inference mode do not count their changes.
    with torch.inference_mode(False), torch.no_grad():
        # Watched as a copy: another thread may be running the module. On the CPU, because GPUs
        # round inputs of convolutions to ten bits (TF32), which would hide what differs.
        folded = deepcopy(module).cpu().requires_grad_(False)
        expected, pairs = _find_pairs(folded, x)
        if not pairs:
            return module
        for convolution, normalisation in pairs:
            _fold(folded, convolution, normalisation)
        try:
            difference = (folded(x) - expected).abs().max()
        except AttributeError:
            # A network that looks into its normalisations.
            return module
    return folded.to(device) if difference <= TOLERANCE * expected.abs().max() else module


def make_probe(size, device):
    """An image of noise ``(1, 3, size, size)`` to see how a network runs, always the same."""
    noise = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    return noise.to(device)


def _find_pairs(module, x):
    """The output, and names of convolutions and the normalisations that take what they gave."""
    made, followed, calls = {}, {}, {}

    def note_output(name, convolution, inputs, output):
        calls[name] = calls.get(name, 0) + 1
        # The tensor is kept, so that no other gets its place in memory.
        made[id(output)] = name, output, output._version

    def note_input(name, normalisation, inputs):
        calls[name] = calls.get(name, 0) + 1
        source, output, version = made.get(id(inputs[0]), (None, None, None))
        # Not where something was added to it in place.
        if source is not None and output._version == version:
            followed[source] = name

    handles = []
    for name, part in module.named_modules():
        if isinstance(part, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
            handles.append(part.register_forward_hook(partial(note_output, name)))
        elif isinstance(part, _BatchNorm) and part.running_mean is not None:
            handles.append(part.register_forward_pre_hook(partial(note_input, name)))
    try:
        output = module(x)
    finally:
        for handle in handles:
            handle.remove()
    return output, [pair for pair in followed.items() if all(calls[name] == 1 for name in pair)]


def _fold(module, convolution, normalisation):
    """Fold one normalisation into a convolution, each given by its name."""
    conv, norm = module.get_submodule(convolution), module.get_submodule(normalisation)
    statistics = norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    conv.weight, conv.bias = fuse_conv_bn_weights(conv.weight, conv.bias, *statistics)
    # timm's normalisations have an activation of their own.
    rest = [getattr(norm, name) for name in ("drop", "act") if hasattr(norm, name)]
    module.set_submodule(normalisation, nn.Sequential(*rest))
