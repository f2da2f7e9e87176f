"""BatchNorm folded into the convolution before it, for prediction."""

from functools import partial

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

# Largest difference of a logit, relative to the largest logit, that folding may make.
TOLERANCE = 1e-3


def fold_batch_norm(model, images):
    """Fold each BatchNorm whose input is what a convolution gave, in place.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode.
    images : Tensor
        A batch to follow through the model, and to check the result with.

    Returns
    -------
    torch.nn.Module
        The model.

    Raises
    ------
    ValueError
        Where the folded model gives something else.
    """
    expected = _run(model, images)
    fold_pairs(model, find_pairs(model, images))
    difference = (_run(model, images) - expected).abs().max()
    if difference > TOLERANCE * expected.abs().max():
        raise ValueError(f"folding changes the output by {difference:.3g}")
    return model


def fold_pairs(model, pairs):
    """Fold in place, unchecked, what :func:`find_pairs` found in a model of the same layers."""
    with torch.no_grad():
        for convolution, norm in pairs:
            conv, bn = model.get_submodule(convolution), model.get_submodule(norm)
            statistics = bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
            conv.weight, conv.bias = fuse_conv_bn_weights(conv.weight, conv.bias, *statistics)
            # timm's has the activation inside.
            model.set_submodule(norm, nn.Sequential(*bn.children()))
    return model


def find_pairs(model, images):
    """Names of convolutions and of the BatchNorm that takes what they give."""
    made, pairs = {}, []

    def watch(name, module, inputs, output):
        if isinstance(module, nn.Conv2d):
            # Kept alive, as another tensor would get its id else.
            made[id(output)] = output, name
        elif id(inputs[0]) in made:
            pairs.append((made[id(inputs[0])][1], name))

    hooks = [
        module.register_forward_hook(partial(watch, name))
        for name, module in model.named_modules()
        if isinstance(module, (nn.Conv2d, nn.BatchNorm2d))
    ]
    try:
        _run(model, images)
    finally:
        for hook in hooks:
            hook.remove()
    return pairs


def _run(model, images):
    with torch.no_grad():
        return model(images)
