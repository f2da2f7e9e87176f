"""Any images listed in a table, as comma-separated values."""

import os
import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from skall.datasets.bunch import make_bunch
from skall.datasets.dialect import read_table
from skall.datasets.layout import TABLE_SUFFIXES, Layout, Source, quote_some

REQUIRED = ("path", "label")
COLUMNS = (*REQUIRED, "group", "site", "fold")
# What a column of patients may be called where it is not called "group".
PATIENT_NAMES = ("groups", "patient", "patients", "patient_id", "subject", "subject_id", "case")


def load_csv(
    path: str | os.PathLike,
    *,
    columns: Mapping[str, str] | None = None,
    pos_label: str | None = None,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Bunch | tuple:
    """Load images listed in a CSV file with the columns ``path,label[,group,site,fold]``.

    Columns of other names are passed over, and the order of the rows is kept. No image is opened.
    Values are separated by commas, semicolons or tabs; headings may be in capitals.

    Parameters
    ----------
    path : str or os.PathLike
        The CSV file (``.csv``, ``.tsv``), in UTF-8, UTF-16 or Windows-1252; ``~`` is expanded.
        Image paths in it are absolute or relative to its folder, with slashes or backslashes.
    columns : mapping of str to str, optional
        Headings that the file has instead: ``{"label": "diagnosis", "group": "patient"}``.
    pos_label : str, optional
        The leukaemic class. None: taken from the labels where they leave no doubt, that is for two
        labels such as ``blast`` and ``healthy``.
    return_X_y : bool, default=False
        Return ``(data, target)`` alone.
    as_frame : bool, default=False
        Give the data as a DataFrame and the target as a Series.

    Returns
    -------
    Bunch or tuple
        As :func:`load_cells`. Labels become str. ``groups`` are the column ``group``; ``site`` and
        ``fold`` are there if their columns are. ``fold`` is an int array where it can be, else one
        of str.

    Raises
    ------
    FileNotFoundError
        If `path` does not exist.
    ValueError
        If it is no such CSV file, a value is empty, an image is missing or listed twice, there is
        one label only, or `pos_label` is no label.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skall.datasets import load_csv
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ["1.png", "2.png"]:
    ...         Path(folder, name).touch()
    ...     table = Path(folder, "cells.csv")
    ...     _ = table.write_text("path,label,group\\n1.png,blast,anna\\n2.png,healthy,ben\\n")
    ...     cells = load_csv(table)
    >>> cells.target
    array(['blast', 'healthy'], dtype=object)
    >>> cells.groups
    array(['anna', 'ben'], dtype=object)
    """
    source = LAYOUT.open(path)
    table = _read_columns(source, columns or {})
    _check_values(source, table)
    _check_files(source, table)
    known = {}
    if "site" in table:
        known["site"] = table["site"].to_numpy(dtype=object)
    if "fold" in table:
        known["fold"] = _convert_folds(table["fold"])
    return make_bunch(
        source.path.parent,
        list(table["path"]),
        list(table["label"]),
        name=source.path.name,
        description=f"Images listed in {str(source.path)!r}.",
        pos_label=pos_label,
        groups=list(table["group"]) if "group" in table else None,
        columns=known,
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _recognise(source: Source) -> bool:
    return source.path.is_file() and source.path.suffix.lower() in TABLE_SUFFIXES


def _read_columns(source: Source, columns: Mapping[str, str]) -> pd.DataFrame:
    """The columns that are known, under our own names."""
    unknown = [name for name in columns if name not in COLUMNS]
    if unknown:
        raise ValueError(
            f"columns names {quote_some(unknown)}; a table of images has {quote_some(COLUMNS)}"
        )
    names = {name: columns.get(name, name) for name in COLUMNS}
    table = read_table(source.path, map(str.casefold, names.values()))
    places = {name: _find_heading(source, table, heading) for name, heading in names.items()}
    asked = dict.fromkeys((*REQUIRED, *columns))
    missing = [name for name in asked if places[name] is None]
    if missing:
        raise ValueError(
            f"{str(source.path)!r} has no column {quote_some(names[name] for name in missing)}: "
            f"load_csv expects {LAYOUT.expects}, and found the columns "
            f"{quote_some(table.columns, limit=20)}. {_explain_columns(missing[0])}"
        )
    if table.empty:
        raise ValueError(f"{str(source.path)!r} has a header but no rows")
    patients = [name for name in table if name.casefold() in PATIENT_NAMES]
    if patients and places["group"] is None:
        warnings.warn(
            f"{str(source.path)!r} has no column 'group', so patients are not known; if "
            f"{quote_some(patients)} holds them: {_explain_columns('group', patients[0])}",
            stacklevel=4,
        )
    found = {name: place for name, place in places.items() if place is not None}
    table = table.iloc[:, list(found.values())].set_axis(list(found), axis=1)
    return table.assign(path=[_find_path(source, name) for name in table["path"]])


def _find_heading(source: Source, table: pd.DataFrame, heading: str) -> int | None:
    """Place of the column of this heading, which may be spelt in other cases."""
    headings = list(table.columns)
    places = [place for place, found in enumerate(headings) if found == heading] or [
        place for place, found in enumerate(headings) if found.casefold() == heading.casefold()
    ]
    if len(places) > 1:
        raise ValueError(
            f"{str(source.path)!r} has {len(places)} columns {heading!r}, of "
            f"{quote_some(headings, limit=20)}: rename all but one"
        )
    return places[0] if places else None


def _explain_columns(name: str, heading: str = "NAME") -> str:
    return (
        f'Headings of your own are named by columns={{"{name}": "{heading}"}}, in the command line '
        f"by --columns {name}={heading}"
    )


def _find_path(source: Source, name: str) -> str:
    """A path with slashes, where its backslashes are those of Windows."""
    if "\\" not in name or (source.path.parent / name).exists():
        return name
    return name.replace("\\", "/")


def _check_values(source: Source, table: pd.DataFrame) -> None:
    for name in table:
        rows = table.index[table[name] == ""]
        if len(rows):
            raise ValueError(
                f"The column {name!r} of {str(source.path)!r} is empty in {len(rows)} of "
                f"{len(table)} rows, counted from 1: {quote_some(rows)}"
            )


def _check_files(source: Source, table: pd.DataFrame) -> None:
    files = table["path"].map(lambda name: str(source.path.parent / name))
    missing = table["path"][~files.map(os.path.isfile).astype(bool)]
    if len(missing):
        raise ValueError(
            f"{len(missing)} of the {len(table)} images that {str(source.path)!r} lists do not "
            f"exist in {str(source.path.parent)!r}: {quote_some(missing)}"
        )
    files = files.map(os.path.normpath)
    repeated = files.duplicated()
    if repeated.any():
        labels = table["label"].groupby(files).nunique()
        conflicts = table["path"][repeated & (files.map(labels) > 1)].unique()
        detail = f"; with different labels: {quote_some(conflicts)}" if len(conflicts) else ""
        raise ValueError(
            f"{str(source.path)!r} lists images more than once: "
            f"{quote_some(table['path'][repeated].unique())}{detail}. Keep one row for each"
        )


def _convert_folds(folds: pd.Series) -> np.ndarray:
    try:
        return folds.to_numpy(dtype=object).astype(int)
    except ValueError:
        return folds.to_numpy(dtype=object)


LAYOUT = Layout(load_csv, "a CSV file with the columns path,label[,group,site,fold]", _recognise)
