"""How each data set lies on disk, and which loader fits a folder or file."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from sklearn.utils import Bunch

from skall.datasets.annotations import check_annotations
from skall.datasets.source import Source, find_source, quote_some


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


# In the order in which they are tried; skall.datasets.cells registers them.
_LAYOUTS: list[Layout] = []


def register_layouts(layouts: Iterable[Layout]) -> None:
    """Set the layouts that a path is compared with, the particular before the general."""
    _LAYOUTS[:] = layouts


def find_layout(source: Source) -> Layout | None:
    """Return the first layout that recognises a source; None if none does.

    Raises
    ------
    ValueError
        If none does, and the folder holds masks of cells, or boxes about them.
    """
    layout = next((layout for layout in _LAYOUTS if layout.recognises(source)), None)
    if layout is None:
        check_annotations(source)
    return layout


def _suggest_loader(source: Source) -> str:
    layout = find_layout(source)
    return f"{layout.load.__name__} fits it" if layout else "No loader fits it"
