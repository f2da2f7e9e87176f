"""Metrics of estimators: panels with intervals, and bars with the folds."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from skall.displays.style import (
    GREY,
    MEDIUM,
    SMALL,
    WIDTH,
    describe_metric,
    make_axes,
    make_panels,
    make_styles,
    quote,
    quote_in_legend,
    shorten_names,
    style_estimators,
)
from skall.metrics import LOWER_IS_BETTER
from skall.statistics.held_out import choose_names
from skall.statistics.intervals import INTERVALS
from skall.statistics.sentences import write_spread


class MetricsDisplay:
    """One or more metrics with their 95 % intervals: a panel for each, a line for each estimator.

    The order of the table is that of the lines, from the top. A dashed line goes through the value
    of the best baseline, which others are to beat.

    Parameters
    ----------
    table : DataFrame
        From :func:`skall.statistics.intervals.tabulate_intervals`.
    interval : str, default="patient_t"
        One of :data:`skall.statistics.intervals.INTERVALS`: what the lines are called.
    styles : dict of str to Style, optional
        By estimator; by default those of the table's order.
    baselines : iterable of str, default=()

    Attributes
    ----------
    table : DataFrame
    ax_ : matplotlib.axes.Axes or ndarray of them
        An array where there are several metrics.
    figure_ : matplotlib.figure.Figure
    """

    def __init__(self, table, interval="patient_t", styles=None, baselines=()):
        self.table = table
        self.interval = interval
        self.styles = make_styles(table["estimator"].unique()) if styles is None else styles
        self.baselines = list(baselines)

    @classmethod
    def from_comparison(
        cls,
        comparison,
        metrics=None,
        *,
        names=None,
        interval=None,
        random_state=0,
        ax=None,
    ):
        """Draw metrics of a comparison.

        Parameters
        ----------
        comparison : Comparison
        metrics : str or iterable of str, optional
            All whose higher values are better by default.
        names : str or iterable of str, optional
            Estimators, in this order from the top; by default all, the best of the first metric
            first.
        interval : str, optional
            One of :data:`skall.statistics.intervals.INTERVALS`; by default as
            :meth:`skall.comparison.Comparison.intervals`.
        random_state : int, numpy.random.Generator or None, default=0
            Of the bootstrap.
        ax : matplotlib.axes.Axes, optional
            A new figure by default; divided where there are several metrics.

        Returns
        -------
        MetricsDisplay

        Raises
        ------
        ValueError
            For an unknown metric, estimator or interval, or none.
        """
        known = comparison.scores_["metric"].unique()
        if metrics is None:
            metrics = [m for m in known if m not in LOWER_IS_BETTER] or known
        table = comparison.intervals(metrics, interval, names=names, random_state=random_state)
        if names is not None:
            places = {name: place for place, name in enumerate(choose_names(table, names))}
            table = table.sort_values("estimator", key=lambda column: column.map(places))
        _, baselines = comparison.split_names()
        return cls(table, interval or "patient_t", style_estimators(comparison), baselines).plot(ax)

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        MetricsDisplay
        """
        metrics = self.table["metric"].unique().tolist()
        names = self.table["estimator"].unique().tolist()
        n_columns = min(len(metrics), 2)
        shape = (-(-len(metrics) // n_columns), n_columns)
        panels = make_panels(ax, shape, (WIDTH / n_columns, 0.75 + 0.2 * len(names)))
        for panel in panels.flat[len(metrics) :]:
            panel.set_axis_off()
        for place, metric in enumerate(metrics):
            panel = panels.flat[place]
            rows = self.table[self.table["metric"] == metric].set_index("estimator")
            self._draw_rows(panel, rows.loc[names], metric in LOWER_IS_BETTER)
            labels = list(shorten_names(names).values()) if place % n_columns == 0 else []
            panel.set_yticks(range(len(labels)), labels)
            panel.set_title(describe_metric(metric), fontsize=MEDIUM)
        words = f"mean; line: 95 % {INTERVALS[self.interval]}"
        if len(metrics) == 1:
            panels[0, 0].set_xlabel(words, fontsize=SMALL)
        elif ax is None:
            panels[0, 0].figure.supxlabel(words, fontsize=SMALL)
        self.ax_ = panels[0, 0] if len(metrics) == 1 else panels.ravel()[: len(metrics)]
        self.figure_ = panels[0, 0].figure
        return self

    def _draw_rows(self, ax, rows, lower_wins):
        """One metric's lines and points; lines by their ends, for they may not hold the value."""
        best = self._find_best_baseline(rows["value"], lower_wins)
        if best is not None:
            ax.axvline(best, color=GREY, linewidth=0.8, linestyle="--", zorder=0)
        styles = [self.styles[name] for name in rows.index]
        widths = [1.0 if name in self.baselines else 1.8 for name in rows.index]
        known = rows["low"].notna().to_numpy()
        ax.hlines(
            np.flatnonzero(known),
            *(rows.loc[known, end] for end in ("low", "high")),
            colors=[style.colour for style, there in zip(styles, known, strict=True) if there],
            linewidths=[width for width, there in zip(widths, known, strict=True) if there],
        )
        for height, (name, value) in enumerate(rows["value"].items()):
            if np.isnan(value):
                place = {"va": "center", "transform": ax.get_yaxis_transform()}
                ax.text(0.02, height, "no value", fontsize=SMALL, **place)
                continue
            style = styles[height]
            look = {"color": style.colour, "marker": style.marker, "markerfacecolor": style.face}
            ax.plot([value], [height], **look, markersize=5.5, label=quote_in_legend(name))
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.set_xlim(*_choose_limits(rows, lower_wins))
        ax.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 2.5, 5, 10]))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.grid(axis="x", color="#d9d9d9", linewidth=0.5)
        ax.set_axisbelow(True)
        ax.tick_params(axis="y", length=0)
        ax.spines[["top", "right", "left"]].set_visible(False)

    def _find_best_baseline(self, values, lower_wins):
        """The value that is to be beaten; None without baselines, and where nothing else is."""
        known = values.reindex(self.baselines).dropna()
        if known.empty or len(known) == len(values):
            return None
        return known.min() if lower_wins else known.max()


