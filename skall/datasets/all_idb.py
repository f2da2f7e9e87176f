"""ALL-IDB: fields of blood smears (1), and crops of single cells (2)."""

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skall.datasets.all_idb_crops import cut_crops, find_nuclei, measure_nuclei, read_centres
from skall.datasets.bunch import HEALTHY_NAMES, LEUKAEMIC_NAMES, make_bunch
from skall.datasets.download import get_data_home
from skall.datasets.layout import Layout, check_folders
from skall.datasets.source import Source, quote_some
from skall.images.formats import read_picture

NAME = re.compile(r"Im(?P<number>\d{3})_(?P<label>[01])", re.IGNORECASE)
EDITION = re.compile(r"ALL[-_ ]?IDB[-_ ]?([12])", re.IGNORECASE)
EDITION_FOLDERS = {"im": 1, "img": 2}
FIELDS = 108  # images of ALL-IDB1


def find_editions(source: Source) -> set[int]:
    """Tell ALL-IDB1 from ALL-IDB2, whose images have the same names.

    Returns
    -------
    set of int
        1 or 2, both, or neither where no image is named as theirs.
    """
    named = [(image, NAME.fullmatch(image.stem)) for image in source.images]
    matches = [match for _, match in named if match]
    found = {_read_edition(source.path, image) for image, match in named if match}
    by_folder = {edition for edition in found if edition is not None}
    if by_folder or not matches:
        return by_folder
    if any(file.suffix.lower() == ".xyc" for file in source.others):
        return {1}
    if any(int(match["number"]) > FIELDS for match in matches):
        return {2}
    image = next(image for image, match in named if match)
    if image.suffix.lower() in (".jpg", ".jpeg"):
        return {1}
    return {1} if image.suffix.lower() not in (".tif", ".tiff") and _is_wide(source, image) else {2}


def _read_edition(root: Path, image: PurePosixPath) -> int | None:
    for folder in reversed((*root.parts, *image.parts[:-1])):
        match = EDITION.search(folder)
        if match:
            return int(match[1])
        if folder.lower() in EDITION_FOLDERS:
            return EDITION_FOLDERS[folder.lower()]
    return None


def _is_wide(source: Source, image: PurePosixPath) -> bool:
    try:
        return read_picture(source.path / image, lambda picture: picture.width > 1000)
    except ValueError:
        return False


LABELS = {"0": "healthy", "1": "all"}
CLASS_FOLDERS = dict.fromkeys(LEUKAEMIC_NAMES, "all") | dict.fromkeys(HEALTHY_NAMES, "healthy")
SOURCE_ID = "ALL-IDB"

CITATION = """
Source: https://scotti.di.unimi.it/all/
Licence: on request, for research; never redistribute the images.
Citation: Donida Labati, R., Piuri, V., & Scotti, F. (2011). ALL-IDB: The acute lymphoblastic
leukemia image database for image processing. IEEE International Conference on Image Processing,
2045-2048. https://doi.org/10.1109/ICIP.2011.6115881
"""
DESCRIPTION_1 = f"""
ALL-IDB1: whole fields of blood smears, 2592 x 1944 or 1712 x 1368 pixels; 108 in all, 49 of
patients with acute lymphoblastic leukaemia ('all') and 59 of others ('healthy'). Patients are not
known. The size of an image may itself tell the class: compare with a baseline of the size. The
crops of ALL-IDB2 are cut from these fields: neither is an external test of the other.
{CITATION}"""
DESCRIPTION_CROPS = """
Crops: those of the class 'all' show the blasts that the authors marked. The authors marked no
healthy cells; those of the class 'healthy' show the leukocytes that skall found in healthy fields,
regions as dark and as large as marked nuclei, and a few may be something else. ALL-IDB2 has cells
of both classes chosen by its authors.
"""
DESCRIPTION_2 = f"""
ALL-IDB2: crops of 257 x 257 pixels with a cell in the middle, cut from the fields of ALL-IDB1
(neither is an external test of the other); 260 in all, 130 lymphoblasts ('all') and 130 others
('healthy').
Patients are not known, nor which crops are of one field: a random split has cells of a patient
on both sides.
{CITATION}"""


