"""The plan of a comparison: estimators, folds and settings, checked before anything is trained."""

import os
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import pandas as pd
import torch
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length

from skall.classifier import CNNClassifier
from skall.classifier.saving import check_savable
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
    describe_search,
    find_known_networks,
    make_fingerprint,
)
from skall.comparison.estimators import (
    check_class_weights,
    check_networks,
    check_search,
    check_stacks,
    get_final_estimator,
    make_baselines,
    make_candidates,
    plan_search,
)
from skall.comparison.evaluation import COLUMNS, tabulate_results
from skall.comparison.results import Comparison
from skall.comparison.splits import describe_folds, list_leaking_groups, make_folds
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
        How the estimators are compared, as JSON can hold it.
    about : dict of str to dict
        See :func:`skall.comparison.description.describe_estimators`.
    fingerprint : dict
        See :func:`skall.comparison.description.make_fingerprint`.
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
    fingerprint: dict

    @property
    def notes(self):
        """Warnings about the samples and folds, in sentences."""
        return self.protocol["notes"]

    @property
    def jobs(self):
        """Each estimator on each fold, in the order of work."""
        return [(name, fold) for fold in self.folds for name in self.candidates]

    @property
    def shared(self):
        """The arguments of ``evaluate_fold`` that all jobs share."""
        names = ("X", "y", "groups", "classes", "pos_label", "scoring", "n_threads")
        return {name: getattr(self, name) for name in names}

    def get_seed(self, name, fold):
        """The fold's seed for estimators given by name; None for others and for shortcuts."""
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
        """Raise where an image is damaged."""
        check_pixels(self.images, self.sizes, self.candidates, memory)

    def assemble(self, results):
        """The comparison with the results of all jobs, in their order."""
        rows = [(*job, result) for job, result in zip(self.jobs, results, strict=True)]
        rows.sort(key=lambda row: list(self.candidates).index(row[0]))
        sizes = [(f.repeat, f.fold, len(f.train), len(f.test)) for f in self.folds]
        return Comparison(
            **tabulate_results(rows, self.y, self.groups, self.classes),
            pos_label_=self.pos_label,
            folds_=pd.DataFrame(sizes, columns=COLUMNS["folds"]),
            samples_=self._tabulate_samples(),
            estimators_=self.about,
            protocol_=describe_protocol(**self.protocol),
            images_=self.images,
        )

    def _tabulate_samples(self):
        """File, size, group and label of each sample."""
        table = pd.DataFrame({"sample": np.arange(len(self.y))})
        paths = getattr(self.images, "paths", None)
        table["file"] = None if paths is None else [os.path.abspath(path) for path in paths]
        table[["height", "width"]] = self.sizes
        table["group"] = self.groups
        table["y_true"] = self.y
        return table


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
    earlier,
):
    """Check the arguments of a comparison, and make everything that it needs.

    Parameters
    ----------
    estimators ... params
        As in :func:`skall.compare`.
    earlier : dict
        The fingerprint of the comparison that is resumed, if any: with its seed, its threads, and
        the descriptions of its networks.

    Returns
    -------
    Plan
    """
    y, groups, classes = _check_samples(X, y, groups)
    pos_label = resolve_pos_label(classes, pos_label)
    scoring = check_scoring_names(scoring)
    seed = _choose_seed(random_state, earlier)
    n_threads = earlier.get("threads", torch.get_num_threads())
    images = find_images(X)
    baselines = make_baselines(shortcuts=images is not None) if baselines else {}
    candidates, by_name = make_candidates(estimators, baselines, params)
    check_class_weights(candidates, classes)
    if images is not None:
        check_stacks(candidates)
    candidates, depth = share_depth(candidates, depth)
    images = images if depth is None else find_images(X, depth)
    known = find_known_networks(candidates, by_name, earlier)
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
    described_folds = {
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
        protocol=described_folds | settings,
        about=describe_estimators(candidates, baselines, len(classes), known),
        fingerprint=make_fingerprint(
            candidates, X, y, groups, folds, images, by_name=by_name, **settings
        ),
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


def _choose_seed(random_state, earlier):
    """The seed that was given, that of an earlier call, or a new one."""
    if isinstance(random_state, Integral):
        if not 0 <= random_state < 2**32:
            raise ValueError(f"random_state must be from 0 to 2 ** 32 - 1, got {random_state}")
        return int(random_state)
    if random_state is None and "seed" in earlier:
        return earlier["seed"]
    return draw_seed(random_state)
