"""The parameters of networks as a table."""

import numpy as np

from skall.displays.style import make_axes, quote, shorten_number

COLUMNS = {
    "trainable": "parameters\ntrained",
    "non_trainable": "not\ntrained",
    "macs": "multiply-\naccumulates",
    "image_size": "image size\n(pixels)",
    "epochs": "epochs",
    "fit_seconds": "seconds\nto fit",
    "predict_ms": "milliseconds\nan image",
}


class ParameterTableDisplay:
    """Parameters, operations and cost of each network, as a figure.

    Running means and variances of batch normalisation count as not trained, as Vinod et al. (IJSREM
    09/05, 2025) count.

    Parameters
    ----------
    table : DataFrame
        As ``Comparison.budgets()``, a row for each network.

    Attributes
    ----------
    table : DataFrame
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure
    """

    def __init__(self, table):
        self.table = table

    @classmethod
    def from_comparison(cls, comparison, *, ax=None):
        """Draw a comparison's networks.

        Parameters
        ----------
        comparison : Comparison
        ax : matplotlib.axes.Axes, optional
            A new figure by default.

        Returns
        -------
        ParameterTableDisplay

        Raises
        ------
        ValueError
            If no estimator is a network.
        """
        table = comparison.budgets()
        table = table[table["trainable"].notna()]
        if not len(table):
            raise ValueError("no estimator of the comparison is a network")
        return cls(table).plot(ax)

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        ParameterTableDisplay
        """
        ax = make_axes(ax, (9, 0.8 + 0.32 * len(self.table)))
        ax.set_axis_off()
        drawn = ax.table(
            [[_write(value) for value in row] for row in self.table[[*COLUMNS]].to_numpy()],
            rowLabels=[quote(name) for name in self.table.index],
            colLabels=list(COLUMNS.values()),
            loc="center",
            bbox=(0.22, 0, 0.78, 1),
        )
        drawn.auto_set_font_size(False)
        drawn.set_fontsize(9)
        for (row, _), cell in drawn.get_celld().items():
            cell.set_edgecolor("#c8ccd0")
            if row == 0:
                # Its names have two lines.
                cell.set_height(2 * cell.get_height())
                cell.set_facecolor("#f3f5f7")
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _write(value):
    return "-" if np.isnan(value) else shorten_number(value)
