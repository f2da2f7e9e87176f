"""The folder for what is downloaded and cut."""

import os
from pathlib import Path


def get_data_home(data_home: str | os.PathLike | None = None) -> Path:
    """Make and return the folder for data sets that are downloaded and crops that are cut.

    Parameters
    ----------
    data_home : str or os.PathLike, optional
        The folder; ``~`` is expanded. None: the environment variable ``SKALL_DATA``, or else
        ``~/skall_data``.

    Returns
    -------
    pathlib.Path
        Absolute.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skall.datasets import get_data_home
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     get_data_home(Path(folder, "cells")).is_dir()
    True
    """
    if data_home is None:
        data_home = os.environ.get("SKALL_DATA") or Path("~", "skall_data")
    folder = Path(os.path.abspath(os.path.expanduser(data_home)))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
