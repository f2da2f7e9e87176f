"""Calibration: do probabilities come true as often as they say?"""

import numpy as np
from matplotlib.lines import Line2D

from skall.displays.held_out import read_positives, summarise_folds
from skall.displays.style import GREY, draw_band, make_panels, make_styles, quote, quote_in_legend


class CalibrationDisplay:
    """Reliability curves [1]_: how often a class was true, by the probability given to it.

    A point stands for the samples of all folds whose probabilities lie in one bin; the band around
    it is one standard deviation of the folds' shares. The histogram says how many samples there
    are: where they are few, a point far from the diagonal means little.

    Parameters
    ----------
    curves : dict of str to dict of str to ndarray of shape (n_bins,)
        By estimator: ``proba``, the mean probability; ``share``, the share of the class; ``std``
        of the folds' shares; ``count`` of samples. NaN for empty bins.
    pos_label : label
        The class.
    left_out : sequence of str
        Estimators without probabilities, which the legend names.

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

    def __init__(self, curves, pos_label, left_out=()):
        self.curves = curves
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
            Bins of equal width; a probability on an edge belongs to the bin below.
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
        return cls(curves, label, left_out).plot(ax)

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        CalibrationDisplay
        """
        ax, counts_ax = make_panels(ax, (2, 1), (6, 3.3), height_ratios=(4, 1)).ravel()
        handles = []
        for name, style in make_styles(self.curves).items():
            curve = self.curves[name]
            known = curve["count"] > 0
            x, share, std = (curve[key][known] for key in ("proba", "share", "std"))
            draw_band(ax, x, share, std, style.colour, (0, 1))
            line = {"color": style.colour, "linestyle": style.linestyle}
            label = {"marker": style.marker, "markersize": 5, "label": quote_in_legend(name)}
            handles += ax.plot(x, share, **line, **label)
            edges = np.linspace(0, 1, len(known) + 1)
            counts_ax.stairs(curve["count"], edges, **line)
        handles += ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, label="calibrated")
        handles += [
            Line2D([], [], linestyle="none", label=f"{quote_in_legend(name)}: no probabilities")
            for name in self.left_out
        ]
        ax.legend(handles=handles, fontsize="small", loc="upper left")
        ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        ax.set_ylabel(f"share of {quote(self.pos_label)}")
        ax.tick_params(labelbottom=False)
        counts_ax.set(xlim=(-0.01, 1.01), ylabel="samples")
        counts_ax.set_xlabel(f"probability of {quote(self.pos_label)}")
        self.ax_, self.counts_ax_, self.figure_ = ax, counts_ax, ax.figure
        return self


def _bin(pairs, n_bins):
    """One estimator's curve from the folds' arrays."""
    truth, proba = (np.concatenate(arrays) for arrays in zip(*pairs, strict=True))
    _, std = summarise_folds([_average(t, p, n_bins)[1] for t, p in pairs])
    mean_proba, share, count = _average(truth, proba, n_bins)
    return {"proba": mean_proba, "share": share, "std": std, "count": count}


def _average(is_positive, proba, n_bins):
    """Mean probability, share of positives and number of samples of each bin."""
    bins = np.clip(np.ceil(proba * n_bins).astype(int) - 1, 0, None)
    count = np.bincount(bins, minlength=n_bins)
    divisor = np.where(count > 0, count, np.nan)
    return (
        np.bincount(bins, proba, n_bins) / divisor,
        np.bincount(bins, is_positive, n_bins) / divisor,
        count,
    )
