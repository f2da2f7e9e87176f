"""Confusion matrices, and images of the most confident errors."""

import os
from textwrap import wrap

import numpy as np
import pandas as pd

from skall.displays.probabilities import read_folds
from skall.displays.style import MEDIUM, make_axes, make_panels, quote
from skall.images import as_images
from skall.statistics.held_out import list_classes

# Characters that fit above a matrix.
TITLE = 20
# Characters that fit above an image.
LINE = 26


def count_confusions(predictions, names=None):
    """True against likeliest classes, fold by fold.

    Parameters
    ----------
    predictions : DataFrame
        As :attr:`skall.comparison.Comparison.predictions_`.
    names : str or iterable of str, optional
        Estimators; by default all that have probabilities.

    Returns
    -------
    classes : list of labels
    counts : dict of str to dict of (int, int) to ndarray of int of shape (n_classes, n_classes)
        By estimator, and repeat and fold; rows are true classes, columns predicted ones.

    Raises
    ------
    ValueError
        For an unknown estimator, or one without probabilities.
    """
    classes, _ = list_classes(predictions)
    folds, _ = read_folds(predictions, names)
    counts = {
        name: {key: _count(outcome, len(classes)) for key, outcome in outcomes.items()}
        for name, outcomes in folds.items()
    }
    return classes.tolist(), counts


