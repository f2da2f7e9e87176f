"""Versions of the packages that results depend on."""

from importlib.metadata import PackageNotFoundError, version

# Cached images and features depend on these.
OF_IMAGES = ("skall", "torch", "torchvision", "timm", "numpy", "pillow", "scikit-image")
# Trained networks and their scores also depend on the others.
PACKAGES = (*OF_IMAGES, "skorch", "scikit-learn", "imbalanced-learn", "scipy")


def list_versions(packages=PACKAGES):
    """Look up the versions of packages.

    Parameters
    ----------
    packages : iterable of str
        Their names on PyPI.

    Returns
    -------
    versions : dict of str to (str or None)
        The version of each package; None where it is not installed.

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
