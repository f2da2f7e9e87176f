"""Cross-validation of several estimators over the same folds."""

import warnings
from contextlib import ExitStack
from numbers import Integral

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, column_or_1d

from skall.classifier import CNNClassifier
from skall.classifier.persistence import check_savable
from skall.comparison.candidates import make_baselines, make_candidates
from skall.comparison.description import (
    describe_cv,
    describe_estimators,
    describe_protocol,
    find_networks,
)
from skall.comparison.evaluation import evaluate_fold, find_last
from skall.comparison.folds import make_folds, warn_of_unused_patients
from skall.comparison.progress import Progress, watch
from skall.comparison.record import Record, describe_call
from skall.comparison.results import Comparison
from skall.comparison.tabulation import (
    count_trials,
    tabulate_choices,
    tabulate_histories,
    tabulate_predictions,
    tabulate_resources,
    tabulate_samples,
    tabulate_scores,
)
from skall.comparison.tracking import make_tracker
from skall.comparison.tuning import check_search, describe_search, plan_search, prepare
from skall.metrics import check_scoring_names, resolve_pos_label
from skall.randomness import draw_seed
from skall.shortcuts import find_images


def compare(
    estimators,
    X,
    y,
    *,
    groups=None,
    cv=10,
    repeats=1,
    scoring=None,
    pos_label=None,
    n_jobs=None,
    out=None,
    keep_weights=False,
    baselines=True,
    tracking=None,
    tune=None,
    strategy="grid",
    trials=None,
    random_state=None,
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
        :class:`~sklearn.model_selection.StratifiedGroupKFold`, shuffled from `random_state`.
    repeats : int, default=1
        How often an integer `cv` deals the samples anew. The first repeat has `random_state` as
        its seed, repeat r ``numpy.random.SeedSequence([random_state, r]).generate_state(1)[0]``;
        folds and backbones take the seed of their repeat.
    scoring : iterable of str, optional
        Names of :data:`skall.metrics.METRICS`, all by default.
    pos_label : label, optional
        The positive class of two, see :func:`skall.metrics.resolve_pos_label`.
    n_jobs : int, optional
        Worker processes, as in joblib. The scores are the same to the last bit, because every
        worker computes with as many threads as this process does.
    out : path-like, optional
        Folder for ``report.html``, ``scores.csv``, ``predictions.csv``, ``table.csv``,
        ``accuracy.png`` and what else :meth:`Comparison.write` writes. Every finished fold is
        written there at once, and the same call goes on where it was stopped. Meanwhile no other
        process can take the folder. :meth:`Comparison.read` reads it again.
    keep_weights : bool, default=False
        Keep the network of every fold in `out`, which :func:`skall.load` reads:
        ``folds/<estimator>/<repeat>-<fold>``. Of pipelines and searches the network that they end
        in; other classifiers have no weights to keep.
    baselines : bool, default=True
        Add ``dummy``, which predicts the frequencies of the training labels. Where X are images
        (not flattened), also add logistic regressions of what a network may go by instead of the
        cell: ``mean colour``, ``image size``, ``border only`` and ``foreground area``, see
        :class:`skall.shortcuts.ShortcutFeatures`.
    tracking : {None, "mlflow"}, default=None
        ``"mlflow"`` logs a run of MLflow, with a child run for each estimator and fold, to where
        MLflow's own settings say; needs ``skall[tracking]``.
    tune : dict of str to list, optional
        Values of parameters, for a list of backbones only: in every fold each network becomes a
        search over them (:func:`skall.search.make_search`, which says what the next two mean) that
        sees the training part alone, splits it into three, patient by patient where there are
        groups, and maximises the balanced accuracy. So the reported folds are never those that
        chose, but a network is trained three times for each combination, and once more.
    strategy : {"grid", "halving", "optuna"}, default="grid"
        How `tune` is searched.
    trials : int, optional
        How many combinations are tried, for ``"halving"`` and ``"optuna"``.
    random_state : int, RandomState or None, default=None
        Seed of folds and backbones. None draws one, or takes the one that `out` remembers.
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
        For a backbone, metric, label or fold that is not possible, and where `out` holds another
        comparison, or another process uses it. Nothing has been trained then.
    TypeError
        For estimators that are no classifiers, and parameters that nothing takes.

    Warns
    -----
    UserWarning
        If a test part lacks a class, `cv` has a group on both sides of a split, the names of the
        files tell patients but there are no groups, or the networks had unequal budgets (see
        :meth:`Comparison.flags`).

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
    estimators,
    X,
    y,
    groups,
    cv,
    repeats,
    scoring,
    pos_label,
    n_jobs,
    out,
    keep_weights,
    baselines,
    tracking,
    tune,
    strategy,
    trials,
    random_state,
    verbose,
    params,
    finish=None,
):
    """What :func:`compare` does, and a last change of the comparison before it is written.

    Parameters
    ----------
    estimators ... params
        As in :func:`compare`.
    finish : callable, optional
        Takes the comparison and returns the one that is written and returned.
    """
    y, groups, classes = _check_samples(X, y, groups)
    pos_label = resolve_pos_label(classes, pos_label)
    scoring = check_scoring_names(scoring)
    tracker = make_tracker(tracking)
    if keep_weights and out is None:
        raise ValueError("keep_weights=True needs a folder to keep them in: give `out`")
    record = None if out is None else Record(out, keep_weights)
    remembered = (record and record.earlier) or {}
    seed = _pick_seed(random_state, remembered)
    n_threads = remembered.get("threads", torch.get_num_threads())
    images = find_images(X)
    beaten = make_baselines(shortcuts=images is not None) if baselines else {}
    candidates, by_name = make_candidates(estimators, beaten, params)
    if groups is None:
        warn_of_unused_patients(images)
    folds = make_folds(y, groups, cv=cv, repeats=repeats, seed=seed)
    search = plan_search(
        tune, strategy, trials, by_name=by_name, grouped=groups is not None, pos_label=pos_label
    )
    if search:
        check_search(search, candidates, folds, y, groups)
    settings = {"seed": seed, "threads": n_threads, "scoring": list(scoring)}
    settings |= {"positive class": str(pos_label), **describe_search(search)}
    about = {
        "estimators_": describe_estimators(candidates, beaten, len(classes)),
        "samples_": tabulate_samples(y, groups, images),
        "images_": images,
    }
    with_network = {name for name, c in candidates.items() if _ends_in_network(c)}
    if keep_weights:
        for name in with_network:
            check_savable(find_last(candidates[name]))

    jobs = [(name, fold) for fold in folds for name in candidates]
    shared = {
        **{"X": X, "y": y, "groups": groups, "classes": classes, "pos_label": pos_label},
        **{"scoring": scoring, "n_threads": n_threads},
    }
    with ExitStack() as stack:
        call = describe_call(candidates, X, y, groups, folds, images, **settings)
        if record:
            stack.enter_context(record.hold())
            record.begin(call)
        if tracker:
            stack.enter_context(tracker)
            tracker.begin(call)
        results = [record and record.read(*job, job[0] in with_network) for job in jobs]
        done = [job for job, result in zip(jobs, results, strict=True) if result is not None]
        progress = stack.enter_context(Progress(jobs, done, verbose))
        # The epochs of other processes are not seen here.
        watcher = progress.watcher if effective_n_jobs(n_jobs) == 1 else None
        tasks = [
            delayed(_run)(
                number,
                *(name, candidates[name], _pick_own_seed(candidates[name], fold, by_name), search),
                **{"fold": fold, "record": record, "watcher": watcher, **shared},
            )
            for number, (name, fold) in enumerate(jobs)
            if results[number] is None
        ]
        for job, result in zip(jobs, results, strict=True):
            if tracker and result is not None:
                tracker.log_fold(*job, result)
        for number, result in Parallel(n_jobs=n_jobs, return_as="generator_unordered")(tasks):
            results[number] = result
            progress.update(*jobs[number])
            if tracker:
                tracker.log_fold(*jobs[number], result)

        rows = [(*job, result) for job, result in zip(jobs, results, strict=True)]
        rows.sort(key=lambda row: list(candidates).index(row[0]))
        protocol = {
            **{"cv": describe_cv(cv, groups is not None), "folds": len(folds) // repeats},
            **{"repeats": repeats, **settings, "grouped": groups is not None},
            "tuned": {key: call[key] for key in call if key.startswith(("tune ", "strategy"))},
        }
        comparison = Comparison(
            tabulate_scores(rows),
            tabulate_predictions(rows, y, groups, classes),
            pos_label,
            tabulate_choices(rows),
            count_trials(rows),
            history_=tabulate_histories(rows),
            resources_=tabulate_resources(rows),
            protocol_=describe_protocol(**protocol),
            **about,
        )
        comparison = finish(comparison) if finish else comparison
        if record:
            comparison.write(record.folder)
        if tracker:
            tracker.end(comparison, record and record.folder)
    for flag in comparison.flags():
        warnings.warn(flag, stacklevel=3)
    return comparison


def _run(number, name, candidate, seed, search, *, fold, record, watcher, **options):
    # Copied here, so that a fitted copy lives no longer than its fold.
    estimator = prepare(candidate, seed, search)
    if watcher:
        for network in find_networks(estimator):
            watch(network, watcher)
    result = evaluate_fold(name, estimator, fold=fold, **options)
    if record:
        network = find_last(estimator)
        record.write(name, fold, result, network if _ends_in_network(estimator) else None)
    return number, result


def _ends_in_network(estimator):
    return isinstance(find_last(estimator), CNNClassifier)


def _pick_own_seed(candidate, fold, by_name):
    """The fold's seed for what was given by name; the baselines of shortcuts take none."""
    return fold.seed if by_name and hasattr(candidate, "random_state") else None


def _check_samples(X, y, groups):
    """Labels and groups as arrays, and the classes."""
    y = column_or_1d(y)
    groups = None if groups is None else column_or_1d(groups)
    check_consistent_length(X, y, groups)
    for name, values in {"y": y, "groups": groups}.items():
        missing = [] if values is None else np.flatnonzero(pd.isna(values))
        if len(missing):
            raise ValueError(f"{name} has no value in row {missing[0]}")
    check_classification_targets(y)
    return y, groups, np.unique(y)


def _pick_seed(random_state, remembered):
    if isinstance(random_state, Integral):
        return int(random_state)
    if random_state is None and "seed" in remembered:
        return remembered["seed"]
    return draw_seed(random_state)