class ConfusionDisplay:
    """Confusion matrices: counts, and what share of the true class (row) they are.

    Parameters
    ----------
    matrices : dict of str to ndarray of int of shape (n_classes, n_classes)
        By title; rows are true classes, columns predicted ones.
    classes : sequence of labels

    Attributes
    ----------
    matrices : dict of str to ndarray
    ax_ : matplotlib.axes.Axes or ndarray of them
        An array where there are several matrices.
    figure_ : matplotlib.figure.Figure
    """

    def __init__(self, matrices, classes):
        self.matrices = matrices
        self.classes = list(classes)

    @classmethod
    def from_comparison(cls, comparison, names=None, *, per_fold=False, ax=None):
        """Draw a comparison's matrices of the likeliest classes.

        Parameters
        ----------
        comparison : Comparison
        names : str or iterable of str, optional
            Estimators; by default all that have probabilities.
        per_fold : bool, default=False
            False: one matrix per estimator, of all folds and repeats together, so that a sample
            counts once per repeat. True: one per estimator and fold.
        ax : matplotlib.axes.Axes, optional
            A new figure by default; divided where there are several matrices.

        Returns
        -------
        ConfusionDisplay

        Raises
        ------
        ValueError
            For an unknown estimator, or one without probabilities.
        """
        classes, counts = count_confusions(comparison.predictions_, names)
        n_repeats = comparison.predictions_["repeat"].nunique()
        matrices = {}
        for name, by_fold in counts.items():
            if not per_fold:
                matrices[name] = sum(by_fold.values())
                continue
            for (repeat, fold), matrix in by_fold.items():
                of_repeat = f"repeat {repeat}, " if n_repeats > 1 else ""
                matrices[f"{name}: {of_repeat}fold {fold}"] = matrix
        return cls(matrices, classes).plot(ax)

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        ConfusionDisplay
        """
        n_panels = len(self.matrices)
        n_columns = min(n_panels, 5)
        shape = (-(-n_panels // n_columns), n_columns)
        # Room for labels beside and, slanted, below the cells.
        longest = max(len(str(label)) for label in self.classes)
        cells = 0.75 * len(self.classes)
        size = (cells + 0.6 + 0.085 * longest, cells + 1.1 + 0.065 * longest)
        panels = make_panels(ax, shape, size).ravel()
        for panel, (title, matrix) in zip(panels, self.matrices.items(), strict=False):
            self._draw_matrix(panel, title, matrix)
        for panel in panels[n_panels:]:
            panel.set_axis_off()
        panels = panels[:n_panels]
        self.ax_, self.figure_ = panels[0] if n_panels == 1 else panels, panels[0].figure
        return self

    def _draw_matrix(self, ax, title, matrix):
        totals = matrix.sum(axis=1, keepdims=True)
        shares = matrix / np.maximum(totals, 1)
        ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(matrix):
            share = f"{shares[row, column]:.1%}" if totals[row, 0] else "-"
            colour = "white" if shares[row, column] > 0.5 else "black"
            ax.text(column, row, f"{count}\n{share}", ha="center", va="center", color=colour)
        labels, places = [quote(label) for label in self.classes], range(len(self.classes))
        ax.set_xticks(places, labels, rotation=45, ha="right", rotation_mode="anchor")
        ax.set_yticks(places, labels)
        ax.set_xlabel("predicted")
        ax.set_ylabel("true")
        lines = wrap(title, TITLE) or [""]
        ax.set_title("\n".join(map(quote, lines)), fontsize=MEDIUM)


def _count(outcome, n_classes):
    cells = outcome.truth * n_classes + outcome.predicted
    return np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)


def find_confident_errors(comparison, n=12, names=None, *, distinct=False):
    """The held-out samples whose wrong class got the highest probabilities.

    Parameters
    ----------
    comparison : Comparison
    n : int, default=12
        At most; there may be fewer errors.
    names : str or iterable of str, optional
        Estimators; by default all that have probabilities.
    distinct : bool, default=False
        Show each sample once, with its surest error, and not by several estimators and in several
        repeats.

    Returns
    -------
    DataFrame
        Columns ``sample, group, y_true, predicted, probability, estimator``, the surest error
        first; `probability` is the predicted class's.

    Raises
    ------
    ValueError
        For an unknown estimator, or one without probabilities, and `n` below 1.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> predictions = pd.DataFrame({"estimator": "net", "repeat": 0, "fold": 0, "sample": range(3),
    ...                             "group": ["P1", "P2", "P3"], "y_true": [0, 1, 1],
    ...                             "proba_0": [0.2, 0.9, 0.1], "proba_1": [0.8, 0.1, 0.9]})
    >>> comparison = SimpleNamespace(predictions_=predictions)
    >>> find_confident_errors(comparison)[["sample", "group", "predicted", "probability"]]
       sample group  predicted  probability
    0       1    P2          0          0.9
    1       0    P1          1          0.8
    """
    if n < 1:
        raise ValueError(f"n must be 1 or more, got {n!r}")
    predictions = comparison.predictions_
    classes, columns = list_classes(predictions)
    folds, _ = read_folds(predictions, names)
    rows = predictions[predictions["estimator"].isin(list(folds))].dropna(subset=columns)
    proba = rows[columns].to_numpy(dtype=float)
    likeliest = proba.argmax(axis=1)
    rows = rows.assign(predicted=classes[likeliest], probability=proba.max(axis=1))
    wrong = rows[likeliest != np.searchsorted(classes, rows["y_true"].to_numpy())]
    wrong = wrong.sort_values("probability", ascending=False, kind="stable")
    wrong = (wrong.drop_duplicates("sample") if distinct else wrong).head(n)
    order = ["sample", "group", "y_true", "predicted", "probability", "estimator"]
    return wrong.reindex(columns=order).reset_index(drop=True)


def collect_errors(comparison, X=None, n=12, names=None, *, distinct=False):
    """The confident errors with their images.

    Parameters
    ----------
    comparison : Comparison
    X, n, names, distinct
        As of :meth:`ErrorGalleryDisplay.from_comparison`.

    Returns
    -------
    errors : DataFrame
        From :func:`find_confident_errors`.
    pictures : list of PIL.Image.Image or None
        One per row; None where the image is not at hand.
    files : list of str or None
        Names of the files, where the images come from files.

    Raises
    ------
    ValueError, TypeError, FileNotFoundError
        As :meth:`ErrorGalleryDisplay.from_comparison`.
    """
    errors = find_confident_errors(comparison, n, names, distinct=distinct)
    depth = comparison.protocol_.get("depth")
    images = comparison.images_ if X is None else as_images(X, depth=depth)
    if images is None:
        raise ValueError("the images are not at hand: pass X, as to the comparison")
    last = comparison.predictions_["sample"].max()
    if len(images) <= last:
        raise ValueError(
            f"X has {len(images)} rows, but sample {last} was tested: pass the same X as to "
            "the comparison"
        )
    pictures = [_open(images, row) for row in errors["sample"]]
    if X is None and len(pictures) and not any(pictures):
        raise ValueError("none of these images is at hand: pass X, as to the comparison")
    known = comparison.samples_["file"] if X is None else getattr(images, "paths", None)
    paths = None if known is None else [known[sample] for sample in errors["sample"]]
    named = paths is not None and all(isinstance(p, str) and os.path.isabs(p) for p in paths)
    files = [os.path.basename(path) for path in paths] if named else None
    return errors, pictures, files


class ErrorGalleryDisplay:
    """Images of confident errors, each with its file, patient, labels and estimator.

    Parameters
    ----------
    errors : DataFrame
        From :func:`find_confident_errors`.
    pictures : list of PIL.Image.Image or None
        One per row; None where the image is not at hand.
    files : list of str, optional
        Names of the files, where the images come from files.

    Attributes
    ----------
    errors : DataFrame
    ax_ : ndarray of matplotlib.axes.Axes of shape (n_errors,)
        One axes, with a sentence, where there is no error.
    figure_ : matplotlib.figure.Figure
    """

    def __init__(self, errors, pictures, files=None):
        self.errors = errors
        self.pictures = pictures
        self.files = files

    @classmethod
    def from_comparison(cls, comparison, X=None, *, n=12, names=None, distinct=False, ax=None):
        """Draw the gallery of a comparison.

        Parameters
        ----------
        comparison : Comparison
        X : array-like, optional
            The images that were compared on, in the same order; see
            :func:`skall.images.as_images`. By default those that the comparison knows.
        n : int, default=12
            How many at most.
        names : str or iterable of str, optional
            Estimators; by default all that have probabilities.
        distinct : bool, default=False
            See :func:`find_confident_errors`.
        ax : matplotlib.axes.Axes, optional
            A new figure by default; divided where there are several images.

        Returns
        -------
        ErrorGalleryDisplay

        Raises
        ------
        ValueError, TypeError, FileNotFoundError
            As :func:`find_confident_errors` and :func:`skall.images.as_images`, or if X is shorter
            than what was compared.
        """
        return cls(*collect_errors(comparison, X, n, names, distinct=distinct)).plot(ax)

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        ErrorGalleryDisplay
        """
        n_columns = min(len(self.errors), 4)
        if not n_columns:
            ax = make_axes(ax, (4, 1))
            ax.set_axis_off()
            ax.text(0.5, 0.5, "no sample was misclassified", ha="center", va="center")
            self.ax_, self.figure_ = np.array([ax]), ax.figure
            return self
        shape = (-(-len(self.errors) // n_columns), n_columns)
        captions = [self._describe(row) for row in range(len(self.errors))]
        n_lines = max(caption.count("\n") + 1 for caption in captions)
        panels = make_panels(ax, shape, (2.4, 2.8 + 0.15 * n_lines)).ravel()
        for panel in panels:
            panel.set_axis_off()
        for panel, picture, caption in zip(panels, self.pictures, captions, strict=False):
            if picture is None:
                panel.text(0.5, 0.5, "not at hand", ha="center", va="center")
            else:
                panel.imshow(np.asarray(picture))
            panel.set_title(caption, fontsize="small", loc="left")
        self.ax_, self.figure_ = panels[: len(self.errors)], panels[0].figure
        return self

    def _describe(self, row):
        error = self.errors.iloc[row]
        lines = [f"sample {error['sample']}" if self.files is None else self.files[row]]
        if pd.notna(error["group"]):
            lines.append(f"patient {error['group']}")
        lines += [
            f"true: {error['y_true']}",
            f"predicted: {error['predicted']} ({error['probability']:.3f})",
            f"by {error['estimator']}",
        ]
        # Broken before quoting, so that no escape is parted.
        parts = [line[i : i + LINE] for line in lines for i in range(0, len(line), LINE)]
        return "\n".join(map(quote, parts))


def _open(images, sample):
    """An image; None where it is no longer there, or cannot be read any more."""
    try:
        return images.open(sample)
    except (OSError, ValueError):
        return None
