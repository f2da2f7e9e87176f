"""Packages that only some parts need."""

from importlib import import_module


def import_extra(module, extra, purpose):
    """A module of a package that a plain installation lacks.

    Parameters
    ----------
    module : str
        As ``"skimage.exposure"``.
    extra : str
        Which extra of skall brings it.
    purpose : str
        What needs it, for the message.

    Returns
    -------
    module

    Raises
    ------
    ImportError
        Where it is missing; the message says how to install it.

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
