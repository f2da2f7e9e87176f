"""The trunk: from images to features, with its normalisation, stages and pooling."""

import torch
from torch import nn

from skall.network.precision import Numerics


class TrunkPart(nn.Module):
    """Some of a network between images and head, computed as its numerics say.

    Parameters
    ----------
    trunk : torch.nn.Module
        From normalised images, or the output of an earlier part, to a map ``(n, c, h', w')`` or
        vector ``(n, c)``.
    pooling : {"avg", "flatten", None}
        Mean over the places of the map; the map as one vector; the map as it is.
    numerics : Numerics, optional
        Precision and memory format; what comes out is float32 in any case.
    """

    def __init__(self, trunk, pooling=None, numerics=None):
        super().__init__()
        self.trunk = trunk
        self.pooling = pooling
        self.numerics = numerics or Numerics()

    def forward(self, x):
        """Features of normalised images, or of what an earlier part gave."""
        with self.numerics.autocast(x.device):
            features = self.trunk(self.numerics.arrange(x))
        return self.pool(features.float())

    def with_trunk(self, trunk):
        """The same around another trunk."""
        return TrunkPart(trunk, self.pooling, self.numerics)

    def pool(self, features):
        """The trunk's output as the head takes it."""
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
        What the trunk's images are normalised with.
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
            weights before it ask for one.

        Returns
        -------
        torch.Tensor
            float32 ``(n, c, h', w')``, ``(n, c)`` or ``(n, c * h' * w')``, as it is pooled.
        """
        white = 255 if images.dtype == torch.uint8 else 1
        x = normalise(images, white * self.mean, white * self.std)
        if record and not x.requires_grad:
            # Not itself the leaf, which the trunk's first layer could not change in place.
            x = x.requires_grad_().clone()
        return super().forward(x)

    def with_trunk(self, trunk):
        """The same around another trunk."""
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
    # As rows of all channels of all pixels: torch takes several times as long where what it
    # subtracts from neighbours in memory are three numbers and the same three again.
    n, c, h, w = images.shape
    rows = images.permute(0, 2, 3, 1).reshape(n * h, w * c).to(mean.dtype, copy=True)
    mean, std = (value.flatten().repeat(w) for value in (mean, std))
    return rows.sub_(mean).div_(std).view(n, h, w, c).permute(0, 3, 1, 2)


def list_stages(trunk, backbone):
    """The ordered modules that a backbone says its trunk is composed of; None if it does not.

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


def probe(build, size):
    """Shape of the features of one image, found without weights or memory.

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
        # Not every network can be built or run without data.
        module = build().eval()
        return module, _output_shape(module, torch.zeros(1, 3, size, size))


def _output_shape(module, image):
    with torch.no_grad():
        return tuple(module(image).shape[1:])
