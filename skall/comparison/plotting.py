"""The figures of a comparison."""

from skall.report.calibration import CalibrationDisplay
from skall.report.confusion import ConfusionDisplay
from skall.report.cost import CostDisplay
from skall.report.curves import PrecisionRecallDisplay, RocDisplay
from skall.report.errors import ErrorGalleryDisplay
from skall.report.learning import LearningCurvesDisplay
from skall.report.metric_bars import MetricBarsDisplay
from skall.report.rank_diagram import CriticalDifferenceDisplay


class Plots:
    """Methods that draw a comparison; ``figure_.savefig`` of what they return saves it.

    Each takes ``ax``, by default in a new figure, and where it says so `names` of estimators, by
    default all. What else there is, the display's ``from_comparison`` says.
    """

    def plot_metrics(self, metrics=None, **options):
        """Bars of one or several metrics with intervals.

        Parameters
        ----------
        metrics : str or list of str, optional
            By default all that were computed.
        **options
            As :meth:`skall.report.metric_bars.MetricBarsDisplay.from_comparison`.

        Returns
        -------
        skall.report.metric_bars.MetricBarsDisplay
        """
        return MetricBarsDisplay.from_comparison(self, metrics, **options)

    def plot_confusion(self, names=None, **options):
        """Confusion matrices, pooled over the folds or ``per_fold=True``.

        Parameters
        ----------
        names : list of str, optional
        **options
            As :meth:`skall.report.confusion.ConfusionDisplay.from_comparison`.

        Returns
        -------
        skall.report.confusion.ConfusionDisplay
        """
        return ConfusionDisplay.from_comparison(self, names, **options)

    def plot_roc(self, names=None, **options):
        """Receiver operating characteristics with a band over the folds.

        Parameters
        ----------
        names : list of str, optional
        **options
            As :meth:`skall.report.curves.RocDisplay.from_comparison`.

        Returns
        -------
        skall.report.curves.RocDisplay
        """
        return RocDisplay.from_comparison(self, names, **options)

    def plot_precision_recall(self, names=None, **options):
        """Precision against recall with a band over the folds.

        Parameters
        ----------
        names : list of str, optional
        **options
            As :meth:`skall.report.curves.PrecisionRecallDisplay.from_comparison`.

        Returns
        -------
        skall.report.curves.PrecisionRecallDisplay
        """
        return PrecisionRecallDisplay.from_comparison(self, names, **options)

    def plot_calibration(self, names=None, **options):
        """Observed against predicted probability.

        Parameters
        ----------
        names : list of str, optional
        **options
            As :meth:`skall.report.calibration.CalibrationDisplay.from_comparison`.

        Returns
        -------
        skall.report.calibration.CalibrationDisplay
        """
        return CalibrationDisplay.from_comparison(self, names, **options)

    def plot_ranks(self, metric=None, **options):
        """Mean ranks with the critical difference of Nemenyi's test.

        Parameters
        ----------
        metric : str, optional
        **options
            As :meth:`skall.report.rank_diagram.CriticalDifferenceDisplay.from_comparison`.

        Returns
        -------
        skall.report.rank_diagram.CriticalDifferenceDisplay
        """
        return CriticalDifferenceDisplay.from_comparison(self, metric, **options)

    def plot_errors(self, X, **options):
        """The cells that were classified wrongly with the most confidence.

        Parameters
        ----------
        X : array-like
            The images that were compared on.
        **options
            As :meth:`skall.report.errors.ErrorGalleryDisplay.from_comparison`.

        Returns
        -------
        skall.report.errors.ErrorGalleryDisplay
        """
        return ErrorGalleryDisplay.from_comparison(self, X, **options)

    def plot_learning(self, names=None, **options):
        """Losses and accuracies over the epochs with a band over the folds.

        Parameters
        ----------
        names : list of str, optional
        **options
            As :meth:`skall.report.learning.LearningCurvesDisplay.from_comparison`.

        Returns
        -------
        skall.report.learning.LearningCurvesDisplay
        """
        return LearningCurvesDisplay.from_comparison(self, names, **options)

    def plot_cost(self, costs, *, label, **options):
        """A metric against what each estimator costs.

        Parameters
        ----------
        costs : dict of str to float
            By estimator, such as ``get_estimator(name).summary()["macs"]``.
        label : str
            What the cost is, with its unit.
        **options
            As :meth:`skall.report.cost.CostDisplay.from_comparison`.

        Returns
        -------
        skall.report.cost.CostDisplay
        """
        return CostDisplay.from_comparison(self, costs, label=label, **options)
