"""The network of every contestant that runs on torch: the backbone's trunk and a head."""

import os
from pathlib import Path

import torch
from torch import nn

from skall.backbones.registry import get_backbone
from skall.backbones.weights import build_trunk

DROPOUT = 0.2


def choose_weights(network, wish):
    """What `weights` of skall is to be: the published ones where they are at hand, or random.

    Parameters
    ----------
    network : str
    wish : {"auto", "imagenet", "none"}
    """
    if wish == "auto":
        folder = os.environ.get("SKALL_WEIGHTS")
        found = folder and (Path(folder) / f"{network}.safetensors").is_file()
        return "imagenet" if found else None
    return None if wish == "none" else wish


class Classifier(nn.Module):
    """Trunk and head, from normalised images ``(n, 3, h, w)`` to logits ``(n, 2)``.

    Parameters
    ----------
    task : dict
        ``network, weights, head, size``.
    frozen : bool, default=False
        Whether the trunk stays as it is, in evaluation mode.
    """

    def __init__(self, task, frozen=False):
        super().__init__()
        self.frozen = frozen
        self.head_name = task["head"]
        torch.manual_seed(0)
        self.trunk = build_trunk(task["network"], task["weights"])
        self.head = make_head(task["head"], find_shape(self.trunk, task["size"]))
        self.trunk.requires_grad_(not frozen)
        self.train()

    def forward(self, images):
        return self.head(pool(self.trunk(images), self.head_name))

    def train(self, mode=True):
        super().train(mode)
        if self.frozen:
            self.trunk.eval()
        return self


def pool(features, head):
    """The trunk's output as a head of this name takes it."""
    if head == "linear" and features.ndim == 4:
        return features.mean((2, 3))
    return features.flatten(1)


def find_shape(trunk, size):
    """Shape of the trunk's output for one image."""
    trunk.eval()
    with torch.no_grad():
        return tuple(trunk(torch.zeros(1, 3, size, size)).shape[1:])


def make_head(head, shape):
    """A linear head, or P2's Flatten-256-ReLU-128-ReLU, with dropout before the last layer."""
    if head == "linear":
        return nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(shape[0], 2))
    return nn.Sequential(
        nn.Linear(torch.Size(shape).numel(), 256),
        nn.ReLU(),
        nn.Linear(256, 128),
        nn.ReLU(),
        nn.Dropout(DROPOUT),
        nn.Linear(128, 2),
    )


class FromBytes(nn.Module):
    """A network that takes uint8 images ``(n, h, w, 3)`` and normalises them itself.

    Parameters
    ----------
    classifier : torch.nn.Module
    network : str
        Whose mean and standard deviation they are normalised with.
    channels_last : bool
    dtype : torch.dtype, default=torch.float32
    """

    def __init__(self, classifier, network, channels_last, dtype=torch.float32):
        super().__init__()
        self.classifier = classifier
        self.channels_last = channels_last
        self.dtype = dtype
        backbone = get_backbone(network)
        for name, value in {"mean": backbone.mean, "std": backbone.std}.items():
            value = 255 * torch.tensor(value).view(1, 3, 1, 1)
            self.register_buffer(name, value, persistent=False)

    def normalise(self, images):
        """Images as the classifier takes them."""
        # A view: the bytes lie channels last already.
        images = images.permute(0, 3, 1, 2).to(self.mean.dtype)
        images = ((images - self.mean) / self.std).to(self.dtype)
        return images if self.channels_last else images.contiguous()

    def forward(self, images):
        return self.classifier(self.normalise(images))
