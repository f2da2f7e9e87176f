"""Cross-validation of several estimators over the same folds."""

from contextlib import nullcontext
from numbers import Integral

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, column_or_1d
from tqdm import tqdm

from skall.comparison.candidates import make_baselines, make_candidates
from skall.comparison.evaluation import evaluate_fold
from skall.comparison.folds import make_folds
from skall.comparison.record import Record, describe_call
from skall.comparison.results import (
    Comparison,
    count_trials,
    tabulate_choices,
    tabulate_histories,
    tabulate_predictions,
    tabulate_scores,
)
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
    baselines=True,
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
        Folder for ``scores.csv``, ``predictions.csv``, ``table.csv`` and ``accuracy.png``. Every
        finished fold is written there at once, and the same call goes on where it was stopped.
        Meanwhile no other process can take the folder.
    baselines : bool, default=True
        Add ``dummy``, which predicts the frequencies of the training labels. Where X are images
        (not flattened), also add logistic regressions of what a network may go by instead of the
        cell: ``mean colour``, ``image size``, ``border only`` and ``foreground area``, see
        :class:`skall.shortcuts.ShortcutFeatures`.
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
        0 hides the progress bar.
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
        If a test part lacks a class, or `cv` has a group on both sides of a split.

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
    y, groups, classes = _check_samples(X, y, groups)
    pos_label = resolve_pos_label(classes, pos_label)
    scoring = check_scoring_names(scoring)
    record = None if out is None else Record(out)
    remembered = (record and record.earlier) or {}
    seed = _pick_seed(random_state, remembered)
    n_threads = remembered.get("threads", torch.get_num_threads())
    images = find_images(X)
    candidates, by_name = make_candidates(
        estimators, make_baselines(shortcuts=images is not None) if baselines else None, params
    )
    folds = make_folds(y, groups, cv=cv, repeats=repeats, seed=seed)
    search = plan_search(
        tune, strategy, trials, by_name=by_name, grouped=groups is not None, pos_label=pos_label
    )
    if search:
        check_search(search, candidates, folds, y, groups)
    settings = {"seed": seed, "threads": n_threads, "scoring": list(scoring)}
    settings |= {"positive class": str(pos_label), **describe_search(search)}

    jobs = [(name, fold) for fold in folds for name in candidates]
    shared = {
        **{"X": X, "y": y, "groups": groups, "classes": classes, "pos_label": pos_label},
        **{"scoring": scoring, "n_threads": n_threads},
    }
    with record.hold() if record else nullcontext():
        if record:
            record.begin(describe_call(candidates, X, y, groups, folds, images, **settings))
        results = [record and record.read(*job) for job in jobs]
        tasks = [
            delayed(_run)(
                number,
                name,
                *(candidates[name], _pick_own_seed(candidates[name], fold, by_name), search),
                **{"fold": fold, "record": record, **shared},
            )
            for number, (name, fold) in enumerate(jobs)
            if results[number] is None
        ]
        for number, result in _run_all(tasks, n_jobs, verbose, n_finished=len(jobs) - len(tasks)):
            results[number] = result

        rows = [(*job, result) for job, result in zip(jobs, results, strict=True)]
        rows.sort(key=lambda row: list(candidates).index(row[0]))
        comparison = Comparison(
            tabulate_scores(rows),
            tabulate_predictions(rows, y, groups, classes),
            pos_label,
            tabulate_choices(rows),
            count_trials(rows),
            history_=tabulate_histories(rows),
        )
        if record:
            comparison.write(record.folder)
    return comparison


def _run_all(tasks, n_jobs, verbose, n_finished):
    """Numbers and results of the tasks as they come in, with a progress bar."""
    finished = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(tasks)
    total = n_finished + len(tasks)
    with tqdm(total=total, initial=n_finished, desc="folds", disable=not verbose) as progress:
        for number, name, result in finished:
            progress.set_postfix_str(name, refresh=False)
            progress.update()
            yield number, result


def _run(number, name, candidate, seed, search, *, fold, record, **options):
    # Copied here, so that a fitted copy lives no longer than its fold.
    result = evaluate_fold(name, prepare(candidate, seed, search), fold=fold, **options)
    if record:
        record.write(name, fold, result)
    return number, name, result


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
