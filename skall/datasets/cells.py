"""One loader for every data set: it looks which of the others fits."""

import inspect
import os
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from sklearn.utils import Bunch

from skall.datasets import all_4class, all_idb, bloodmnist, cnmc, folder, pbc, raabin, table
from skall.datasets.bunch import set_groups
from skall.datasets.folder import match_groups
from skall.datasets.layout import find_layout, register_layouts
from skall.datasets.source import find_source

# The first that recognises a source loads it.
LAYOUTS = (
    cnmc.LAYOUT,
    all_idb.FIELDS_LAYOUT,
    all_idb.CELLS_LAYOUT,
    all_4class.LAYOUT,
    pbc.LAYOUT,
    raabin.LAYOUT,
    bloodmnist.LAYOUT,
    table.LAYOUT,
    folder.LAYOUT,
)
register_layouts(LAYOUTS)


def load_cells(
    path: str | os.PathLike,
    *,
    groups: str | re.Pattern | None = None,
    columns: Mapping[str, str] | None = None,
    pos_label: str | None = None,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Bunch | Any:
    """Load blood-cell images, whichever known data set they are.

    The loader is chosen by the names of the files and folders, whatever the image format and
    however deep the folders lie: :func:`load_cnmc`, :func:`load_all_idb1`, :func:`load_all_idb2`,
    :func:`load_all_4class`, :func:`load_pbc`, :func:`load_raabin` and :func:`load_bloodmnist` for
    these data sets, :func:`load_csv` for a CSV file, and :func:`load_folder` for any other folder
    of class folders. They have options that this one has not. Files that are no images, and hidden
    ones, are passed over.

    Parameters
    ----------
    path : str or os.PathLike
        Folder or CSV file; ``~`` is expanded.
    groups : str or re.Pattern, optional
        Regular expression that finds the patient in a file name, see :func:`load_folder`; refused
        where the loader finds the patients itself.
    columns : mapping of str to str, optional
        Headings of a CSV file where they are others than ``path,label,group,site,fold``, see
        :func:`load_csv`; refused where there is no CSV file.
    pos_label : str, optional
        The leukaemic class; by default as the data set has it.
    return_X_y : bool, default=False
        Return ``(data, target)`` alone.
    as_frame : bool, default=False
        Give the data as a DataFrame and the target as a Series.

    Returns
    -------
    Bunch or tuple
        ``(data, target)`` with `return_X_y`, else a :class:`sklearn.utils.Bunch`; folders are read
        in the order of the relative path, tables in their own.

        data : object array of shape (n, 1), or DataFrame with the one column ``path``
            Absolute path of each image, str. For BloodMNIST the images themselves, a uint8 array
            of shape (n, height, width, 3).
        target : object array of shape (n,), or Series
            Class of each image, str.
        frame : DataFrame of shape (n, 2), or None
            Data and target, with `as_frame`.
        target_names : object array of shape (n_classes,)
            The classes, sorted.
        pos_label : str or None
            The leukaemic class, where it is known.
        groups : object array of shape (n,), or None
            Patient of each image, where known. Ids that differ only in case are one patient.
        filenames : object array of shape (n,)
            Image files relative to the folder, or as the table has them.
        name : str
            The data set's name; of class folders and CSV files that of the folder or file.
        DESCR : str
            The data set, its source and licence where known, and its sizes.
        fold, site : array of shape (n,)
            Part of the split that the data set comes with, and place or microscope that an image
            is from. Only there where they are known.
        source_id : str
            Only there where it is known. Data sets that share it are made of the same images, so
            that none of them is an external test of another.

    Raises
    ------
    TypeError
        If `path` is no path.
    FileNotFoundError
        If `path` does not exist.
    ValueError
        If no loader fits, the one that fits finds the files inconsistent, or `groups` is given
        and it finds the patients itself, or `columns` and there are none.

    See Also
    --------
    make_blood_cells : Synthetic cells.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skall.datasets import load_cells
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ["all/UID_1_2_1_all.png", "hem/UID_H3_1_1_hem.png"]:
    ...         file = Path(folder, name)
    ...         file.parent.mkdir()
    ...         file.touch()
    ...     cells = load_cells(folder)
    >>> cells.target, cells.pos_label
    (array(['all', 'hem'], dtype=object), 'all')
    >>> print(cells.DESCR.splitlines()[-1])
    2 images (1 all, 1 hem), 2 patients.
    """
    source = find_source(path)
    layout = find_layout(source)
    if layout is None:
        known = "\n".join(f"- {layout.load.__name__}: {layout.expects}" for layout in LAYOUTS)
        raise ValueError(
            f"No loader fits {str(source.path)!r}: it is {source.describe()}. Expected\n{known}"
        )
    options: dict[str, Any] = {"return_X_y": return_X_y, "as_frame": as_frame}
    if pos_label is not None:
        options["pos_label"] = pos_label
    if columns is not None:
        if layout is not table.LAYOUT:
            raise ValueError(
                f"columns={columns!r} names those of a CSV file, but {str(source.path)!r} is "
                f"loaded by {layout.load.__name__}. Leave it out, or give a CSV file"
            )
        options["columns"] = columns
    if groups is None:
        return layout.load(source.path, **options)
    if "groups" in inspect.signature(layout.load).parameters:
        return layout.load(source.path, groups=groups, **options)
    cells = layout.load(source.path, **(options | {"return_X_y": False}))
    if cells.groups is not None:
        raise ValueError(
            f"groups={groups!r} cannot be used here: {str(source.path)!r} is loaded by "
            f"{layout.load.__name__}, which finds the patients itself. Leave groups out, or call "
            "load_folder"
        )
    set_groups(cells, match_groups(groups, [PurePosixPath(name) for name in cells.filenames]))
    return (cells.data, cells.target) if return_X_y else cells
