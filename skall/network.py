"""The network: a trunk with its normalisation and pooling, and a head."""

import torch
from torch import nn

BLOCK = 16
TINY = 64


class FeatureExtractor(nn.Module):
    """A trunk from raw images to features.

    Parameters
    ----------
    trunk : torch.nn.Module
        From normalised images ``(n, 3, h, w)`` to a map ``(n, c, h', w')`` or vector ``(n, c)``.
    mean, std : tuple of 3 floats
        What the trunk's images are normalised with.
    pooling : {"avg", "flatten", None}
        Mean over the places of the map; the map as one vector; the map as it is.
    """

    def __init__(self, trunk, mean, std, pooling):
        super().__init__()
        self.trunk = trunk
        self.pooling = pooling
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images):
        """Features of images ``(n, 3, h, w)``, uint8 or float with 1 as white."""
        if images.dtype == torch.uint8:
            images = images.to(self.mean.dtype) / 255
        return self.pool(self.trunk((images - self.mean) / self.std))

    def pool(self, features):
        """The trunk's output as the head takes it."""
        if self.pooling == "avg" and features.ndim == 4:
            return features.mean((2, 3))
        return features.flatten(1) if self.pooling in ("avg", "flatten") else features


class Network(nn.Module):
    """Feature extractor and head; two classes come from one free logit.

    Parameters
    ----------
    extractor : FeatureExtractor
    head : torch.nn.Module
        From features to logits ``(n, n_outputs)``.
    fixed : iterable of torch.nn.Module, default=()
        What training leaves as it is: without gradients and in evaluation mode.
    """

    def __init__(self, extractor, head, fixed=()):
        super().__init__()
        self.extractor = extractor
        self.head = head
        self.fixed = tuple(fixed)
        self.freeze()

    def freeze(self, *modules):
        """Freeze these modules for now, beside those that are fixed, and thaw all others."""
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

    def forward(self, images=None, features=None):
        """Logits ``(n, n_classes)`` of images, or of the features that the extractor made."""
        logits = self.head(self.extractor(images) if features is None else features)
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
    trunk = extractor.trunk
    if backbone.stages is not None:
        stages = list(backbone.stages(trunk))
    elif isinstance(trunk, nn.Sequential):
        stages = list(trunk)
    else:
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


def run_padded(function, x, multiple):
    """``function(x)`` with x padded, by copies of its last row, to a multiple of rows."""
    missing = -len(x) % multiple
    if missing:
        x = torch.cat([x, x[-1:].expand(missing, *x.shape[1:])])
    if x.ndim == 4:
        # Padding loses this order of the memory, and results depend on it in the last bits.
        x = x.contiguous(memory_format=torch.channels_last)
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
