"""C-NMC 2019: cells of patients with acute lymphoblastic leukaemia and of healthy subjects."""

import os
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from skall.datasets.bunch import HEALTHY_NAMES, LEUKAEMIC_NAMES, make_bunch
from skall.datasets.layout import Layout, check_folders
from skall.datasets.source import Source, quote_some

ORIGINAL = re.compile(r"UID_(?P<subject>[^_]+)_[^_]+_[^_]+_(?P<label>all|hem)", re.IGNORECASE)
PHASE_FOLDER = re.compile(r"C-?NMC.*(prelim|final)", re.IGNORECASE)
KAGGLE_FOLDERS = {"validation_data": "prelim", "testing_data": "final"}
TABLE = re.compile(r"C-?NMC.*labels.*\.csv", re.IGNORECASE)
COLUMNS = ["Patient_ID", "new_names", "labels"]
LABELS = {"1": "all", "0": "hem"}


def is_cnmc(source: Source) -> bool:
    """Tell whether a folder holds images of C-NMC 2019."""
    # One name is enough: taken for mere class folders, the set would lose its patients unseen.
    if any(ORIGINAL.fullmatch(image.stem) for image in source.images):
        return True
    numbered = [image for image in source.images if image.stem.isdecimal()]
    folders = {part for image in numbered for part in (source.path.name, *image.parts[:-1])}
    return bool(numbered) and (
        any(PHASE_FOLDER.search(folder) for folder in folders) or bool(_find_tables(source))
    )


def find_phase(source: Source, image: PurePosixPath) -> str | None:
    """Tell which phase an image is of, by its folders or by a table of labels at or above it.

    Returns
    -------
    {"train", "prelim", "final"} or None
    """
    if ORIGINAL.fullmatch(image.stem):
        return "train"
    if not image.stem.isdecimal():
        return None
    for folder in reversed((source.path.name, *image.parts[:-1])):
        match = PHASE_FOLDER.search(folder)
        if match:
            return match[1].lower()
        if folder.lower() in KAGGLE_FOLDERS:
            return KAGGLE_FOLDERS[folder.lower()]
    below = any(table.parent in image.parents for table in _find_tables(source))
    return "prelim" if below else None


def read_original_names(
    source: Source, images: Sequence[PurePosixPath]
) -> dict[PurePosixPath, str]:
    """Read the original names of the preliminary phase's images from its table.

    Raises
    ------
    ValueError
        If there is no such table, an image has no row, two rows or a namesake, or a row
        contradicts itself.
    """
    table = _read_table(source)
    stems = table["new_names"].map(lambda name: PurePosixPath(name).stem)
    _refuse_repeated(source, stems, "rows of the table of labels name one image")
    _refuse_repeated(source, pd.Series([image.stem for image in images]), "images have one number")
    originals = dict(zip(stems, table["Patient_ID"], strict=True))
    unlabelled = [image for image in images if image.stem not in originals]
    if unlabelled:
        raise ValueError(
            f"{len(unlabelled)} of the {len(images)} images of the preliminary phase in "
            f"{str(source.path)!r} are in no row of its table, so that they have no label: "
            f"{quote_some(unlabelled)}. Move them elsewhere, or complete the table"
        )
    return {image: PurePosixPath(originals[image.stem]).stem for image in images}


def _find_tables(source: Source) -> list[PurePosixPath]:
    return [file for file in source.others if TABLE.fullmatch(file.name)]


def _read_table(source: Source) -> pd.DataFrame:
    tables = []
    for file in source.others:
        if file.suffix.lower() == ".csv":
            try:
                table = pd.read_csv(source.path / file, dtype=str, encoding="utf-8-sig")
            except ValueError:
                continue
            if set(COLUMNS) <= set(table.columns):
                tables.append(table[COLUMNS].apply(lambda column: column.fillna("").str.strip()))
    if not tables:
        raise ValueError(
            f"The images of C-NMC's preliminary phase have numbers for names, and their labels "
            f"are in C-NMC_test_prelim_phase_data_labels.csv, but no such table with the columns "
            f"{','.join(COLUMNS)} lies in {str(source.path)!r}: give the folder that holds both "
            "the images and the table"
        )
    # The same table may lie in two places.
    table = pd.concat(tables).drop_duplicates()
    names = table["Patient_ID"].map(lambda name: ORIGINAL.fullmatch(PurePosixPath(name).stem))
    wrong = [
        match is None or LABELS.get(label) != match["label"].lower()
        for match, label in zip(names, table["labels"], strict=True)
    ]
    if any(wrong):
        raise ValueError(
            f"{sum(wrong)} rows of the table of labels in {str(source.path)!r} name no image "
            "UID_<subject>_<image>_<cell>_{all,hem}, or contradict its class (1 is all, 0 is "
            f"hem), first of them {quote_some(table['Patient_ID'][wrong])}: correct them"
        )
    return table


