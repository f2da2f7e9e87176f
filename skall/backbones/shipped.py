"""The shipped backbones, one line each; the entry points of ``pyproject.toml`` name them.

Input size, mean and standard deviation are those that each model's published weights were trained
with. InceptionV3 and Xception were trained on images scaled to [-1, 1], as were timm's MobileNet
and ResNetV2: their mean and standard deviation are 0.5.
"""

from typing import Any

from skall.backbones.timm_models import timm_backbone
from skall.backbones.torchvision_models import torchvision_backbone

HALF: dict[str, Any] = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
XCEPTION = "https://github.com/rwightman/pytorch-image-models/releases/tag/v0.1-cadene"

alexnet = torchvision_backbone("alexnet")
convnext_tiny = torchvision_backbone("convnext_tiny")
densenet121 = torchvision_backbone("densenet121")
densenet201 = torchvision_backbone("densenet201")
efficientnet_b0 = torchvision_backbone("efficientnet_b0")
efficientnet_b1 = torchvision_backbone("efficientnet_b1", 240)
efficientnet_b2 = torchvision_backbone("efficientnet_b2", 288)
efficientnet_b3 = torchvision_backbone("efficientnet_b3", 300)
efficientnet_b4 = torchvision_backbone("efficientnet_b4", 380)
efficientnet_b5 = torchvision_backbone("efficientnet_b5", 456)
efficientnet_b6 = torchvision_backbone("efficientnet_b6", 528)
efficientnet_b7 = torchvision_backbone("efficientnet_b7", 600)
efficientnetv2_s = torchvision_backbone("efficientnet_v2_s", 384)
inceptionv3 = torchvision_backbone("inception_v3", 299, **HALF)
mobilenet = timm_backbone("mobilenetv1_100.ra4_e3600_r224_in1k", **HALF)
mobilenetv2 = timm_backbone("mobilenetv2_100.ra_in1k")
mobilenetv3_large = torchvision_backbone("mobilenet_v3_large")
resnet18 = torchvision_backbone("resnet18")
resnet34 = torchvision_backbone("resnet34")
resnet50 = torchvision_backbone("resnet50")
resnet50v2 = timm_backbone("resnetv2_50.a1h_in1k", **HALF)
resnet101 = torchvision_backbone("resnet101")
resnet101v2 = timm_backbone("resnetv2_101.a1h_in1k", **HALF)
squeezenet = torchvision_backbone("squeezenet1_0")
vgg16 = torchvision_backbone("vgg16")
vgg19 = torchvision_backbone("vgg19")
xception = timm_backbone("legacy_xception.tf_in1k", 299, url=XCEPTION, **HALF)
