"""Moved to :mod:`skall.network.frozen`; the names that were documented here still work."""

from skall.environment.moved_names import forward

__getattr__ = forward(__name__, forget="skall.network.frozen:LAST_TRUNK.clear")
