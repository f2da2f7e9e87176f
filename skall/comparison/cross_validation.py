"""The public function: it plans a comparison, runs it, stores it and returns what was found."""

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from skall.comparison.plan import make_plan
from skall.comparison.record import Record
from skall.comparison.results import Comparison
from skall.comparison.tracking import make_tracker
from skall.comparison.workers import check_backend, run_jobs


def compare(
    estimators: Sequence[str] | Mapping[str, Any],
    X: Any,
    y: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    cv: Any = 10,
    repeats: int = 1,
    allow_missing_classes: bool = False,
    scoring: str | Iterable[str] | None = None,
    pos_label: object = None,
    n_jobs: int | None = None,
    out: str | os.PathLike | None = None,
    keep_weights: bool = False,
    baselines: bool = True,
    depth: int | None = None,
    tracking: Literal["mlflow"] | None = None,
    tune: Mapping[str, Any] | None = None,
    strategy: Literal["grid", "halving", "optuna"] = "grid",
    trials: int | None = None,
    random_state: int | np.random.RandomState | None = None,
    error_score: float | Literal["raise"] = np.nan,
    verbose: int = 1,
    **params: Any,
) -> Comparison:
    """Cross-validate several estimators over the same folds.

    Parameters
    ----------
    estimators : list of str or dict of str to classifier
        Names of backbones, each of which becomes ``get_estimator(name, random_state=seed,
        **params)``; or any scikit-learn classifiers by the names that they should have, which keep
        their own ``random_state``. None of them is changed.
    X : array-like or list of length n_samples
        Images, as every estimator of skall takes them, or whatever the estimators take.
    y : array-like of shape (n_samples,)
        Labels, two classes or more.
    groups : array-like of shape (n_samples,), optional
        Patients. No group is on both sides of a split; they are also passed to every ``fit`` that
        takes ``groups``, as :class:`~skall.CNNClassifier`'s does for its inner split, except to
        the members of a :class:`~sklearn.ensemble.StackingClassifier`, which passes none on.
    cv : int, splitter or iterable of (train, test), default=10
        An integer means :class:`~sklearn.model_selection.StratifiedKFold` or, with groups,
        :class:`~sklearn.model_selection.StratifiedGroupKFold`, shuffled from `random_state`. Where
        the latter leaves a part without a class though other folds of whole groups would not, those
        are used, see :func:`skall.model_selection.splitting.make_split`, and a warning
        says so.
    repeats : int, default=1
        How often cross-validation with an integer `cv` is repeated. The first repeat has
        `random_state` as its seed, repeat r ``numpy.random.SeedSequence([random_state,
        r]).generate_state(1)[0]``; folds and backbones take the seed of their repeat. Where the
        folds are made from another seed, backbones keep that of the repeat.
    allow_missing_classes : bool, default=False
        Continue where a test part lacks a class, so that metrics which need the class cannot be
        computed there, or where a training part does, so that it is not learnt there; two classes
        must be left. Otherwise that is an error, which names the largest `cv` without it.
    scoring : iterable of str, optional
        Names of :data:`skall.metrics.METRICS`, all by default, and
        ``"sensitivity_at_95_specificity"`` with any percentage.
    pos_label : label, optional
        The positive class of two, see :func:`skall.metrics.resolve_pos_label`.
    n_jobs : int, optional
        Worker processes, as in joblib. The scores are the same to the last bit, because every
        worker computes with as many threads as this process does. Folds in threads of one process
        would change each other's: joblib's backend ``"threading"``, and workers of Dask with
        several threads, are an error.
    out : path-like, optional
        Folder for ``report.html``, ``scores.csv``, ``predictions.csv``, ``table.csv``,
        ``accuracy.png`` and the other files of :meth:`Comparison.write`. Every finished fold is
        stored there at once, and the same call resumes where it was stopped; a call with further
        or fewer estimators keeps the finished folds of all. Meanwhile no other process can use the
        folder. :meth:`Comparison.read` reads it again.

        The estimators of skall whose ``memory`` is ``"auto"`` keep decoded images and the features
        of frozen trunks in the folder ``cache`` there, 20 GB at most, so that all folds, workers
        and resumed calls compute them once. The scores are the same. It stays until ``skall cache
        OUT/cache --clear``; with ``memory=None`` there is none.
    keep_weights : bool, default=False
        Keep the network of every fold in `out`, which :func:`skall.load` reads:
        ``folds/<estimator>/<repeat>-<fold>``. Of pipelines and searches the network that they end
        in; other classifiers have no weights to keep.
    baselines : bool, default=True
        Add ``dummy``, which predicts the frequencies of the training labels. Where X are images
        (not flattened), also add logistic regressions of shortcuts that a network may use instead
        of the cell: ``mean colour``, ``image size``, ``border only`` and ``foreground area``, see
        :class:`skall.features.shortcuts.ShortcutFeatures`.
    depth : int, optional
        Bits of a sample that are used, where files have more than 8, as 12; see
        :class:`~skall.CNNClassifier`. It applies to every estimator of skall, here and within
        pipelines, that has none of its own. By default their own, where all have the same.
    tracking : {None, "mlflow"}, default=None
        ``"mlflow"`` logs a run of MLflow, with a child run for each estimator and fold, to where
        MLflow's own settings say; needs ``skall[tracking]``.
    tune : dict of str to list, optional
        Values of parameters, for a list of backbones only: in every fold each network becomes a
        search over them (:func:`skall.search.make_search`, which explains the next two) that sees
        the training part alone, splits it into three (two where a class is too rare), patient by
        patient where there are groups, and maximises the balanced accuracy. So the reported test
        parts never choose parameters, but a network is trained three times for each combination,
        and once more.
    strategy : {"grid", "halving", "optuna"}, default="grid"
        How `tune` is searched.
    trials : int, optional
        How many combinations are tried, for ``"halving"`` and ``"optuna"``.
    random_state : int, RandomState or None, default=None
        Seed of folds and backbones. None draws one, or takes the one that is stored in `out`.
    error_score : {numpy.nan, "raise"}, default=numpy.nan
        What to do where an estimator raises in a fold, as in scikit-learn: NaN for every metric of
        that fold, whose error is a row of ``failures_``, and continue; or raise. A call that
        resumes in `out` tries such folds again.
    verbose : int, default=1
        0 hides the progress bars of folds, estimators and, in this process, epochs.
    **params
        Parameters of :class:`~skall.CNNClassifier`, for a list of backbones only.

    Returns
    -------
    Comparison
        Scores, held-out predictions, tests, figures and the report.

    Raises
    ------
    ValueError
        For a backbone, metric, label or fold that is not possible, where a part lacks a class, for
        an image that cannot be read, and where `out` holds another comparison (other samples,
        folds, metrics, parameters of an estimator, versions of packages, device or precision; the
        message says which), or another process uses it. Nothing has been trained then.
    TypeError
        For estimators that are no classifiers, and parameters that nothing takes.
    RuntimeError
        If every estimator failed in every fold.

    Warns
    -----
    UserWarning
        Before anything is trained, where parts lack a class, folds are made from another seed,
        `cv` has a group on both sides of a split, the names of the files tell patients but there
        are no groups, or exact copies of an image are of different patients, on both sides of
        a split or with different labels. At the end where an estimator failed in a fold or the
        networks had unequal budgets. All are in :meth:`Comparison.flags`.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skall import compare
    >>> X, y = make_classification(random_state=0)
    >>> models = {"logistic": LogisticRegression()}
    >>> comparison = compare(models, X, y, cv=3, random_state=0, verbose=0)
    >>> comparison.table()["balanced_accuracy"].round(1).to_dict()
    {'logistic': 0.8, 'dummy': 0.5}
    """
    return run_comparison(**locals())


