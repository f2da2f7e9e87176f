"""Faster networks for prediction: batch normalisation folded into convolutions, cast weights."""

from copy import deepcopy
from functools import partial

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from skall.environment.private_names import count_writes

# Relative to the largest output; rounding in a deep network stays far below.
TOLERANCE = 1e-3
NORMALISATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def accelerate(part, x):
    """Make a part of a network for prediction alone, with folded normalisations and cast weights.

    Parameters
    ----------
    part : TrunkPart
        In evaluation mode; it is not changed.
    x : torch.Tensor
        An input of its trunk, of one row or more.

    Returns
    -------
    accelerated : TrunkPart
        With the same outputs up to rounding.
    """
    trunk = fold_normalisation(part.trunk, x)
    if part.numerics.precision == "bfloat16":
        # Autocast would cast the weights again for each batch.
        trunk = deepcopy(trunk).requires_grad_(False) if trunk is part.trunk else trunk
        for module in trunk.modules():
            if type(module) in (nn.Conv2d, nn.Linear):
                module.bfloat16()
    part.numerics.arrange_weights(trunk)
    return part.with_trunk(trunk)


def fold_normalisation(module, x):
    """Copy a module for prediction alone, with batch normalisation folded into the convolutions.

    In evaluation mode batch normalisation is linear, and can be merged into the convolution before
    it (Jacob et al. 2018, arXiv 1712.05877, section 3.2). The module is run once to see which
    normalisation follows which convolution. Where folding changes the output, because something
    else uses the output of a convolution too, nothing is folded.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode.
    x : torch.Tensor
        The input for that run.

    Returns
    -------
    folded : torch.nn.Module
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
        # Hooks go on a copy, because another thread may be running the module. On the CPU, because
        # GPUs round inputs of convolutions to ten bits (TF32), which would hide differences.
        folded = deepcopy(module).cpu().requires_grad_(False)
        expected, pairs = _find_pairs(folded, x)
        if not pairs:
            return module
        for convolution, normalisation in pairs:
            _fold(folded, convolution, normalisation)
        try:
            difference = (folded(x) - expected).abs().max()
        except AttributeError:
            # The network reads attributes of its normalisations.
            return module
    return folded.to(device) if difference <= TOLERANCE * expected.abs().max() else module


def make_probe(size, device):
    """An image of noise ``(1, 3, size, size)``, always the same, as input of a trial run."""
    noise = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    return noise.to(device)


def _find_pairs(module, x):
    """The output, and pairs of names: a convolution and the normalisation of its output."""
    made, followed, calls = {}, {}, {}

    def note_output(name, convolution, inputs, output):
        calls[name] = calls.get(name, 0) + 1
        # Referenced, so that no other tensor gets the same id.
        made[id(output)] = name, output, count_writes(output)

    def note_input(name, normalisation, inputs):
        calls[name] = calls.get(name, 0) + 1
        source, output, version = made.get(id(inputs[0]), (None, None, None))
        # Not where the output was changed in place meanwhile.
        if source is not None and count_writes(output) == version:
            followed[source] = name

    handles = []
    for name, part in module.named_modules():
        if isinstance(part, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
            handles.append(part.register_forward_hook(partial(note_output, name)))
        elif isinstance(part, NORMALISATIONS) and part.running_mean is not None:
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
    # timm's normalisations include an activation.
    rest = [getattr(norm, name) for name in ("drop", "act") if hasattr(norm, name)]
    module.set_submodule(normalisation, nn.Sequential(*rest))
