"""The shipped backbones, and those of timm."""
