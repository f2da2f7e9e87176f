"""The command ``skall``."""

from skall.cli.commands import main

__all__ = ["main"]
