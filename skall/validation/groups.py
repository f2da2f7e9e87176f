"""Groups of samples that belong together, such as those of a patient."""

import numpy as np

from skall.validation.labels import read_labels, refuse_missing


def check_groups(groups, n_samples):
    """Check groups and convert them to an array.

    Parameters
    ----------
    groups : array-like of shape (n_samples,) or (n_samples, 1), or None
        The group of each sample.
    n_samples : int
        Number of samples.

    Returns
    -------
    groups : ndarray of shape (n_samples,), or None
        The groups; None where there are none.

    Raises
    ------
    ValueError
        If there is not one group for each sample, or groups are missing: None, NaN, ``pandas.NA``,
        NaT, or an empty or blank text, which would all be one patient.

    Examples
    --------
    >>> check_groups([7, 7, 8], 3)
    array([7, 7, 8])
    >>> check_groups(["anna", " ", "anna", ""], 4)
    Traceback (most recent call last):
    ValueError: groups has no value in 2 of 4 rows: 1, 3
    """
    if groups is None:
        return None
    groups = read_labels(groups, "groups")
    if len(groups) != n_samples:
        raise ValueError(f"groups has {len(groups)} rows, and there are {n_samples} samples")
    blank = [isinstance(group, str | bytes) and not group.strip() for group in groups]
    refuse_missing(np.array(blank), "groups")
    return groups
