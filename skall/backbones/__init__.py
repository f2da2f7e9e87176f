"""Backbones: the registry, the shipped ones and those of timm, and their weights."""
