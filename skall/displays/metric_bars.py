"""Bars of metrics with their intervals."""

from skall.displays.style import describe_metric, make_axes, make_styles, quote, quote_in_legend
from skall.metrics import LOWER_IS_BETTER
from skall.statistics import average_test_ratio
from skall.statistics.intervals import INTERVALS, tabulate_intervals


class MetricBarsDisplay:
    """Bars of one or more metrics with their 95 % intervals; the table's order is the bars'.

    Parameters
    ----------
    table : DataFrame
        From :func:`skall.statistics.intervals.tabulate_intervals`.
    interval : str, default="corrected_t"
        One of :data:`skall.statistics.intervals.INTERVALS`: what the whiskers are called.

    Attributes
    ----------
    table : DataFrame
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure
    """

    def __init__(self, table, interval="corrected_t"):
        self.table = table
        self.interval = interval

    @classmethod
    def from_comparison(
        cls,
        comparison,
        metrics=None,
        *,
        names=None,
        interval="corrected_t",
        random_state=0,
        ax=None,
    ):
        """Draw metrics of a comparison: one has a bar per estimator, several have groups of bars.

        Parameters
        ----------
        comparison : Comparison
        metrics : str or iterable of str, optional
            All whose higher values are better by default.
        names : str or iterable of str, optional
            Estimators; all by default.
        interval : str, default="corrected_t"
            One of :data:`skall.statistics.intervals.INTERVALS`.
        random_state : int, numpy.random.Generator or None, default=0
            Of the bootstrap.
        ax : matplotlib.axes.Axes, optional
            A new figure by default.

        Returns
        -------
        MetricBarsDisplay

        Raises
        ------
        ValueError
            For an unknown metric, estimator or interval, or none.
        """
        known = comparison.scores_["metric"].unique()
        if metrics is None:
            metrics = [m for m in known if m not in LOWER_IS_BETTER] or known
        table = tabulate_intervals(
            comparison.scores_,
            comparison.predictions_,
            metrics,
            **{"names": names, "method": interval, "pos_label": comparison.pos_label_},
            test_ratio=average_test_ratio(comparison.folds_),
            random_state=random_state,
        )
        return cls(table, interval).plot(ax)

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        MetricBarsDisplay
        """
        metrics = self.table["metric"].unique().tolist()
        names = self.table["estimator"].unique().tolist()
        single = len(metrics) == 1
        # Of one metric every estimator has a tick; of several, every metric.
        step = 1 if single else 0.85 / len(names)
        height = 1.2 + (0.45 * len(names) if single else len(metrics) * (0.25 + 0.17 * len(names)))
        ax = make_axes(ax, (7.5, height))
        styles = make_styles(names)
        for place, name in enumerate(names):
            rows = self.table[self.table["estimator"] == name].reset_index(drop=True)
            heights = rows.index + place * step - (0 if single else 0.425 - step / 2)
            self._draw_bars(ax, name, rows, heights, 0.7 if single else step, styles[name])
        ticks = names if single else [describe_metric(metric) for metric in metrics]
        ax.set_yticks(range(len(ticks)), [quote(tick) for tick in ticks])
        ax.invert_yaxis()
        ax.set_xlim(
            min(0, self.table[["value", "low"]].min(axis=None)),
            max(1, self.table[["value", "high"]].max(axis=None)),
        )
        what = describe_metric(metrics[0]) if single else "mean over the folds"
        ax.set_xlabel(f"{what} (whisker: 95 % {INTERVALS[self.interval]})")
        ax.spines[["top", "right"]].set_visible(False)
        if not single:
            ax.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_bars(self, ax, name, rows, heights, thickness, style):
        """One estimator's bars; whiskers by their ends, for they may not hold the value."""
        ax.barh(
            heights,
            rows["value"].fillna(0),
            height=thickness,
            color=style.colour,
            alpha=0.75,
            hatch=style.hatch,
            edgecolor="white",
            label=quote_in_legend(name),
        )
        middle, half = (rows["high"] + rows["low"]) / 2, (rows["high"] - rows["low"]) / 2
        known = half.notna()
        ax.errorbar(
            middle[known],
            heights[known],
            xerr=half[known],
            fmt="none",
            ecolor="black",
            elinewidth=1,
            capsize=2.5,
        )
        for height in heights[rows["value"].isna()]:
            ax.text(0.01, height, "no value", va="center", fontsize="small")
