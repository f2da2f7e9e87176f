"""From the name of a backbone to a network that takes images of one size."""

import torch
from torch import nn

from skall.backbones.registry import get_backbone
from skall.backbones.weights import build_trunk, identify_weights
from skall.network.frozen import LAST_TRUNK, find_frozen
from skall.network.trunk import FeatureExtractor, list_stages, probe

CANDIDATE_SIZES = (8, 16, 24, 32, 48, 64, 71, 75, 96, 112, 128, 160, 192, 224, 256, 299, 384, 512)


def build_extractor(name, weights, pooling, backbone=None, frozen=False):
    """The trunk of a backbone with its normalisation and pooling.

    Parameters
    ----------
    name : str
    weights : {"imagenet", None} or path
    pooling : {"avg", "flatten", None}
    backbone : Backbone, optional
        What the name stands for, if it has been looked up.
    frozen : bool, default=False
        The trunk will not be trained: the last such trunk of this process is used again where
        no other estimator has it, see :class:`skall.network.frozen.LastTrunk`.

    Returns
    -------
    FeatureExtractor
        In evaluation mode.
    """
    backbone = backbone or get_backbone(name)

    def build():
        return build_trunk(name, weights, backbone)

    if frozen and weights is not None:
        trunk = LAST_TRUNK.get((name, backbone, *identify_weights(name, weights)), build)
    else:
        trunk = build()
    return FeatureExtractor(trunk, backbone.mean, backbone.std, pooling).eval()


def measure_features(extractor, name, size):
    """Shape of the features of one image.

    Parameters
    ----------
    extractor : FeatureExtractor
    name : str
        The backbone's, for messages.
    size : int
        Height and width of the image in pixels.

    Returns
    -------
    tuple of int
        ``(c, h', w')`` or ``(c,)``.

    Raises
    ------
    ValueError
        Where the network cannot take this size, with those it can, or does not give features.
    """
    frozen, key = find_frozen(extractor.trunk), (extractor.pooling, size)
    if frozen is None:
        return _measure(extractor, name, size)
    if key not in frozen.shapes:
        frozen.shapes[key] = _measure(extractor, name, size)
    return frozen.shapes[key]


def _measure(extractor, name, size):
    try:
        with torch.no_grad():
            images = torch.zeros(2, 3, size, size, device=extractor.mean.device)
            features = extractor.trunk(images)
    except NotImplementedError:
        # The meta device lacks an operation: nothing is known of the size.
        raise
    except (RuntimeError, ValueError, AssertionError) as exc:
        possible = _possible_sizes(name)
        raise ValueError(
            f"backbone {name!r} cannot take image_size={size}; of the usual sizes it takes "
            f"{', '.join(map(str, possible)) or 'none'} ({type(exc).__name__}: "
            f"{str(exc).splitlines()[0] if str(exc) else ''})"
        ) from exc
    is_tensor = torch.is_tensor(features)
    shape = tuple(features.shape) if is_tensor else ()
    valid = len(shape) in (2, 4) and shape[0] == 2 and 0 not in shape
    if not valid or features.dtype != torch.float32:
        found = f"{shape} of {features.dtype}" if is_tensor else f"a {type(features).__name__}"
        raise ValueError(
            f"the trunk of backbone {name!r} turns images (2, 3, {size}, {size}) into {found}; it "
            "must give a feature map (2, c, h, w) or a vector (2, c) of torch.float32"
        )
    return tuple(extractor.pool(features).shape[1:])


def compose_stages(extractor, backbone, size):
    """The stages of a trunk, if one after the other they compute what it computes.

    Parameters
    ----------
    extractor : FeatureExtractor
        On the CPU, in evaluation mode.
    backbone : Backbone
    size : int
        Height and width of the images in pixels.

    Returns
    -------
    list of torch.nn.Module
        Empty if they do not, or are not known.
    """
    stages = list_stages(extractor.trunk, backbone) or []
    image = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        try:
            composed = nn.Sequential(*stages)(image)
        except (RuntimeError, TypeError, ValueError):
            return []
        whole = extractor.trunk(image)
    return stages if torch.is_tensor(composed) and torch.equal(composed, whole) else []


def _possible_sizes(name):
    sizes = sorted({*CANDIDATE_SIZES, get_backbone(name).input_size})
    return [size for size in sizes if _takes(name, size)]


def _takes(name, size):
    backbone = get_backbone(name)
    try:
        _, shape = probe(lambda: backbone.build(None), size)
    except (RuntimeError, ValueError, AssertionError):
        return False
    return 0 not in shape
