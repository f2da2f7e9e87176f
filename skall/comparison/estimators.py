"""The estimators of a comparison: candidates and baselines, their components, and tuning."""

from collections import Counter
from collections.abc import Mapping
from contextlib import contextmanager
from urllib.parse import quote

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skall.backbones.weights import check_weights
from skall.classifier import CNNClassifier, get_estimator
from skall.classifier.parameters import check_parameters
from skall.classifier.training_rows import weigh_classes
from skall.environment.private_names import BaseSearchCV, declares_classifier
from skall.features.cnn import CNNFeatures
from skall.features.shortcuts import SHORTCUTS, ShortcutFeatures
from skall.metrics import scorers
from skall.network.device import resolve_device
from skall.network.summary import sketch_network
from skall.preprocessing import StainNormalizer
from skall.preprocessing.transformer import ImageTransformer
from skall.search import make_search

DUMMY = "dummy"
BASELINES = (DUMMY, *SHORTCUTS)
# The estimators that read images. scikit-learn's pipelines have a parameter `memory` too, of which
# "auto" is a folder.
READERS = (CNNClassifier, CNNFeatures, ImageTransformer, StainNormalizer)
# Most file systems take names of up to 255 bytes.
MAX_NAME_LENGTH = 200
# Parameters that cannot be tuned, and why.
FIXED = {
    "backbone": "the backbones are what is compared; name each of them",
    "random_state": "every fold has a seed of its own",
}


def make_baselines(shortcuts):
    """The baselines that every estimator should beat."""
    baselines = {DUMMY: DummyClassifier(strategy="prior")}
    for kind in SHORTCUTS if shortcuts else ():
        logistic = LogisticRegression(max_iter=1000)
        baselines[kind] = make_pipeline(ShortcutFeatures(kind), StandardScaler(), logistic)
    return baselines


def make_candidates(estimators, baselines=None, params=None):
    """Estimators by name, with the baselines.

    Parameters
    ----------
    estimators : iterable of str or dict of str to classifier
        Names of backbones, or any classifiers.
    baselines : dict of str to classifier, optional
        Are added, see :func:`make_baselines`.
    params : dict, optional
        Parameters of each backbone's :class:`~skall.CNNClassifier`.

    Returns
    -------
    candidates : dict of str to classifier
    by_name : bool
        Whether they were given by name.

    Raises
    ------
    ValueError
        For an unknown backbone, a name that is used twice, or none at all.
    TypeError
        For what is no classifier, and `params` that no backbone takes.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> baselines = make_baselines(shortcuts=False)
    >>> make_candidates({"logistic": LogisticRegression()}, baselines)
    ({'logistic': LogisticRegression(), 'dummy': DummyClassifier()}, False)
    """
    baselines, params = baselines or {}, params or {}
    by_name = not isinstance(estimators, Mapping)
    if by_name:
        names = _check_backbone_names(estimators)
        candidates = {name: get_estimator(name, **params) for name in names}
    elif params:
        raise TypeError(
            f"{', '.join(map(repr, params))}: neither an argument of compare nor possible for "
            "estimators given as a dict, which have their parameters already"
        )
    else:
        candidates = dict(estimators)
    for name, estimator in candidates.items():
        _check_classifier(name, estimator)
    _check_names([*(names if by_name else candidates), *baselines])
    return candidates | baselines, by_name


def _check_backbone_names(estimators):
    names = [estimators] if isinstance(estimators, str) else list(estimators)
    if isinstance(estimators, str) or not all(isinstance(name, str) for name in names):
        raise TypeError(
            "estimators must be a list of backbone names, as ['resnet18', 'squeezenet'], or a dict "
            f"of names and classifiers for your own; got {estimators!r}"
        )
    if not names:
        raise ValueError("there is no backbone to compare; skall.list_backbones() names them")
    return names


def _check_classifier(name, estimator):
    if not isinstance(name, str):
        raise TypeError(f"the names of estimators must be str, got {name!r}")
    if isinstance(estimator, type):
        raise TypeError(f"{name!r} is the class {estimator.__name__}; give an instance of it")
    if not is_classifier(estimator) and not declares_classifier(estimator):
        raise TypeError(f"{name!r} is no classifier: {estimator!r}")
    if isinstance(estimator, CNNClassifier):
        check_parameters(estimator)
        resolve_device(estimator.device)
        check_weights(estimator.backbone, estimator.weights)


def _check_names(names):
    """Raise for names that cannot be folders; some file systems ignore case."""
    if not names:
        raise ValueError("there is no estimator to compare")
    for name in names:
        is_short = len(quote(name, safe="")) <= MAX_NAME_LENGTH
        if not name.strip(". ") or not name.isprintable() or not is_short:
            raise ValueError(
                f"an estimator cannot be called {name[:60]!r}: results are stored in a folder of "
                "that name, so it must have letters or digits, one line, and up to "
                f"{MAX_NAME_LENGTH} characters as folders write them"
            )
    name, count = Counter(name.casefold() for name in names).most_common(1)[0]
    if count > 1:
        raise ValueError(
            f"{count} estimators are called {name!r} (the baselines included); give each its own "
            "name in a dict, or leave the baselines out with baselines=False"
        )


