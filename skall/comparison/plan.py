"""What a comparison is going to do: checked before anything is trained."""

from dataclasses import dataclass
from numbers import Integral

import numpy as np
import pandas as pd
import torch
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length

from skall.classifier import CNNClassifier
from skall.classifier.persistence import check_savable
from skall.comparison.data_checks import (
    check_pixels,
    describe_depth,
    describe_leakage,
    measure_images,
    share_depth,
)
from skall.comparison.description import (
    describe_cv,
    describe_estimators,
    describe_protocol,
    find_known_networks,
    make_fingerprint,
)
from skall.comparison.estimators import (
    check_class_weights,
    check_networks,
    check_stacks,
    get_final_estimator,
    make_baselines,
    make_candidates,
)
from skall.comparison.results import Comparison
from skall.comparison.splits import describe_folds, list_leaking_groups, make_folds
from skall.comparison.tabulation import (
    count_trials,
    tabulate_choices,
    tabulate_failures,
    tabulate_histories,
    tabulate_predictions,
    tabulate_resources,
    tabulate_samples,
    tabulate_scores,
    tabulate_sizes,
    tabulate_unlearnt,
)
from skall.comparison.tuning import check_search, describe_search, plan_search
from skall.environment.randomness import draw_seed
from skall.features.shortcuts import find_images
from skall.metrics import check_scoring_names, resolve_pos_label
from skall.validation.groups import check_groups
from skall.validation.labels import read_labels


@dataclass(frozen=True)
class Plan:
    """Estimators, folds and samples of a comparison.

    Attributes
    ----------
    X, y, groups
        The samples, their labels as an array, and their groups as an array or None.
    classes : ndarray of shape (n_classes,)
    pos_label : label or None
    scoring : tuple of str
    images : Images or None
        X, where it holds images.
    sizes : ndarray, shape (n_samples, 2)
        Height and width of the images in pixels; NaN where they are not known.
    candidates : dict of str to classifier
    by_name : bool
        Whether they were given by name, and take the seed of the fold.
    search : dict or None
        Arguments of :func:`skall.search.make_search`.
    folds : list of Fold
    n_threads : int
    protocol : dict
        What JSON holds of how it is done.
    about : dict of str to dict
        What each estimator is.
    call : dict
        The fingerprint of :func:`skall.comparison.description.make_fingerprint`.
    """

    X: object
    y: np.ndarray
    groups: np.ndarray | None
    classes: np.ndarray
    pos_label: object
    scoring: tuple
    images: object
    sizes: np.ndarray
    candidates: dict
    by_name: bool
    search: dict | None
    folds: list
    n_threads: int
    protocol: dict
    about: dict
    call: dict

    @property
    def notes(self):
        """What is to be known before anything is trained, in sentences."""
        return self.protocol["notes"]

    @property
    def jobs(self):
        """Each estimator on each fold, in the order of work."""
        return [(name, fold) for fold in self.folds for name in self.candidates]

    @property
    def shared(self):
        """The arguments of :func:`skall.comparison.evaluation.evaluate_fold` that all have."""
        names = ("X", "y", "groups", "classes", "pos_label", "scoring", "n_threads")
        return {name: getattr(self, name) for name in names}

    def pick_seed(self, name, fold):
        """The fold's seed for what was given by name; the baselines of shortcuts take none."""
        takes_one = self.by_name and hasattr(self.candidates[name], "random_state")
        return fold.seed if takes_one else None

    def has_network(self, name):
        """Whether an estimator is, or ends in, a network that can be kept."""
        return isinstance(get_final_estimator(self.candidates[name]), CNNClassifier)

    def check_savable(self):
        """Raise where a network could not be kept."""
        for name in filter(self.has_network, self.candidates):
            check_savable(get_final_estimator(self.candidates[name]))

    def check_pixels(self, memory):
        """Raise where an image is damaged; what shortcuts are measured meanwhile is kept."""
        check_pixels(self.images, self.sizes, self.candidates, memory)

    def assemble(self, results):
        """The comparison of what :attr:`jobs` gave.

        Parameters
        ----------
        results : list of dict

        Returns
        -------
        Comparison
        """
        rows = [(*job, result) for job, result in zip(self.jobs, results, strict=True)]
        rows.sort(key=lambda row: list(self.candidates).index(row[0]))
        return Comparison(
            tabulate_scores(rows),
            tabulate_predictions(rows, self.y, self.groups, self.classes),
            self.pos_label,
            tabulate_choices(rows),
            count_trials(rows),
            history_=tabulate_histories(rows),
            failures_=tabulate_failures(rows),
            unlearnt_=tabulate_unlearnt(rows),
            resources_=tabulate_resources(rows),
            folds_=tabulate_sizes(self.folds),
            samples_=tabulate_samples(self.y, self.groups, self.images, self.sizes),
            estimators_=self.about,
            protocol_=describe_protocol(**self.protocol),
            images_=self.images,
        )


