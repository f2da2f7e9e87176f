"""Any folder of images sorted into one folder per class."""

import os
import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from sklearn.utils import Bunch

from skall.datasets.annotations import check_annotations
from skall.datasets.bunch import make_bunch
from skall.datasets.layout import Layout
from skall.datasets.source import IMAGE_SUFFIXES, Source, quote_some


def load_folder(
    path: str | os.PathLike,
    *,
    groups: str | re.Pattern | None = None,
    pos_label: str | None = None,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Bunch | Any:
    """Load images that lie in one folder per class.

    The class of an image is the name of the folder that holds it, however deep that lies: ``ig``
    for ``root/train/ig/1.png``. Files that are no images, and hidden ones, are passed over. No
    image is opened.

    Parameters
    ----------
    path : str or os.PathLike
        The folder; ``~`` is expanded.
    groups : str or re.Pattern, optional
        Regular expression searched for in the file name of every image: its group named ``group``,
        or else its first group, is the patient.
    pos_label : str, optional
        The leukaemic class. None: taken from the class names where they leave no doubt, that is
        for two classes such as ``blast`` and ``healthy``.
    return_X_y : bool, default=False
        Return ``(data, target)`` alone.
    as_frame : bool, default=False
        Give the data as a DataFrame and the target as a Series.

    Returns
    -------
    Bunch or tuple
        As :func:`load_cells`.

    Raises
    ------
    FileNotFoundError
        If `path` does not exist.
    ValueError
        If there are no class folders or one only, if images lie beside class folders, if the
        folder holds masks or data for the detection of cells, if `groups` is no regular expression
        with a group or does not match a file name, or if `pos_label` is no class.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skall.datasets import load_folder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ["blast/anna-1.png", "blast/ben-1.png", "healthy/cleo-1.png"]:
    ...         file = Path(folder, name)
    ...         file.parent.mkdir(exist_ok=True)
    ...         file.touch()
    ...     cells = load_folder(folder, groups=r"(\\w+)-\\d+")
    >>> cells.target
    array(['blast', 'blast', 'healthy'], dtype=object)
    >>> cells.groups
    array(['anna', 'ben', 'cleo'], dtype=object)
    >>> cells.pos_label
    'blast'
    """
    source = LAYOUT.open(path)
    check_annotations(source)
    _check_nesting(source)
    return make_bunch(
        source.path,
        [str(image) for image in source.images],
        [image.parent.name for image in source.images],
        name=source.path.name,
        description=f"Images of {str(source.path)!r}, one folder per class.",
        pos_label=pos_label,
        groups=None if groups is None else match_groups(groups, source.images),
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _recognise(source: Source) -> bool:
    return any(len(image.parts) > 1 for image in source.images)


def _check_nesting(source: Source) -> None:
    folders = {image.parent for image in source.images}
    mixed = {parent for folder in folders for parent in folder.parents if parent in folders}
    if mixed:
        beside = [image for image in source.images if image.parent in mixed]
        raise ValueError(
            f"{len(beside)} images of {str(source.path)!r} lie beside folders that hold images "
            f"too, so that their class is not clear: {quote_some(beside)}. Put every image into "
            "the folder of its class"
        )


def match_groups(pattern: str | re.Pattern, images: Sequence[PurePosixPath]) -> list[str]:
    """Find the patient of each image in its file name, as `groups` of :func:`load_folder` says."""
    try:
        pattern = re.compile(pattern)
    except (TypeError, re.error) as exc:
        raise ValueError(
            f"groups must be a regular expression on the file name, got {pattern!r}: {exc}"
        ) from exc
    if not pattern.groups:
        raise ValueError(
            f"groups={pattern.pattern!r} has no group: put the part of the file name that is the "
            "patient into parentheses"
        )
    key = "group" if "group" in pattern.groupindex else 1
    matches = [pattern.search(image.name) for image in images]
    # An optional group of the expression that is not there is None.
    found = [(match[key] or "") if match else "" for match in matches]
    unknown = [image for image, group in zip(images, found, strict=True) if not group.strip()]
    if unknown:
        raise ValueError(
            f"groups={pattern.pattern!r} finds no patient in the names of {len(unknown)} of "
            f"{len(images)} images: {quote_some(unknown)}"
        )
    return found


LAYOUT = Layout(
    load_folder,
    f"one folder of images ({', '.join(sorted(IMAGE_SUFFIXES))}) per class",
    _recognise,
)
