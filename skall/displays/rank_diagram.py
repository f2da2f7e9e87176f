"""The critical-difference diagram."""

from skall.displays.style import describe_metric, make_axes, quote
from skall.metrics import LOWER_IS_BETTER
from skall.statistics import friedman_test
from skall.statistics.held_out import choose_metric, choose_names, tabulate_folds


class CriticalDifferenceDisplay:
    """Mean ranks of estimators; bars join those that Nemenyi's test finds no different [1]_.

    Ranks are over folds, which share training samples: see :func:`skall.statistics.friedman_test`
    for what that means.

    Parameters
    ----------
    result : FriedmanResult
        From :func:`skall.statistics.friedman_test`.
    metric : str
    alpha : float
        Level of the test.

    Attributes
    ----------
    result : FriedmanResult
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure

    References
    ----------
    .. [1] Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7, 2006.
    """

    def __init__(self, result, metric, alpha=0.05):
        self.result = result
        self.metric = metric
        self.alpha = alpha

    @classmethod
    def from_comparison(cls, comparison, metric=None, *, names=None, alpha=0.05, ax=None):
        """Draw the diagram of a comparison.

        Parameters
        ----------
        comparison : Comparison
        metric : str, optional
            By default balanced_accuracy, or the first where that was not computed.
        names : iterable of str, optional
            Estimators, three or more; all by default.
        alpha : float, default=0.05
        ax : matplotlib.axes.Axes, optional
            A new figure by default.

        Returns
        -------
        CriticalDifferenceDisplay

        Raises
        ------
        ValueError
            For an unknown metric or estimator, fewer than three estimators or two folds that
            determine the metric, and where only some estimators have a value.
        """
        metric = choose_metric(comparison.scores_, metric)
        folds = tabulate_folds(comparison.scores_, metric, choose_names(comparison.scores_, names))
        better = metric not in LOWER_IS_BETTER
        result = friedman_test(folds, higher_is_better=better, alpha=alpha)
        return cls(result, metric, alpha).plot(ax)

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        CriticalDifferenceDisplay
        """
        ranks, groups = self.result.mean_ranks, self.result.groups
        n = len(ranks)
        # Downwards from the axis at 0: the bars of groups, then a line of text for each name.
        top = 0.5 + 0.35 * len(groups)
        bottom = top + 0.6 * -(-n // 2)
        ax = make_axes(ax, (8, 1 + 0.45 * (bottom + 1.5)))
        ax.set_axis_off()
        margin = 0.12 * (n - 1)
        ax.set(xlim=(1 - 3.5 * margin, n + 3.5 * margin), ylim=(bottom, -1.6))
        ax.plot([1, n], [0, 0], color="black", linewidth=1)
        for tick in range(1, n + 1):
            ax.plot([tick, tick], [0, -0.12], color="black", linewidth=1)
            ax.text(tick, -0.18, str(tick), ha="center", va="bottom", fontsize="small")
        for place, name in enumerate(ranks.index):
            self._draw_name(ax, place, name, top, margin)
        for place, group in enumerate(groups):
            height = 0.35 + 0.35 * place
            ends = [ranks[group[0]] - 0.04, ranks[group[-1]] + 0.04]
            ax.plot(ends, [height, height], color="black", linewidth=4, gid="group")
        self._draw_critical_difference(ax)
        p_value = self.result.p_value
        shown = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
        metric = describe_metric(self.metric)
        ax.set_title(f"mean ranks of {metric}, 1 is best (Friedman {shown})", fontsize="medium")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_name(self, ax, place, name, top, margin):
        """A name beside the diagram, the better half on the left, with a line to its rank."""
        ranks = self.result.mean_ranks
        n, rank = len(ranks), ranks[name]
        left = place < (n + 1) // 2
        height = top + 0.6 * (place if left else n - 1 - place)
        end = 1 - margin if left else n + margin
        ax.plot([rank, rank, end], [0, height, height], color="black", linewidth=0.8, gid="name")
        text = f"{quote(name)} ({rank:.2f})"
        shift = -0.3 * margin if left else 0.3 * margin
        ax.text(end + shift, height, text, ha="right" if left else "left", va="center")

    def _draw_critical_difference(self, ax):
        """How far apart ranks have to be, as a length above the axis."""
        length = self.result.critical_difference
        ax.plot([1, 1 + length], [-1, -1], color="black", linewidth=1.5, marker="|", gid="critical")
        text = f"critical difference {length:.2f} (level {self.alpha:g})"
        ax.text(1, -1.15, text, ha="left", va="bottom", fontsize="small")
