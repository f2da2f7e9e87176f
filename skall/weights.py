"""Moved to :mod:`skall.backbones.weights`; the names that were documented here still work."""

from skall.environment.moved_names import forward

__getattr__ = forward(__name__, export="skall.backbones.weights:export")
