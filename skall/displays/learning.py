"""Learning curves of several folds."""

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from skall.displays.style import (
    GREY,
    WIDTH,
    draw_band,
    draw_legend,
    make_panels,
    make_styles,
    shorten_names,
    style_estimators,
)
from skall.statistics.held_out import choose_names

MEASURES = {"loss": "loss", "acc": "accuracy"}
PARTS = {"train": ("training", "-"), "valid": ("validation", "--")}


class LearningCurvesDisplay:
    """Loss and accuracy by epoch, of all estimators in two panels.

    Lines are means over the folds, bands one standard deviation; lines of the training part are
    whole, those of the validation part dashed. Where early stopping ended some folds sooner, the
    later epochs are those of the others.

    Parameters
    ----------
    histories : dict of str to list of DataFrame
        By estimator, one history per fold: columns ``epoch`` and any of ``train_loss, valid_loss,
        train_acc, valid_acc``, one row per epoch.
    styles : dict of str to Style, optional
        By estimator; by default those of the order here.

    Attributes
    ----------
    histories : dict of str to list of DataFrame
    ax_ : ndarray of matplotlib.axes.Axes of shape (2,)
        Loss above.
    figure_ : matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there is no history, or one has no epochs or none of the columns.
    """

    def __init__(self, histories, styles=None):
        if not histories:
            raise ValueError("histories is empty: there is nothing to draw")
        for name, folds in histories.items():
            if isinstance(folds, pd.DataFrame) or not len(folds):
                raise ValueError(f"{name!r} needs a list with one history or more, as DataFrames")
            columns = {f"{part}_{measure}" for part in PARTS for measure in MEASURES}
            for history in folds:
                if "epoch" not in history or not columns & {*history} or not len(history):
                    raise ValueError(
                        f"a history of {name!r} has {len(history)} rows and the columns "
                        f"{list(history)}; it needs 'epoch' and one of {sorted(columns)}"
                    )
        self.histories = histories
        self.styles = make_styles(histories) if styles is None else styles

    @classmethod
    def from_comparison(cls, comparison, names=None, *, ax=None):
        """Draw the networks of a comparison.

        Parameters
        ----------
        comparison : Comparison
            Its ``history_`` has columns ``estimator, repeat, fold, epoch`` and those of a history.
        names : str or iterable of str, optional
            Estimators; by default all that have a history.
        ax : matplotlib.axes.Axes, optional
            A new figure by default; divided into the panels.

        Returns
        -------
        LearningCurvesDisplay

        Raises
        ------
        ValueError
            If nothing was trained in epochs, or for an estimator without a history.
        """
        table = comparison.history_
        if not len(table):
            raise ValueError("no estimator has a history: none was trained in epochs")
        histories = {
            name: [
                fold for _, fold in table[table["estimator"] == name].groupby(["repeat", "fold"])
            ]
            for name in choose_names(table, names)
        }
        return cls(histories, style_estimators(comparison)).plot(ax)

    @classmethod
    def from_histories(cls, histories, *, ax=None):
        """Draw histories.

        Parameters
        ----------
        histories : dict of str to list of DataFrame
        ax : matplotlib.axes.Axes, optional
            A new figure by default; divided into the panels.

        Returns
        -------
        LearningCurvesDisplay

        Raises
        ------
        ValueError
            If there is no history, or one has no epochs or none of the columns.
        """
        return cls(histories).plot(ax)

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional

        Returns
        -------
        LearningCurvesDisplay
        """
        panels = make_panels(ax, (len(MEASURES), 1), (WIDTH, 1.9))[:, 0]
        handles, parts = [], {}
        names = shorten_names(self.histories)
        for name, folds in self.histories.items():
            style, epochs = self.styles[name], pd.concat(folds)
            for panel, measure in zip(panels, MEASURES, strict=True):
                parts |= _draw_measure(panel, epochs, measure, style)
            look = {"color": style.colour, "marker": style.marker, "markersize": 4}
            handles.append(Line2D([], [], **look, label=names[name]))
        for panel, words in zip(panels, MEASURES.values(), strict=True):
            panel.set_ylabel(words)
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panels[-1].set_xlabel("epoch")
        handles += [Line2D([], [], color=GREY, **look) for look in parts.values()]
        draw_legend(panels[0], handles, "best")
        self.ax_, self.figure_ = panels, panels[0].figure
        return self


def _draw_measure(ax, epochs, measure, style):
    """The lines of one estimator; by part that has some, what the legend says of it."""
    drawn = {}
    for part, (words, linestyle) in PARTS.items():
        column = f"{part}_{measure}"
        if column not in epochs or epochs[column].isna().all():
            continue
        by_epoch = epochs.groupby("epoch")[column]
        mean, std = by_epoch.mean(), by_epoch.std()
        x = mean.index.to_numpy()
        limits = (0, 1) if measure == "acc" else (0, float("inf"))
        draw_band(ax, x, mean.to_numpy(), std.to_numpy(), style.colour, limits)
        look = {"linestyle": linestyle, "label": words}
        dots = {"marker": style.marker, "markersize": 4, "markevery": max(1, len(x) // 6)}
        ax.plot(x, mean, color=style.colour, linewidth=1.3, **dots, **look)
        drawn[part] = look
    return drawn
