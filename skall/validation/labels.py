"""Labels: the class of each sample."""

import numpy as np
import pandas as pd
from sklearn.utils import column_or_1d

# Rows that an error message names at most.
MOST_NAMED = 5
# numpy's types for the contents of object arrays, by pandas' names.
TYPES = {"boolean": np.bool_, "integer": np.int64, "floating": np.float64}


def read_labels(y, name="y"):
    """Convert labels to an array of their own type.

    Integers stay integers: scikit-learn converts pandas' nullable ``Int64`` and ``boolean`` to
    floats, and refuses numbers in object arrays.

    Parameters
    ----------
    y : array-like of shape (n,) or (n, 1)
        The labels; a Series or Index may have any of pandas' types, such as ``Int64``, ``string``
        or ``category``.
    name : str, default="y"
        Name of the argument in error messages.

    Returns
    -------
    labels : ndarray of shape (n,)
        The labels.

    Raises
    ------
    ValueError
        If labels are missing (None, NaN, ``pandas.NA``, NaT); the message names the rows.

    Examples
    --------
    >>> import pandas as pd
    >>> read_labels(pd.Series([1, 0, 1], dtype="Int64"))
    array([1, 0, 1])
    >>> read_labels(pd.Series(["blast", None, "healthy"], dtype="string"))
    Traceback (most recent call last):
    ValueError: y has no value in row 1
    """
    is_list = isinstance(y, list | tuple)
    is_extension = isinstance(getattr(y, "dtype", None), pd.api.extensions.ExtensionDtype)
    # numpy would convert a NaN in a list of str to the text "nan".
    as_objects = is_list or is_extension or isinstance(y, pd.DataFrame)
    labels = column_or_1d(np.asarray(y, dtype=object) if as_objects else y, warn=True)
    refuse_missing(pd.isna(labels), name)
    if labels.dtype != object:
        return labels
    kind = pd.api.types.infer_dtype(labels)
    return labels.astype(str if is_list and kind == "string" else TYPES.get(kind, object))


def refuse_missing(missing, name):
    """Raise an error if values are missing.

    Parameters
    ----------
    missing : ndarray of bool, shape (n,)
        Whether each value is missing.
    name : str
        Name of the argument in the error message.

    Raises
    ------
    ValueError
        If any is missing; the message names the first rows, and how many there are.
    """
    rows = np.flatnonzero(missing)
    if len(rows):
        where = "row " if len(rows) == 1 else f"{len(rows)} of {len(missing)} rows: "
        some = ", ".join(map(str, rows[:MOST_NAMED]))
        raise ValueError(
            f"{name} has no value in {where}{some}{', ...' if len(rows) > MOST_NAMED else ''}"
        )
