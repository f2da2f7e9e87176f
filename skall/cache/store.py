"""The interface of the stores that keep what is computed once for each image."""

from abc import ABC, abstractmethod


class Store(ABC):
    """Arrays by key, up to a number of bytes.

    What does not fit is not admitted. The least recently used array is not evicted for it: once the
    images outgrow the store that would lose every one of them, because each epoch reads them in
    turn. Cheap arrays, which are decoded images, leave room to expensive ones, which are features.

    Attributes
    ----------
    is_shared : bool
        Whether other processes may add to the store at any time.
    max_bytes : int
        The limit.
    nbytes : int
        Bytes that are kept now.
    """

    is_shared = False

    @property
    def is_closed(self):
        """Whether nothing is ever kept."""
        return False

    @abstractmethod
    def get(self, key):
        """The array of a key, not to be written to; None where there is none.

        Parameters
        ----------
        key : bytes
            From :func:`make_key`.

        Returns
        -------
        ndarray or None
        """

    @abstractmethod
    def put(self, key, array, cheap=False):
        """Keep a copy of an array where there is room.

        Parameters
        ----------
        key : bytes
        array : ndarray
        cheap : bool, default=False
            Whether it takes little time to compute again.
        """

    def get_or_make(self, key, make, cheap=False):
        """The array of a key, computed and kept where there is none.

        Parameters
        ----------
        key : bytes
        make : callable
            Returns the array.
        cheap : bool, default=False
            As for :meth:`put`.

        Returns
        -------
        ndarray
        """
        array = self.get(key)
        if array is None:
            array = make()
            self.put(key, array, cheap)
        return array

    @abstractmethod
    def clear(self):
        """Remove every array."""

    @abstractmethod
    def __len__(self):
        """How many arrays there are."""


def make_key(image, *parts):
    """The key of an array that was computed from an image.

    Parameters
    ----------
    image : bytes
        Tells the image, see :meth:`skall.images.rows.Images.fingerprint`.
    *parts : object
        What else the array depends on: bytes, or anything that its text tells.

    Returns
    -------
    bytes

    Examples
    --------
    >>> make_key(b"cell.png", 224, "pad")
    b'cell.png|224|pad'
    """
    texts = (part if isinstance(part, bytes) else str(part).encode() for part in parts)
    return b"|".join((image, *texts))
