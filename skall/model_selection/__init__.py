"""Splits of images and patients into folds."""
