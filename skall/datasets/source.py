"""What lies at the path that a user gives."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})
ARCHIVE_SUFFIXES = frozenset({".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz"})
TABLE_SUFFIXES = frozenset({".csv", ".tsv"})
SHEET_SUFFIXES = frozenset({".xls", ".xlsx", ".ods"})


@dataclass(frozen=True)
class Source:
    """A file or folder, and the images below it.

    Parameters
    ----------
    path : pathlib.Path
        Absolute path of an existing file or folder.
    images : tuple of pathlib.PurePosixPath
        Every image below the folder, relative to it and sorted; empty for a file. Hidden files and
        folders are left out.
    others : tuple of pathlib.PurePosixPath
        Likewise every file that is no image.
    """

    path: Path
    images: tuple[PurePosixPath, ...]
    others: tuple[PurePosixPath, ...] = ()

    def describe(self) -> str:
        """Say in words what was found, for the errors."""
        if not self.path.is_dir():
            suffix = self.path.suffix.lower()
            if suffix in ARCHIVE_SUFFIXES:
                return "an archive, to be unpacked first"
            return f"a {'spreadsheet, to be saved as CSV' if suffix in SHEET_SUFFIXES else 'file'}"
        if not self.images:
            entries = sorted(entry.name for entry in self.path.iterdir())
            return f"a folder without images; it holds {quote_some(entries)}"
        folders = sorted({str(image.parent) for image in self.images})
        if folders == ["."]:
            tables = [file for file in self.others if file.suffix.lower() in TABLE_SUFFIXES]
            advice = (
                f"; if {quote_some(tables)} tells the classes, give that file" if tables else ""
            )
            return f"a folder with {len(self.images)} images and no class folders{advice}"
        return f"a folder with {len(self.images)} images in {quote_some(folders)}"


def find_source(path: str | os.PathLike) -> Source:
    """Find what lies at a path, with ``~`` expanded.

    Raises
    ------
    TypeError
        If `path` is no path.
    FileNotFoundError
        If nothing is there.
    """
    if not isinstance(path, (str, os.PathLike)) or not isinstance(os.fspath(path), str):
        raise TypeError(f"path must be a str or os.PathLike, got {type(path).__name__}: {path!r}")
    found = Path(os.path.abspath(os.path.expanduser(path)))
    if not os.fspath(path) or not found.exists():
        near = next(parent for parent in found.parents if parent.is_dir())
        entries = sorted(entry.name for entry in near.iterdir())
        raise FileNotFoundError(
            f"{os.fspath(path)!r} does not exist: expected a folder of images or a CSV file. "
            f"The nearest folder that exists, {str(near)!r}, holds {quote_some(entries)}"
        )
    if not found.is_dir():
        return Source(found, ())
    files = sorted(PurePosixPath(Path(name).relative_to(found).as_posix()) for name in _walk(found))
    images = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    others = [file for file in files if file.suffix.lower() not in IMAGE_SUFFIXES]
    return Source(found, tuple(images), tuple(others))


def quote_some(names: Iterable[object], limit: int = 5) -> str:
    """Quote the first few names and count the rest: ``"'a', 'b' and 7 more"``."""
    names = [str(name) for name in names]
    quoted = ", ".join(repr(name) for name in names[:limit]) or "nothing"
    rest = len(names) - limit
    return f"{quoted} and {rest} more" if rest > 0 else quoted


def _walk(folder: str | Path, above: frozenset[str] = frozenset()) -> Iterator[str]:
    # os.walk follows links for ever where two folders link to each other.
    real = os.path.realpath(folder)
    if real in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _walk(entry.path, above | {real})
            else:
                # Broken links too: an image that is lost is to be missed.
                yield entry.path
