"""Any images listed in a table, as comma-separated values."""

import os
import warnings

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from skall.datasets.bunch import make_bunch
from skall.datasets.layout import Layout, Source, quote_some

REQUIRED = ("path", "label")
OPTIONAL = ("group", "site", "fold")
# What a column of patients may be called where it is not called "group".
PATIENT_NAMES = ("groups", "patient", "patients", "patient_id", "subject", "subject_id", "case")


def load_csv(
    path: str | os.PathLike,
    *,
    pos_label: str | None = None,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Bunch | tuple:
    """Load images listed in a CSV file with the columns ``path,label[,group,site,fold]``.

    Columns of other names are passed over, and the order of the rows is kept. No image is opened.

    Parameters
    ----------
    path : str or os.PathLike
        The CSV file, in UTF-8; ``~`` is expanded. Image paths in it are absolute or relative to its
        folder.
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
    table = _read_table(source)
    _check_values(source, table)
    _check_files(source, table)
    columns = {}
    if "site" in table:
        columns["site"] = table["site"].to_numpy(dtype=object)
    if "fold" in table:
        columns["fold"] = _convert_folds(table["fold"])
    return make_bunch(
        source.path.parent,
        list(table["path"]),
        list(table["label"]),
        name=source.path.name,
        description=f"Images listed in {str(source.path)!r}.",
        pos_label=pos_label,
        groups=list(table["group"]) if "group" in table else None,
        columns=columns,
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _recognise(source: Source) -> bool:
    return source.path.is_file() and source.path.suffix.lower() == ".csv"


def _read_table(source: Source) -> pd.DataFrame:
    try:
        # As text: 007 stays a patient, and "NA" a label.
        table = pd.read_csv(source.path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except ValueError as exc:
        raise ValueError(f"{str(source.path)!r} cannot be read as a CSV file: {exc}") from exc
    # pandas takes the first values of rows that are longer than the header for an index.
    if not isinstance(table.index, pd.RangeIndex):
        raise ValueError(f"The rows of {str(source.path)!r} hold more values than its header")
    table.columns = table.columns.str.strip()
    missing = [name for name in REQUIRED if name not in table]
    if missing:
        raise ValueError(
            f"{str(source.path)!r} has no column {quote_some(missing)}: load_csv expects "
            f"{LAYOUT.expects}, and found the columns {quote_some(table.columns)}"
        )
    if table.empty:
        raise ValueError(f"{str(source.path)!r} has a header but no rows")
    known = [name for name in (*REQUIRED, *OPTIONAL) if name in table]
    patients = [name for name in table if name.lower() in PATIENT_NAMES]
    if patients and "group" not in table:
        warnings.warn(
            f"{str(source.path)!r} has no column 'group', so patients are not known; if "
            f"{quote_some(patients)} holds them, call it 'group'",
            stacklevel=4,
        )
    return table[known].apply(lambda column: column.fillna("").str.strip())


def _check_values(source: Source, table: pd.DataFrame) -> None:
    for name in table:
        rows = np.flatnonzero(table[name] == "") + 1
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
