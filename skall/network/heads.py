"""The head: from the features of a trunk to logits."""

import torch
from torch import nn


def make_head(head, feature_shape, n_outputs, dropout):
    """The head that the parameter of this name describes.

    Parameters
    ----------
    head : {"linear", "mlp"} or callable
        ``"mlp"`` is the head Flatten-256-ReLU-128-ReLU of Vinod et al. (IJSREM 09/05, 2025).
    feature_shape : tuple of int
        Shape of one image's features, ``(c, h', w')`` or ``(c,)``.
    n_outputs : int
        Number of logits.
    dropout : float
        Probability of dropping an input of the last linear layer.

    Returns
    -------
    torch.nn.Module
        From the features that :func:`pooling_of` the head asks for to logits.
    """
    if callable(head):
        return _check_head(head(feature_shape, n_outputs), feature_shape, n_outputs)
    if head == "linear":
        return nn.Sequential(nn.Dropout(dropout), nn.Linear(feature_shape[0], n_outputs))
    n_features = torch.Size(feature_shape).numel()
    return nn.Sequential(
        nn.Linear(n_features, 256),
        nn.ReLU(),
        nn.Linear(256, 128),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(128, n_outputs),
    )


def pooling_of(head):
    """How the features of this head are pooled."""
    return {"linear": "avg", "mlp": "flatten"}.get(head) if isinstance(head, str) else None


def _check_head(module, feature_shape, n_outputs):
    if not isinstance(module, nn.Module):
        raise TypeError(f"head must return a torch.nn.Module; got {type(module).__name__}")
    module.eval()
    try:
        with torch.no_grad():
            shape = tuple(module(torch.zeros(2, *feature_shape)).shape)
    except (RuntimeError, ValueError) as exc:
        raise ValueError(
            f"the module that head returned cannot take features {(2, *feature_shape)}: {exc}"
        ) from exc
    if shape != (2, n_outputs):
        raise ValueError(
            f"head must turn features {(2, *feature_shape)} into logits {(2, n_outputs)}; its "
            f"module gives {shape}"
        )
    return module
