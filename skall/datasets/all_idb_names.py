"""The names of ALL-IDB's files, and which of its two editions they are of."""

import re
from pathlib import Path, PurePosixPath

from skall.datasets.layout import Source
from skall.images.formats import read_picture

NAME = re.compile(r"Im(?P<number>\d{3})_(?P<label>[01])", re.IGNORECASE)
EDITION = re.compile(r"ALL[-_ ]?IDB[-_ ]?([12])", re.IGNORECASE)
FOLDERS = {"im": 1, "img": 2}
FIELDS = 108  # images of ALL-IDB1


def find_editions(source: Source) -> set[int]:
    """Tell ALL-IDB1 from ALL-IDB2, whose images have the same names.

    Returns
    -------
    set of int
        1 or 2, both, or neither where no image is named as theirs.
    """
    named = [(image, NAME.fullmatch(image.stem)) for image in source.images]
    named = [(image, match) for image, match in named if match]
    by_folder = {_read_edition(source.path, image) for image, _ in named} - {None}
    if by_folder or not named:
        return by_folder
    if any(file.suffix.lower() == ".xyc" for file in source.others):
        return {1}
    if any(int(match["number"]) > FIELDS for _, match in named):
        return {2}
    image = named[0][0]
    if image.suffix.lower() in (".jpg", ".jpeg"):
        return {1}
    return {1} if image.suffix.lower() not in (".tif", ".tiff") and _is_wide(source, image) else {2}


def _read_edition(root: Path, image: PurePosixPath) -> int | None:
    for folder in reversed((*root.parts, *image.parts[:-1])):
        match = EDITION.search(folder)
        if match:
            return int(match[1])
        if folder.lower() in FOLDERS:
            return FOLDERS[folder.lower()]
    return None


def _is_wide(source: Source, image: PurePosixPath) -> bool:
    try:
        return read_picture(source.path / image, lambda picture: picture.width > 1000)
    except ValueError:
        return False
