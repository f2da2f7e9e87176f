"""PBC, normal cells of peripheral blood from Barcelona."""

import os
import re
from pathlib import PurePosixPath
from typing import Any

from sklearn.utils import Bunch

from skall.datasets.bunch import make_bunch
from skall.datasets.layout import Layout, check_folders
from skall.datasets.source import Source

# Prefix of the file name -> folder, and class among eleven (None: too coarse for these).
PREFIXES = {
    "BA": ("basophil", "basophil"),
    "EO": ("eosinophil", "eosinophil"),
    "ERB": ("erythroblast", "erythroblast"),
    "IG": ("ig", None),
    "MMY": ("ig", "metamyelocyte"),
    "MY": ("ig", "myelocyte"),
    "PMY": ("ig", "promyelocyte"),
    "LY": ("lymphocyte", "lymphocyte"),
    "MO": ("monocyte", "monocyte"),
    "NEUTROPHIL": ("neutrophil", None),
    "BNE": ("neutrophil", "band neutrophil"),
    "SNE": ("neutrophil", "segmented neutrophil"),
    "PLATELET": ("platelet", "platelet"),
}
NAME = re.compile(rf"({'|'.join(PREFIXES)})_\d+.*", re.IGNORECASE)
# BloodMNIST is made of these images.
SOURCE_ID = "PBC (Hospital Clinic of Barcelona)"

DESCRIPTION = """
PBC: single normal cells of peripheral blood, 360 x 363 pixels, taken with a CellaVision DM96 at
the Hospital Clinic of Barcelona; May Gruenwald-Giemsa stain. The whole set has 17,092 images.
Patients are not known. BloodMNIST is made of these images: neither is an external test of the
other.

Source: Mendeley Data, https://doi.org/10.17632/snkd93bnjr.1
Licence: CC BY 4.0.
Citation: Acevedo, A., Merino, A., Alferez, S., Molina, A., Boldu, L., & Rodellar, J. (2020). A
dataset of microscopic peripheral blood cell images for development of automatic recognition
systems. Data in Brief, 30, 105474. https://doi.org/10.1016/j.dib.2020.105474
"""


def load_pbc(
    path: str | os.PathLike,
    *,
    classes: int = 8,
    pos_label: str | None = None,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Bunch | Any:
    """Load the normal cells of peripheral blood of Acevedo et al. by their file names.

    Every image is named ``<PREFIX>_<number>``, in any image format and however deep the folders
    lie. Folders named as a class have to agree with the names. No image is opened.

    Parameters
    ----------
    path : str or os.PathLike
        The folder; ``~`` is expanded.
    classes : {8, 11}, default=8
        8: those of the folders (``ig`` are immature granulocytes). 11: by the prefixes, which tell
        metamyelocytes, myelocytes and promyelocytes (``MMY``, ``MY``, ``PMY``) as well as band and
        segmented neutrophils (``BNE``, ``SNE``) apart; the images named ``IG`` and ``NEUTROPHIL``,
        of which no more is known, are left out.
    pos_label : str, optional
        The positive class. None: these are normal cells, there is none.
    return_X_y : bool, default=False
        Return ``(data, target)`` alone.
    as_frame : bool, default=False
        Give the data as a DataFrame and the target as a Series.

    Returns
    -------
    Bunch or tuple
        As :func:`load_cells`, without groups; ``source_id`` is the same str as BloodMNIST's.

    Raises
    ------
    FileNotFoundError
        If `path` does not exist.
    ValueError
        If an image is named otherwise, its name contradicts its folder, or `classes` is another
        number.

    See Also
    --------
    fetch_pbc : Download the data set.

    References
    ----------
    Acevedo, A., et al. (2020). A dataset of microscopic peripheral blood cell images for
    development of automatic recognition systems. Data in Brief, 30, 105474.
    https://doi.org/10.1016/j.dib.2020.105474

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skall.datasets import load_pbc
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ["BNE_1.jpg", "MO_2.jpg", "NEUTROPHIL_3.jpg"]:
    ...         Path(folder, name).touch()
    ...     print(load_pbc(folder).target, load_pbc(folder, classes=11).target)
    ['neutrophil' 'monocyte' 'neutrophil'] ['band neutrophil' 'monocyte']
    """
    if classes not in (8, 11):
        raise ValueError(f"classes={classes!r}: PBC has 8 classes by its folders, 11 by its names")
    source = LAYOUT.open(path)
    LAYOUT.refuse_strangers(source, [i for i in source.images if _read_prefix(i) is None])
    prefixes = {image: _read_prefix(image) for image in source.images}
    labels = {image: PREFIXES[prefix] for image, prefix in prefixes.items() if prefix}
    coarse = [folder for folder, _ in labels.values()]
    check_folders(source.images, coarse, {folder: folder for folder, _ in PREFIXES.values()})
    description = DESCRIPTION
    target = dict(zip(source.images, coarse, strict=True))
    if classes == 11:
        target = {image: fine for image, (_, fine) in labels.items() if fine is not None}
        if len(target) < len(source.images):
            left_out = len(source.images) - len(target)
            description += f"\nLeft out: {left_out} images named IG or NEUTROPHIL.\n"
    return make_bunch(
        source.path,
        [str(image) for image in target],
        list(target.values()),
        name="PBC",
        description=description,
        pos_label=pos_label,
        columns={"source_id": SOURCE_ID},
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _recognise(source: Source) -> bool:
    # Short prefixes may begin the names of other images: most have to fit.
    fitting = sum(_read_prefix(image) is not None for image in source.images)
    return fitting > len(source.images) / 2


def _read_prefix(image: PurePosixPath) -> str | None:
    match = NAME.fullmatch(image.stem)
    return match[1].upper() if match else None


LAYOUT = Layout(load_pbc, f"images named {{{','.join(PREFIXES)}}}_<number>.<extension>", _recognise)
