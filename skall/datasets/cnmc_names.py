"""The names of C-NMC's files: of the training images, and of the phases' numbered ones."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

import pandas as pd

from skall.datasets.layout import Source, quote_some

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
