"""Ensembles of a comparison's estimators, from their stored held-out probabilities."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Self

import numpy as np
import pandas as pd
from scipy.special import logit
from sklearn.linear_model import LogisticRegression

from skall.comparison.evaluation import COLUMNS
from skall.metrics import compute_metrics
from skall.statistics.held_out import list_classes

# Probabilities of 0 and 1 have no log-odds.
SMALLEST = 1e-6


class Ensembles:
    """Methods that add ensembles to a comparison."""

    # Of the comparison.
    scores_: pd.DataFrame
    predictions_: pd.DataFrame
    failures_: pd.DataFrame
    members_: dict[str, tuple[str, ...]]
    split_names: Callable[[], tuple[list[str], list[str]]]

    def vote(self, names: Iterable[str] | None = None, name: str = "vote") -> Self:
        """Add an ensemble that averages the probabilities of its members: soft voting.

        It is computed from the stored probabilities, and equals scikit-learn's
        :class:`~sklearn.ensemble.VotingClassifier` of the same fitted members. Nothing is trained.

        Parameters
        ----------
        names : iterable of str, optional
            The members; by default those of :meth:`list_members`.
        name : str, default="vote"
            The name of the ensemble.

        Returns
        -------
        Comparison
            A new one, with the ensemble's rows added.

        Raises
        ------
        ValueError
            If there are fewer than two members, one has no probabilities, or `name` is taken.
        """
        return self._add_ensemble(name, names, _vote)

    def stack(self, names: Iterable[str] | None = None, name: str = "stack") -> Self:
        """Add an ensemble that learns weights of its members: stacked generalisation [1]_.

        For each fold a logistic regression on the log-odds of the members' probabilities is fitted
        to the held-out predictions of the same repeat's other folds, without those of samples and
        groups that the fold tests. No network is trained.

        This is cheaper than nested stacking, and not quite as strict: the networks that predicted
        the other folds had this fold's samples, with their labels, among their training samples.
        The logistic regression learns a few numbers from them and never sees the fold's own
        predictions, but the score may be slightly too good. With few folds it may also be too
        bad, because networks of different folds differ in how sure they are. A
        :class:`~sklearn.ensemble.StackingClassifier` among the estimators of :func:`compare` gives
        the fully nested answer, but trains each member once more for each of its inner folds.

        Parameters
        ----------
        names, name
            As in :meth:`vote`.

        Returns
        -------
        Comparison
            A new one, with the ensemble's rows added.

        Raises
        ------
        ValueError
            As in :meth:`vote`, and if a fold's other folds do not have every class.

        References
        ----------
        .. [1] Wolpert, "Stacked generalization", Neural Networks 5, 1992,
           doi 10.1016/S0893-6080(05)80023-1.
        """
        return self._add_ensemble(name, names, _stack)

    def list_members(self) -> list[str]:
        """The estimators of an ensemble by default.

        Returns
        -------
        list of str
            All but baselines, ensembles, and estimators that failed in a fold (``failures_``).
        """
        failed = {*self.failures_["estimator"]}
        return [n for n in self.split_names()[0] if n not in {*self.members_, *failed}]

    def _add_ensemble(self, name, names, combine):
        """A comparison with the ensemble that a function makes of the members' predictions."""
        names = self.list_members() if names is None else list(names)
        if name in {*self.predictions_["estimator"]}:
            raise ValueError(f"there is an estimator {name!r} already; give another `name`")
        _check_members(self.predictions_, names)
        predictions = combine(self.predictions_, names).assign(estimator=name)
        scores = score_predictions(predictions, self.scores_["metric"].unique(), self.pos_label_)
        return replace(
            self,
            scores_=pd.concat([self.scores_, scores], ignore_index=True),
            predictions_=pd.concat([self.predictions_, predictions], ignore_index=True),
            members_=self.members_ | {name: tuple(names)},
        )


def score_predictions(predictions, metrics, pos_label):
    """Scores of predictions, as tables of :class:`skall.comparison.Comparison` hold both."""
    classes, columns = list_classes(predictions)
    rows = []
    for key, part in predictions.groupby(["estimator", "repeat", "fold"], sort=False):
        proba = part[columns].to_numpy()
        labels = classes[proba.argmax(axis=1)]
        values = compute_metrics(
            part["y_true"].to_numpy(), labels, proba, classes, pos_label, scoring=metrics
        )
        rows += [(*key, metric, value) for metric, value in values.items()]
    return pd.DataFrame(rows, columns=COLUMNS["scores"])


def _check_members(predictions, names):
    """Raise where estimators cannot form an ensemble."""
    known = predictions["estimator"].unique().tolist()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"there is no estimator {unknown[0]!r}; there are {known}")
    if len(names) < 2 or len(set(names)) < len(names):
        raise ValueError(f"an ensemble needs two members or more, each once; got {names}")
    probabilities = predictions[list_classes(predictions)[1]]
    missing = predictions["estimator"][probabilities.isna().any(axis=1)].unique()
    without = [name for name in names if name in missing]
    if without:
        raise ValueError(
            f"{', '.join(map(repr, without))}: no probabilities were stored, because it has no "
            "predict_proba or failed in a fold; leave it out of `names`"
        )


def _align(predictions, names):
    """Rows of the first member, and all members' probabilities (n_members, n_rows, n_classes)."""
    keys = ["repeat", "fold", "sample"]
    columns = list_classes(predictions)[1]
    parts = [predictions[predictions["estimator"] == name] for name in names]
    rows = parts[0].reset_index(drop=True)
    order = pd.MultiIndex.from_frame(rows[keys])
    aligned = [part.set_index(keys)[columns].loc[order].to_numpy() for part in parts]
    return rows, np.stack(aligned)


def _vote(predictions, names):
    """Rows of the first member, with the mean of all members' probabilities."""
    rows, probabilities = _align(predictions, names)
    rows[list_classes(rows)[1]] = probabilities.mean(axis=0)
    return rows


def _stack(predictions, names):
    """Rows of the first member, with probabilities of a regression fitted without the fold."""
    rows, probabilities = _align(predictions, names)
    columns = list_classes(rows)[1]
    # Those of the first class follow from the others.
    odds = logit(probabilities.clip(SMALLEST, 1 - SMALLEST)[:, :, 1:])
    features = np.concatenate(odds, axis=1)
    labels = rows["y_true"].to_numpy()
    for (repeat, fold), part in rows.groupby(["repeat", "fold"]):
        tested = rows.index.isin(part.index)
        others = (rows["repeat"] == repeat) & ~rows["sample"].isin(part["sample"])
        if part["group"].notna().any():
            others &= ~rows["group"].isin(part["group"])
        missing = np.setdiff1d(labels, labels[others]).tolist()
        if missing:
            raise ValueError(
                f"the folds beside repeat {repeat}, fold {fold} have no sample of the class "
                f"{missing[0]!r} to learn from: stacking needs several folds with every class"
            )
        model = LogisticRegression(max_iter=1000).fit(features[others], labels[others])
        rows.loc[tested, columns] = model.predict_proba(features[tested])
    return rows
