"""Any images listed in a table of comma-separated values."""

import codecs
import csv
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from skall.datasets.bunch import make_bunch
from skall.datasets.layout import Layout
from skall.datasets.source import TABLE_SUFFIXES, Source, quote_some

# Spreadsheets write semicolons where the comma is the decimal point.
SEPARATORS = (",", ";", "\t")


def read_text(path: str | Path) -> str:
    """Read a text file as spreadsheets write it.

    In UTF-8 or UTF-16, which a mark at the beginning tells, else in Windows' encoding of Western
    Europe.

    Raises
    ------
    UnicodeDecodeError
        If it is in none of them.
    """
    content = Path(path).read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252")


def split_headings(text: str, wanted: Iterable[str]) -> tuple[list[str], str]:
    """Find the headings of a table, and what separates them.

    Parameters
    ----------
    text : str
        The table.
    wanted : iterable of str
        Headings that it may have, in lower case: the separator is the one that gives most of them.

    Returns
    -------
    headings : list of str
        Without blanks about them.
    separator : {",", ";", "\\t"}

    Raises
    ------
    csv.Error
        If the headings can be split by none of them.

    Examples
    --------
    >>> split_headings("Path; Label\\n1.png;blast\\n", ["path", "label"])
    (['Path', 'Label'], ';')
    """
    wanted, found, errors = set(wanted), [], []
    for separator in SEPARATORS:
        try:
            headings = next(_split_rows(text, separator), [])
        except csv.Error as exc:
            # Behind a quotation mark stands another separator.
            errors.append(exc)
            continue
        known = len(wanted.intersection(map(str.casefold, headings)))
        found.append((known, len(headings), headings, separator))
    if not found:
        raise errors[0]
    _, _, headings, separator = max(found, key=lambda entry: entry[:2])
    return headings, separator


def read_table(path: str | Path, wanted: Iterable[str]) -> pd.DataFrame:
    """Read a table of text, separated by commas, semicolons or tabs.

    Parameters
    ----------
    path : str or pathlib.Path
    wanted : iterable of str
        As in :func:`split_headings`.

    Returns
    -------
    DataFrame of str
        Without blanks about the values; ``""`` where there is none. The index counts the rows
        below the headings from 1; rows without any value are left out.

    Raises
    ------
    ValueError
        If the file is no such table, or a row has more values than there are headings.
    """
    try:
        text = read_text(path)
        headings, separator = split_headings(text, wanted)
        rows = list(_split_rows(text, separator))[1:]
        if not headings:
            raise ValueError("it is empty")
    except (ValueError, csv.Error) as exc:
        raise ValueError(f"{str(path)!r} cannot be read as a CSV file: {exc}") from exc
    if any(len(row) > len(headings) for row in rows):
        raise ValueError(f"The rows of {str(path)!r} hold more values than its header")
    filled = {
        number: row + [""] * (len(headings) - len(row))
        for number, row in enumerate(rows, start=1)
        if any(row)
    }
    return pd.DataFrame(list(filled.values()), list(filled), headings, dtype=object)


def _split_rows(text: str, separator: str) -> Iterator[list[str]]:
    """Values of each row that is not blank."""
    rows = csv.reader(
        StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True
    )
    return ([value.strip() for value in row] for row in rows if row)


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
) -> Bunch | Any:
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
    requested = dict.fromkeys((*REQUIRED, *columns))
    missing = [name for name in requested if places[name] is None]
    if missing:
        raise ValueError(
            f"{str(source.path)!r} has no column {quote_some(names[name] for name in missing)}: "
            f"load_csv expects {LAYOUT.expects}, and found the columns "
            f"{quote_some(table.columns, limit=20)}. {_explain_columns(missing[0])}"
        )
    if table.empty:
        raise ValueError(f"{str(source.path)!r} has a header but no rows")
    patients = [name for name in table.columns if name.casefold() in PATIENT_NAMES]
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
