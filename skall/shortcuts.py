"""Moved to :mod:`skall.features.shortcuts`; the names that were documented here still work."""

from skall.environment.moved_names import forward

__getattr__ = forward(__name__, ShortcutFeatures="skall.features.shortcuts:ShortcutFeatures")
