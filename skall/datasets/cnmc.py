"""C-NMC 2019: cells of patients with acute lymphoblastic leukaemia and of healthy subjects."""

import os
import re
import warnings
from pathlib import PurePosixPath

import numpy as np
from sklearn.utils import Bunch

from skall.datasets.bunch import make_bunch
from skall.datasets.layout import Layout, Source, quote_some

NAME = re.compile(r"UID_(?P<subject>[^_]+)_[^_]+_[^_]+_(?P<label>all|hem)", re.IGNORECASE)
FOLD = re.compile(r"fold_(\d+)", re.IGNORECASE)

DESCRIPTION = """
C-NMC 2019, the data set of the ISBI 2019 challenge: single cells of 450 x 450 pixels, cut out on
black and normalised for stain by its authors. Class 'all': lymphoblasts of patients with acute
lymphoblastic leukaemia; class 'hem': normal lymphoid precursors.

Source: The Cancer Imaging Archive, https://doi.org/10.7937/tcia.2019.dc64i46r
Licence: CC BY 3.0.
Citation: Gupta, A., & Gupta, R. (2019). ALL Challenge dataset of ISBI 2019 (C-NMC 2019).
The Cancer Imaging Archive.
"""


def load_cnmc(
    path: str | os.PathLike,
    *,
    pos_label: str = "all",
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Bunch | tuple:
    """Load C-NMC 2019 by its file names, however deep its folders lie.

    Every image is named ``UID_<subject>_<image>_<cell>_<class>`` with the class ``all`` or
    ``hem``, in any image format. Folders ``all`` and ``hem`` have to agree with the names. No
    image is opened.

    Parameters
    ----------
    path : str or os.PathLike
        The folder; ``~`` is expanded.
    pos_label : {"all", "hem"}, default="all"
        The positive class.
    return_X_y : bool, default=False
        Return ``(data, target)`` alone.
    as_frame : bool, default=False
        Give the data as a DataFrame and the target as a Series.

    Returns
    -------
    Bunch or tuple
        As :func:`load_cells`. ``groups`` are the subjects, in capitals (the set spells one of them
        both ``h3`` and ``H3``). ``fold``, an int array of shape (n,), is there if every image lies
        in a folder ``fold_<k>``.

    Raises
    ------
    FileNotFoundError
        If `path` does not exist.
    ValueError
        If an image is named otherwise, its name contradicts its folder, or there are images of
        one class only.

    Warns
    -----
    UserWarning
        If a subject lies in two of the folders ``fold_<k>``; ``fold`` is then left out.

    References
    ----------
    Gupta, A., & Gupta, R. (2019). ALL Challenge dataset of ISBI 2019 (C-NMC 2019). The Cancer
    Imaging Archive. https://doi.org/10.7937/tcia.2019.dc64i46r

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skall.datasets import load_cnmc
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ["UID_1_2_1_all.bmp", "UID_H3_1_1_hem.bmp", "UID_h3_1_2_hem.bmp"]:
    ...         Path(folder, name).touch()
    ...     cells = load_cnmc(folder)
    >>> cells.target
    array(['all', 'hem', 'hem'], dtype=object)
    >>> cells.groups
    array(['1', 'H3', 'H3'], dtype=object)
    """
    source = LAYOUT.open(path)
    matches = [NAME.fullmatch(image.stem) for image in source.images]
    _check_names(source, matches)
    target = [match["label"].lower() for match in matches]
    groups = [match["subject"].upper() for match in matches]
    _check_folders(source.images, target)
    folds = [_find_fold(image) for image in source.images]
    columns = {}
    if None not in folds and _separate(groups, folds):
        columns["fold"] = np.array(folds)
    return make_bunch(
        source.path,
        [str(image) for image in source.images],
        target,
        description=DESCRIPTION,
        pos_label=pos_label,
        groups=groups,
        columns=columns,
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _recognise(source: Source) -> bool:
    # One name is enough: taken for mere class folders, the set would lose its patients unseen.
    return any(NAME.fullmatch(image.stem) for image in source.images)


def _check_names(source: Source, matches: list[re.Match | None]) -> None:
    strangers = [
        image for image, match in zip(source.images, matches, strict=True) if match is None
    ]
    if strangers:
        raise ValueError(
            f"load_cnmc expects {LAYOUT.expects}, but {len(strangers)} of the "
            f"{len(source.images)} images of {str(source.path)!r} have other names: "
            f"{quote_some(strangers)}. Give the folder that holds C-NMC's images alone, or use "
            "load_folder to take all of them by their folders, without patients"
        )


def _check_folders(images: tuple[PurePosixPath, ...], target: list[str]) -> None:
    wrong = [
        image
        for image, label in zip(images, target, strict=True)
        if image.parent.name.lower() in {"all", "hem"} - {label}
    ]
    if wrong:
        raise ValueError(
            f"{len(wrong)} images are of one class by their name and of the other by their "
            f"folder: {quote_some(wrong)}. Move or rename them"
        )


def _find_fold(image: PurePosixPath) -> int | None:
    matches = [FOLD.fullmatch(part) for part in image.parts]
    return next((int(match[1]) for match in matches if match), None)


def _separate(groups: list[str], folds: list[int]) -> bool:
    first_fold: dict[str, int] = {}
    pairs = zip(groups, folds, strict=True)
    crossing = {group for group, fold in pairs if first_fold.setdefault(group, fold) != fold}
    if crossing:
        warnings.warn(
            f"The subjects {quote_some(sorted(crossing))} lie in more than one of the folders "
            "fold_<k>, so these are no split by subject and `fold` is left out: use `groups`",
            stacklevel=3,
        )
    return not crossing


LAYOUT = Layout(
    load_cnmc, "images named UID_<subject>_<image>_<cell>_{all,hem}.<extension>", _recognise
)
