"""The network: a trunk, a head, and what of them training leaves as it is."""

from contextlib import nullcontext

import torch
from torch import nn

from skall.backbones.registry import get_backbone
from skall.cache.shared_time import SHARED_TIME
from skall.network.heads import make_head, pooling_of
from skall.network.trunk import (
    FeatureExtractor,
    TrunkPart,
    build_extractor,
    compose_stages,
    list_stages,
    measure_features,
)


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
        """Logits ``(n, n_classes)`` of images, or of the features that the front made.

        Where torch records gradients they reach the images, if those ask for them, and every
        feature map, also those of a trunk that is fixed.
        """
        if features is None:
            features = self.extractor(images, record=torch.is_grad_enabled())
        elif self.back is not None:
            features = self.back(features)
        return self.classify(features)

    def classify(self, features):
        """Logits ``(n, n_classes)`` of all that comes before the head."""
        logits = self.head(features)
        if logits.shape[1] == 1:
            # One free logit z, and every loss for classes: the softmax of (-z/2, z/2) is the
            # sigmoid of z. Not (0, z), of which the first class has no gradient.
            logits = torch.cat([-logits, logits], dim=1) / 2
        return logits

    def train(self, mode=True):
        """Switch to training, except for what is frozen."""
        self.training = mode
        # Once through the layers of a frozen trunk, which are many.
        for child in self.children():
            if child not in self.frozen:
                child.train(mode)
        for module in self.frozen:
            module.eval()
        return self

    def trained_state(self):
        """The tensors that training changes, by name: all but those of fixed modules."""
        states = [module.state_dict(keep_vars=True) for module in self.fixed]
        fixed = {id(tensor) for state in states for tensor in state.values()}
        tensors = self.state_dict(keep_vars=True).items()
        return {name: tensor.detach() for name, tensor in tensors if id(tensor) not in fixed}


def build_network(estimator, n_classes):
    """The network that a classifier's parameters describe, with its first weights.

    Parameters
    ----------
    estimator : CNNClassifier
    n_classes : int

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
    name = estimator.backbone
    backbone = get_backbone(name)
    size = estimator.image_size or backbone.input_size
    # A trunk that stays on a device is not kept, so that its memory becomes free.
    frozen = estimator.trainable == "head" and not estimator.keep_on_device
    # The next one with this trunk finds it there.
    with SHARED_TIME.running() if frozen else nullcontext():
        pooling = pooling_of(estimator.head)
        extractor = build_extractor(name, estimator.weights, pooling, backbone, frozen)
        shape = measure_features(extractor, name, size)
    n_outputs = 1 if n_classes == 2 else n_classes
    head = make_head(estimator.head, shape, n_outputs, estimator.dropout)
    fixed = find_fixed(estimator.trainable, extractor, backbone, name)
    parted = fixed and fixed != [extractor]
    stages = compose_stages(extractor, backbone, size) if parted else ()
    return Network(extractor, head, fixed, stages), size


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