def run_comparison(
    *,
    n_jobs=None,
    out=None,
    keep_weights=False,
    tracking=None,
    error_score=np.nan,
    verbose=1,
    finish=None,
    **planned,
):
    """Do what :func:`compare` does, with a last change before the comparison is written.

    Parameters
    ----------
    n_jobs, out, keep_weights, tracking, error_score, verbose, **planned
        As in :func:`compare`, with ``params`` as a dict.
    finish : callable, optional
        Takes the comparison and returns the one that is written and returned.

    Returns
    -------
    Comparison
    """
    _check_error_score(error_score)
    tracker = make_tracker(tracking)
    if keep_weights and out is None:
        raise ValueError("keep_weights=True needs a folder to keep them in: give `out`")
    check_backend(n_jobs)
    record = None if out is None else Record(out, keep_weights)
    plan = make_plan(**planned, earlier=(record and record.earlier) or {})
    if keep_weights:
        plan.check_savable()
    for note in plan.notes:
        warnings.warn(note, stacklevel=3)
    with ExitStack() as stack:
        if record:
            stack.enter_context(record.lock())
            record.begin(plan.fingerprint, plan.about)
        if tracker:
            stack.enter_context(tracker)
            tracker.begin(plan.fingerprint)
        results = run_jobs(
            plan,
            record=record,
            tracker=tracker,
            n_jobs=n_jobs,
            error_score=error_score,
            verbose=verbose,
        )
        comparison = plan.assemble(results)
        _check_some_succeeded(comparison.failures_, len(plan.jobs))
        comparison = finish(comparison) if finish else comparison
        if record:
            record.write_outputs(comparison)
        if tracker:
            tracker.end(comparison, record and record.folder)
    for flag in comparison.flags():
        if flag not in plan.notes:
            warnings.warn(flag, stacklevel=3)
    return comparison


def _check_error_score(error_score):
    """Raise where it is neither ``"raise"`` nor NaN."""
    is_nan = isinstance(error_score, float) and np.isnan(error_score)
    if not is_nan and error_score != "raise":
        raise ValueError(
            f"error_score must be 'raise' or numpy.nan, got {error_score!r}: any other number "
            "would count as a measurement"
        )


def _check_some_succeeded(failures, n_jobs):
    """Raise where every estimator failed in every fold."""
    if len(failures) < n_jobs:
        return
    first = failures.iloc[0]
    raise RuntimeError(
        f"all the {n_jobs} fits failed, so that there is nothing to compare. The first, "
        f"{first['estimator']!r} in repeat {first['repeat']}, fold {first['fold']}: "
        f"{first['error']}. error_score='raise' stops there, with the traceback"
    )
