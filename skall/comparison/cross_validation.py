"""Cross-validation of several estimators over the same folds."""

import os
import warnings
from contextlib import ExitStack

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs

from skall.comparison.estimators import get_final_estimator, list_networks, shared_cache
from skall.comparison.evaluation import evaluate_fold
from skall.comparison.failures import check_error_score, check_some_succeeded, make_failure
from skall.comparison.plan import make_plan
from skall.comparison.progress import Progress, watch
from skall.comparison.record import Record
from skall.comparison.tracking import make_tracker
from skall.comparison.tuning import prepare
from skall.comparison.workers import alone_in_process, check_backend
from skall.environment.allocator import tune_allocator
from skall.images.depth import DepthWarning


def compare(
    estimators,
    X,
    y,
    *,
    groups=None,
    cv=10,
    repeats=1,
    allow_missing_classes=False,
    scoring=None,
    pos_label=None,
    n_jobs=None,
    out=None,
    keep_weights=False,
    baselines=True,
    depth=None,
    tracking=None,
    tune=None,
    strategy="grid",
    trials=None,
    random_state=None,
    error_score=np.nan,
    verbose=1,
    **params,
):
    """Cross-validate several estimators over the same folds.

    Parameters
    ----------
    estimators : list of str or dict of str to classifier
        Names of backbones, each of which becomes ``get_estimator(name, random_state=seed,
        **params)``; or any scikit-learn classifiers by the name they are to have, which keep
        their own ``random_state``. None of them is changed.
    X : array-like or list of length n_samples
        Images, as every estimator of skall takes them, or whatever the estimators take.
    y : array-like of shape (n_samples,)
        Labels, two classes or more.
    groups : array-like of shape (n_samples,), optional
        Patients. No group is on both sides of a split; they are also passed to every ``fit`` that
        takes ``groups``, as :class:`~skall.CNNClassifier`'s does for its inner split, but for the
        members of a :class:`~sklearn.ensemble.StackingClassifier`, which passes none on.
    cv : int, splitter or iterable of (train, test), default=10
        An integer means :class:`~sklearn.model_selection.StratifiedKFold` or, with groups,
        :class:`~sklearn.model_selection.StratifiedGroupKFold`, shuffled from `random_state`. Where
        the latter leaves a part without a class though other folds would not, other folds are
        made, see :func:`skall.model_selection.splitting.make_split`, and a note says how.
    repeats : int, default=1
        How often an integer `cv` deals the samples anew. The first repeat has `random_state` as
        its seed, repeat r ``numpy.random.SeedSequence([random_state, r]).generate_state(1)[0]``;
        folds and backbones take the seed of their repeat. Where another seed deals the folds,
        backbones keep that of the repeat.
    allow_missing_classes : bool, default=False
        Go on where a test part lacks a class, so that what needs the class cannot be measured
        there, or where a training part does, so that it is not learnt there; two classes must be
        left. Otherwise that is an error, which names the largest `cv` without it.
    scoring : iterable of str, optional
        Names of :data:`skall.metrics.METRICS`, all by default, and
        ``"sensitivity_at_95_specificity"`` with any percentage.
    pos_label : label, optional
        The positive class of two, see :func:`skall.metrics.resolve_pos_label`.
    n_jobs : int, optional
        Worker processes, as in joblib. The scores are the same to the last bit, because every
        worker computes with as many threads as this process does. Folds in threads of one process
        would change each other's: joblib's backend ``"threading"``, and workers of Dask with more
        threads than one, are an error.
    out : path-like, optional
        Folder for ``report.html``, ``scores.csv``, ``predictions.csv``, ``table.csv``,
        ``accuracy.png`` and what else :meth:`Comparison.write` writes. Every finished fold is
        written there at once, and the same call goes on where it was stopped; one with other
        estimators beside keeps what is finished of those before, also of what it does not ask for.
        Meanwhile no other process can take the folder. :meth:`Comparison.read` reads it again.

        The estimators of skall whose ``memory`` is ``"auto"`` keep what they decode and what
        frozen trunks compute in the folder ``cache`` there, 20 GB at most, so that all folds and
        workers, and the call that goes on, compute it once. The scores are the same. It stays
        until ``skall cache OUT/cache --clear``; with ``memory=None`` there is none.
    keep_weights : bool, default=False
        Keep the network of every fold in `out`, which :func:`skall.load` reads:
        ``folds/<estimator>/<repeat>-<fold>``. Of pipelines and searches the network that they end
        in; other classifiers have no weights to keep.
    baselines : bool, default=True
        Add ``dummy``, which predicts the frequencies of the training labels. Where X are images
        (not flattened), also add logistic regressions of what a network may go by instead of the
        cell: ``mean colour``, ``image size``, ``border only`` and ``foreground area``, see
        :class:`skall.features.shortcuts.ShortcutFeatures`.
    depth : int, optional
        Bits of a sample that are used, where files have more than 8, as 12; see
        :class:`~skall.CNNClassifier`. It is that of every estimator of skall, here and within
        pipelines, that has none of its own. By default their own, where all have the same.
    tracking : {None, "mlflow"}, default=None
        ``"mlflow"`` logs a run of MLflow, with a child run for each estimator and fold, to where
        MLflow's own settings say; needs ``skall[tracking]``.
    tune : dict of str to list, optional
        Values of parameters, for a list of backbones only: in every fold each network becomes a
        search over them (:func:`skall.search.make_search`, which says what the next two mean) that
        sees the training part alone, splits it into three (two where a class is too rare), patient
        by patient where there are groups, and maximises the balanced accuracy. So the reported
        folds are never those that chose, but a network is trained three times for each combination,
        and once more.
    strategy : {"grid", "halving", "optuna"}, default="grid"
        How `tune` is searched.
    trials : int, optional
        How many combinations are tried, for ``"halving"`` and ``"optuna"``.
    random_state : int, RandomState or None, default=None
        Seed of folds and backbones. None draws one, or takes the one that `out` remembers.
    error_score : {numpy.nan, "raise"}, default=numpy.nan
        What to do where an estimator raises in a fold, as in scikit-learn: NaN for every metric of
        that fold, whose error is a row of ``failures_``, and go on; or raise. A call that goes on
        in `out` tries such folds again.
    verbose : int, default=1
        0 hides the progress bars of folds, estimators and, in this process, epochs.
    **params
        Parameters of :class:`~skall.CNNClassifier`, for a list of backbones only.

    Returns
    -------
    Comparison

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
        are no groups, or exact copies of an image stand under different patients, on both sides of
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
    **asked,
):
    """What :func:`compare` does, and a last change of the comparison before it is written.

    Parameters
    ----------
    n_jobs, out, keep_weights, tracking, error_score, verbose, **asked
        As in :func:`compare`, with ``params`` as a dict.
    finish : callable, optional
        Takes the comparison and returns the one that is written and returned.

    Returns
    -------
    Comparison
    """
    check_error_score(error_score)
    tracker = make_tracker(tracking)
    if keep_weights and out is None:
        raise ValueError("keep_weights=True needs a folder to keep them in: give `out`")
    if n_jobs == 0:
        raise ValueError("n_jobs=0: give a number of worker processes, or -1 for one a core")
    check_backend(n_jobs)
    record = None if out is None else Record(out, keep_weights)
    plan = make_plan(**asked, remembered=(record and record.earlier) or {})
    if keep_weights:
        plan.check_savable()
    for note in plan.notes:
        warnings.warn(note, stacklevel=3)
    with ExitStack() as stack:
        if record:
            stack.enter_context(record.lock())
            record.begin(plan.call, plan.about)
        if tracker:
            stack.enter_context(tracker)
            tracker.begin(plan.call)
        results = _run_jobs(plan, record, tracker, n_jobs, error_score, verbose)
        comparison = plan.assemble(results)
        check_some_succeeded(comparison.failures_, len(plan.jobs))
        comparison = finish(comparison) if finish else comparison
        if record:
            record.write_outputs(comparison)
        if tracker:
            tracker.end(comparison, record and record.folder)
    for flag in comparison.flags():
        if flag not in plan.notes:
            warnings.warn(flag, stacklevel=3)
    return comparison


def _run_jobs(plan, record, tracker, n_jobs, error_score, verbose):
    """The results of all jobs: those on record, and of the others as they come in."""
    jobs = plan.jobs
    results = [record and record.read(*job, plan.has_network(job[0])) for job in jobs]
    done = [number for number, result in enumerate(results) if result is not None]
    if len(done) < len(jobs):
        plan.check_pixels(memory=record.cache if record else "auto")
    if tracker:
        for number in done:
            tracker.log_fold(*jobs[number], results[number])
    with Progress(jobs, [jobs[number] for number in done], verbose) as progress:
        # The epochs of other processes are not seen here.
        watcher = progress.watcher if effective_n_jobs(n_jobs) == 1 else None
        tasks = [
            delayed(_run)(
                number,
                name,
                fold=fold,
                record=record,
                caller=os.getpid(),
                error_score=error_score,
                candidate=plan.candidates[name],
                seed=plan.pick_seed(name, fold),
                search=plan.search,
                watcher=watcher,
                **plan.shared,
            )
            for number, (name, fold) in enumerate(jobs)
            if results[number] is None
        ]
        for number, result in Parallel(n_jobs=n_jobs, return_as="generator_unordered")(tasks):
            results[number] = result
            progress.update(*jobs[number])
            if tracker:
                tracker.log_fold(*jobs[number], result)
    return results


def _run(number, name, **options):
    """The number of a job, and its result."""
    with alone_in_process():
        return number, _work(name, **options)


def _work(name, *, fold, record, caller, error_score, scoring, **options):
    """The result of a job: on record, where the estimator has not failed."""
    if os.getpid() != caller:
        # A worker is not the user's process, whose allocator is left as it is.
        tune_allocator()
    options |= {"fold": fold, "scoring": scoring}
    try:
        with warnings.catch_warnings():
            # Given once, when the images were checked.
            warnings.simplefilter("ignore", DepthWarning)
            result, fitted = _evaluate(cache=record and record.cache, **options)
    except Exception as exc:
        if error_score == "raise":
            exc.add_note(f"raised by the estimator {name!r} in {fold.title}")
            raise
        # Not on record: the next call tries again.
        return make_failure(exc, scoring)
    if record:
        record.write(name, fold, result, fitted)
    return result


def _evaluate(*, candidate, seed, search, watcher, cache, **options):
    """What an estimator gives on a fold, and what was fitted."""
    # Copied here, so that a fitted copy lives no longer than its fold.
    estimator = prepare(candidate, seed, search)
    if watcher:
        for network in list_networks(estimator):
            watch(network, watcher)
    with shared_cache(cache, estimator):
        result = evaluate_fold(estimator, **options)
    return result, get_final_estimator(estimator)
