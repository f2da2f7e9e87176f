"""What every loader returns: one Bunch, assembled and checked in one place."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

# Two classes with one name from each list leave no doubt which is the leukaemic one.
LEUKAEMIC_NAMES = frozenset(
    {
        "all",
        "blast",
        "blasts",
        "leukaemia",
        "leukaemic",
        "leukemia",
        "leukemic",
        "lymphoblast",
        "lymphoblasts",
        "malignant",
    }
)
HEALTHY_NAMES = frozenset({"benign", "healthy", "hem", "normal"})


def make_bunch(
    root: str | os.PathLike,
    filenames: Sequence[str],
    target: Sequence[str],
    *,
    name: str,
    description: str,
    pos_label: str | None = None,
    groups: Sequence[str] | None = None,
    group_name: str = "patients",
    columns: Mapping[str, np.ndarray | str] | None = None,
    images: np.ndarray | None = None,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Bunch | Any:
    """Assemble what a loader found.

    Parameters
    ----------
    root : str or os.PathLike
        Folder that `filenames` are relative to.
    filenames : sequence of str, length n
        Image files, or names of the `images`; absolute ones stay as they are.
    target : sequence of str, length n
        Class of each image.
    name : str
        The data set's name, or that of its folder or file.
    description : str
        What the data set is; its sizes are added.
    pos_label : str, optional
        The leukaemic class. None: taken from the class names where they leave no doubt, that is
        for two classes such as ``blast`` and ``healthy``.
    groups : sequence of str, length n, optional
        Patient of each image. Ids that differ only in case are one patient, spelled as it comes
        first.
    group_name : str, default="patients"
        What the groups are, in the plural.
    columns : mapping of str to array of shape (n,) or str, optional
        Whatever else is known of each image (``site``, ``fold``) or of all (``source_id``).
    images : uint8 array of shape (n, height, width, 3), optional
        The data, where they are no files.
    return_X_y, as_frame : bool
        As in scikit-learn's loaders.

    Returns
    -------
    Bunch or tuple
        As documented in :func:`skall.datasets.load_cells`.

    Raises
    ------
    ValueError
        If there are fewer than two classes, `pos_label` is not one of them, or `images` are to
        become a DataFrame.
    """
    if images is not None and as_frame:
        raise ValueError(
            "as_frame=True cannot be used here: these images are arrays, which fit no column of a "
            "DataFrame as paths do. Leave it out"
        )
    counts = Counter(target)
    classes = sorted(counts)
    if len(classes) < 2:
        raise ValueError(
            f"A classifier needs two classes, but all {len(target)} images of "
            f"{os.fspath(root)!r} are of the class {classes[0]!r}: give the folder or the table "
            "that holds the other classes too"
        )
    positive = _find_pos_label(classes) if pos_label is None else str(pos_label)
    if positive is not None and positive not in counts:
        raise ValueError(f"pos_label={pos_label!r} is not one of the classes {classes}")
    patients = None if groups is None else _merge_case(groups)

    data: Any = images
    if images is None:
        data = _as_objects(str(Path(root, name)) for name in filenames).reshape(-1, 1)
    labels: Any = _as_objects(target)
    frame = None
    if as_frame:
        data = pd.DataFrame(data, columns=["path"], dtype=object)
        labels = pd.Series(labels, name="target", dtype=object)
        frame = pd.concat([data, labels], axis=1)
    if return_X_y:
        return data, labels
    return Bunch(
        name=name,
        data=data,
        target=labels,
        frame=frame,
        target_names=_as_objects(classes),
        pos_label=positive,
        groups=patients,
        filenames=_as_objects(filenames),
        DESCR=f"{description.strip()}\n\n{_describe_sizes(counts, patients, group_name)}\n",
        **(columns or {}),
    )


def set_groups(bunch: Bunch, groups: Sequence[str]) -> None:
    """Give a Bunch whose patients are not known those that were found otherwise."""
    bunch.groups = _merge_case(groups)
    known = f"{len(set(bunch.groups))} patients"
    bunch.DESCR = bunch.DESCR.replace("patients unknown", known)


def _as_objects(values: Iterable) -> np.ndarray:
    return np.array(list(values), dtype=object)


def _find_pos_label(classes: list[str]) -> str | None:
    leukaemic = [name for name in classes if name.lower() in LEUKAEMIC_NAMES]
    healthy = [name for name in classes if name.lower() in HEALTHY_NAMES]
    return leukaemic[0] if len(classes) == 2 and leukaemic and healthy else None


def _merge_case(groups: Sequence[str]) -> np.ndarray:
    spelling: dict[str, str] = {}
    return _as_objects(spelling.setdefault(group.casefold(), group) for group in groups)


def _describe_sizes(counts: Counter, groups: np.ndarray | None, group_name: str) -> str:
    classes = ", ".join(f"{counts[name]} {name}" for name in sorted(counts))
    known = "patients unknown" if groups is None else f"{len(set(groups))} {group_name}"
    return f"{counts.total()} images ({classes}), {known}."
