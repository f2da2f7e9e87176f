"""P-values of several tests."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def adjust_holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """P-values adjusted for their number by Holm's step-down method [1]_.

    Parameters
    ----------
    p_values : array-like of shape (n_tests,)
        NaN counts as no test and stays.

    Returns
    -------
    ndarray of shape (n_tests,)

    References
    ----------
    .. [1] Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
       Statistics 6, 1979.

    Examples
    --------
    >>> adjust_holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p_values = np.array(p_values, dtype=float)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    p_values[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1)
    return p_values
