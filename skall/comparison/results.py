"""What a comparison found: tables and figures."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from shutil import get_terminal_size

import numpy as np
import pandas as pd

from skall.comparison.candidates import BASELINES
from skall.comparison.ensembles import check_members, measure, stack, vote
from skall.comparison.plotting import Plots
from skall.files import write_file
from skall.metrics import LOWER_IS_BETTER
from skall.displays.figures import draw_folds
from skall.statistics import test_estimators

CHOICES = ["estimator", "repeat", "fold", "parameter", "value"]
EPOCH = ["estimator", "repeat", "fold", "epoch"]


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Plots):
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
    best_params_ : DataFrame
        What searches chose in each fold, columns ``estimator, repeat, fold, parameter, value``.
        Of a value that JSON cannot hold it is the name.
    trials_ : dict of str to int
        How many combinations of parameters each estimator tried in each fold, the largest number
        where that differs; 1 where nothing was tuned. Unequal numbers are unequal chances.
    members_ : dict of str to tuple of str
        The estimators that each ensemble of :meth:`vote` or :meth:`stack` is made of.
    history_ : DataFrame
        One row per epoch of each network and fold, columns ``estimator, repeat, fold, epoch`` and
        what the network's ``history_frame_`` holds besides. Empty where nothing learns in epochs.
    """

    scores_: pd.DataFrame
    predictions_: pd.DataFrame
    pos_label_: object
    best_params_: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=CHOICES))
    trials_: dict = field(default_factory=dict)
    members_: dict = field(default_factory=dict)
    history_: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=EPOCH))

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

    def vote(self, names=None, name="vote"):
        """Add an ensemble that averages the probabilities of its members: soft voting.

        It is computed from the stored probabilities, and equals scikit-learn's
        :class:`~sklearn.ensemble.VotingClassifier` of the same fitted members. Nothing is trained.

        Parameters
        ----------
        names : iterable of str, optional
            The members; by default all but baselines and ensembles.
        name : str, default="vote"
            What the ensemble is called.

        Returns
        -------
        Comparison
            A new one, with the ensemble's rows added.

        Raises
        ------
        ValueError
            If fewer than two members are there, one has no probabilities, or `name` is taken.
        """
        return self._add(name, names, vote)

    def stack(self, names=None, name="stack"):
        """Add an ensemble that learns how to weigh its members: stacked generalisation [1]_.

        For each fold a logistic regression on the log-odds of the members' probabilities is fitted
        to the held-out predictions of the same repeat's other folds, but for those of samples and
        groups that the fold tests. No network is trained.

        This is cheaper than nested stacking, and not quite as strict: the networks that predicted
        the other folds had this fold's samples, with their labels, among their training samples.
        The logistic regression has a few numbers to learn from them and never sees the fold's own
        predictions, but the score may be slightly too good. With few folds it may as well be too
        bad, because networks of different folds differ in how sure they are. A
        :class:`~sklearn.ensemble.StackingClassifier` among the estimators of :func:`compare` gives
        the fully nested answer, for as many more trainings of each member as it has inner folds.

        Parameters
        ----------
        names : iterable of str, optional
            The members; by default all but baselines and ensembles.
        name : str, default="stack"
            What the ensemble is called.

        Returns
        -------
        Comparison
            A new one, with the ensemble's rows added.

        Raises
        ------
        ValueError
            If fewer than two members are there, one has no probabilities, `name` is taken, or a
            fold's other folds do not hold every class.

        References
        ----------
        .. [1] Wolpert, "Stacked generalization", Neural Networks 5, 1992,
           doi 10.1016/S0893-6080(05)80023-1.
        """
        return self._add(name, names, stack)

    def _add(self, name, names, combine):
        """A comparison with the ensemble that a function makes of the members' predictions."""
        taken = [*self.predictions_["estimator"].unique()]
        apart = {*BASELINES, *self.members_}
        names = [n for n in taken if n not in apart] if names is None else list(names)
        if name in taken:
            raise ValueError(f"there is an estimator {name!r} already; give another `name`")
        check_members(self.predictions_, names)
        predictions = combine(self.predictions_, names).assign(estimator=name)
        metrics = self.scores_["metric"].unique()
        scores = measure(predictions, metrics, self.pos_label_)
        return replace(
            self,
            scores_=pd.concat([self.scores_, scores], ignore_index=True),
            predictions_=pd.concat([self.predictions_, predictions], ignore_index=True),
            members_=self.members_ | {name: tuple(names)},
        )

    def test(self, metric=None, method="corrected_t", *, names=None, rope=None, alpha=0.05):
        """Tests between each two of the estimators.

        Parameters
        ----------
        metric : str, optional
            Of those that were computed; by default the one that suits the method.
        method : str, default="corrected_t"
            One of :data:`skall.statistics.METHODS`; the default is the t-test corrected for
            training parts that overlap.
        names : iterable of str, optional
            The estimators to test; by default all but baselines. Each more weakens the others.
        rope : float, optional
            Half the width of the region of practical equivalence, for ``"bayesian_t"``.
        alpha : float, default=0.05
            Level of significance, after Holm's adjustment for the number of tests.

        Returns
        -------
        DataFrame
            As :func:`skall.statistics.test_estimators`, with the ``conclusion`` in words.

        Raises
        ------
        ValueError
            For an unknown metric, method or estimator, and for folds that do not suit the method.
        """
        known = self.scores_["estimator"].unique().tolist()
        names = [n for n in known if n not in BASELINES] if names is None else list(names)
        unknown = [name for name in names if name not in known]
        if unknown or len(names) < 2:
            found = f"there is no estimator {unknown[0]!r}" if unknown else f"got {names}"
            raise ValueError(f"tests need two estimators or more: {found}; there are {known}")
        return test_estimators(
            self.scores_[self.scores_["estimator"].isin(names)],
            self.predictions_[self.predictions_["estimator"].isin(names)],
            **{"metric": metric, "method": method, "pos_label": self.pos_label_},
            **{"rope": rope, "alpha": alpha},
        )

    def report(self, path):
        """A page with every table and figure."""
        raise NotImplementedError("Comparison.report is not implemented yet")

    def write(self, folder):
        """Write ``scores.csv``, ``predictions.csv``, ``table.csv`` and ``accuracy.png``.

        Numbers are written as the shortest text that reads back as the same float64. Without the
        accuracy among the metrics there is no figure; where parameters were chosen there is
        ``best_params.csv``.

        Parameters
        ----------
        folder : path-like
        """
        tables = {
            "scores.csv": self.scores_.set_index("estimator"),
            "predictions.csv": self.predictions_.set_index("estimator"),
            "table.csv": self.table(),
        }
        if len(self.best_params_):
            tables["best_params.csv"] = self.best_params_.set_index("estimator")
        for name, table in tables.items():
            write_file(Path(folder) / name, table.to_csv)
        if "accuracy" in set(self.scores_["metric"]):
            figure = self.plot_accuracy().figure
            write_file(
                Path(folder) / "accuracy.png",
                lambda path: figure.savefig(path, format="png", dpi=150),
            )

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


def tabulate_choices(results):
    """What the searches of ``(name, fold, result)`` triples chose as one table."""
    rows = [
        (name, fold.repeat, fold.fold, parameter, value)
        for name, fold, result in results
        for parameter, value in result.get("best_params", {}).items()
    ]
    # As objects: else whole numbers beside fractions would become fractions.
    table = pd.DataFrame(rows, columns=CHOICES, dtype=object)
    return table.astype({"estimator": str, "repeat": int, "fold": int, "parameter": str})


def tabulate_histories(results):
    """The epochs of ``(name, fold, result)`` triples as one table."""
    rows = [
        {"estimator": name, "repeat": fold.repeat, "fold": fold.fold}
        | dict(zip(result["history"], values, strict=True))
        for name, fold, result in results
        if "history" in result
        for values in zip(*result["history"].values(), strict=True)
    ]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=EPOCH)


def count_trials(results):
    """The largest number of trials in a fold, by the name of ``(name, fold, result)`` triples."""
    trials = {}
    for name, _, result in results:
        trials[name] = max(trials.get(name, 1), result.get("trials", 1))
    return trials