def load_all_idb1(
    path: str | os.PathLike,
    *,
    crops: bool = False,
    crop_size: int = 257,
    data_home: str | os.PathLike | None = None,
    pos_label: str = "all",
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Bunch | Any:
    """Load ALL-IDB1: its fields, or crops of their cells.

    A field is named ``Im<number>_<label>``, in any image format and however deep the folders lie;
    label 1 is a patient with acute lymphoblastic leukaemia. The marks of its blasts are in
    ``Im<number>_<label>.xyc``. For fields no image is opened.

    The authors marked blasts alone. With `crops`, healthy cells are therefore those that skall
    finds in the healthy fields: regions that absorb green light as the marked nuclei do (at least
    0.6 of their median) and have 0.25 to 3 times their median area. Where a healthy field has
    marks of its own, in an ``.xyc`` file that you add, these are taken.

    Parameters
    ----------
    path : str or os.PathLike
        The folder, with ``im`` and ``xyc``; ``~`` is expanded.
    crops : bool, default=False
        Crops of single cells instead of fields.
    crop_size : int, default=257
        Height and width of a crop in pixels. At the border of a field crops are shifted inwards.
    data_home : str or os.PathLike, optional
        Crops are written to the folder ``all_idb1_crops`` in here and found there the next time;
        see :func:`get_data_home`.
    pos_label : {"all", "healthy"}, default="all"
        The positive class.
    return_X_y : bool, default=False
        Return ``(data, target)`` alone.
    as_frame : bool, default=False
        Give the data as a DataFrame and the target as a Series.

    Returns
    -------
    Bunch or tuple
        As :func:`load_cells`. With `crops`, ``filenames`` are relative to the folder of the crops,
        and ``groups`` are the fields, so that crops of one field stay together; patients are not
        known. ``source_id`` is the same str as ALL-IDB2's.

    Raises
    ------
    FileNotFoundError
        If `path` does not exist.
    ValueError
        If an image is named otherwise, its name contradicts its folder, or a field is there twice
        or with both labels. With `crops`: if a field with blasts has no marks, marks are no
        numbers or outside their field, the crop is larger than the field, or no cell is found in
        the healthy fields.

    References
    ----------
    Donida Labati, R., Piuri, V., & Scotti, F. (2011). ALL-IDB: The acute lymphoblastic leukemia
    image database for image processing. IEEE International Conference on Image Processing,
    2045-2048. https://doi.org/10.1109/ICIP.2011.6115881

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skall.datasets import load_all_idb1
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, "im").mkdir()
    ...     for name in ["Im001_1.jpg", "Im034_0.jpg"]:
    ...         Path(folder, "im", name).touch()
    ...     cells = load_all_idb1(folder)
    >>> cells.target
    array(['all', 'healthy'], dtype=object)
    """
    source = FIELDS_LAYOUT.open(path)
    target = _read_target(FIELDS_LAYOUT, source)
    options: dict[str, Any] = {
        "pos_label": pos_label,
        "columns": {"source_id": SOURCE_ID},
        "return_X_y": return_X_y,
        "as_frame": as_frame,
    }
    if not crops:
        names = [str(image) for image in source.images]
        options |= {"name": "ALL-IDB1", "description": DESCRIPTION_1}
        return make_bunch(source.path, names, target, **options)
    if not isinstance(crop_size, (int, np.integer)) or crop_size < 1:
        raise ValueError(f"crop_size must be a positive int, got {crop_size!r}")
    folder = get_data_home(data_home) / "all_idb1_crops"
    folder.mkdir(exist_ok=True)
    names, labels, groups = [], [], []
    centres = _find_centres(source, target)
    for image, label, marks in zip(source.images, target, centres, strict=True):
        cut = cut_crops(source.path / image, marks, int(crop_size), folder)
        names += cut
        labels += [label] * len(cut)
        groups += [image.stem] * len(cut)
    return make_bunch(
        folder,
        names,
        labels,
        name="ALL-IDB1, crops",
        description=DESCRIPTION_1 + DESCRIPTION_CROPS,
        groups=groups,
        group_name="fields",
        **options,
    )


def load_all_idb2(
    path: str | os.PathLike,
    *,
    pos_label: str = "all",
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Bunch | Any:
    """Load ALL-IDB2, crops of single cells, by their file names.

    Every image is named ``Im<number>_<label>``, in any image format and however deep the folders
    lie; label 1 is a lymphoblast.

    Parameters
    ----------
    path : str or os.PathLike
        The folder; ``~`` is expanded.
    pos_label : {"all", "healthy"}, default="all"
        The positive class.
    return_X_y : bool, default=False
        Return ``(data, target)`` alone.
    as_frame : bool, default=False
        Give the data as a DataFrame and the target as a Series.

    Returns
    -------
    Bunch or tuple
        As :func:`load_cells`, without groups; ``source_id`` is the same str as ALL-IDB1's.

    Raises
    ------
    FileNotFoundError
        If `path` does not exist.
    ValueError
        If an image is named otherwise, its name contradicts its folder, or a crop is there twice
        or with both labels.

    References
    ----------
    Donida Labati, R., Piuri, V., & Scotti, F. (2011). ALL-IDB: The acute lymphoblastic leukemia
    image database for image processing. IEEE International Conference on Image Processing,
    2045-2048. https://doi.org/10.1109/ICIP.2011.6115881

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skall.datasets import load_all_idb2
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ["Im001_1.tif", "Im131_0.tif"]:
    ...         Path(folder, name).touch()
    ...     cells = load_all_idb2(folder)
    >>> cells.target
    array(['all', 'healthy'], dtype=object)
    """
    source = CELLS_LAYOUT.open(path)
    return make_bunch(
        source.path,
        [str(image) for image in source.images],
        _read_target(CELLS_LAYOUT, source),
        name="ALL-IDB2",
        description=DESCRIPTION_2,
        pos_label=pos_label,
        columns={"source_id": SOURCE_ID},
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _read_target(layout: Layout, source: Source) -> list[str]:
    matches = {image: NAME.fullmatch(image.stem) for image in source.images}
    layout.refuse_strangers(source, [image for image, match in matches.items() if match is None])
    named = {image: match for image, match in matches.items() if match}
    if len(find_editions(source)) > 1:
        raise ValueError(
            f"{str(source.path)!r} holds both ALL-IDB1 and ALL-IDB2, whose cells are the same: "
            "give the folder of one"
        )
    numbers: dict[str, PurePosixPath] = {}
    for image, match in named.items():
        other = numbers.setdefault(match["number"], image)
        if other != image:
            raise ValueError(
                f"{str(source.path)!r} holds the image {match['number']} twice: "
                f"{quote_some([other, image])}. Keep the one whose label is right"
            )
    target = [LABELS[match["label"]] for match in named.values()]
    check_folders(source.images, target, CLASS_FOLDERS)
    return target


def _find_centres(source: Source, target: list[str]) -> list[np.ndarray]:
    """The marks of each field; in healthy fields without marks, the cells that look like them."""
    files = {file.stem.lower(): file for file in source.others if file.suffix.lower() == ".xyc"}
    centres = {}
    for image, label in zip(source.images, target, strict=True):
        file, field = files.get(image.stem.lower()), source.path / image
        centres[image] = np.empty((0, 2), int)
        if file is not None:
            centres[image] = read_centres(source.path / file, field)
        if label == "all" and not len(centres[image]):
            raise ValueError(
                f"The field {str(image)!r} has blasts but no marks: expected its file "
                f"{image.stem}.xyc below {str(source.path)!r}"
            )
    sick = [image for image, label in zip(source.images, target, strict=True) if label == "all"]
    unmarked = [image for image in source.images if not len(centres[image])]
    if sick and unmarked:
        fields = [source.path / image for image in sick]
        like = measure_nuclei(fields, [centres[image] for image in sick])
        for image in unmarked:
            centres[image] = find_nuclei(source.path / image, like)
    if not any(len(centres[image]) for image in source.images if image not in sick):
        raise ValueError(
            f"No healthy cells can be cut: ALL-IDB1 marks blasts alone, and in the healthy fields "
            f"of {str(source.path)!r} no leukocyte is found. Mark some in .xyc files of these "
            "fields, or use ALL-IDB2, which has crops of both classes (load_all_idb2)"
        )
    return list(centres.values())


FIELDS_LAYOUT = Layout(
    load_all_idb1,
    "the fields im/Im<number>_{0,1}.<extension>",
    lambda source: 1 in find_editions(source),
)
CELLS_LAYOUT = Layout(
    load_all_idb2,
    "the crops img/Im<number>_{0,1}.<extension>",
    lambda source: find_editions(source) == {2},
)
