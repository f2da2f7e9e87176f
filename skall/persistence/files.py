"""Atomic writing: a file is complete or absent, whenever the process ends."""

import json
import os
from pathlib import Path
from threading import get_ident


def write_file(path, write):
    """Write a file under a temporary name, then rename it.

    Parameters
    ----------
    path : path-like
        The file; its folder is created if it does not exist.
    write : callable
        A function that writes to the :class:`pathlib.Path` that it is given.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_file(f"{folder}/new/text", lambda path: path.write_text("whole"))
    ...     Path(folder, "new", "text").read_text()
    'whole'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Threads may write the same file, each under its own temporary name.
    partial = path.with_name(f".{path.name}.{os.getpid()}-{get_ident()}.partial")
    try:
        write(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path, content, indent=None):
    """Write a JSON file with :func:`write_file`.

    Parameters
    ----------
    path : path-like
        The file.
    content : object
        Anything that :func:`json.dumps` accepts.
    indent : int, optional
        Spaces per level; by default everything is on one line.
    """
    text = json.dumps(content, indent=indent)
    write_file(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def write_csv(path, table, index=True):
    """Write a CSV file with :func:`write_file`.

    Parameters
    ----------
    path : path-like
        The file.
    table : pandas.DataFrame
        Its contents.
    index : bool, default=True
        Whether to write the index as a column.
    """
    # Names of image files, which are in the tables, need not be UTF-8.
    options = {"index": index, "encoding": "utf-8", "errors": "surrogateescape"}
    write_file(path, lambda partial: table.to_csv(partial, **options))
