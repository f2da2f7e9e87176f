"""What a comparison found: tables and figures."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from shutil import get_terminal_size

import numpy as np
import pandas as pd

from skall.comparison.candidates import BASELINES
from skall.comparison.record import write_file
from skall.metrics import LOWER_IS_BETTER
from skall.report.figures import draw_folds


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Scores and out-of-fold predictions of several estimators, from :func:`compare`.

    Attributes
    ----------
    scores_ : DataFrame
        One row per value, columns ``estimator, repeat, fold, metric, value``.
    predictions_ : DataFrame
        One row per held-out sample, columns ``estimator, repeat, fold, sample, group, y_true`` and
        ``proba_<class>`` for each class; `sample` is the position in X. The probabilities of an
        estimator without ``predict_proba`` are NaN.
    pos_label_ : label or None
        The positive class; None for more than two classes.
    """

    scores_: pd.DataFrame
    predictions_: pd.DataFrame
    pos_label_: object

    def table(self):
        """Mean and standard deviation over the folds, the best estimator first.

        Returns
        -------
        DataFrame
            Indexed by estimator, columns ``<metric>`` and ``<metric>_std`` (with n - 1 in the
            denominator; NaN for a single fold). Sorted by balanced_accuracy, or by the first
            metric where that was not asked for. A fold where a metric is NaN is left out of it.
        """
        by_metric = self.scores_.groupby(["metric", "estimator"], sort=False)["value"]
        columns = {}
        for metric in self.scores_["metric"].unique():
            columns[metric] = by_metric.mean()[metric]
            columns[f"{metric}_std"] = by_metric.std()[metric]
        table = pd.DataFrame(columns).rename_axis("estimator")
        main = "balanced_accuracy" if "balanced_accuracy" in table else table.columns[0]
        return table.sort_values(main, ascending=main in LOWER_IS_BETTER, kind="stable")

    def plot_accuracy(self, ax=None):
        """Bars of the mean accuracy with a point for each fold.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure by default, which ``ax.figure.savefig`` saves.

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
        return draw_folds(self.scores_, "accuracy", BASELINES, ax)

    def test(self):
        """Tests between the estimators, corrected for overlapping training parts."""
        raise NotImplementedError("Comparison.test comes with the comparison issue")

    def report(self, path):
        """A page with every table and figure."""
        raise NotImplementedError("Comparison.report comes with the comparison issue")

    def write(self, folder):
        """Write ``scores.csv``, ``predictions.csv``, ``table.csv`` and ``accuracy.png``.

        Numbers are written as the shortest text that reads back as the same float64. Without the
        accuracy among the metrics there is no figure.

        Parameters
        ----------
        folder : path-like
        """
        tables = {
            "scores.csv": self.scores_.to_csv(index=False),
            "predictions.csv": self.predictions_.to_csv(index=False),
            "table.csv": self.table().to_csv(),
        }
        for name, text in tables.items():
            write_file(Path(folder) / name, text.encode())
        if "accuracy" in set(self.scores_["metric"]):
            image = BytesIO()
            self.plot_accuracy().figure.savefig(image, format="png", dpi=150)
            write_file(Path(folder) / "accuracy.png", image.getvalue())

    def to_dict(self):
        """What :meth:`table` holds and the folds' values, as JSON can hold it.

        Returns
        -------
        dict
            ``{estimator: {metric: {"mean": float, "std": float, "folds": [float, ...]}}}`` in the
            order of :meth:`table`; None stands for NaN.
        """
        table = self.table()
        folds = self.scores_.groupby(["estimator", "metric"])["value"].agg(list)
        metrics = self.scores_["metric"].unique()
        return {
            name: {
                metric: {
                    "mean": _none_if_nan(table.at[name, metric]),
                    "std": _none_if_nan(table.at[name, f"{metric}_std"]),
                    "folds": [_none_if_nan(value) for value in folds[name, metric]],
                }
                for metric in metrics
            }
            for name in table.index
        }

    def __repr__(self):
        table = self.table()
        cells = {
            name: [
                f"{row[metric]:.3f} ± {row[f'{metric}_std']:.3f}" for metric in table.columns[::2]
            ]
            for name, row in table.iterrows()
        }
        frame = pd.DataFrame(cells, index=table.columns[::2])
        return frame.to_string(line_width=get_terminal_size((100, 24)).columns)


def _none_if_nan(value):
    return None if np.isnan(value) else float(value)


def tabulate_scores(results):
    """The scores of ``(name, fold, result)`` triples as one table."""
    rows = [
        (name, fold.repeat, fold.fold, metric, value)
        for name, fold, result in results
        for metric, value in result["scores"].items()
    ]
    return pd.DataFrame(rows, columns=["estimator", "repeat", "fold", "metric", "value"])


def tabulate_predictions(results, y, groups, classes):
    """The out-of-fold probabilities of ``(name, fold, result)`` triples as one table."""
    columns = [f"proba_{label}" for label in classes.tolist()]
    parts = []
    for name, fold, result in results:
        part = pd.DataFrame({"sample": fold.test})
        part.insert(0, "estimator", name)
        part.insert(1, "repeat", fold.repeat)
        part.insert(2, "fold", fold.fold)
        part["group"] = None if groups is None else groups[fold.test]
        part["y_true"] = y[fold.test]
        unknown = np.full((len(part), len(columns)), np.nan)
        part[columns] = unknown if result["proba"] is None else result["proba"]
        parts.append(part)
    return pd.concat(parts, ignore_index=True)
