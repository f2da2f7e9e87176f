"""The estimators that a comparison compares."""

from collections import Counter
from collections.abc import Mapping
from urllib.parse import quote

import numpy as np
from sklearn.base import is_classifier
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skall.backbones.weights import check_weights
from skall.classifier import CNNClassifier, get_estimator
from skall.classifier.parameters import check_parameters
from skall.classifier.targets import weigh_classes
from skall.comparison.caching import list_readers
from skall.comparison.parts import list_parts
from skall.features.shortcuts import SHORTCUTS, ShortcutFeatures
from skall.network.device import resolve_device
from skall.network.summary import sketch_network

DUMMY = "dummy"
BASELINES = (DUMMY, *SHORTCUTS)
# Most file systems take names of up to 255 bytes.
LONGEST = 200


def make_baselines(shortcuts):
    """What every estimator is to beat.

    Parameters
    ----------
    shortcuts : bool
        Add a logistic regression for each of
        :data:`skall.features.shortcuts.SHORTCUTS`, which need images.

    Returns
    -------
    dict of str to classifier
    """
    baselines = {DUMMY: DummyClassifier(strategy="prior")}
    for kind in SHORTCUTS if shortcuts else ():
        logistic = LogisticRegression(max_iter=1000)
        baselines[kind] = make_pipeline(ShortcutFeatures(kind), StandardScaler(), logistic)
    return baselines


def make_candidates(estimators, baselines=None, params=None):
    """Estimators by name, from what a user gave.

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
        names = _check_names(estimators)
        if not names:
            raise ValueError("there is no backbone to compare; skall.list_backbones() names them")
        candidates = {name: get_estimator(name, **params) for name in names}
    else:
        _refuse_params(params)
        candidates = dict(estimators)
    for name, estimator in candidates.items():
        _check_classifier(name, estimator)
    _check_distinct([*(names if by_name else candidates), *baselines])
    return candidates | baselines, by_name


def check_class_weights(candidates, classes):
    """Raise where the weights of a network name classes that there are not.

    Parameters
    ----------
    candidates : dict of str to classifier
    classes : ndarray of shape (n_classes,)
    """
    for estimator in candidates.values():
        if isinstance(estimator, CNNClassifier):
            weigh_classes(estimator.class_weight, classes, np.arange(len(classes)))


def _check_names(estimators):
    names = [estimators] if isinstance(estimators, str) else list(estimators)
    if isinstance(estimators, str) or not all(isinstance(name, str) for name in names):
        raise TypeError(
            "estimators must be a list of backbone names, as ['resnet18', 'squeezenet'], or a dict "
            f"of names and classifiers for your own; got {estimators!r}"
        )
    return names


def _refuse_params(params):
    if params:
        raise TypeError(
            f"{', '.join(map(repr, params))}: neither an argument of compare nor possible for "
            "estimators given as a dict, which have their parameters already"
        )


def _check_classifier(name, estimator):
    if not isinstance(name, str):
        raise TypeError(f"the names of estimators must be str, got {name!r}")
    if isinstance(estimator, type):
        raise TypeError(f"{name!r} is the class {estimator.__name__}; give an instance of it")
    # The attribute is an older convention, which Optuna's OptunaSearchCV still follows.
    declared = getattr(estimator, "_estimator_type", None)
    if not is_classifier(estimator) and declared != "classifier":
        raise TypeError(f"{name!r} is no classifier: {estimator!r}")
    if isinstance(estimator, CNNClassifier):
        check_parameters(estimator)
        resolve_device(estimator.device)
        check_weights(estimator.backbone, estimator.weights)


def check_networks(candidates):
    """Raise where a network could not be built, or takes no images of its size.

    Parameters
    ----------
    candidates : iterable of classifier
    """
    for estimator in candidates:
        if isinstance(estimator, CNNClassifier):
            sketch_network(estimator)


def check_stacks(candidates):
    """Raise for stacks that would put predictions beside images, which nothing can take.

    Parameters
    ----------
    candidates : dict of str to classifier
        That get images.

    Raises
    ------
    ValueError
        That names the estimator.
    """
    for name, candidate in candidates.items():
        for stack in list_parts(candidate, StackingClassifier):
            # One whose members read no images gets what comes after the reading.
            if stack.passthrough and list_readers(stack):
                raise ValueError(
                    f"{name!r}: StackingClassifier(passthrough=True) hands the images on to its "
                    "final estimator, beside the predictions, and no estimator takes both: use "
                    "passthrough=False"
                )


def _check_distinct(names):
    """Results lie in folders by name, and some file systems ignore case."""
    if not names:
        raise ValueError("there is no estimator to compare")
    for name in names:
        if not name.strip(". ") or not name.isprintable() or len(quote(name, safe="")) > LONGEST:
            raise ValueError(
                f"an estimator cannot be called {name[:60]!r}: results lie in a folder of that "
                f"name, so it must have letters or digits, one line, and up to {LONGEST} "
                "characters as folders write them"
            )
    name, count = Counter(name.casefold() for name in names).most_common(1)[0]
    if count > 1:
        raise ValueError(
            f"{count} estimators are called {name!r} (the baselines included); give each its own "
            "name in a dict, or leave the baselines out with baselines=False"
        )