def make_plan(
    estimators,
    X,
    y,
    *,
    groups,
    cv,
    repeats,
    allow_missing_classes,
    scoring,
    pos_label,
    baselines,
    depth,
    tune,
    strategy,
    trials,
    random_state,
    params,
    remembered,
):
    """Check what a comparison was asked for.

    Parameters
    ----------
    estimators ... params
        As in :func:`skall.compare`.
    remembered : dict
        The fingerprint of the comparison that goes on, which gives its seed, its threads, and what
        is known of its networks.

    Returns
    -------
    Plan
    """
    y, groups, classes = _check_samples(X, y, groups)
    pos_label = resolve_pos_label(classes, pos_label)
    scoring = check_scoring_names(scoring)
    seed = _pick_seed(random_state, remembered)
    n_threads = remembered.get("threads", torch.get_num_threads())
    images = find_images(X)
    beaten = make_baselines(shortcuts=images is not None) if baselines else {}
    candidates, by_name = make_candidates(estimators, beaten, params)
    check_class_weights(candidates, classes)
    if images is not None:
        check_stacks(candidates)
    candidates, depth = share_depth(candidates, depth)
    images = images if depth is None else find_images(X, depth)
    known = find_known_networks(candidates, by_name, remembered)
    check_networks(candidates[name] for name in candidates if name not in known)
    sizes = measure_images(images, len(y), candidates)
    options = {"cv": cv, "repeats": repeats, "seed": seed}
    folds = make_folds(y, groups, allow_missing_classes=allow_missing_classes, **options)
    notes = [
        *describe_folds(folds, y),
        *describe_leakage(folds, X, y, groups, images),
        *describe_depth(images),
    ]
    search = plan_search(
        tune, strategy, trials, by_name=by_name, grouped=groups is not None, pos_label=pos_label
    )
    if search:
        check_search(search, candidates, folds, y, groups)
    settings = {"seed": seed, "threads": n_threads, "scoring": list(scoring)}
    settings |= {"positive class": str(pos_label), **describe_search(search)}
    settings |= {} if depth is None else {"depth": depth}
    dealt = {
        "cv": describe_cv(cv, groups is not None, any(fold.by_group for fold in folds)),
        "repeats": int(repeats),
        "seeds": list({fold.repeat: fold.seed for fold in folds}.values()),
        "split_seeds": list({fold.repeat: fold.split_seed for fold in folds}.values()),
        "by_name": by_name,
        "grouped": groups is not None,
        "parted": None if groups is None else len(list_leaking_groups(folds, groups)),
        "notes": notes,
    }
    return Plan(
        X=X,
        y=y,
        groups=groups,
        classes=classes,
        pos_label=pos_label,
        scoring=scoring,
        images=images,
        sizes=sizes,
        candidates=candidates,
        by_name=by_name,
        search=search,
        folds=folds,
        n_threads=n_threads,
        protocol=dealt | settings,
        about=describe_estimators(candidates, beaten, len(classes), known),
        call=make_fingerprint(candidates, X, y, groups, folds, images, by_name=by_name, **settings),
    )


def _check_samples(X, y, groups):
    """Labels and groups as arrays, and the classes."""
    y = read_labels(y)
    check_consistent_length(X, y, groups)
    groups = check_groups(groups, len(y))
    for name, values in {"y": y, "groups": groups}.items():
        for value in [] if values is None else pd.unique(values):
            if not str(value).isprintable():
                raise ValueError(f"{name} holds {value!r}; give it a name of one line")
    check_classification_targets(y)
    return y, groups, np.unique(y)


def _pick_seed(random_state, remembered):
    if isinstance(random_state, Integral):
        if not 0 <= random_state < 2**32:
            raise ValueError(f"random_state must be from 0 to 2 ** 32 - 1, got {random_state}")
        return int(random_state)
    if random_state is None and "seed" in remembered:
        return remembered["seed"]
    return draw_seed(random_state)
