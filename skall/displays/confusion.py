"""Confusion matrices of held-out predictions."""

from textwrap import wrap

import numpy as np

from skall.displays.held_out import read_folds
from skall.displays.style import MEDIUM, make_panels, quote
from skall.statistics.held_out import list_classes

# Characters that fit above a matrix.
TITLE = 20


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
