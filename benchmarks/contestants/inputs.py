"""The images that contestants read."""

from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedKFold

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def read_decoded(task):
    """Decoded images, uint8 ``(n, size, size, 3)``, and their classes."""
    folder = Path(task["folder"])
    return np.load(folder / "images.npy"), np.load(folder / "targets.npy")


def list_files(task):
    """Paths of the image files, sorted, and their classes: the folders that they are in."""
    paths = sorted(Path(task["folder"], "files").glob("*/*"))
    names = sorted({path.parent.name for path in paths})
    return np.array([str(path) for path in paths]), np.array(
        [names.index(path.parent.name) for path in paths]
    )


def split_folds(targets, folds):
    """The folds that ``cross_validate(cv=folds)`` makes."""
    return list(StratifiedKFold(folds).split(targets, targets))
