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
    missing = np.flatnonzero(pd.isna(labels))
    if len(missing):
        rows = "row " if len(missing) == 1 else f"{len(missing)} of {len(labels)} rows: "
        some = ", ".join(map(str, missing[:MOST_NAMED]))
        raise ValueError(
            f"{name} has no value in {rows}{some}{', ...' if len(missing) > MOST_NAMED else ''}"
        )
    if labels.dtype != object:
        return labels
    kind = pd.api.types.infer_dtype(labels)
    return labels.astype(str if is_list and kind == "string" else KINDS.get(kind, object))
