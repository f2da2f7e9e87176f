"""The size of a network: parameters, operations, shapes."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from skall.backbones.registry import get_backbone
from skall.environment.randomness import seeded
from skall.network.heads import make_head, pooling_of
from skall.network.network import Network, find_fixed
from skall.network.trunk import FeatureExtractor, measure_features, probe


def summarize(estimator, n_classes=None):
    """Count parameters, optimizer state, bytes and operations of a classifier's network.

    Batch normalisation's running means and variances count as non-trainable parameters, and the
    optimizer's state includes an iteration counter and a learning rate, as Keras counts and as
    Vinod et al. (IJSREM 09/05, 2025) report. No weights are loaded.

    Parameters
    ----------
    estimator : CNNClassifier
        Fitted or not.
    n_classes : int, optional
        By default the number of ``classes_``, or two before `fit`.

    Returns
    -------
    summary : dict
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
    """Build the network that a classifier would train, on the meta device where possible.

    Parameters
    ----------
    estimator : CNNClassifier
        Fitted or not.
    n_classes : int, optional
        By default the number of ``classes_``, or two before `fit`.

    Returns
    -------
    network : Network
    size : int
        Height and width of its images in pixels.

    Raises
    ------
    ValueError
        Where the network cannot take images of this size, or has fewer stages than `trainable`.
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
    """Measure the shape of a trunk's output for one image, ``(c, h', w')`` or ``(c,)``."""
    device = next(trunk.parameters()).device
    with torch.no_grad():
        return tuple(trunk(torch.zeros(1, 3, size, size, device=device)).shape[1:])


def count_macs(module, size):
    """Count multiply-accumulates of a module's convolutions and matrix products for one image.

    Parameters
    ----------
    module : torch.nn.Module
    size : int
        Height and width of the image in pixels.

    Returns
    -------
    macs : int
    """
    device = next(module.parameters()).device
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(torch.zeros(1, 3, size, size, device=device))
    return counter.get_total_flops() // 2


def _count_statistics(module):
    """Number of running means and variances of a module's normalisations."""
    names = ("running_mean", "running_var")
    return sum(t.numel() for name, t in module.named_buffers() if name.endswith(names))


def _count_slots(estimator):
    """Number of states that the optimizer keeps for each parameter, found with a trial step."""
    weight = nn.Parameter(torch.zeros(2, 3))
    weight.grad = torch.ones(2, 3)
    options = {"lr": 1e-3} | estimator.get_params_for("optimizer")
    options.pop("param_groups", None)
    optimizer = estimator.optimizer([weight], **options)
    optimizer.step(lambda: torch.zeros(()))
    state = optimizer.state[weight].values()
    return sum(torch.is_tensor(value) and value.shape == weight.shape for value in state)


def measure_backbone(backbone, size):
    """Count parameters and operations of a backbone's trunk.

    Parameters
    ----------
    backbone : Backbone
    size : int
        Height and width of its images in pixels.

    Returns
    -------
    size : dict
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
    """Describe a registered backbone and its size by building it.

    Parameters
    ----------
    name : str

    Returns
    -------
    description : dict
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
