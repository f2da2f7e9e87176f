"""Figures, drawn without a display and without pyplot's state."""

import numpy as np

from skall.displays.style import describe_metric, make_axes, make_styles, quote
from skall.statistics.sentences import write_spread


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
