"""ROC and precision-recall curves with the spread over the folds."""

import numpy as np
from matplotlib.lines import Line2D
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from skall.displays.probabilities import read_positives, summarise_folds
from skall.displays.style import (
    GREY,
    draw_band,
    draw_legend,
    make_axes,
    make_styles,
    quote,
    shorten_names,
    style_estimators,
)

GRID = np.linspace(0, 1, 101)


class _CurvesDisplay:
    """Mean curves over the folds, averaged at equal x [1]_, with bands of one standard deviation.

    Parameters
    ----------
    curves : dict of str to ndarray of shape (n_folds, 101)
        By estimator, each fold's curve at x of 0, 0.01, ..., 1.
    areas : dict of str to ndarray of shape (n_folds,)
        Each fold's own area, which is not that of the mean curve.
    pos_label : label
        The class that stands against the others.
    prevalence : float
        Its share of a fold's samples, the mean over the folds that have a curve.
    left_out : sequence of str
        Estimators without probabilities, which the legend names.
    styles : dict of str to Style, optional
        By estimator; by default those of the curves' order.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure

    References
    ----------
    .. [1] Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 27, 2006,
       doi 10.1016/j.patrec.2005.10.010.
    """

    def __init__(self, curves, areas, pos_label, prevalence, left_out=(), styles=None):
        self.curves = curves
        self.styles = make_styles(curves) if styles is None else styles
        self.areas = areas
        self.pos_label = pos_label
        self.prevalence = prevalence
        self.left_out = list(left_out)

    @classmethod
    def from_comparison(cls, comparison, names=None, *, pos_label=None, ax=None):
        """Draw the curves of a comparison.

        Parameters
        ----------
        comparison : Comparison
        names : str or iterable of str, optional
            Estimators; by default all that have probabilities.
        pos_label : label, optional
            The class that stands against the others; by default the comparison's positive class.
            To be given for three classes and more.
        ax : matplotlib.axes.Axes, optional
            A new figure by default.

        Returns
        -------
        display
            Folds without both kinds of samples have no curve, and are left out.

        Raises
        ------
        ValueError
            For an unknown estimator or class, one that has to be given, an estimator without
            probabilities, or where no fold has a curve.
        """
        label, folds, left_out = read_positives(comparison, names, pos_label)
        curves, areas = {}, {}
        for name, pairs in folds.items():
            usable = [pair for pair in pairs if 0 < pair[0].sum() < len(pair[0])]
            if not usable:
                raise ValueError(
                    f"no fold holds samples of {label!r} and of another class, as a curve needs: "
                    "choose fewer folds"
                )
            curves[name] = np.stack([cls._trace(*pair) for pair in usable])
            areas[name] = np.array([cls._measure(*pair) for pair in usable])
        # Over the same folds as the curves: where one that ranks nothing stands.
        prevalence = np.mean([is_positive.mean() for is_positive, _ in usable])
        styles = style_estimators(comparison)
        return cls(curves, areas, label, float(prevalence), left_out, styles).plot(ax)

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        display
        """
        ax = make_axes(ax)
        names, handles = shorten_names([*self.curves, *self.left_out]), []
        for place, (name, curves) in enumerate(self.curves.items()):
            style, (mean, std) = self.styles[name], summarise_folds(curves)
            draw_band(ax, GRID, mean, std, style.colour, (0, 1))
            area, spread = summarise_folds(self.areas[name][:, None])
            spread = "" if np.isnan(spread[0]) else f" ± {spread[0]:.3f}"
            handles += ax.plot(
                GRID,
                mean,
                color=style.colour,
                linestyle=style.linestyle,
                linewidth=1.3,
                marker=style.marker,
                markerfacecolor=style.face,
                # At other places for each, so that equal curves hide no marker.
                markevery=(2 * place % 12, 12),
                markersize=4,
                label=f"{names[name]} ({self._area} {area[0]:.3f}{spread})",
            )
        handles += self._draw_chance(ax)
        handles += [
            Line2D([], [], linestyle="none", label=f"{names[name]}: no probabilities")
            for name in self.left_out
        ]
        draw_legend(ax, handles, self._legend_place)
        ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        ax.set_xlabel(self._x_label)
        ax.set_ylabel(f"{self._y_label} for class {quote(self.pos_label)}")
        self.ax_, self.figure_ = ax, ax.figure
        return self


class RocDisplay(_CurvesDisplay):
    __doc__ = f"ROC curves. {_CurvesDisplay.__doc__}"
    _area, _legend_place = "AUC", "lower right"
    _x_label, _y_label = "1 - specificity", "sensitivity"

    @staticmethod
    def _trace(is_positive, proba):
        false_rate, true_rate, _ = roc_curve(is_positive, proba, drop_intermediate=False)
        curve = np.interp(GRID, false_rate, true_rate)
        # A curve may rise at x = 0; it begins at 0 all the same.
        curve[0] = 0
        return curve

    @staticmethod
    def _measure(is_positive, proba):
        return roc_auc_score(is_positive, proba)

    def _draw_chance(self, ax):
        return ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, label="chance")


class PrecisionRecallDisplay(_CurvesDisplay):
    __doc__ = f"Precision-recall curves. {_CurvesDisplay.__doc__}"
    _area, _legend_place = "AP", "lower left"
    _x_label, _y_label = "recall", "precision"

    @staticmethod
    def _trace(is_positive, proba):
        precision, recall, _ = precision_recall_curve(is_positive, proba)
        # Steps, as average precision adds them up: lines between the points would flatter.
        return precision[::-1][np.searchsorted(recall[::-1], GRID - 1e-12)]

    @staticmethod
    def _measure(is_positive, proba):
        return average_precision_score(is_positive, proba)

    def _draw_chance(self, ax):
        share = self.prevalence
        label = f"chance ({share:.3f})"
        return ax.plot([0, 1], [share, share], color=GREY, linewidth=0.8, label=label)
