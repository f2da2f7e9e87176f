"""Images brought to one size, cut, colour and contrast before they are classified."""

from skall.preprocessing.preprocessor import ImagePreprocessor
from skall.preprocessing.stain import StainNormalizer

__all__ = ["ImagePreprocessor", "StainNormalizer"]
