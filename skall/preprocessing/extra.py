"""scikit-image, which only some parts need."""

from importlib import import_module


def import_skimage(module, purpose):
    """A module of scikit-image.

    Parameters
    ----------
    module : str
        Its name, as ``"exposure"``.
    purpose : str
        What needs it, for the message.

    Raises
    ------
    ImportError
        Where scikit-image is missing; the message says how to install it.
    """
    try:
        return import_module(f"skimage.{module}")
    except ImportError as exc:
        raise ImportError(
            f"{purpose} needs scikit-image, which cannot be imported: pip install 'skall[imaging]'"
        ) from exc
