"""What lies at the path a user gives, and what each loader expects to find there."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sklearn.utils import Bunch

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


@dataclass(frozen=True)
class Layout:
    """How one data set lies on disk, and the function that loads it.

    Parameters
    ----------
    load : callable
        The public loader.
    expects : str
        What the loader expects, in words.
    recognises : callable
        ``recognises(source)`` tells whether the loader is the one for a :class:`Source`, by the
        names of the files; no pixels are read.
    """

    load: Callable[..., Bunch]
    expects: str
    recognises: Callable[[Source], bool]

    def open(self, path: str | os.PathLike) -> Source:
        """Find what lies at `path`; ValueError if another loader, or none, is the right one."""
        source = find_source(path)
        if not self.recognises(source):
            raise ValueError(
                f"{self.load.__name__} expects {self.expects}. {str(source.path)!r} is "
                f"{source.describe()}. {_suggest_loader(source)}"
            )
        return source

    def refuse_strangers(self, source: Source, strangers: Sequence[PurePosixPath]) -> None:
        """Raise ValueError if any image of `source` is none of this data set."""
        if strangers:
            name = self.load.__name__
            raise ValueError(
                f"{name} expects {self.expects}, but {len(strangers)} of the {len(source.images)} "
                f"images of {str(source.path)!r} are none of them: {quote_some(strangers)}. Give "
                "the folder that holds the images of this data set alone, or use load_folder to "
                "take all of them by their folders"
            )


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


def check_folders(
    images: Iterable[PurePosixPath], target: Iterable[str], folders: Mapping[str, str]
) -> None:
    """Raise ValueError where the folder of an image contradicts the class that its name tells.

    Parameters
    ----------
    images : iterable of pathlib.PurePosixPath
    target : iterable of str
        Class of each image by its name.
    folders : mapping of str to str
        The class that a folder of this name, in lower case, stands for. Other folders say nothing.
    """
    wrong = [
        image
        for image, label in zip(images, target, strict=True)
        if folders.get(image.parent.name.lower(), label) != label
    ]
    if wrong:
        raise ValueError(
            f"{len(wrong)} images are of one class by their name and of another by their folder: "
            f"{quote_some(wrong)}. Move or rename them"
        )


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


def _suggest_loader(source: Source) -> str:
    # Here, because every loader imports this module.
    from skall.datasets.annotations import check_annotations
    from skall.datasets.cells import LAYOUTS

    for layout in LAYOUTS:
        if layout.recognises(source):
            return f"{layout.load.__name__} fits it"
    check_annotations(source)
    return "No loader fits it"
