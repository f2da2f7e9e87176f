"""Learning curves of several folds."""

import pandas as pd

from skall.displays.style import BLUE, VERMILLION, draw_band, make_panels, quote
from skall.statistics.held_out import choose_names

MEASURES = {"loss": "loss", "acc": "accuracy"}
PARTS = {"train": ("training", BLUE, "-", "o"), "valid": ("validation", VERMILLION, "--", "s")}


class LearningCurvesDisplay:
    """Loss and accuracy by epoch, a row of two panels for each estimator.

    Lines are means over the folds, bands one standard deviation. Where early stopping ended some
    folds sooner, the later epochs are those of the others.

    Parameters
    ----------
    histories : dict of str to list of DataFrame
        By estimator, one history per fold: columns ``epoch`` and any of ``train_loss, valid_loss,
        train_acc, valid_acc``, one row per epoch.

    Attributes
    ----------
    histories : dict of str to list of DataFrame
    ax_ : ndarray of matplotlib.axes.Axes of shape (n_estimators, 2)
        Loss on the left.
    figure_ : matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there is no history, or one has no epochs or none of the columns.
    """

    def __init__(self, histories):
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
        return cls.from_histories(histories, ax=ax)

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
        panels = make_panels(ax, (len(self.histories), len(MEASURES)), (4.2, 2.8))
        for row, (name, folds) in zip(panels, self.histories.items(), strict=True):
            for panel, (measure, words) in zip(row, MEASURES.items(), strict=True):
                self._draw_measure(panel, pd.concat(folds), measure)
                panel.set_title(quote(name), fontsize="medium")
                panel.set_xlabel("epoch")
                panel.set_ylabel(words)
        self.ax_, self.figure_ = panels, panels[0, 0].figure
        return self

    def _draw_measure(self, ax, epochs, measure):
        drawn = False
        for part, (words, colour, linestyle, marker) in PARTS.items():
            column = f"{part}_{measure}"
            if column not in epochs or epochs[column].isna().all():
                continue
            by_epoch = epochs.groupby("epoch")[column]
            mean, std = by_epoch.mean(), by_epoch.std()
            x = mean.index.to_numpy()
            limits = (0, 1) if measure == "acc" else (0, float("inf"))
            draw_band(ax, x, mean.to_numpy(), std.to_numpy(), colour, limits)
            every = max(1, len(x) // 10)
            style = {"color": colour, "linestyle": linestyle, "marker": marker}
            ax.plot(x, mean, **style, markevery=every, markersize=4, label=words)
            drawn = True
        if drawn:
            ax.legend(fontsize="small")
