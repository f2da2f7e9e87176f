"""Axes without pyplot's state, and styles that are told apart in grey and by everybody."""

import warnings
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Here too, where all that figures need is found.
from skall.metrics.formulas import describe_metric as describe_metric

# Okabe & Ito's colours, told apart by colour-blind readers: https://jfly.uni-koeln.de/color/
# Without their yellow, which is hard to see on white, and their black, which is for words; the last
# is the wine of Tol's muted scheme: https://sronpersonalpages.nl/~pault/
BLUE, ORANGE, VERMILLION, GREEN = "#0072B2", "#E69F00", "#D55E00", "#009E73"
PURPLE, SKY, WINE, GREY = "#CC79A7", "#56B4E9", "#882255", "#707070"
COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, WINE)
# Of baselines, which are there to be beaten.
GREYS = ("#595959", "#737373", "#8c8c8c")
LINESTYLES = ("-", "--", "-.", ":", (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 4)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "*", "h")
HATCHES = ("", "//", "..", "\\\\", "xx", "--", "oo", "++")

# Inches of a new figure: letters stay readable where two share a row of a page, and on a phone.
WIDTH = 4.6
# Points of letters: those that say less, and the others.
SMALL, MEDIUM = 8, 9
LOOK = {
    "font.size": MEDIUM,
    "axes.titlesize": MEDIUM,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
}
# Characters of an estimator's name.
NAME = 26
# Entries of a legend within the axes.
MOST_INSIDE = 6
# Characters of an entry, where two share a line.
MOST_IN_HALF = 36


class Style(NamedTuple):
    """How one estimator is drawn: the linestyle and marker together, and the hatch, are its own."""

    colour: str
    linestyle: str | tuple
    marker: str
    hatch: str
    face: str


def make_styles(names, baselines=()):
    """A style for each of some estimators.

    Parameters
    ----------
    names : iterable of str
    baselines : iterable of str
        Further estimators, which are grey and have hollow markers.

    Returns
    -------
    dict of str to Style
        Up to 70 of them have a pair of linestyle and marker, and any number a hatch, of their own.
    """
    names, baselines = list(names), list(baselines)
    colours = [COLOURS[i % len(COLOURS)] for i in range(len(names))]
    greys = [GREYS[i % len(GREYS)] for i in range(len(baselines))]
    return {
        name: Style(
            colour=colour,
            linestyle=LINESTYLES[i % len(LINESTYLES)],
            # 7 and 10 have no common divisor: the pair differs where the linestyles begin anew.
            marker=MARKERS[i % len(MARKERS)],
            # Denser where the hatches begin anew; only the first estimator has none.
            hatch=(HATCHES[i % len(HATCHES)] or "|" * (i > 0)) * (1 + i // len(HATCHES)),
            face="white" if i >= len(names) else colour,
        )
        for i, (name, colour) in enumerate(zip(names + baselines, colours + greys, strict=True))
    }


def style_estimators(comparison):
    """The style that each estimator has in every figure of a comparison.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    dict of str to Style
        By the order in the comparison, whatever a figure shows and how it is sorted.
    """
    return make_styles(*comparison.split_names())


def make_axes(ax=None, figsize=(WIDTH, 3.6)):
    """The axes given, or those of a new figure that pyplot does not know.

    Parameters
    ----------
    ax : matplotlib.axes.Axes, optional
    figsize : (float, float), default=(4.6, 3.6)
        Width and height of the new figure in inches.

    Returns
    -------
    matplotlib.axes.Axes
    """
    if ax is None:
        figure = Figure(figsize=figsize, layout="constrained")
        FigureCanvasAgg(figure)
        with mpl.rc_context(LOOK):
            ax = figure.subplots()
    return ax


def make_panels(ax, shape, panel_size, height_ratios=None):
    """A grid of axes in a new figure, or in the place of the axes given.

    Parameters
    ----------
    ax : matplotlib.axes.Axes or None
        Its content is hidden where several panels replace it.
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
    with mpl.rc_context(LOOK):
        return grid.subplots(squeeze=False)


def save_figure(figure, file, file_format, dpi):
    """Write a figure; the same one always as the same bytes.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    file : path-like or file
    file_format : {"svg", "png"}
    dpi : int
        Of a PNG.
    """
    # Letters as letters: a tenth of the bytes, and in the fonts of who reads.
    settings = {"svg.hashsalt": "skall", "svg.fonttype": "none"}
    with mpl.rc_context(settings), warnings.catch_warnings():
        # A glyph that no font here has is drawn as a box; the tables have the name in full.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        if file_format == "svg":
            # Unlike savefig, which lays everything out twice.
            FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None})
        else:
            figure.savefig(file, format=file_format, dpi=dpi)


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


def shorten_names(names, length=NAME):
    """Names that fit beside an axis, the middle of long ones left out.

    Parameters
    ----------
    names : iterable of str
    length : int
        Characters.

    Returns
    -------
    dict of str to str
        Quoted, see :func:`quote_in_legend`; in full where two would be the same.

    Examples
    --------
    >>> shorten_names(["resnet18", "a pipeline of very many steps"], 12)
    {'resnet18': 'resnet18', 'a pipeline of very many steps': 'a pip… steps'}
    """
    names = list(names)
    kept = length - 1
    short = {
        name: f"{name[: kept // 2]}…{name[-(kept - kept // 2) :]}" if len(name) > length else name
        for name in names
    }
    distinct = len({*short.values()}) == len({*names})
    return {name: quote_in_legend(short[name] if distinct else name) for name in names}


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


def draw_legend(ax, handles, place):
    """A legend within the axes, or above them where it would hide what is drawn.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    handles : list of matplotlib.artist.Artist
    place : str
        In the axes, as ``"lower right"``.
    """
    look = {"handles": handles, "fontsize": SMALL, "handlelength": 2.6, "labelspacing": 0.3}
    if len(handles) <= MOST_INSIDE:
        ax.legend(**look, loc=place, framealpha=0.8, edgecolor="none")
        return
    longest = max(len(handle.get_label()) for handle in handles)
    n_columns = 2 if longest <= MOST_IN_HALF else 1
    ax.legend(**look, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=n_columns, frameon=False)
