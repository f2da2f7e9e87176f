"""Axes without pyplot's state, and styles that are told apart in grey and by everybody."""

import warnings
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Here too, where all that figures need is found.
from skall.metrics.names import describe_metric as describe_metric

# Okabe & Ito's colours, told apart by colour-blind readers: https://jfly.uni-koeln.de/color/
# Without their yellow, which is hard to see on white.
BLUE, ORANGE, VERMILLION, GREEN = "#0072B2", "#E69F00", "#D55E00", "#009E73"
PURPLE, SKY, BLACK, GREY = "#CC79A7", "#56B4E9", "#000000", "#707070"
COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)
LINESTYLES = ("-", "--", "-.", ":", (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 4)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "*", "h")
HATCHES = ("", "//", "..", "\\\\", "xx", "--", "oo", "++")


class Style(NamedTuple):
    """How one estimator is drawn: the linestyle and marker together, and the hatch, are its own."""

    colour: str
    linestyle: str | tuple
    marker: str
    hatch: str


def make_styles(names):
    """A style for each of some estimators.

    Parameters
    ----------
    names : iterable of str

    Returns
    -------
    dict of str to Style
        Up to 70 of them have a pair of linestyle and marker, and any number a hatch, of their own.
    """
    return {
        name: Style(
            colour=COLOURS[i % len(COLOURS)],
            linestyle=LINESTYLES[i % len(LINESTYLES)],
            # 7 and 10 have no common divisor: the pair differs where the linestyles begin anew.
            marker=MARKERS[i % len(MARKERS)],
            # Denser where the hatches begin anew; only the first estimator has none.
            hatch=(HATCHES[i % len(HATCHES)] or "|" * (i > 0)) * (1 + i // len(HATCHES)),
        )
        for i, name in enumerate(names)
    }


def make_axes(ax=None, figsize=(6.4, 4.8)):
    """The axes given, or those of a new figure that pyplot does not know.

    Parameters
    ----------
    ax : matplotlib.axes.Axes, optional
    figsize : (float, float), default=(6.4, 4.8)
        Width and height of the new figure in inches.

    Returns
    -------
    matplotlib.axes.Axes
    """
    if ax is None:
        figure = Figure(figsize=figsize, layout="constrained")
        FigureCanvasAgg(figure)
        ax = figure.subplots()
    return ax


def make_panels(ax, shape, panel_size, height_ratios=None):
    """A grid of axes in a new figure, or in the place of the axes given.

    Parameters
    ----------
    ax : matplotlib.axes.Axes or None
        What it held is hidden where it gives way to several panels.
    shape : (int, int)
        Rows and columns.
    panel_size : (float, float)
        Width and height of a panel in inches, in a new figure.
    height_ratios : sequence of float, optional
        Of the rows; equal by default.

    Returns
    -------
    ndarray of matplotlib.axes.Axes of that shape

    Raises
    ------
    ValueError
        If the axes are not part of a grid, and so cannot be divided.
    """
    rows, columns = shape
    ax = make_axes(ax, (columns * panel_size[0], rows * panel_size[1]))
    if shape == (1, 1):
        return np.array([[ax]])
    place = ax.get_subplotspec()
    if place is None:
        raise ValueError(
            f"{rows * columns} panels are to be drawn and these axes cannot be divided: pass axes "
            "of plt.subplots(), or none"
        )
    ax.set_axis_off()
    # Else the layout makes room for the hidden axes, and cuts the titles of the panels.
    ax.set_in_layout(False)
    grid = place.subgridspec(rows, columns, height_ratios=height_ratios)
    return grid.subplots(squeeze=False)


def save_figure(figure, file, file_format, dpi):
    """Write a figure; the same one always as the same bytes.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    file : path-like or file
    file_format : {"svg", "png"}
    dpi : int
    """
    metadata = {"Date": None} if file_format == "svg" else None
    with mpl.rc_context({"svg.hashsalt": "skall"}), warnings.catch_warnings():
        # A glyph that no font here has is drawn as a box; the tables have the name in full.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        figure.savefig(file, format=file_format, dpi=dpi, metadata=metadata)


def quote(value):
    """Text that matplotlib shows as it stands: no formula, no line break.

    Parameters
    ----------
    value : object
        As a label, a file name or the name of an estimator.

    Returns
    -------
    str

    Examples
    --------
    >>> quote("cost_$1$")
    'cost_\\\\$1\\\\$'
    """
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value))
    return text.replace("$", r"\$")


def quote_in_legend(value):
    """As :func:`quote`, for legends, which leave out what begins with an underscore.

    Parameters
    ----------
    value : object

    Returns
    -------
    str
    """
    text = quote(value)
    return f" {text}" if text.startswith("_") else text


def shorten_number(value):
    """A large number with a unit prefix: thousands, millions, billions.

    Examples
    --------
    >>> shorten_number(21_170_497), shorten_number(840)
    ('21.2 M', '840')
    """
    for size, prefix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{prefix}"
    return f"{value:.3g}"


def draw_band(ax, x, mean, std, colour, limits=(-np.inf, np.inf)):
    """The mean plus and minus the standard deviation, where that is known.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    x, mean, std : ndarray of shape (n_points,)
    colour : str
    limits : (float, float)
        Of what the values can be.
    """
    low, high = np.clip(mean - std, *limits), np.clip(mean + std, *limits)
    ax.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0)
