"""Raabin-WBC: normal leukocytes from two microscopes."""

import os
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skall.datasets.bunch import make_bunch
from skall.datasets.layout import Layout
from skall.datasets.source import Source

SITES = {"train": "Train", "testa": "TestA", "testb": "TestB"}

DESCRIPTION = """
Raabin-WBC, double-labelled cropped cells: normal leukocytes of peripheral blood smears. 'TestB'
was made with another camera and microscope than 'Train' and 'TestA', so that it tests whether a
classifier stands the change; it may hold some of the classes alone.

Source: https://raabindata.com/free-data/
Licence: free access.
Citation: Kouzehkanan, Z. M., et al. (2022). A large dataset of white blood cells containing cell
locations and types, along with segmented nuclei and cytoplasm. Scientific Reports, 12, 1123.
https://doi.org/10.1038/s41598-021-04426-x
"""


def load_raabin(
    path: str | os.PathLike,
    *,
    pos_label: str | None = None,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Bunch | Any:
    """Load Raabin-WBC from its folders ``{Train,TestA,TestB}/<class>``, however deep they lie.

    The class of an image is the name of the folder that holds it, in lower case. No image is
    opened.

    Parameters
    ----------
    path : str or os.PathLike
        The folder that holds ``Train``, ``TestA`` and ``TestB``, or two of them; ``~`` is
        expanded.
    pos_label : str, optional
        The positive class. None: these are normal cells, there is none.
    return_X_y : bool, default=False
        Return ``(data, target)`` alone.
    as_frame : bool, default=False
        Give the data as a DataFrame and the target as a Series.

    Returns
    -------
    Bunch or tuple
        As :func:`load_cells`, without groups. ``site``, an array of str, is ``Train``, ``TestA``
        or ``TestB``; the last is another camera and microscope.

    Raises
    ------
    FileNotFoundError
        If `path` does not exist.
    ValueError
        If images lie elsewhere, or are of one class only.

    References
    ----------
    Kouzehkanan, Z. M., et al. (2022). A large dataset of white blood cells containing cell
    locations and types, along with segmented nuclei and cytoplasm. Scientific Reports, 12, 1123.
    https://doi.org/10.1038/s41598-021-04426-x

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skall.datasets import load_raabin
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ["Train/Basophil/1.jpg", "Train/Monocyte/2.jpg", "TestB/Monocyte/3.jpg"]:
    ...         file = Path(folder, name)
    ...         file.parent.mkdir(parents=True)
    ...         file.touch()
    ...     cells = load_raabin(folder)
    >>> cells.site
    array(['TestB', 'Train', 'Train'], dtype=object)
    """
    source = LAYOUT.open(path)
    sites = [_find_site(image) for image in source.images]
    pairs = zip(source.images, sites, strict=True)
    LAYOUT.refuse_strangers(source, [image for image, site in pairs if site is None])
    return make_bunch(
        source.path,
        [str(image) for image in source.images],
        [image.parent.name.lower() for image in source.images],
        name="Raabin-WBC",
        description=DESCRIPTION,
        pos_label=pos_label,
        columns={"site": np.array(sites, dtype=object)},
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _recognise(source: Source) -> bool:
    sites = {_find_site(image) for image in source.images}
    return len(sites - {None}) > 1


def _find_site(image: PurePosixPath) -> str | None:
    """The folder of the set, which is never the folder of the class."""
    return next((SITES[part.lower()] for part in image.parts[:-2] if part.lower() in SITES), None)


LAYOUT = Layout(load_raabin, "folders Train, TestA and TestB with one folder per class", _recognise)
