"""Figures of a comparison, as scikit-learn displays."""
