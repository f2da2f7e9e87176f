"""Optional dependencies."""

from importlib import import_module


def import_extra(module, extra, purpose):
    """Import a module of a package that is installed with an extra of skall.

    Parameters
    ----------
    module : str
        Its name, such as ``"skimage.exposure"``.
    extra : str
        The extra that installs the package.
    purpose : str
        What needs it, for the error message.

    Returns
    -------
    types.ModuleType
        The imported module.

    Raises
    ------
    ImportError
        If it is not installed; the message says how to install it.

    Examples
    --------
    >>> import_extra("nowhere", "imaging", "contrast='clahe'")
    Traceback (most recent call last):
    ImportError: contrast='clahe' needs the package nowhere, which cannot be imported: \
pip install 'skall[imaging]'
    """
    try:
        return import_module(module)
    except ImportError as exc:
        package = module.partition(".")[0].replace("skimage", "scikit-image")
        raise ImportError(
            f"{purpose} needs the package {package}, which cannot be imported: "
            f"pip install 'skall[{extra}]'"
        ) from exc
