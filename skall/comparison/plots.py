"""The figures of a comparison."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from skall.displays.calibration import CalibrationDisplay
from skall.displays.cost import CostDisplay, ParameterTableDisplay
from skall.displays.curves import PrecisionRecallDisplay, RocDisplay
from skall.displays.errors import ConfusionDisplay, ErrorGalleryDisplay
from skall.displays.learning import LearningCurvesDisplay
from skall.displays.metric_panels import MetricsDisplay, draw_folds
from skall.displays.probabilities import list_with_probabilities
from skall.displays.rank_diagram import CriticalDifferenceDisplay
from skall.displays.style import style_estimators
from skall.images.inputs import ImagesLike


class Plots:
    """Methods that draw a comparison; ``figure_.savefig`` of what they return saves it.

    Each takes ``ax``, by default that of a new figure, most `names` of estimators, by default all,
    and further options of the display's ``from_comparison``.
    """

    # Of the comparison.
    scores_: pd.DataFrame
    predictions_: pd.DataFrame
    split_names: Callable[[], tuple[list[str], list[str]]]

    def plot_accuracy(self, ax: Axes | None = None) -> Axes:
        """Bars of the mean accuracy with a point for each fold.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            A new figure by default, which ``ax.figure.savefig`` saves.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ValueError
            If the accuracy was not among the metrics.
        """
        if "accuracy" not in set(self.scores_["metric"]):
            raise ValueError("the accuracy was not computed; add 'accuracy' to `scoring`")
        styles = style_estimators(self)
        return draw_folds(self.scores_, "accuracy", self.split_names()[1], styles, ax)

    def plot_metrics(
        self, metrics: str | Iterable[str] | None = None, **options: Any
    ) -> MetricsDisplay:
        """One or several metrics with intervals, a panel for each.

        Parameters
        ----------
        metrics : str or list of str, optional
            By default all that were computed.
        **options
            As :meth:`skall.displays.metric_panels.MetricsDisplay.from_comparison`.

        Returns
        -------
        skall.displays.metric_panels.MetricsDisplay
        """
        return MetricsDisplay.from_comparison(self, metrics, **options)

    def plot_confusion(
        self, names: Iterable[str] | None = None, **options: Any
    ) -> ConfusionDisplay:
        """Confusion matrices, pooled over the folds or ``per_fold=True``.

        Parameters
        ----------
        names : list of str, optional
        **options
            As :meth:`skall.displays.errors.ConfusionDisplay.from_comparison`.

        Returns
        -------
        skall.displays.errors.ConfusionDisplay
        """
        return ConfusionDisplay.from_comparison(self, names, **options)

    def plot_roc(self, names: Iterable[str] | None = None, **options: Any) -> RocDisplay:
        """Receiver operating characteristics with a band over the folds.

        Parameters
        ----------
        names : list of str, optional
        **options
            As :meth:`skall.displays.curves.RocDisplay.from_comparison`.

        Returns
        -------
        skall.displays.curves.RocDisplay
        """
        return RocDisplay.from_comparison(self, names, **options)

    def plot_precision_recall(
        self, names: Iterable[str] | None = None, **options: Any
    ) -> PrecisionRecallDisplay:
        """Precision against recall with a band over the folds.

        Parameters
        ----------
        names : list of str, optional
        **options
            As :meth:`skall.displays.curves.PrecisionRecallDisplay.from_comparison`.

        Returns
        -------
        skall.displays.curves.PrecisionRecallDisplay
        """
        return PrecisionRecallDisplay.from_comparison(self, names, **options)

    def plot_calibration(
        self, names: Iterable[str] | None = None, **options: Any
    ) -> CalibrationDisplay:
        """Observed against predicted probability.

        Parameters
        ----------
        names : list of str, optional
        **options
            As :meth:`skall.displays.calibration.CalibrationDisplay.from_comparison`.

        Returns
        -------
        skall.displays.calibration.CalibrationDisplay
        """
        return CalibrationDisplay.from_comparison(self, names, **options)

    def plot_ranks(self, metric: str | None = None, **options: Any) -> CriticalDifferenceDisplay:
        """Mean ranks with the critical difference of Nemenyi's test.

        Parameters
        ----------
        metric : str, optional
        **options
            As :meth:`skall.displays.rank_diagram.CriticalDifferenceDisplay.from_comparison`.

        Returns
        -------
        skall.displays.rank_diagram.CriticalDifferenceDisplay
        """
        return CriticalDifferenceDisplay.from_comparison(self, metric, **options)

    def plot_errors(self, X: ImagesLike | None = None, **options: Any) -> ErrorGalleryDisplay:
        """The cells that were classified wrongly with the most confidence.

        Parameters
        ----------
        X : array-like, optional
            The images of the comparison; by default those of ``images_``.
        **options
            As :meth:`skall.displays.errors.ErrorGalleryDisplay.from_comparison`; by default each
            cell once, and no errors of baselines.

        Returns
        -------
        skall.displays.errors.ErrorGalleryDisplay
        """
        rivals, _ = self.split_names()
        names = list_with_probabilities(self.predictions_, rivals) or None
        options = {"names": names, "distinct": True} | options
        return ErrorGalleryDisplay.from_comparison(self, X, **options)

    def plot_learning(
        self, names: Iterable[str] | None = None, **options: Any
    ) -> LearningCurvesDisplay:
        """Losses and accuracies over the epochs with a band over the folds.

        Parameters
        ----------
        names : list of str, optional
        **options
            As :meth:`skall.displays.learning.LearningCurvesDisplay.from_comparison`.

        Returns
        -------
        skall.displays.learning.LearningCurvesDisplay
        """
        return LearningCurvesDisplay.from_comparison(self, names, **options)

    def plot_cost(
        self, costs: str | Mapping[str, float] = "macs", *, label: str | None = None, **options: Any
    ) -> CostDisplay:
        """A metric against what each estimator costs.

        Parameters
        ----------
        costs : str or dict of str to float, default="macs"
            A column of :meth:`Comparison.budgets`, as ``"predict_ms"``; or numbers by estimator.
        label : str, optional
            The label of the cost, with its unit; needed for numbers of your own.
        **options
            As :meth:`skall.displays.cost.CostDisplay.from_comparison`.

        Returns
        -------
        skall.displays.cost.CostDisplay
        """
        return CostDisplay.from_comparison(self, costs, label=label, **options)

    def plot_parameters(self, **options: Any) -> ParameterTableDisplay:
        """A table of the networks' parameters, operations and cost.

        Parameters
        ----------
        **options
            As :meth:`skall.displays.cost.ParameterTableDisplay.from_comparison`.

        Returns
        -------
        skall.displays.cost.ParameterTableDisplay
        """
        return ParameterTableDisplay.from_comparison(self, **options)
