"""Trunks from torchvision's classification models."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from skall.backbones.backbone import Backbone, split_stages

_BUILD_OPTIONS = {"inception_v3": {"aux_logits": False, "init_weights": True}}
_DOCUMENTATION = "https://docs.pytorch.org/vision/stable/models/generated/torchvision.models"


@dataclass(frozen=True)
class TorchvisionTrunk:
    """Builds a torchvision classification model up to the first linear layer of its classifier.

    The output is the feature map ``(n, c, h', w')`` before pooling where the linear layer takes its
    mean, and the vector ``(n, c)`` for ConvNeXt, which normalises after the pooling. The names of
    the weights are the model's own, so that a file with the weights of the whole model fits.

    Parameters
    ----------
    model : str
        Name of torchvision's, such as ``"resnet50"``.
    tag : str, default="IMAGENET1K_V1"
        Which of its published weights.
    """

    model: str
    tag: str = "IMAGENET1K_V1"

    def __call__(self, weights):
        from torchvision.models import get_model

        if weights is None:
            model = get_model(self.model, weights=None, **_BUILD_OPTIONS.get(self.model, {}))
        else:
            model = get_model(self.model, weights=self.tag)
        return nn.Sequential(OrderedDict(_keep_trunk(model)))

    @property
    def source(self):
        """Library, model and weights, for people to read."""
        return f"torchvision {self.model} ({self.tag})"


def _keep_trunk(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    dropped = {"AuxLogits", "avgpool", "dropout", "fc", "classifier"}
    yield from ((name, child) for name, child in model.named_children() if name not in dropped)
    kind = type(model).__name__
    if kind == "DenseNet":
        # DenseNet applies it in its forward, between features and pooling.
        yield "relu", nn.ReLU(inplace=True)
    elif kind == "ConvNeXt":
        # Its classifier begins with layer normalisation.
        yield "avgpool", model.get_submodule("avgpool")
        *layers, _ = model.get_submodule("classifier").children()
        yield "classifier", nn.Sequential(*layers)


def torchvision_backbone(model: str, input_size: int = 224, **fields) -> Backbone:
    """Make the backbone of a torchvision model.

    Parameters
    ----------
    model : str
        torchvision's name.
    input_size : int, default=224
        Height and width in pixels.
    **fields
        Further fields of :class:`~skall.Backbone`.

    Returns
    -------
    Backbone
    """
    fields = {"license": "BSD-3-Clause", "url": f"{_DOCUMENTATION}.{model}.html"} | fields
    return Backbone(TorchvisionTrunk(model), input_size, stages=split_stages, **fields)
