"""The four classes of the Taleqani hospital: benign cells and three stages of leukaemic ones."""

import os
import re
from pathlib import PurePosixPath
from typing import Any

from sklearn.utils import Bunch

from skall.datasets.bunch import make_bunch
from skall.datasets.layout import Layout, check_folders
from skall.datasets.source import Source

# Folders are "Early" in one copy and "[Malignant] early Pre-B" in the other; "[Benign]" occurs.
FOLDER = re.compile(r"(?:\[malignant\] *)?\[?(benign|early|pre|pro)\]?(?:[ -]?(?:pre)?-?b)?", re.I)
NAME = re.compile(r"WBC-(?:Malignant-)?(benign|early|pre|pro)\b.*", re.I)
EDITIONS = ("original", "segmented")

DESCRIPTION = """
Images of peripheral blood smears of 89 patients suspected of acute lymphoblastic leukaemia, from
the Taleqani hospital in Tehran: benign cells (haematogones) and the malignant stages early pre-B,
pre-B and pro-B. Which images are of one patient was not released, so that no split by patient can
be made. The copies that circulate ('Original' and 'Segmented' with 3,256 images each, 'Blood cell
Cancer [ALL]' with about 3,242) have one source: none is an external test of another.

Licence: not found.
Citation: Ghaderzadeh, M., Aria, M., Hosseini, A., Asadi, F., Bashash, D., & Abolghasemi, H.
(2022). A fast and efficient CNN model for B-ALL diagnosis and its subtypes classification using
peripheral blood smear images. International Journal of Intelligent Systems, 37, 5113-5133.
https://doi.org/10.1002/int.22753
"""


def load_all_4class(
    path: str | os.PathLike,
    *,
    segmented: bool = False,
    binary: bool = False,
    pos_label: str | None = None,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Bunch | Any:
    """Load the ALL images in four classes of the Taleqani hospital, from either copy.

    One copy has the folders ``{Original,Segmented}/{Benign,Early,Pre,Pro}``, the other
    ``Blood cell Cancer [ALL]/{Benign,[Malignant] early Pre-B,[Malignant] Pre-B,
    [Malignant] Pro-B}``. Where a file is named as ``WBC-Malignant-Early-001``, the name has to
    agree with the folder. No image is opened.

    Parameters
    ----------
    path : str or os.PathLike
        The folder; ``~`` is expanded.
    segmented : bool, default=False
        Take the images of the folder ``Segmented``, where all but the leukocytes is black, rather
        than the original ones. They show the same cells, so that the two are never mixed.
    binary : bool, default=False
        Two classes, ``Benign`` and ``Malignant``, rather than four.
    pos_label : str, optional
        The positive class. None: ``Malignant`` with `binary`; with four classes, of which three
        are leukaemic, there is none.
    return_X_y : bool, default=False
        Return ``(data, target)`` alone.
    as_frame : bool, default=False
        Give the data as a DataFrame and the target as a Series.

    Returns
    -------
    Bunch or tuple
        As :func:`load_cells`; the classes are ``Benign``, ``Early``, ``Pre`` and ``Pro`` for both
        copies, there are no groups, and ``source_id`` is the same str for both.

    Raises
    ------
    FileNotFoundError
        If `path` does not exist.
    ValueError
        If images lie in other folders, a name contradicts its folder, both copies are there, or
        `segmented` images are not.

    References
    ----------
    Ghaderzadeh, M., et al. (2022). A fast and efficient CNN model for B-ALL diagnosis and its
    subtypes classification using peripheral blood smear images. International Journal of
    Intelligent Systems, 37, 5113-5133. https://doi.org/10.1002/int.22753

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skall.datasets import load_all_4class
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ["Benign/1.jpg", "[Malignant] early Pre-B/2.jpg"]:
    ...         file = Path(folder, name)
    ...         file.parent.mkdir()
    ...         file.touch()
    ...     print(load_all_4class(folder).target, load_all_4class(folder, binary=True).pos_label)
    ['Benign' 'Early'] Malignant
    """
    source = LAYOUT.open(path)
    LAYOUT.refuse_strangers(source, [i for i in source.images if _read_folder(i) is None])
    _check_copies(source)
    images = _select(source, segmented)
    target = [label for image in images if (label := _read_folder(image)) is not None]
    named = {
        image: match[1].capitalize() for image in images if (match := NAME.fullmatch(image.stem))
    }
    folders = {
        image.parent.name.lower(): label for image, label in zip(images, target, strict=True)
    }
    check_folders(named, named.values(), folders)
    if binary:
        target = ["Benign" if label == "Benign" else "Malignant" for label in target]
    return make_bunch(
        source.path,
        [str(image) for image in images],
        target,
        name="ALL 4-class",
        description=DESCRIPTION,
        pos_label=pos_label,
        columns={"source_id": "ALL 4-class (Taleqani hospital)"},
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _recognise(source: Source) -> bool:
    labels = {image: _read_folder(image) for image in source.images}
    # One is enough: taken for mere class folders, the set would show each cell twice.
    if any(label and NAME.fullmatch(image.stem) for image, label in labels.items()):
        return True
    brackets = any("[malignant]" in image.parent.name.lower() for image in source.images)
    found = {*labels.values()}
    return None not in found and (brackets or {"Early", "Pre", "Pro"} <= found)


def _read_folder(image: PurePosixPath) -> str | None:
    match = FOLDER.fullmatch(image.parent.name)
    return match[1].capitalize() if match else None


def _find_edition(image: PurePosixPath) -> str | None:
    return next((part.lower() for part in image.parts if part.lower() in EDITIONS), None)


def _check_copies(source: Source) -> None:
    kinds = {"[malignant]" in image.parent.name.lower() for image in source.images}
    editions = {_find_edition(image) for image in source.images}
    if kinds == {True, False} and editions & set(EDITIONS):
        raise ValueError(
            f"{str(source.path)!r} holds both copies of the data set, which show the same cells: "
            "give the folder of one"
        )


def _select(source: Source, segmented: bool) -> list[PurePosixPath]:
    editions = {image: _find_edition(image) for image in source.images}
    if segmented:
        root_is = source.path.name.lower() == "segmented"
        found = [image for image in source.images if root_is or editions[image] == "segmented"]
        if not found:
            raise ValueError(
                f"segmented=True: {str(source.path)!r} has no folder 'Segmented'. One copy of the "
                "data set has it, the copy 'Blood cell Cancer [ALL]' has not"
            )
        return found
    found = [image for image in source.images if editions[image] != "segmented"]
    # Nothing but segmented images: their folder is what the user gave.
    return found or list(source.images)


LAYOUT = Layout(
    load_all_4class,
    "folders Benign, Early, Pre and Pro, or Benign, [Malignant] early Pre-B, [Malignant] Pre-B and "
    "[Malignant] Pro-B",
    _recognise,
)