def _choose_limits(rows, lower_wins):
    """Room for every line, and for the best value that the metric can have."""
    ends = rows[["value", "low", "high"]]
    low, high = ends.min(axis=None), ends.max(axis=None)
    if np.isnan(low):
        return 0, 1
    low, high = (0, high) if lower_wins else (low, max(1, high))
    margin = 0.05 * max(high - low, 0.05)
    return low - margin, high + margin


def draw_folds(scores, metric, baselines=(), styles=None, ax=None):
    """Bars of a metric's mean over the folds, one per estimator, with a point for each fold.

    Parameters
    ----------
    scores : DataFrame
        Columns ``estimator, metric, value``.
    metric : str
    baselines : iterable of str
        Estimators that the labels name so, because they are there to be beaten.
    styles : dict of str to Style, optional
        By estimator; by default those of the order in the table.
    ax : matplotlib.axes.Axes, optional
        A new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    values = scores[scores["metric"] == metric]
    folds = {name: part["value"] for name, part in values.groupby("estimator", sort=False)}
    means = values.groupby("estimator", sort=False)["value"].mean()
    # Upwards: the best on top, and who has no value at the bottom.
    names = means.sort_values(kind="stable", na_position="first").index
    styles = make_styles(folds) if styles is None else styles
    ax = make_axes(ax, (7, 1.2 + 0.45 * len(names)))
    for position, name in enumerate(names):
        ax.barh(
            position,
            0 if np.isnan(means[name]) else means[name],
            height=0.6,
            color=styles[name].colour,
            alpha=0.65,
            hatch=styles[name].hatch,
            edgecolor="white",
        )
        heights = np.full(len(folds[name]), position)
        ax.scatter(folds[name], heights, s=18, color="black", alpha=0.6, linewidths=0, zorder=3)
        text = write_spread(means[name], folds[name].std())
        ax.annotate(text, (1.02, position), xycoords=("axes fraction", "data"), va="center")
    labels = [f"{quote(name)} (baseline)" if name in baselines else quote(name) for name in names]
    ax.set_yticks(range(len(names)), labels)
    ax.set(xlim=(0, 1), ylim=(-0.6, len(names) - 0.4))
    ax.set_xlabel(f"{describe_metric(metric)}: mean (bar) and folds (points)")
    ax.spines[["top", "right"]].set_visible(False)
    return ax
