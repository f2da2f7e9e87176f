"""The network: a trunk with its normalisation and pooling, and a head."""

from itertools import chain

import torch
from torch import nn

from skall.precision import Numerics

BLOCK = 16
TINY = 64


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

    def forward(self, images):
        """Features of images ``(n, 3, h, w)``, uint8 or float with 1 as white."""
        white = 255 if images.dtype == torch.uint8 else 1
        return super().forward(normalise(images, white * self.mean, white * self.std))

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


class Network(nn.Module):
    """Feature extractor and head; two classes come from one free logit.

    Parameters
    ----------
    extractor : FeatureExtractor
    head : torch.nn.Module
        From features to logits ``(n, n_outputs)``.
    fixed : iterable of torch.nn.Module, default=()
        What training leaves as it is: without gradients and in evaluation mode.
    stages : sequence of torch.nn.Module, default=()
        Where ``fixed`` holds the first stages of the trunk: all of them, whose composition is the
        trunk.
    """

    def __init__(self, extractor, head, fixed=(), stages=()):
        super().__init__()
        self.extractor = extractor
        self.head = head
        self.fixed = tuple(fixed)
        # No list of torch's: the trunk has registered them.
        self.stages = tuple(stages)
        n_first = len(self.fixed)
        parts = self.stages[:n_first], self.stages[n_first:]
        self._parts = tuple(nn.Sequential(*part) for part in parts)
        self.frozen = None
        self.freeze()

    def freeze(self, *modules):
        """Freeze these modules for now, beside those that are fixed, and thaw all others."""
        if self.frozen == (*self.fixed, *modules):
            return
        self.frozen = (*self.fixed, *modules)
        self.requires_grad_(True)
        for module in self.frozen:
            module.requires_grad_(False)
        self.train(self.training)

    @property
    def is_fixed(self):
        """Whether training leaves the whole trunk as it is."""
        return self.extractor in self.fixed

    @property
    def device(self):
        """The device that the weights are on."""
        return self.extractor.mean.device

    def move(self, device):
        """Bring whatever is not there to a device; whether there was anything."""
        tensors = chain(self.parameters(), self.buffers())
        if all(tensor.device == device for tensor in tensors):
            return False
        # What predicts may still be trained.
        with torch.inference_mode(False):
            self.to(device)
        return True

    @property
    def front(self):
        """What comes before all that is trained, as a FeatureExtractor; None if nothing does."""
        whole = self.extractor
        if self.is_fixed:
            return whole
        if not self.stages:
            return None
        first, _ = self._parts
        return FeatureExtractor(first, whole.mean, whole.std, numerics=whole.numerics)

    @property
    def back(self):
        """What comes between front and head; None if nothing does."""
        if self.is_fixed:
            return None
        whole = self.extractor
        if not self.stages:
            return whole
        _, last = self._parts
        return TrunkPart(last, whole.pooling, whole.numerics)

    def forward(self, images=None, features=None):
        """Logits ``(n, n_classes)`` of images, or of the features that the front made."""
        if features is None:
            features = self.extractor(images)
        elif self.back is not None:
            features = self.back(features)
        return self.classify(features)

    def classify(self, features):
        """Logits ``(n, n_classes)`` of all that comes before the head."""
        logits = self.head(features)
        if logits.shape[1] == 1:
            # softmax over (0, z) is the sigmoid of z: one free logit, every loss for classes.
            logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
        return logits

    def train(self, mode=True):
        """Switch to training, except for what is frozen."""
        super().train(mode)
        for module in self.frozen:
            module.eval()
        return self

    def learned_state(self):
        """The tensors that training changes, by name: all but those of fixed modules."""
        states = [module.state_dict(keep_vars=True) for module in self.fixed]
        fixed = {id(tensor) for state in states for tensor in state.values()}
        learned = self.state_dict(keep_vars=True).items()
        return {name: tensor.detach() for name, tensor in learned if id(tensor) not in fixed}


def find_fixed(trainable, extractor, backbone, name):
    """The modules that the parameter ``trainable`` leaves as they are.

    Parameters
    ----------
    trainable : {"all", "head"} or int
        An int k trains the last k stages of the trunk, and the head.
    extractor : FeatureExtractor
    backbone : Backbone
    name : str
        The backbone's, for messages.

    Returns
    -------
    list of torch.nn.Module

    Raises
    ------
    ValueError
        Where the trunk has fewer stages, or nobody knows them.
    """
    if isinstance(trainable, str):
        return [extractor] if trainable == "head" else []
    stages = list_stages(extractor.trunk, backbone)
    if stages is None:
        raise ValueError(
            f"trainable={trainable}: the stages of backbone {name!r} are not known; use 'all' or "
            "'head', or give its Backbone a function stages(module)"
        )
    if trainable > len(stages):
        raise ValueError(
            f"trainable={trainable}: backbone {name!r} has {len(stages)} stages; an integer "
            f"from 1 to {len(stages)} trains the last of them"
        )
    return stages[: len(stages) - trainable]


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


def run_padded(function, x, multiple):
    """``function(x)`` with x padded, by copies of its last row, to a multiple of rows."""
    missing = -len(x) % multiple
    if missing:
        x = torch.cat([x, x[-1:].expand(missing, *x.shape[1:])])
    return function(x)[: len(x) - missing]


def choose_multiple(n_rows, size):
    """The multiple of rows to run at once, for results that do not depend on the batch.

    Matrix products take other paths for few rows than for many, and round differently. In blocks
    of 16 a row's result was the same to the last bit, whatever the rows beside it, for every
    network and number of threads tried. Where that would make a few large images slow they are
    run in pairs, which differ from blocks by rounding only.

    Parameters
    ----------
    n_rows : int
    size : int
        Height and width of the images in pixels.

    Returns
    -------
    int
    """
    return BLOCK if n_rows >= BLOCK or size <= TINY else 2


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
