"""What is computed once for each image and kept, in this process or in a folder."""

from skall.cache.memory import IN_PROCESS

__all__ = ["IN_PROCESS"]
