"""BloodMNIST: PBC's images, small and in one file."""

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skall.datasets.bunch import make_bunch
from skall.datasets.layout import Layout
from skall.datasets.pbc import SOURCE_ID
from skall.datasets.source import Source

FOLDS = ("train", "val", "test")
CLASSES = (
    "basophil",
    "eosinophil",
    "erythroblast",
    "ig",
    "lymphocyte",
    "monocyte",
    "neutrophil",
    "platelet",
)

DESCRIPTION = """
BloodMNIST: single normal cells of peripheral blood in RGB, 28, 64, 128 or 224 pixels square, with
a split into train, val and test (11,959, 1,712 and 3,421 images). Made of the images of PBC
(Acevedo et al., 2020): neither is an external test of the other. Patients are not known.

Source: MedMNIST v2, https://doi.org/10.5281/zenodo.10519652
Licence: CC BY 4.0.
Citation: Yang, J., Shi, R., Wei, D., Liu, Z., Zhao, L., Ke, B., Pfister, H., & Ni, B. (2023).
MedMNIST v2 - A large-scale lightweight benchmark for 2D and 3D biomedical image classification.
Scientific Data, 10, 41. https://doi.org/10.1038/s41597-022-01721-8
"""


def load_bloodmnist(
    path: str | os.PathLike,
    *,
    pos_label: str | None = None,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Bunch | Any:
    """Load BloodMNIST from its file.

    Parameters
    ----------
    path : str or os.PathLike
        The file ``bloodmnist.npz``, ``bloodmnist_64.npz``, ``bloodmnist_128.npz`` or
        ``bloodmnist_224.npz``; ``~`` is expanded.
    pos_label : str, optional
        The positive class. None: these are normal cells, there is none.
    return_X_y : bool, default=False
        Return ``(data, target)`` alone.
    as_frame : bool, default=False
        Refused: arrays of images fit no DataFrame.

    Returns
    -------
    Bunch or tuple
        As :func:`load_cells`, but ``data`` is a uint8 array of shape (n, height, width, 3): the
        images of train, val and test, one after another. ``fold``, an array of str, says which;
        ``filenames`` are ``train/0`` and so on; there are no groups; ``source_id`` is the same str
        as PBC's.

    Raises
    ------
    FileNotFoundError
        If `path` does not exist.
    ValueError
        If it is no such file, or with `as_frame`.

    See Also
    --------
    fetch_bloodmnist : Download the file.

    References
    ----------
    Yang, J., et al. (2023). MedMNIST v2 - A large-scale lightweight benchmark for 2D and 3D
    biomedical image classification. Scientific Data, 10, 41.
    https://doi.org/10.1038/s41597-022-01721-8

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skall.datasets import load_bloodmnist
    >>> arrays = {}
    >>> for fold in ["train", "val", "test"]:
    ...     arrays[f"{fold}_images"] = np.zeros((2, 28, 28, 3), np.uint8)
    ...     arrays[f"{fold}_labels"] = np.array([[0], [4]], np.uint8)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(Path(folder, "bloodmnist.npz"), **arrays)
    ...     cells = load_bloodmnist(Path(folder, "bloodmnist.npz"))
    >>> cells.data.shape, cells.target[:2].tolist(), cells.fold[2:4].tolist()
    ((6, 28, 28, 3), ['basophil', 'lymphocyte'], ['val', 'val'])
    """
    source = LAYOUT.open(path)
    images, labels, sizes = _read(source.path)
    return make_bunch(
        source.path,
        [f"{fold}/{row}" for fold in FOLDS for row in range(sizes[fold])],
        [CLASSES[label] for label in labels],
        name="BloodMNIST",
        description=DESCRIPTION,
        pos_label=pos_label,
        columns={
            "fold": np.repeat(np.array(FOLDS, dtype=object), [sizes[fold] for fold in FOLDS]),
            "source_id": SOURCE_ID,
        },
        images=images,
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _recognise(source: Source) -> bool:
    # Its relatives, such as PathMNIST, hold arrays of the same names.
    name = source.path.name.lower()
    return source.path.is_file() and name.startswith("bloodmnist") and name.endswith(".npz")


def _read(file: Path) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    try:
        # numpy leaves a damaged file open that it opened itself.
        with file.open("rb") as stream, np.load(stream) as archive:
            labels = {fold: archive[f"{fold}_labels"].reshape(-1) for fold in FOLDS}
            images = _join(archive, {fold: len(labels[fold]) for fold in FOLDS})
    except (KeyError, TypeError, ValueError, OSError, EOFError, zipfile.BadZipFile) as exc:
        raise ValueError(
            f"{str(file)!r} is no BloodMNIST file, or damaged ({exc}): expected the arrays "
            "{train,val,test}_images, uint8 of shape (n, height, width, 3), and "
            "{train,val,test}_labels, of shape (n, 1); fetch_bloodmnist downloads it"
        ) from exc
    joined = np.concatenate([labels[fold] for fold in FOLDS])
    if not (np.issubdtype(joined.dtype, np.integer) and set(joined) <= set(range(len(CLASSES)))):
        raise ValueError(
            f"{str(file)!r} is no BloodMNIST file: its labels are not whole numbers from 0 to 7"
        )
    return images, joined, {fold: len(labels[fold]) for fold in FOLDS}


def _join(archive: Mapping[str, np.ndarray], sizes: Mapping[str, int]) -> np.ndarray:
    """The images of all parts, never held twice: at 224 pixels they take 2.6 GB."""
    images, start = np.empty(0, np.uint8), 0
    for fold, size in sizes.items():
        part = archive[f"{fold}_images"]
        if part.dtype != np.uint8 or part.ndim != 4 or part.shape[3] != 3 or len(part) != size:
            raise ValueError(f"{size} labels, {part.dtype} images of shape {part.shape} in {fold}")
        if not start:
            images = np.empty((sum(sizes.values()), *part.shape[1:]), np.uint8)
        images[start : start + size] = part
        start += size
    return images


LAYOUT = Layout(load_bloodmnist, "a file bloodmnist{,_64,_128,_224}.npz", _recognise)
