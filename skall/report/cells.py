"""Confusion matrices and images of errors, as parts of the page."""

import io
from base64 import b64encode

import numpy as np
import pandas as pd

from skall.displays.confusion import count_confusions
from skall.displays.errors import collect_errors
from skall.displays.held_out import list_with_probabilities

# Folds whose matrices are shown; more would make the page heavy.
MOST_FOLDS = 20
# Pixels: sharp on fine screens at half that width.
THUMBNAIL = 160


def make_confusions(comparison, names):
    """Matrices of all folds and repeats together, so that a sample counts once per repeat.

    Parameters
    ----------
    comparison : Comparison
    names : list of str
        With probabilities.

    Returns
    -------
    list of dict
        For each name ``title, classes, rows``; see :func:`_write_matrix`.
    """
    if not names:
        return []
    classes, counts = count_confusions(comparison.predictions_, names)
    return [
        {"title": name, "classes": classes, "rows": _write_matrix(sum(counts[name].values()))}
        for name in names
    ]


def make_fold_confusions(comparison, name):
    """One estimator's matrices of each fold; none where there are too many or no probabilities.

    Parameters
    ----------
    comparison : Comparison
    name : str

    Returns
    -------
    list of dict
        As of :func:`make_confusions`.
    """
    if not list_with_probabilities(comparison.predictions_, [name]):
        return []
    classes, counts = count_confusions(comparison.predictions_, [name])
    if len(counts[name]) > MOST_FOLDS:
        return []
    several = comparison.predictions_["repeat"].nunique() > 1
    return [
        {
            "title": f"repeat {repeat}, fold {fold}" if several else f"fold {fold}",
            "classes": classes,
            "rows": _write_matrix(matrix),
        }
        for (repeat, fold), matrix in counts[name].items()
    ]


def _write_matrix(matrix):
    """For each true class the counts, and their share of it or None where it has no sample."""
    totals = matrix.sum(axis=1, keepdims=True)
    shares = matrix / np.maximum(totals, 1)
    return [
        [
            (int(count), float(share) if total else None)
            for count, share in zip(counts, of_row, strict=True)
        ]
        for counts, of_row, total in zip(matrix, shares, totals[:, 0], strict=True)
    ]


def make_gallery(comparison):
    """The images whose wrong class got the highest probabilities.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    errors : list of dict
        ``image``, a data address or None where it is not at hand; ``name`` of the file or sample;
        ``group``, None where it is not known; ``true, predicted, probability, estimator``.
    reason : str or None
        Why there are none; without probabilities there are no curves and matrices either.
    """
    rivals, _ = comparison.split_names()
    names = list_with_probabilities(comparison.predictions_, rivals)
    if not names:
        return [], None
    try:
        errors, pictures, files = collect_errors(comparison, names=names, distinct=True)
    except (ValueError, TypeError, OSError) as exc:
        return [], str(exc)
    if not len(errors):
        return [], "no sample was misclassified"
    return [
        {
            "image": None if picture is None else _embed(picture),
            "name": f"sample {row.sample}" if files is None else files[row.Index],
            "group": row.group if pd.notna(row.group) else None,
            "true": row.y_true,
            "predicted": row.predicted,
            "probability": f"{row.probability:.3f}",
            "estimator": row.estimator,
        }
        for row, picture in zip(errors.itertuples(), pictures, strict=True)
    ], None


def _embed(picture):
    """A small copy as an address; PNG where there are so few pixels that each is seen."""
    picture = picture.convert("RGB")
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    kind, options = ("png", {})
    if max(picture.size) > THUMBNAIL // 2:
        kind, options = ("jpeg", {"quality": 90, "subsampling": 0})
    file = io.BytesIO()
    picture.save(file, format=kind, **options)
    return f"data:image/{kind};base64,{b64encode(file.getvalue()).decode()}"
