"""Checks of what users pass: labels, groups and the values of parameters."""
