"""Versions of the packages that decide numbers."""

from importlib.metadata import PackageNotFoundError, version

# What turns files and arrays into what a cache keeps.
OF_IMAGES = ("skall", "torch", "torchvision", "timm", "numpy", "pillow", "scikit-image")
# What trains and measures besides.
PACKAGES = (*OF_IMAGES, "skorch", "scikit-learn", "imbalanced-learn", "scipy")


def list_versions(packages=PACKAGES):
    """Versions by package; None of one that is not installed.

    Parameters
    ----------
    packages : iterable of str
        As package indexes name them.

    Returns
    -------
    dict of str to (str or None)

    Examples
    --------
    >>> list_versions(["no-such-package"])
    {'no-such-package': None}
    """
    return {package: _find_version(package) for package in packages}


def _find_version(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return None
