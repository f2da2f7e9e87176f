"""Numbers that describe an image, for any classifier."""

from skall.features.cnn import CNNFeatures
from skall.features.handcrafted import HandcraftedFeatures
from skall.features.shortcuts import ShortcutFeatures

__all__ = ["CNNFeatures", "HandcraftedFeatures", "ShortcutFeatures"]
