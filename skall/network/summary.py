"""How large a network is: parameters, operations, shapes."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from skall.backbones.registry import get_backbone
from skall.environment.randomness import seeded
from skall.network.construction import measure_features
from skall.network.heads import make_head, pooling_of
from skall.network.network import Network, find_fixed
from skall.network.trunk import FeatureExtractor, probe


def summarize(estimator, n_classes=None):
    """Parameters, optimizer state, bytes and operations of a classifier's network.

    Batch normalisation's running means and variances count as non-trainable parameters, and the
    optimizer's state includes an iteration counter and a learning rate, as Keras counts and as
    Vinod et al. (IJSREM 09/05, 2025) report. No weights are loaded.

    Parameters
    ----------
    estimator : CNNClassifier
        Fitted or not.
    n_classes : int, optional
        By default those that were fitted, two before `fit`.

    Returns
    -------
    dict
        ``trainable``, ``non_trainable``, ``optimizer``: numbers of parameters; ``bytes``: size of
        the weights; ``macs``: multiply-accumulates for one image; ``feature_shape``: shape of the
        trunk's output, ``(c, h', w')`` or ``(c,)``.

    Raises
    ------
    ValueError
        Where the network cannot take images of this size.
    """
    network, size = sketch_network(estimator, n_classes)
    trainable = sum(p.numel() for p in network.parameters() if p.requires_grad)
    fixed = sum(p.numel() for p in network.parameters() if not p.requires_grad)
    state = network.state_dict().values()
    return {
        "trainable": trainable,
        "non_trainable": fixed + _count_statistics(network),
        "optimizer": _count_slots(estimator) * trainable + 2,
        "bytes": sum(tensor.numel() * tensor.element_size() for tensor in state),
        "macs": count_macs(network, size),
        "feature_shape": measure_trunk(network.extractor.trunk, size),
    }


def sketch_network(estimator, n_classes=None):
    """The network that a classifier would train, without weights or memory where it can be.

    Parameters
    ----------
    estimator : CNNClassifier
        Fitted or not.
    n_classes : int, optional
        By default those that were fitted, two before `fit`.

    Returns
    -------
    network : Network
    size : int
        Height and width of its images in pixels.

    Raises
    ------
    ValueError
        Where the network cannot take images of this size, or has not the stages to be trained.
    """
    backbone = get_backbone(estimator.backbone)
    size = estimator.image_size or backbone.input_size
    if n_classes is None:
        n_classes = len(estimator.classes_) if estimator.initialized_ else 2
    n_outputs = 1 if n_classes == 2 else n_classes

    def build():
        pooling = pooling_of(estimator.head)
        extractor = FeatureExtractor(backbone.build(None), backbone.mean, backbone.std, pooling)
        extractor.eval()
        shape = measure_features(extractor, estimator.backbone, size)
        head = make_head(estimator.head, shape, n_outputs, estimator.dropout)
        fixed = find_fixed(estimator.trainable, extractor, backbone, estimator.backbone)
        return Network(extractor, head, fixed)

    with seeded(0):
        network, _ = probe(build, size)
    return network, size


def measure_trunk(trunk, size):
    """Shape of a trunk's output for one image, ``(c, h', w')`` or ``(c,)``."""
    device = next(trunk.parameters()).device
    with torch.no_grad():
        return tuple(trunk(torch.zeros(1, 3, size, size, device=device)).shape[1:])


def count_macs(module, size):
    """Multiply-accumulates of a module's convolutions and matrix products for one image.

    Parameters
    ----------
    module : torch.nn.Module
    size : int
        Height and width of the image in pixels.

    Returns
    -------
    int
    """
    device = next(module.parameters()).device
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(torch.zeros(1, 3, size, size, device=device))
    return counter.get_total_flops() // 2


def _count_statistics(module):
    """Running means and variances of a module's normalisations."""
    names = ("running_mean", "running_var")
    return sum(t.numel() for name, t in module.named_buffers() if name.endswith(names))


def _count_slots(estimator):
    """Numbers that the optimizer keeps for each parameter, found with a step on one."""
    weight = nn.Parameter(torch.zeros(2, 3))
    weight.grad = torch.ones(2, 3)
    options = {"lr": 1e-3} | estimator.get_params_for("optimizer")
    options.pop("param_groups", None)
    optimizer = estimator.optimizer([weight], **options)
    optimizer.step(lambda: torch.zeros(()))
    state = optimizer.state[weight].values()
    return sum(torch.is_tensor(value) and value.shape == weight.shape for value in state)


def measure_backbone(backbone, size):
    """Size of a trunk of which nothing is trained.

    Parameters
    ----------
    backbone : Backbone
    size : int
        Height and width of its images in pixels.

    Returns
    -------
    dict
        ``parameters``, without the ``statistics`` of its normalisations; ``macs`` and
        ``feature_shape`` as :func:`summarize` has them.
    """
    with seeded(0):
        trunk, shape = probe(lambda: backbone.build(None), size)
    return {
        "parameters": sum(p.numel() for p in trunk.parameters()),
        "statistics": _count_statistics(trunk),
        "macs": count_macs(trunk, size),
        "feature_shape": shape,
    }


def describe_backbone(name):
    """A registered backbone and its size, found by building it.

    Parameters
    ----------
    name : str

    Returns
    -------
    dict
        With the columns of :func:`skall.backbones.catalogue.describe_backbones`.
    """
    backbone = get_backbone(name)
    measured = measure_backbone(backbone, backbone.input_size)
    return {
        "source": getattr(backbone.build, "source", None) or _locate(backbone.build),
        "input_size": backbone.input_size,
        **{key: measured[key] for key in ("parameters", "macs", "feature_shape")},
        "license": backbone.license,
        "url": backbone.url,
    }


def _locate(build):
    return f"{build.__module__}.{getattr(build, '__qualname__', type(build).__qualname__)}"
