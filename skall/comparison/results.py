"""The results of a comparison: tables, tests, sentences, files."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from shutil import get_terminal_size
from typing import Any, Self

import pandas as pd

from skall.comparison.answers import conclude, describe_differences, summarise
from skall.comparison.costs import tabulate_budgets
from skall.comparison.ensembles import Ensembles
from skall.comparison.estimators import BASELINES
from skall.comparison.evaluation import COLUMNS
from skall.comparison.flags import list_flags
from skall.comparison.plots import Plots
from skall.comparison.storage import (
    convert_to_dict,
    hash_contents,
    read_tables,
    write_tables,
)
from skall.metrics import LOWER_IS_BETTER
from skall.metrics.formulas import describe_metric
from skall.report import write_report
from skall.statistics import average_test_ratio, test_estimators
from skall.statistics.held_out import choose_metric
from skall.statistics.intervals import tabulate_intervals
from skall.statistics.jackknife import HeldOut
from skall.statistics.sentences import write_spread

# Tables without rows, the defaults of attributes.
_EMPTY = {name: partial(pd.DataFrame, columns=columns) for name, columns in COLUMNS.items()}


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Plots, Ensembles):
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
        Values that JSON cannot hold are named.
    trials_ : dict of str to int
        How many combinations of parameters each estimator tried in each fold, the largest number
        where that differs; 1 where nothing was tuned.
    members_ : dict of str to tuple of str
        The estimators that each ensemble of :meth:`vote` or :meth:`stack` is made of.
    history_ : DataFrame
        One row per epoch of each network and fold, columns ``estimator, repeat, fold, epoch`` and
        what the network's ``history_frame_`` holds besides. Empty where nothing learns in epochs.
    resources_ : DataFrame
        One row per estimator and fold, columns ``estimator, repeat, fold, fit_seconds,
        shared_seconds, predict_ms, peak_memory``, see
        :func:`skall.comparison.costs.tabulate_budgets`.
    folds_ : DataFrame
        One row per fold, columns ``repeat, fold, n_train, n_test``: the numbers of samples that
        train and test there, whose ratio the corrected t interval and tests use.
    failures_ : DataFrame
        One row per fold in which an estimator raised, columns ``estimator, repeat, fold, error``.
        Its metrics and probabilities are NaN there, and its means leave the fold out.
    unlearnt_ : DataFrame
        One row per class that an estimator has not learnt in a fold, because the training part
        (after a sampler, if there is one) has no sample of it, columns ``estimator, repeat, fold,
        label``. The class's probability is 0 there.
    samples_ : DataFrame
        One row per sample, columns ``sample, file, height, width, group, y_true``; `file` is
        absolute, height and width are the image's in pixels.
    estimators_ : dict of str to dict
        Of each estimator ``class, baseline, steps, params, network``.
    protocol_ : dict
        How they were compared: folds, seeds, metrics, versions of packages, machine.
    images_ : Images or None
        The images, where they are available; not written to files.
    """

    scores_: pd.DataFrame
    predictions_: pd.DataFrame
    pos_label_: object
    best_params_: pd.DataFrame = field(default_factory=_EMPTY["best_params"])
    trials_: dict[str, int] = field(default_factory=dict)
    members_: dict[str, tuple[str, ...]] = field(default_factory=dict)
    history_: pd.DataFrame = field(default_factory=_EMPTY["history"])
    resources_: pd.DataFrame = field(default_factory=_EMPTY["resources"])
    folds_: pd.DataFrame = field(default_factory=_EMPTY["folds"])
    failures_: pd.DataFrame = field(default_factory=_EMPTY["failures"])
    unlearnt_: pd.DataFrame = field(default_factory=_EMPTY["unlearnt"])
    samples_: pd.DataFrame = field(default_factory=_EMPTY["samples"])
    estimators_: dict[str, dict[str, Any]] = field(default_factory=dict)
    protocol_: dict[str, Any] = field(default_factory=dict)
    images_: object = None

    def split_names(self) -> tuple[list[str], list[str]]:
        """The names of the estimators, and of the baselines that they should beat.

        Returns
        -------
        rivals, baselines : list of str
        """
        names = self.scores_["estimator"].unique().tolist()
        baselines = [
            name
            for name in names
            if self.estimators_.get(name, {}).get("baseline", name in BASELINES)
        ]
        return [name for name in names if name not in baselines], baselines

    def table(self, alpha: float = 0.05) -> pd.DataFrame:
        """Every metric with its spread and interval, and conclusions, the best estimator first.

        Parameters
        ----------
        alpha : float, default=0.05
            Level of the tests; the intervals have ``1 - alpha``.

        Returns
        -------
        DataFrame
            Indexed by estimator. For each metric ``<metric>``, the mean over the folds;
            ``<metric>_std`` (with n - 1 in the denominator; NaN for a single fold); and the ends
            ``<metric>_low`` and ``<metric>_high`` of the interval over patients (see
            :meth:`intervals`). A fold where a metric is NaN is left out of it. Then ``trainable``,
            ``epochs``, ``trials`` and ``fit_seconds`` of :meth:`budgets`, and ``conclusion``, which
            says in words which differences are real, by :meth:`test` of the metric that the table
            is sorted by: balanced_accuracy, or the first where that was not computed.
        """
        by_metric = self.scores_.groupby(["metric", "estimator"], sort=False)["value"]
        spread, columns = by_metric.std(), {}
        ends = self.intervals(confidence_level=1 - alpha).set_index(["metric", "estimator"])
        for metric in self.scores_["metric"].unique():
            columns[metric] = by_metric.mean()[metric]
            columns[f"{metric}_std"] = spread[metric]
            for end in ("low", "high"):
                columns[f"{metric}_{end}"] = ends.loc[metric, end]
        table = pd.DataFrame(columns).rename_axis("estimator")
        main = choose_metric(self.scores_)
        table = table.sort_values(main, ascending=main in LOWER_IS_BETTER, kind="stable")
        table = table.join(self.budgets()[["trainable", "epochs", "trials", "fit_seconds"]])
        return table.assign(conclusion=pd.Series(conclude(self, main, alpha)))

    def summary(self, alpha: float = 0.05) -> dict[str, list[str]]:
        """Answers to the three questions of most readers, in sentences.

        Parameters
        ----------
        alpha : float, default=0.05
            Level of the tests; intervals have ``1 - alpha``.

        Returns
        -------
        dict of str to list of str
            ``"best"``: which estimators are best, and which differences are real;
            ``"shortcuts"``: whether any beats the best shortcut, as mean colour alone, in ROC AUC
            and in the main metric (empty without such baselines); ``"patients"``: the numbers of
            patients and cells of each class.
        """
        return summarise(self, alpha)

    def differences(self, metric: str | None = None, alpha: float = 0.05) -> list[str]:
        """Say which differences are real: among the estimators, and against the baselines.

        Parameters
        ----------
        metric : str, optional
            By default balanced_accuracy, or the first where that was not computed.
        alpha : float, default=0.05

        Returns
        -------
        list of str
            Sentences.
        """
        return describe_differences(self, metric, alpha)

    def intervals(
        self, metrics: str | Iterable[str] | None = None, method: str | None = None, **options: Any
    ) -> pd.DataFrame:
        """Metrics with their intervals.

        Parameters
        ----------
        metrics : str or iterable of str, optional
            All that were computed by default.
        method : {"patient_t", "corrected_t", "bootstrap", "exact", "wilson"}, optional
            Over patients, the default; over folds, and the default where an estimator gives no
            probabilities; over patients as they were tested; of proportions.
        **options
            As :func:`skall.statistics.intervals.tabulate_intervals`.

        Returns
        -------
        DataFrame
            Columns ``estimator, metric, value, low, high``.
        """
        return tabulate_intervals(
            self.scores_, self.predictions_, metrics, method=method, **self._known | options
        )

    def budgets(self) -> pd.DataFrame:
        """The size, training and cost of each estimator.

        Returns
        -------
        DataFrame
            Indexed by estimator, columns ``trainable, non_trainable, macs, image_size, epochs,
            trials, fit_seconds, shared_seconds, predict_ms, peak_memory``; see
            :func:`skall.comparison.costs.tabulate_budgets`.
        """
        return tabulate_budgets(self)

    def flags(self) -> list[str]:
        """Everything that limits the comparison.

        Returns
        -------
        list of str
            Sentences: on the samples and folds, estimators that failed or have not learnt a class,
            metrics without a value, and unequal budgets (sizes, epochs, trials).
        """
        return [*self.protocol_.get("notes", []), *list_flags(self)]

    def test(
        self,
        metric: str | None = None,
        method: str | None = None,
        *,
        names: Iterable[str] | None = None,
        references: Iterable[str] | None = None,
        rope: float | None = None,
        alpha: float = 0.05,
    ) -> pd.DataFrame:
        """Tests between each two of the estimators.

        Parameters
        ----------
        metric : str, optional
            Of those that were computed; by default the one that suits the method.
        method : str, optional
            One of :data:`skall.statistics.METHODS`. The default is ``"patient_t"``,
            :func:`skall.statistics.patient_t_test`, which simulations have chosen; or
            ``"corrected_t"``, over folds, where an estimator gives no probabilities.
        names : iterable of str, optional
            The estimators to test; by default all but baselines. Each more makes the others less
            powerful.
        references : iterable of str, optional
            Some of them: test only pairs of one of these and one of the others.
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
        names = self.split_names()[0] if names is None else list(names)
        unknown = [name for name in names if name not in known]
        if unknown or len(names) < 2:
            found = f"there is no estimator {unknown[0]!r}" if unknown else f"got {names}"
            raise ValueError(f"tests need two estimators or more: {found}; there are {known}")
        return test_estimators(
            self.scores_[self.scores_["estimator"].isin(names)],
            self.predictions_[self.predictions_["estimator"].isin(names)],
            metric=metric,
            method=method,
            references=references,
            rope=rope,
            alpha=alpha,
            **self._known,
        )

    @cached_property
    def _known(self):
        """Further arguments of tests and intervals, computed once."""
        known = {"pos_label": self.pos_label_, "test_ratio": average_test_ratio(self.folds_)}
        return known | {"held_out": HeldOut(self.scores_, self.predictions_, **known)}

    def report(self, path: str | os.PathLike) -> Path:
        """Write a page with every table and figure, and the tables beside it.

        The page needs no network and no other file. ``table.csv``, ``table.tex``,
        ``predictions.csv`` and ``model_card.md`` are written into the same folder.

        Parameters
        ----------
        path : path-like
            As ``"report.html"``.

        Returns
        -------
        pathlib.Path
            Of the page.

        Raises
        ------
        ValueError
            If the path does not end in ``.html``.
        """
        return write_report(self, path)

    def write(self, folder: str | os.PathLike) -> None:
        """Write everything: tables, ``accuracy.png`` and ``report.html``.

        :meth:`read` reads it again. Numbers are written as the shortest text that reads back as
        the same float64. Without the accuracy among the metrics there is no figure of it; where
        parameters were chosen there is ``best_params.csv``.

        Parameters
        ----------
        folder : path-like
        """
        write_tables(self, folder)
        self.report(Path(folder) / "report.html")

    def digest(self) -> str:
        """A text that changes with anything that is written to files.

        Returns
        -------
        str
        """
        return hash_contents(self)

    @classmethod
    def read(cls, folder: str | os.PathLike) -> Self:
        """Read what :meth:`write`, or :func:`compare` with ``out=``, has written to a folder.

        Parameters
        ----------
        folder : path-like

        Returns
        -------
        Comparison

        Raises
        ------
        FileNotFoundError, ValueError
            If there is no finished comparison, or a file is damaged.
        """
        return cls(**read_tables(folder))

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """The metrics and conclusions of :meth:`table` and the values of the folds, for JSON.

        Returns
        -------
        dict
            ``{estimator: {metric: {"mean": float, "std": float, "low": float, "high": float,
            "folds": [float, ...]}, ..., "conclusion": str}}`` in the order of :meth:`table`; None
            stands for NaN.
        """
        return convert_to_dict(self)

    def __repr__(self):
        table, metrics = self.table(), self.scores_["metric"].unique()
        cells = {
            name: [write_spread(row[metric], row[f"{metric}_std"]) for metric in metrics]
            for name, row in table.iterrows()
        }
        frame = pd.DataFrame(cells, index=[describe_metric(metric) for metric in metrics]).T
        text = frame.to_string(line_width=get_terminal_size((100, 24)).columns)
        answers = [sentence for part in self.summary().values() for sentence in part]
        return "\n".join([*answers, *self.flags(), "", text])
