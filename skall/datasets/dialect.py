"""Tables as programs write them: in which encoding, and with what between the values."""

import codecs
import csv
from collections.abc import Iterable, Iterator
from io import StringIO
from pathlib import Path

import pandas as pd

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
    return pd.DataFrame(filled.values(), filled.keys(), headings, dtype=object)


def _split_rows(text: str, separator: str) -> Iterator[list[str]]:
    """Values of each row that is not blank."""
    rows = csv.reader(
        StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True
    )
    return ([value.strip() for value in row] for row in rows if row)
