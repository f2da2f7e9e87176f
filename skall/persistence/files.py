"""Files that are whole or absent, whenever the process ends."""

import json
import os
from pathlib import Path
from threading import get_ident


def write_file(path, write):
    """Write a file under another name and move it into place.

    Parameters
    ----------
    path : path-like
        Its folder is made where it is missing.
    write : callable
        Takes the :class:`pathlib.Path` to write to.

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
    # Another for each thread, which may write the same file.
    partial = path.with_name(f".{path.name}.{os.getpid()}-{get_ident()}.partial")
    try:
        write(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path, content, indent=None):
    """Write JSON as :func:`write_file` does.

    Parameters
    ----------
    path : path-like
    content : object
        That JSON holds.
    indent : int, optional
    """
    text = json.dumps(content, indent=indent)
    write_file(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def write_csv(path, table, index=True):
    """Write a table as CSV as :func:`write_file` does.

    Parameters
    ----------
    path : path-like
    table : DataFrame
    index : bool, default=True
        Whether the index is a column.
    """
    # Names of files need not be UTF-8.
    options = {"index": index, "encoding": "utf-8", "errors": "surrogateescape"}
    write_file(path, lambda partial: table.to_csv(partial, **options))
