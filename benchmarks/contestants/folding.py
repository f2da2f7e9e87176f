"""BatchNorm folded into the convolution before it, for prediction."""

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
    for convolution, norm in find_pairs(model, images):
        convolution.weight, convolution.bias = fuse_conv_bn_weights(
            convolution.weight,
            convolution.bias,
            norm.running_mean,
            norm.running_var,
            norm.eps,
            norm.weight,
            norm.bias,
        )
        _replace(model, norm, _rest_of(norm))
    difference = (_run(model, images) - expected).abs().max()
    if difference > TOLERANCE * expected.abs().max():
        raise ValueError(f"folding changes the logits by {difference:.3g}")
    return model


def find_pairs(model, images):
    """Convolutions with the BatchNorm that takes what they give."""
    made, pairs = {}, []

    def watch(module, inputs, output):
        if isinstance(module, nn.Conv2d):
            # Kept alive, as another tensor would get its id else.
            made[id(output)] = output, module
        elif id(inputs[0]) in made:
            pairs.append((made[id(inputs[0])][1], module))

    watched = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.BatchNorm2d))]
    hooks = [module.register_forward_hook(watch) for module in watched]
    try:
        _run(model, images)
    finally:
        for hook in hooks:
            hook.remove()
    return pairs


def _rest_of(norm):
    """What a BatchNorm does besides: timm's has the activation inside."""
    return nn.Sequential(*norm.children()) if list(norm.children()) else nn.Identity()


def _replace(model, old, new):
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if child is old:
                setattr(parent, name, new)


def _run(model, images):
    with torch.no_grad():
        return model(images)
