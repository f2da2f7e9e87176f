"""Calibration: do probabilities come true as often as they say?"""

import numpy as np
from matplotlib.lines import Line2D

from skall.displays.probabilities import read_positives, summarise_folds
from skall.displays.style import (
    GREY,
    WIDTH,
    draw_band,
    draw_legend,
    make_panels,
    make_styles,
    quote,
    shorten_names,
    style_estimators,
)

# Samples that a bin holds at least: below, the share of a class may be anything.
FEWEST = 20
# Bars of the histogram.
BARS = np.linspace(0, 1, 21)


class CalibrationDisplay:
    """Reliability curves [1]_: how often a class was true, by the probability given to it.

    A point stands for the samples of all folds whose probabilities lie in one bin; the band around
    it is one standard deviation of the folds' shares. The bins hold equally many samples, but for
    equal probabilities, which are in one bin. The histogram says where the probabilities lie.

    Parameters
    ----------
    curves : dict of str to dict of str to ndarray
        By estimator; of shape (n_bins,) ``proba``, the mean probability; ``share``, the share of
        the class; ``std`` of the folds' shares; ``count`` of samples; of shape (20,)
        ``histogram``, the samples whose probabilities lie between 0, 0.05, ..., 1.
    pos_label : label
        The class.
    left_out : sequence of str
        Estimators without probabilities, which the legend names.
    styles : dict of str to Style, optional
        By estimator; by default those of the curves' order.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
    counts_ax_ : matplotlib.axes.Axes
        The histogram below.
    figure_ : matplotlib.figure.Figure

    References
    ----------
    .. [1] Niculescu-Mizil & Caruana, "Predicting good probabilities with supervised learning",
       ICML 2005, doi 10.1145/1102351.1102430.
    """

    def __init__(self, curves, pos_label, left_out=(), styles=None):
        self.curves = curves
        self.styles = make_styles(curves) if styles is None else styles
        self.pos_label = pos_label
        self.left_out = list(left_out)

    @classmethod
    def from_comparison(cls, comparison, names=None, *, pos_label=None, n_bins=10, ax=None):
        """Draw the curves of a comparison.

        Parameters
        ----------
        comparison : Comparison
        names : str or iterable of str, optional
            Estimators; by default all that have probabilities.
        pos_label : label, optional
            The class; by default the comparison's positive class. To be given for three classes
            and more.
        n_bins : int, default=10
            Bins at most; fewer where one would hold less than 20 samples.
        ax : matplotlib.axes.Axes, optional
            A new figure by default; divided for the curves and the histogram.

        Returns
        -------
        CalibrationDisplay

        Raises
        ------
        ValueError
            For an unknown estimator or class, one that has to be given, an estimator without
            probabilities, or fewer than two bins.
        """
        if n_bins < 2:
            raise ValueError(f"n_bins must be 2 or more, got {n_bins!r}")
        label, folds, left_out = read_positives(comparison, names, pos_label)
        curves = {name: _bin(pairs, n_bins) for name, pairs in folds.items()}
        return cls(curves, label, left_out, style_estimators(comparison)).plot(ax)

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        CalibrationDisplay
        """
        size = (WIDTH, 1.8)
        ax, counts_ax = make_panels(ax, (2, 1), size, height_ratios=(3, 1)).ravel()
        names, handles = shorten_names([*self.curves, *self.left_out]), []
        for name, curve in self.curves.items():
            style = self.styles[name]
            draw_band(ax, curve["proba"], curve["share"], curve["std"], style.colour, (0, 1))
            line = {"color": style.colour, "linestyle": style.linestyle, "linewidth": 1.3}
            dots = {"marker": style.marker, "markerfacecolor": style.face, "markersize": 4.5}
            handles += ax.plot(curve["proba"], curve["share"], **line, **dots, label=names[name])
            counts_ax.stairs(curve["histogram"], BARS, **line)
        handles += ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, label="calibrated")
        handles += [
            Line2D([], [], linestyle="none", label=f"{names[name]}: no probabilities")
            for name in self.left_out
        ]
        draw_legend(ax, handles, "upper left")
        ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        ax.set_ylabel(f"share of class {quote(self.pos_label)}")
        ax.tick_params(labelbottom=False)
        counts_ax.set(xlim=(-0.01, 1.01), ylabel="samples")
        words = f"probability of class {quote(self.pos_label)}"
        counts_ax.set_xlabel(f"{words} ({self._describe_bins()})")
        self.ax_, self.counts_ax_, self.figure_ = ax, counts_ax, ax.figure
        return self

    def _describe_bins(self):
        counts = np.concatenate([curve["count"] for curve in self.curves.values()])
        ends = dict.fromkeys([counts.min(), counts.max()])
        return f"a point: {' to '.join(map(str, ends))} samples"


def _bin(pairs, n_bins):
    """One estimator's curve from the folds' arrays."""
    truth, proba = (np.concatenate(arrays) for arrays in zip(*pairs, strict=True))
    edges = _choose_edges(proba, n_bins)
    _, std = summarise_folds([_average(t, p, edges)[1] for t, p in pairs])
    mean_proba, share, count = _average(truth, proba, edges)
    histogram, _ = np.histogram(proba, BARS)
    return {
        **{"proba": mean_proba, "share": share, "std": std, "count": count},
        "histogram": histogram,
    }


def _choose_edges(proba, n_bins):
    """The largest probability of each bin but the last.

    Equal probabilities are in one bin, so that bins may be fewer and larger.
    """
    ordered = np.sort(proba)
    n_bins = max(1, min(n_bins, len(ordered) // FEWEST))
    edges = []
    start = 0
    for part in range(1, n_bins):
        edge = ordered[len(ordered) * part // n_bins - 1]
        end = np.searchsorted(ordered, edge, side="right")
        if end - start >= FEWEST and len(ordered) - end >= FEWEST:
            edges.append(edge)
            start = end
    return np.array(edges)


def _average(is_positive, proba, edges):
    """Mean probability, share of positives and number of samples of each bin."""
    bins = np.searchsorted(edges, proba)
    n_bins = len(edges) + 1
    count = np.bincount(bins, minlength=n_bins)
    divisor = np.where(count > 0, count, np.nan)
    return (
        np.bincount(bins, proba, n_bins) / divisor,
        np.bincount(bins, is_positive, n_bins) / divisor,
        count,
    )
