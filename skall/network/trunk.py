"""The trunk: from images to features, with its normalisation, stages and pooling."""

import torch
from torch import nn

from skall.backbones.registry import get_backbone
from skall.backbones.weights import build_trunk, identify_weights
from skall.network.frozen import LAST_TRUNK, find_frozen
from skall.network.precision import Numerics

# Image sizes that an error message offers, in pixels.
CANDIDATE_SIZES = (8, 16, 24, 32, 48, 64, 71, 75, 96, 112, 128, 160, 192, 224, 256, 299, 384, 512)


class TrunkPart(nn.Module):
    """A part of a network before the head, computed in given numerics.

    Parameters
    ----------
    trunk : torch.nn.Module
        From normalised images, or the output of an earlier part, to a map ``(n, c, h', w')`` or
        vector ``(n, c)``.
    pooling : {"avg", "flatten", None}
        Mean over the places of the map; the map as one vector; the map as it is.
    numerics : Numerics, optional
        Precision and memory format of the computation; the features are float32 in any case.
    """

    def __init__(self, trunk, pooling=None, numerics=None):
        super().__init__()
        self.trunk = trunk
        self.pooling = pooling
        self.numerics = numerics or Numerics()

    def forward(self, x):
        """Features of normalised images, or of the output of an earlier part."""
        with self.numerics.autocast(x.device):
            features = self.trunk(self.numerics.arrange(x))
        return self.pool(features.float())

    def with_trunk(self, trunk):
        """The same part with another trunk."""
        return TrunkPart(trunk, self.pooling, self.numerics)

    def pool(self, features):
        """The output of the trunk, pooled for the head."""
        if self.pooling == "avg" and features.ndim == 4:
            return features.mean((2, 3))
        return features.flatten(1) if self.pooling in ("avg", "flatten") else features


class FeatureExtractor(TrunkPart):
    """A trunk from raw images to features.

    Parameters
    ----------
    trunk : torch.nn.Module
        From normalised images ``(n, 3, h, w)`` to a map ``(n, c, h', w')`` or vector ``(n, c)``.
    mean, std : tuple of 3 floats
        Per channel, for the normalisation of the images.
    pooling, numerics
        As in :class:`TrunkPart`.
    """

    def __init__(self, trunk, mean, std, pooling=None, numerics=None):
        super().__init__(trunk, pooling, numerics)
        for name, values in {"mean": mean, "std": std}.items():
            values = torch.as_tensor(values, dtype=torch.float32).view(1, 3, 1, 1)
            self.register_buffer(name, values, persistent=False)

    def forward(self, images, record=False):
        """Features of images.

        Parameters
        ----------
        images : torch.Tensor
            ``(n, 3, h, w)``, uint8 or float with 1 as white.
        record : bool, default=False
            Whether every feature map gets a gradient, even where neither the images nor the
            weights before it require one.

        Returns
        -------
        torch.Tensor
            float32 ``(n, c, h', w')``, ``(n, c)`` or ``(n, c * h' * w')``, as it is pooled.
        """
        white = 255 if images.dtype == torch.uint8 else 1
        x = normalise(images, white * self.mean, white * self.std)
        if record and not x.requires_grad:
            # A copy, because the trunk's first layer may work in place, which a leaf forbids.
            x = x.requires_grad_().clone()
        return super().forward(x)

    def with_trunk(self, trunk):
        """The same part with another trunk."""
        return FeatureExtractor(trunk, self.mean, self.std, self.pooling, self.numerics)


def normalise(images, mean, std):
    """``(images - mean) / std``, in the images' memory format.

    Parameters
    ----------
    images : torch.Tensor
        uint8 or float ``(n, c, h, w)``.
    mean, std : torch.Tensor
        float ``(1, c, 1, 1)``.

    Returns
    -------
    torch.Tensor
        float ``(n, c, h, w)``.
    """
    if images.device.type != "cpu" or not images.is_contiguous(memory_format=torch.channels_last):
        return (images - mean).div_(std)
    # As rows of all channels of all pixels: torch takes several times as long to broadcast three
    # numbers over the last dimension.
    n, c, h, w = images.shape
    rows = images.permute(0, 2, 3, 1).reshape(n * h, w * c).to(mean.dtype, copy=True)
    mean, std = (value.flatten().repeat(w) for value in (mean, std))
    return rows.sub_(mean).div_(std).view(n, h, w, c).permute(0, 3, 1, 2)


def build_extractor(name, weights, pooling, backbone=None, frozen=False):
    """Build the trunk of a backbone with its normalisation and pooling.

    Parameters
    ----------
    name : str
    weights : {"imagenet", None} or path
    pooling : {"avg", "flatten", None}
    backbone : Backbone, optional
        The backbone of this name, if it has been looked up.
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
    """Measure the shape of the features of one image.

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
        Where the network cannot take this size, with the sizes that it can take, or its output is
        no feature map or vector.
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
        # The meta device lacks an operation, which says nothing about the size.
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


def probe(build, size):
    """Build a network and measure its output for one image, without weights or memory.

    Parameters
    ----------
    build : callable
        Returns the module to probe.
    size : int
        Height and width of the image in pixels.

    Returns
    -------
    module : torch.nn.Module
        In evaluation mode, on the meta device where it can be built there.
    shape : tuple of int
        ``(c, h', w')`` or ``(c,)``.
    """
    try:
        with torch.device("meta"):
            module = build().eval()
        return module, _output_shape(module, torch.empty(1, 3, size, size, device="meta"))
    except (NotImplementedError, RuntimeError):
        # Some networks cannot be built or run on the meta device.
        module = build().eval()
        return module, _output_shape(module, torch.zeros(1, 3, size, size))


def _output_shape(module, image):
    with torch.no_grad():
        return tuple(module(image).shape[1:])


def list_stages(trunk, backbone):
    """List the stages of a trunk in order, as its backbone gives them; None where it does not.

    Parameters
    ----------
    trunk : torch.nn.Module
    backbone : Backbone

    Returns
    -------
    list of torch.nn.Module or None
    """
    if backbone.stages is not None:
        return list(backbone.stages(trunk))
    return list(trunk) if isinstance(trunk, nn.Sequential) else None


def compose_stages(extractor, backbone, size):
    """List the stages of a trunk, if their composition computes what the trunk computes.

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
        Empty if it does not, or the stages are unknown.
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
