"""Labels: the class of each sample, whatever holds them."""

import numpy as np
import pandas as pd
from sklearn.utils import column_or_1d

# How many rows a message names.
MOST_NAMED = 5
# Types of numpy's for what arrays of objects hold, as pandas names it.
KINDS = {"boolean": np.bool_, "integer": np.int64, "floating": np.float64}


def read_labels(y, name="y"):
    """Labels as an array of their own kind.

    Whole numbers stay whole: scikit-learn makes floats of pandas' nullable ``Int64`` and
    ``boolean``, and refuses numbers in arrays of objects.

    Parameters
    ----------
    y : array-like of shape (n,) or (n, 1)
        Also a Series or Index of any type of pandas', as ``Int64``, ``string`` or ``category``.
    name : str, default="y"
        What messages call it.

    Returns
    -------
    ndarray of shape (n,)

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
    # numpy would make the text "nan" of a NaN in a list of texts.
    as_objects = is_list or is_extension or isinstance(y, pd.DataFrame)
    labels = column_or_1d(np.asarray(y, dtype=object) if as_objects else y, warn=True)
    refuse_missing(pd.isna(labels), name)
    if labels.dtype != object:
        return labels
    kind = pd.api.types.infer_dtype(labels)
    return labels.astype(str if is_list and kind == "string" else KINDS.get(kind, object))


def refuse_missing(missing, name):
    """Raise where values are missing.

    Parameters
    ----------
    missing : ndarray of bool, shape (n,)
    name : str
        What messages call them.

    Raises
    ------
    ValueError
        That names the first rows, and how many there are.
    """
    rows = np.flatnonzero(missing)
    if len(rows):
        where = "row " if len(rows) == 1 else f"{len(rows)} of {len(missing)} rows: "
        some = ", ".join(map(str, rows[:MOST_NAMED]))
        raise ValueError(
            f"{name} has no value in {where}{some}{', ...' if len(rows) > MOST_NAMED else ''}"
        )
