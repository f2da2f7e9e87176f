"""What estimators cost: a table, and accuracy against cost."""

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from skall.displays.style import (
    describe_metric,
    draw_legend,
    make_axes,
    make_styles,
    quote,
    shorten_names,
    shorten_number,
    style_estimators,
)
from skall.statistics.held_out import choose_metric, choose_names

COSTS = {
    "macs": "multiply-accumulates per image",
    "trainable": "parameters trained",
    "predict_ms": "milliseconds to predict an image",
    "fit_seconds": "seconds to fit",
}
COLUMNS = {
    "trainable": "parameters\ntrained",
    "non_trainable": "not\ntrained",
    "macs": "multiply-\naccumulates",
    "image_size": "image size\n(pixels)",
    "epochs": "epochs",
    "fit_seconds": "seconds\nto fit",
    "predict_ms": "milliseconds\nan image",
}


class CostDisplay:
    """A metric against what the estimators cost, with 95 % intervals.

    Parameters
    ----------
    table : DataFrame
        Columns ``estimator, metric, value, low, high, cost``, of one metric.
    label : str
        What the cost is, with its unit.
    styles : dict of str to Style, optional
        By estimator; by default those of the table's order.

    Attributes
    ----------
    table : DataFrame
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure
    """

    def __init__(self, table, label, styles=None):
        self.table = table
        self.label = label
        self.styles = make_styles(table["estimator"]) if styles is None else styles

    @classmethod
    def from_comparison(cls, comparison, costs="macs", *, label=None, metric=None, ax=None):
        """Draw a comparison's estimators that have a cost.

        Parameters
        ----------
        comparison : Comparison
        costs : str or dict of str to float, default="macs"
            One of :data:`COSTS`, a column of the comparison's ``budgets()``; or numbers of 0 or
            more by estimator. Estimators without a cost, as baselines have no parameters, are
            left out.
        label : str, optional
            What the cost is, with its unit; needed for numbers of your own.
        metric : str, optional
            By default balanced_accuracy, or the first where that was not computed.
        ax : matplotlib.axes.Axes, optional
            A new figure by default.

        Returns
        -------
        CostDisplay

        Raises
        ------
        ValueError
            For an unknown estimator or metric, no costs, and costs that are negative or not
            finite.
        """
        if isinstance(costs, str):
            if costs not in COSTS:
                raise ValueError(f"unknown cost {costs!r}; possible: {', '.join(COSTS)}")
            label = label or COSTS[costs]
            costs = comparison.budgets()[costs].dropna().to_dict()
            if not costs:
                raise ValueError(f"no estimator has a known number of {label}")
        elif label is None:
            raise ValueError("label is needed: what the costs are, with their unit")
        names = choose_names(comparison.scores_, list(costs))
        wrong = [n for n in names if not (np.isfinite(costs[n]) and costs[n] >= 0)]
        if wrong:
            raise ValueError(
                f"costs are numbers of 0 or more, got {costs[wrong[0]]!r} for {wrong[0]!r}: leave "
                "it out where it is unknown"
            )
        metric = choose_metric(comparison.scores_, metric)
        table = comparison.intervals(metric, names=names)
        table["cost"] = table["estimator"].map(costs).astype(float)
        return cls(table, label, style_estimators(comparison)).plot(ax)

    def plot(self, ax=None):
        """Draw; the axis of costs is logarithmic where they differ tenfold.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        CostDisplay
        """
        ax = make_axes(ax)
        names, handles = shorten_names(self.table["estimator"]), []
        for row in self.table.itertuples():
            style = self.styles[row.estimator]
            if not np.isnan(row.low):
                ax.vlines(row.cost, row.low, row.high, color=style.colour, linewidth=1, zorder=1)
            look = {"color": style.colour, "marker": style.marker, "markerfacecolor": style.face}
            label = names[row.estimator]
            handles += ax.plot([row.cost], [row.value], **look, linestyle="none", label=label)
        cheapest, dearest = self.table["cost"].min(), self.table["cost"].max()
        if cheapest > 0 and dearest >= 10 * cheapest:
            ax.set_xscale("log")
            ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.xaxis.set_minor_formatter(NullFormatter())
        else:
            ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.xaxis.set_major_formatter(lambda cost, place: shorten_number(cost))
        ax.set_xlabel(quote(self.label))
        metric = describe_metric(self.table["metric"].iloc[0])
        ax.set_ylabel(f"{metric} (95 % interval)")
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
        draw_legend(ax, handles, "best")
        self.ax_, self.figure_ = ax, ax.figure
        return self


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