def check_class_weights(candidates, classes):
    """Raise where the class weights of a network name other classes than those of the data."""
    for estimator in candidates.values():
        if isinstance(estimator, CNNClassifier):
            weigh_classes(estimator.class_weight, classes, np.arange(len(classes)))


def check_networks(candidates):
    """Raise where a network could not be built, or takes no images of its size."""
    for estimator in candidates:
        if isinstance(estimator, CNNClassifier):
            sketch_network(estimator)


def check_stacks(candidates):
    """Raise for stacks that would put predictions beside images, which no estimator takes."""
    for name, candidate in candidates.items():
        for stack in list_components(candidate, StackingClassifier):
            # A stack whose members read no images comes after a reader.
            if stack.passthrough and list_readers(stack):
                raise ValueError(
                    f"{name!r}: StackingClassifier(passthrough=True) hands the images on to its "
                    "final estimator, beside the predictions, and no estimator takes both: use "
                    "passthrough=False"
                )


def list_components(estimator, kinds=object):
    """An estimator and the values of its parameters, nested ones too, each once."""
    parts = [estimator, *estimator.get_params(deep=True).values()]
    return list({id(part): part for part in parts if isinstance(part, kinds)}.values())


def list_networks(estimator):
    """The classifiers and feature extractors of skall in an estimator."""
    return list_components(estimator, (CNNClassifier, CNNFeatures))


def list_readers(estimator):
    """The estimators of skall in an estimator that read images."""
    return list_components(estimator, READERS)


def get_final_estimator(estimator):
    """The final estimator of a pipeline, or the one that a search has chosen or will fit."""
    if hasattr(estimator, "best_estimator_"):
        return get_final_estimator(estimator.best_estimator_)
    if isinstance(estimator, BaseSearchCV):
        return get_final_estimator(estimator.estimator)
    return get_final_estimator(estimator[-1]) if isinstance(estimator, Pipeline) else estimator


def get_search(estimator):
    """The fitted search that an estimator is, or that a pipeline ends in; None without one."""
    if hasattr(estimator, "best_params_"):
        return estimator
    return get_search(estimator[-1]) if isinstance(estimator, Pipeline) else None


@contextmanager
def shared_cache(folder, estimator):
    """Let an unfitted estimator use a cache on disk instead of the one of this process.

    Its readers of images whose ``memory`` is ``"auto"`` are changed meanwhile. Without a folder
    nothing is.
    """
    readers = [] if folder is None else list_readers(estimator)
    changed = [r for r in readers if isinstance(r.memory, str) and r.memory == "auto"]
    final = get_final_estimator(estimator)
    for reader in changed:
        reader.set_params(memory=str(folder))
    try:
        yield
    finally:
        if any(reader is final for reader in changed):
            # A search has fitted a copy of it.
            changed.append(get_final_estimator(estimator))
        for reader in changed:
            reader.set_params(memory="auto")


def plan_search(tune, strategy="grid", trials=None, *, by_name, grouped, pos_label):
    """Arguments of :func:`skall.search.make_search` for every network; None without `tune`.

    `by_name` tells whether the networks were given by name. Raises for parameters that cannot be
    tuned here, and for a strategy without anything to tune.
    """
    if tune is None:
        if strategy != "grid" or trials is not None:
            raise ValueError("strategy and trials say how to tune, but there is no tune")
        return None
    if not by_name:
        raise TypeError(
            "tune is for networks given by name; wrap your own estimators in a search, as "
            "skall.search.make_search gives"
        )
    for parameter, reason in FIXED.items():
        if parameter in tune:
            raise ValueError(f"{parameter} cannot be tuned here: {reason}")
    return {
        **{"space": tune, "strategy": strategy, "trials": trials, "grouped": grouped},
        "scoring": scorers(pos_label)["balanced_accuracy"],
    }


def make_estimator(candidate, seed=None, search=None):
    """A copy of a candidate with the fold's seed, if it takes one, in a search if it is tuned."""
    estimator = clone(candidate)
    if seed is not None:
        estimator.set_params(random_state=seed)
    if search is None or not isinstance(estimator, CNNClassifier):
        return estimator
    return make_search(estimator, random_state=seed, **search)


def check_search(search, candidates, folds, y, groups):
    """Raise where the networks, or the training part of a fold, cannot be searched."""
    network = next(c for c in candidates.values() if isinstance(c, CNNClassifier))
    for fold in folds:
        inner = make_estimator(network, fold.seed, search).cv
        inner_groups = None if groups is None else groups[fold.train]
        try:
            list(inner.split(y[fold.train], y[fold.train], inner_groups))
        except ValueError as exc:
            raise ValueError(
                f"tune is not possible: the training part of {fold.title} cannot be split once "
                f"more: {exc}"
            ) from exc