def _refuse_repeated(source: Source, names: pd.Series, what: str) -> None:
    repeated = names[names.duplicated()].unique()
    if len(repeated):
        raise ValueError(
            f"Several {what} in {str(source.path)!r}: {quote_some(repeated)}. Keep one of each"
        )


FOLD = re.compile(r"fold_(\d+)", re.IGNORECASE)
SUBSETS = ("train", "prelim", "all")
# Folders that say a class; others, as of folds and phases, say nothing.
CLASS_FOLDERS = dict.fromkeys(LEUKAEMIC_NAMES, "all") | dict.fromkeys(HEALTHY_NAMES, "hem")

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
    subset: str | None = None,
    pos_label: str = "all",
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Bunch | Any:
    """Load C-NMC 2019 by its file names, however deep its folders lie.

    Every training image is named ``UID_<subject>_<image>_<cell>_<class>`` with the class ``all``
    or ``hem``, in any image format. Folders ``all`` and ``hem`` have to agree with the names.
    Images of the preliminary phase are numbered, and
    ``C-NMC_test_prelim_phase_data_labels.csv`` has their labels and original names. The folders of
    either phase may have the names of TCIA or of the copy on Kaggle (``training_data``,
    ``validation_data``, ``testing_data``). The final phase has no labels and is left out. No image
    is opened.

    Parameters
    ----------
    path : str or os.PathLike
        The folder; ``~`` is expanded.
    subset : {"train", "prelim", "all"}, optional
        The training images, those of the preliminary phase, or both. None: the training images,
        or the preliminary phase where there are no others.
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
        both ``h3`` and ``H3``). ``subset``, an array of str, says ``train`` or ``prelim`` of each
        image. ``fold``, an int array of shape (n,), is there if every image lies in a folder
        ``fold_<k>``.

    Raises
    ------
    FileNotFoundError
        If `path` does not exist.
    ValueError
        If an image is named otherwise, its name contradicts its folder, the table of labels is
        missing, has no row for an image, two for one or contradicts itself, `subset` is empty or
        unknown, or there are images of one class only.

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
    if subset is not None and subset not in SUBSETS:
        raise ValueError(f"subset={subset!r} is not one of {SUBSETS}, nor None")
    source = LAYOUT.open(path)
    phases = [find_phase(source, image) for image in source.images]
    pairs = list(zip(source.images, phases, strict=True))
    LAYOUT.refuse_strangers(source, [image for image, phase in pairs if phase is None])
    subset = _choose(source, {phase for phase in phases if phase}, subset)
    chosen = [(image, phase) for image, phase in pairs if subset in (phase, "all")]
    chosen = [(image, phase) for image, phase in chosen if phase != "final"]
    images, subsets = zip(*chosen, strict=True)

    names = {image: image.stem for image, phase in chosen if phase == "train"}
    if "prelim" in subsets:
        prelim = [image for image, phase in chosen if phase == "prelim"]
        names |= read_original_names(source, prelim)
    # Each name matches, or the image would have been refused.
    matches = [match for image in images if (match := ORIGINAL.fullmatch(names[image]))]
    target = [match["label"].lower() for match in matches]
    check_folders(images, target, CLASS_FOLDERS)
    groups = [match["subject"].upper() for match in matches]
    folds = [fold for image in images if (fold := _find_fold(image)) is not None]
    columns = {"subset": np.array(subsets, dtype=object)}
    if len(folds) == len(images) and _separate(groups, folds):
        columns["fold"] = np.array(folds)
    return make_bunch(
        source.path,
        [str(image) for image in images],
        target,
        name="C-NMC 2019",
        description=DESCRIPTION + _describe_rest(Counter(phases), subset),
        pos_label=pos_label,
        groups=groups,
        columns=columns,
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _choose(source: Source, found: set[str], subset: str | None) -> str:
    if found == {"final"}:
        raise ValueError(
            f"{str(source.path)!r} holds images of C-NMC's final phase alone, whose labels are not "
            "published: give the folder of the training images or of the preliminary phase"
        )
    if subset is None:
        return "train" if "train" in found else "prelim"
    if subset not in (*found, "all"):
        raise ValueError(
            f"subset={subset!r}: {str(source.path)!r} holds images of {sorted(found)} alone"
        )
    return subset


def _describe_rest(counts: Counter, subset: str) -> str:
    """Which images were found but not taken, and why."""
    left_out = []
    for phase, name in [("train", "training set"), ("prelim", "preliminary phase")]:
        if counts[phase] and subset not in (phase, "all"):
            left_out.append(f"{counts[phase]} images of the {name} (take them with subset='all')")
    if counts["final"]:
        left_out.append(f"{counts['final']} images of the final phase, which have no labels")
    return f"\nLeft out: {'; '.join(left_out)}." if left_out else ""


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
    load_cnmc,
    "images named UID_<subject>_<image>_<cell>_{all,hem}.<extension>, or the numbered ones of the "
    "preliminary phase with their table of labels",
    is_cnmc,
)
